"""Trained models, loaded from a run: they answer as they did in their cells, and say how sure they are."""

import json
import re
from dataclasses import replace
from math import factorial, prod
from pathlib import Path
from shutil import copytree, rmtree

import pytest
import torch
from calling import call
from mutations import last_byte_changed

from bench.architectures import registry
from bench.asking.expression import ask, read_problem
from bench.asking.models import TrainedModel, trained_models
from bench.datasets.problems import Problems
from bench.datasets.suites import load_suite
from bench.datasets.writing.tokenizers import EOS, PAD
from bench.errors import UserError
from bench.results.records.curves import CURVE
from bench.results.records.predictions import read_predictions
from bench.results.records.record import WEIGHTS
from bench.results.records.run import cell_directory
from bench.running.evaluation import predictions


@pytest.fixture(scope="module")
def models(trained_run: Path) -> list[TrainedModel]:
    return trained_models(trained_run)


@pytest.fixture
def run(trained_run: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be broken."""
    copytree(trained_run, tmp_path / "run")
    return tmp_path / "run"


def test_models_answer_as_they_did_in_their_cells(trained_run: Path, models: list[TrainedModel]) -> None:
    assert [(model.architecture, model.seed) for model in models] == [
        *(("lstm", seed) for seed in range(2)),
        *(("masked-encoder", seed) for seed in range(2)),
    ]
    test, seen = models[0].suite.evaluation_set("test"), models[0].suite.evaluation_set("seen")
    for model in models:
        answered = model.answer(Problems.join([test.problems, seen.problems]))
        kept = read_predictions(cell_directory(trained_run, model.architecture, model.seed))
        assert predictions(model.suite, test, seen, answered).astype(kept.dtypes).equals(kept)


def test_models_are_chosen_by_name_and_seed(trained_run: Path) -> None:
    assert [m.seed for m in trained_models(trained_run, seeds="lowest")] == [0, 0]
    assert [(m.architecture, m.seed) for m in trained_models(trained_run, ("lstm",), (1,))] == [("lstm", 1)]
    with pytest.raises(UserError, match="did you mean 'lstm'"):
        trained_models(trained_run, ("lsmt",))
    with pytest.raises(UserError, match=r"--seed 7: lstm of .* has finished seeds 0, 1"):
        trained_models(trained_run, seeds=(0, 7))


def _no_weights(run: Path) -> None:
    (run / "cells" / "lstm-s0" / WEIGHTS).unlink()


def _changed_weights(run: Path) -> None:
    path = run / "cells" / "lstm-s0" / WEIGHTS
    path.write_bytes(last_byte_changed(path.read_bytes()))


def _changed_curve(run: Path) -> None:
    path = run / "cells" / "lstm-s0" / CURVE
    path.write_bytes(path.read_bytes() + b"?")


def _no_cells(run: Path) -> None:
    rmtree(run / "cells")


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        (_no_weights, "the file is missing"),
        (_changed_weights, "was changed after the run"),
        (_changed_curve, "was changed after the run"),
        (_no_cells, "run it first"),
    ],
)
def test_a_broken_run_is_one_line(breaks: object, says: str, run: Path) -> None:
    assert callable(breaks)
    breaks(run)
    with pytest.raises(UserError, match=says) as error:
        trained_models(run)
    assert "\n" not in str(error.value)


def test_no_other_seed_takes_the_place_of_a_broken_one(run: Path) -> None:
    _changed_curve(run)
    with pytest.raises(UserError, match=r"lstm-s0.*was changed"):
        trained_models(run, seeds="lowest")
    with pytest.raises(UserError, match=r"lstm-s0.*was changed"):
        trained_models(run, seeds=(0,))
    assert [(m.architecture, m.seed) for m in trained_models(run, seeds=(1,))] == [("lstm", 1), ("masked-encoder", 1)]
    assert [m.seed for m in trained_models(run, ("masked-encoder",))] == [0, 1]


def test_an_architecture_of_a_plug_in_that_is_not_loaded_is_one_line(
    trained_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(registry._registered, "lstm")
    with pytest.raises(UserError, match=r"unknown architecture 'lstm'.*--plugin"):
        trained_models(trained_run)


@pytest.mark.parametrize("text", ["1+1", "-7-8", "8/5", "9--9"])
def test_confidence_is_the_product_of_what_the_model_gave_each_symbol(text: str, models: list[TrainedModel]) -> None:
    problem = read_problem(text)
    for model, reply in zip(models, ask(models, problem), strict=True):
        ids = model.answer(problem).ids[0].tolist()
        written = ids[: ids.index(EOS) + 1] if EOS in ids else ids
        prompt = torch.from_numpy(model.suite.encoding.encode(problem).prompt)
        factors = []
        for column, symbol in enumerate(written):
            canvas = torch.tensor([ids])
            with torch.no_grad():
                if model.architecture == "masked-encoder":  # that symbol alone is masked
                    canvas[0, column] = model.model.spec.mask
                else:  # nothing but the symbols before it is shown
                    canvas[0, column:] = model.model.spec.pad
                factors.append(float(model.model.logits(prompt, canvas)[0, column].softmax(-1)[symbol]))
        assert reply.confidence == pytest.approx(prod(factors), rel=1e-4)
        assert 0 < reply.confidence <= 1
        assert all(0 < symbol.probability <= 1 for symbol in reply.symbols)
        assert (reply.end_probability is None) == (EOS not in ids)
        end = reply.end_probability or 1.0
        assert prod(symbol.probability for symbol in reply.symbols) * end == pytest.approx(reply.confidence)
        assert reply.right == (reply.answer == reply.expected)


class Parrot(torch.nn.Module):
    """Answers everything with the same symbols, and is the surer the later they are."""

    def __init__(self, ids: list[int]) -> None:
        super().__init__()
        self.ids = ids

    def generate(self, prompt: torch.Tensor, width: int) -> torch.Tensor:
        return torch.tensor([self.ids])

    def likelihoods(self, prompt: torch.Tensor, answer: torch.Tensor) -> torch.Tensor:
        return torch.arange(1, len(self.ids) + 1).div(8)[None]


def test_symbols_stand_in_the_order_in_which_a_person_reads_them(models: list[TrainedModel]) -> None:
    """The suite writes answers in reverse: -15 is 51-."""
    vocabulary = models[0].suite.encoding.tokenizer.vocabulary
    five, one, minus = (vocabulary.index(symbol) for symbol in "51-")
    ended = replace(models[0], model=Parrot([five, one, minus, EOS, 0, 0]))
    [reply] = ask([ended], read_problem("-7-8"))
    assert (reply.raw, reply.answer, reply.expected, reply.unseen) == ("51-", "-15", "-15", reply.split != "train")
    assert [(symbol.symbol, symbol.probability) for symbol in reply.symbols] == [
        ("-", 3 / 8),
        ("1", 2 / 8),
        ("5", 1 / 8),
    ]
    assert (reply.end_probability, reply.confidence) == (4 / 8, 1 / 8 * 2 / 8 * 3 / 8 * 4 / 8)
    [reply] = ask([replace(models[0], model=Parrot([minus, five] * 3))], read_problem("12-9"))
    assert (reply.raw, reply.answer, reply.right, reply.unseen) == ("-5-5-5", "", False, True)
    assert (reply.end_probability, reply.confidence) == (None, factorial(6) / 8**6)


@pytest.mark.parametrize(
    ("suite", "asked", "written", "answer", "workings"),
    [
        ("addition3-scratchpad", "128+367", "51,90,40:495", "495", "51,90,40:"),
        ("addition3-scratchpad", "128+367", "51,80,40:495", "495", "51,80,40:"),
        ("addition3-scratchpad", "128+367", "9:495", "495", "9:"),  # wrong workings are forgiven
        ("addition3-scratchpad", "128+367", "9:495:495", "", "9:"),
        ("addition3-scratchpad", "128+367", "495", "", "495"),  # workings that never end
        ("addition3-padded", "128+367", "0495", "495", ""),
        ("addition3-padded", "128+367", "495", "", ""),
        ("latex", "6/-4", "-\\frac{3}{2}", "-3/2", ""),
        ("latex", "\\frac{6}{-4}", "-\\frac{6}{4}", "-6/4", ""),
        ("latex", "-12 \\times (-7)", "84", "84", ""),
    ],
)
def test_answers_in_every_form_are_read_as_a_person_writes_them(
    suite: str, asked: str, written: str, answer: str, workings: str, models: list[TrainedModel]
) -> None:
    chosen = load_suite(suite)
    vocabulary, width = chosen.encoding.tokenizer.vocabulary, chosen.encoding.answer_width
    ids = [vocabulary.index(symbol) for symbol in re.findall(r"\\[a-z]+|.", written)] + [EOS]
    parrot = replace(models[0], suite=chosen, model=Parrot(ids + [PAD] * (width - len(ids))))
    [reply] = ask([parrot], read_problem(asked))
    assert (reply.answer, reply.workings) == (answer, workings)
    assert reply.right == (answer == reply.expected)
    assert "".join(symbol.symbol for symbol in reply.symbols) == reply.raw.removeprefix(workings)
    product = prod(symbol.probability for symbol in reply.symbols) * (reply.end_probability or 1)
    assert reply.confidence == pytest.approx(product * (reply.workings_probability or 1))
    assert (reply.workings_probability is None) == (suite != "addition3-scratchpad")
    assert reply.mistake == {"51,80,40:": "column 2", "9:": "column 1", "495": "column 1"}.get(workings, "")
    lines = [(line.text.strip(), line.wrong) for line in reply.paper]
    if workings == "51,80,40:":
        assert lines == [("1", True), ("128", False), ("+ 367", False), ("-----", False), ("485", False)]
    elif workings == "51,90,40:":
        assert lines == [("1", False), ("128", False), ("+ 367", False), ("-----", False), ("495", False)]
    else:
        assert lines == ([(workings, True)] if workings else [])


def test_a_token_of_several_digits_is_read_in_the_order_of_the_answer(models: list[TrainedModel]) -> None:
    """Reversed, the answer -125 is written 521-, and cut into 521 and -."""
    chosen = load_suite("quick")
    chosen = chosen.model_copy(update={"form": chosen.form.model_copy(update={"tokenizer": "digit-chunks"})})
    ids = [chosen.encoding.tokenizer.vocabulary.index(token) for token in ("521", "-")] + [EOS]
    parrot = replace(models[0], suite=chosen, model=Parrot(ids + [PAD] * (chosen.encoding.answer_width - 3)))
    [reply] = ask([parrot], read_problem("-25*5"))
    assert ([symbol.symbol for symbol in reply.symbols], reply.answer, reply.right) == (["-", "125"], "-125", True)


def test_a_greedy_symbol_is_the_likeliest(models: list[TrainedModel]) -> None:
    """Of an autoregressive model no other symbol in its place can be likelier."""
    model, problem = models[0], read_problem("3+4")
    ids = model.answer(problem).ids
    best = model.likelihoods(problem, ids)[0, 0]
    for other in range(4, len(model.suite.encoding.tokenizer.vocabulary)):
        changed = ids.copy()
        changed[0, 0] = other
        assert model.likelihoods(problem, changed)[0, 0] <= best


def test_a_problem_that_models_cannot_be_asked_is_one_line(models: list[TrainedModel]) -> None:
    for text, reason in (("7*3", r"not in the alphabet: \*"), ("1/3", "more than 2 places"), ("99999+1", "tokens")):
        with pytest.raises(UserError, match=reason):
            ask(models, read_problem(text))


def test_ask_prints_an_answer_of_each_model(
    trained_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, err = call(capsys, monkeypatch, "ask", str(trained_run), "-7 - 8")
    assert (status, err) == (0, "")
    assert "-7-8 = -15" in out
    assert "lstm seed 0" in out
    assert "masked-encoder seed 0" in out
    status, out, _ = call(capsys, monkeypatch, "ask", str(trained_run), "\\frac{8}{5}", "--seed", "all", "--json")
    assert status == 0
    rows = json.loads(out)
    assert [(row["architecture"], row["seed"]) for row in rows] == [
        ("lstm", 0),
        ("lstm", 1),
        ("masked-encoder", 0),
        ("masked-encoder", 1),
    ]
    for row in rows:
        assert (row["expression"], row["expected"]) == ("8/5", "1.6")
        assert row["right"] is (row["answer"] == "1.6")
