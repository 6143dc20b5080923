"""Answers against `fractions` and `decimal`, up to 100 digits; facts of problems against slow twins."""

import re
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.datasets.problems import NO_PROBLEMS, SIGNS, Division, DivisionRule, Problems, carries, solve, terminates
from bench.datasets.strata import Stratum, dtype_for

WRITTEN = re.compile(r"(?!-0$)-?(0|[1-9]\d*)(\.\d*[1-9])?")
"""0 has one digit and no sign; no '+', no zeros at either end, no bare point"""
RULES: tuple[DivisionRule, ...] = ("exact", "rounded", "fraction", "remainder")


@st.composite
def numbers(draw: st.DrawFn, most_digits: int = 100, most_places: int = 20) -> Fraction:
    """A decimal of 1 to `most_digits` integer digits, each length equally likely, and up to `most_places`."""
    digits, places = draw(st.integers(1, most_digits)), draw(st.integers(0, most_places))
    first = 0 if digits == 1 else 10 ** (digits - 1 + places)
    return draw(st.sampled_from([1, -1])) * Fraction(draw(st.integers(first, 10 ** (digits + places) - 1)), 10**places)


def answers_of(problems: Problems, division: Division) -> list[str]:
    answers = solve(problems, division)
    return [answers.text(row) for row in range(len(answers))]


@given(st.lists(st.tuples(numbers(), st.sampled_from("+-*"), numbers()), min_size=1, max_size=5))
def test_sums_differences_products(twins: Any, rows: list[tuple[Fraction, str, Fraction]]) -> None:
    texts = [(twins.plain(a), operation, twins.plain(b)) for a, operation, b in rows]
    assert answers_of(twins.columns(texts), Division()) == [twins.answer(row, "exact", 0) for row in texts]


@pytest.mark.parametrize("rule", ["rounded", "fraction", "remainder"])
@given(
    rows=st.lists(st.tuples(numbers(), numbers().filter(bool)), min_size=1, max_size=5),
    places=st.integers(0, 20),
)
def test_quotients(twins: Any, rule: Any, rows: list[tuple[Fraction, Fraction]], places: int) -> None:
    texts = [(twins.plain(a), "/", twins.plain(b)) for a, b in rows]
    assert answers_of(twins.columns(texts), Division(rule, places)) == [twins.answer(t, rule, places) for t in texts]


@given(
    rows=st.lists(st.tuples(numbers(), numbers().filter(bool)), min_size=1, max_size=5),
    places=st.integers(0, 20),
)
def test_exact_quotients(twins: Any, rows: list[tuple[Fraction, Fraction]], places: int) -> None:
    wanted = [round(quotient, places) for quotient, _ in rows]
    texts = [(twins.plain(quotient * b), "/", twins.plain(b)) for quotient, (_, b) in zip(wanted, rows, strict=True)]
    assert answers_of(twins.columns(texts), Division("exact", places)) == [twins.plain(q) for q in wanted]


@given(quotient=st.integers(-(10**6), 10**6), divisor=numbers(30, 5).filter(bool), places=st.integers(0, 5))
def test_ties_are_rounded_away_from_zero(twins: Any, quotient: int, divisor: Fraction, places: int) -> None:
    tie = (quotient + Fraction(1, 2)) / 10**places
    written = answers_of(
        twins.columns([(twins.plain(tie * divisor), "/", twins.plain(divisor))]), Division("rounded", places)
    )
    away = quotient + (quotient >= 0)
    assert written == [twins.plain(Fraction(away, 10**places))]


INT64_SHAPES = [
    (a, b, places, Division(rule, kept))
    for a, b, places, rule, kept in product(range(1, 9), range(1, 9), range(0, 7, 2), RULES, range(0, 9, 2))
    if dtype_for([Stratum(op, a, b, "++", places) for op in "+-*/"], Division(rule, kept)) == np.int64
]


@given(shape=st.sampled_from(INT64_SHAPES), data=st.data())
def test_int64_columns_never_overflow(twins: Any, shape: tuple[int, int, int, Division], data: st.DataObject) -> None:
    """Where `dtype_for` says int64, all four operations side by side are answered as by unbounded integers."""
    a, b, places, division = shape
    rows = []
    for operation, signs in product("+-*/", ("++", "-+")):
        stratum = Stratum(operation, a, b, signs, places)
        magnitudes = [
            Fraction(data.draw(st.sampled_from([first, end - 1]) | st.integers(first, end - 1)), 10**places)
            for first, end in (stratum.a_range, stratum.b_range)
        ]
        x, y = (-m if sign == "-" else m for m, sign in zip(magnitudes, signs, strict=True))
        if operation == "/" and division.rule == "exact":
            y = Fraction(2 ** data.draw(st.integers(0, min(division.places, b))))
        rows.append((twins.plain(x), operation, twins.plain(y)))
        if operation == "/" and division.rule == "exact" and (x / y * 10**division.places).denominator > 1:
            rows.pop()
    expected = [twins.answer(row, division.rule, division.places) for row in rows]
    assert answers_of(twins.columns(rows, np.int64), division) == expected
    assert answers_of(twins.columns(rows, object), division) == expected


@given(st.lists(st.tuples(numbers(6, 3), st.sampled_from("+-*/"), numbers(6, 3).filter(bool)), min_size=1, max_size=5))
def test_everything_is_written_by_the_same_rules(twins: Any, rows: list[tuple[Fraction, str, Fraction]]) -> None:
    problems = twins.columns([(twins.plain(a), operation, twins.plain(b)) for a, operation, b in rows])
    for rule in ("rounded", "fraction", "remainder"):
        answers = solve(problems, Division(rule, 2))
        for row in range(len(rows)):
            a, _, b = problems.texts(row)
            for text in (a, b, *re.split("[/r]", answers.text(row))):
                assert WRITTEN.fullmatch(text), text


@pytest.mark.parametrize(
    ("a", "operation", "b", "rule", "written"),
    [
        ("5", "-", "5", "exact", "0"),
        ("-5", "+", "5", "exact", "0"),
        ("0", "*", "-7", "exact", "0"),
        ("-0.5", "*", "0.2", "exact", "-0.1"),
        ("99.9", "+", "0.1", "exact", "100"),
        ("7", "/", "2", "exact", "3.5"),
        ("-1", "/", "0.04", "exact", "-25"),
        ("-7", "/", "3", "rounded", "-2.33"),
        ("1", "/", "8", "rounded", "0.13"),
        ("-1", "/", "8", "rounded", "-0.13"),
        ("-1", "/", "999", "rounded", "0"),
        ("9.99", "/", "1.001", "rounded", "9.98"),
        ("7", "/", "2", "fraction", "7/2"),
        ("-7", "/", "3", "fraction", "-7/3"),
        ("7", "/", "-3", "fraction", "-7/3"),
        ("-6", "/", "-3", "fraction", "2"),
        ("0", "/", "-3", "fraction", "0"),
        ("0.5", "/", "0.75", "fraction", "2/3"),
        ("7", "/", "2", "remainder", "3r1"),
        ("-7", "/", "3", "remainder", "-2r-1"),
        ("7", "/", "-3", "remainder", "-2r1"),
        ("-7", "/", "-3", "remainder", "2r-1"),
        ("-1", "/", "3", "remainder", "0r-1"),
        ("6", "/", "3", "remainder", "2r0"),
        ("2.5", "/", "0.7", "remainder", "3r0.4"),
    ],
)
def test_worked_answers(twins: Any, a: str, operation: str, b: str, rule: Any, written: str) -> None:
    for dtype in (np.int64, object):
        assert answers_of(twins.columns([(a, operation, b)], dtype), Division(rule, 2)) == [written]


def test_exact_refuses_what_does_not_terminate(twins: Any) -> None:
    with pytest.raises(ValueError, match=r"'exact': a quotient needs more than 2 places"):
        solve(twins.columns([("1", "/", "4"), ("1", "/", "8")]), Division("exact", 2))
    assert terminates(np.array([1, 1, 1]), np.array([4, 8, 3]), 2).tolist() == [True, False, False]


def test_facts_of_operands(twins: Any) -> None:
    problems = twins.columns([("0.05", "+", "-120"), ("-12.5", "*", "7.25"), ("0", "-", "-0.5")])
    assert problems.a_digits.tolist() == [1, 2, 1]
    assert problems.b_digits.tolist() == [3, 1, 1]
    assert problems.places.tolist() == [2, 2, 1]
    assert [SIGNS[code] for code in problems.signs] == ["+-", "-+", "+-"]
    assert [problems.texts(row) for row in range(3)] == [
        ("0.05", "+", "-120"),
        ("-12.5", "*", "7.25"),
        ("0", "-", "-0.5"),
    ]


def slow_carries(a: str, operation: str, b: str) -> int:
    """Carries or borrows digit by digit, as on paper."""
    if operation in "*/":
        return -1
    split = [text.lstrip("-").partition(".")[::2] for text in (a, b)]
    whole, decimals = (max(len(parts[i]) for parts in split) for i in (0, 1))
    x, y = (left.rjust(whole, "0") + right.ljust(decimals, "0") for left, right in split)
    adds = (a.startswith("-") == b.startswith("-")) == (operation == "+")
    carry = count = 0
    for upper, lower in zip(reversed(max(x, y)), reversed(min(x, y)), strict=True):
        column = int(upper) + int(lower) + carry if adds else int(upper) - int(lower) - carry
        carry = int(not 0 <= column <= 9)
        count += carry
    return count


@given(st.lists(st.tuples(numbers(), st.sampled_from("+-*/"), numbers()), min_size=1, max_size=5))
def test_carries_as_on_paper(twins: Any, rows: list[tuple[Fraction, str, Fraction]]) -> None:
    texts = [(twins.plain(a), operation, twins.plain(b)) for a, operation, b in rows]
    assert carries(twins.columns(texts)).tolist() == [slow_carries(*row) for row in texts]


def test_carries_of_all_small_sums(twins: Any) -> None:
    texts = [(str(a), op, str(b)) for a, op, b in product(range(-25, 26), "+-", range(-25, 26))]
    assert carries(twins.columns(texts, np.int64)).tolist() == [slow_carries(*row) for row in texts]


@pytest.mark.parametrize(
    ("a", "operation", "b", "count"),
    [
        ("5", "-", "-7", 1),
        ("13", "+", "-8", 1),
        ("999", "+", "1", 3),
        ("100", "-", "1", 2),
        ("1", "-", "100", 2),
        ("12", "+", "34", 0),
        ("0.5", "+", "0.75", 1),
        ("9.5", "+", "0.75", 2),
        ("3", "*", "9", -1),
    ],
)
def test_worked_carries(twins: Any, a: str, operation: str, b: str, count: int) -> None:
    assert slow_carries(a, operation, b) == count
    assert carries(twins.columns([(a, operation, b)], np.int64)).tolist() == [count]


def test_no_problems() -> None:
    assert len(NO_PROBLEMS) == len(solve(NO_PROBLEMS, Division())) == len(carries(NO_PROBLEMS)) == 0


def test_rows_and_join(twins: Any) -> None:
    texts = [("1", "+", "2"), ("3", "-", "4"), ("5", "*", "6")]
    problems = twins.columns(texts)
    joined = Problems.join(
        [problems.rows(slice(1, None)), problems.rows(np.array([0])), problems.rows(np.zeros(3, bool))]
    )
    assert [joined.texts(row) for row in range(3)] == [texts[1], texts[2], texts[0]]
