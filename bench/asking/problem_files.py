"""Answers to problems from elsewhere, scored: those of trained models (`eval`), or of a file (`score`). No torch.

A reference is right if it is the exact value, or what the suite's rule of division makes of it: 7 / 3 is 7/3 or,
rounded to two places, 2.33. Problems whose reference is wrong are named, and in no figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bench.datasets.expressions import read_value
from bench.datasets.problem_files import Outside, Unused, shown
from bench.datasets.problems import no_answer, solve
from bench.datasets.properties import properties_of
from bench.datasets.split import SPLITS, split_of
from bench.datasets.suites import Suite

if TYPE_CHECKING:
    from bench.asking.models import TrainedModel

OPERATE = {"+": Fraction.__add__, "-": Fraction.__sub__, "*": Fraction.__mul__, "/": Fraction.__truediv__}


@dataclass(frozen=True)
class Scored:
    """What became of every entry of a file."""

    predictions: dict[tuple[str, int], pd.DataFrame]
    """(architecture, seed) -> a row a problem that it was asked: the columns of `facts`, `prediction` and `right`;
    `item` is the problem's position in the file"""
    unread: list[Unused]
    """no operation on two numbers"""
    wrong: list[Unused]
    """the reference is wrong"""
    left_out: list[Unused]
    """the suite has no way to write it, or no answer"""


def evaluate(outside: Outside, models: Sequence[TrainedModel]) -> Scored:
    """What trained models of one suite answer to those problems of a file that it can write."""
    suite = models[0].suite
    kept, wrong = _with_right_references(outside, suite)
    reasons = suite.encoding.unwritable(outside.problems.rows(kept))
    scored = Scored({}, outside.unread, wrong, _unused(outside, kept, reasons))
    rows = kept[[not reason for reason in reasons]]
    if not len(rows):
        return scored
    asked, frame = outside.problems.rows(rows), _frame(outside, rows, suite)
    for model in models:
        answered = model.answer(asked)
        raw = [suite.encoding.tokenizer.decode(ids) for ids in answered.ids]
        scored.predictions[model.architecture, model.seed] = frame.assign(
            prediction=[suite.encoding.form.read_answer(text) for text in raw], right=answered.right.astype(int)
        )
    return scored


def score(outside: Outside, suite: Suite, name: str) -> Scored:
    """The predictions that stand in a file, under a suite's rule of division; `name` stands for the architecture.

    One is right if it is written as the exact answer is: symbol for symbol, as everywhere.
    """
    kept, wrong = _with_right_references(outside, suite)
    reasons = no_answer(outside.problems.rows(kept), suite.rule)
    rows = kept[[not reason for reason in reasons]]
    frame = _frame(outside, rows, suite)
    given = pd.Series([outside.predictions[row] for row in rows], dtype="str")
    frame = frame.assign(prediction=given, right=(given == frame["answer"]).astype(int))
    predictions = {(name, 0): frame} if len(frame) else {}
    return Scored(predictions, outside.unread, wrong, _unused(outside, kept, reasons))


def spelled_otherwise(predictions: pd.DataFrame) -> int:
    """Predictions that are the right number, such as 12.50 for 12.5, but not the right symbols: they count as wrong."""
    wrong = predictions[predictions["right"] == 0]
    pairs = zip(wrong["prediction"], wrong["answer"], strict=True)
    values = [(read_value(given), read_value(right)) for given, right in pairs]
    return sum(given is not None and given == right for given, right in values)


def _with_right_references(outside: Outside, suite: Suite) -> tuple[np.ndarray, list[Unused]]:
    """Positions in `outside.problems` of all but the problems with a wrong reference, and these."""
    answerable = np.flatnonzero([not reason for reason in no_answer(outside.problems, suite.rule)])
    answers = solve(outside.problems.rows(answerable), suite.rule)
    expected = {int(row): answers.text(number) for number, row in enumerate(answerable)}
    kept, wrong = [], []
    for row, reference in enumerate(outside.answers):
        a, op, b = outside.problems.texts(row)
        exact = OPERATE[op](Fraction(a), Fraction(b))
        right = expected.get(row, str(exact))
        value = read_value(reference)
        if reference in ("", right) or (value is not None and value in (exact, read_value(right))):
            kept.append(row)
        else:
            reason = f"is {right}, the file says '{shown(reference)}'"
            wrong.append(Unused(outside.positions[row], f"{a} {op} {b}", reason))
    return np.array(kept, dtype=np.int64), wrong


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
