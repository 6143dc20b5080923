"""Estimates with intervals that know their limits. All shares are between 0 and 1; all intervals are at 95 %."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Literal

from scipy.stats import binomtest, t

LEVEL = 0.95
FEWEST_SEEDS = 3
"""An interval across fewer seeds would say more about its assumptions than about the seeds."""

ONE_SEED = "one seed: interval over items"
ALL_UNSEEN = "all unseen"
ALL_EQUAL = "all seeds equal: no interval"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean with its interval, and what that interval speaks of."""

    mean: float
    low: float | None = None
    """lower end of the 95 % interval; None when there is none"""
    high: float | None = None
    """upper end; None when there is none"""
    unit: Literal["items", "seeds"]
    """what varies in the interval: the problems asked of one trained model, or the seeds"""
    n: int
    """number of such units"""
    note: str = ""
    """why there is no interval, or of which kind it is; '' for the usual one across seeds"""


def wilson(correct: int, total: int) -> Estimate:
    """Share right of one trained model, with the Wilson score interval over items (Wilson 1927).

    It speaks of other problems of the kind, not of other seeds. Raises ValueError unless 0 <= correct <= total > 0.
    """
    interval = binomtest(correct, total).proportion_ci(LEVEL, method="wilson")
    return Estimate(
        mean=correct / total, low=float(interval.low), high=float(interval.high), unit="items", n=total, note=ONE_SEED
    )


def across_seeds(values: Sequence[float]) -> Estimate:
    """Mean of one value a seed, with Student's t interval (1908) in which the seed is the unit.

    No interval, and a note that says so, with fewer than 3 seeds or where all values are equal. ValueError on none.
    """
    if not values:
        raise ValueError("no seed, no estimate")
    n = len(values)
    estimate = Estimate(mean=fmean(values), unit="seeds", n=n)
    if n < FEWEST_SEEDS:
        return replace(estimate, note=f"{n} seed{'s' if n > 1 else ''}: no interval")
    if min(values) == max(values):
        return replace(estimate, note=ALL_EQUAL)
    half = float(t.ppf((1 + LEVEL) / 2, n - 1)) * stdev(values) / n**0.5
    return replace(estimate, low=estimate.mean - half, high=estimate.mean + half)


def shares_across_seeds(shares: Sequence[float]) -> Estimate:
    """`across_seeds` for values between 0 and 1: the interval is cut there, which costs it no coverage."""
    estimate = across_seeds(shares)
    if estimate.low is None or estimate.high is None:
        return estimate
    return replace(estimate, low=max(0.0, estimate.low), high=min(1.0, estimate.high))


def estimate(corrects: Sequence[int], totals: Sequence[int], exhaustive: bool = False) -> Estimate:
    """Share right, from the counts of one slice, one pair a seed.

    One seed: Wilson over items, but where the items are all there are (`exhaustive`) nothing was sampled: no interval.
    More seeds: across seeds.
    """
    if len(corrects) > 1:
        return shares_across_seeds([correct / total for correct, total in zip(corrects, totals, strict=True)])
    [correct], [total] = corrects, totals
    if exhaustive:
        return Estimate(mean=correct / total, unit="items", n=total, note=ALL_UNSEEN)
    return wilson(correct, total)
