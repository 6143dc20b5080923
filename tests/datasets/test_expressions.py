from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.datasets.decimals import write_decimal
from bench.datasets.expressions import as_problems, read_expression, read_number, read_operation, read_value

NUMBERS = st.builds(
    lambda mantissa, places: write_decimal(mantissa, places), st.integers(-(10**30), 10**30), st.integers(0, 5)
)
PLAIN = {"+": "+", "-": "\u2212", "*": "\u00d7", "/": "\u00f7"}
LATEX = {"+": "+", "-": "-", "*": "\\times", "/": "\\div"}
WORDS = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}


def texts(text: str) -> tuple[str, str, str]:
    return as_problems([read_expression(text)]).texts(0)


@given(NUMBERS, st.sampled_from("+-*/"), NUMBERS.filter(lambda text: float(text) != 0))
def test_every_way_of_writing_a_problem_is_read_as_that_problem(a: str, op: str, b: str) -> None:
    expected = (write_decimal(*_canonical(a)), op, write_decimal(*_canonical(b)))
    written = [
        f"{a}{op}{b}",
        f" {a} {PLAIN[op]} ({b}) = ?",
        f"${a} {LATEX[op]} {{{b}}} =$",
        f"What is {a} {WORDS[op]} {b}?",
        f"\n\nQ: What is 1 plus 1?\n\nA: 2\n\nQ: What is {a} {WORDS[op]} {b}?\n\nA:",
    ]
    if op == "/":
        written += [f"\\frac{{{a}}}{{{b}}}", f"\\dfrac{{{a}}}{{{b}}} =", f"Divide {a} by {b}."]
    for text in written:
        assert texts(text) == expected


def _canonical(text: str) -> tuple[int, int]:
    number = read_number(text)
    assert number.value == Fraction(text)
    return number.mantissa, number.places


@pytest.mark.parametrize(
    ("text", "a", "op", "b"),
    [
        ("-\\frac{1}{2}", "-1", "/", "2"),
        ("\\left( -3 \\right) \\cdot 4", "-3", "*", "4"),
        ("- 12 + - 5", "-12", "+", "-5"),
        ("5--3", "5", "-", "-3"),
        ("1,234.50 + .5", "1234.5", "+", "0.5"),
        ("1{,}234 - 007", "1234", "-", "7"),
        ("Subtract 3 from 10.", "10", "-", "3"),
        ("What is 3 less than -10?", "-10", "-", "3"),
        ("What is the difference between -3 and 7?", "7", "-", "-3"),
        ("Multiply -2 and 0.5.", "-2", "*", "0.5"),
        ("What is the product of 2 and 3?", "2", "*", "3"),
        ("Put together 1 and 2.", "1", "+", "2"),
        ("Question: How much is 4 take away 5?", "4", "-", "5"),
        ("0 / -3", "0", "/", "-3"),
    ],
)
def test_an_expression_is_read(text: str, a: str, op: str, b: str) -> None:
    assert texts(text) == (a, op, b)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is no operation"),
        ("7", "is no operation"),
        ("2**3", "is no operation"),
        ("12,34 + 5", "has 3 numbers"),
        ("What is (9+8)*2?", "has 3 numbers"),
        ("\\frac{1}{2} + \\frac{1}{3}", "has 4 numbers"),
        ("1/0", "divides by zero"),
        ("1/-0.0", "divides by zero"),
        ("9" * 101 + " + 1", "more than 100 digits"),
        ("0.123456789012345678901 + 1", "20 places"),
        ("\u0663 + \u0664", "is no operation"),  # digits, but not those of any suite
        ("1 +" + " " * 2000 + "1", "more than 1,000 symbols"),
        ("what is " * 100 + "?" * 150, "is no operation"),
    ],
)
def test_what_is_no_operation_on_two_numbers_says_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as error:
        read_expression(text)
    assert "\n" not in str(error.value)


def test_an_operation_stands_alone() -> None:
    assert [read_operation(text) for text in (" + ", "\u2212", "\\cdot", "divided by")] == ["+", "-", "*", "/"]
    for text in ("", "+-", "^", "plus plus"):
        with pytest.raises(ValueError, match="not one of"):
            read_operation(text)


def test_the_value_of_an_answer() -> None:
    assert read_value(" -7/2 ") == read_value("-\\frac{7}{2}") == read_value("-3.50") == Fraction(-7, 2)
    for text in ("", "x", "3r1", "1/0", "1/2/3", "9" * 5000):
        assert read_value(text) is None
