"""The trials of a search: Optuna's journal, their ranking, and the table trials.csv."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench.errors import UserError
from bench.results.files import write_text
from bench.running.training import CURVE_POINTS

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.storages import JournalStorage
    from optuna.trial import FrozenTrial

JOURNAL, TRIALS = "journal.log", "trials.csv"
"""Files of a search: Optuna's log, and all trials as a table."""
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
    sooner: float
    """Mean of exact match over the learning curve: it ranks trials with equal scores at the end."""

    @property
    def score(self) -> float | None:
        """Exact match on validation."""
        return None if self.correct is None or self.total is None else self.correct / self.total


def ranked(trials: list[Trial], stage: str = "search") -> list[Trial]:
    """The trials of a stage that were done, by score, the best first; of equals the one that learnt sooner."""
    done = [trial for trial in trials if trial.stage == stage and trial.state == "done"]
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


def best_of(trials: list[Trial], depth: str) -> Trial | None:
    """Of the finals (without finals, of the trials) the shallowest within a standard error of the best.

    The one-standard-error rule (Breiman et al., "Classification and Regression Trees", 1984): what more layers gain by
    chance is not worth the time that they take. Of one depth the best, and of equals the one that learnt sooner.
    """
    found = ranked(trials, "final") or ranked(trials)
    if not found:
        return None
    best, total = found[0].score or 0.0, found[0].total or 1
    least = best - math.sqrt(best * (1 - best) / total)
    near = [trial for trial in found if (trial.score or 0.0) >= least]
    return min(near, key=lambda trial: trial.settings.get(depth, 0))


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


def drawn_from(trial: FrozenTrial, space: dict[str, Any]) -> bool:
    """Whether a trial's settings were drawn from these choices; a final's are not drawn.

    A trial whose process ended meanwhile has only some of them.
    """
    if "outcome" in trial.user_attrs:
        return trial.distributions in ({}, space)
    return all(space.get(name) == choices for name, choices in trial.distributions.items())


def counted(study: Study) -> list[Trial]:
    """The trials that ended by themselves, in order."""
    ended = [trial for trial in study.get_trials() if trial.state.is_finished() and "outcome" in trial.user_attrs]
    architecture, _, stage = study.study_name.partition(FINALS)
    return [_trial(architecture, stage or "search", number, trial) for number, trial in enumerate(ended)]


def _trial(architecture: str, stage: str, number: int, frozen: FrozenTrial) -> Trial:
    outcome = dict(frozen.user_attrs["outcome"])
    curve = frozen.intermediate_values.values()
    return Trial(
        architecture=architecture,
        stage=stage,
        number=number,
        state=outcome.pop("status"),
        settings=frozen.user_attrs["settings"],
        params=frozen.params,
        sooner=sum(curve) / max(len(curve), 1),
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


def write_trials(storage: JournalStorage, directory: Path) -> None:
    """Write trials.csv: a row for each trial, with its outcome, its cost and its settings."""
    outcome = ("state", "reason", "score", "correct", "total", "examples", "flops", "train_seconds")
    rows = [
        {"architecture": trial.architecture, "stage": trial.stage, "trial": trial.number}
        | {name: getattr(trial, name) for name in outcome}
        | trial.settings
        for trials in all_trials(storage).values()
        for trial in trials
    ]
    table = pd.DataFrame(rows, dtype=object)  # else an int in a column with gaps becomes a float
    write_text(directory / TRIALS, table.to_csv(index=False, lineterminator="\n"))
