"""Sizes: how many parameters a model has, what a step costs, and the config that meets a size."""

import dataclasses
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.architectures import Architecture, Batch, Config, SequenceSpec

TOLERANCE = 0.02
"""Largest relative deviation from the size asked."""


def count_parameters(cls: type[Architecture], config: Config, spec: SequenceSpec) -> tuple[int, int]:
    """All trainable parameters (tied ones once), and those active for one symbol; nothing is allocated."""
    with torch.device("meta"):
        model = cls(config, spec)
    return sum(p.numel() for p in model.parameters() if p.requires_grad), model.active_parameters()


def count_flops(cls: type[Architecture], config: Config, spec: SequenceSpec) -> int:
    """Floating-point operations of one example's training: matrix products, forward and backward.

    Counted on the meta device: on CPU torch's counter sees none in `nn.LSTM` and in fused attention.
    """
    with torch.device("meta"):
        model = cls(config, spec)
        prompt = torch.zeros((1, spec.prompt_width), dtype=torch.long)
        answer = torch.zeros((1, spec.answer_width), dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        model.loss(Batch(prompt, answer), torch.Generator()).mean.backward()
    return int(counter.get_total_flops())


def fit(
    cls: type[Architecture], config: Config, spec: SequenceSpec, target: int, match: str = "total", fixed: frozenset[str] = frozenset()
) -> Config:
    """The config nearest to `target` parameters: the first size field in its steps, then the second for the rest.

    Fields in `fixed` stay as they are.
    """
    first, second = config.size_fields

    @lru_cache(maxsize=None)
    def size(values: tuple[tuple[str, int | None], ...]) -> int:
        total, active = count_parameters(cls, dataclasses.replace(config, **dict(values)), spec)
        return active if match == "active" else total

    chosen: dict[str, Any] = {name: getattr(config, name) for name in (first, second)}
    if first not in fixed:
        step = config.size_step
        free = {} if second in fixed else {second: None}
        chosen |= free
        units = _nearest(lambda n: size(tuple(({**chosen, first: n * step}).items())), target)
        chosen[first] = units * step
    if second not in fixed:
        exact = _nearest(lambda n: size(tuple(({**chosen, second: n}).items())), target)
        chosen[second] = exact
    return dataclasses.replace(config, **chosen)


def _nearest(size: Callable[[int], int], target: int) -> int:
    """The n >= 1 whose size is nearest to `target`; `size` grows with n."""
    high = 1
    while size(high) < target:
        high *= 2
    low = high // 2
    if low == 0:
        return 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size(middle) < target else (low, middle)
    return low if target - size(low) <= size(high) - target else high
