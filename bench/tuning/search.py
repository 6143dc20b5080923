"""The search of `tune`: equally many trials for every architecture, at the same budget, scored on validation problems.

A trial is one training run with settings of its own, in a process of its own; it never makes a test problem. Its
settings depend on the search's seed, its number, the trials before it and the space alone: an interrupted search
continues exactly as if nothing had happened. The first trials are the same for all architectures: the defaults, then a
design of depths, batches, rates and optimisers; then each own option is tried by itself. From then on Optuna's TPE
(Bergstra et al., "Algorithms for Hyper-Parameter Optimization", 2011; multivariate after Falkner et al., "BOHB", 2018)
draws near the better ones. A trial that lies behind the median of the finished ones at the same share of the budget
ends there, and counts; none does before half of the budget, since arithmetic is often learnt late and suddenly. A trial
has a quarter of the budget, and what is best there need not be best at the whole budget: the best few are trained once
more with all of it and several seeds (the finals), and of those within a standard error of the best, the shallowest is
taken. A search may go on in a wider space: a setting's new values need only contain those that it had.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bench import architectures
from bench.architectures import Architecture
from bench.errors import UserError
from bench.locks import RUN_LOCK, holding
from bench.planning.amounts import Budget, parse_budget
from bench.planning.decide import Shared, decide_shared
from bench.planning.options import RunOptions, TuneOptions
from bench.planning.settings import field_names
from bench.plugins import plugin_hash
from bench.running.cell import Job, PlannedCell, run_trial
from bench.running.engine import death, run_tasks
from bench.running.training import curve_point
from bench.running.workers import Workers
from bench.tuning.folder import write_best, write_spaces
from bench.tuning.space import design, search_space, settings_of
from bench.tuning.trials import (
    JOURNAL,
    Trial,
    all_trials,
    counted,
    draw,
    finalists,
    open_journal,
    settle_interrupted,
    study_of,
    tell,
    write_trials,
)

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.storages import JournalStorage

FINALISTS = 5
"""How many there are of each architecture, where the command does not say otherwise."""
SHARE = 4
"""A trial has a quarter of the budget that the settings are searched for."""


@dataclass(frozen=True)
class Search:
    """A resolved search: the settings that all of its trials share."""

    shared: Shared
    """its budget is that of a trial, its one seed that of the search and of each trial"""
    command: str
    trials: int
    finalists: int
    """how many of the best trials of an architecture are trained once more, at `for_budget`"""
    final_seeds: int
    """how many seeds each of them has there: `seed` and those that follow it"""
    for_budget: Budget
    """of the runs that the settings are searched for"""
    spaces: dict[str, dict[str, BaseDistribution]]
    """architecture -> setting -> what it is drawn from"""

    @property
    def seed(self) -> int:
        return self.shared.seeds[0]

    @property
    def classes(self) -> list[type[Architecture]]:
        return self.shared.classes

    def settings(self) -> dict[str, Any]:
        """The settings that two searches in one folder must share: all but architectures and numbers of trials."""
        return self.shared.settings.model_dump() | {"for_budget": str(self.for_budget), "seed": self.seed}

    @property
    def directory(self) -> Path:
        """The folder of the search where the command names none: tune/SUITE-HASH."""
        digest = hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode()).hexdigest()
        return Path("tune") / f"{self.shared.suite.name}-{digest[:10]}"


class Watcher(Protocol):
    """What follows the progress of a search, such as the view on the terminal."""

    def start(self, architecture: str, stage: str, number: int, seed: int) -> None: ...
    def event(self, architecture: str, stage: str, number: int, seed: int, event: dict[str, Any]) -> None: ...
    def finish(self, trial: Trial) -> None: ...


def decide_search(options: TuneOptions, command: str, elsewhere: bool = False) -> Search:
    """Check all options, and make a search of them; `command` is what the user typed. `elsewhere`: other machines
    train.

    Raises:
        UserError: an option is unknown, impossible, or at odds with another; or Optuna is not installed.
    """
    if importlib.util.find_spec("optuna") is None:
        raise UserError("tune needs Optuna, which is not installed here: pip install -c constraints.txt -e '.[tune]'")
    if not 1 <= options.trials <= 10_000:
        raise UserError(f"--trials {options.trials}: expected 1 to 10,000 trials of each architecture")
    few = min(FINALISTS, options.trials) if options.finalists is None else options.finalists
    if not 0 <= few <= options.trials:
        raise UserError(f"--finalists {few}: expected 0 to {options.trials}, the number of trials")
    if not 0 <= options.seed < 2**31:
        raise UserError(f"--seed {options.seed}: expected 0 to 2147483647")
    if not 1 <= options.final_seeds <= 2**31 - options.seed:
        raise UserError(f"--final-seeds {options.final_seeds}: expected 1 or more, up to seed 2147483647")
    shared = decide_shared(run_options(options), elsewhere)
    settled = shared.suite.defaults.settings.keys()
    if unset := [cls.name for cls in shared.classes if set(cls.Config.required) - settled]:
        raise UserError(f"--arch {', '.join(unset)}: tune searches models that start from random weights; leave it out")
    budget = parse_budget(shared.settings.budget)
    if options.budget is None:
        for_budget = budget
        budget = Budget(budget.unit, -(-budget.amount // SHARE))
        shared = with_budget(shared, budget)
    else:
        for_budget = Budget(budget.unit, SHARE * budget.amount)
    return Search(
        shared=shared,
        command=command,
        trials=options.trials,
        finalists=few,
        final_seeds=options.final_seeds,
        for_budget=for_budget,
        spaces={cls.name: search_space(shared, cls) for cls in shared.classes},
    )


def run_options(options: TuneOptions) -> RunOptions:
    """The options under which `run` trains as a trial does."""
    common = {name: getattr(options, name) for name in field_names(TuneOptions) if name in field_names(RunOptions)}
    return RunOptions(**common, seeds=f"{options.seed},")


def with_budget(shared: Shared, budget: Budget) -> Shared:
    """What options decide, but for another budget."""
    return dataclasses.replace(shared, settings=shared.settings.model_copy(update={"budget": str(budget)}))


def run_search(
    search: Search,
    directory: Path,
    watcher: Watcher,
    at_once: int = 1,
    workers: Workers | None = None,
) -> dict[str, list[Trial]]:
    """Run every trial that is missing, and write the files of the search. Returns the trials of each architecture.

    Trial 0 of all architectures comes first, then trial 1 and so on, so that changes of the machine's speed affect all
    architectures alike. `at_once` trials run at the same time, each of another architecture, or so many finals.

    Raises:
        Interrupted: by the user; finished trials are kept.
        UserError: another process searches in this folder, its journal is broken, or it holds more trials than asked,
            or fewer and finals that were chosen from them, or trials drawn from choices that are none now, or of
            another source of a plug-in.
    """
    advice = "searches here; wait for it or end it first"
    with holding(directory / RUN_LOCK, sign=True, refusal=lambda other: f"--out {directory}: {other} {advice}"):
        (directory / JOURNAL).touch()
        storage = open_journal(directory)
        stages = ("search", "final")
        studies = {(cls.name, stage): study_of(storage, cls.name, stage) for cls in search.classes for stage in stages}
        for (name, _), study in studies.items():
            settle_interrupted(study)
            source = plugin_hash(architectures.get(name))
            if study.trials and study.user_attrs.get("plugin_hash") != source:
                raise UserError(f"--out {directory}: the plug-in {name} was changed since; give another, or restore it")
            if source is not None:
                study.set_user_attr("plugin_hash", source)
        for cls in search.classes:
            trials, finals = (counted(studies[cls.name, stage]) for stage in stages)
            _refuse_fewer(search, directory, cls.name, trials, finals)
        spaces = write_spaces(search, directory)
        seeds = range(search.seed, search.seed + search.final_seeds)
        rounds = [[("search", number, search.seed)] for number in range(search.trials)]
        rounds.append([("final", number, seed) for number in range(search.finalists) for seed in seeds])
        for members in rounds:
            tasks = [
                _TrialTask(search, cls, *member, studies, storage, spaces, directory, watcher)
                for member in members
                for cls in search.classes
            ]
            run_tasks(tasks, at_once, workers=workers)
        write_trials(storage, spaces, directory)
        write_best(search, storage, directory)
        return {name: all_trials(storage)[name] for name in (cls.name for cls in search.classes)}


def _refuse_fewer(search: Search, directory: Path, name: str, trials: list[Trial], finals: list[Trial]) -> None:
    """Raises UserError where a folder holds more trials or finals than asked, or finals chosen from fewer trials."""
    places, seeds = ({getattr(trial, key) for trial in finals} for key in ("number", "seed"))
    for option, asked, there, what in (
        ("--trials", search.trials, len(trials), "trials"),
        ("--finalists", search.finalists, len(places), "finalists"),
        ("--final-seeds", search.final_seeds, len(seeds), "seeds of finals"),
    ):
        if there > asked:
            raise UserError(f"{option} {asked}: {directory} holds {there} {what} of {name}; ask for as many or more")
    if finals and len(trials) < search.trials:
        raise UserError(
            f"--trials {search.trials}: {directory} holds finals of {name}, chosen from {len(trials)} trials; ask for "
            f"as many, or choose another folder"
        )


@dataclass
class _TrialTask:
    """One trial: its settings are drawn, a process trains with them, and the study is told the outcome."""

    search: Search
    cls: type[Architecture]
    stage: str
    number: int
    seed: int
    studies: dict[tuple[str, str], Study]
    storage: JournalStorage
    spaces: dict[str, dict[str, dict[str, Any]]]
    directory: Path
    watcher: Watcher
    started: bool = False
    """the watcher has been told of it"""

    @property
    def study(self) -> Study:
        return self.studies[self.cls.name, self.stage]

    def begin(self) -> tuple[PlannedCell, Job] | None:
        if (ended := self._ended()) is not None:
            self.watcher.finish(ended)
            return None
        params = self._params()
        if params is None:
            return None
        self.outcome: dict[str, Any] = {"status": "pruned", "reason": "", "correct": None, "total": None}
        self.outcome |= {"examples": 0, "flops": 0, "train_seconds": 0.0}
        self.last: dict[str, Any] = {}
        self.trial = self.study.ask()
        settings = settings_of(self.search.shared, params)
        about = {"number": self.number, "seed": self.seed, "params": params, "settings": settings}
        for key, value in about.items():
            self.trial.set_user_attr(key, value)
        name = self.cls.name
        shared = dataclasses.replace(self.search.shared, seeds=[self.seed])
        if self.stage == "final":
            shared = with_budget(shared, self.search.for_budget)
        try:
            planned = shared.architecture(self.cls, settings, f"trial {self.number}")
        except UserError as error:  # settings that make no model of the size asked
            self.watcher.start(name, self.stage, self.number, self.seed)
            self.outcome["reason"] = str(error)
            self._tell()
            return None
        errors = self.directory / "errors" / f"{name}-{self.stage}-{self.number}-s{self.seed}"
        plan = shared.plan({name: planned}, self.search.command)
        return PlannedCell(plan, name, self.seed, errors), run_trial

    def event(self, event: dict[str, Any]) -> bool:
        if event["kind"] == "started" and not self.started:
            self.started = True
            self.watcher.start(self.cls.name, self.stage, self.number, self.seed)
        if event["kind"] == "started" and not event["where"]:
            return True
        self.watcher.event(self.cls.name, self.stage, self.number, self.seed, event)
        if event["kind"] == "validation":
            figures = ("correct", "total", "examples", "flops", "train_seconds")
            self.outcome.update({key: event[key] for key in figures})
            self.trial.report(event["correct"] / event["total"], curve_point(event["share"]))
            if self.stage == "search" and event["share"] < 1 and self.trial.should_prune():
                share = f"{event['share']:.0%} of the budget"
                self.outcome["reason"] = f"behind the median of the finished trials at {share}"
                return False
        elif event["kind"] == "outcome":
            self.last.update(event)
        return True

    def end(self, exit_code: int | None, why: str = "") -> None:
        if exit_code is not None or why:  # else it was ended for lying behind
            found = self.last or death(exit_code, why)
            self.outcome.update({key: value for key, value in found.items() if key != "kind"})
        if self.outcome["status"] in ("diverged", "out-of-memory"):
            self.outcome |= {"status": "pruned", "reason": f"{self.outcome['status']}: {self.outcome['reason']}"}
        self._tell()

    def _params(self) -> dict[str, Any] | None:
        """The settings to try, as the sampler sees them. None where there is no finalist of this place."""
        if self.stage == "final":
            best = finalists(counted(self.studies[self.cls.name, "search"]), self.cls.Config.depth_field)
            return best[self.number].params if self.number < len(best) else None
        space = self.search.spaces[self.cls.name]
        first = design(space, self.cls)
        # A new seed for each trial: its random numbers then depend on the trial's number alone, resumed or not.
        seed = int(np.random.SeedSequence([self.search.seed, self.number]).generate_state(1)[0])
        return first[self.number] if self.number < len(first) else draw(self.study, space, seed)

    def _ended(self) -> Trial | None:
        ended = (trial for trial in counted(self.study) if (trial.number, trial.seed) == (self.number, self.seed))
        return next(ended, None)

    def _tell(self) -> None:
        self.trial.set_user_attr("outcome", self.outcome)
        tell(self.study, self.trial.number, self.outcome)
        write_trials(self.storage, self.spaces, self.directory)
        ended = self._ended()
        assert ended is not None
        self.watcher.finish(ended)
