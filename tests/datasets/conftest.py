"""Slow twins: plain Python that writes, answers and hashes one problem at a time, with `fractions` and `decimal`.

A problem is a triple of texts here, ('-12.5', '*', '7'). Nothing of the code under test is used, but its dataclasses.
"""

import decimal
import json
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from bench.datasets.problems import OPERATIONS, Problems
from bench.datasets.suites import Suite

Texts = tuple[str, str, str]
EXACT = decimal.Context(prec=1000, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN, traps=[decimal.Inexact])
MASK_64 = 2**64 - 1


def plain(value: Fraction) -> str:
    """A terminating decimal as a person writes it; decimal.Inexact for another."""
    quotient = EXACT.divide(decimal.Decimal(value.numerator), decimal.Decimal(value.denominator))
    return format(quotient.normalize(EXACT), "f") if quotient else "0"


def answer(texts: Texts, rule: str, places: int) -> str:
    """The exact answer."""
    a, operation, b = Fraction(texts[0]), texts[1], Fraction(texts[2])
    if operation != "/":
        return plain({"+": a + b, "-": a - b, "*": a * b}[operation])
    match rule:
        case "exact":
            return plain(a / b)
        case "fraction":
            return str(a / b)
        case "remainder":
            truncated = int(a / b)
            return f"{truncated}r{plain(a - truncated * b)}"
    units = (abs(a / b) * 10**places + Fraction(1, 2)) // 1  # half away from zero
    return plain((1 if a / b > 0 else -1) * Fraction(units, 10**places))


def mantissa_and_places(text: str) -> tuple[int, int]:
    whole, _, decimals = text.partition(".")
    return int(whole + decimals), len(decimals)


def columns(problems: Iterable[Texts], dtype: Any = object) -> Problems:
    """Problems in columns from their canonical texts."""
    rows = list(problems)
    codes = np.array([OPERATIONS.index(operation) for _, operation, _ in rows], dtype=np.uint8)
    operands = []
    for which in (0, 2):
        numbers = [mantissa_and_places(row[which]) for row in rows]
        operands += [np.array([m for m, _ in numbers], dtype=dtype), np.array([p for _, p in numbers], dtype=np.int64)]
    return Problems(codes, *operands)


def mix(state: int, word: int) -> int:
    """SplitMix64's finaliser, one word at a time."""
    x = ((state ^ word) + 0x9E3779B97F4A7C15) & MASK_64
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK_64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK_64
    return x ^ (x >> 31)


def mix_integer(state: int, magnitude: int) -> int:
    state = mix(state, magnitude & 0xFFFFFFFF)
    while magnitude := magnitude >> 32:
        state = mix(state, magnitude & 0xFFFFFFFF)
    return state


def split(texts: Texts) -> str:
    """The split of a problem, from canonical texts."""
    keys = [mix_integer(mix(0, places), abs(m)) for m, places in map(mantissa_and_places, (texts[0], texts[2]))]
    if texts[1] != "/":
        keys.sort()
    key = mix(mix({"+": 0, "-": 0, "*": 1, "/": 2}[texts[1]], keys[0]), keys[1])
    return (*["train"] * 8, "validation", "test")[(key >> 32) % 10]


def fingerprint(texts: Texts) -> int:
    """64 bits of a problem as it stands."""
    state = mix(0, OPERATIONS.index(texts[1]))
    for text in (texts[0], texts[2]):
        mantissa, places = mantissa_and_places(text)
        state = mix_integer(mix(state, 2 * places + text.startswith("-")), abs(mantissa))
    return state


def suite(**settings: Any) -> Suite:
    """A suite of two-digit sums, or of what `settings` say, checked as a suite file is."""
    defaults = {"budget": "examples=1k", "parameters": 1000}
    content = {"name": "t", "version": 1, "summary": "s", "operations": ["+"], "digits": ["2x2"], "defaults": defaults}
    return Suite.model_validate_json(json.dumps(content | settings))


class Twins:
    """The functions above by name, for the fixture."""

    plain = staticmethod(plain)
    answer = staticmethod(answer)
    columns = staticmethod(columns)
    mix = staticmethod(mix)
    mix_integer = staticmethod(mix_integer)
    split = staticmethod(split)
    fingerprint = staticmethod(fingerprint)
    suite = staticmethod(suite)


@pytest.fixture(scope="session")
def twins() -> type[Twins]:
    return Twins
