"""Error anatomy: in what way answers are wrong. Each wrong answer is of the first class that fits, in a fixed order."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import pandas as pd

_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_SPECIAL_TOKEN = re.compile(r"<[a-z]+>")


@dataclass(frozen=True)
class WrongAnswer:
    """A problem and its wrong answer, in words of predictions.csv.gz."""

    a: str
    op: str
    b: str
    answer: str
    prediction: str
    """'' where what was generated is no number"""
    raw: str = ""
    """what was generated, in the order of generation; looked at only where it is no number"""
    ended: bool = True

    @property
    def given(self) -> str:
        """The symbols of the wrong answer, without workings, a special token as one of them."""
        return self.prediction or _SPECIAL_TOKEN.sub("?", self.raw.partition(":")[2] or self.raw)


def no_end_token(wrong: WrongAnswer) -> bool:
    """The answer does not end within the suite's width: 7 + 5, asked for 12 and its end, gives 1222.

    >>> no_end_token(WrongAnswer("7", "+", "5", "12", "1222", ended=False))
    True
    """
    return not wrong.ended


def wrong_length(wrong: WrongAnswer) -> bool:
    """Too few or too many symbols, signs not counted: 58 + 67 = 125 gives 15, its first carry never written.

    >>> wrong_length(WrongAnswer("58", "+", "67", "125", "15"))
    True
    >>> wrong_length(WrongAnswer("3", "-", "5", "-2", "2"))
    False
    """
    return len(wrong.given.replace("-", "")) != len(wrong.answer.replace("-", ""))


def wrong_sign(wrong: WrongAnswer) -> bool:
    """A number of the other sign, whatever its digits: 3 - 5 = -2 gives 2. Of 3r-1, both signs count.

    >>> wrong_sign(WrongAnswer("3", "-", "5", "-2", "2"))
    True
    """
    return wrong.prediction != "" and _signs(wrong.prediction) != _signs(wrong.answer)


def one_digit_off(wrong: WrongAnswer) -> bool:
    """One digit differs, by how much ever, and nothing else: 58 + 67 = 125 gives 115.

    >>> one_digit_off(WrongAnswer("58", "+", "67", "125", "115"))
    True
    >>> one_digit_off(WrongAnswer("5.8", "+", "6.7", "12.5", "1.25"))
    False
    """
    pairs = zip(wrong.prediction, wrong.answer, strict=False)
    different = [(given, right) for given, right in pairs if given != right]
    return (
        len(wrong.prediction) == len(wrong.answer)
        and len(different) == 1
        and all(symbol.isdigit() for symbol in different[0])
    )


def carry_lost(wrong: WrongAnswer) -> bool:
    """What comes out on paper where one carry or borrow is forgotten and all else is done right.

    1455 + 545 = 2000 without the carry from its ones is 1990; 2003 - 7 = 1996 without the borrow for its ones is 2006;
    67 * 8 = 536 without the 5 carried from 7 * 8 is 486. Products are written out in rows, one for each digit of b, and
    the rows added: carries within rows and those of the sum count. Quotients have none.

    >>> carry_lost(WrongAnswer("1455", "+", "545", "2000", "1990"))
    True
    >>> carry_lost(WrongAnswer("2003", "-", "7", "1996", "2006"))
    True
    >>> carry_lost(WrongAnswer("67", "*", "8", "536", "486"))
    True
    """
    if wrong.op == "/" or not _NUMBER.fullmatch(wrong.prediction):
        return False
    a, b, answer, given = (abs(Fraction(text)) for text in (wrong.a, wrong.b, wrong.answer, wrong.prediction))
    unit = 10 ** max(len(text.partition(".")[2]) for text in (wrong.a, wrong.b))
    whole_a, whole_b = int(a * unit), int(b * unit)
    if wrong.op == "*":
        missing = (answer - given) * unit**2
        # No carry has more than three digits, and to write out a product of long numbers takes long.
        return len(str(missing).rstrip("0")) <= 3 and missing in _carried_in_product(whole_a, whole_b)
    opposite_signs = wrong.a.startswith("-") != wrong.b.startswith("-")
    if opposite_signs == (wrong.op == "-"):
        return (answer - given) * unit in _carried_in_sum([whole_a, whole_b])
    # Magnitudes are subtracted. That borrows where adding the smaller to the answer carries; forgotten, it is too much.
    return (given - answer) * unit in _carried_in_sum([int(answer * unit), min(whole_a, whole_b)])


def right_digits_in_wrong_order(wrong: WrongAnswer) -> bool:
    """The symbols of the answer, point and sign among them, in another order: 58 + 67 = 125 gives 152.

    >>> right_digits_in_wrong_order(WrongAnswer("58", "+", "67", "125", "152"))
    True
    >>> right_digits_in_wrong_order(WrongAnswer("5", "-", "17", "-12", "", raw="-21"))
    True
    """
    return sorted(wrong.given) == sorted(wrong.answer)


def other(wrong: WrongAnswer) -> bool:
    """All the rest: 58 + 67 = 125 gives 149.

    >>> other(WrongAnswer("58", "+", "67", "125", "149"))
    True
    """
    return True


CLASSES: dict[str, Callable[[WrongAnswer], bool]] = {
    "no end token": no_end_token,
    "wrong length": wrong_length,
    "wrong sign": wrong_sign,
    "one digit off": one_digit_off,
    "a carry lost": carry_lost,
    "right digits in the wrong order": right_digits_in_wrong_order,
    "other": other,
}
"""Name of a class -> whether a wrong answer fits it. A wrong answer is of the first that it fits."""


def classify(predictions: pd.DataFrame) -> pd.Series:
    """The class of each wrong answer to a test problem, '' for every other row; indexed as `predictions`."""
    wrong = (predictions["split"] == "test") & (predictions["right"] == 0)
    answers = predictions.loc[wrong, ["a", "op", "b", "answer", "prediction", "raw", "ended"]]
    found = (_class_of(WrongAnswer(*answer)) for answer in answers.itertuples(index=False, name=None))
    classes = [next(found) if is_wrong else "" for is_wrong in wrong]
    return pd.Series(classes, index=predictions.index, dtype="str", name="class")


def anatomy_frame(predictions: Mapping[tuple[str, int], pd.DataFrame]) -> pd.DataFrame:
    """Rows (architecture, seed, class, count), from the predictions of (architecture, seed); every class has a row."""
    rows = []
    for (architecture, seed), frame in predictions.items():
        counts = classify(frame).value_counts()
        rows += [(architecture, seed, name, int(counts.get(name, 0))) for name in CLASSES]
    return pd.DataFrame(rows, columns=["architecture", "seed", "class", "count"])


def examples(predictions: Mapping[tuple[str, int], pd.DataFrame], k: int = 10) -> pd.DataFrame:
    """k wrong answers of each architecture, or all where there are fewer: the same ones every time.

    Columns: architecture, seed, class, then those of the predictions. The classes that occur share the k as evenly as
    they can, in their order; within a class the answers are taken at even distances over all problems and their seeds.
    """
    chosen = []
    for architecture in dict.fromkeys(name for name, _ in predictions):
        wrong = pd.concat(
            [
                frame.assign(architecture=architecture, seed=seed, **{"class": classify(frame)})
                for (name, seed), frame in predictions.items()
                if name == architecture
            ],
            ignore_index=True,
        ).sort_values(["item", "seed"])
        of_class = [wrong[wrong["class"] == name] for name in CLASSES]
        shares = _shares([len(rows) for rows in of_class], k)
        for rows, share in zip(of_class, shares, strict=True):
            chosen.append(rows.iloc[[(2 * place + 1) * len(rows) // (2 * share) for place in range(share)]])
    columns = ["architecture", "seed", "class", "item", "a", "op", "b", "answer", "prediction", "raw"]
    return pd.concat(chosen, ignore_index=True)[columns] if chosen else pd.DataFrame(columns=columns)


@lru_cache(maxsize=2**17)  # both tables ask of the same answers, and seeds err alike
def _class_of(wrong: WrongAnswer) -> str:
    return next(name for name, fits in CLASSES.items() if fits(wrong))


def _signs(text: str) -> list[int]:
    """Which numbers of an answer are negative: 0 the first, 1 the second, where there are two as in 7/2 and 3r-1."""
    return [place for place, number in enumerate(re.split("[/r]", text)) if number.startswith("-")]


def _carried_in_sum(rows: list[int]) -> set[int]:
    """What each carry is worth when whole numbers are added column by column: 58 + 67 carries 10 and 100."""
    worth, carry, unit = set(), 0, 1
    while any(rows) or carry:
        carry = (sum(row % 10 for row in rows) + carry) // 10
        rows = [row // 10 for row in rows]
        unit *= 10
        worth.add(carry * unit)
    return worth - {0}


def _carried_in_product(a: int, b: int) -> set[int]:
    """What each carry is worth when a * b is written out: 67 * 8 carries 50 (of 7 * 8) and 500 (of 6 * 8 + 5)."""
    worth, rows, shift = set(), [], 1
    while b:
        b, digit = divmod(b, 10)
        # Times one digit is adding that often, carries and all.
        worth |= {shift * carried for carried in _carried_in_sum([a] * digit)}
        rows.append(shift * a * digit)
        shift *= 10
    return worth | _carried_in_sum(rows)


def _shares(available: list[int], most: int) -> list[int]:
    """How many to take of each, `most` in all, as evenly as what is available lets: [1, 9, 0] and 5 -> [1, 4, 0]."""
    shares = [0] * len(available)
    while sum(shares) < min(most, sum(available)):
        for place, there in enumerate(available):
            if shares[place] < there and sum(shares) < most:
                shares[place] += 1
    return shares
