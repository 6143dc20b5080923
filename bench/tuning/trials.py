"""The trials of a search: Optuna's journal, their ranking, and the table trials.csv."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, variance
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench.errors import UserError
from bench.results.files import write_text
from bench.results.records.search import TRIAL_COLUMNS, TRIALS
from bench.running.training import CURVE_POINTS
from bench.tuning.space import at_edge, ordered

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.storages import JournalStorage
    from optuna.trial import FrozenTrial

JOURNAL = "journal.log"
"""File of a search: Optuna's log of all trials."""
FINALS = ", "
"""Separates an architecture from the word `final` in the name of the study of its finals."""
FINISHED = 4
"""Finished trials before any is pruned."""
UNPRUNED = 0.5
"""Share of the budget that every trial gets."""
FEWEST_FOR_IMPORTANCES = 30
"""With fewer, most are of the design, which changes several settings at once: their shares would mean nothing."""


@dataclass(frozen=True)
class Trial:
    """One trial that ended by itself."""

    architecture: str
    stage: str
    """'search', or 'final' at the whole budget"""
    number: int
    """from 0, within the architecture; that of a final is its finalist's place among them"""
    seed: int
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
    sooner: float
    """Mean of exact match over the learning curve: it ranks trials with equal scores at the end."""

    @property
    def score(self) -> float | None:
        """Exact match on validation."""
        return None if self.correct is None or self.total is None else self.correct / self.total


@dataclass(frozen=True)
class Candidate:
    """Settings that may be taken: a finalist, or where there are no finals a trial of the search."""

    trials: list[Trial]
    """its finals, one a seed, or that trial alone"""

    @property
    def settings(self) -> dict[str, Any]:
        return self.trials[0].settings

    @property
    def scores(self) -> list[float]:
        """Of each seed; a final that diverged or failed has no answer right."""
        return [trial.score or 0.0 if trial.state == "done" else 0.0 for trial in self.trials]

    @property
    def score(self) -> float:
        return fmean(self.scores)

    @property
    def sooner(self) -> float:
        return fmean(trial.sooner for trial in self.trials)


def ranked(trials: list[Trial]) -> list[Trial]:
    """The trials of the search that were done, by score, the best first; of equals the one that learnt sooner."""
    done = [trial for trial in trials if trial.stage == "search" and trial.state == "done"]
    return sorted(done, key=lambda trial: (-(trial.score or 0.0), -trial.sooner))


def finalists(trials: list[Trial], depth: str) -> list[Trial]:
    """The trials of the search that were done, the best of each depth before the second of any; `depth` is the setting.

    A part of the budget misjudges depth: recurrent models of 4 layers led there and failed at the whole budget, where
    those of one layer did not (`docs/log.md`).
    """
    best = ranked(trials)
    of_depth = {trial.settings.get(depth): trial for trial in reversed(best)}
    firsts = [trial for trial in best if of_depth[trial.settings.get(depth)] is trial]
    return firsts + [trial for trial in best if trial not in firsts]


def best_of(trials: list[Trial], depth: str) -> Candidate | None:
    """Of the finalists (without finals, of the trials) the shallowest within a standard error of the best.

    The one-standard-error rule (Breiman et al., "Classification and Regression Trees", 1984): what more layers gain by
    chance is not worth the time that they take. A score is the mean over seeds. Of one depth the best is taken, and of
    equals the one that learnt sooner.
    """
    finals: dict[int, list[Trial]] = {}
    for trial in trials:
        if trial.stage == "final":
            finals.setdefault(trial.number, []).append(trial)
    found = [Candidate(those) for those in finals.values() if any(trial.state == "done" for trial in those)]
    found = found or [Candidate([trial]) for trial in ranked(trials)]
    if not found:
        return None
    found.sort(key=lambda candidate: (-candidate.score, -candidate.sooner))
    least = found[0].score - _standard_error(found)
    near = [candidate for candidate in found if candidate.score >= least]
    return min(near, key=lambda candidate: candidate.settings.get(depth, 0))


def _standard_error(found: list[Candidate]) -> float:
    """Of the score of the first candidate: the larger of two standard errors.

    One is of the problems, those of all its seeds taken together. The other is of the seeds: since two seeds of one
    candidate say little, the variance between seeds is the mean of those of all candidates. Candidates with a final
    that diverged or failed are left out of that mean: its 0 would make every other difference look like chance.
    """
    best = found[0]
    asked = sum(trial.total or 0 for trial in best.trials if trial.state == "done")
    of_problems = best.score * (1 - best.score) / asked
    whole = [one.scores for one in found if len(one.trials) > 1 and all(trial.state == "done" for trial in one.trials)]
    of_seeds = fmean(map(variance, whole)) / len(best.trials) if whole else 0.0
    return math.sqrt(max(of_problems, of_seeds))


def importances(space: dict[str, BaseDistribution], trials: list[Trial]) -> dict[str, float] | None:
    """How much each setting decides whether a trial is in the better half, as shares of 1, greatest first.

    PED-ANOVA (Watanabe et al., 2023) over done and pruned trials, the latter as worse than the former; None where they
    are too few or too similar.
    """
    import optuna

    scored = [trial for trial in trials if trial.score is not None and trial.stage == "search"]
    if len(scored) < FEWEST_FOR_IMPORTANCES:
        return None
    study = optuna.create_study(direction="maximize")
    for trial in scored:
        assert trial.score is not None
        value = trial.score - (trial.state == "pruned")
        study.add_trial(optuna.create_trial(params=trial.params, distributions=space, value=value))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.5, evaluate_on_local=False)
    with warnings.catch_warnings(action="error", category=UserWarning):  # so many are equal that no half is better
        try:
            return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))
        except UserWarning:
            return None


def open_journal(directory: Path) -> JournalStorage:
    """Open the journal of the trials so far. Raises UserError where the file is no journal of Optuna's."""
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


def study_of(storage: JournalStorage, architecture: str, stage: str) -> Study:
    """The study of one architecture and stage; it is made where it is new."""
    import optuna

    pruner = optuna.pruners.MedianPruner(n_startup_trials=FINISHED, n_warmup_steps=int(UNPRUNED * CURVE_POINTS))
    return optuna.create_study(
        storage=storage,
        study_name=architecture + (FINALS + stage if stage == "final" else ""),
        direction="maximize",
        pruner=pruner,
        load_if_exists=True,
    )


def tell(study: Study, number: int, outcome: dict[str, Any]) -> None:
    """Tell a study how a trial ended."""
    from optuna.trial import TrialState

    match outcome["status"]:
        case "done":
            study.tell(number, outcome["correct"] / outcome["total"])
        case "pruned":
            study.tell(number, state=TrialState.PRUNED)
        case _:
            study.tell(number, state=TrialState.FAIL)


def settle_interrupted(study: Study) -> None:
    """Close the trials that were running when a process ended.

    Where the outcome was known, the study is told now. Any other trial is dropped and run again: the same number after
    the same trials gives the same settings.
    """
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        tell(study, trial.number, trial.user_attrs.get("outcome", {"status": "interrupted"}))


def draw(study: Study, space: dict[str, BaseDistribution], seed: int) -> dict[str, Any]:
    """The params of the next trial, by TPE from those before it as if all of them had been drawn from `space`.

    The journal keeps params as plain values, since Optuna refuses a study whose choices change, and its sampler leaves
    out settings whose range did. So they are put into a new study with the distributions of today each time. Of ordered
    choices it has the places: it then draws beside good ones, also where a wider space has new ones there.
    """
    import optuna
    from optuna.distributions import CategoricalDistribution, IntDistribution
    from optuna.trial import TrialState

    choices = {name: values.choices for name, values in space.items() if isinstance(values, CategoricalDistribution)}
    scales: dict[str, list[Any]] = {name: sorted(found) for name, found in choices.items() if ordered(found)}
    places = space | {name: IntDistribution(0, len(scale) - 1) for name, scale in scales.items()}
    # No random trials at the start: the design stands in their place.
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=0, multivariate=True)
    sampled = optuna.create_study(direction="maximize", sampler=sampler)
    for trial in _ended(study):
        if trial.state != TrialState.FAIL:
            params = trial.user_attrs["params"]
            sampled.add_trial(
                optuna.create_trial(
                    state=trial.state,
                    value=trial.value,
                    params=params | {name: scale.index(params[name]) for name, scale in scales.items()},
                    distributions=places,
                    intermediate_values=trial.intermediate_values,
                )
            )
    drawn: dict[str, Any] = sampled.ask(places).params
    return drawn | {name: scale[drawn[name]] for name, scale in scales.items()}


def _ended(study: Study) -> list[FrozenTrial]:
    """The trials that ended by themselves, by number and seed: finals of several seeds may end in any order."""
    ended = [trial for trial in study.get_trials() if trial.state.is_finished() and "outcome" in trial.user_attrs]
    return sorted(ended, key=lambda trial: (trial.user_attrs["number"], trial.user_attrs["seed"]))


def counted(study: Study) -> list[Trial]:
    """The trials that ended by themselves, in order."""
    architecture, _, stage = study.study_name.partition(FINALS)
    return [_trial(architecture, stage or "search", trial) for trial in _ended(study)]


def _trial(architecture: str, stage: str, frozen: FrozenTrial) -> Trial:
    about = dict(frozen.user_attrs)
    outcome = dict(about.pop("outcome"))
    curve = frozen.intermediate_values.values()
    return Trial(
        architecture=architecture,
        stage=stage,
        state=outcome.pop("status"),
        sooner=sum(curve) / max(len(curve), 1),
        **about,
        **outcome,
    )


def all_trials(storage: JournalStorage) -> dict[str, list[Trial]]:
    """Architecture -> its trials, in the order in which it came into the folder; finals last."""
    import optuna

    trials: dict[str, list[Trial]] = {}
    for study in storage.get_all_studies():
        name = study.study_name
        found = counted(optuna.load_study(study_name=name, storage=storage))
        trials.setdefault(name.partition(FINALS)[0], []).extend(found)
    return trials


def write_trials(storage: JournalStorage, spaces: dict[str, dict[str, dict[str, Any]]], directory: Path) -> None:
    """Write trials.csv: a row for each trial, with its outcome, its cost and its settings.

    `spaces`: architecture -> setting -> its plain values, which say what stands at an edge.
    """
    rows = []
    for name, trials in all_trials(storage).items():
        for trial in trials:
            values = {key: "none" if value is None else value for key, value in trial.settings.items()}
            edges = ", ".join(f"{key}={values[key]}" for key in at_edge(trial.params, spaces[name]))
            about = {"trial": trial.number, "at_edge": edges}
            rows.append({key: about[key] if key in about else getattr(trial, key) for key in TRIAL_COLUMNS} | values)
    table = pd.DataFrame(rows, dtype=object)  # else an int in a column with gaps becomes a float
    write_text(directory / TRIALS, table.to_csv(index=False, lineterminator="\n"))
