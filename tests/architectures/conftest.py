"""Models and problems of test size, for every registered architecture but `pretrained`.

That one is not drawn but loaded, and writes tokens of its own: what it promises is tested in test_pretrained.py.

A test that takes `cls` runs for all of them, one that takes `autoregressive`, `masked`, `with_dropout` or `own` for
those that are, and one that takes `option` for each choice that `tune` has for each. So a new architecture is tested
the minute it is registered. All is in float64: in float32 a rounding of 1e-7 decides between equally likely symbols.
"""

import dataclasses
import importlib
import random
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.architectures import (
    Architecture,
    Autoregressive,
    Batch,
    MaskedInfilling,
    SequenceSpec,
    from_scratch,
    registry,
)

PLUGINS = Path(__file__).parent / "plugins"

# Of the kind of suite `quick`: characters, answers reversed.
SYMBOLS = ["pad", "bos", "eos", "mask", *"0123456789", *"+-*/=."]
SPEC = SequenceSpec(
    vocabulary=len(SYMBOLS),
    prompt_width=len("-12*-34="),
    answer_width=len("52.14-") + 1,
    pad=SYMBOLS.index("pad"),
    bos=SYMBOLS.index("bos"),
    eos=SYMBOLS.index("eos"),
    mask=SYMBOLS.index("mask"),
    digits=tuple(SYMBOLS.index(digit) for digit in "0123456789"),
    reversed=True,
)


def _with_plugin() -> list[type[Architecture]]:
    """All architectures, and the plug-in of these tests, which is taken off the register again."""
    before = dict(registry._registered)
    sys.path.insert(0, str(PLUGINS))
    try:
        importlib.import_module("tiny_gru")
        return list(from_scratch().values())
    finally:
        sys.path.remove(str(PLUGINS))
        registry._registered.clear()
        registry._registered.update(before)


ARCHITECTURES = _with_plugin()
KINDS: dict[str, Callable[[type[Architecture]], bool]] = {
    "cls": lambda cls: True,
    "autoregressive": lambda cls: issubclass(cls, Autoregressive),
    "masked": lambda cls: issubclass(cls, MaskedInfilling),
    "with_dropout": lambda cls: "dropout" in {field.name for field in dataclasses.fields(cls.Config)},
    "own": lambda cls: cls.__module__.startswith("bench.architectures."),
}


OPTIONS = [
    pytest.param((cls, {name: choice}), id=f"{cls.name}-{name}-{choice}")
    for cls in ARCHITECTURES
    for name, choices in cls.Config.search.items()
    for choice in choices
    if choice != getattr(cls.Config(**cls.debug), name)
]
"""What `tune` may choose and a debug model is not: an architecture, and the field with that choice."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for argument, fits in KINDS.items():
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, [pytest.param(cls, id=cls.name) for cls in ARCHITECTURES if fits(cls)])
    if "option" in metafunc.fixturenames:
        metafunc.parametrize("option", OPTIONS)


@pytest.fixture(autouse=True, scope="module")
def float64() -> Iterator[None]:
    """Parameters are drawn in float64 too: in float32 two CPUs draw numbers that differ in the last digit."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="session")
def spec() -> SequenceSpec:
    return SPEC


@pytest.fixture(scope="session")
def plugins() -> Path:
    """The folder with the plug-in modules of these tests."""
    return PLUGINS


@pytest.fixture(scope="session")
def problems() -> Callable[..., Batch]:
    """`problems(n, seed)`: a batch of n problems, such as `[pad pad 3 + 4 =][7 eos pad]`."""
    return _problems


@pytest.fixture(scope="session")
def build() -> Callable[..., Any]:
    """`build(cls, **changes)`: a model as it is born, in eval mode, of the debug config with some fields changed."""
    return _build


@pytest.fixture(scope="session")
def build_stirred() -> Callable[..., Any]:
    """As `build`, with all parameters far from where they are born: no bias is 0, no gain is 1, no logit is small."""
    return _build_stirred


@pytest.fixture(scope="session")
def build_learnt() -> Callable[..., Any]:
    """`build_learnt(cls)`: a model that knows `problems(16)` by heart, if 500 steps are enough; one for all tests."""
    return _build_learnt


@pytest.fixture
def sine_for_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout becomes a sine, in fused attention too: two models that drop in the same places stay equal.

    A sine, since a factor would not show on which side of a matrix it stands.
    """

    def dropout(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        return torch.sin(x) if training and p > 0 else x

    def attention(
        query: Tensor, key: Tensor, value: Tensor, mask: Tensor, dropout_p: float, is_causal: bool = False
    ) -> Tensor:
        scores = query @ key.mT * query.shape[-1] ** -0.5
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
        return dropout(scores.softmax(-1), dropout_p) @ value

    monkeypatch.setattr(nn.functional, "dropout", dropout)
    monkeypatch.setattr(nn.functional, "scaled_dot_product_attention", attention)


@pytest.fixture
def in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of `transformers` compute in float32 whatever they are given; here in float64, as all the rest."""
    monkeypatch.setattr(torch, "float32", torch.float64)
    monkeypatch.setattr(torch, "float", torch.float64)
    monkeypatch.setattr(Tensor, "float", Tensor.double)


def _problems(n: int, seed: int = 0) -> Batch:
    rng = random.Random(seed)
    prompts, answers = [], []
    for _ in range(n):
        a, b = (rng.choice((-1, 1)) * rng.randrange(1, rng.choice((10, 100))) for _ in range(2))
        operation = rng.choice("+-*/")
        value = {"+": a + b, "-": a - b, "*": a * b, "/": round(a / b, 2)}[operation]
        prompts.append([SYMBOLS.index(symbol) for symbol in f"{a}{operation}{b}="])
        answers.append([*(SYMBOLS.index(symbol) for symbol in f"{value:.6g}"[::-1]), SPEC.eos])
    return Batch(
        torch.tensor([[SPEC.pad] * (SPEC.prompt_width - len(ids)) + ids for ids in prompts]),
        torch.tensor([ids + [SPEC.pad] * (SPEC.answer_width - len(ids)) for ids in answers]),
    )


def _build(cls: type[Architecture], **changes: Any) -> Architecture:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return cls(cls.Config(**cls.debug | changes), SPEC).eval()


def _build_stirred(cls: type[Architecture], **changes: Any) -> Architecture:
    model = _build(cls, **changes)
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.5 * torch.randn(parameter.shape, generator=rng)
    return model


@cache
def _build_learnt(cls: type[Architecture]) -> Architecture:
    first = cls.Config.size_fields[0]
    model = _build(cls, **{first: 2 * cls.debug[first]})  # twice as wide, since the narrowest depend on luck
    batch = _problems(16)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, betas=(0.9, 0.98))
    for step in range(500):
        optimizer.zero_grad()
        model.loss(batch, torch.Generator().manual_seed(step)).mean.backward()
        optimizer.step()
        if step % 25 == 24 and torch.equal(model.generate(batch.prompt, SPEC.answer_width), batch.answer):
            break
    return model.requires_grad_(False)
