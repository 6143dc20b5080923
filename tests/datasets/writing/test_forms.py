"""Text forms against a formatter in plain Python."""

import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.datasets.problems import NO_PROBLEMS, Division, solve
from bench.datasets.writing.cells import Symbols, push_left, push_right
from bench.datasets.writing.forms import TEXTS, Form

FORMS = [
    Form(answer, operands, 4, 1 if operands == "plain" else 82, notation)
    for answer in ("plain", "reversed")
    for operands in ("plain", "padded")
    for notation in ("ascii", "latex")
]
LATEX_PRODUCT = re.compile(r"(-?[\d.]+) ([+-]|\\times) (?:\((-[\d.]+)\)|([\d.]+)) =")
LATEX_QUOTIENT = re.compile(r"\\frac\{(-?[\d.]+)\}\{(-?[\d.]+)\} =")


def read(row: Any) -> str:
    return "".join(TEXTS[code] for code in row if code)


def reverse(text: str) -> str:
    """Symbol by symbol, not letter by letter."""
    return "".join(re.findall(r"\\times|\\frac|\\mathrm\{r\}|.", text)[::-1])


def parse(prompt: str, notation: str) -> tuple[str, str, str]:
    """The problem that a prompt without padding asks, read by patterns of its own."""
    if notation == "latex":
        if quotient := LATEX_QUOTIENT.fullmatch(prompt):
            return quotient[1], "/", quotient[2]
        match = LATEX_PRODUCT.fullmatch(prompt)
        assert match, prompt
        return match[1], match[2].replace("\\times", "*"), match[3] or match[4]
    match = re.fullmatch(r"(-?[\d.]+)([-+*/])(-?[\d.]+)=", prompt)
    assert match, prompt
    return match[1], match[2], match[3]


@pytest.mark.parametrize(
    ("form", "prompt", "target"),
    [
        (Form("plain", "plain"), "-12.5*7=", "-87.5"),
        (Form("reversed", "plain"), "-12.5*7=", "5.78-"),
        (Form("reversed", "padded", 2), "-12.5*07=", "5.78-"),
        (Form("plain", "padded", 3), "-012.5*007=", "-87.5"),
        (Form(answer_digits=3), "-12.5*7=", "5.780-"),
        (Form(workings="scratchpad"), "-12.5*7=", "578:5.78-"),
        (Form(notation="latex"), r"-12.5 \times 7 =", "5.78-"),
        (Form("plain", "padded", 3, 4, "latex", "scratchpad"), r"-012.5 \times 007 =", "875:-0087.5"),
    ],
)
def test_worked_examples(twins: Any, form: Form, prompt: str, target: str) -> None:
    problems = twins.columns([("-12.5", "*", "7")])
    assert read(form.prompts(problems)[0]) == prompt
    assert read(form.targets(problems, Division())[0]) == target


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


@pytest.mark.parametrize(
    ("texts", "rule", "prompt", "target"),
    [
        (("5", "-", "-3"), "exact", "5 - (-3) =", "8"),
        (("-5", "+", "-0.5"), "exact", "-5 + (-0.5) =", "-5.5"),
        (("0", "*", "-3"), "exact", r"0 \times (-3) =", "0"),
        (("-7", "/", "3"), "fraction", r"\frac{-7}{3} =", r"-\frac{7}{3}"),
        (("8", "/", "-2"), "fraction", r"\frac{8}{-2} =", "-4"),
        (("-7", "/", "3"), "remainder", r"\frac{-7}{3} =", r"-2 \mathrm{r} -1"),
    ],
)
def test_latex(twins: Any, texts: Any, rule: Any, prompt: str, target: str) -> None:
    problems = twins.columns([texts])
    for answer in ("plain", "reversed"):
        form = Form(answer, notation="latex")
        assert read(form.prompts(problems)[0]) == prompt
        written = read(form.answers(solve(problems, Division(rule)))[0])
        assert written == (target if answer == "plain" else reverse(target))
        person = twins.answer(texts, rule, 2)
        assert form.read_answer(written) == person
        assert "".join(form.spell(person)) == written


NUMBERS = st.builds(Fraction, st.integers(-(10**40), 10**40), st.integers(0, 9).map(lambda places: 10**places))


@pytest.mark.parametrize("form", FORMS, ids=str)
@given(numbers=st.lists(st.tuples(NUMBERS, st.sampled_from("+-*"), NUMBERS), min_size=1, max_size=5))
def test_columns_are_written_like_single_problems(twins: Any, form: Form, numbers: list[Any]) -> None:
    rows = [(twins.plain(a), operation, twins.plain(b)) for a, operation, b in numbers]
    problems = twins.columns(rows)
    prompts, answers = form.prompts(problems), form.answers(solve(problems, Division()))
    least = 4 if form.operands == "padded" else 1
    for (a, operation, b), prompt, answer in zip(rows, prompts, answers, strict=True):
        assert parse(read(prompt), form.notation) == (padded(a, least), operation, padded(b, least))
        assert prompt[-1] == ord("=")  # pushed to the right
        expected = twins.answer((a, operation, b), "exact", 0)
        filled = padded(expected, form.answer_digits)
        assert read(answer) == (filled[::-1] if form.answer == "reversed" else filled)
        assert answer[0]  # pushed to the left
        assert form.read_answer(read(answer)) == expected
        assert "".join(form.spell(expected)) == read(answer)


FRACTIONS = st.builds(Fraction, st.integers(-999, 999), st.integers(1, 999))


@given(values=st.lists(st.tuples(FRACTIONS, FRACTIONS.filter(bool)), min_size=1, max_size=5))
def test_latex_quotients_are_read_back(twins: Any, values: list[Any]) -> None:
    texts = [(str(a.numerator), "/", str(b.numerator)) for a, b in values]
    for rule, answer in (
        ("fraction", "plain"),
        ("fraction", "reversed"),
        ("remainder", "plain"),
        ("remainder", "reversed"),
    ):
        problems, form = twins.columns(texts), Form(answer, notation="latex")
        written = form.answers(solve(problems, Division(rule)))
        for problem, prompt, row in zip(texts, form.prompts(problems), written, strict=True):
            assert parse(read(prompt), "latex") == problem
            expected = twins.answer(problem, rule, 0)
            assert form.read_answer(read(row)) == expected
            assert "".join(form.spell(expected)) == read(row)


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


@pytest.mark.parametrize(
    "garbage", ["7/2", r"\frac{7}{2", r"\frac{}{2}", r"\frac{7}{-2}", r"7 \mathrm{r}", "3r1", r"\times", "7 ", "(7)"]
)
def test_garbage_is_no_answer_in_latex(garbage: str) -> None:
    assert Form("plain", notation="latex").read_answer(garbage) == ""


@pytest.mark.parametrize(
    ("written", "number"),
    [("51:15", "15"), (":15", "15"), ("51,15", ""), ("15", ""), ("51:", ""), ("51:15:15", ""), ("51:15,", "")],
)
def test_the_answer_stands_behind_the_first_end_of_workings(written: str, number: str) -> None:
    assert Form("plain", workings="scratchpad").read_answer(written) == number


def test_padded_answers_are_read_at_their_width() -> None:
    form = Form("plain", answer_digits=3)
    assert [form.read_answer(text) for text in ("007", "-000.5", "07", "1234", "000")] == ["7", "-0.5", "", "1234", "0"]


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


def test_an_answer_filled_up_with_more_zeros_than_its_form_asks_for_is_none() -> None:
    form = Form("plain", answer_digits=4)
    assert [form.read_answer(text) for text in ("0495", "00495", "495", "12345", "-0495", "-00495")] == [
        *("495", "", "", "12345", "-495", ""),
    ]
