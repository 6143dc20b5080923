"""Text forms against a formatter in plain Python."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.datasets.forms import Form, Symbols, push_left, push_right
from bench.datasets.problems import NO_PROBLEMS, Division, solve

FORMS = [Form(answer, operands, 4) for answer in ("plain", "reversed") for operands in ("plain", "padded")]


def read(row: Any) -> str:
    return "".join(chr(code) for code in row if code)


@pytest.mark.parametrize(
    ("form", "prompt", "target"),
    [
        (Form("plain", "plain"), "-12.5*7=", "-87.5"),
        (Form("reversed", "plain"), "-12.5*7=", "5.78-"),
        (Form("reversed", "padded", 2), "-12.5*07=", "5.78-"),
        (Form("plain", "padded", 3), "-012.5*007=", "-87.5"),
    ],
)
def test_worked_examples(twins: Any, form: Form, prompt: str, target: str) -> None:
    problems = twins.columns([("-12.5", "*", "7")])
    assert read(form.prompts(problems)[0]) == prompt
    assert read(form.answers(solve(problems, Division()))[0]) == target


@pytest.mark.parametrize(
    ("texts", "rule", "plain", "reverse"),
    [
        (("5", "-", "-3"), "exact", "5--3=", "8"),
        (("0", "*", "-3"), "exact", "0*-3=", "0"),
        (("0.05", "+", "0.95"), "exact", "0.05+0.95=", "1"),
        (("-7", "/", "3"), "fraction", "-7/3=", "3/7-"),
        (("-7", "/", "3"), "remainder", "-7/3=", "1-r2-"),
        (("7", "/", "2.5"), "remainder", "7/2.5=", "2r2"),
    ],
)
def test_corners(twins: Any, texts: Any, rule: Any, plain: str, reverse: str) -> None:
    problems = twins.columns([texts])
    assert read(Form().prompts(problems)[0]) == plain
    assert read(Form().answers(solve(problems, Division(rule)))[0]) == reverse


def padded(operand: str, digits: int) -> str:
    sign = "-" * operand.startswith("-")
    whole, point, decimals = operand.lstrip("-").partition(".")
    return sign + whole.zfill(digits) + point + decimals


NUMBERS = st.builds(Fraction, st.integers(-(10**40), 10**40), st.integers(0, 9).map(lambda places: 10**places))


@pytest.mark.parametrize("form", FORMS, ids=str)
@given(numbers=st.lists(st.tuples(NUMBERS, st.sampled_from("+-*"), NUMBERS), min_size=1, max_size=5))
def test_columns_are_written_like_single_problems(twins: Any, form: Form, numbers: list[Any]) -> None:
    rows = [(twins.plain(a), operation, twins.plain(b)) for a, operation, b in numbers]
    problems = twins.columns(rows)
    prompts, answers = form.prompts(problems), form.answers(solve(problems, Division()))
    least = 4 if form.operands == "padded" else 1
    for (a, operation, b), prompt, answer in zip(rows, prompts, answers, strict=True):
        assert read(prompt) == f"{padded(a, least)}{operation}{padded(b, least)}="
        assert prompt[-1] == ord("=")  # pushed to the right
        expected = twins.answer((a, operation, b), "exact", 0)
        assert read(answer) == (expected[::-1] if form.answer == "reversed" else expected)
        assert answer[0]  # pushed to the left
        assert form.read_answer(read(answer)) == expected


@pytest.mark.parametrize("answer", ["plain", "reversed"])
def test_answers_of_all_rules_are_read_back(twins: Any, answer: Any) -> None:
    """Answers with and without a second number in one column, so that some rows leave its cells empty."""
    texts = [(f"{a}", op, f"{b}") for a in range(-9, 10) for op in "+*/" for b in (-7, -2, 1, 3, 12)]
    form = Form(answer)
    for rule in ("rounded", "fraction", "remainder"):
        written = form.answers(solve(twins.columns(texts, np.int64), Division(rule, 2)))
        for problem, row in zip(texts, written, strict=True):
            expected = twins.answer(problem, rule, 2)
            assert read(row) == (expected if answer == "plain" else expected[::-1])
            assert form.read_answer(read(row)) == expected


GARBAGE = [
    "",
    "-",
    ".",
    "1.",
    ".5",
    "1.2.3",
    "--1",
    "1-",
    "+1",
    "1=",
    "<mask>",
    "1/",
    "r1",
    "1r2r3",
    "1//2",
    "1 2",
    "1\n",
    "٣",
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_no_answer(garbage: str) -> None:
    assert Form("plain").read_answer(garbage) == ""
    assert Form("reversed").read_answer(garbage[::-1]) == ""


def test_an_answer_is_read_in_its_direction() -> None:
    assert Form("plain").read_answer("-12") == "-12"
    assert Form("reversed").read_answer("21-") == "-12"
    assert Form("reversed").read_answer("-12") == ""


@given(st.lists(st.lists(st.integers(0, 3), min_size=5, max_size=5), min_size=1, max_size=6))
def test_pushing_keeps_order_and_drops_gaps(rows: list[list[int]]) -> None:
    cells: Symbols = np.array(rows, dtype=np.uint8)
    present = [[code for code in row if code] for row in rows]
    width = max(map(len, present))
    assert push_left(cells).tolist() == [row + [0] * (width - len(row)) for row in present]
    assert push_right(cells).tolist() == [[0] * (width - len(row)) + row for row in present]


def test_nothing_to_write() -> None:
    assert Form().prompts(NO_PROBLEMS).shape[0] == 0
    assert Form().answers(solve(NO_PROBLEMS, Division())).shape[0] == 0
