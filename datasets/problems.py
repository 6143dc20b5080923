"""Arithmetic problems in columns, and their exact answers.

A problem is two signed decimals and an operation. `solve` answers a whole column under one rule of division:

| rule        | problems and answers                    | 7 / 2 | -7 / 3 (2 places) |
|-------------|-----------------------------------------|-------|-------------------|
| `exact`     | only what terminates within k places    | 3.5   | never asked       |
| `rounded`   | anything; k places, half away from zero | 3.5   | -2.33             |
| `fraction`  | anything; reduced                       | 7/2   | -7/3              |
| `remainder` | anything; quotient truncated towards 0  | 3r1   | -2r-1             |
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from bench.datasets.decimals import Integers, canonical, digit_count, digit_matrix, powers_of_ten, write_decimal

OPERATIONS = "+-*/"
Signs = Literal["++", "+-", "-+", "--"]
SIGNS: tuple[Signs, ...] = ("++", "+-", "-+", "--")
DivisionRule = Literal["exact", "fraction", "rounded", "remainder"]


@dataclass(frozen=True)
class Division:
    """How a quotient is written: the rule, and `places` decimals for `exact` and `rounded`."""

    rule: DivisionRule = "exact"
    places: int = 2

    def __str__(self) -> str:
        return {
            "exact": f"exact, to {self.places} places at most",
            "rounded": f"rounded to {self.places} places, half away from zero",
            "fraction": "as a reduced fraction",
            "remainder": "quotient truncated towards zero, and remainder",
        }[self.rule]


class Columns:
    """A dataclass of equally long arrays that can be indexed and joined row by row."""

    def _arrays(self) -> list[NDArray[np.generic]]:
        return [getattr(self, field.name) for field in fields(self)]  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self._arrays()[0])

    def rows(self, index: slice | NDArray[np.integer] | NDArray[np.bool_]) -> Self:
        """The chosen rows, by slice, positions or mask."""
        return type(self)(*(array[index] for array in self._arrays()))

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """All rows of `parts`, in order."""
        return cls(*(np.concatenate(columns) for columns in zip(*(part._arrays() for part in parts), strict=True)))


@dataclass(frozen=True)
class Problems(Columns):
    """n problems. Operands are canonical decimals (see `decimals.canonical`); all arrays have shape (n,)."""

    operation: NDArray[np.uint8]
    """index into `OPERATIONS`"""
    a: Integers
    """signed mantissa of the first operand"""
    a_places: NDArray[np.int64]
    b: Integers
    b_places: NDArray[np.int64]

    @property
    def a_digits(self) -> NDArray[np.int64]:
        """Digits of the integer part of the first operand; 0.05 has one."""
        return digit_count(abs(self.a) // powers_of_ten(self.a_places, self.a.dtype))

    @property
    def b_digits(self) -> NDArray[np.int64]:
        return digit_count(abs(self.b) // powers_of_ten(self.b_places, self.b.dtype))

    @property
    def places(self) -> NDArray[np.int64]:
        """The larger of the two operands' decimal places."""
        return np.maximum(self.a_places, self.b_places)

    @property
    def signs(self) -> NDArray[np.int64]:
        """Index into `SIGNS`; 0 counts as +."""
        signs: NDArray[np.int64] = 2 * (self.a < 0).astype(np.int64) + (self.b < 0).astype(np.int64)
        return signs

    def texts(self, row: int) -> tuple[str, str, str]:
        """One problem as a person writes it: ('-12.5', '*', '7')."""
        return (
            write_decimal(int(self.a[row]), int(self.a_places[row])),
            OPERATIONS[self.operation[row]],
            write_decimal(int(self.b[row]), int(self.b_places[row])),
        )


NO_PROBLEMS = Problems(np.zeros(0, np.uint8), *(np.zeros(0, np.int64) for _ in range(4)))


@dataclass(frozen=True)
class Answers(Columns):
    """n exact answers: a canonical decimal, and for fractions and remainders a second number behind a symbol."""

    value: Integers
    """signed mantissa of the answer, of the numerator, or of the truncated quotient"""
    places: NDArray[np.int64]
    joint: NDArray[np.uint8]
    """0 where there is no second number, else the symbol between the two: ord('/') or ord('r')"""
    second: Integers
    """signed mantissa of the denominator or remainder; 0 where there is none"""
    second_places: NDArray[np.int64]

    def text(self, row: int) -> str:
        """One answer as a person writes it: '-12.5', '7/2', '3r1'."""
        value = write_decimal(int(self.value[row]), int(self.places[row]))
        if not self.joint[row]:
            return value
        return value + chr(self.joint[row]) + write_decimal(int(self.second[row]), int(self.second_places[row]))


def aligned_operands(problems: Problems) -> tuple[Integers, Integers, NDArray[np.int64]]:
    """Both mantissas scaled to the problem's own `places`: 1.5 and 0.25 -> 150, 25, 2."""
    places = problems.places
    if not places.any():
        return problems.a, problems.b, places
    dtype = problems.a.dtype
    a = problems.a * powers_of_ten(places - problems.a_places, dtype)
    b = problems.b * powers_of_ten(places - problems.b_places, dtype)
    return a, b, places


def solve(problems: Problems, division: Division) -> Answers:
    """The exact answer of each problem.

    Raises:
        ValueError: under the rule `exact`, a quotient does not terminate within `division.places`.
    """
    n = len(problems)
    a, b, places = aligned_operands(problems)
    value, value_places = np.zeros(n, dtype=problems.a.dtype), places.copy()
    joint, second, second_places = np.zeros(n, np.uint8), np.zeros(n, dtype=problems.a.dtype), np.zeros(n, np.int64)
    for code in np.unique(problems.operation):
        rows = problems.operation == code
        match OPERATIONS[code]:
            case "+":
                value[rows] = a[rows] + b[rows]
            case "-":
                value[rows] = a[rows] - b[rows]
            case "*":
                value[rows] = problems.a[rows] * problems.b[rows]
                value_places[rows] = problems.a_places[rows] + problems.b_places[rows]
            case _ if division.rule in ("exact", "rounded"):
                value[rows] = _quotient(a[rows], b[rows], division)
                value_places[rows] = division.places
            case _ if division.rule == "fraction":
                divisor = np.gcd(abs(a[rows]), abs(b[rows]))
                value[rows] = np.sign(b[rows]) * a[rows] // divisor
                value_places[rows] = 0
                second[rows] = abs(b[rows]) // divisor
                joint[rows] = np.where(second[rows] == 1, 0, ord("/"))
            case _:
                sign = np.sign(a[rows]) * np.sign(b[rows])
                value[rows] = sign * (abs(a[rows]) // abs(b[rows]))
                value_places[rows] = 0
                second[rows] = a[rows] - value[rows] * b[rows]
                second_places[rows] = places[rows]
                joint[rows] = ord("r")
    second[joint == 0] = 0
    second, second_places = canonical(second, second_places)
    return Answers(*canonical(value, value_places), joint, second, second_places)


def terminates(a: Integers, b: Integers, places: int) -> NDArray[np.bool_]:
    """Whether a / b (mantissas at equal places, b not 0) has at most `places` decimals."""
    terminating: NDArray[np.bool_] = (a * 10**places % b == 0).astype(bool)
    return terminating


def no_answer(problems: Problems, division: Division) -> list[str]:
    """Why each problem has no answer under the rule, as the end of a sentence about it; '' where it has one."""
    reasons = [""] * len(problems)
    a, b, _ = aligned_operands(problems)
    divides = problems.operation == OPERATIONS.index("/")
    for row in np.flatnonzero(divides):
        if not b[row]:
            reasons[row] = "divides by zero"
        elif division.rule == "exact" and not terminates(a[row : row + 1], b[row : row + 1], division.places)[0]:
            reasons[row] = f"has a quotient of more than {division.places} places (division: {division})"
    return reasons


def _quotient(a: Integers, b: Integers, division: Division) -> Integers:
    """a / b in units of 10**-division.places."""
    scaled = abs(a) * 10**division.places
    divisor = abs(b)
    if division.rule == "exact" and not terminates(a, b, division.places).all():
        raise ValueError(f"division rule 'exact': a quotient needs more than {division.places} places")
    magnitude = (2 * scaled + divisor) // (2 * divisor)  # rounds half away from zero; exact quotients stay as they are
    quotient: Integers = np.sign(a) * np.sign(b) * magnitude
    return quotient


def by_columns(problems: Problems) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Sums and differences of the magnitudes as on paper, from the last column on: three arrays of (n, columns).

    They are the digit written, the carry or borrow to the next column, and whether the problem has this column: it has
    as many as the longer operand, written with the places of both. The signs decide between sum and difference: 5 - -7
    adds the magnitudes (2, carry 1), 13 + -8 subtracts the smaller from the larger (5, borrow 1; then 0). Rows of * and
    / hold no meaningful values.
    """
    a, b, places = aligned_operands(problems)
    a, b = abs(a), abs(b)
    larger, smaller = np.maximum(a, b), np.minimum(a, b)
    count = np.maximum(digit_count(larger), places + 1)
    width = int(count.max(initial=1))
    digits_larger = digit_matrix(larger, width).astype(np.int64)[:, ::-1]
    digits_smaller = digit_matrix(smaller, width).astype(np.int64)[:, ::-1]
    opposite_signs = (problems.a < 0) != (problems.b < 0)
    subtracts = opposite_signs ^ (problems.operation == OPERATIONS.index("-"))
    digits, carried = np.empty_like(digits_larger), np.empty_like(digits_larger)
    carry = np.zeros(len(problems), np.int64)
    for column in range(width):
        x, y = digits_larger[:, column], digits_smaller[:, column]
        column_sum = np.where(subtracts, x - y - carry, x + y + carry)
        carry = ((column_sum < 0) | (column_sum > 9)).astype(np.int64)
        digits[:, column], carried[:, column] = column_sum % 10, carry
    return digits, carried, np.arange(width) < count.reshape(-1, 1)


def carries(problems: Problems) -> NDArray[np.int64]:
    """Carries or borrows of each sum or difference of magnitudes (`by_columns`), -1 for * and /: (n,)."""
    _, carried, _ = by_columns(problems)
    return np.where(problems.operation <= OPERATIONS.index("-"), carried.sum(axis=1), -1)
