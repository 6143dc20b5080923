"""`verify` against an adversary: whoever plants an unfairness here signs every file anew, so no checksum tells it.

Each planted unfairness must be named by the check that recomputes it.
"""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from calling import one_by_one
from safetensors.torch import load_file, save_file

from bench import architectures
from bench.architectures import Batch
from bench.cli.verify import verify_command
from bench.datasets.suites import Suite
from bench.errors import UserError
from bench.plan import config_of, sequence_spec
from bench.planning.decide import decide
from bench.planning.options import RunOptions
from bench.planning.sizing import count_flops
from bench.results.files import BadFile, sha256_of, write_checked_json
from bench.results.records.collect import collect
from bench.results.records.curves import CURVE, read_curve, write_curve
from bench.results.records.plan import PLAN, Plan, Settings, hash_of_plan, read_plan
from bench.results.records.predictions import PREDICTIONS, read_predictions, write_predictions
from bench.results.records.record import RECORD, WEIGHTS, Record, read_record
from bench.results.records.run import cell_directory
from bench.running.engine import run_plan
from bench.running.evaluation import answer
from bench.running.run_folder import take_folder
from bench.verifying import run as verify
from bench.verifying.answers import MOST_EXCESS, answers_again, excess_on_test
from bench.verifying.cell import Cell, Check, Wrong
from bench.verifying.expected import Expected

NAME = "lstm-s0"
EXAMPLES = 3000  # two whole blocks of the stream and a part of another
COUNTED = cache(count_flops)


class Silent:
    def start(self, architecture: str, seed: int) -> None: ...
    def event(self, architecture: str, seed: int, event: dict[str, Any]) -> None: ...
    def finish(self, record: Record) -> None: ...
    def leave(self, architecture: str, seed: int) -> None: ...


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory, tiny_path: Path) -> Path:
    """A run as it should be, of one cell; where it is trained again, that is done in a process of its own."""
    return carried_out(planned(tiny_path, f"examples={EXAMPLES}"), tmp_path_factory.mktemp("verify") / "run")


def planned(tiny_path: Path, budget: str) -> Plan:
    options = RunOptions(arch="lstm", suite=str(tiny_path), seeds="1", budget=budget, threads=1, set=("batch=20",))
    return decide(options, command="test")


def carried_out(plan: Plan, directory: Path) -> Path:
    take_folder(plan, directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.running.engine.run_tasks", one_by_one)
        run_plan(plan, directory, Silent())
    return directory


@pytest.fixture(autouse=True)
def counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting FLOPs takes most of the time of a check of so small a run."""
    monkeypatch.setattr("bench.verifying.expected.count_flops", COUNTED)


@pytest.fixture
def run(honest: Path, tmp_path: Path) -> Path:
    """A copy of it, for an adversary."""
    copytree(honest, tmp_path / "run")
    return tmp_path / "run"


def checks_of(run: Path) -> list[Check]:
    return list(verify.verify_run(run, rerun=0, plugins=()))


def snapshot(run: Path) -> dict[Path, tuple[int, bytes]]:
    """When each file of a run was written, and what is in it."""
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.rglob("*") if path.is_file()}


def failures(run: Path) -> dict[str, str]:
    return {check.check: check.detail for check in checks_of(run) if check.ok is False}


# --- the adversary's tools --------------------------------------------------------------------------------------------


def cell_of(run: Path) -> Path:
    return cell_directory(run, "lstm", 0)


def expected_of(run: Path) -> Expected:
    return Expected(read_plan(run))


def seen_cell(run: Path, record: Record | None = None) -> Cell:
    """The cell as `verify` sees it; with another record than its own, where there is one."""
    plan = read_plan(run)
    return Cell(cell_of(run), record or read_record(cell_of(run)), plan.entries["lstm"], Expected(plan))


def sign(run: Path, **changes: Any) -> None:
    """Changes the record, and signs it, the files of its cell and the tables anew."""
    cell = cell_of(run)
    content = asdict(read_record(cell)) | changes
    content["files"] = {path.name: sha256_of(path) for path in cell.iterdir() if path.name != RECORD}
    write_checked_json(cell / RECORD, content)
    with suppress(BadFile):  # where the tables of `report` tell it already; they stay as they are then
        collect(run)


def sign_plan(run: Path, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Changes run.json and signs it anew, its plan hash and the hash of its suite too."""
    plan: dict[str, Any] = json.loads((run / PLAN).read_text())
    del plan["checksum"]
    change(plan)
    suite = Suite.model_validate_json(json.dumps(plan["suite"]["content"]))
    plan["suite"]["hash"] = plan["settings"]["suite_hash"] = suite.hash
    plan["plan_hash"] = hash_of_plan(Settings(**plan["settings"]), plan["entries"], plan["seeds"])
    write_checked_json(run / PLAN, plan)
    return plan


def edit_predictions(run: Path, edit: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Rewrites the predictions, and all figures that are counted from them."""
    edited = edit(read_predictions(cell_of(run))).reset_index(drop=True)
    write_predictions(cell_of(run), edited)
    right = edited.loc[edited["split"] == "test", "right"]
    counts = {"correct": int(right.sum()), "total": len(right), "exact_match": int(right.sum()) / len(right)}
    sign(run, **counts)


def edit_curve(run: Path, edit: Callable[[pd.DataFrame], pd.DataFrame], **changes: Any) -> None:
    write_curve(cell_of(run), edit(read_curve(cell_of(run))))
    sign(run, **changes)


def first_wrong(predictions: pd.DataFrame) -> int:
    return int(predictions.index[(predictions["right"] == 0) & (predictions["split"] == "test")][0])


def larger(run: Path) -> tuple[dict[str, Any], int, int]:
    """The config of a model of twice the width, its parameters, and its FLOPs an example."""
    config = read_plan(run).entries["lstm"].config
    config = config | {"width": 2 * config["width"]}
    parameters, _, flops = expected_of(run).size("lstm", architectures.get("lstm").Config(**config))
    return config, parameters, flops


def put_larger_model(run: Path) -> None:
    """Its weights, answers and files, as if it had been trained: only what a record says of it remains to be forged."""
    config, _, _ = larger(run)
    cls = architectures.get("lstm")
    expected = expected_of(run)
    torch.manual_seed(0)
    put_model(run, cls(cls.Config(**config), sequence_spec(expected.suite)))


def put_model(run: Path, model: architectures.Architecture) -> None:
    """Weights and answers of a model, with every figure that is counted from its answers."""
    expected = expected_of(run)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, cell_of(run) / WEIGHTS)
    device = torch.device("cpu")
    answered = answer(model, expected.asked, device, "32")
    validated = answer(model, expected.validation_items, device, "32").right
    curve = read_curve(cell_of(run))
    curve.loc[len(curve) - 1, "correct"] = int(validated[expected.validation_sample(model.name)].sum())
    write_curve(cell_of(run), curve)
    sign(run, validation_correct=int(validated.sum()))
    edit_predictions(run, lambda _: expected.frame(answered))


# --- what is planted --------------------------------------------------------------------------------------------------


def more_parameters_than_stated(run: Path) -> None:
    put_larger_model(run)
    config, _, flops = larger(run)
    sign_plan(run, lambda plan: plan["entries"]["lstm"].update(config=config))
    sign(run, config=config, flops=EXAMPLES * flops)


def more_parameters_than_asked(run: Path) -> None:
    put_larger_model(run)
    config, parameters, flops = larger(run)
    changes = {"parameters": parameters, "active_parameters": parameters}
    sign_plan(run, lambda plan: plan["entries"]["lstm"].update(config=config, flops_per_example=flops, **changes))
    sign(run, config=config, flops=EXAMPLES * flops, **changes)


def more_parameters_in_the_weights_alone(run: Path) -> None:
    put_larger_model(run)


def other_data(run: Path) -> None:
    expected = expected_of(run)
    of_seed_1 = expected.training_data(1, EXAMPLES)
    facts = {"data_hash": of_seed_1.data_hash, "data_chain": of_seed_1.chain, "tokens": int(of_seed_1.tokens[-1])}
    sign(run, unique_problems=of_seed_1.unique_problems, **facts)


def data_of_the_test_split(run: Path) -> None:
    expected = expected_of(run)
    sign(run, data_hash=expected.hash_of_split("test", 0, EXAMPLES))


def validation_on_the_test_problems(run: Path) -> None:
    sign(run, validation_hash=read_record(cell_of(run)).test_hash)


def weights_that_know_the_test_problems(run: Path) -> None:
    """Trained on the test split, under the hashes of honest data."""
    plan, expected = read_plan(run), expected_of(run)
    torch.manual_seed(0)
    config = config_of("lstm", plan.entries["lstm"])
    model = architectures.get("lstm")(config, sequence_spec(expected.suite))
    asked = expected.suite.encoding.encode(expected.test.problems)
    batch = Batch(torch.from_numpy(asked.prompt), torch.from_numpy(asked.answer))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for step in range(150):
        optimizer.zero_grad()
        model.loss(batch, torch.Generator().manual_seed(step)).mean.backward()
        optimizer.step()
    put_model(run, model)


def another_test_hash(run: Path) -> None:
    sign(run, test_hash="0" * 64)


def an_easier_test_problem(run: Path) -> None:
    """In the place of one that was answered wrongly stands one that was answered rightly."""

    def edit(predictions: pd.DataFrame) -> pd.DataFrame:
        wrong = first_wrong(predictions)
        right = int(predictions.index[predictions["right"] == 1][0])
        predictions.loc[wrong, "a":] = predictions.loc[right, "a":]
        return predictions

    edit_predictions(run, edit)


def hard_problems_left_out(run: Path) -> None:
    edit_predictions(run, lambda predictions: predictions.drop(index=first_wrong(predictions)))


def a_time_of_a_shared_machine(run: Path) -> None:
    record = read_record(cell_of(run))
    assert record.wall_seconds is not None
    sign(run, cpu_seconds=0.4 * record.wall_seconds, exclusive=True)


def a_cell_beside(run: Path) -> None:
    record = read_record(cell_of(run))
    assert record.wall_seconds is not None
    sign(run, cpu_seconds=record.wall_seconds, cell_beside=True, exclusive=True)


def a_shorter_time(run: Path) -> None:
    record = read_record(cell_of(run))
    assert record.train_seconds is not None
    assert record.tokens is not None
    rate = EXAMPLES / record.train_seconds  # as if all steps took equally long
    rates = {"examples_per_second": rate, "examples_per_second_quartiles": [rate, rate]}
    edit_curve(
        run,
        lambda curve: curve.assign(train_seconds=curve["train_seconds"] / 2),
        train_seconds=record.train_seconds / 2,
        tokens_per_second=rate * record.tokens / EXAMPLES,
        **rates,
    )


def wrong_hash_in_the_chain(run: Path) -> None:
    sign(run, data_chain=["0" * 64, "1" * 64])


def wrong_hash_of_the_validation_set(run: Path) -> None:
    sign(run, validation_hash="0" * 64)


def wrong_hash_of_the_plan(run: Path) -> None:
    plan = json.loads((run / PLAN).read_text())
    del plan["checksum"]
    write_checked_json(run / PLAN, plan | {"plan_hash": "0" * 64})


def prediction_called_right(run: Path) -> None:
    def edit(predictions: pd.DataFrame) -> pd.DataFrame:
        predictions.loc[first_wrong(predictions), "right"] = 1
        return predictions

    edit_predictions(run, edit)


def prediction_made_right(run: Path) -> None:
    """With all that follows from it: only the weights know better."""
    expected = expected_of(run)

    def edit(predictions: pd.DataFrame) -> pd.DataFrame:
        row = first_wrong(predictions)
        predictions.loc[row] = expected.all_right.loc[row]
        return predictions

    edit_predictions(run, edit)


def better_validation(run: Path) -> None:
    sign(run, validation_correct=read_record(cell_of(run)).validation_total)


def fewer_tokens(run: Path) -> None:
    sign(run, tokens=1000)


def fewer_flops(run: Path) -> None:
    record = read_record(cell_of(run))
    assert record.flops is not None
    sign(run, flops=record.flops // 2)


def fewer_flops_of_the_optimizer(run: Path) -> None:
    record = read_record(cell_of(run))
    assert record.optimizer_flops
    sign(run, optimizer_flops=record.optimizer_flops // 2)


def no_flops_of_the_optimizer(run: Path) -> None:
    sign(run, optimizer_flops=None)


def fewer_flops_of_the_optimizer_in_the_curve(run: Path) -> None:
    edit_curve(run, lambda curve: curve.assign(optimizer_flops=curve["optimizer_flops"] // 2))


def more_steps(run: Path) -> None:
    sign(run, steps=151)


def more_examples(run: Path) -> None:
    record = read_record(cell_of(run))
    assert record.flops
    assert record.optimizer_flops
    flops = {"flops": 2 * record.flops, "optimizer_flops": 2 * record.optimizer_flops}
    sign(run, examples=2 * EXAMPLES, steps=300, **flops)


def fewer_examples(run: Path) -> None:
    record = read_record(cell_of(run))
    assert record.flops
    assert record.optimizer_flops
    flops = {"flops": record.flops // 2, "optimizer_flops": record.optimizer_flops // 2}
    sign(run, examples=EXAMPLES // 2, steps=75, **flops)


def ended_early_without_reason(run: Path) -> None:
    fewer_examples(run)
    sign(run, reason="flat")


def other_settings(run: Path) -> None:
    sign(run, training=read_record(cell_of(run)).training | {"lr": 0.5})


def tuned_for_something_else(run: Path) -> None:
    sign_plan(run, lambda plan: plan["entries"]["lstm"].update(tuned=True))
    sign(run, tuned=True)


def learning_curve_made_better(run: Path) -> None:
    edit_curve(run, lambda curve: curve.assign(correct=curve["total"]))


def other_learning_rate(run: Path) -> None:
    edit_curve(run, lambda curve: curve.assign(learning_rate=2 * curve["learning_rate"]))


def point_of_the_curve_left_out(run: Path) -> None:
    edit_curve(run, lambda curve: curve.drop(index=3))


def suite_of_another_content(run: Path) -> None:
    """An easier test under the name of a suite of the project."""

    def change(plan: dict[str, Any]) -> None:
        plan["suite"] |= {"name": "quick"}
        plan["suite"]["content"] |= {"name": "quick"}
        plan["settings"]["suite"] = "quick"

    plan = sign_plan(run, change)
    content = asdict(read_record(cell_of(run))) | {"suite": "quick", "suite_hash": plan["suite"]["hash"]}
    write_checked_json(cell_of(run) / RECORD, content)


def stratum_called_whole(run: Path) -> None:
    sign_plan(run, lambda plan: plan["strata"][0].update(exhaustive=not plan["strata"][0]["exhaustive"]))


def cell_of_another_seed(run: Path) -> None:
    write_checked_json(cell_of(run) / RECORD, asdict(read_record(cell_of(run))) | {"seed": 1})


def cell_that_the_plan_lacks(run: Path) -> None:
    copytree(cell_of(run), cell_directory(run, "lstm", 7))


def file_that_the_record_lacks(run: Path) -> None:
    (cell_of(run) / "notes.txt").write_text("x")


def figure_in_results(run: Path) -> None:
    edit_text(run / "results.csv", "lstm,0,all,all,", "lstm,0,all,all,1")


def figure_in_cells(run: Path) -> None:
    edit_text(run / "cells.csv", "lstm,0,done,", "lstm,0,done,fast")


def figure_in_baselines(run: Path) -> None:
    edit_text(run / "baselines.csv", "nearest,0,all,all,", "nearest,0,all,all,1")


def edit_text(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


PLANTED: dict[Callable[[Path], None], tuple[str, str]] = {
    more_parameters_than_stated: ("parameters", "more parameters than stated"),
    more_parameters_than_asked: ("parameters", "more parameters than asked"),
    more_parameters_in_the_weights_alone: ("weights", "more parameters"),
    other_data: ("training data", "other data"),
    data_of_the_test_split: ("no peeking", "peeking at the test split: it was trained on test problems"),
    validation_on_the_test_problems: ("no peeking", "peeking at the test split: the validation problems"),
    weights_that_know_the_test_problems: ("no peeking", "peeking at the test split: its weights answer test problems"),
    another_test_hash: ("test set", "other test set: the test hash"),
    an_easier_test_problem: ("test set", "other test set: problem"),
    hard_problems_left_out: ("test set", "other test set: "),
    a_time_of_a_shared_machine: ("times", "shared-machine time"),
    a_cell_beside: ("times", "shared-machine time"),
    a_shorter_time: ("times", "training seconds"),
    wrong_hash_in_the_chain: ("training data", "wrong hash"),
    wrong_hash_of_the_validation_set: ("no peeking", "wrong hash"),
    wrong_hash_of_the_plan: ("plan", "wrong hash"),
    prediction_called_right: ("answers", "edited prediction: right of"),
    prediction_made_right: ("answers again", "edited prediction: "),
    better_validation: ("answers again", "edited figure"),
    fewer_tokens: ("training data", "tokens: the record says 1,000"),
    fewer_flops: ("budget", "FLOPs: the record says"),
    fewer_flops_of_the_optimizer: ("budget", "FLOPs of the optimizer: the record says"),
    no_flops_of_the_optimizer: ("budget", "FLOPs of the optimizer: the record says None, 150 steps"),
    fewer_flops_of_the_optimizer_in_the_curve: ("learning curve", "optimizer_flops of its rows are not"),
    more_steps: ("budget", "151 steps of 20 examples"),
    more_examples: ("budget", "more training than the budget"),
    fewer_examples: ("budget", "less training than the budget"),
    ended_early_without_reason: ("budget", "the plan has no --stop-when-flat"),
    other_settings: ("settings", "other settings than planned: training"),
    tuned_for_something_else: ("settings", "marked as tuned"),
    learning_curve_made_better: ("learning curve", "edited figure"),
    other_learning_rate: ("learning curve", "other learning rate"),
    point_of_the_curve_left_out: ("learning curve", "not at the 20 even points"),
    suite_of_another_content: ("suite", "not the genuine suite"),
    stratum_called_whole: ("suite", "strata"),
    cell_of_another_seed: ("record", "in another cell's folder"),
    cell_that_the_plan_lacks: ("cells", "not in the plan: lstm-s7"),
    file_that_the_record_lacks: ("files", "notes.txt"),
    figure_in_results: ("results.csv", "edited figure"),
    figure_in_cells: ("cells.csv", "edited figure"),
    figure_in_baselines: ("baselines.csv", "edited figure"),
}
"""What is planted -> the check that fails, and words that it says."""


# --- the tests --------------------------------------------------------------------------------------------------------


def test_an_honest_run_passes_every_check_and_nothing_is_written(
    honest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(honest)
    assert verify_command(honest) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("All 20 checks passed.")
    assert [line.split()[0] for line in lines[:-1]] == ["ok"] * 20
    assert {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in honest.rglob("*") if path.is_file()
    } == before


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_unfairness_is_caught_by_name(run: Path, plant: Callable[[Path], None]) -> None:
    check, words = PLANTED[plant]
    plant(run)
    found = failures(run)
    assert check in found
    assert words in found[check]
    assert "\n" not in found[check]
    # Signed anew: no checksum betrays it.
    assert not {"run.json", "record"} & found.keys() or check == "record"
    assert "files" not in found or check == "files"


@pytest.mark.parametrize("last", [1, 2])
def test_a_budget_of_flops_is_of_model_and_optimizer(last: int, tiny_path: Path, tmp_path: Path) -> None:
    """The last step has so few examples; not even one more fits in."""
    entry = planned(tiny_path, "examples=1").entries["lstm"]
    each, update = entry.flops_per_example, entry.optimizer_flops_per_step
    assert update
    used, examples = 50 * (20 * each + update) + update + last * each, 1000 + last
    # The first example of a step is due even where less is left than the update takes.
    budget = used - update - each + 1 if last == 1 else used
    run = carried_out(planned(tiny_path, f"flops={budget}"), tmp_path / "run")
    record = read_record(cell_of(run))
    assert (record.examples, record.all_flops) == (examples, used)
    assert failures(run) == {}
    sign(run, examples=examples + 1, flops=(examples + 1) * each)
    assert "more training than the budget: " in failures(run)["budget"]


def test_a_run_made_before_optimizers_were_counted_is_honest(run: Path) -> None:
    sign_plan(run, lambda plan: plan["entries"]["lstm"].pop("optimizer_flops_per_step"))
    edit_curve(run, lambda curve: curve.drop(columns="optimizer_flops"), optimizer_flops=None)
    assert failures(run) == {}
    edit_curve(run, lambda curve: add_optimizer_flops(curve))
    assert "which the plan does not" in failures(run)["learning curve"]
    sign(run, optimizer_flops=7)
    assert "the record says 7, 150 steps of None FLOPs are None" in failures(run)["budget"]


def add_optimizer_flops(curve: pd.DataFrame) -> pd.DataFrame:
    curve.insert(list(curve.columns).index("flops") + 1, "optimizer_flops", 7)
    return curve


def test_the_last_line_names_few_of_many_failures(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (run / "cells" / "lstm-s0" / "model.safetensors").write_bytes(b"no weights")
    monkeypatch.setattr("bench.cli.verify.MOST_NAMED", 2)
    assert verify_command(run) == 1
    *lines, last = capsys.readouterr().out.splitlines()
    names = [line.split(":")[0].split(maxsplit=1)[1].replace("  ", " ") for line in lines if line.startswith("FAILED")]
    assert last == f"{len(names)} of 20 checks failed: {', '.join(names[:2])} and {len(names) - 2} more."


def test_weights_that_a_run_comes_without_are_not_published(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cell_of(run) / WEIGHTS).unlink()
    assert verify_command(run) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    notes = [line for line in lines if "not published: the cell comes without model.safetensors" in line]
    assert [line.split(":")[0].split("  ")[-1] for line in notes] == [
        "no peeking",
        "weights",
        "answers again",
        "learning curve",
    ]
    assert "Not published: the weights of 1 of 1 cells, whose answers were not given again." in last


def test_a_run_may_be_published_with_the_weights_of_its_lowest_seeds(
    trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    copytree(trained_run, run)
    for path in run.glob(f"cells/*-s1/{WEIGHTS}"):
        path.unlink()
    collect(run)
    assert verify_command(run) == 0
    out = capsys.readouterr().out
    assert "Not published: the weights of 2 of 4 cells, whose answers were not given again." in " ".join(out.split())
    assert re.search("^note +lstm-s1 +weights", out, re.MULTILINE)
    assert re.search("^ok +lstm-s0 +answers again", out, re.MULTILINE)
    (run / "cells" / "lstm-s0" / WEIGHTS).unlink()
    assert verify_command(run) == 1
    assert re.search("^FAILED +lstm-s0 +weights: .*the file is missing", capsys.readouterr().out, re.MULTILINE)


def test_weights_that_one_cell_of_several_lacks_are_missing(run: Path) -> None:
    (run / "cells" / "lstm-s1").mkdir()
    (cell_of(run) / WEIGHTS).rename(run / "cells" / "lstm-s1" / WEIGHTS)
    assert "the file is missing" in failures(run)["weights"]


def test_exit_status_and_json(run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    prediction_made_right(run)
    assert verify_command(run) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 of 20 checks failed: lstm-s0 answers again."
    assert verify_command(run, json=True) == 1
    rows = json.loads(capsys.readouterr().out)
    assert {tuple(row) for row in rows} == {("check", "cell", "ok", "detail")}
    [failed] = [row for row in rows if row["ok"] is False]
    assert (failed["check"], failed["cell"]) == ("answers again", "lstm-s0")


def test_what_is_no_run_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such folder"):
        verify_command(tmp_path / "nowhere")
    with pytest.raises(UserError, match="is no run folder"):
        verify_command(tmp_path)
    with pytest.raises(UserError, match=r"--rerun 2: .* has 1 finished cells"):
        verify_command(run, rerun=2)
    (run / PLAN).write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        verify_command(run)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda plan: plan.update(seeds=["0"]), "has seeds.0 '0' of type str: expected a valid integer"),
        (lambda plan: plan.update(architectures=[["lstm"]]), "has architectures.0 ['lstm'] of type list: expected a "),
        (lambda plan: plan["settings"].pop("budget"), "has no settings.budget"),
        (lambda plan: plan["settings"].update(colour="red"), "has an unknown key settings.colour"),
        (lambda plan: plan["entries"]["lstm"].pop("config"), "has no entries.lstm.config"),
        (lambda plan: plan.update(entries={}), "its architectures are not those it has entries of"),
        (lambda plan: plan.pop("entries"), "has no entries"),
        (lambda plan: plan["suite"].pop("content"), "has no suite.content"),
        (lambda plan: plan["suite"]["content"].update(digits=[]), "the suite in run.json is none"),
    ],
)
def test_a_plan_that_nobody_can_run_is_said_to_be_one(
    run: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    plan = json.loads((run / PLAN).read_text())
    del plan["checksum"]
    change(plan)
    write_checked_json(run / PLAN, plan)
    found = failures(run)
    assert any(words in detail for detail in found.values())
    assert all(detail.isprintable() for detail in found.values())
    assert PLAN not in found  # its checksum is right


def test_what_a_terminal_would_obey_is_not_printed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sign_plan(run, lambda plan: plan["architectures"].append("\x1b[2J"))
    assert verify_command(run) == 1
    assert "\x1b" not in capsys.readouterr().out


def test_a_damaged_file_is_named_and_the_rest_still_checked(run: Path) -> None:
    for name in (PREDICTIONS, CURVE):
        (cell_of(run) / name).write_bytes(b"\x00")
    found = failures(run)
    assert "curve.csv: was changed after the run" in found["files"]
    assert "is no file of predictions" in found["test set"]
    assert "is no learning curve" in found["learning curve"]
    assert "is no file of predictions" in found["results.csv"]
    assert not {"parameters", "training data", "no peeking", "weights", "times", "cells.csv"} & found.keys()


def test_an_edit_that_is_not_signed_is_seen(run: Path) -> None:
    edit_text(cell_of(run) / RECORD, '"seed": 0', '"seed": 1')
    edit_text(run / PLAN, '"command": "test"', '"command": "rest"')
    found = failures(run)
    assert "its checksum does not match" in found["run.json"]
    assert "its checksum does not match" in found["record"]
    assert not {"cells.csv", "results.csv", "baselines.csv"} & found.keys()  # as far as the cells can be read


def test_cells_that_failed_or_were_not_run_are_notes(run: Path) -> None:
    sign_plan(run, lambda plan: plan.update(seeds=[0, 4]))
    missing = Record(**(asdict(read_record(cell_of(run))) | {"status": "diverged", "reason": "the loss became nan"}))
    write_checked_json(cell_of(run) / RECORD, asdict(missing))
    (run / "results.csv").write_text("architecture,seed,slice,value,correct,total\n")
    collect(run)
    (run / "baselines.csv").unlink()
    (cell_of(run) / "checkpoint-000000000007.safetensors").write_bytes(b"to go on from")
    checks = checks_of(run)
    notes = {(check.cell, check.check): check.detail for check in checks if check.ok is None}
    assert notes["", "seeds"].startswith("the seeds are 0, 4: ask why")
    assert notes["lstm-s0", "status"] == "diverged: the loss became nan"
    assert "no record" in notes["lstm-s4", "record"]
    assert ("", "baselines.csv") in notes
    assert [check for check in checks if check.ok is False] == []


def test_a_run_that_gets_more_seeds_is_honest_before_they_are_trained(run: Path) -> None:
    sign_plan(run, lambda plan: plan.update(seeds=[0, 1]))
    assert failures(run) == {}
    path = run / "baselines.csv"
    path.write_text(path.read_text().replace("calculator,0,", "calculator,7,"))
    assert "baselines.csv has no row of calculator seed 0" in failures(run)["baselines.csv"]


def test_a_table_that_lacks_a_cell_says_what_writes_it(run: Path) -> None:
    lines = (run / "results.csv").read_text().splitlines(keepends=True)
    (run / "results.csv").write_text(lines[0])
    found = failures(run)["results.csv"]
    assert found == "results.csv has no row of lstm seed 0; `python -m bench report` writes it anew"


def test_only_cells_that_are_done_can_be_trained_again(run: Path) -> None:
    sign(run, status="diverged", reason="the loss became nan")
    with pytest.raises(UserError, match="has 0 finished cells"):
        list(verify.verify_run(run, 1, ()))


def test_other_versions_are_a_note(run: Path) -> None:
    versions = read_record(cell_of(run)).versions | {"torch": "1.0"}
    sign(run, versions=versions)
    [note] = [check for check in checks_of(run) if check.ok is None]
    assert (note.check, note.cell) == ("versions", "lstm-s0")
    assert "torch 1.0, here " in note.detail
    assert failures(run) == {}


def test_a_tie_that_another_machine_decides_otherwise_is_no_edit(run: Path) -> None:
    """Two symbols with all but the same weights: which one wins is rounding. An answer with the other is believed."""
    weights = load_file(cell_of(run) / WEIGHTS)
    expected = expected_of(run)
    symbols = expected.suite.encoding.tokenizer.vocabulary
    one, other = symbols.index("1"), symbols.index("2")
    for name in ("head.weight", "head.bias"):
        if name in weights:
            weights[name][other] = weights[name][one] * (1 + 1e-7)
    save_file(weights, cell_of(run) / WEIGHTS)
    put_model(run, seen_cell(run).model)

    def otherwise(predictions: pd.DataFrame) -> pd.DataFrame:
        """The first wrong answer that ends in one of the two symbols, so that no more follows from it: in the other."""
        last = predictions["raw"].str[-1]
        row = int(predictions.index[last.isin(["1", "2"]) & (predictions["right"] == 0)][0])
        raw = predictions["raw"][row][:-1] + ("2" if last[row] == "1" else "1")
        predictions.loc[row, ["raw", "prediction"]] = raw, expected.suite.encoding.form.read_answer(raw)
        return predictions

    edit_predictions(run, otherwise)
    [check] = [check for check in checks_of(run) if check.check == "answers again"]
    assert check.ok
    assert "all equal but 1, whose best symbols are a tie" in check.detail


@pytest.mark.parametrize("column", ["right", "ended"])
def test_no_tie_excuses_an_answer_that_only_its_marks_tell_from_the_model_s(column: str, honest: Path) -> None:
    cell = seen_cell(honest)
    cell.predictions.loc[:0, column] = 1 - cell.predictions[column][0]
    with pytest.raises(Wrong, match="edited prediction: "):
        answers_again(cell)


def test_tables_without_the_cells_that_they_speak_of_are_none(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rmtree(run / "cells")
    assert {"cells.csv", "results.csv"} <= failures(run).keys()
    for name in ("cells.csv", "results.csv"):
        (run / name).unlink()
    assert failures(run) == {}
    assert verify_command(run) == 0
    assert "checks passed. Planned cells without a record: 1." in capsys.readouterr().out.splitlines()[-1]


def test_an_architecture_that_is_not_loaded_is_asked_for(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = {name: cls for name, cls in architectures.all_architectures().items() if name != "lstm"}
    monkeypatch.setattr(architectures, "all_architectures", lambda: others)
    assert failures(run)["record"] == "architecture 'lstm' is unknown here; name its module with --plugin"


def test_training_again_tells_an_honest_cell_from_one_trained_otherwise(honest: Path, run: Path) -> None:
    [again] = [check for check in verify.verify_run(honest, rerun=1, plugins=()) if check.check == "trained again"]
    assert again.ok
    assert "the same answers and weights to the last byte" in again.detail
    weights = load_file(cell_of(run) / WEIGHTS)
    save_file({name: tensor * 1.001 for name, tensor in weights.items()}, cell_of(run) / WEIGHTS)
    put_model(run, seen_cell(run).model)
    assert failures(run) == {}
    cell = seen_cell(run)
    record = cell.record
    original = read_record(cell_of(honest))
    with pytest.raises(Wrong, match="other weights or answers, though machine, threads"):
        verify._compare(cell, original, [cell])
    elsewhere = replace(record, versions=record.versions | {"torch": "1.0"})
    cell = seen_cell(run, elsewhere)
    assert "points are allowed" in verify._compare(cell, original, [cell])
    assert original.machine["deterministic"]
    by_chance = replace(record, machine=record.machine | {"deterministic": False})
    cell = seen_cell(run, by_chance)
    assert "gives other bits each time" in verify._compare(cell, original, [cell])
    far = replace(original, correct=original.total, exact_match=1.0)
    with pytest.raises(Wrong, match="points are allowed"):
        verify._compare(cell, far, [cell])


def test_test_and_validation_answers_of_equal_quality_are_no_peeking(honest: Path) -> None:
    """By simulation: chance alone stays far below the limit, and knowing the test problems goes far beyond it."""
    expected = expected_of(honest)
    generator = np.random.default_rng(0)
    sizes = len(expected.test), len(expected.validation)
    excesses = [excess_on_test(expected, *(generator.random(n) < 0.6 for n in sizes)) for _ in range(200)]
    assert abs(np.mean(excesses)) < 0.2
    assert 0.8 < np.std(excesses) < 1.2
    assert excess_on_test(expected, np.ones(sizes[0], bool), generator.random(sizes[1]) < 0.1) > MOST_EXCESS
