# ruff: noqa: F722 - the axes of jaxtyping are no Python
"""Shape and number type of every tensor that an architecture gives to the bench, as jaxtyping and beartype check them.

An axis has one size throughout a call; one in braces is looked up in the arguments.
"""

from typing import Any

import pytest
import torch
from beartype import beartype
from jaxtyping import Float64, Int64, TypeCheckError, jaxtyped
from oracles import Build, Problems
from torch import Tensor

from bench.architectures import Architecture, Autoregressive, Batch, Loss
from bench.architectures.lstm import LSTM

Answers = Int64[Tensor, "batch answer"]
Prompts = Int64[Tensor, "batch prompt"]
Scores = Float64[Tensor, "batch {model.spec.vocabulary}"]
Scalar = Float64[Tensor, ""]
checked = jaxtyped(typechecker=beartype)


@checked
def logits(
    model: Architecture, prompt: Prompts, answer: Answers
) -> Float64[Tensor, "batch answer {model.spec.vocabulary}"]:
    return model.logits(prompt, answer)


@checked
def likelihoods(model: Architecture, prompt: Prompts, answer: Answers) -> Float64[Tensor, "batch answer"]:
    return model.likelihoods(prompt, answer)


@checked
def generate(model: Architecture, prompt: Prompts, width: int) -> Int64[Tensor, "batch {width}"]:
    return model.generate(prompt, width)


@checked
def parts(loss: Loss) -> tuple[Scalar, Int64[Tensor, ""], Scalar, Scalar]:
    return loss.nll_sum, loss.count, loss.auxiliary, loss.mean


@checked
def begin(model: Autoregressive, prompt: Prompts, width: int) -> tuple[Scores, Any]:
    return model.begin(prompt, width)


@checked
def advance(model: Autoregressive, symbol: Int64[Tensor, " batch"], state: Any) -> tuple[Scores, Any]:
    return model.advance(symbol, state)


def ask_for_everything(model: Architecture, batch: Batch) -> None:
    """Raises TypeCheckError where a tensor is of another shape or type than the bench takes."""
    width = batch.answer.shape[1]
    logits(model, batch.prompt, batch.answer)
    likelihoods(model, batch.prompt, batch.answer)
    parts(model.loss(batch, torch.Generator()))
    if isinstance(model, Autoregressive):
        _, state = begin(model, batch.prompt, width)
        _, state = advance(model, batch.answer[:, 0], state)
        rows = torch.tensor([2, 0])
        advance(model, batch.answer[rows, 1], model.keep(rows, state))
    generate(model, batch.prompt, width)
    generate(model, batch.prompt, 1)


@pytest.mark.parametrize("rows", [3, 12])
def test_every_tensor_has_its_shape_and_type(
    rows: int, cls: type[Architecture], build: Build, problems: Problems
) -> None:
    ask_for_everything(build(cls), problems(rows))


# --- plug-ins that are wrong in one thing -----------------------------------------------------------------------------


class OneSymbolTooFew(LSTM):
    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        return super().logits(prompt, answer)[..., :-1]


class OneColumnTooMany(LSTM):
    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        return super().logits(prompt, torch.cat([answer, answer[:, :1]], dim=1))


class FirstLogitsWithAColumn(LSTM):
    def begin(self, prompt: Tensor, width: int) -> tuple[Tensor, Any]:
        scores, state = super().begin(prompt, width)
        return scores[:, None], state


class LaterLogitsInFloat32(LSTM):
    def advance(self, symbol: Tensor, state: Any) -> tuple[Tensor, Any]:
        scores, state = super().advance(symbol, state)
        return scores.float(), state


class AnswersInInt32(LSTM):
    def generate(self, prompt: Tensor, width: int) -> Tensor:
        return super().generate(prompt, width).int()


class LossOfEachRow(LSTM):
    def auxiliary_loss(self, like: Tensor) -> Tensor:
        return like.expand(3)


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        (OneSymbolTooFew, "logits"),
        (OneColumnTooMany, "logits"),
        (FirstLogitsWithAColumn, "begin"),
        (LaterLogitsInFloat32, "advance"),
        (AnswersInInt32, "generate"),
        (LossOfEachRow, "parts"),
    ],
)
def test_a_wrong_tensor_is_seen(wrong: type[LSTM], where: str, build: Build, problems: Problems) -> None:
    with pytest.raises(TypeCheckError, match=rf"return value of .*test_shapes\.{where}\."):
        ask_for_everything(build(wrong), problems(3))
