"""Answers to problems from elsewhere, scored: those of trained models (`eval`), or of a file (`score`). No torch.

A reference is right if some reading of it (`bench.datasets.answers`) is the exact value at the places it shows, or what
the suite's rule of division makes of it: 7 / 3 is 7/3, 2.333, 2 r 1 or, rounded to two places, 2.33. Problems whose
reference is wrong are named, and in no figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bench.datasets.answers import OPERATE, is_answer, read_answer, same_number
from bench.datasets.problem_files import Outside, Unused, shown
from bench.datasets.problems import no_answer, solve
from bench.datasets.properties import properties_of
from bench.datasets.split import SPLITS, split_of
from bench.datasets.suites import Suite

if TYPE_CHECKING:
    from bench.asking.models import TrainedModel


@dataclass(frozen=True)
class WrongPrediction:
    """A prediction that is not the right answer, symbol for symbol."""

    model: str
    position: int
    """of its problem in the file"""
    problem: str
    answer: str
    """the right one"""
    prediction: str
    right_number: bool
    """it is the right number, written otherwise"""


@dataclass(frozen=True)
class Scored:
    """What became of every entry of a file."""

    predictions: dict[tuple[str, int], pd.DataFrame]
    """(architecture, seed) -> a row a problem that it was asked: the columns of `properties`, `prediction`, `right` and
    `written_otherwise` (1: the right number, but written otherwise); `item` is the problem's position in the file"""
    unread: list[Unused]
    """no operation on two numbers, or with a reference that is no number"""
    wrong: list[Unused]
    """the reference is wrong"""
    left_out: list[Unused]
    """the suite has no way to write it, or no answer"""

    def wrong_predictions(self) -> list[WrongPrediction]:
        """Those of every model, in the order of the file."""
        columns = ("item", "a", "op", "b", "answer", "prediction", "written_otherwise")
        return [
            WrongPrediction(model, item, f"{a} {op} {b}", answer, shown(prediction), otherwise == 1)
            for (model, _), frame in self.predictions.items()
            for item, a, op, b, answer, prediction, otherwise in zip(
                *(frame.loc[frame["right"] == 0, name] for name in columns), strict=True
            )
        ]


def evaluate(outside: Outside, models: Sequence[TrainedModel]) -> Scored:
    """What trained models of one suite answer to those problems of a file that it can write."""
    suite = models[0].suite
    kept, wrong, unread = _with_right_references(outside, suite)
    reasons = suite.encoding.unwritable(outside.problems.rows(kept))
    scored = Scored({}, [*outside.unread, *unread], wrong, _unused(outside, kept, reasons))
    rows = kept[[not reason for reason in reasons]]
    if not len(rows):
        return scored
    asked, frame = outside.problems.rows(rows), _frame(outside, rows, suite)
    for model in models:
        answered = model.answer(asked)
        raw = [suite.encoding.tokenizer.decode(ids) for ids in answered.ids]
        predicted = [suite.encoding.form.read_answer(text) for text in raw]
        scored.predictions[model.architecture, model.seed] = _judged(frame, predicted, answered.right.astype(int))
    return scored


def score(outside: Outside, suite: Suite, name: str) -> Scored:
    """The predictions that stand in a file, under a suite's rule of division, by model; `name` stands for one without.

    One is right if it is written as the exact answer is: symbol for symbol, as everywhere.
    """
    kept, wrong, unread = _with_right_references(outside, suite)
    reasons = no_answer(outside.problems.rows(kept), suite.rule)
    scored = Scored({}, [*outside.unread, *unread], wrong, _unused(outside, kept, reasons))
    rows = kept[[not reason for reason in reasons]]
    models = np.array([outside.models[row] or name for row in rows], dtype=object)
    for model in dict.fromkeys(models):
        chosen = rows[models == model]
        frame, given = _frame(outside, chosen, suite), [outside.predictions[row] for row in chosen]
        scored.predictions[model, 0] = _judged(frame, given, (frame["answer"] == given).to_numpy(dtype=int))
    return scored


def _judged(frame: pd.DataFrame, given: list[str], right: np.ndarray) -> pd.DataFrame:
    """The frame of problems with `prediction`, `right` and `written_otherwise`."""
    otherwise = [
        int(not is_right and same_number(prediction, answer, str(OPERATE[op](Fraction(a), Fraction(b)))))
        for prediction, is_right, answer, a, op, b in zip(
            given, right, *(frame[name] for name in ("answer", "a", "op", "b")), strict=True
        )
    ]
    return frame.assign(prediction=pd.Series(given, dtype="str"), right=right, written_otherwise=otherwise)


def _with_right_references(outside: Outside, suite: Suite) -> tuple[np.ndarray, list[Unused], list[Unused]]:
    """Positions in `outside.problems` of the problems whose reference is right or that have none; those where it is
    wrong, and those where it is no number.
    """
    answerable = np.flatnonzero([not reason for reason in no_answer(outside.problems, suite.rule)])
    answers = solve(outside.problems.rows(answerable), suite.rule)
    expected = {int(row): answers.text(number) for number, row in enumerate(answerable)}
    kept: list[int] = []
    wrong: list[Unused] = []
    unread: list[Unused] = []
    for row, references in enumerate(outside.answers):
        a, op, b = outside.problems.texts(row)
        right = expected.get(row, str(OPERATE[op](Fraction(a), Fraction(b))))
        in_other_words = (is_answer(text, a, op, b) or same_number(text, right) for text in references)
        if not references or right in references or any(in_other_words):
            kept.append(row)
        else:
            said = shown(" or ".join(references))
            is_number = any(map(read_answer, references))
            reason = (
                f"is {right}, the file says '{said}'" if is_number else f"has the answer '{said}', which is no number"
            )
            (wrong if is_number else unread).append(Unused(outside.positions[row], f"{a} {op} {b}", reason))
    return np.array(kept, dtype=np.int64), wrong, unread


def _unused(outside: Outside, rows: np.ndarray, reasons: list[str]) -> list[Unused]:
    return [
        Unused(outside.positions[row], " ".join(outside.problems.texts(row)), reason)
        for row, reason in zip(rows, reasons, strict=True)
        if reason
    ]


def _frame(outside: Outside, rows: np.ndarray, suite: Suite) -> pd.DataFrame:
    problems = outside.problems.rows(rows)
    splits = [SPLITS[code] for code in split_of(problems)]
    return properties_of(suite, problems, splits).assign(item=[outside.positions[row] for row in rows])
