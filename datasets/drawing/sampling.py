"""Random problems of one split, drawn uniformly within each of many strata."""

from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.datasets.decimals import Integers, canonical
from bench.datasets.drawing.counter import Counter
from bench.datasets.problems import NO_PROBLEMS, OPERATIONS, Division, Problems
from bench.datasets.split import SPLITS, split_of
from bench.datasets.strata import Stratum, dtype_for, fits

MOST_ROUNDS = 10_000


class Sampler:
    """Draws problems of one split from strata.

    Strata that are small enough are listed once and picked from; the others are drawn from the box of their operands
    (exact division from divisors and their dividends) until the draw is a problem of the stratum and of the split. Both
    are uniform over the problems of the stratum.

    Raises:
        ValueError: a stratum has no problem in this split.
    """

    def __init__(self, strata: list[Stratum], division: Division, split: str) -> None:
        self.strata, self._division, self._split = strata, division, SPLITS.index(split)
        self._tries = 1 if split == "train" else 10  # draws at once: one in ten is of validation or test
        self.dtype = dtype_for(strata, division)
        self._operation = np.array([OPERATIONS.index(s.operation) for s in strata], dtype=np.uint8)
        self._places = np.array([s.places for s in strata], dtype=np.int64)
        self._negative = np.array([[sign == "-" for sign in s.signs] for s in strata]).T
        self._first = np.array([[s.a_range[0], s.b_range[0]] for s in strata], dtype=self.dtype).T
        self._span = np.array(
            [[s.a_range[1] - s.a_range[0], s.b_range[1] - s.b_range[0]] for s in strata], dtype=self.dtype
        ).T
        self._octaves = _Octaves(strata, division, self.dtype) if division.rule == "exact" else None
        listed = [list_split(s, division, split, self.dtype) if s.is_listed(division) else NO_PROBLEMS for s in strata]
        for stratum, problems in zip(strata, listed, strict=True):
            if stratum.is_listed(division) and not len(problems):
                raise ValueError(f"stratum '{stratum}' has no {split} problem; leave it out of the suite")
        self._size = np.array([len(problems) for problems in listed], dtype=np.int64)  # 0 where not listed
        self._offset = np.cumsum(self._size) - self._size
        self.table = Problems.join([NO_PROBLEMS, *listed])
        """the problems of all listed strata, stratum by stratum"""

    @property
    def listed_problems(self) -> int | None:
        """How many distinct problems there are in this split, or None where some strata are too many to list."""
        return int(self._size.sum()) if self._size.all() else None

    def pick(self, chosen: NDArray[np.int64], counter: Counter) -> NDArray[np.int64]:
        """One problem from each chosen stratum, all of them listed: (n,) -> n rows of `table`."""
        picks: NDArray[np.int64] = self._offset[chosen] + counter.below(self._size[chosen])
        return picks

    def draw(self, chosen: NDArray[np.int64], counter: Counter) -> Problems:
        """One problem from each chosen stratum (index into `strata`), (n,) -> n problems."""
        size = self._size[chosen]
        picked, pending = np.flatnonzero(size), np.flatnonzero(size == 0)
        parts = [self.table.rows(self.pick(chosen[picked], counter))]
        positions = [picked]
        for _ in range(MOST_ROUNDS):
            if not len(pending):
                order = np.argsort(np.concatenate(positions), kind="stable")
                return Problems.join(parts).rows(order)
            tried = np.repeat(pending, self._tries)
            problems, keep = self._attempt(chosen[tried], counter)
            keep &= split_of(problems) == self._split
            found = keep.reshape(-1, self._tries)
            first = np.arange(len(pending)) * self._tries + found.argmax(axis=1)
            hit = found.any(axis=1)
            parts.append(problems.rows(first[hit]))
            positions.append(pending[hit])
            pending = pending[~hit]
        raise ValueError(f"stratum '{self.strata[chosen[pending[0]]]}' has no problem in {MOST_ROUNDS:,} draws")

    def _attempt(self, chosen: NDArray[np.int64], counter: Counter) -> tuple[Problems, NDArray[np.bool_]]:
        """One draw a row from the box of operands, and whether it is a problem of its stratum."""
        places = self._places[chosen]
        first_a, first_b = self._first[:, chosen]
        span_a, span_b = self._span[:, chosen]
        b = first_b + counter.below(span_b)
        a = first_a + counter.below(span_a)
        keep = np.ones(len(chosen), dtype=bool)
        divides = self._operation[chosen] == OPERATIONS.index("/")
        if self._octaves is not None and divides.any():
            a[divides], b[divides], keep[divides] = self._exact_pair(self._octaves, chosen[divides], counter)
        keep &= fits(a, b, places)
        negative_a, negative_b = self._negative[:, chosen]
        a, b = np.where(negative_a, -a, a), np.where(negative_b, -b, b)
        return Problems(self._operation[chosen], *canonical(a, places), *canonical(b, places)), keep

    def _exact_pair(
        self, octaves: "_Octaves", chosen: NDArray[np.int64], counter: Counter
    ) -> tuple[Integers, Integers, NDArray[np.bool_]]:
        """Dividends and divisors, and whether each pair is kept: all that terminate are equally likely.

        What 10**places and b have in common decides: b = 40 divides with two places every a that is a multiple of 2, as
        gcd(40, 100) is 20. The common factor and an octave of b are drawn first, then b, then a; the fewer values of
        a were possible, the more seldom the pair is kept, so that all pairs are kept equally often.
        """
        first_a, span_a = self._first[0, chosen], self._span[0, chosen]
        octave = octaves.draw(chosen, counter)
        common, unit = octaves.factor[octave], octaves.lowest[octave]
        unit = unit + counter.below(octaves.units[octave])
        a, of_a = _multiple(unit, first_a, span_a, counter)
        keep = counter.shares(len(chosen)) * octaves.most[octave] < of_a.astype(float)
        keep &= (np.gcd(unit * common, 10**self._division.places) == common).astype(bool)
        return np.where(keep, a, first_a), np.where(keep, unit * common, self._first[1, chosen]), keep


class _Octaves:
    """The divisors of exact division, grouped by stratum, common factor, and octave (a number up to its double).

    A divisor is common factor x unit, and each multiple of the unit is a dividend. Within an octave the divisor with
    most dividends has about twice as many as the one with fewest.
    """

    def __init__(self, strata: list[Stratum], division: Division, dtype: Any) -> None:
        rows, ends, last = [], [], []
        for number, stratum in enumerate(strata):
            of_stratum = list(_octaves(stratum, division)) if stratum.operation == "/" else []
            pairs = list(accumulate(units * most for _, _, units, most in of_stratum))
            rows += of_stratum
            ends += [number + some / pairs[-1] for some in pairs]  # a stratum has the numbers from its own to the next
            last.append(len(rows) - 1)
        columns = list(zip(*rows, strict=True)) or [()] * 4
        self.factor, self.lowest, self.units = (np.array(column, dtype=dtype) for column in columns[:3])
        self.most = np.array([float(most) for most in columns[3]])
        """a bound on the dividends of each divisor"""
        self._ends, self._last = np.array(ends), np.array(last)

    def draw(self, chosen: NDArray[np.int64], counter: Counter) -> NDArray[np.int64]:
        """A random octave of each stratum, in proportion to a bound on its pairs: (n,) -> n rows of the columns."""
        rows = np.searchsorted(self._ends, chosen + counter.shares(len(chosen)), side="right")
        # The sum may be rounded up to the next stratum.
        within: NDArray[np.int64] = np.minimum(rows, self._last[chosen])
        return within


def _octaves(stratum: Stratum, division: Division) -> Iterator[tuple[int, int, int, int]]:
    """Common factor, lowest unit, number of units, and a bound on the dividends of each."""
    (first_a, end_a), (first_b, end_b) = stratum.a_range, stratum.b_range
    powers = range(division.places + 1)
    for factor in (2**two * 5**five for two in powers for five in powers):
        lowest, highest = max(-(-first_b // factor), 1), (end_b - 1) // factor
        while lowest <= highest:
            units = min(lowest, highest - lowest + 1)
            yield factor, lowest, units, (end_a - first_a - 1) // lowest + 1
            lowest *= 2


def _multiple(unit: Integers, first: Integers, span: Integers, counter: Counter) -> tuple[Integers, Integers]:
    """A uniform multiple of `unit` in [first, first + span), and how many there are; below 1 if none."""
    lowest = -(-first // unit)
    count = (first + span - 1) // unit - lowest + 1
    return (lowest + counter.below(np.maximum(count, 1))) * unit, count


def list_split(stratum: Stratum, division: Division, split: str, dtype: np.dtype[Any]) -> Problems:
    """Every problem of the stratum in this split, in order of a, then b."""
    problems = stratum.all_problems(division, dtype)
    return problems.rows(split_of(problems) == SPLITS.index(split))
