"""Whether and how fast an architecture learnt its task: the share of seeds that solved it, what 90 and 99 % took."""

from dataclasses import dataclass

import pandas as pd

from bench.results.statistics.comparison import SOLVED, solved, solved_share
from bench.results.statistics.estimates import Estimate, median_reached
from bench.results.statistics.scores import Scores

LEVELS = (0.90, SOLVED)
"""Shares right on validation whose first reaching is reported."""
COSTS = ("examples", "train_seconds", "flops")
"""Columns of curve.csv in which it is counted."""


@dataclass(frozen=True, kw_only=True)
class Learning:
    """How one architecture learnt, over all its seeds that ended: a seed that diverged is a miss."""

    architecture: str
    solved: Estimate | None
    """share of seeds with 99 % right on validation at the end, Wilson interval; None where not validated"""
    reached: dict[tuple[float, str], float]
    """(level of `LEVELS`, cost of `COSTS`) -> median over seeds; infinity: beyond the budget"""


def learning(scores: Scores, architecture: str) -> Learning:
    """How an architecture of `scores` learnt. Raises ValueError where no seed of it ended, and BadFile."""
    diverged = sum(name == architecture and status == "diverged" for name, _, status, _ in scores.unfinished)
    done = scores.of(architecture)
    if not done and not diverged:
        raise ValueError(f"{architecture} has no cell that ended")
    misses: list[float | None] = [None] * diverged
    curves = [scores.curves[architecture, record.seed] for record in done]
    return Learning(
        architecture=architecture,
        solved=solved_share([*map(solved, done), *[False] * diverged]),
        reached={
            (level, cost): median_reached([first_reached(curve, level, cost) for curve in curves] + misses)
            for level in LEVELS
            for cost in COSTS
        },
    )


def first_reached(curve: pd.DataFrame, level: float, cost: str) -> float | None:
    """What a cell had used at its first validation with a share right of `level` or more; None if there is none.

    curve: the columns of curve.csv; cost: one of them.
    """
    met = curve.loc[curve["correct"] / curve["total"] >= level, cost]
    return float(met.iloc[0]) if len(met) else None
