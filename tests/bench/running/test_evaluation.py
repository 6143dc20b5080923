import pytest
import torch

from bench.architectures import get
from bench.datasets.suites import Suite
from bench.datasets.writing.encoding import Encoded
from bench.datasets.writing.forms import Form
from bench.plan import sequence_spec
from bench.running.evaluation import Answered, answer, digits_right, predictions, state_bytes


def answered(suite: Suite, wrong_rows: list[int]) -> Answered:
    """Right answers, but for some whose first symbol is replaced by an end token."""
    test, seen = suite.evaluation_set("test"), suite.evaluation_set("seen")
    targets = suite.encoding.encode(type(test.problems).join([test.problems, seen.problems])).answer
    ids = targets.copy()
    ids[wrong_rows] = 0
    ids[wrong_rows, 0] = 2
    return Answered(ids, (ids == targets).all(axis=1), 1.0)


def test_predictions_say_what_was_asked_and_answered(tiny: Suite) -> None:
    test, seen = tiny.evaluation_set("test"), tiny.evaluation_set("seen")
    frame = predictions(tiny, test, seen, answered(tiny, [1]))
    assert list(frame["item"]) == list(range(len(test) + len(seen)))
    assert (frame["split"] == "test").sum() == len(test)
    assert frame.loc[1, "right"] == 0
    assert (frame.loc[1, "prediction"], frame.loc[1, "raw"], frame.loc[1, "digits_right"]) == ("", "", 0)
    assert (frame["ended"] == 1).all()
    right = frame.drop(index=1)
    assert (right["prediction"] == right["answer"]).all()
    assert (right["raw"] == right["answer"].str[::-1]).all()
    assert (right["digits_right"] == right["answer"].str.count(r"\d")).all()
    assert (right["answer_length"] == right["answer"].str.len()).all()


def test_an_answer_without_end_token_is_told_from_one_that_ends(tiny: Suite) -> None:
    given = answered(tiny, [])
    given.ids[0] = tiny.encoding.tokenizer.digit_ids[7]
    given.ids[1] = [*given.ids[0, 1:], 2]
    frame = predictions(tiny, tiny.evaluation_set("test"), tiny.evaluation_set("seen"), given)
    width = given.ids.shape[1]
    assert list(frame.loc[:1, "raw"]) == ["7" * width, "7" * (width - 1)]
    assert list(frame.loc[:2, "ended"]) == [0, 1, 1]


def test_predictions_carry_the_facts_of_their_problem(tiny: Suite) -> None:
    frame = predictions(tiny, tiny.evaluation_set("test"), tiny.evaluation_set("seen"), answered(tiny, []))
    for row in frame.itertuples():
        a, b = float(row.a), float(row.b)
        computed = {"+": a + b, "-": a - b, "/": a / b if b else None}[row.op]
        assert computed is not None
        assert abs(float(row.answer) - computed) < 1e-9
        assert row.signs == ("-" if a < 0 else "+") + ("-" if b < 0 else "+")
        assert (row.digits, row.places, row.range) == ("1x1", 0, "trained")
    assert frame.loc[frame["op"] == "/", "carries"].isna().all()
    assert frame.loc[frame["op"] != "/", "carries"].isin([0, 1]).all()


def test_digits_are_compared_at_their_place_in_the_order_of_generation(tiny: Suite) -> None:
    # -12.5 is written 5.21-: the 5 and the 2 of 5.27- stand right, points and signs do not count.
    assert digits_right(tiny.encoding.form, "-12.5", "5.21-") == 3
    assert digits_right(tiny.encoding.form, "-12.5", "5.27-") == 2
    assert digits_right(tiny.encoding.form, "-12.5", "") == 0
    assert digits_right(tiny.encoding.form, "13", "3") == 1


@pytest.mark.parametrize(
    ("answer", "raw", "right"),
    [("579", "0579", 3), ("-79.5", "-0079.5", 3), ("579", "1579", 3), ("579", "0570", 2), ("0", "0000", 1)],
)
def test_zeros_that_an_answer_is_filled_up_with_are_no_digits_of_it(answer: str, raw: str, right: int) -> None:
    assert digits_right(Form(answer="plain", answer_digits=4), answer, raw) == right
    assert digits_right(Form(answer_digits=4), answer, raw[::-1]) == right


def test_answering_leaves_the_model_in_the_mode_it_was_in(tiny: Suite) -> None:
    cls = get("lstm")
    model = cls(cls.Config(**cls.debug), sequence_spec(tiny)).train()
    items = tiny.encoding.encode(tiny.evaluation_set("test").problems)
    given = answer(model, items, torch.device("cpu"), "32")
    assert model.training
    assert given.ids.shape == items.answer.shape
    assert given.right.tolist() == [bool((g == t).all()) for g, t in zip(given.ids, items.answer, strict=True)]


def test_state_bytes_are_what_decoding_keeps(tiny: Suite) -> None:
    spec = sequence_spec(tiny)
    prompt = torch.full((1, spec.prompt_width), 5)
    lstm = get("lstm")
    assert lstm(lstm.Config(layers=2, width=8), spec).state_bytes(prompt) == 2 * 2 * 8 * 4
    transformer = get("transformer")
    model = transformer(transformer.Config(layers=2, width=8, heads=2), spec)
    symbols = spec.prompt_width + spec.answer_width - 1  # the last one is never read
    assert model.state_bytes(prompt) == symbols * (2 * 2 * 8 * 4 + 8)  # keys and values of two blocks, and the symbol
    problems = Encoded(prompt.numpy(), prompt.numpy())
    halved = state_bytes(model, problems, torch.device("cpu"), "bf16")
    assert halved == symbols * (2 * 2 * 8 * 2 + 8)
