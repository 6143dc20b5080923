"""What the contract asks of every model, for each choice that `tune` has and its debug model is not."""

import dataclasses
from typing import Any

import pytest
import torch
from oracles import TIGHT, Build, Problems, distance

from bench.architectures import Architecture, Autoregressive, SequenceSpec

Option = tuple[type[Architecture], dict[str, Any]]


@pytest.fixture
def model(option: Option, build_stirred: Build) -> Any:
    """Far from birth, and as narrow as the option allows."""
    cls, changes = option
    step = dataclasses.replace(cls.Config(**cls.debug), **changes).size_step
    return build_stirred(cls, **changes, **{cls.Config.size_fields[0]: 2 * step if step > 1 else 6})


def test_left_padding_is_invisible(model: Any, problems: Problems, spec: SequenceSpec) -> None:
    batch = problems(8)
    logits = model.logits(batch.prompt, batch.answer)
    for row, prompt in enumerate(batch.prompt):
        bare = prompt[prompt != spec.pad][None]
        assert distance(model.logits(bare, batch.answer[row][None])[0], logits[row]) < TIGHT


def test_each_step_of_decoding_equals_the_naive_one(model: Any, problems: Problems) -> None:
    if not isinstance(model, Autoregressive):
        return
    batch = problems(8)
    fast, fast_state = model.begin(batch.prompt, batch.answer.shape[1])
    naive, naive_state = Autoregressive.begin(model, batch.prompt, batch.answer.shape[1])
    assert distance(fast, naive) < TIGHT
    for symbol in batch.answer[:, :-1].unbind(1):
        fast, fast_state = model.advance(symbol, fast_state)
        naive, naive_state = Autoregressive.advance(model, symbol, naive_state)
        assert distance(fast, naive) < TIGHT


def test_no_logit_sees_a_later_symbol(model: Any, problems: Problems) -> None:
    if not isinstance(model, Autoregressive):
        return
    batch = problems(8)
    logits = model.logits(batch.prompt, batch.answer)
    for column in range(batch.answer.shape[1]):
        changed = torch.cat([batch.answer[:, :column], 4 + (batch.answer[:, column:] + 1) % 10], dim=1)
        assert distance(model.logits(batch.prompt, changed)[:, : column + 1], logits[:, : column + 1]) < TIGHT


def test_every_parameter_learns(model: Any, problems: Problems) -> None:
    model.train().loss(problems(24), torch.Generator().manual_seed(0)).mean.backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_it_makes_another_model(option: Option, model: Any, problems: Problems, build_stirred: Build) -> None:
    """An option that changed nothing would be searched for nothing."""
    cls, changes = option
    usual = build_stirred(cls, **{cls.Config.size_fields[0]: getattr(model.config, cls.Config.size_fields[0])})
    batch = problems(8)
    shapes, usual_shapes = ({name: p.shape for name, p in one.state_dict().items()} for one in (model, usual))
    if shapes == usual_shapes:
        usual.load_state_dict(model.state_dict())
    found, other = (one.train().loss(batch, torch.Generator().manual_seed(0)).mean for one in (model, usual))
    assert distance(found, other) > 1e-6 or changes.keys() <= {"passes"}
