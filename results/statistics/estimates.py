"""Estimates and tests that know their limits. All shares are between 0 and 1; all intervals are at 95 %."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from statistics import fmean, median, stdev
from typing import Literal

import numpy as np
import scipy  # which imports scipy.stats, a second's work, where it is first used

LEVEL = 0.95
FEWEST_SEEDS = 3
"""An interval across fewer seeds would say more about its assumptions than about the seeds."""
FEWEST_SEEDS_SIGN_FLIP = 6
"""With fewer, no outcome reaches p < 0.05: the smallest is 2 / 2^5 = 0.0625 with 5."""
FEWEST_TASKS = 5
"""Statements over tasks need as many."""
ALL_OR_NOTHING_SPREAD = 0.2
"""Seeds on both sides of 50 % but closer together are a middling score, on which the t interval holds."""
MOST_TAU = 4.0
"""Where performance profiles end."""

ONE_SEED = "one seed: interval over items"
ALL_UNSEEN = "all unseen"
ALL_EQUAL = "all seeds equal: no interval"
ALL_OR_NOTHING = "all-or-nothing seeds: no t interval"
SHARE_OF_SEEDS = "share of seeds: Wilson interval"
BOOTSTRAP = "interquartile mean: stratified bootstrap"

_RESAMPLES = 5_000
_EXACT_FLIPS = 16
"""Sign flips are enumerated up to so many seeds (65,536 flips); with more, as many are drawn."""


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


@lru_cache(maxsize=2**14)  # the same few seeds, slice after slice
def wilson(correct: int, total: int) -> Estimate:
    """Share right of one trained model, with the Wilson score interval over items (Wilson 1927).

    It speaks of other problems of the kind, not of other seeds. Raises ValueError unless 0 <= correct <= total > 0.
    """
    interval = scipy.stats.binomtest(correct, total).proportion_ci(LEVEL, method="wilson")
    return Estimate(
        mean=correct / total, low=float(interval.low), high=float(interval.high), unit="items", n=total, note=ONE_SEED
    )


def share_of_seeds(hits: int, seeds: int) -> Estimate:
    """Share of the seeds that did something (solved the task, say), with the Wilson score interval over seeds.

    Raises ValueError unless 0 <= hits <= seeds > 0.
    """
    return replace(wilson(hits, seeds), unit="seeds", note=SHARE_OF_SEEDS)


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
    half = _t_quantile(n - 1) * stdev(values) / n**0.5
    return replace(estimate, low=estimate.mean - half, high=estimate.mean + half)


def shares_across_seeds(shares: Sequence[float]) -> Estimate:
    """`across_seeds` for values between 0 and 1: the interval is cut there, which costs it no coverage."""
    return _cut(across_seeds(shares), 0.0, 1.0)


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


def interquartile_mean(tasks: Sequence[Sequence[float]]) -> Estimate:
    """Mean of the middle half of all scores, one list of scores a task and one score a seed (Agarwal et al. 2021).

    The interval is the percentile interval of a bootstrap stratified by task, which draws one seed fewer than a task
    has: drawing all of them makes the variance too small, by a third with 3 seeds (Rao and Wu 1988). It still is narrow
    with few: in simulations with 5 tasks it covered in 87 % of cases at 3 seeds, 92 % at 5, 94 % at 10.
    n: the seeds of the task that has fewest. No interval with fewer than 3, or where drawing again changes nothing (the
    bias-corrected bootstrap gives nan there). Raises ValueError without tasks, or for a task without scores.
    """
    if not tasks or not all(tasks):
        raise ValueError("no score, no estimate: every task needs one score a seed, and there must be a task")
    seeds = min(len(task) for task in tasks)
    middle = Estimate(mean=_middle_half(np.concatenate(tasks)).item(), unit="seeds", n=seeds, note=BOOTSTRAP)
    if seeds < FEWEST_SEEDS:
        return replace(middle, note=f"{seeds} seed{'s' if seeds > 1 else ''}: no interval")
    generator = np.random.default_rng(0)
    drawn = [generator.choice(np.asarray(task), (_RESAMPLES, len(task) - 1)) for task in tasks]
    means = _middle_half(np.concatenate(drawn, axis=1))
    if np.ptp(means) < 1e-12:  # equal, but for the order of summation
        return replace(middle, note=ALL_EQUAL)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return replace(middle, low=float(low), high=float(high))


@cache
def _t_quantile(freedom: int, level: float = LEVEL) -> float:
    """What bounds a t interval at a level, in standard errors."""
    return float(scipy.stats.t.ppf((1 + level) / 2, freedom))


def _middle_half(scores: np.ndarray) -> np.ndarray:
    return np.asarray(scipy.stats.trim_mean(scores, 0.25, axis=-1))


def _cut(estimate: Estimate, least: float, most: float) -> Estimate:
    """Interval ends beyond what the figure can be are moved there."""
    if estimate.low is None or estimate.high is None:
        return estimate
    return replace(estimate, low=max(least, estimate.low), high=min(most, estimate.high))


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """One architecture against another over the seeds that both have."""

    difference: Estimate
    """mean of one minus other, with its t interval across seeds; none where seeds are all-or-nothing"""
    error: float | None
    """standard error of that mean; None where there is no interval"""
    p: float | None
    """of the paired t test, two-sided; None where there is no interval"""
    sign_flip: float | None
    """of the paired sign-flip test; None with fewer than 6 seeds"""
    all_or_nothing: bool
    """of one architecture or both: t intervals do not hold, lead with the share of seeds that solve the task"""

    @property
    def decisive(self) -> float | None:
        """The p that decides: of the t test or, where there is none, of the sign-flip test. None: cannot tell."""
        return self.sign_flip if self.p is None else self.p

    def interval_of(self, level: float) -> Estimate:
        """The difference with its t interval at another level than 0.95; without one where it has none."""
        if self.error is None:
            return self.difference
        half = _t_quantile(self.difference.n - 1, level) * self.error
        mean = self.difference.mean
        return _cut(replace(self.difference, low=mean - half, high=mean + half), -1.0, 1.0)


def paired_difference(one: Sequence[float], other: Sequence[float]) -> PairedDifference:
    """Shares right of two architectures, paired by seed: mean difference with its t interval, and what it tells.

    Raises ValueError where the two are not equally long, or empty.
    """
    # Rounded, since 0.3 - 0.2 and 0.4 - 0.3 differ by a rounding error, which a t test takes for certainty.
    differences = [round(mine - theirs, 12) for mine, theirs in zip(one, other, strict=True)]
    mean = _cut(across_seeds(differences), -1.0, 1.0)
    flips = sign_flip(differences) if len(differences) >= FEWEST_SEEDS_SIGN_FLIP else None
    if all_or_nothing(one) or all_or_nothing(other):
        without = replace(mean, low=None, high=None, note=ALL_OR_NOTHING)
        return PairedDifference(difference=without, error=None, p=None, sign_flip=flips, all_or_nothing=True)
    error, p = None, None
    if mean.low is not None:
        error = stdev(differences) / mean.n**0.5
        p = 2 * float(scipy.stats.t.sf(abs(mean.mean) / error, mean.n - 1))
    return PairedDifference(difference=mean, error=error, p=p, sign_flip=flips, all_or_nothing=False)


def all_or_nothing(shares: Sequence[float]) -> bool:
    """Whether some seeds learnt and others did not: they lie on both sides of 50 %, 20 points apart or more."""
    return min(shares) < 0.5 <= max(shares) and max(shares) - min(shares) >= ALL_OR_NOTHING_SPREAD


def sign_flip(differences: Sequence[float]) -> float:
    """Two-sided p that paired differences are as likely up as down (Fisher 1935): flips all their signs.

    Exact up to 16 differences; beyond, from 65,536 draws of a fixed seed. Needs no normal distribution, but 6
    differences to reach p < 0.05. Raises ValueError on none.
    """
    if not differences:
        raise ValueError("no difference, no test")
    n = len(differences)
    # By hand, since scipy's permutation_test, which says the same, takes at least 20 times as long.
    if n <= _EXACT_FLIPS:
        flips = np.arange(2**n)[:, None] >> np.arange(n) & 1
    else:
        flips = np.random.default_rng(0).integers(0, 2, (2**_EXACT_FLIPS, n))
        flips[0] = 0  # what was found is one of the outcomes, so that p is never 0
    sums = np.abs((1 - 2 * flips) @ np.asarray(differences))
    rounding = 1e-10 * np.abs(differences).sum()  # by which equal sums may differ, and one of 0 from 0
    return float(np.mean(sums >= sums[0] - rounding))


def mcnemar(only_one: int, only_other: int) -> float:
    """Two-sided p of the exact McNemar test (1947): items that only one, and only the other, of two models got right.

    It speaks of these two trained models. On one architecture under two seeds it rejects far more often than in 5 % of
    cases, since seeds differ. Raises ValueError on a negative count.
    """
    if min(only_one, only_other) < 0:
        raise ValueError(f"counts are {only_one} and {only_other}; they must be 0 or more")
    # Where they never differ, nothing speaks against equality.
    return float(scipy.stats.binomtest(only_one, only_one + only_other).pvalue) if only_one + only_other else 1.0


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """p values of one table, adjusted so that the chance of any false claim in it stays below the level (Holm 1979).

    None (no test was possible) stays None but counts as a question asked: which rows have a test depends on the data.
    """
    adjusted: list[float | None] = [None] * len(ps)
    largest = 0.0
    known = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(ps) - rank) * p))
        adjusted[place] = largest
    return adjusted


def holm_levels(ps: Sequence[float | None], significance: float) -> list[float]:
    """The level of each test's interval, such that it misses 0 exactly where its `holm` is below `significance`.

    A claim that Holm makes has the interval of the step at which it is made, all others that of the step that failed.
    """
    known = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    step, failed = max(1, len(ps)), False
    levels = [1 - significance / step] * len(ps)
    for rank, (p, place) in enumerate(known):
        if not failed:
            step = len(ps) - rank
            failed = step * p >= significance
        levels[place] = 1 - significance / step
    return levels


def median_reached(amounts: Sequence[float | None]) -> float:
    """Median of what each seed needed (examples, seconds, ...) to reach a level; infinity: beyond the budget.

    None stands for a seed that did not get there. It is not left out but counts as beyond the budget, or the worse
    learner would look the faster one. Raises ValueError on none.
    """
    if not amounts:
        raise ValueError("no seed, no estimate")
    return median(math.inf if amount is None else float(amount) for amount in amounts)


def performance_profiles(times: Sequence[Sequence[float]]) -> tuple[list[float], list[list[float]]]:
    """Share of tasks that each architecture solves within tau times the best (Dolan and More 2002).

    times: (architectures, tasks), above 0; infinity where a task was not solved. Returns taus (K,), from 1 to 4, and
    shares (architectures, K): steps that hold from their tau to the next. A task that nobody solved counts for nobody.
    With three architectures or more a profile shows who is near the best, and ranks no others (Gould and Scott 2016).
    Raises ValueError on fewer than 5 tasks, rows of other lengths, or a time that is not above 0.
    """
    lengths = {len(row) for row in times}
    if len(lengths) != 1 or min(lengths) < FEWEST_TASKS:
        raise ValueError(f"rows have {sorted(lengths)} tasks; all must have the same {FEWEST_TASKS} or more")
    if not all(time > 0 for row in times for time in row):
        raise ValueError("a time is not above 0")
    best = [min(task) for task in zip(*times, strict=True)]
    ratios = [
        [time / least if math.isfinite(least) else math.inf for time, least in zip(row, best, strict=True)]
        for row in times
    ]
    taus = sorted({1.0, MOST_TAU} | {ratio for row in ratios for ratio in row if ratio <= MOST_TAU})
    return taus, [[sum(ratio <= tau for ratio in row) / len(row) for tau in taus] for row in ratios]
