"""The search: equal for all, deaf to the test split, and the same whether it was interrupted or not.

Most tests put a formula in the place of training; two train and one is killed.
"""

import dataclasses
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from places import ROOT

from bench.architectures import Config, get
from bench.datasets.suites import Suite
from bench.errors import UserError
from bench.locks import holding
from bench.plan import suite_of
from bench.planning.decide import Shared, decide, left_out
from bench.planning.options import RunOptions, TuneOptions
from bench.results.records.record import read_record
from bench.running.cell import PlannedCell, run_cell, run_trial
from bench.running.engine import Interrupted, Task
from bench.running.run_folder import RUN_LOCK
from bench.running.training import CURVE_POINTS
from bench.tuning.search import BEST, Search, decide_search, run_options, run_search, take_folder
from bench.tuning.space import DESIGN, search_space, settings_of
from bench.tuning.trials import (
    FINISHED,
    JOURNAL,
    TRIALS,
    Trial,
    best_of,
    finalists,
    importances,
    open_journal,
    ranked,
    study_of,
)


class Silent:
    """Watches without a word; `stop_after` events it interrupts the search, as Ctrl-C does."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.started: list[tuple[str, str, int]] = []
        self.events = 0
        self._stop_after = stop_after

    def start(self, architecture: str, stage: str, number: int) -> None:
        self.started.append((architecture, stage, number))

    def event(self, architecture: str, stage: str, number: int, event: dict[str, Any]) -> None:
        self.events += 1
        if self.events == self._stop_after:
            raise Interrupted

    def finish(self, trial: Trial) -> None:
        pass


class Formula:
    """Takes the place of the trials' processes: right answers by a formula of the settings, a point at a time."""

    def __init__(self, right: Callable[[dict[str, Any]], int], outcome: dict[str, Any] | None = None) -> None:
        self.cells: list[PlannedCell] = []
        self._right, self._outcome = right, outcome

    def __call__(self, tasks: Iterable[Task], at_once: int) -> None:
        for task in tasks:
            if (begun := task.begin()) is not None:
                cell, job = begun
                assert job is run_trial
                self.cells.append(cell)
                task.end(0 if all(map(task.event, self._events(cell))) else None)

    def _events(self, cell: PlannedCell) -> Iterator[dict[str, Any]]:
        right = self._right(cell.planned.training | cell.planned.config | {"budget": cell.plan.settings.budget})
        cost = {"flops": 7, "train_seconds": 0.5}
        for point in range(1, CURVE_POINTS + 1):
            share = point / CURVE_POINTS
            yield {"kind": "validation", "share": share, "correct": right, "total": 100, "examples": point, **cost}
        done = {"status": "done", "reason": "", "correct": 10 * right, "total": 1000, "examples": CURVE_POINTS, **cost}
        yield {"kind": "outcome", **(self._outcome or done)}


def near(settings: dict[str, Any]) -> int:
    """Best at a low rate, and nothing else matters."""
    return round(90 - 1000 * settings["lr"])


@pytest.fixture(autouse=True)
def no_flops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting them takes most of the time of a trial that does not train."""
    monkeypatch.setattr("bench.planning.decide.count_flops", lambda *_: 1000)


@pytest.fixture
def formula(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Formula]:
    def put(right: Callable[[dict[str, Any]], int] = near, outcome: dict[str, Any] | None = None) -> Formula:
        made = Formula(right, outcome)
        monkeypatch.setattr("bench.tuning.search.run_tasks", made)
        return made

    return put


@cache  # finding the depths takes its time
def search_of(
    tiny_path: Path, trials: int = 8, arch: str = "lstm,transformer", finalists: int = 0, **options: Any
) -> Search:
    settings = {"arch": arch, "suite": str(tiny_path), "trials": trials, "finalists": finalists, "threads": 1}
    return decide_search(TuneOptions(**(settings | options)), command="test")


def searched(search: Search, directory: Path, watcher: Silent | None = None) -> dict[str, list[Trial]]:
    take_folder(search, directory)
    return run_search(search, directory, watcher or Silent())


# --- equal for all ----------------------------------------------------------------------------------------------------


def test_every_architecture_has_as_many_trials_of_the_same_budget(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    made, watcher = formula(), Silent()
    found = searched(search_of(tiny_path), tmp_path, watcher)
    assert {name: len(trials) for name, trials in found.items()} == {"lstm": 8, "transformer": 8}
    assert watcher.started == [(name, "search", number) for number in range(8) for name in ("lstm", "transformer")]
    shared = {(cell.plan.settings.budget, cell.seed, cell.plan.settings.stop_when_flat) for cell in made.cells}
    assert shared == {("examples=150", 100, None)}
    assert all(abs(cell.planned.parameters / 5000 - 1) <= 0.02 for cell in made.cells)


def test_the_first_trials_are_the_defaults_and_then_the_same_for_all(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    formula()
    lstm, transformer = searched(search_of(tiny_path), tmp_path).values()
    common = ("optimizer", "lr", "outer_lr", "batch", "warmup", "weight_decay")
    for one, other in zip(lstm[: len(DESIGN)], transformer[: len(DESIGN)], strict=True):
        assert [one.settings[name] for name in common] == [other.settings[name] for name in common]
    assert transformer[0].settings == {
        **{"optimizer": "muon", "lr": 0.02, "outer_lr": 0.006, "batch": 128, "warmup": 0.02, "weight_decay": 0.1},
        **{"layers": 2, "heads": 4},
    }
    assert [trial.settings["batch"] for trial in lstm] == [changes.get("batch", 128) for changes in DESIGN]
    assert [trial.settings["optimizer"] for trial in lstm] == [changes.get("optimizer", "muon") for changes in DESIGN]


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


def test_what_the_suite_settles_is_not_searched(tmp_path: Path, tiny_path: Path) -> None:
    suite = tmp_path / "settled.toml"
    suite.write_text(tiny_path.read_text() + '[defaults.settings]\noptimizer = "sgd"\nlayers = 2\n', encoding="utf-8")
    shared = search_of(suite, budget="steps=9").shared
    assert list(search_space(shared, get("transformer"))) == ["lr", "outer_lr", "warmup", "weight_decay", "heads"]
    assert settings_of(shared, {"lr": 0.5}) == {"lr": 0.025}


def test_depth_is_searched_as_far_as_it_is_possible(tiny_path: Path) -> None:
    shared = search_of(tiny_path).shared
    depth: Any = search_space(shared, get("encoder-decoder"))["layers"]
    assert (depth.low, depth.high) == (2, 6)  # it needs one for each side


@pytest.mark.parametrize("search", [{"hidden": (1, None)}, {"layers": (1, 2)}, {"dropout": (0.5,)}, {"nothing": (1,)}])
def test_own_options_that_break_the_rules_are_refused(
    search: dict[str, Any], tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(get("lstm").Config, "search", search)
    with pytest.raises(UserError, match="lstm: `search` of its config holds"):
        search_of.__wrapped__(tiny_path)


def test_a_depth_that_is_no_field_is_refused_but_there_may_be_none(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = search_of(tiny_path).shared
    monkeypatch.setattr(get("lstm").Config, "depth_field", "layer")
    with pytest.raises(UserError, match="is 'layer'; did you mean 'layers'"):
        search_space(shared, get("lstm"))
    monkeypatch.setattr(Config, "depth_field", "layer")
    assert not {"layer", "layers"} & search_space(shared, get("lstm")).keys()


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
    assert watcher.started == [("lstm", "search", 1)]
    assert [trial.state for trial in trials] == ["done", "done"]
    assert trials[0].train_seconds == first["train_seconds"][0]
    assert trials[0].settings != trials[1].settings


def test_a_search_that_was_killed_while_it_drew_settings_goes_on(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    formula()
    search = search_of(tiny_path, 2, "lstm")
    searched(dataclasses.replace(search, trials=1, finalists=0), tmp_path)
    name, choices = next(iter(search.spaces["lstm"].items()))
    study_of(open_journal(tmp_path), "lstm", "search").ask({name: choices})
    assert [trial.state for trial in searched(search, tmp_path)["lstm"]][:2] == ["done", "done"]


# --- what is refused --------------------------------------------------------------------------------------------------


def test_trials_from_other_choices_are_not_mixed_with_those_of_now(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    formula()
    search = search_of(tiny_path, 3, "lstm")
    searched(search, tmp_path)
    study_of(open_journal(tmp_path), "lstm", "search").set_user_attr("plugin_hash", "0" * 64)  # as if of a plug-in
    with pytest.raises(UserError, match=f"--out {tmp_path}: the plug-in lstm was changed since; give another, or"):
        searched(search, tmp_path)
    study_of(open_journal(tmp_path), "lstm", "search").set_user_attr("plugin_hash", None)
    spaces = {"lstm": search.spaces["lstm"] | {"clip": search.spaces["lstm"]["batch"]}}
    with pytest.raises(UserError, match="holds trials of lstm drawn from other choices"):
        searched(dataclasses.replace(search, spaces=spaces, trials=4), tmp_path)


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
    assert best.score is not None
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


# --- finals -----------------------------------------------------------------------------------------------------------


def late(settings: dict[str, Any]) -> int:
    """Low rates are best at a quarter of the budget, high ones at the whole."""
    return 100 - near(settings) if settings["budget"] == "examples=600" else near(settings)


def test_the_best_few_are_trained_once_more_and_the_best_of_them_is_taken(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    made, watcher = formula(late), Silent()
    found = searched(search_of(tiny_path, finalists=3), tmp_path, watcher)
    assert watcher.started[-2:] == [("lstm", "final", 2), ("transformer", "final", 2)]
    for name, trials in found.items():
        first, finals = ranked(trials), [trial for trial in trials if trial.stage == "final"]
        assert [trial.settings for trial in finals] == [trial.settings for trial in finalists(trials, "layers")[:3]]
        assert finals[0].settings == first[0].settings
        budgets = {cell.plan.settings.budget for cell in made.cells if cell.architecture == name}
        assert budgets == {"examples=150", "examples=600"}
        best = best_of(trials, "layers")
        assert best is not None
        assert best.stage == "final"
        assert best.settings["lr"] == max(trial.settings["lr"] for trial in finals) > first[0].settings["lr"]
        assert tomllib.loads((tmp_path / BEST).read_text())[name]["lr"] == best.settings["lr"]
    table = pd.read_csv(tmp_path / TRIALS)
    assert list(table["stage"]) == 2 * (8 * ["search"] + 3 * ["final"])


def test_finals_are_of_all_trials_or_not_at_all(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    """No trials after finals, which were chosen from those before; no settings from half of the finals."""
    formula(late)
    searched(search_of(tiny_path, 4, "lstm", 2), tmp_path)
    with pytest.raises(UserError, match=r"--trials 8: .* holds finals of lstm, chosen from 4 trials"):
        searched(search_of(tiny_path, 8, "lstm", 2), tmp_path)
    with pytest.raises(Interrupted):
        searched(search_of(tiny_path, 4, "lstm", 4), tmp_path, Silent(5))
    searched(search_of(tiny_path, 4, "transformer", 4), tmp_path)
    assert set(tomllib.loads((tmp_path / BEST).read_text())) == {"tuned", "transformer"}
    searched(search_of(tiny_path, 4, "lstm", 4), tmp_path)
    assert set(tomllib.loads((tmp_path / BEST).read_text())) == {"tuned", "lstm", "transformer"}


def trial(
    number: int, layers: int, correct: int | None, sooner: float = 0.0, stage: str = "search", total: int = 10
) -> Trial:
    facts: dict[str, Any] = {"architecture": "lstm", "stage": stage, "number": number, "params": {}}
    facts |= {"reason": "", "total": total, "examples": 1, "flops": 1, "train_seconds": 1.0, "sooner": sooner}
    state = "pruned" if correct is None else "done"
    return Trial(**facts, settings={"layers": layers}, state=state, correct=correct)


def test_the_best_of_each_depth_comes_before_the_second_of_any() -> None:
    found = [(2, 5), (4, 9), (4, 8), (1, 4), (2, 6), (6, None)]
    trials = [trial(number, layers, correct) for number, (layers, correct) in enumerate(found)]
    assert [trial.number for trial in finalists(trials, "layers")] == [1, 4, 3, 2, 0]


def test_of_equals_the_one_that_learnt_sooner_is_best() -> None:
    trials = [trial(0, 1, 10, 0.4), trial(1, 1, 10, 0.6), trial(2, 1, 9, 0.9), trial(3, 1, None, 1.0)]
    assert [trial.number for trial in ranked(trials)] == [1, 0, 2]
    finals = [trial(0, 1, 8, 0.1, "final"), trial(1, 1, 8, 0.2, "final")]
    assert best_of(trials, "layers") == trials[1]
    assert best_of(trials + finals, "layers") == finals[1]
    assert best_of([*finals, trial(2, 2, 8, 0.9, "final")], "layers") == finals[1]  # the shallower first


def test_the_shallowest_within_a_standard_error_of_the_best_is_taken() -> None:
    def taken(*found: tuple[int, int]) -> int:
        trials = [trial(number, layers, correct, total=100) for number, (layers, correct) in enumerate(found)]
        best = best_of(trials, "layers")
        assert best is not None
        return best.number

    assert taken((4, 50), (2, 45), (1, 44)) == 1  # a standard error is 5 of these 100
    assert taken((2, 46), (2, 48), (3, 50)) == 1
    assert taken((4, 100), (2, 99)) == 0
    assert taken((4, 0), (2, 0)) == 1


def test_how_soon_is_read_from_the_learning_curve(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    formula(lambda _: 80)
    [only] = searched(search_of(tiny_path, 1, "lstm"), tmp_path)["lstm"]
    assert only.sooner == pytest.approx(0.8)


def test_finals_follow_an_interrupted_search_as_if_nothing_had_happened(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    formula(late)
    whole = searched(search_of(tiny_path, finalists=2), tmp_path / "whole")
    with pytest.raises(Interrupted):
        searched(search_of(tiny_path, finalists=2), tmp_path / "parts", Silent(stop_after=17 * (CURVE_POINTS + 1)))
    assert searched(search_of(tiny_path, finalists=2), tmp_path / "parts") == whole
    assert (tmp_path / "parts" / BEST).read_bytes() == (tmp_path / "whole" / BEST).read_bytes()
    with pytest.raises(UserError, match=r"--finalists 1: .* holds 2 finals of lstm; ask for as many or more"):
        searched(search_of(tiny_path, finalists=1), tmp_path / "parts")


def test_there_are_no_more_finals_than_trials_that_were_done(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    formula(outcome={"status": "failed", "reason": "", "correct": None, "total": None})
    found = searched(search_of(tiny_path, finalists=2), tmp_path)
    assert all(trial.stage == "search" for trials in found.values() for trial in trials)
    with pytest.raises(UserError, match="--finalists 9: expected 0 to 8, the number of trials"):
        search_of(tiny_path, finalists=9)


def test_every_own_option_is_tried_with_another_choice(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    made = formula()
    searched(search_of(tiny_path, arch="bitnet"), tmp_path)
    tried = [(cell.planned.config["heads"], cell.planned.config["positions"]) for cell in made.cells]
    assert tried[4] == (2, "rotary")
    assert tried[7] == (4, "learned")
    assert set(tried[:4] + tried[5:7]) == {(4, "rotary")}
