"""Equal tuning: for every architecture as many trials, in the same space, at the same budget, scored on validation.

A trial is one training run with settings of its own, in a process of its own, that never makes a test problem. Its
settings are a function of the search's seed, its number and the trials before it: a search that was interrupted goes on
exactly as if nothing had happened. The first trials are the same for all architectures: the defaults, then a design of
depths, batches, rates and other choices of own options. From then on Optuna's TPE (Bergstra et al., "Algorithms for
Hyper-Parameter Optimization", 2011; multivariate after Falkner et al., "BOHB", 2018) draws near the better ones. A
trial that lies behind the median of the finished ones at the same share of the budget ends there, and counts; none does
before half of the budget, since arithmetic is often learnt late and at once. What is best at a share of the budget need
not be so at the whole: the best few are trained once more with all of it, and the best of these is taken.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from bench import architectures, machine
from bench.amounts import Budget
from bench.architectures import Architecture, Config
from bench.cell import Work, run_trial
from bench.cli.options import RunOptions, TuneOptions
from bench.engine import Job, death, run_tasks, work_of
from bench.errors import UserError
from bench.locks import RUN_LOCK, holding
from bench.plan import Entry, Plan, entry_of, frame
from bench.results.files import BadFile, read_checked_json, verify_checksum, write_checked_json, write_text
from bench.rundir import make_folder
from bench.settings import TrainingSettings, Tuned, field_names, suggest
from bench.training import CURVE_POINTS, curve_point

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.storages import JournalStorage
    from optuna.trial import FrozenTrial
    from optuna.trial import Trial as OptunaTrial

SCHEMA = 4
FINALISTS = 4
"""Of each architecture, where the command does not say otherwise."""
"""Version of tune.json, and of all that makes a search what it is: space, sampler, pruner."""
SEARCH, JOURNAL, TRIALS, BEST = "tune.json", "journal.log", "trials.csv", "tune.toml"
"""Files of a search: what it is, Optuna's log, all trials as a table, and the best settings."""

FINALS = ", "
"""Between an architecture and the word that tells the study of its finals from that of its search."""
SHARE = 4
"""A trial has a quarter of the budget that the settings are searched for."""
DEPTHS = (1, 6)
"""Fewest and most layers; an architecture that cannot have them all has those of them that it can."""
BATCHES = (64, 128, 256)
"""Choices of the batch size. A step of a smaller one takes nearly as long: its time would buy far fewer examples."""
USUAL_LR = {"muon": 0.02, "adamw": 0.008, "sgd": 0.05}
"""What `lr` of the space is a multiple of: one range then suits all optimisers, and is one dimension to the sampler."""
DEPTH, OWN = "depth", "own"
DESIGN: tuple[dict[str, Any], ...] = (
    {},
    {"batch": 64, DEPTH: 3},
    {"batch": 64, DEPTH: 4, "lr": 0.5},
    {"batch": 64, DEPTH: 1},
    {"batch": 64, DEPTH: 2, OWN: 0},
    {"batch": 64, DEPTH: 6, "lr": 0.5},
    {"batch": 64, DEPTH: 3, "optimizer": "adamw"},
    {"batch": 64, DEPTH: 4, OWN: 1},
)
"""What the first trials change of the defaults: `lr` as a multiple of the usual one, depth as far as it is possible,
and the own option with that number, where there is one: its first choice that is not the default. Of a dozen trials in
eight dimensions, random ones would waste most (`results/LOG.md`)."""
FINISHED = 4
"""Finished trials before any is pruned."""
UNPRUNED = 0.5
"""Share of the budget that every trial gets."""
FEWEST_FOR_IMPORTANCES = 6
OWN_OPTIONS = 2
"""Most options that an architecture may have of its own."""


@dataclass(frozen=True)
class Search:
    """A resolved search: what all of its trials share."""

    plan: Plan
    """without entries; its budget is that of a trial, its one seed that of the search and of each trial"""
    classes: list[type[Architecture]]
    trials: int
    finalists: int
    """how many of the best trials of an architecture are trained once more, at `for_budget`"""
    for_budget: Budget
    """of the runs that the settings are searched for"""
    spaces: dict[str, dict[str, BaseDistribution]]
    """architecture -> setting -> what it is drawn from"""

    @property
    def seed(self) -> int:
        return self.plan.seeds[0]

    def settings(self) -> dict[str, Any]:
        """What two searches must share to lie in one folder: all but architectures and numbers of trials."""
        return self.plan.settings() | {"for_budget": str(self.for_budget), "seed": self.seed}

    @property
    def directory(self) -> Path:
        """Where the search goes when the command does not say: tune/SUITE-HASH."""
        digest = hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode()).hexdigest()
        return Path("tune") / f"{self.plan.suite.name}-{digest[:10]}"


@dataclass(frozen=True)
class Trial:
    """One trial that counts."""

    architecture: str
    stage: str
    """'search', or 'final' at the whole budget"""
    number: int
    """from 0, within the architecture and stage"""
    state: str
    """'done', 'pruned' (it counts as worse than all done ones) or 'failed'"""
    reason: str
    settings: dict[str, Any]
    params: dict[str, Any]
    """the same as the sampler sees them"""
    correct: int | None
    """validation problems answered exactly: all of them where done, of the curve's sample where pruned"""
    total: int | None
    examples: int
    flops: int
    train_seconds: float

    @property
    def score(self) -> float | None:
        """Exact match on validation."""
        return None if self.correct is None or self.total is None else self.correct / self.total


class Watcher(Protocol):
    """Whoever wants to see a search go on."""

    def start(self, architecture: str, stage: str, number: int) -> None: ...
    def event(self, architecture: str, stage: str, number: int, event: dict[str, Any]) -> None: ...
    def finish(self, trial: Trial) -> None: ...


def resolve_search(options: TuneOptions) -> Search:
    """Check every option and decide everything.

    Raises:
        UserError: an option is unknown, impossible, or at odds with another; or Optuna is not installed.
    """
    if importlib.util.find_spec("optuna") is None:
        raise UserError("tune needs Optuna, which is not installed here: pip install 'optuna>=5,<6'")
    if not 1 <= options.trials <= 10_000:
        raise UserError(f"--trials {options.trials}: expected 1 to 10,000 trials of each architecture")
    few = min(FINALISTS, options.trials) if options.finalists is None else options.finalists
    if not 0 <= few <= options.trials:
        raise UserError(f"--finalists {few}: expected 0 to {options.trials}, the number of trials")
    if not 0 <= options.seed < 2**31:
        raise UserError(f"--seed {options.seed}: expected 0 to 2147483647")
    alone = ("trials", "finalists", "seed")
    shared = {name: getattr(options, name) for name in field_names(TuneOptions) if name not in alone}
    plan, classes = frame(RunOptions(**shared, seeds=f"{options.seed},"))
    if options.budget is None:
        for_budget = plan.budget
        plan = dataclasses.replace(plan, budget=Budget(for_budget.unit, -(-for_budget.amount // SHARE)))
    else:
        for_budget = Budget(plan.budget.unit, SHARE * plan.budget.amount)
    return Search(
        plan=plan,
        classes=classes,
        trials=options.trials,
        finalists=few,
        for_budget=for_budget,
        spaces={cls.name: search_space(plan, cls) for cls in classes},
    )


def prepare(search: Search, directory: Path, command: str) -> None:
    """Make the folder of a search, or take over the one that lies there.

    Raises:
        UserError: the folder cannot be written, is not a search's, or holds one that differs in more than
            architectures and trials.
    """
    path = directory / SEARCH
    if not path.exists():
        if directory.exists() and (not directory.is_dir() or any(directory.glob("[!.]*"))):
            raise UserError(f"--out {directory}: is there and holds no {SEARCH}; choose an empty or a new folder")
        make_folder(directory)
        about = {"versions": machine.versions(), "machine": machine.description(), "git": machine.git_state()}
        write_checked_json(path, {"schema": SCHEMA, "command": command, "settings": search.settings()} | about)
        return
    remedy = "restore it, or choose another folder"
    try:
        there = verify_checksum(path, read_checked_json(path, remedy), remedy)
    except BadFile as error:
        raise UserError(str(error)) from None
    for key, mine in {"schema": SCHEMA, **search.settings()}.items():
        theirs = there.get("settings", {}).get(key) if key != "schema" else there.get(key)
        if theirs != mine:
            raise UserError(
                f"--out {directory}: holds a search with {key.replace('_', ' ')} {theirs}, not {mine}; only "
                f"architectures and trials may be added to a folder: choose another one"
            )


def run_search(search: Search, directory: Path, watcher: Watcher, at_once: int = 1) -> dict[str, list[Trial]]:
    """Run every trial that is missing and write the files of the search; all trials of each architecture asked for.

    Trial by trial, architectures within, so that a drifting machine meets all architectures alike; so many at once,
    each of another architecture.

    Raises:
        Interrupted: by the user; finished trials are kept.
        UserError: another process searches in this folder, its journal is broken, or it holds more trials than asked.
    """
    advice = "searches here; wait for it or end it first"
    with holding(directory / RUN_LOCK, sign=True, refusal=lambda other: f"--out {directory}: {other} {advice}"):
        (directory / JOURNAL).touch()
        storage = _open_journal(directory)
        asked = {"search": search.trials, "final": search.finalists}
        studies = {(cls.name, stage): _study(storage, cls.name, stage) for cls in search.classes for stage in asked}
        for (name, stage), study in studies.items():
            _settle_interrupted(study)
            if (counted := len(_counted(study))) > asked[stage]:
                option, kind = {"search": ("--trials", "trials"), "final": ("--finalists", "finals")}[stage]
                raise UserError(
                    f"{option} {asked[stage]}: {directory} holds {counted} {kind} of {name}; ask for as many or more"
                )
        for stage, most in asked.items():
            for number in range(most):
                tasks = [
                    _TrialTask(search, cls, stage, number, studies, storage, directory, watcher)
                    for cls in search.classes
                ]
                run_tasks(tasks, at_once)
        _write_best(search, storage, directory)
        return {name: _all_trials(storage)[name] for name in (cls.name for cls in search.classes)}


def ranked(trials: list[Trial]) -> list[Trial]:
    """The trials of the search that were done, by score, the best first and the earlier of equals."""
    done = [trial for trial in trials if trial.stage == "search" and trial.state == "done"]
    return sorted(done, key=lambda trial: -(trial.score or 0.0))


def finalists(trials: list[Trial]) -> list[Trial]:
    """The trials of the search that were done, the best of each depth before the second of any.

    Part of the budget misjudges depth: recurrent models that led by it at 4 layers fell apart at the whole, where one
    layer did not (`results/LOG.md`).
    """
    best = ranked(trials)
    of_depth = {trial.settings.get("layers"): trial for trial in reversed(best)}
    firsts = [trial for trial in best if of_depth[trial.settings.get("layers")] is trial]
    return firsts + [trial for trial in best if trial not in firsts]


def best_of(trials: list[Trial]) -> Trial | None:
    """The final that scored highest; without finals the trial that did."""
    finals = [trial for trial in trials if trial.stage == "final" and trial.state == "done"]
    return max(finals, key=lambda trial: trial.score or 0.0, default=next(iter(ranked(trials)), None))


def best_entry(search: Search, cls: type[Architecture], best: Trial) -> Entry:
    """An architecture as its best trial trained it."""
    return entry_of(search.plan, cls, ({}, ""), [(best.settings, f"trial {best.number}")], {})


def importances(search: Search, cls: type[Architecture], trials: list[Trial]) -> dict[str, float] | None:
    """How much each setting has to do with a trial's lying in the better half, as shares of 1, greatest first.

    PED-ANOVA (Watanabe et al., 2023) over done and pruned trials, the latter as worse than the former; None where they
    are too few, or too much alike, to say anything.
    """
    import optuna

    scored = [trial for trial in trials if trial.score is not None and trial.stage == "search"]
    if len(scored) < FEWEST_FOR_IMPORTANCES:
        return None
    space = search.spaces[cls.name]
    study = optuna.create_study(direction="maximize")
    for trial in scored:
        assert trial.score is not None
        value = trial.score - (trial.state == "pruned")
        study.add_trial(optuna.create_trial(params=trial.params, distributions=space, value=value))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.5, evaluate_on_local=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # so many are equal that no half is better
        try:
            return optuna.importance.get_param_importances(study, evaluator=evaluator)
        except UserWarning:
            return None


def search_space(plan: Plan, cls: type[Architecture]) -> dict[str, BaseDistribution]:
    """What is searched for an architecture: the common space, less what the suite settles, and its own options.

    Raises:
        UserError: depth or own options are not as `Config` asks, or no depth meets the size.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    own, depth = cls.Config.search, cls.Config.depth_field
    defaults = asdict(cls.Config())
    if depth not in defaults and depth != Config.depth_field:
        raise UserError(f"{cls.name}: `depth_field` of its config is '{depth}'; {suggest(depth, list(defaults))}")
    wrong = [name for name, choices in own.items() if name not in defaults or defaults[name] not in choices]
    wrong += [name for name in own if name in (depth, *cls.Config.size_fields)]
    if wrong or len(own) > OWN_OPTIONS:
        raise UserError(
            f"{cls.name}: `search` of its config holds {', '.join(wrong or own)}; expected at most {OWN_OPTIONS} "
            f"fields, neither depth nor size, each with choices that hold its default"
        )
    least, most = _depths(plan, cls)
    space: dict[str, BaseDistribution] = {
        "optimizer": CategoricalDistribution(("muon", "adamw")),
        "lr": FloatDistribution(1 / 4, 2, log=True),
        "outer_lr": FloatDistribution(0.002, 0.016, log=True),
        "batch": CategoricalDistribution(BATCHES),
        "warmup": FloatDistribution(0, 0.1),
        "weight_decay": FloatDistribution(0, 0.1),
        **({depth: IntDistribution(least, most)} if depth in defaults else {}),
        **{name: CategoricalDistribution(choices) for name, choices in own.items()},
    }
    settled = plan.suite.defaults.settings.keys() | ({"batch"} if plan.budget.unit == "steps" else set())
    return {name: distribution for name, distribution in space.items() if name not in settled}


def _depths(plan: Plan, cls: type[Architecture]) -> tuple[int, int]:
    """The least and the greatest depth at which a model of this architecture meets the size.

    Raises:
        UserError: none does.
    """
    possible, why = [], ""
    depth = cls.Config.depth_field
    for layers in range(DEPTHS[0], DEPTHS[1] + 1):
        # Where the suite settles the depth, or there is none, all turns are alike.
        values = {} if depth in plan.suite.defaults.settings else {depth: layers}
        try:
            entry_of(plan, cls, ({}, ""), [(values, f"{depth} {layers}")], {})
        except UserError as error:
            why = str(error)
        else:
            possible.append(layers)
    if not possible:
        raise UserError(why)
    return min(possible), max(possible)


def _designed(number: int, space: dict[str, BaseDistribution], cls: type[Architecture]) -> dict[str, Any]:
    """A trial of the design: defaults of training and architecture with its changes, as the sampler sees them."""
    from optuna.distributions import IntDistribution

    depth = cls.Config.depth_field
    changes = {depth if name == DEPTH else name: value for name, value in DESIGN[number].items() if name != OWN}
    values = asdict(cls.Config()) | asdict(TrainingSettings()) | {"lr": 1.0} | changes
    possible = space.get(depth)  # none, where the suite settles the depth
    if isinstance(possible, IntDistribution):
        values[depth] = min(max(values[depth], possible.low), possible.high)
    if (place := DESIGN[number].get(OWN, OWN_OPTIONS)) < len(cls.Config.search):
        name, choices = list(cls.Config.search.items())[place]
        values[name] = next((choice for choice in choices if choice != values[name]), values[name])
    return {name: values[name] for name in space}


def _settings(plan: Plan, params: dict[str, Any]) -> dict[str, Any]:
    """What a trial trains with: as sampled, numbers to three digits, `lr` no longer relative."""
    values = dict(params)
    if "lr" in values:
        optimizer = values.get("optimizer", plan.suite.defaults.settings.get("optimizer", TrainingSettings.optimizer))
        values["lr"] *= USUAL_LR[optimizer]
    return {name: float(f"{value:.3g}") if isinstance(value, float) else value for name, value in values.items()}


@dataclass
class _TrialTask:
    """One trial: its settings are drawn, it trains with them, and its study is told how it went."""

    search: Search
    cls: type[Architecture]
    stage: str
    number: int
    studies: dict[tuple[str, str], Study]
    storage: JournalStorage
    directory: Path
    watcher: Watcher

    @property
    def study(self) -> Study:
        return self.studies[self.cls.name, self.stage]

    def begin(self) -> tuple[Work, Job] | None:
        if len(counted := _counted(self.study)) > self.number:
            self.watcher.finish(counted[self.number])
            return None
        params = self._params()
        if params is None:
            return None
        self.outcome: dict[str, Any] = {"status": "pruned", "reason": "", "correct": None, "total": None}
        self.outcome |= {"examples": 0, "flops": 0, "train_seconds": 0.0}
        self.last: dict[str, Any] = {}
        self.trial = self._ask(params)
        settings = _settings(self.search.plan, self.trial.params)
        self.trial.set_user_attr("settings", settings)
        self.watcher.start(self.cls.name, self.stage, self.number)
        plan = self.search.plan
        if self.stage == "final":
            plan = dataclasses.replace(plan, budget=self.search.for_budget)
        try:
            entry = entry_of(plan, self.cls, ({}, ""), [(settings, f"trial {self.number}")], {})
        except UserError as error:  # settings that make no model of the size asked
            self.outcome["reason"] = str(error)
            self._tell()
            return None
        errors = self.directory / "errors" / f"{self.cls.name}-{self.stage}-{self.number}"
        return work_of(plan, entry, self.search.seed, errors), run_trial

    def event(self, event: dict[str, Any]) -> bool:
        self.watcher.event(self.cls.name, self.stage, self.number, event)
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

    def end(self, exit_code: int | None) -> None:
        if exit_code is not None:  # else it was ended for lying behind
            found = self.last or death(exit_code)
            self.outcome.update({key: value for key, value in found.items() if key != "kind"})
        if self.outcome["status"] in ("diverged", "out-of-memory"):
            self.outcome |= {"status": "pruned", "reason": f"{self.outcome['status']}: {self.outcome['reason']}"}
        self._tell()

    def _params(self) -> dict[str, Any] | None:
        """What to enqueue: nothing where the sampler draws. None where there is no finalist of this rank."""
        if self.stage == "search":
            space = self.search.spaces[self.cls.name]
            return _designed(self.number, space, self.cls) if self.number < len(DESIGN) else {}
        best = finalists(_counted(self.studies[self.cls.name, "search"]))
        return best[self.number].params if self.number < len(best) else None

    def _ask(self, params: dict[str, Any]) -> OptunaTrial:
        from optuna.samplers import TPESampler
        from optuna.trial import TrialState

        # A new one for each trial: its random numbers then depend on the trial's number alone, resumed or not.
        seed = int(np.random.SeedSequence([self.search.seed, self.number]).generate_state(1)[0])
        self.study.sampler = TPESampler(seed=seed, n_startup_trials=len(DESIGN), multivariate=True)
        if params and not self.study.get_trials(states=(TrialState.WAITING,)):
            self.study.enqueue_trial(params)
        return self.study.ask(self.search.spaces[self.cls.name])

    def _tell(self) -> None:
        self.trial.set_user_attr("outcome", self.outcome)
        _tell(self.study, self.trial.number, self.outcome)
        _write_trials(self.storage, self.directory)
        self.watcher.finish(_counted(self.study)[self.number])


def _tell(study: Study, number: int, outcome: dict[str, Any]) -> None:
    from optuna.trial import TrialState

    match outcome["status"]:
        case "done":
            study.tell(number, outcome["correct"] / outcome["total"])
        case "pruned":
            study.tell(number, state=TrialState.PRUNED)
        case _:
            study.tell(number, state=TrialState.FAIL)


def _settle_interrupted(study: Study) -> None:
    """Close the trials that were running when a process ended.

    One whose outcome was known is told after all. Any other counts for nothing and is drawn and run again: the same
    number after the same trials gives the same settings.
    """
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        _tell(study, trial.number, trial.user_attrs.get("outcome", {"status": "interrupted"}))


def _counted(study: Study) -> list[Trial]:
    """The trials that ended by themselves, in order."""
    ended = [trial for trial in study.get_trials() if trial.state.is_finished() and "outcome" in trial.user_attrs]
    architecture, _, stage = study.study_name.partition(FINALS)
    return [_trial(architecture, stage or "search", number, trial) for number, trial in enumerate(ended)]


def _trial(architecture: str, stage: str, number: int, frozen: FrozenTrial) -> Trial:
    outcome = dict(frozen.user_attrs["outcome"])
    return Trial(
        architecture=architecture,
        stage=stage,
        number=number,
        state=outcome.pop("status"),
        settings=frozen.user_attrs["settings"],
        params=frozen.params,
        **outcome,
    )


def _open_journal(directory: Path) -> JournalStorage:
    """The trials so far.

    Raises:
        UserError: the file is no journal of Optuna's.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = directory / JOURNAL
    # What a killed process leaves: Optuna's own lock, for which it would wait half a minute, and half a line.
    path.with_name(f"{JOURNAL}.lock").unlink(missing_ok=True)
    whole, newline, _ = path.read_bytes().rpartition(b"\n")
    with path.open("r+b") as journal:
        journal.truncate(len(whole) + len(newline))
    try:
        for line in whole.splitlines():
            json.loads(line)  # Optuna stumbles over a wrong one only later
        storage = JournalStorage(JournalFileBackend(str(path)))
        storage.get_all_studies()
        return storage
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: is no journal of Optuna's ({error}); restore it, or choose another folder") from None


def _study(storage: JournalStorage, architecture: str, stage: str) -> Study:
    """The trials of one architecture and stage; none, where it is new."""
    import optuna

    pruner = optuna.pruners.MedianPruner(n_startup_trials=FINISHED, n_warmup_steps=int(UNPRUNED * CURVE_POINTS))
    return optuna.create_study(
        storage=storage,
        study_name=architecture + (FINALS + stage if stage == "final" else ""),
        direction="maximize",
        pruner=pruner,
        load_if_exists=True,
    )


def _all_trials(storage: JournalStorage) -> dict[str, list[Trial]]:
    """Architecture -> its trials, in the order in which it came into the folder; finals last."""
    import optuna

    trials: dict[str, list[Trial]] = {}
    for study in storage.get_all_studies():
        name = study.study_name
        found = _counted(optuna.load_study(study_name=name, storage=storage))
        trials.setdefault(name.partition(FINALS)[0], []).extend(found)
    return trials


def _write_trials(storage: JournalStorage, directory: Path) -> None:
    """trials.csv: a row a trial, what it was and cost, then its settings."""
    rows = []
    for trials in _all_trials(storage).values():
        for trial in trials:
            row = {"architecture": trial.architecture, "stage": trial.stage, "trial": trial.number}
            row |= {
                "state": trial.state,
                "reason": trial.reason,
                "score": trial.score,
                "correct": trial.correct,
                "total": trial.total,
            }
            row |= {"examples": trial.examples, "flops": trial.flops, "train_seconds": trial.train_seconds}
            rows.append(row | trial.settings)
    table = pd.DataFrame(rows, dtype=object)  # else an int in a column with gaps becomes a float
    write_text(directory / TRIALS, table.to_csv(index=False, lineterminator="\n"))


def _write_best(search: Search, storage: JournalStorage, directory: Path) -> None:
    """tune.toml: the best settings of each architecture that has had as many trials, in full, for `run --set-file`."""
    plan = search.plan
    header = Tuned(
        suite=plan.suite.name,
        suite_hash=plan.suite.hash,
        parameters=plan.parameters,
        match=plan.match,
        budget=str(search.for_budget),
        training_problems=plan.training_problems,
        precision=plan.precision,
        trials=search.trials,
        trial_budget=str(plan.budget),
        finalists=search.finalists or None,
    )
    tables = {"tuned": {key: value for key, value in asdict(header).items() if value is not None}}
    known = architectures.all_architectures()
    for name, trials in _all_trials(storage).items():
        best = best_of(trials)
        searched = sum(trial.stage == "search" for trial in trials)
        if best is not None and searched == search.trials and name in known:
            entry = best_entry(search, known[name], best)
            # The size is fitted anew by whoever takes the file.
            config = {key: value for key, value in asdict(entry.config).items() if key not in entry.config.size_fields}
            tables[name] = asdict(entry.training) | config
    text = "# The best settings of a search; `python -m bench run --set-file` takes this file.\n"
    for name, table in tables.items():
        lines = [f"{key} = {_as_toml(value)}" for key, value in table.items()]
        text += "\n".join(["", f"[{name}]", *lines, ""])
    write_text(directory / BEST, text)


def _as_toml(value: Any) -> str:
    """A plain value as TOML; there is no null, and `none` is what settings take for it."""
    return '"none"' if value is None else json.dumps(value, ensure_ascii=False)
