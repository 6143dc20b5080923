"""The table of a search by `reach`: how far each architecture reaches, and all that was tried for it."""

from collections.abc import Sequence

from bench.results.report.table import Column, Note, Table, Value, number_value, words
from bench.results.statistics.reach import LEVEL, Trial, reach_of, states_of

NOTE = Note(
    f"Reach is the most digits n, of n x n (of a division 2n x n), of which each seed answers {LEVEL:.0%} right; "
    "training mixes 1 to n digits. `at least`, `at most` and `5 to 7` say what is known where no more was tried. "
    "Behind each number of digits stands what each seed had right of n test problems, in %; the seeds of one number "
    "end with the first that misses it. Training seconds are those of all cells."
)


def reach_table(trials: Sequence[Trial], seeds: int) -> Table:
    """One row an architecture, those that reach farthest first. seeds: how many must reach."""
    rows, asked = {}, max((trial.total for trial in trials), default=0)
    for name in dict.fromkeys(trial.architecture for trial in trials):
        mine = [trial for trial in trials if trial.architecture == name]
        reach = reach_of(states_of(mine, seeds))
        tried: dict[int, list[str]] = {}
        for trial in mine:
            tried.setdefault(trial.digits, []).append(f"{100 * trial.right / max(1, trial.total):.1f}")
        rows[name] = {
            "architecture": Value(name),
            "reach": Value(reach.text, value=reach.low),
            "cells": number_value(len(mine)),
            "train_seconds": number_value(sum(trial.train_seconds for trial in mine)),
            "tried": Value("; ".join(f"{digits}: {' '.join(shares)}" for digits, shares in tried.items())),
        }
    rows = dict(sorted(rows.items(), key=lambda row: -(row[1]["reach"].value or 0)))
    columns = [*words("architecture"), Column("reach", "reach, digits"), Column("cells", "cells")]
    columns += [
        Column("train_seconds", "train s"),
        Column("tried", f"digits tried: right % (n = {asked:,})", left=True),
    ]
    return Table(key="reach", title="Reach", columns=columns, rows=rows, notes=[NOTE])
