"""The table of a search: what it cost, what it gained over the defaults, and what it found."""

from statistics import fmean
from typing import Any

from bench.results.records.search import SearchFiles, TrialRow
from bench.results.report.table import NO_VALUE, Column, Note, Table, Value, figures, number_value, words

NOTES = (
    "Scores are exact match on validation problems: of trial 0, which has the defaults, and of the best trial, both at "
    "a part of the budget; then of the finals at the whole budget. A finalist's score is the mean over its seeds; a "
    "final that diverged or failed counts as 0. The score of the finalist that was taken is followed by the least and "
    "the greatest score of all finalists.",
    "At an edge: settings that were taken and are the least or the greatest of the space, or within 5 % of its end.",
    "Not as in its paper: what was taken of the architecture's own options where the paper has something else, which "
    "stands in brackets.",
)


def search(files: SearchFiles) -> Table:
    """One row an architecture; `-` stands for what the search does not say."""
    rows = {name: _row(name, trials, files) for name, trials in files.trials.items()}
    columns = [
        *words("architecture"),
        *figures("done", "pruned", "failed"),
        Column("train_seconds", "train s"),
        Column("defaults", "defaults %"),
        Column("best_trial", "best trial %"),
        Column("taken", "taken, final %"),
        Column("finalists", "all finalists %"),
        Column("at_edge", "at an edge", left=True),
        Column("paper", "not as in its paper", left=True),
    ]
    return Table(key="search", title="The search", columns=columns, rows=rows, notes=[Note(text) for text in NOTES])


def _row(name: str, trials: list[TrialRow], files: SearchFiles) -> dict[str, Value]:
    searched = [trial for trial in trials if trial.stage == "search"]
    states = [trial.state for trial in searched]
    first = next((trial for trial in searched if trial.number == 0), None)
    finalists: dict[int, list[TrialRow]] = {}
    for trial in trials:
        if trial.stage == "final":
            finalists.setdefault(trial.number, []).append(trial)
    means = {number: fmean(_right(final) for final in finals) for number, finals in finalists.items()}
    best = files.best.get(name)
    taken = next((trial for trial in reversed(trials) if best is not None and _has(trial, best)), None)
    row = {
        "architecture": Value(name),
        **{state: number_value(states.count(state)) for state in ("done", "pruned", "failed")},
        "train_seconds": number_value(sum(trial.train_seconds for trial in trials)),
        "best_trial": _percent(max(map(_right, searched), default=None)),
    }
    if first is not None:
        row["defaults"] = _percent(first.score) if first.state == "done" else Value(first.state)
    if means:
        least, greatest = 100 * min(means.values()), 100 * max(means.values())
        row["finalists"] = Value(f"{least:.1f} to {greatest:.1f}", low=least, high=greatest)
    if taken is not None:
        row["taken"] = _percent(means.get(taken.number) if taken.stage == "final" else None)
        row["at_edge"] = Value(NO_VALUE if taken.at_edge is None else taken.at_edge or "none")
    if best is not None and name in files.papers:
        row["paper"] = Value(_differences(best, files.papers[name]) or "none")
    return row


def _right(trial: TrialRow) -> float:
    """The share right; a trial that was not done counts as worse than all that were."""
    return trial.score or 0.0 if trial.state == "done" else 0.0


def _has(trial: TrialRow, best: dict[str, Any]) -> bool:
    """Whether a trial was done with these settings."""
    settings = {key: value for key, value in trial.settings.items() if key in best}
    return trial.state == "done" and all(str(best[key]) == value for key, value in settings.items())


def _differences(best: dict[str, Any], paper: dict[str, Any]) -> str:
    has = {key: "none" if value is None else value for key, value in paper.items()}
    return ", ".join(f"{key}={best[key]} ({value})" for key, value in has.items() if best[key] != value)


def _percent(share: float | None) -> Value:
    return number_value(None if share is None else 100 * share, decimals=1)
