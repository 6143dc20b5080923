"""Strata: the groups that problems are drawn from. A stratum is one (operation, digits, signs, places).

`digits` counts the integer part of an operand (0.05 has one digit), `places` is the larger of the two operands' decimal
places. Within a stratum every problem is equally likely, in training and in evaluation.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.datasets.decimals import Integers, canonical, integer_dtype
from bench.datasets.problems import OPERATIONS, Division, Problems, terminates

LISTED_PAIRS = 10**5
"""Of a stratum with at most this many pairs of operands all problems are listed; from a larger one they are drawn."""
LISTED_DIVISION_PAIRS = 10**7
"""The same for exact division, where few pairs are problems."""


@dataclass(frozen=True)
class Stratum:
    """`operation` one of + - * /; `digits` of both operands; `signs` such as '+-'; decimal `places`."""

    operation: str
    a_digits: int
    b_digits: int
    signs: str
    places: int

    @property
    def digits(self) -> str:
        return f"{self.a_digits}x{self.b_digits}"

    def __str__(self) -> str:
        return f"{self.operation} {self.digits} {self.signs} {self.places}"

    @cached_property
    def a_range(self) -> tuple[int, int]:
        """First and one past the last magnitude of a, in units of 10**-places."""
        return _magnitudes(self.a_digits, self.places, zero=self.signs[0] == "+")

    @cached_property
    def b_range(self) -> tuple[int, int]:
        return _magnitudes(self.b_digits, self.places, zero=self.signs[1] == "+" and self.operation != "/")

    @property
    def pairs(self) -> int:
        """The number of pairs of operands; not all are problems, since places and exact division exclude some."""
        return (self.a_range[1] - self.a_range[0]) * (self.b_range[1] - self.b_range[0])

    def is_listed(self, division: Division) -> bool:
        """Whether all problems are listed, rather than drawn."""
        exact = self.operation == "/" and division.rule == "exact"
        return self.pairs <= (LISTED_DIVISION_PAIRS if exact else LISTED_PAIRS)

    def all_problems(self, division: Division, dtype: np.dtype[Any]) -> Problems:
        """Every problem of the stratum, in order of a, then b, with mantissas of `dtype`."""
        a, b = (np.arange(*bounds).astype(dtype) for bounds in (self.a_range, self.b_range))
        a, b = np.repeat(a, len(b)), np.tile(b, len(a))
        places = np.full(len(a), self.places, np.int64)
        keep = fits(a, b, places)
        if self.operation == "/" and division.rule == "exact":
            keep &= terminates(a, b, division.places)
        a, b = (-x[keep] if sign == "-" else x[keep] for x, sign in zip((a, b), self.signs, strict=True))
        code = np.full(len(a), OPERATIONS.index(self.operation), np.uint8)
        return Problems(code, *canonical(a, places[keep]), *canonical(b, places[keep]))


def fits(a: Integers, b: Integers, places: Integers) -> NDArray[np.bool_]:
    """Whether at least one of the operands needs all of `places`: 1.20 and 3.00 belong to a stratum of one place."""
    fitting: NDArray[np.bool_] = ((places == 0) | (a % 10 != 0) | (b % 10 != 0)).astype(bool)
    return fitting


def _magnitudes(digits: int, places: int, zero: bool) -> tuple[int, int]:
    first = 10 ** (digits - 1 + places) if digits > 1 else 0 if zero else 1
    return first, 10 ** (digits + places)


def dtype_for(strata: list[Stratum], division: Division) -> np.dtype[Any]:
    """int64 if it holds every number that arises in drawing, solving and writing these problems, else object."""
    widest = 0
    for s in strata:
        a, b = s.a_digits + s.places, s.b_digits + s.places
        product = a + b
        # 9.99 / 0.01 = 999 has as many digits as 9.99, and is written in a column beside products of twice the places.
        quotient = a + division.places + 1 + max(b, division.places, 2 * s.places)
        widest = max(widest, product, quotient if s.operation == "/" else 0, max(a, b) + 1)
    return integer_dtype(widest)
