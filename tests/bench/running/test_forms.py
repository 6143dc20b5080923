"""Text forms and tokenizers with architectures: every architecture learns from and answers in each of them."""

from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch
from plans import make_plan
from tiny import suite_of

from bench.architectures import Batch, from_scratch, get
from bench.datasets.suites import Suite
from bench.datasets.writing.tokenizers import EOS, PAD
from bench.plan import sequence_spec
from bench.results.records.predictions import read_predictions, write_predictions
from bench.results.statistics.anatomy import classify
from bench.running.baselines import baseline_frame
from bench.running.evaluation import Answered, answer, digits_right, predictions
from bench.verifying.answers import answers
from bench.verifying.cell import Wrong
from bench.verifying.expected import Expected

FORMS: dict[str, dict[str, Any]] = {
    "latex": {"notation": "latex", "answer": "plain"},
    "scratchpad": {"workings": "scratchpad", "answer": "plain"},
    "padded": {"operands": "padded", "answer_digits": "padded"},
    "byte-pair": {"notation": "latex", "workings": "scratchpad", "tokenizer": "byte-pair", "vocabulary": 48},
}


@cache
def suite_in(form: str) -> Suite:
    return suite_of(FORMS[form])


@pytest.mark.parametrize("name", from_scratch())
@pytest.mark.parametrize("form", FORMS)
def test_every_architecture_learns_from_and_answers_in_every_form(form: str, name: str) -> None:
    suite, cls = suite_in(form), get(name)
    encoded = suite.encoding.encode(suite.stream(0).block(0)).rows(slice(16))
    torch.manual_seed(0)
    model = cls(cls.Config(**cls.debug), sequence_spec(suite))
    batch = Batch(*map(torch.from_numpy, (encoded.prompt, encoded.answer)))
    loss = model.loss(batch, torch.Generator().manual_seed(0))
    loss.mean.backward()
    assert torch.isfinite(loss.mean)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters() if p.requires_grad)
    given = answer(model, encoded, torch.device("cpu"), "32")
    assert given.ids.shape == encoded.answer.shape
    for row in given.ids.tolist():  # symbols, the end token, pads
        assert EOS not in row or not any(row[row.index(EOS) + 1 :])


def answered_with(suite: Suite, changes: dict[int, str]) -> tuple[pd.DataFrame, list[str]]:
    """Predictions of somebody who generates the targets but for some rows, and the texts of the targets."""
    test, seen = suite.evaluation_set("test"), suite.evaluation_set("seen")
    encoded = suite.encoding.encode(type(test.problems).join([test.problems, seen.problems]))
    ids, vocabulary = encoded.answer.copy(), suite.encoding.tokenizer.vocabulary
    for row, text in changes.items():
        tokens = [vocabulary.index(symbol) for symbol in text] + [EOS]
        ids[row] = [*tokens, *[PAD] * (ids.shape[1] - len(tokens))]
    targets = [suite.encoding.tokenizer.decode(row) for row in encoded.answer]
    return predictions(suite, test, seen, Answered(ids, encoded.right(ids), 1.0)), targets


def test_workings_and_answers_are_scored_apart(tmp_path: Path) -> None:
    suite = suite_in("scratchpad")
    targets = answered_with(suite, {})[1]
    number = targets[0].partition(":")[2]
    changes = {0: f"9:{number}", 1: targets[1] + "1", 2: targets[2].replace(":", ","), 3: "9:99"}
    frame, _ = answered_with(suite, changes)
    assert list(frame.loc[:4, "right"]) == [1, 0, 0, 0, 1]
    assert list(frame.loc[:4, "workings_right"]) == [0, 1, 0, 0, 1]
    assert list(frame.loc[:4, "mistake"]) == ["column 1", "", "end", "column 1", ""]
    assert list(frame.loc[:2, "prediction"]) == [number, frame.loc[1, "answer"] + "1", ""]
    assert (frame.loc[4:, ["right", "workings_right"]] == 1).all(axis=None)
    assert (frame.loc[4:, "raw"] == targets[4:]).all()
    assert (frame.loc[4:, "digits_right"] == frame.loc[4:, "answer"].str.count(r"\d")).all()
    assert list(frame.loc[:2, "digits_right"]) == [*frame.loc[:1, "answer"].str.count(r"\d"), 0]
    assert list(classify(frame)[:3]) == ["", "wrong length", "wrong length"]
    write_predictions(tmp_path, frame)
    pd.testing.assert_frame_equal(read_predictions(tmp_path), frame, check_dtype=False)
    older = frame.drop(columns="mistake")
    write_predictions(tmp_path, older)
    pd.testing.assert_frame_equal(read_predictions(tmp_path), older, check_dtype=False)
    with pytest.raises(ValueError, match="workings_right is '7'"):
        write_predictions(tmp_path, frame.assign(workings_right=7))


def test_an_edited_score_of_workings_is_found() -> None:
    suite = suite_in("scratchpad")
    expected = Expected(make_plan(suite={"content": suite.model_dump(mode="json")}))
    frame, targets = answered_with(suite, {0: "9:9"})
    of_test = frame.loc[frame["split"] == "test", "right"]
    record = SimpleNamespace(correct=int(of_test.sum()), total=len(of_test))

    def checked(predictions: pd.DataFrame) -> str:
        cell: Any = SimpleNamespace(record=record, predictions=predictions, expected=expected)
        return answers(cell)

    assert checked(frame).startswith(f"{record.correct:,} right of")
    edited = frame["workings_right"].mask(frame.index == 0, 1)
    with pytest.raises(Wrong, match=r"workings_right of .* is 1, by the symbols generated \(9:9\) it is 0"):
        checked(frame.assign(workings_right=edited))
    with pytest.raises(Wrong, match=r"mistake of .* is end, by the symbols generated \(9:9\) it is column 1"):
        checked(frame.assign(mistake=frame["mistake"].mask(frame.index == 0, "end")))
    assert checked(frame.drop(columns="mistake")).startswith(f"{record.correct:,} right of")
    with pytest.raises(Wrong, match="has no column workings_right"):
        checked(frame.drop(columns="workings_right"))
    plain: Any = SimpleNamespace(suite=suite_in("latex"), all_right=answered_with(suite_in("latex"), {})[0])
    cell: Any = SimpleNamespace(record=record, predictions=plain.all_right.assign(workings_right=1), expected=plain)
    with pytest.raises(Wrong, match="has a column workings_right, and the suite's answers have no workings"):
        answers(cell)
    wrong = frame["raw"].mask(frame.index == 1, targets[1] + "1")
    with pytest.raises(Wrong, match="edited prediction"):
        checked(frame.assign(raw=wrong))


def test_an_answer_in_latex_is_kept_as_a_person_writes_it() -> None:
    frame, targets = answered_with(suite_in("latex"), {0: "7 ", 1: "("})
    assert (frame.loc[2:, "prediction"] == frame.loc[2:, "answer"]).all()
    assert list(frame.loc[:1, "prediction"]) == ["", ""]
    assert (frame.loc[2:, "raw"] == targets[2:]).all()
    assert "workings_right" not in frame


def test_digits_of_a_fraction_stand_at_the_place_of_their_symbol() -> None:
    form = suite_of(FORMS["latex"], operations=["/"], division={"rule": "fraction"}).encoding.form
    assert digits_right(form, "-12/5", r"-\frac{12}{5}") == 3
    assert digits_right(form, "-12/5", r"-\frac{17}{5}") == 2
    assert digits_right(form, "-12/5", r"\frac{12}{5}") == 0
    assert digits_right(form, "-12/5", r"-<mask>{12}{5}") == 3


def test_nearest_answers_with_a_number_whatever_its_workings() -> None:
    plain = suite_of({"answer": "plain"})
    frames = [baseline_frame(suite, [0], 50) for suite in (suite_in("scratchpad"), plain)]
    pd.testing.assert_frame_equal(*frames)
    assert frames[0].loc[frames[0]["architecture"] == "nearest", "correct"].iloc[0] > 0
