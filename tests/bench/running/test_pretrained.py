"""Pretrained models in a run: named by the user, never fitted, trained or asked as they come, and marked everywhere."""

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from calling import call, one_by_one, train
from language_models import as_gguf, llama, needs_smollm2, smollm2
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from bench.architectures import get, pretrained_files
from bench.architectures.pretrained import Pretrained
from bench.asking.expression import ask, read_problem
from bench.asking.models import trained_models
from bench.errors import UserError
from bench.planning.decide import decide, decide_shared, left_out, left_out_lines
from bench.planning.options import RunOptions
from bench.results.records.collect import collect
from bench.results.records.curves import read_curve
from bench.results.records.plan import Plan
from bench.results.records.record import RECORD, Record, read_record
from bench.results.records.run import cell_directory, open_run
from bench.results.report.contents import contents
from bench.results.report.tables.replies import whether_seen
from bench.results.report.write import FILE_NAMES, render
from bench.results.statistics.comparable import held_equal
from bench.results.statistics.pretrained import MAY_HAVE_MET
from bench.running.cell import PlannedCell, run_cell
from bench.running.checkpoints import PATTERN
from bench.running.estimate import training_seconds
from bench.verifying.run import verify_run


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(pretrained_files.CACHE_VARIABLE, str(tmp_path / "cache"))
    pretrained_files._files.cache_clear()
    pretrained_files._config.cache_clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llama(tmp_path_factory.mktemp("model") / "tiny-llama")


def options(tiny_path: Path, *settings: str, **changes: Any) -> RunOptions:
    return RunOptions(arch=changes.pop("arch", "pretrained"), suite=str(tiny_path), threads=1, set=settings, **changes)


def planned(tiny_path: Path, folder: Path, *settings: str, **changes: Any) -> Plan:
    return decide(options(tiny_path, f"pretrained.model={folder}", *settings, **changes), command="test")


def run_all(plan: Plan, directory: Path) -> list[Record]:
    """Every cell of a plan, in this process."""
    train(plan, directory)
    torch.use_deterministic_algorithms(False)  # a cell has a process of its own, and sets what it likes there
    torch.set_flush_denormal(False)
    collect(directory)
    return open_run(directory).records


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, tiny_path: Path, folder: Path) -> dict[str, Path]:
    """Finished runs: all weights beside an lstm, an adapter, and nothing trained. To be read only."""
    root = tmp_path_factory.mktemp("runs")
    lora = ("pretrained.adapt=lora", "pretrained.rank=4")
    plans = {
        "full": planned(tiny_path, folder, arch="pretrained,lstm"),
        "lora": planned(tiny_path, folder, *lora),
        "zero": planned(tiny_path, folder, *lora, budget="examples=0"),
    }
    for name, plan in plans.items():
        run_all(plan, root / name)
    return {name: root / name for name in plans}


# --- the plan ---------------------------------------------------------------------------------------------------------


def test_all_leaves_it_out_until_a_model_is_named_and_says_so(tiny_path: Path, folder: Path) -> None:
    everything = options(tiny_path, arch="all")
    without = decide_shared(everything).classes
    assert "pretrained" not in [cls.name for cls in without]
    assert left_out(everything) == ("pretrained",)
    [line] = left_out_lines(everything)
    assert line == "--arch all leaves out pretrained, which needs --set pretrained.model=..."
    everything = options(tiny_path, f"pretrained.model={folder}", arch="all")
    named = decide_shared(everything).classes
    assert [*(cls.name for cls in without), "pretrained"] == sorted(
        (cls.name for cls in named), key=lambda name: name == "pretrained"
    )
    assert left_out(everything) == ()
    assert left_out_lines(everything) == []


def test_without_a_model_one_line_says_how_to_name_one(tiny_path: Path) -> None:
    with pytest.raises(UserError, match=r"^pretrained: needs a model; give one by --set pretrained.model=\.\.\.$"):
        decide(options(tiny_path), command="test")


def test_its_size_is_never_fitted(tiny_path: Path, folder: Path) -> None:
    entries = planned(tiny_path, folder, arch="lstm,pretrained").entries
    assert (entries["lstm"].match, entries["pretrained"].match) == ("total", "unequal")
    weights = sum(tensor.numel() for tensor in load_file(folder / "model.safetensors").values())
    assert entries["pretrained"].parameters == entries["pretrained"].active_parameters == weights
    adapter = planned(tiny_path, folder, "pretrained.adapt=lora", "pretrained.rank=1").entries["pretrained"]
    assert 0 < adapter.parameters < weights / 2
    assert entries["pretrained"].config["weights"] == weights


def test_settings_may_be_for_it_alone(tiny_path: Path, folder: Path) -> None:
    def training(*settings: str) -> dict[str, Any]:
        return planned(tiny_path, folder, *settings).entries["pretrained"].training

    entries = planned(tiny_path, folder, "lr=0.01", "pretrained.lr=1e-3", arch="lstm,pretrained").entries
    assert (entries["lstm"].training["lr"], entries["pretrained"].training["lr"]) == (0.01, 1e-3)
    usual = training()
    assert (usual["optimizer"], usual["lr"], usual["outer_lr"]) == ("adamw", 1e-4, 1e-4)
    assert training("pretrained.adapt=lora")["lr"] == 1e-3
    assert training("batch=5")["batch"] == 5
    for wrong, why in {
        "gru.lr=1": "--set gru.lr: gru is not among the architectures of this run; there are lstm, pretrained",
        "pretrained.layers=2": "--set layers: unknown",
        "lstm.modle=x": "--set modle: unknown",
        "pretrained.adapt=some": "adapt 'some': expected one of full, lora",
    }.items():
        with pytest.raises(UserError) as error:
            planned(tiny_path, folder, wrong, arch="lstm,pretrained")
        assert why in str(error.value)


def test_only_who_comes_with_weights_may_be_left_untrained(tiny_path: Path, folder: Path) -> None:
    with pytest.raises(UserError, match="lstm starts from random weights, and knows nothing without training"):
        planned(tiny_path, folder, arch="pretrained,lstm", budget="examples=0")
    assert planned(tiny_path, folder, budget="examples=0").budget == "examples=0"


def test_check_tells_how_long_it_takes(tiny_path: Path, folder: Path) -> None:
    plan = planned(tiny_path, folder)
    assert 0 < training_seconds(plan, "pretrained") < 60
    untrained = planned(tiny_path, folder, budget="examples=0")
    assert training_seconds(untrained, "pretrained") == 0


@pytest.mark.parametrize(
    ("model", "package", "why"),
    [
        ("no/such/folder", None, "model no/such/folder: there is no such folder or file"),
        ("FOLDER", "transformers", "needs the package transformers, not installed here: pip install -c"),
        ("FOLDER", "peft", "needs the package peft, not installed here: pip install -c"),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_2(
    model: str,
    package: str | None,
    why: str,
    tiny_path: Path,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find = pretrained_files.importlib.util.find_spec
    monkeypatch.setattr(
        pretrained_files.importlib.util, "find_spec", lambda name: None if name == package else find(name)
    )
    named = model.replace("FOLDER", str(folder))
    arguments = ["--arch", "pretrained", "--suite", str(tiny_path), "--threads", "1"]
    arguments += ["--set", f"pretrained.model={named},pretrained.adapt=lora"]
    status, out, err = call(capsys, monkeypatch, "check", *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("bench: pretrained: ")
    assert why in err


def test_growth_refuses_it(
    tiny_path: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.machine.disturbed", lambda threads: "")
    status, _, err = call(capsys, monkeypatch, "perf", "--arch", "pretrained", "--suite", str(tiny_path), "--growth")
    assert (status, err.count("\n")) == (2, 1)


# --- cells ------------------------------------------------------------------------------------------------------------


def test_a_record_says_which_model_it_was(runs: dict[str, Path], folder: Path) -> None:
    for name, run in runs.items():
        record = read_record(cell_directory(run, "pretrained", 0))
        config = record.config
        assert (config["model"], config["adapt"]) == (str(folder), "full" if name == "full" else "lora")
        assert config["sha256"] == pretrained_files._sha256(folder)
        assert record.match == "unequal"
        assert record.examples == (0 if name == "zero" else 600)
        assert record.versions["transformers"]


def test_the_file_of_an_adapter_is_the_adapter_alone(runs: dict[str, Path]) -> None:
    full, lora = (
        load_file(cell_directory(runs[name], "pretrained", 0) / "model.safetensors") for name in ("full", "lora")
    )
    assert all("lora_" in name for name in lora)
    assert not any("lora_" in name for name in full)
    assert "model.lm_head.weight" not in full  # it is the embedding


@pytest.mark.parametrize("name", ["full", "lora", "zero"])
def test_every_claim_can_be_verified(name: str, runs: dict[str, Path]) -> None:
    checks = list(verify_run(runs[name], 0, ()))
    assert [check.detail for check in checks if check.ok is False] == []
    assert {"weights", "answers again", "training data", "learning curve"} <= {check.check for check in checks}


def test_its_learning_curve_is_of_fewer_problems_and_its_last_word_of_all(
    tiny_path: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Answering takes it so long that a curve of a thousand problems outlasts the training.
    assert get("pretrained").curve_problems < get("lstm").curve_problems
    monkeypatch.setattr(get("pretrained"), "curve_problems", 7)
    [record] = run_all(planned(tiny_path, folder, budget="examples=64"), tmp_path / "run")
    cell = cell_directory(tmp_path / "run", "pretrained", 0)
    assert set(read_curve(cell)["total"]) == {7}
    assert record.validation_total is not None
    assert record.validation_total > 7
    checks = list(verify_run(tmp_path / "run", 0, ()))
    assert [check.detail for check in checks if check.ok is False] == []


def test_what_was_not_trained_answers_as_it_came(runs: dict[str, Path], folder: Path) -> None:
    record = read_record(cell_directory(runs["zero"], "pretrained", 0))
    assert (record.budget, record.steps, record.tokens, record.flops) == ("examples=0", 0, 0, 0)
    assert (record.train_seconds, record.examples_per_second, record.budget_deviation) == (0, None, 0)
    curve = pd.read_csv(cell_directory(runs["zero"], "pretrained", 0) / "curve.csv")
    assert curve["examples"].tolist() == [0]
    assert math.isnan(curve["train_loss"][0])
    [untrained] = trained_models(runs["zero"])
    adapters = [value for name, value in untrained.model.state_dict().items() if "lora_B" in name]
    assert adapters
    assert not any(value.any() for value in adapters)


@pytest.mark.parametrize("adapt", [pytest.param("full", marks=pytest.mark.torture), "lora"])
def test_a_cell_that_was_stopped_goes_on_bit_for_bit(adapt: str, tiny_path: Path, folder: Path, tmp_path: Path) -> None:
    plan = planned(tiny_path, folder, f"pretrained.adapt={adapt}", "batch=30")
    one, other = (PlannedCell(plan, "pretrained", 0, tmp_path / name, 1e9) for name in ("straight", "broken"))
    run_cell(one, lambda event: None)
    for steps in (1, 6, 21):
        asked = iter(range(1, 100))
        run_cell(other, lambda event: None, lambda asked=asked, steps=steps: next(asked) == steps)
        assert (tmp_path / "broken" / RECORD).exists() == (steps == 21)
    for name in ("model.safetensors", "predictions.csv.gz"):
        assert (tmp_path / "straight" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()
    assert not list((tmp_path / "broken").glob(PATTERN))


def test_a_cell_of_a_gguf_file(tiny_path: Path, folder: Path, tmp_path: Path) -> None:
    path = as_gguf(folder, tmp_path / "tiny.gguf")
    [record] = run_all(planned(tiny_path, path, budget="examples=64"), tmp_path / "run")
    assert record.done, record.reason
    assert record.config["licence"] == "mit"
    [model] = trained_models(tmp_path / "run")
    assert model.seed == 0


# --- what is said of it -----------------------------------------------------------------------------------------------


def test_tables_say_what_it_is_and_that_nothing_is_surely_unseen(runs: dict[str, Path]) -> None:
    report = contents([open_run(run) for run in runs.values()])
    [part] = report.parts
    opening = "\n".join(part.opening)
    assert "Not equal: " in held_equal(part.scores.records)
    assert "parameters of pretrained" in held_equal(part.scores.records)
    assert MAY_HAVE_MET in part.opening
    described = "is tiny-llama ("
    assert opening.count(described) == 3
    ends = {"full": "all of them trained.", "lora": "(LoRA of rank 4).", "zero": "asked as it comes."}
    for name, trained in ends.items():
        [line] = [line for line in part.opening if line.startswith(f"pretrained ({name}) is")]
        assert line.endswith(trained)
    for table in part.tables:
        for about, row in table.rows.items():
            if about.startswith("pretrained"):
                assert not any("all unseen" in value.text for value in row.values())
    assert "all unseen" in render(report, "text")  # said of the others
    assert not any("pretrained" in line or MAY_HAVE_MET in line for line in _opening_of_the_lstm(runs))
    for format in FILE_NAMES:
        text = render(report, format)
        assert "may have met these problems" in text.replace("\n", " ")


def _opening_of_the_lstm(runs: dict[str, Path]) -> list[str]:
    run = open_run(runs["full"])
    only = {"architectures": ["lstm"], "entries": {"lstm": run.plan.entries["lstm"]}}
    plan = run.plan.model_copy(update=only)
    alone = replace(run, plan=plan, records=[r for r in run.records if r.architecture == "lstm"])
    return contents([alone]).parts[0].opening


def test_ask_does_not_call_a_problem_unseen_for_it(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    models = trained_models(runs["full"])
    test = models[0].suite.evaluation_set("test").problems
    expression = "".join(test.texts(0))
    unseen = {reply.architecture: reply.unseen for reply in ask(models, read_problem(expression))}
    assert unseen == {"pretrained": False, "lstm": True}
    status, out, _ = call(capsys, monkeypatch, "ask", str(runs["full"]), expression)
    assert status == 0
    assert "pretrained may have met it before, no other model was trained on it" in out


def test_what_ask_says_does_not_depend_on_the_order_of_models(runs: dict[str, Path]) -> None:
    models = trained_models(runs["full"])
    replies = [
        replace(reply, split="train", unseen=reply.architecture != "pretrained")  # beyond the patterns trained on
        for reply in ask(models, read_problem("3+4"))
    ]
    said = {whether_seen(replies), whether_seen(replies[::-1])}
    assert len(said) == 1
    assert "beyond the suite's patterns" in said.pop()


def test_ask_gives_a_probability_for_each_symbol(runs: dict[str, Path]) -> None:
    [model] = trained_models(runs["lora"])
    [reply] = ask([model], read_problem("3+4"))
    assert reply.confidence is not None
    assert 0 <= reply.confidence <= 1
    assert all(0 <= symbol.probability <= 1 for symbol in reply.symbols)


def test_eval_says_that_it_may_have_met_them(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outside.csv").write_text("a,op,b,answer\n1,+,2,3\n9,-,4,5\n", encoding="utf-8")
    status, out, _ = call(capsys, monkeypatch, "eval", str(runs["lora"]), "--data", str(tmp_path / "outside.csv"))
    assert status == 0
    assert "pretrained may have met these before" in out


@pytest.mark.parametrize("name", ["full", "lora"])
def test_transformers_loads_what_was_exported_and_answers_as_here(
    name: str,
    runs: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "exported"
    status, out, err = call(capsys, monkeypatch, "export", str(runs[name]), "--arch", "pretrained", "--to", str(folder))
    assert (status, "trust_remote_code" in out) == (0, False), err
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    [here] = trained_models(runs[name], ("pretrained",))
    problems = here.suite.evaluation_set("test").problems
    assert isinstance(here.model, Pretrained)
    for row, ids in enumerate(here.answer(problems).ids):
        prompt = tokenizer("".join(problems.texts(row)) + "=", return_tensors="pt")
        written = model.generate(**prompt, max_new_tokens=here.model.most_tokens(), do_sample=False)
        tokens = written[0, prompt["input_ids"].shape[1] :].tolist()
        assert here.model._translator.read(tokens, len(ids)) == ids.tolist()
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert MAY_HAVE_MET in card
    assert "unseen" not in card.replace(MAY_HAVE_MET, "")
    assert json.loads((runs[name] / "run.json").read_text(encoding="utf-8"))["command"] in card
    code = card.partition("```python\n")[2].partition("```")[0]
    exec(code.replace('"."', repr(str(folder))), {})
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_model_that_is_gone_is_said_in_one_line(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(runs["lora"], tmp_path / "run")
    path = cell_directory(tmp_path / "run", "pretrained", 0) / RECORD
    content = json.loads(path.read_text(encoding="utf-8"))
    gone = str(tmp_path / "gone")
    path.write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.setattr(pretrained_files, "_local", lambda model: _gone(gone))
    status, _, err = call(capsys, monkeypatch, "ask", str(tmp_path / "run"), "3+4")
    assert (status, err.count("\n")) == (2, 1)
    assert "there is no such folder" in err
    assert "go to the folder that the run was made in" in err
    assert "delete" not in err


def test_it_is_asked_wherever_the_model_lies_that_it_was_trained_from(
    tiny_path: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All weights lie in the cell that trained all of them; an adapter is told the place, and takes no other model."""
    old, new = tmp_path / "old" / "tiny", tmp_path / "new" / "tiny"
    shutil.copytree(folder, old)
    settings = json.loads((old / "generation_config.json").read_text(encoding="utf-8"))
    (old / "generation_config.json").write_text(json.dumps(settings | {"eos_token_id": [0, 5]}), encoding="utf-8")
    for name, more in {"full": (), "lora": ("pretrained.adapt=lora", "pretrained.rank=2")}.items():
        run_all(planned(tiny_path, old, *more, budget="examples=64"), tmp_path / name)
    kept = {name: cell_directory(tmp_path / name, "pretrained", 0) / pretrained_files.BASE for name in ("full", "lora")}
    assert (kept["full"].is_dir(), kept["lora"].exists()) == (True, False)
    here = {name: _ids(tmp_path / name, None) for name in kept}
    ends = trained_models(tmp_path / "full")[0].model._translator.ends
    assert ends == {0, 5}
    new.parent.mkdir()
    old.rename(new)
    pretrained_files._files.cache_clear()
    pretrained_files._config.cache_clear()
    assert _ids(tmp_path / "full", None) == here["full"]
    assert trained_models(tmp_path / "full")[0].model._translator.ends == ends
    assert _ids(tmp_path / "lora", new) == here["lora"]
    for name, place in (("full", None), ("lora", new)):
        checks = list(verify_run(tmp_path / name, rerun=0, plugins=(), model_at=place))
        assert [check.detail for check in checks if check.ok is False] == []

    data = tmp_path / "data.csv"
    data.write_text("a,op,b,answer\n1,+,1,2\n", encoding="utf-8")
    words = {"ask": ("3+4",), "eval": ("--data", str(data)), "verify": ("--rerun", "1")}
    words["export"] = ("--arch", "pretrained", "--to", str(tmp_path / "exported"))
    words["push"] = ("--arch", "pretrained", "--repo", "me/mine", "--dry-run")
    other = llama(tmp_path / "other" / "tiny", hidden_size=32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.verifying.run.run_tasks", one_by_one)
        for command, more in words.items():
            asked = (command, str(tmp_path / "lora"), *more)
            status, _, err = call(capsys, monkeypatch, *asked, "--model-at", str(other))
            if command != "verify":
                assert (status, err.count("\n"), "is not that of the run: its weights have" in err) == (2, 1, True)
            assert call(capsys, monkeypatch, *asked, "--model-at", str(new))[0] == 0, command
    for file in sorted(kept["full"].iterdir()):
        file.write_bytes(file.read_bytes() + b" ")
        status, _, err = call(capsys, monkeypatch, "ask", str(tmp_path / "full"), "3+4")
        assert (status, f"{file.name}: was changed after the run" in err) == (2, True)
        file.write_bytes(file.read_bytes()[:-1])


def test_a_place_is_for_what_was_trained_from_another_model(trained_run: Path, folder: Path) -> None:
    with pytest.raises(UserError, match=r"--model-at .*: no model that was asked of .* was trained from another"):
        trained_models(trained_run, model_at=folder)


def _ids(run: Path, model_at: Path | None) -> list[list[int]]:
    [model] = trained_models(run, model_at=model_at)
    ids: list[list[int]] = model.answer(model.suite.evaluation_set("test").problems).ids.tolist()
    return ids


def _gone(name: str) -> None:
    raise ValueError(f"model {name}: there is no such folder or file")


# --- real weights -----------------------------------------------------------------------------------------------------


@pytest.fixture
def smollm2_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Half a GB that must not stay among the temporary files of the tests."""
    monkeypatch.setenv(pretrained_files.CACHE_VARIABLE, str(tmp_path / "smollm2"))
    yield
    shutil.rmtree(tmp_path / "smollm2", ignore_errors=True)


@pytest.mark.torture
@needs_smollm2
def test_smollm2_reads_writes_and_learns(smollm2_cache: None, tmp_path: Path) -> None:
    suite = tmp_path / "few.toml"
    lines = ['name = "few"', "version = 1", 'summary = "a few sums"', 'operations = ["+"]', 'digits = ["1x1"]']
    lines += ['signs = ["++"]']
    lines += [
        "[evaluation]",
        "per_stratum = 2",
        "seen = 1",
        "[defaults]",
        'budget = "examples=32"',
        "parameters = 5000",
    ]
    suite.write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = ("pretrained.adapt=lora", "pretrained.rank=4", "batch=8", "pretrained.lr=3e-3")
    plan = planned(suite, Path(smollm2()), *settings, seeds="1")
    config = plan.entries["pretrained"].config
    assert (config["licence"], config["weights"]) == ("apache-2.0", 134_515_008)
    assert config["sha256"] == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    [record] = run_all(plan, tmp_path / "run")
    assert record.done, record.reason
    curve = pd.read_csv(cell_directory(tmp_path / "run", "pretrained", 0) / "curve.csv")
    assert curve["train_loss"].iloc[-1] < curve["train_loss"].iloc[0]
    [trained] = trained_models(tmp_path / "run")
    tokens = trained.model._translator._tokenizer
    with torch.no_grad():
        untrained = pretrained_files.load_model(config["model"], "", config["sha256"], "")
        said = untrained(torch.tensor([tokens("The capital of France is")["input_ids"]])).logits[0, -1].argmax()
    assert tokens.decode(said).strip() == "Paris"
