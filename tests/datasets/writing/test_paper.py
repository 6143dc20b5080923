"""Workings on paper: digit under digit, whatever a model wrote."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.datasets.problems import Division
from bench.datasets.writing.paper import in_latex, on_paper


def shown(texts: Any, answer: str, workings: str, rule: Any = "exact", reverse: bool = False) -> list[str]:
    return [line.text.rstrip() for line in on_paper(texts, answer, workings, Division(rule), reverse)]


@pytest.mark.parametrize(
    ("texts", "answer", "workings", "rule", "lines"),
    [
        (("128", "+", "367"), "495", "51,90,40:", "exact", ["   1", "  128", "+ 367", "-----", "  495"]),
        (("95", "+", "5"), "100", "01,01:", "exact", ["   1", "   95", "+   5", "-----", "  100"]),
        (("3", "-", "15"), "-12", "20,10:", "exact", ["  15", "-  3", "----", " -12"]),
        (("13", "-", "8"), "5", "51,00:", "exact", ["  1", "  13", "-  8", "----", "   5"]),
        (("0.5", "+", "-0.75"), "-0.25", "50,20,00:", "exact", ["  0.75", "- 0.50", "------", " -0.25"]),
        (("-0.5", "+", "-0.75"), "-1.25", "50,21,10:", "exact", ["  1", "  0.50", "+ 0.75", "------", " -1.25"]),
        (("9", "*", "8"), "72", "72:", "exact", ["  9", "* 8", "---", " 72"]),
        (
            ("67", "*", "238"),
            "15946",
            "536,2010,2546,13400:",
            "exact",
            ["   67", "* 238", "-----", "  536", " 2010", "-----", " 2546", "13400", "-----", "15946"],
        ),
        (
            ("-6.7", "*", "0.03"),
            "-0.201",
            "201:",
            "exact",
            ["    67", "   * 3", "------", "   201", "------", "-0.201"],
        ),
        (
            ("84", "/", "7"),
            "12",
            "8,1,7,14,2,14,0:",
            "exact",
            ["84 : 7 = 12", "7", "-", "14", "14", "--", " 0"],
        ),
        (
            ("84", "/", "7"),
            "12",
            "14,21,28,35,42,49,56,63,8,1,7,14,2,14,0:",
            "exact",
            ["7: 14 21 28 35 42 49 56 63", "84 : 7 = 12", "7", "-", "14", "14", "--", " 0"],
        ),
        (
            ("7", "/", "8"),
            "0.88",
            "7,0,0.70,8,64,60,7,56,40,5,40,0:",
            "rounded",
            [
                "7 : 8 = 0.875  (0.88)",
                *("0", "-", "70", "64", "--", " 60", " 56", " --", "  40", "  40", "  --", "   0"),
            ],
        ),
        (
            ("84", "/", "36"),
            "7/3",
            "2,12,2,1,3,0,7,3:",
            "fraction",
            ["84 = 2 * 36 + 12    2/1", "36 = 3 * 12 + 0     7/3"],
        ),
    ],
)
def test_a_person_writes_it_so(texts: Any, answer: str, workings: str, rule: Any, lines: list[str]) -> None:
    assert shown(texts, answer, workings, rule) == lines
    if texts[1] not in "+-":
        separators = [symbol for symbol in workings if symbol in ",."]
        parts = workings.rstrip(":").replace(".", ",").split(",")
        turned = "".join(part[::-1] + end for part, end in zip(parts, [*separators, ":"], strict=True))
        assert shown(texts, answer, turned, rule, reverse=True) == lines


def test_each_part_stands_in_a_line() -> None:
    lines = on_paper(("84", "/", "7"), "12", "8,1,7,14,2,14,0:", Division(), reverse=False)
    assert sorted(part for line in lines for part in line.parts) == list(range(7))
    assert [line.text for line in lines if 5 in line.parts] == ["14"]
    assert lines[4].text == "14"
    assert 4 in lines[0].parts  # how many times stands in the quotient


def test_each_multiple_stands_above() -> None:
    workings = "14,21,28,35,42,49,56,63,8,1,7,14,2,14,0:"
    lines = on_paper(("84", "/", "7"), "12", workings, Division(), reverse=False)
    assert sorted(part for line in lines for part in line.parts) == list(range(15))
    assert lines[0].parts == tuple(range(8))
    assert 12 in lines[1].parts  # how many times 7 goes into 14 stands in the quotient


SYMBOLS = st.text("0123456789,.:-r", max_size=40)


@given(
    texts=st.tuples(
        st.sampled_from(["7", "-12.5", "0", "99"]), st.sampled_from("+-*/"), st.sampled_from(["3", "-0.25", "80"])
    ),
    answer=SYMBOLS,
    workings=SYMBOLS,
    rule=st.sampled_from(["exact", "rounded", "remainder", "fraction"]),
    reverse=st.booleans(),
)
def test_whatever_a_model_wrote_is_shown(texts: Any, answer: str, workings: str, rule: Any, reverse: bool) -> None:
    lines = on_paper(texts, answer, workings, Division(rule), reverse)
    assert lines
    latex = in_latex(lines)
    assert latex.count("\\\\") + latex.count(r"\cline") == len(lines)


def test_latex_has_a_column_a_symbol_and_rules() -> None:
    lines = on_paper(("28", "*", "46"), "1288", "168,1120:", Division(), reverse=False)
    assert in_latex(lines).splitlines() == [
        r"\begin{array}{*{4}{c@{}}}",
        r" &  & 2 & 8 \\",
        r"\times &  & 4 & 6 \\",
        r"\cline{1-4}",
        r" & 1 & 6 & 8 \\",
        r"1 & 1 & 2 & 0 \\",
        r"\cline{1-4}",
        r"1 & 2 & 8 & 8 \\",
        r"\end{array}",
    ]
