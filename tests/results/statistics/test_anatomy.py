"""Every class of wrong answers: its worked example, its limits, and its place in the order."""

import doctest
import itertools

import pandas as pd
import pytest

from bench.results.statistics import anatomy
from bench.results.statistics.anatomy import CLASSES, WrongAnswer, anatomy_frame, carry_lost, classify, examples


def class_of(problem: str, answer: str, prediction: str, raw: str = "", ended: bool = True) -> str:
    a, op, b = problem.split()
    row = {"split": "test", "right": 0, "a": a, "op": op, "b": b, "answer": answer, "prediction": prediction}
    return str(classify(pd.DataFrame([row | {"raw": raw or prediction[::-1], "ended": int(ended)}])).iloc[0])


def test_the_order_is_that_of_the_rule() -> None:
    rule = "no end token, wrong length, wrong sign, one digit off, a carry lost, right digits in the wrong order, other"
    assert list(CLASSES) == rule.split(", ")


def test_the_worked_examples_are_true() -> None:
    assert doctest.testmod(anatomy).failed == 0
    finder = doctest.DocTestFinder()
    for fits in CLASSES.values():
        worked = finder.find(fits)[0].examples
        assert any(example.want == "True\n" for example in worked)


@pytest.mark.parametrize(
    ("problem", "answer", "prediction", "expected"),
    [
        ("58 + 67", "125", "15", "wrong length"),
        ("58 + 67", "125", "-15", "wrong length"),  # the sign too is wrong, but length comes first
        ("58 + 67", "125", "-125", "wrong sign"),
        ("3 - 5", "-2", "2", "wrong sign"),
        ("3 - 3", "0", "-0", "wrong sign"),
        ("3 - 15", "-12", "57", "wrong sign"),  # whatever the digits
        ("58 + 67", "125", "115", "one digit off"),  # a carry lost as well
        ("58 + 67", "125", "175", "one digit off"),
        ("5.8 + 6.7", "12.5", "1.25", "right digits in the wrong order"),  # the point is in the wrong place
        ("5.8 + 6.4", "12.2", "1.25", "other"),  # point and digit
        ("1455 + 545", "2000", "1990", "a carry lost"),
        ("-1455 - 545", "-2000", "-1900", "a carry lost"),
        ("14.55 + 5.45", "20", "19", "a carry lost"),  # of the tenths
        ("2003 - 7", "1996", "2006", "a carry lost"),
        ("-7 + 2003", "1996", "2096", "a carry lost"),
        ("2003 - 7", "1996", "1986", "one digit off"),
        ("2003 - 7", "1996", "1896", "one digit off"),
        ("67 * 8", "536", "486", "a carry lost"),
        ("8 * 67", "536", "486", "a carry lost"),
        ("67 * 8", "536", "353", "other"),
        ("58 + 67", "125", "512", "right digits in the wrong order"),
        ("58 + 67", "125", "149", "other"),
        ("7 / 2", "7/2", "2/7", "right digits in the wrong order"),
        ("-7 / 3", "-2r-1", "-2r1", "wrong sign"),
        ("7 / 3", "2r1", "2.1", "other"),  # a wrong symbol, but no wrong digit
        ("900 / 5", "180", "178", "other"),  # carries are none of division's
    ],
)
def test_the_first_class_that_fits_is_taken(problem: str, answer: str, prediction: str, expected: str) -> None:
    assert class_of(problem, answer, prediction) == expected


@pytest.mark.parametrize(
    ("raw", "ended", "expected"),
    [
        ("", True, "wrong length"),
        ("2", True, "wrong length"),
        ("21<mask>-", True, "wrong length"),
        ("2<mask>-", True, "other"),  # a special token is one symbol
        ("-21", True, "right digits in the wrong order"),
        ("2--", True, "wrong length"),
        ("2=-", True, "other"),
        ("21-", False, "no end token"),
        ("2222", False, "no end token"),
    ],
)
def test_what_is_no_number_is_judged_by_its_symbols(raw: str, ended: bool, expected: str) -> None:
    assert class_of("5 - 17", "-12", "", raw, ended) == expected


def test_a_carry_lost_is_what_a_careless_hand_writes() -> None:
    """Columns done by hand, each carry dropped in turn, against the class: sums, differences and products."""

    def digit(number: int, place: int) -> int:
        return number // 10**place % 10

    def by_hand(x: int, y: int, sign: int, drop: int | None) -> int:
        """x + sign * y column by column, the carry out of column `drop` forgotten."""
        total = carry = 0
        for place in range(6):
            column = digit(x, place) + sign * (digit(y, place) + carry)
            total += column % 10 * 10**place
            carry = int(not 0 <= column <= 9 and place != drop)
        return total

    def times_digit(x: int, y: int, drop: int | None) -> int:
        total = carry = 0
        for place in range(6):
            column = digit(x, place) * y + carry
            total += column % 10 * 10**place
            carry = column // 10 * (place != drop)
        return total

    def fits(a: int, op: str, b: int, answer: int, prediction: int) -> bool:
        return carry_lost(WrongAnswer(str(a), op, str(b), str(answer), str(prediction)))

    def check(a: int, op: str, b: int, answer: int, outcomes: set[int]) -> int:
        """Of all numbers that differ in one column, those that fit are what comes out by hand."""
        others = {answer + amount * 10**place for amount in range(-9, 10) for place in range(5)}
        assert outcomes - {answer} == {other for other in others if other >= 0 and fits(a, op, b, answer, other)}
        return len(outcomes - {answer})

    lost = 0
    for a, b in itertools.product((1, 58, 999, 2003, 1455, 87_654), (0, 7, 67, 545, 999)):
        for op, sign in (("+", 1), ("-", -1)) if a >= b else (("+", 1),):
            assert by_hand(a, b, sign, None) == a + sign * b
            lost += check(a, op, b, a + sign * b, {by_hand(a, b, sign, drop) for drop in range(6)})
    for a, b in itertools.product((5, 67, 989), range(1, 10)):
        assert times_digit(a, b, None) == a * b
        lost += check(a, "*", b, a * b, {times_digit(a, b, drop) for drop in range(6)})
    assert lost > 100
    # 23 * 45: rows 115 and 920; 10 is carried in the first, 100 in the second, 1000 in their sum 1035.
    assert [p for p in range(1035) if fits(23, "*", 45, 1035, p)] == [35, 935, 1025]


def test_a_carry_is_found_whatever_the_signs_and_places() -> None:
    for a, op, b, answer, prediction in [
        ("-14.55", "-", "5.45", "-20", "-19.9"),
        ("14.55", "-", "-5.45", "20", "19.9"),
        ("-5.45", "+", "20", "14.55", "15.55"),
        ("20", "-", "5.45", "14.55", "14.65"),
        ("0.67", "*", "-0.8", "-0.536", "-0.486"),
    ]:
        assert carry_lost(WrongAnswer(a, op, b, answer, prediction)), (a, op, b)
    assert not carry_lost(WrongAnswer("1.5", "+", "1.5", "3", "2.99"))
    assert not carry_lost(WrongAnswer("10", "/", "5", "2", "1"))


def test_right_answers_and_those_to_the_training_split_have_no_class(predictions: pd.DataFrame) -> None:
    classes = classify(predictions.sample(frac=1, random_state=2))
    wrong = (predictions["right"] == 0) & (predictions["split"] == "test")
    assert ((classes.sort_index() != "") == wrong).all()
    assert set(classify(predictions.assign(right=1))) == {""}


def test_the_counts_sum_to_all_wrong_answers(predictions: pd.DataFrame) -> None:
    cut = predictions.assign(ended=0)
    frame = anatomy_frame({("lstm", 0): predictions, ("lstm", 3): cut})
    wrong = len(predictions.query("right == 0 and split == 'test'"))
    assert list(frame.columns) == ["architecture", "seed", "class", "count"]
    assert list(frame["class"]) == list(CLASSES) * 2
    assert frame.groupby("seed")["count"].sum().to_dict() == {0: wrong, 3: wrong}
    assert list(frame.query("seed == 3")["count"]) == [wrong, 0, 0, 0, 0, 0, 0]
    assert (frame.query("seed == 0 and `class` in ('wrong length', 'one digit off')")["count"] > 0).all()


def test_examples_are_real_spread_over_the_classes_and_the_same_every_time(predictions: pd.DataFrame) -> None:
    cells = {("lstm", 0): predictions, ("gru", 0): predictions.assign(right=1), ("lstm", 1): predictions}
    shown = examples(cells)
    assert len(shown) == 10
    assert set(shown["architecture"]) == {"lstm"}
    assert set(shown["seed"]) == {0, 1}
    counts = shown["class"].value_counts()
    assert set(counts.index) == set(classify(predictions)) - {""}
    assert counts.max() - counts.min() <= 1
    assert shown["item"].is_unique  # though both seeds were wrong on the same
    classes = classify(predictions)
    for row in shown.itertuples():
        asked = predictions.loc[row.item]
        assert (row.a, row.op, row.b, row.answer, row.raw) == tuple(asked[["a", "op", "b", "answer", "raw"]])
        assert classes[row.item] == shown.loc[row.Index, "class"]
    pd.testing.assert_frame_equal(examples(cells), shown)


def test_few_wrong_answers_are_all_shown(predictions: pd.DataFrame) -> None:
    few = predictions.iloc[:20]
    wrong = few.query("right == 0 and split == 'test'")
    assert 0 < len(wrong) < 10
    assert sorted(examples({("lstm", 0): few})["item"]) == list(wrong["item"])
    assert len(examples({("lstm", 0): predictions.assign(right=1)})) == 0
    assert list(examples({}).columns) == list(examples({("lstm", 0): few}).columns)
