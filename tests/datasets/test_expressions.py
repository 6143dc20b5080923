from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.datasets.decimals import write_decimal
from bench.datasets.expressions import as_problems, read_expression, read_number, read_operation

NUMBERS = st.builds(
    lambda mantissa, places: write_decimal(mantissa, places), st.integers(-(10**30), 10**30), st.integers(0, 5)
)
PLAIN = {"+": "+", "-": "\u2212", "*": "\u00d7", "/": "\u00f7"}
LATEX = {"+": "+", "-": "-", "*": "\\times", "/": "\\div"}
WIDE = {symbol: symbol + 0xFEE0 for symbol in range(ord("!"), ord("~"))}
"""ASCII -> full width."""
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
        f"Question: What is 1 plus 1?\nAnswer: 2\n\nQuestion: What is {a} {WORDS[op]} {b}?\nAnswer:",
        f"1 + 1 = 2\n3 * 4 = 12\n{a} {op} {b} =",
        f"**Question 2:** Calculate: ({a} {op} {b})",
        f"`{a} {op} {b}`".translate(WIDE),
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
        ("1{,}234{,}567 - 007", "1234567", "-", "7"),
        ("Subtract 3 from 10.", "10", "-", "3"),
        ("What is 3 less than -10?", "-10", "-", "3"),
        ("What is the difference between -3 and 7?", "7", "-", "-3"),
        ("Multiply -2 and 0.5.", "-2", "*", "0.5"),
        ("What is the product of 2 and 3?", "2", "*", "3"),
        ("Put together 1 and 2.", "1", "+", "2"),
        ("Question: How much is 4 take away 5?", "4", "-", "5"),
        ("0 / -3", "0", "/", "-3"),
        ("Calculate the following. 12 + 7", "12", "+", "7"),
        ("Solve this problem.\n12 + 7", "12", "+", "7"),
        ("Answer the question: 12 + 7", "12", "+", "7"),
        ("Compute .5 + 3", "0.5", "+", "3"),
        ("\uff11\uff12\uff0b\uff15", "12", "+", "5"),
        ("12 x 7", "12", "*", "7"),
        ("12X-7", "12", "*", "-7"),
        ("12 \u2716\ufe0f 7", "12", "*", "7"),
        ("3\u00b75", "3", "*", "5"),
        ("12 \u2014 7", "12", "-", "7"),
        ("1\u20442", "1", "/", "2"),
        ("1e3 + 5", "1000", "+", "5"),
        ("1E+05 - 2.5E-2", "100000", "-", "0.025"),
        ("3,5 * 2", "3.5", "*", "2"),
        ("3,50 + 0,125", "3.5", "+", "0.125"),
        ("1 234 + 1\u202f234\u00a0567,5", "1234", "+", "1234567.5"),
        ("1\\,234 + 1'000", "1234", "+", "1000"),
        ("1,234,567 - 1.234,5", "1234567", "-", "1234.5"),
        ("1.234.567 - 1_000", "1234567", "-", "1000"),
        ("\\frac12", "1", "/", "2"),
        ("{1 \\over 2}", "1", "/", "2"),
        ("\\tfrac1{23}", "1", "/", "23"),
        ("\\cfrac 34", "3", "/", "4"),
        ("What\u2019s 12 + 7?", "12", "+", "7"),
        ("whats 12 + 7", "12", "+", "7"),
        ("What does 12 plus 7 equal?", "12", "+", "7"),
        ("Calculate: 12+7", "12", "+", "7"),
        ("Please compute the value of 12+7.", "12", "+", "7"),
        ("Compute 12+7, please.", "12", "+", "7"),
        ("Solve: 12+7 = ___", "12", "+", "7"),
        ("12+7=", "12", "+", "7"),
        ("(12 + 7)", "12", "+", "7"),
        ("five plus twenty-seven", "5", "+", "27"),
        ("What is two hundred and five thousand times negative three?", "205000", "*", "-3"),
        ("### Instruction:\nWhat is 12 + 7?\n\n### Response:", "12", "+", "7"),
        ("What is 3 + 4? 7\nWhat is 12 + 7?", "12", "+", "7"),
        ("3 plus 4 is 7.\n12 plus 7 is", "12", "+", "7"),
        ("User: 12 + 7?\nAssistant:", "12", "+", "7"),
        ("Q: 1 + 1\nA: 2\n" * 200 + "Q: 12 + 7\nA:", "12", "+", "7"),
    ],
)
def test_an_expression_is_read(text: str, a: str, op: str, b: str) -> None:
    assert texts(text) == (a, op, b)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it has no number"),
        ("7", "it has one number"),
        ("2**3", r"'\*\*' is not read"),
        ("12 * * 7", r"'\* \*' is not read"),
        ("-(5+3)", r"'-\(' is not read"),
        ("(5+3)*", r"'\)\*' is not read"),
        ("2(3)", r"'\(' is not read"),
        ("how much is 12 and 7?", "'and' is not read"),
        ("12 plus\tand 7", "'plus and' is not read"),
        ("The sum 12 + 7", "'the sum' is not read"),
        ("12\n7", r"'12\\n7' is not read"),
        ("3x+4", r"'x\+' is not read"),
        ("3x - 4", "'x -' is not read"),
        ("1,234 + 5", "has '1,234', which may be 1234 or 1.234"),
        ("1{,}234 - 7", "has '1,234', which may be 1234 or 1.234"),
        ("12,34,567 + 5", "has '12,34,567', which is no number"),
        ("12 34 + 5", "has '12 34', which is no number"),
        ("1 + 2\n345", "has 3 numbers"),
        ("1 + 2\t345", "has 3 numbers"),
        ("What is 3 + 4?\nWhat is 12 + 7?", "is not read"),
        ("\u00bd + 1", "'\u00bd' .VULGAR FRACTION ONE HALF. is not read"),
        ("2\u00b2 + 1", "SUPERSCRIPT TWO"),
        ("12 + 7 = \u2026", "HORIZONTAL ELLIPSIS"),
        ("5\u30fc3", "KATAKANA-HIRAGANA PROLONGED SOUND MARK"),
        ("12\u200b + 7", "ZERO WIDTH SPACE"),
        ("12 mod 7", "'mod' is not read"),
        ("12 : 7", "':' is not read"),
        ("5! + 3", "'!' is not read"),
        ("\\sqrt{2} + 1", r"'\\sqrt' is not read"),
        ("12 + 7 = 19", "'19' stands behind ="),
        ("Q: 12 + 7\nA: 19", "its last question has an answer"),
        ("1e1000 + 5", "more than 100 digits"),
        ("1e999999999 + 5", "more than 100 digits"),
        ("What is (9+8)*2?", "has 3 numbers"),
        ("\\frac{1}{2} + \\frac{1}{3}", "has 4 numbers"),
        ("1/0", "divides by zero"),
        ("1/-0.0", "divides by zero"),
        ("9" * 101 + " + 1", "more than 100 digits"),
        ("0.123456789012345678901 + 1", "20 places"),
        ("\u0663 + \u0664", "ARABIC-INDIC DIGIT THREE"),  # digits, but not those of any suite
        ("1 +" + " " * 2000 + "1", "more than 1,000 symbols"),
        ("what is " * 100 + "?" * 150, "is no operation"),
        ("1 " * 500, "is no operation"),
    ],
)
def test_what_is_no_operation_on_two_numbers_says_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as error:
        read_expression(text)
    assert "\n" not in str(error.value)


def test_an_operation_stands_alone() -> None:
    assert [read_operation(text) for text in (" + ", "\u2212", "\\cdot", "divided by", "X")] == [*"+-*/*"]
    for text in ("", "+-", "^", "plus plus"):
        with pytest.raises(ValueError, match="not one of"):
            read_operation(text)
