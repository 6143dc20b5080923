"""Asking a model: greedy answers to a fixed set of problems, scored by exact match."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from bench.architectures import Architecture
from bench.datasets.encoding import Encoded
from bench.datasets.evaluation import EvaluationSet
from bench.datasets.forms import Form
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
    """Greedy answers; `Encoded.right` says which are right."""
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


def predictions(suite: Suite, test: EvaluationSet, seen: EvaluationSet, answered: Answered) -> pd.DataFrame:
    """The rows of predictions.csv.gz: test problems, then those of the training split (`seen`)."""
    trained = {str(stratum) for stratum in suite.strata()}
    form, decode = suite.encoding.form, suite.encoding.tokenizer.decode
    rows: list[dict[str, Any]] = []
    for split, asked, first in (("test", test, 0), ("train", seen, len(test))):
        answers, facts = solve(asked.problems, suite.rule), carries(asked.problems)
        signs, targets = asked.problems.signs, suite.encoding.encode(asked.problems).answer
        for row in range(len(asked)):
            item = first + row
            stratum = asked.strata[asked.stratum[row]]
            a, op, b = asked.problems.texts(row)
            written = answers.text(row)
            raw = decode(answered.ids[item])
            rows.append(
                {
                    "item": item,
                    "split": split,
                    "a": a,
                    "op": op,
                    "b": b,
                    "answer": written,
                    "prediction": form.read_answer(raw),
                    "raw": raw,
                    "ended": int(EOS in answered.ids[item]),
                    "right": int(answered.right[item]),
                    "digits_right": digits_right(form, written, raw),
                    "digits": stratum.digits,
                    "signs": SIGNS[signs[row]],
                    "places": stratum.places,
                    "carries": None if facts[row] < 0 else int(facts[row]),
                    "answer_length": len(written),
                    "range": "trained" if str(stratum) in trained else "beyond",
                }
            )
            if form.workings != "none":
                rows[-1]["workings_right"] = int(form.workings_of(raw) == form.workings_of(decode(targets[row])))
    return pd.DataFrame(rows).astype({"carries": "Int64"})


def digits_right(form: Form, answer: str, raw: str) -> int:
    """Digits of the answer that stand at their place in the generated text, counted from where its answer starts.

    That is behind the workings, where there are any. A command of LaTeX and a special token take one place.
    """
    pairs = zip(form.spell(answer), form.answer_symbols(raw), strict=False)
    return sum(symbol.isdigit() and symbol == given for symbol, given in pairs)
