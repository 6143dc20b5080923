"""Workings are those that a person writes on paper, and what they say comes to the answer, at any length."""

import doctest
from fractions import Fraction
from math import gcd
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.datasets.problems import Division
from bench.datasets.strata import Stratum
from bench.datasets.writing import workings as module
from bench.datasets.writing.encoding import Encoding
from bench.datasets.writing.forms import TEXTS, Form
from bench.datasets.writing.tokenizers import Characters
from bench.datasets.writing.workings import WORKINGS_END, Workings, first_mistake

SUMS, ROWS, QUOTIENTS = "+-", "*", "/"


def read(row: Any) -> str:
    return "".join(TEXTS[code] for code in row if code)


@pytest.mark.parametrize(
    ("texts", "workings"),
    [
        (("128", "+", "367"), "51,90,40:"),
        (("-95", "+", "-5"), "01,01:"),
        (("13", "-", "8"), "51,00:"),
        (("3", "-", "5"), "20:"),
        (("5", "-", "-3"), "80:"),
        (("0.5", "+", "0.75"), "50,21,10:"),
        (("67", "*", "38"), "536,2010:"),
        (("-6.7", "*", "0.03"), "201:"),
        (("9", "*", "-20"), "0,180:"),
        (("0", "*", "0"), "0:"),
        (("67", "*", "238"), "536,2010,13400:"),
        (("84", "/", "7"), "8,1,7,14,2,14,0:"),
        (("-84", "/", "-7"), "8,1,7,14,2,14,0:"),
        (("7", "/", "8"), "7,0,0.70,8,64,60,7,56,40,5,40,0:"),
        (("1.5", "/", "0.25"), "150,6,150,0:"),
        (("0", "/", "-3"), "0,0,0,0:"),
    ],
)
def test_worked_examples(twins: Any, texts: Any, workings: str) -> None:
    """Alone, and beside longer problems whose columns, rows and steps they must not borrow."""
    beside = [texts, ("9999", "+", "1"), ("-123.45", "*", "678"), ("1000", "-", "0.01"), ("98765", "/", "-1.25")]
    for problems in (twins.columns([texts]), twins.columns(beside), twins.columns(beside, np.int64)):
        form = Form("plain", workings="scratchpad")
        written = read(form.targets(problems, Division("exact", 3))[0])
        assert written == workings + twins.answer(texts, "exact", 3)
        assert form.workings_of(written) == workings
        assert form.read_answer(written) == twins.answer(texts, "exact", 3)


@pytest.mark.parametrize(
    ("texts", "rule", "kind", "answer", "target"),
    [
        (("67", "*", "238"), "exact", "scratchpad-sums", "plain", "536,2010,2546,13400:15946"),
        (("67", "*", "238"), "exact", "scratchpad-sums", "reversed", "635,0102,6452,00431:64951"),
        (("67", "*", "38"), "exact", "scratchpad-sums", "plain", "536,2010:2546"),
        (("84", "/", "7"), "exact", "scratchpad-sums", "plain", "14,21,28,35,42,49,56,63,8,1,7,14,2,14,0:12"),
        (("84", "/", "7"), "exact", "scratchpad-sums", "reversed", "41,12,82,53,24,94,65,36,8,1,7,41,2,41,0:21"),
        (("7", "/", "8"), "rounded", "scratchpad", "plain", "7,0,0.70,8,64,60,7,56,40,5,40,0:0.88"),
        (("7", "/", "8"), "rounded", "scratchpad", "reversed", "7,0,0.07,8,46,06,7,65,04,5,04,0:88.0"),
        (("2", "/", "3"), "rounded", "scratchpad", "plain", "2,0,0.20,6,18,20,6,18,20,6,18,2:0.67"),
        (("-85", "/", "7"), "remainder", "scratchpad", "plain", "8,1,7,15,2,14,1:-12r-1"),
        (("84", "/", "36"), "fraction", "scratchpad", "plain", "2,12,2,1,3,0,7,3:7/3"),
        (("-3", "/", "4"), "fraction", "scratchpad", "plain", "0,3,0,1,1,1,1,1,3,0,3,4:-3/4"),
        (("0", "/", "5"), "fraction", "scratchpad", "plain", "0,0,0,1:0"),
    ],
)
def test_each_rule_and_kind(twins: Any, texts: Any, rule: Any, kind: Workings, answer: Any, target: str) -> None:
    form = Form(answer, workings=kind)
    beside = [texts, ("9999", "/", "101"), ("12.5", "+", "5"), ("3", "*", "123456")]
    beside += [("55", "/", "89")] if rule != "exact" else []
    for problems in (twins.columns([texts]), twins.columns(beside), twins.columns(beside, np.int64)):
        assert read(form.targets(problems, Division(rule, 2))[0]) == target


def columns_on_paper(larger: int, smaller: int, adds: bool, columns: int) -> list[str]:
    steps, carry = [], 0
    for column in range(columns):
        low, high = smaller // 10**column % 10, larger // 10**column % 10
        value = high + low + carry if adds else high - low - carry
        carry = int(not 0 <= value <= 9)
        steps.append(f"{value % 10}{carry}")
    return steps


def division_on_paper(a: int, b: int, decimals: int) -> tuple[list[int], list[int], int]:
    """The numbers of the steps before the point, those behind it, and what is left."""
    digits = str(a)
    first = next((n for n in range(1, len(digits) + 1) if int(digits[:n]) >= b), len(digits))
    whole, behind = [], []
    divided = int(digits[:first])
    for digit in [*digits[first:], ""]:
        whole += [divided, divided // b, divided // b * b]
        left = divided % b
        divided = int(f"{left}{digit}")
    while left and len(behind) < 3 * decimals:
        behind += [10 * left, 10 * left // b, 10 * left // b * b]
        left = 10 * left % b
    return whole, behind, left


def on_paper(texts: Any, division: Division, kind: str, reverse: bool) -> str:
    """Workings in plain Python, number by number."""

    def show(number: int) -> str:
        return str(number)[::-1] if reverse else str(number)

    (a, places_a), (b, places_b) = (
        (int(text.lstrip("-").replace(".", "")), len(text.partition(".")[2])) for text in texts[::2]
    )
    places = max(places_a, places_b)
    if texts[1] == "*":
        rows = [a * int(digit) * 10**place for place, digit in enumerate(str(b)[::-1])]
        shown = []
        for count, row in enumerate(rows, 1):
            shown += [row, *([sum(rows[:count])] if kind == "scratchpad-sums" and 1 < count < len(rows) else [])]
        return ",".join(map(show, shown)) + ":"
    a, b = a * 10 ** (places - places_a), b * 10 ** (places - places_b)
    if texts[1] in SUMS:
        adds = (texts[0].startswith("-") == texts[2].startswith("-")) == (texts[1] == "+")
        return ",".join(columns_on_paper(max(a, b), min(a, b), adds, max(len(str(max(a, b))), places + 1))) + ":"
    if division.rule == "fraction":
        numbers, (p, q), (r, s), x, y = [], (1, 0), (0, 1), a, b
        while y:
            times, (x, y) = x // y, (y, x % y)
            (p, q), (r, s) = (times * p + r, times * q + s), (p, q)
            numbers += [times, y, p, q]
        return ",".join(map(show, numbers)) + ":"
    decimals = {"exact": division.places, "rounded": division.places + 1}.get(division.rule, 0)
    whole, behind, left = division_on_paper(a, b, decimals)
    point = "." if behind else ""
    if kind == "scratchpad-sums":
        whole = [*range(2 * b, 10 * b, b), *whole]
    return ",".join(map(show, whole)) + point + ",".join(map(show, behind)) + f",{show(left)}:"


def said(workings: str, texts: Any, division: Division, reverse: bool) -> Fraction:
    """The magnitude of the answer that workings come to, by what they say alone."""
    body = workings.removesuffix(WORKINGS_END)
    places = [len(text.partition(".")[2]) for text in texts[::2]]

    def number(text: str) -> int:
        return int(text[::-1] if reverse else text)

    if texts[1] in SUMS:
        steps = body.split(",")
        total = sum(int(step[0]) * 10**place for place, step in enumerate(steps)) + int(steps[-1][1]) * 10 ** len(steps)
        return Fraction(total, 10 ** max(places))
    if texts[1] == "*":
        numbers = list(map(number, body.split(",")))
        return Fraction(sum(numbers), 10 ** sum(places))
    if division.rule == "fraction":
        numerator, denominator = map(number, body.split(",")[-2:])
        assert gcd(numerator, denominator) == 1
        return Fraction(numerator, denominator)
    whole, _, behind = body.partition(".")
    steps = whole.split(",") + (behind.split(",") if behind else [])
    before = len(whole.split(",")) // 3
    digits = "".join(steps[1::3])
    return Fraction(int(digits[:before])) + Fraction(int(digits[before:] or 0), 10 ** len(digits[before:]))


NUMBERS = st.builds(Fraction, st.integers(-(10**40), 10**40), st.integers(0, 9).map(lambda places: 10**places))
LONG = st.builds(Fraction, st.integers(-(10**100), 10**100), st.integers(0, 20).map(lambda places: 10**places))
DIVISIONS = st.builds(Division, st.sampled_from(["rounded", "fraction", "remainder"]), st.integers(0, 5))


@pytest.mark.parametrize("answer", ["plain", "reversed"])
@given(
    numbers=st.lists(
        st.tuples(NUMBERS | LONG, st.sampled_from("+-*/"), (NUMBERS | LONG).filter(bool)), min_size=1, max_size=4
    ),
    division=DIVISIONS,
    kind=st.sampled_from(["scratchpad", "scratchpad-sums"]),
)
def test_workings_are_those_on_paper_and_come_to_the_answer(
    twins: Any, answer: Any, numbers: list[Any], division: Division, kind: Workings
) -> None:
    rows = [(twins.plain(a), operation, twins.plain(b)) for a, operation, b in numbers]
    problems, form = twins.columns(rows), Form(answer, workings=kind)
    for texts, target in zip(rows, form.targets(problems, division), strict=True):
        expected = twins.answer(texts, division.rule, division.places)
        workings = form.workings_of(read(target))
        assert workings == on_paper(texts, division, kind, answer == "reversed")
        assert form.read_answer(read(target)) == expected
        assert "".join(form.answer_symbols(read(target))) == "".join(form.spell(expected))
        if kind == "scratchpad-sums" and texts[1] == "*":
            continue
        if kind == "scratchpad-sums" and texts[1] == "/" and division.rule != "fraction":
            workings = workings.split(",", 8)[-1]  # behind the multiples
        come_to = said(workings, texts, division, answer == "reversed")
        if texts[1] == "/" and division.rule == "rounded":
            come_to = Fraction((come_to * 10**division.places + Fraction(1, 2)) // 1, 10**division.places)
        assert come_to == abs(Fraction(expected.partition("r")[0]))


@pytest.mark.parametrize(("a", "b", "places"), [(1, 1, 0), (2, 1, 0), (2, 2, 0), (1, 1, 1)])
@pytest.mark.parametrize("rule", ["exact", "rounded", "remainder", "fraction"])
def test_widths_are_those_of_the_longest_quotient(rule: Any, a: int, b: int, places: int) -> None:
    """Of all problems of a stratum. Of fractions the longest workings are bounded, not known."""
    division, stratum = Division(rule, 2), Stratum("/", a, b, "+-", places)
    problems = stratum.all_problems(division, np.dtype(np.int64))
    kinds: tuple[Workings, ...] = ("scratchpad", "scratchpad-sums")
    for kind in kinds:
        encoding = Encoding([stratum], division, Form("plain", workings=kind), Characters)
        longest = np.count_nonzero(encoding.encode(problems).answer, axis=1).max()
        spare = 4 * (kind == "scratchpad-sums")  # twice to nine times b need not all have a digit more than b
        assert 0 <= encoding.answer_width - longest <= (11 if rule == "fraction" else 2 + spare)


@pytest.mark.parametrize(
    ("given", "right", "operation", "rule", "kind", "mistake"),
    [
        ("51,91,40:", "51,90,40:", "+", "exact", "scratchpad", "column 2"),
        ("51,90:", "51,90,40:", "-", "exact", "scratchpad", "column 3"),
        ("51,90,40,00:", "51,90,40:", "+", "exact", "scratchpad", "end"),
        ("536,2010,2556,13400:", "536,2010,2546,13400:", "*", "exact", "scratchpad-sums", "sum 1"),
        ("536,2010,2546,13401:", "536,2010,2546,13400:", "*", "exact", "scratchpad-sums", "row 3"),
        ("536,2011,13400:", "536,2010,13400:", "*", "exact", "scratchpad", "row 2"),
        ("9,1,7,14,2,14,0:", "8,1,7,14,2,14,0:", "/", "exact", "scratchpad", "divided 1"),
        ("8,1,7,14,2,15,0:", "8,1,7,14,2,14,0:", "/", "remainder", "scratchpad", "taken 2"),
        ("8,1,7,14,2,14,1:", "8,1,7,14,2,14,0:", "/", "exact", "scratchpad", "left"),
        (
            "7,0,0,70,8,64,60,7,56,40,5,40,0:",
            "7,0,0.70,8,64,60,7,56,40,5,40,0:",
            "/",
            "rounded",
            "scratchpad",
            "divided 2",
        ),
        ("14,22,28:", "14,21,28,35,42,49,56,63,8,1,7,14,2,14,0:", "/", "exact", "scratchpad-sums", "multiple 3"),
        (
            "14,21,28,35,42,49,56,63,8,1,7,14,3,14,0:",
            "14,21,28,35,42,49,56,63,8,1,7,14,2,14,0:",
            "/",
            "exact",
            "scratchpad-sums",
            "times 2",
        ),
        ("2,12,2,1,3,1,7,3:", "2,12,2,1,3,0,7,3:", "/", "fraction", "scratchpad", "left 2"),
        ("2,12,2,1,3,0,7,4:", "2,12,2,1,3,0,7,3:", "/", "fraction", "scratchpad", "denominator 2"),
        ("", "2,12,2,1,3,0,7,3:", "/", "fraction", "scratchpad", "times 1"),
    ],
)
def test_the_first_mistake_is_named_by_part_and_step(
    given: str, right: str, operation: str, rule: Any, kind: Workings, mistake: str
) -> None:
    assert first_mistake(given, right, operation, Division(rule), kind) == mistake
    assert first_mistake(right, right, operation, Division(rule), kind) == ""


def test_worked_examples_of_the_docstrings() -> None:
    tried = doctest.testmod(module)
    assert (tried.failed, tried.attempted) == (0, 3)
