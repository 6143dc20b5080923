"""Evaluation of a model: greedy answers to a fixed set of problems, scored by exact match."""

import time
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from bench.architectures import Architecture
from bench.datasets.drawing.evaluation import EvaluationSet
from bench.datasets.problems import Problems
from bench.datasets.properties import properties_of
from bench.datasets.suites import Suite
from bench.datasets.writing.encoding import Encoded
from bench.datasets.writing.forms import Form
from bench.datasets.writing.tokenizers import EOS
from bench.datasets.writing.workings import first_mistake
from bench.results.records.predictions import COLUMNS
from bench.running.training import autocast

BATCH = 512
"""Problems answered at once."""


@dataclass(frozen=True)
class Answered:
    """Generated answers: `ids` (n, answer width), `right` (n,) and the seconds that generation took."""

    ids: NDArray[np.int64]
    right: NDArray[np.bool_]
    seconds: float


def answer(model: Architecture, problems: Encoded, device: torch.device, precision: str) -> Answered:
    """Generate greedy answers; `Encoded.right` decides which are right."""
    was_training = model.training
    model.eval()
    width = problems.answer.shape[1]
    started = time.perf_counter()
    with torch.no_grad(), autocast(device, precision):
        parts = [
            model.generate(torch.from_numpy(problems.prompt[start : start + BATCH]).to(device), width)
            for start in range(0, len(problems.prompt), BATCH)
        ]
        ids = torch.cat(parts).cpu().numpy()
    seconds = time.perf_counter() - started
    model.train(was_training)
    return Answered(ids, problems.right(ids), seconds)


def state_bytes(model: Architecture, problems: Encoded, device: torch.device, precision: str) -> int:
    """Bytes that decoding in this precision keeps for one problem, measured on the first: all are equally wide."""
    with autocast(device, precision):
        return model.state_bytes(torch.from_numpy(problems.prompt[:1]).to(device))


def predictions(suite: Suite, test: EvaluationSet, seen: EvaluationSet, answered: Answered) -> pd.DataFrame:
    """The rows of predictions.csv.gz: test problems, then those of the training split (`seen`)."""
    form, decode = suite.encoding.form, suite.encoding.tokenizer.decode
    problems = Problems.join([test.problems, seen.problems])
    frame = properties_of(suite, problems, ["test"] * len(test) + ["train"] * len(seen))
    raw = [decode(ids) for ids in answered.ids]
    frame = frame.assign(
        prediction=[form.read_answer(text) for text in raw],
        raw=raw,
        ended=(answered.ids == EOS).any(axis=1).astype(int),
        right=answered.right.astype(int),
        digits_right=[digits_right(form, answer, text) for answer, text in zip(frame["answer"], raw, strict=True)],
    )[list(COLUMNS)]
    if form.workings == "none":
        return frame
    wanted = map(decode, suite.encoding.encode(problems).answer)
    mistakes = [mistake(suite, *row) for row in zip(raw, wanted, frame["op"], strict=True)]
    return frame.assign(workings_right=[int(not each) for each in mistakes], mistake=mistakes)


def mistake(suite: Suite, raw: str, wanted: str, operation: str) -> str:
    """Where the workings in a generated text go wrong first, see `first_mistake`. wanted: the right text."""
    form = suite.encoding.form
    right = form.workings_of(wanted)
    return first_mistake(form.workings_of(raw) or raw, right, operation, suite.rule, form.workings)


def digits_right(form: Form, answer: str, raw: str) -> int:
    """How many digits of the answer stand at their place in the generated text.

    Places are counted from the start of the generated answer, which follows the workings where there are any. A command
    of LaTeX and a special token take one place each. So do zeros that pad the answer, which count as no digits.
    """
    pairs = list(zip_longest(form.spell(answer), form.answer_symbols(raw)))
    right = [symbol == given for symbol, given in pairs if symbol is not None and symbol.isdigit()]
    filling = len(right) - sum(symbol.isdigit() for symbol in answer)
    return sum(right[: len(right) - filling] if form.answer == "reversed" else right[filling:])
