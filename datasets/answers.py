"""Reads answers as people write them, and says whether one is the exact answer to a problem.

| written                                    | read as                                                          |
|--------------------------------------------|------------------------------------------------------------------|
| `140`, `140.0`, `+140`, `1e2`, `nineteen`  | a number, by the rules of `numerals`; of two readings, both      |
| `7/2`, `\\frac{7}{2}`, `3 1/2`, `350 %`     | a fraction, a mixed number, a percentage                         |
| `3r2`, `3 R 2`, `3 remainder 2`            | a quotient and its remainder                                     |
| `0.3333`, `0.333...`, `0.33…`              | also a longer number rounded to these places, or cut there       |
| `12 + 7 = 19`, `The answer is 19.`         | what stands behind; also behind `####`, as in GSM8K              |
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from bench.datasets.expressions import plain_text
from bench.datasets.numerals import OPERAND, readings

OPERATE = {"+": Fraction.__add__, "-": Fraction.__sub__, "*": Fraction.__mul__, "/": Fraction.__truediv__}
MOST_MAGNITUDE = 1000
"""Digits or places of an answer; what has more is not read."""

_A, _B = rf"(?P<a>{OPERAND})", rf"(?P<b>{OPERAND})"
_FRACTION = re.compile(rf"{_A}(?:\s*/\s*{_B})?(?P<percent>\s*\\?%)?", re.ASCII)
_MIXED = re.compile(r"(?P<sign>[+-]?)\s*(?P<a>\d+)\s*(?:and )?\(?(?P<b>\d+)\)?\s*/\s*\(?(?P<c>\d+)\)?", re.ASCII)
_REMAINDER = re.compile(rf"{_A}\s*,?\s*(?:with )?(?:a )?(?:remainder|rest|rem|r)[.:]?\s*(?:of )?{_B}", re.ASCII)
_BEFORE = re.compile(
    r"(?:(?s:.*####)|.*=|(?:so |thus )?,?\s*(?:the )?(?:answer|result)(?: is|:)|a:|\u2248|approximately|about)\s*"
)
_CUT = re.compile(r"(?:\.{3}|\u2026)$")


@dataclass(frozen=True)
class Reading:
    """One reading of an answer."""

    value: Fraction
    remainder: Fraction | None = None
    place: Fraction = Fraction(0)
    """what one more in its last digit is worth, where it shows places; 0 of a fraction and of an integer"""
    cut: bool = False
    """`...` stands behind it"""


def read_answer(text: str) -> list[Reading]:
    """All readings of an answer, none where it is no number."""
    try:
        plain = plain_text(text)
    except ValueError:
        return []
    cut = bool(_CUT.search(plain))
    plain = _CUT.sub("", plain).rstrip(" .")
    while found := _BEFORE.match(plain):
        plain = plain[found.end() :]
    return [Reading(*parts, cut=cut) for parts in _parts(plain)]


def same_number(one: str, *others: str) -> bool:
    """Whether an answer is the same number, or quotient and remainder, as one of the others, in some reading."""
    known = {(reading.value, reading.remainder) for other in others for reading in read_answer(other)}
    return any((reading.value, reading.remainder) in known for reading in read_answer(one))


def is_answer(text: str, a: str, op: str, b: str) -> bool:
    """Whether some reading of a text is the exact answer to `a op b`, or what its own places show of that.

    Of a half both roundings are right: a suite rounds it away from zero, Python to the even digit.
    """
    one, other = Fraction(a), Fraction(b)
    exact = OPERATE[op](one, other)
    for reading in read_answer(text):
        if reading.remainder is not None:
            whole = op == "/" and reading.value.denominator == 1 and abs(reading.remainder) < abs(other)
            if whole and reading.value * other + reading.remainder == one:
                return True
        else:
            rounded = abs(reading.value - exact) <= reading.place / 2
            short = abs(exact) - abs(reading.value)
            if rounded or (reading.cut and 0 <= short < reading.place and reading.value * exact >= 0):
                return True
    return False


def _parts(plain: str) -> Iterator[tuple[Fraction, Fraction | None, Fraction]]:
    """(value, remainder, place) of each reading."""
    if found := _FRACTION.fullmatch(plain):
        percent = Fraction(1, 100) if found["percent"] else Fraction(1)
        for a, place in _numbers(found["a"]):
            if found["b"] is None:
                yield a * percent, None, place * percent if place * percent != 1 else Fraction(0)
            else:
                yield from ((a / b * percent, None, Fraction(0)) for b, _ in _numbers(found["b"]) if b)
    if (found := _MIXED.fullmatch(plain)) and int(found["c"]):
        value = int(found["a"]) + Fraction(int(found["b"]), int(found["c"]))
        yield -value if found["sign"] == "-" else value, None, Fraction(0)
    if found := _REMAINDER.fullmatch(plain):
        for a, _ in _numbers(found["a"]):
            yield from ((a, b, Fraction(0)) for b, _ in _numbers(found["b"]))


def _numbers(operand: str) -> Iterator[tuple[Fraction, Fraction]]:
    """(value, what one more in its last digit is worth) of each reading."""
    for number in readings(operand):
        exponent = number.as_tuple().exponent
        if isinstance(exponent, int) and abs(exponent) <= MOST_MAGNITUDE:
            yield Fraction(number), Fraction(10) ** exponent
