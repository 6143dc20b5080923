"""The search: equal for all, deaf to the test split, and the same whether it was interrupted or not.

Most tests put a formula in the place of training; two train and one is killed.
"""

import dataclasses
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from calling import call
from places import ROOT
from searching import Formula, Silent, search_of, searched

from bench.datasets.suites import Suite
from bench.errors import UserError
from bench.locks import holding
from bench.plan import suite_of
from bench.planning.decide import Shared, decide, left_out
from bench.planning.options import RunOptions, TuneOptions
from bench.results.records.record import read_record
from bench.results.records.search import BEST, TRIALS
from bench.running.cell import PlannedCell, run_cell, run_trial
from bench.running.engine import Interrupted
from bench.running.run_folder import RUN_LOCK
from bench.running.training import CURVE_POINTS
from bench.tuning.folder import take_folder
from bench.tuning.search import decide_search, run_options, run_search
from bench.tuning.trials import FINISHED, JOURNAL, best_of, importances, open_journal, study_of

# --- equal for all ----------------------------------------------------------------------------------------------------


def test_every_architecture_has_as_many_trials_of_the_same_budget(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    made, watcher = formula(), Silent()
    found = searched(search_of(tiny_path), tmp_path, watcher)
    assert {name: len(trials) for name, trials in found.items()} == {"lstm": 8, "transformer": 8}
    assert watcher.started == [(name, "search", number, 100) for number in range(8) for name in ("lstm", "transformer")]
    shared = {(cell.plan.settings.budget, cell.seed, cell.plan.settings.stop_when_flat) for cell in made.cells}
    assert shared == {("examples=150", 100, None)}
    assert all(abs(cell.planned.parameters / 5000 - 1) <= 0.02 for cell in made.cells)


def test_a_trial_behind_the_others_is_ended_and_counts(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    made = formula(lambda settings: 50 if len(made.cells) <= FINISHED else 50 - len(made.cells))
    watcher = Silent()
    [trials] = searched(search_of(tiny_path, 6, "lstm"), tmp_path, watcher).values()
    assert [trial.state for trial in trials] == ["done"] * FINISHED + ["pruned"] * 2
    assert trials[-1].reason == "behind the median of the finished trials at 50% of the budget"
    assert (trials[-1].examples, trials[-1].score) == (10, 0.44)
    assert watcher.events == FINISHED * (CURVE_POINTS + 1) + 2 * 10


@pytest.mark.parametrize(
    ("status", "state"), [("diverged", "pruned"), ("out-of-memory", "pruned"), ("failed", "failed")]
)
def test_a_trial_that_came_to_nothing_counts_with_its_reason(
    status: str, state: str, tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    formula(outcome={"kind": "outcome", "status": status, "reason": "of this"})
    [trials] = searched(search_of(tiny_path, 2, "lstm"), tmp_path).values()
    assert [trial.state for trial in trials] == [state] * 2
    assert trials[0].reason.endswith("of this")
    assert best_of(trials, "layers") is None
    assert "lstm" not in tomllib.loads((tmp_path / BEST).read_text())


def test_settings_that_make_no_model_of_the_size_are_a_trial_too(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula], monkeypatch: pytest.MonkeyPatch
) -> None:
    formula()

    architecture = Shared.architecture

    def refuse(shared: Shared, cls: Any, values: Any, source: str) -> Any:
        if values.get("batch") == 128:
            raise UserError("cannot be met")
        return architecture(shared, cls, values, source)

    monkeypatch.setattr(Shared, "architecture", refuse)
    [trials] = searched(search_of(tiny_path, 8, "transformer"), tmp_path).values()
    refused = [trial for trial in trials if trial.settings["batch"] == 128]
    assert {(trial.state, trial.reason, trial.examples) for trial in refused} == {("pruned", "cannot be met", 0)}
    assert len(trials) == 8


def test_the_budget_of_a_trial_is_a_quarter(tiny_path: Path) -> None:
    usual, given = search_of(tiny_path), search_of(tiny_path, budget="tokens=1k")
    assert (usual.shared.settings.budget, str(usual.for_budget)) == ("examples=150", "examples=600")
    assert (given.shared.settings.budget, str(given.for_budget)) == ("tokens=1000", "tokens=4000")


# --- validation alone -------------------------------------------------------------------------------------------------


def test_a_trial_makes_no_test_problem(tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = RunOptions(arch="lstm", suite=str(tiny_path), budget="examples=60", threads=1)
    cell = PlannedCell(decide(options, command="test"), "lstm", 0, tmp_path / "cell")
    honest = Suite.evaluation_set

    def validation_alone(suite: Suite, split: Any) -> Any:
        assert split == "validation", f"asked for {split}"
        return honest(suite, split)

    monkeypatch.setattr(Suite, "evaluation_set", validation_alone)
    events: list[dict[str, Any]] = []
    run_trial(cell, events.append)
    assert events[-1]["kind"] == "outcome"
    assert events[-1]["status"] == "done"
    assert events[-1]["total"] == len(suite_of(cell.plan).evaluation_set("validation"))
    assert not (tmp_path / "cell").exists()
    run_cell(cell, events.append)  # which does ask the test problems, so that the guard is seen to work
    assert "asked for test" in read_record(tmp_path / "cell").reason


# --- interrupted and resumed ------------------------------------------------------------------------------------------


def test_a_search_that_was_interrupted_anywhere_goes_on_as_if_nothing_had_happened(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    formula()
    search = search_of(tiny_path, 7)
    whole = searched(search, tmp_path / "whole")
    for stop_after in (1, 1, 5 * 21 + 10, 40):  # four interruptions of one search, two of them in its first trial
        with pytest.raises(Interrupted):
            searched(search, tmp_path / "parts", Silent(stop_after))
    assert searched(search, tmp_path / "parts") == whole
    for name in (TRIALS, BEST):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    watcher = Silent()
    assert searched(search, tmp_path / "parts", watcher) == whole
    assert watcher.started == []


def test_more_trials_and_architectures_may_follow_but_no_fewer(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    formula()
    whole = searched(search_of(tiny_path, 6), tmp_path / "whole")
    searched(search_of(tiny_path, 3, "lstm"), tmp_path / "parts")
    searched(search_of(tiny_path, 6, "lstm"), tmp_path / "parts")
    searched(search_of(tiny_path, 3, "transformer"), tmp_path / "parts")
    best = tomllib.loads((tmp_path / "parts" / BEST).read_text())
    assert list(best) == ["tuned", "transformer"]  # the settings in a file have all had as many trials
    assert searched(search_of(tiny_path, 6, "transformer"), tmp_path / "parts")["transformer"] == whole["transformer"]
    assert (tmp_path / "parts" / BEST).read_bytes() == (tmp_path / "whole" / BEST).read_bytes()
    with pytest.raises(UserError, match="holds 6 trials of lstm; ask for as many or more"):
        searched(search_of(tiny_path, 5, "lstm"), tmp_path / "parts")


def test_half_a_line_and_a_lock_of_a_killed_process_are_no_obstacle(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(seconds: float) -> None:
        raise AssertionError("it waits for the lock")

    formula()
    searched(search_of(tiny_path, 2, "lstm"), tmp_path)
    whole = (tmp_path / JOURNAL).read_bytes()
    (tmp_path / JOURNAL).write_bytes(whole + b'{"op_code": 5, "wor')
    (tmp_path / f"{JOURNAL}.lock").symlink_to(JOURNAL)
    monkeypatch.setattr("time.sleep", wait)  # only now: a new search asks git, which may sleep too
    assert len(searched(search_of(tiny_path, 3, "lstm"), tmp_path)["lstm"]) == 3
    assert (tmp_path / JOURNAL).read_bytes().startswith(whole)


def test_a_killed_search_loses_no_trial(tiny_path: Path, tmp_path: Path) -> None:
    search = search_of(tiny_path, 2, "lstm", budget="examples=600")
    line = f"tune --arch lstm --suite {tiny_path} --trials 2 --finalists 0 --budget examples=600 --threads 1"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    child = subprocess.Popen(
        [sys.executable, "-m", "bench", *line.split(), "--out", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert child.stdout is not None
    for printed in child.stdout:
        if printed.startswith("[1/2]"):
            break
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    first = pd.read_csv(tmp_path / "out" / TRIALS)
    assert list(first["state"]) == ["done"]
    watcher = Silent()
    trials = searched(search, tmp_path / "out", watcher)["lstm"]
    assert watcher.started == [("lstm", "search", 1, 100)]
    assert [trial.state for trial in trials] == ["done", "done"]
    assert trials[0].train_seconds == first["train_seconds"][0]
    assert trials[0].settings != trials[1].settings


def test_a_search_that_was_killed_while_it_drew_settings_goes_on(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    formula()
    search = search_of(tiny_path, 2, "lstm")
    searched(dataclasses.replace(search, trials=1, finalists=0), tmp_path)
    study_of(open_journal(tmp_path), "lstm", "search").ask().set_user_attr("number", 1)
    assert [trial.state for trial in searched(search, tmp_path)["lstm"]][:2] == ["done", "done"]


# --- what is refused --------------------------------------------------------------------------------------------------


def test_trials_of_another_source_of_a_plug_in_are_refused(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    formula()
    search = search_of(tiny_path, 3, "lstm")
    searched(search, tmp_path)
    study_of(open_journal(tmp_path), "lstm", "search").set_user_attr("plugin_hash", "0" * 64)  # as if of a plug-in
    with pytest.raises(UserError, match=f"--out {tmp_path}: the plug-in lstm was changed since; give another, or"):
        searched(search, tmp_path)


def test_the_table_of_trials_is_written_anew_where_it_is_gone(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    formula()
    searched(search_of(tiny_path, 3, "lstm"), tmp_path)
    table = (tmp_path / TRIALS).read_bytes()
    (tmp_path / TRIALS).unlink()
    searched(search_of(tiny_path, 3, "lstm"), tmp_path)
    assert (tmp_path / TRIALS).read_bytes() == table


def test_what_others_trained_is_not_searched(tiny_path: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--arch pretrained: tune searches models that start from random weights"):
        search_of.__wrapped__(tiny_path, arch="pretrained")
    suite = tmp_path / "settled.toml"  # of one depth: finding all that are possible takes its time
    suite.write_text(tiny_path.read_text() + "[defaults.settings]\nlayers = 2\n", encoding="utf-8")
    everything = TuneOptions(arch="all", suite=str(suite), params="50k", threads=1)
    assert "pretrained" not in [cls.name for cls in decide_search(everything, command="test").classes]
    assert left_out(run_options(everything)) == ("pretrained",)


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ({"budget": "examples=151"}, "budget examples=150, not examples=151"),
        ({"seed": 7}, "seed 100, not 7"),
        ({"params": "6k"}, "parameters 5000, not 6000"),
    ],
)
def test_another_search_in_the_folder_is_refused_by_the_difference(
    options: dict[str, Any], difference: str, tiny_path: Path, tmp_path: Path
) -> None:
    take_folder(search_of(tiny_path), tmp_path)
    with pytest.raises(UserError, match=difference):
        take_folder(search_of(tiny_path, **options), tmp_path)


def test_another_folder_a_second_process_and_a_broken_journal_are_refused(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    formula()
    search = search_of(tiny_path, 1, "lstm")
    with pytest.raises(UserError, match=r"holds no tune\.json"):
        take_folder(search, tiny_path.parent)
    (tmp_path / ".tune.json.7.tmp").write_text("of a search that was killed at once")
    take_folder(search, tmp_path)
    with holding(tmp_path / RUN_LOCK), pytest.raises(UserError, match="another process searches here"):
        run_search(search, tmp_path, Silent())
    (tmp_path / JOURNAL).write_text("a letter\n")
    with pytest.raises(UserError, match="is no journal of Optuna's"):
        run_search(search, tmp_path, Silent())


def test_without_optuna_one_line_says_how_to_get_it(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install -c constraints.txt -e '\.\[tune\]'"):
        search_of.__wrapped__(tiny_path)


# --- what comes of it -------------------------------------------------------------------------------------------------


def test_a_run_takes_the_best_settings_and_counts_as_tuned_where_they_are_for(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    made = formula()
    trials = searched(search_of(tiny_path), tmp_path)["transformer"]
    best = best_of(trials, "layers")
    assert best is not None
    assert best.score > max(trial.score for trial in trials if trial.score is not None) - 0.02
    of_transformers = [cell.planned for cell in made.cells if cell.architecture == "transformer"]
    [trained] = [planned for planned in of_transformers if planned.training["lr"] == best.settings["lr"]]

    def entry(**options: Any) -> Any:
        common = {"arch": "transformer", "suite": str(tiny_path), "threads": 1, "set_file": tmp_path / BEST}
        return decide(RunOptions(**(common | options)), command="test").entries["transformer"]

    run = entry()
    assert run.config == trained.config
    assert run.training == trained.training
    assert (run.preset, run.tuned) == ("tiny, 5,000 parameters, examples=600", True)
    changes: list[dict[str, Any]] = [{"budget": "examples=150"}, {"params": "6k"}, {"set": ("batch=20",)}]
    for other in [*changes, {"training_problems": "50"}, {"precision": "bf16"}]:
        assert not entry(**other).tuned, other
    assert entry(set=("lr=0.5",)).training["lr"] == 0.5


def test_the_table_of_trials_has_every_one_with_its_settings(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    formula()
    found = searched(search_of(tiny_path), tmp_path)
    table = pd.read_csv(tmp_path / TRIALS)
    assert list(table["architecture"]) == ["lstm"] * 8 + ["transformer"] * 8
    for row, trial in zip(table.to_dict("records"), [*found["lstm"], *found["transformer"]], strict=True):
        assert (row["trial"], row["state"], row["score"]) == (trial.number, trial.state, trial.score)
        assert {name: row[name] for name in trial.settings} == trial.settings


def test_importances_name_what_mattered(tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]) -> None:
    formula()
    search = search_of(tiny_path, 30, "lstm")
    trials = searched(search, tmp_path)["lstm"]
    shares = importances(search.spaces["lstm"], trials)
    assert shares is not None
    assert next(iter(shares)) in ("lr", "optimizer")  # the optimiser decides which rates are drawn
    assert sum(shares.values()) == pytest.approx(1)
    assert importances(search.spaces["lstm"], trials[:3]) is None
    alike = [dataclasses.replace(trial, state="done", correct=0) for trial in trials]
    assert importances(search.spaces["lstm"], alike) is None


def test_the_command_prints_what_the_search_found(
    tiny_path: Path,
    tmp_path: Path,
    formula: Callable[..., Formula],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    formula()
    line = f"tune --arch lstm --suite {tiny_path} --trials 3 --finalists 2 --threads 1 --out {tmp_path / 'out'}"
    status, printed, _ = call(capsys, monkeypatch, *line.split())
    assert status == 0
    assert "1 architectures x 3 trials, examples=150 each, then 2 with examples=600 and 2 seeds" in printed
    assert "[7/7] lstm, final 1, seed 101: done, 70.0% of 1,000 right" in printed
    row = next(line for line in printed.splitlines() if line.startswith("lstm  "))
    assert row.split() == ["lstm", "3", "0", "0", "4", "70.0", "70.0", "70.0", "70.0", "to", "70.0"]
    assert "lstm: 70.0% with optimizer=muon lr=0.02" in printed
