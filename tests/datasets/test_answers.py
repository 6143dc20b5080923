from fractions import Fraction

import pytest

from bench.datasets.answers import is_answer, read_answer, same_number


def test_the_value_of_an_answer() -> None:
    for text in (
        " -7/2 ",
        "-\\frac{7}{2}",
        "-3.50",
        "-3,5",
        "-3 1/2",
        "-350 %",
        "\u22123.5",
        "x = -3.5",
        "It is = -3.5",
    ):
        assert [reading.value for reading in read_answer(text)] == [Fraction(-7, 2)], text
    for text in ("", "x", "1/0", "1/2/3", "nineteen apples", "1e9999", "-", "\u00bd"):
        assert read_answer(text) == [], text
    assert [reading.value for reading in read_answer("1,234")] == [1234, Fraction("1.234")]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        *(
            (text, "12 + 7")
            for text in (
                "19",
                "19.0",
                "+19",
                "\uff11\uff19",
                "nineteen",
                "12 + 7 = 19",
                "The answer is 19.",
                "12+7\\n#### 19",
            )
        ),
        *(
            (text, "1 / 3")
            for text in ("1/3", "0.3", "0.33", "0.3333", "0.333...", "0.33\u2026", "\u2248 0.33", "0,33", "33 %")
        ),
        *(
            (text, "56 / 18")
            for text in ("3r2", "3 R 2", "3 r 2", "3 remainder 2", "3, remainder 2", "3 \\mathrm{r} 2")
        ),
        *((text, "-7 / 3") for text in ("-2r-1", "-3 r 2", "-2 1/3", "-2.33")),
        *((text, "2 / 3") for text in ("0.67", "0.666...", "4/6")),
        *((text, "1 / 8") for text in ("0.12", "0.13", "0.125")),
        *((text, "1000 + 234") for text in ("1,234", "1 234", "1.234e3", "1.2e3")),
        *((text, "1.23 * 4.56") for text in ("5.6088", "5.61")),
    ],
)
def test_an_answer_is_right_at_the_precision_that_it_shows(text: str, problem: str) -> None:
    assert is_answer(text, *problem.split())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        *((text, "12 + 7") for text in ("18", "19.1", "twenty", "-19", "", "r", "19 r 1")),
        *((text, "1 / 3") for text in ("0", "0.34", "0.3334", "-0.33", "3")),
        *((text, "56 / 18") for text in ("3", "3r1", "2r20", "3.2")),
        *((text, "2 / 3") for text in ("0.66", "1", "0.65...")),
        ("86", "12 * 7.2"),  # an integer shows no places
    ],
)
def test_another_number_is_no_answer(text: str, problem: str) -> None:
    assert not is_answer(text, *problem.split())


def test_the_same_number_is_not_a_rounded_one() -> None:
    assert same_number("12.50", "12.5")
    assert same_number("3 R 2", "3r2")
    assert same_number("1,000", "1000")
    assert same_number("1/3", "0.33", "1/3")
    assert not same_number("0.3333", "0.33", "1/3")
    assert not same_number("", "0")
