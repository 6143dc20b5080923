"""Asking a model: greedy answers to a fixed set of problems, scored by exact match."""

import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from bench.architectures import Architecture
from bench.datasets.encoding import Encoded, Encoding
from bench.datasets.evaluation import EvaluationSet
from bench.datasets.problems import SIGNS, carries, solve
from bench.datasets.suites import Suite
from bench.datasets.tokenizers import EOS
from bench.training import autocast

BATCH = 512
"""Problems answered at once."""


@dataclass(frozen=True)
class Answered:
    """Generated answers: `ids` (n, A), `right` (n,) and the seconds that generation took."""

    ids: NDArray[np.int64]
    right: NDArray[np.bool_]
    seconds: float


def answer(model: Architecture, problems: Encoded, device: torch.device, precision: str) -> Answered:
    """Greedy answers; one is right if all its symbols up to the end token are."""
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
    return Answered(ids, (ids == problems.answer).all(axis=1), seconds)


def predictions(suite: Suite, test: EvaluationSet, seen: EvaluationSet, answered: Answered) -> pd.DataFrame:
    """The rows of predictions.csv.gz: test problems, then those of the training split (`seen`)."""
    trained = {str(stratum) for stratum in suite.strata()}
    rows = []
    for split, asked, first in (("test", test, 0), ("train", seen, len(test))):
        answers, facts = solve(asked.problems, suite.rule), carries(asked.problems)
        signs = asked.problems.signs
        for row in range(len(asked)):
            item = first + row
            stratum = asked.strata[asked.stratum[row]]
            a, op, b = asked.problems.texts(row)
            written = answers.text(row)
            raw = suite.encoding.tokenizer.decode(answered.ids[item])
            rows.append(
                {
                    "item": item,
                    "split": split,
                    "a": a,
                    "op": op,
                    "b": b,
                    "answer": written,
                    "prediction": suite.encoding.form.read_answer(raw),
                    "raw": raw,
                    "ended": int(EOS in answered.ids[item]),
                    "right": int(answered.right[item]),
                    "digits_right": digits_right(suite.encoding, written, raw),
                    "digits": stratum.digits,
                    "signs": SIGNS[signs[row]],
                    "places": stratum.places,
                    "carries": None if facts[row] < 0 else int(facts[row]),
                    "answer_length": len(written),
                    "range": "trained" if str(stratum) in trained else "beyond",
                }
            )
    return pd.DataFrame(rows).astype({"carries": "Int64"})


def digits_right(encoding: Encoding, answer: str, raw: str) -> int:
    """Digits of the answer that stand at their place in the generated text, counted from where it starts."""
    target = answer[::-1] if encoding.form.answer == "reversed" else answer
    return sum(symbol.isdigit() and symbol == given for symbol, given in zip(target, raw, strict=False))
