"""Checks of what a cell answered: the questions, right and wrong, and the model that is asked again."""

import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from bench.datasets import properties
from bench.datasets.writing.encoding import Encoded
from bench.datasets.writing.tokenizers import EOS
from bench.results.records.predictions import PREDICTIONS
from bench.results.records.record import WEIGHTS
from bench.running.evaluation import Answered, digits_right, mistake, state_bytes
from bench.verifying.cell import Cell, Wrong, and_more, ask, problem_of, short
from bench.verifying.expected import Expected

MOST_OTHER_ANSWERS = 0.02
"""Share of answers that may come out otherwise on another machine at all; every single one must be near a tie."""
ROUNDING = {"32": 1e-5, "bf16": 1e-2, "16": 2e-3}
"""Precision -> relative noise on the weights that moves logits about as far as the rounding of another machine does."""
NOISE_TRIALS = 16

MOST_EXCESS = 10.0
"""Standard errors by which test answers may be better than validation answers to the same strata.

Up to eight problems share one pair of magnitudes (signs, the order of operands) and may be learnt together, which makes
the true standard error up to sqrt(8) times as wide: 10 are then still 3.5.
"""


def questions(cell: Cell) -> str:
    """The test problems are those of the suite, each in its place with its exact answer."""
    record, test = cell.record, cell.expected.test
    if record.test_hash != test.hash:
        raise Wrong(
            f"other test set: the test hash is {short(record.test_hash)}, that of the suite's test problems "
            f"{short(test.hash)}"
        )
    asked, found = cell.expected.all_right, cell.predictions
    if len(found) != len(asked):
        raise Wrong(f"other test set: {len(found):,} problems were asked, the suite has {len(asked):,}")
    for column in properties.COLUMNS:
        differs = ~((found[column] == asked[column]).fillna(False) | (found[column].isna() & asked[column].isna()))
        if differs.any():
            row = int(np.flatnonzero(differs.to_numpy(dtype=bool))[0])
            raise Wrong(
                f"other test set: problem {row} has {column} {found[column][row]!s}, the suite's problem "
                f"{problem_of(asked, row)} has {asked[column][row]!s}"
            )
    return f"{len(test):,} test problems, test hash {short(test.hash)}, and {len(cell.expected.seen):,} `seen` ones"


def answers(cell: Cell) -> str:
    """Right or wrong follows from the symbols generated, and the record's counts from that."""
    record, found, asked = cell.record, cell.predictions, cell.expected.all_right
    form = cell.expected.suite.encoding.form
    given, wanted = ([form.answer_symbols(raw) for raw in frame["raw"]] for frame in (found, asked))
    same = (pd.Series([g == w for g, w in zip(given, wanted, strict=True)]) & (found["ended"] == 1)).astype("int64")
    expected: dict[str, pd.Series[Any]] = {
        "right": same,
        "prediction": pd.Series([form.read_answer(raw) for raw in found["raw"]], dtype="str"),
        "digits_right": pd.Series(
            [digits_right(form, *row) for row in zip(asked["answer"], found["raw"], strict=True)], dtype="int64"
        ),
    }
    if form.workings != "none":
        rows = zip(found["raw"], asked["raw"], asked["op"], strict=True)
        mistakes = pd.Series([mistake(cell.expected.suite, *row) for row in rows], dtype="str")
        expected["workings_right"] = (mistakes == "").astype("int64")
        if "mistake" in found:  # runs of 0.2.0 lack it
            expected["mistake"] = mistakes
    if ("workings_right" in found) != ("workings_right" in expected):
        has, have = ("a", "no workings") if "workings_right" in found else ("no", "workings")
        raise Wrong(f"{PREDICTIONS} has {has} column workings_right, and the suite's answers have {have}")
    for column, values in expected.items():
        if differing := np.flatnonzero((found[column] != values).to_numpy(dtype=bool)).tolist():
            row = differing[0]
            raise Wrong(
                f"edited prediction: {column} of {problem_of(asked, row)} is {found[column][row]!s}, by the symbols "
                f"generated ({found['raw'][row]!s}) it is {values[row]!s}{and_more(differing)}"
            )
    right = found.loc[found["split"] == "test", "right"]
    if (record.correct, record.total) != (int(right.sum()), len(right)):
        raise Wrong(
            f"the record says {record.correct} right of {record.total}, the predictions are {int(right.sum())} right "
            f"of {len(right)}"
        )
    return f"{record.correct:,} right of {record.total:,}, each by the symbols generated"


def weights(cell: Cell) -> str:
    """The weights are those of the model described, and answer what the predictions say."""
    record, model = cell.record, cell.model
    if not all(torch.isfinite(tensor).all() for tensor in model.state_dict().values()):
        raise Wrong(f"{WEIGHTS} holds numbers that are not finite")
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if count != record.parameters:
        more = "more" if count > (record.parameters or 0) else "other"
        raise Wrong(f"{more} parameters than stated: {WEIGHTS} holds {count:,}, the record says {record.parameters:,}")
    # No CPU has all that it takes for half precision, but its other form is as wide.
    precision = "bf16" if record.precision == "16" else record.precision
    kept = state_bytes(model, cell.expected.asked, torch.device("cpu"), precision)
    for name, value in (("state_bytes", kept), ("weight_bits", model.weight_bits)):
        if getattr(record, name) != value:
            raise Wrong(f"{name}: the record says {getattr(record, name)}, the model has {value}")
    return f"{count:,} parameters, {model.weight_bits:g} bits each"


def answers_again(cell: Cell) -> str:
    """The model, asked again, answers what the predictions say.

    On another machine sums may be rounded otherwise, and an answer may flip whose best two symbols are all but equal.
    Such an answer, unlike an edited one, comes up too where the weights are changed by as little as rounding changes
    them. So every answer that differs must be one of those, on any machine.
    """
    found, again = cell.predictions, cell.expected.frame(cell.answered)
    if len(found) != len(again):
        raise Wrong(f"edited predictions: {len(found):,} rows, the model was asked {len(again):,} problems")
    differs = (found["raw"] != again["raw"]) | (found["ended"] != again["ended"]) | (found["right"] != again["right"])
    rows = np.flatnonzero(differs.to_numpy(dtype=bool))
    close = np.zeros(len(rows), dtype=bool)
    if len(rows) <= MOST_OTHER_ANSWERS * len(found):
        problems = cell.expected.asked.rows(rows)
        decode = cell.expected.suite.encoding.tokenizer.decode
        stated = found.iloc[rows]
        for shaken in _shaken(cell, problems) if len(rows) else ():
            same = np.array([decode(ids) == raw for ids, raw in zip(shaken.ids, stated["raw"], strict=True)])
            same &= (shaken.ids == EOS).any(axis=1) == stated["ended"].to_numpy(dtype=bool)
            close |= same & (shaken.right == stated["right"].to_numpy(dtype=bool))
    if unexplained := rows[~close].tolist():
        row = unexplained[0]
        raise Wrong(
            f"edited prediction: {problem_of(again, row)} is answered '{found['raw'][row]}' in the predictions, and "
            f"'{again['raw'][row]}' by the model in {WEIGHTS} (as generated){and_more(unexplained)}"
        )
    record, validated = cell.record, cell.validated
    right = int(validated.right.sum())
    if record.validation_total != len(validated.right) or record.validation_correct is None:
        raise Wrong(f"{record.validation_total} validation problems were asked, the suite has {len(validated.right):,}")
    if abs(record.validation_correct - right) > unsure(cell, record.validation_correct != right):
        raise Wrong(
            f"edited figure: the record says {record.validation_correct:,} validation problems right, the model in "
            f"{WEIGHTS} answers {right:,}"
        )
    equal = "all equal" if not len(rows) else f"all equal but {len(rows)}, whose best symbols are a tie"
    return f"{len(found):,} answers given again by the model in {WEIGHTS}: {equal}; validation {right:,} right"


def _shaken(cell: Cell, problems: Encoded) -> Iterator[Answered]:
    """Answers of the model under noise as large as rounding, time after time."""
    generator = torch.Generator().manual_seed(0)
    size = ROUNDING[cell.record.precision]
    for _ in range(NOISE_TRIALS):
        model = copy.deepcopy(cell.model)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1 + size * torch.randn(parameter.shape, generator=generator))
        yield ask(cell, model, problems)


def unsure(cell: Cell, needed: bool) -> int:
    """Validation problems whose answer turns from right to wrong, or back, under noise as large as rounding."""
    if not needed:
        return 0
    changed = [shaken.right != cell.validated.right for shaken in _shaken(cell, cell.expected.validation_items)]
    return int(np.logical_or.reduce(changed).sum())


def excess_on_test(expected: Expected, test_right: NDArray[np.bool_], validation_right: NDArray[np.bool_]) -> float:
    """How much better test answers are than validation answers, in standard errors, stratum by stratum.

    The statistic of Mantel and Haenszel (1959): in each stratum of both sets, right test answers less those expected
    if right and wrong were dealt out at random between the two.
    """
    test, validation = expected.test, expected.validation
    difference = variance = 0.0
    of_validation = {str(stratum): place for place, stratum in enumerate(validation.strata)}
    for place, stratum in enumerate(test.strata):
        if str(stratum) not in of_validation:
            continue
        one = test_right[test.stratum == place]
        other = validation_right[validation.stratum == of_validation[str(stratum)]]
        n, right = len(one) + len(other), int(one.sum() + other.sum())
        difference += float(one.sum()) - len(one) * right / n
        variance += len(one) * len(other) * right * (n - right) / (n * n * max(n - 1, 1))
    return difference / math.sqrt(variance) if variance else 0.0
