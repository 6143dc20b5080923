"""Sizes: how many parameters a model has, what a step costs, and the config that meets a size."""

import dataclasses
import math
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from bench.architectures import Architecture, Batch, Config, SequenceSpec
from bench.numerics import spare_the_compiler

TOLERANCE = 0.02
"""Largest relative deviation from the size asked."""
CLOSE = 0.01
"""A deviation at which no other width is tried."""
ALIGNMENTS = ((4, (8, 4)), (1, (2, 1)))
"""Steps of the first size field, and of the second; the first that meet a size closely are taken. Matrix products of
odd sizes are slower by 5 to 10 % (`docs/log.md`); in wider steps a width would stray too far."""
COUNTED = 10_000
"""Sizes that are kept: every trial of a search asks for those of the same few hundred models."""
ROWS = 2
"""Examples that are counted at once. With one a norm over the batch fails, before the contract says what is wrong."""


class SkipDrawing(TorchFunctionMode):
    """A context that draws no initial weights: on the meta device they have no values, but take most of the time."""

    drawing = (nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_, Tensor.normal_, Tensor.uniform_)

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function in self.drawing:
            return args[0] if args else kwargs["tensor"]  # torch.nn.init names its argument
        return function(*args, **kwargs)


class AllStepsAtOnce(TorchFunctionMode):
    """A context in which recurrent cells read all symbols at once, for counting: the result is not theirs, but each
    matrix product, forward and backward, has the size of all its steps' together. One by one, 100 take a second.
    """

    cells = (torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu)

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function not in self.cells or not isinstance(args[2], list):  # a packed sequence has its weights elsewhere
            return function(*args, **(kwargs or {}))
        x_BTD, start, weights, biased, layers, _, _, bidirectional, batch_first = args
        x_BTD = x_BTD if batch_first else x_BTD.transpose(0, 1)
        start_LBH = start[0] if function is torch.lstm else start  # an LSTM's state is two tensors
        directions, stride = 1 + bidirectional, 4 if biased else 2
        for layer in range(layers):
            outs = []
            for direction in range(directions):
                number = layer * directions + direction
                w_ih, w_hh = weights[number * stride], weights[number * stride + 1]
                gates_BTG = F.linear(x_BTD, w_ih)
                states_BTH = gates_BTG[..., : w_hh.shape[1]]
                # Two products, since a start that is a constant takes no gradient.
                first_BG, later_BTG = F.linear(start_LBH[number], w_hh), F.linear(states_BTH[:, :-1], w_hh)
                gates_BTG = gates_BTG + torch.cat([first_BG[:, None], later_BTG], dim=1)
                outs.append(gates_BTG[..., : w_hh.shape[1]])
            x_BTD = torch.cat(outs, dim=2)
        last_LBH = torch.stack([out[:, -1] for out in outs]).expand(layers, -1, -1, -1).flatten(0, 1)
        out = x_BTD if batch_first else x_BTD.transpose(0, 1)
        return (out, last_LBH, last_LBH) if function is torch.lstm else (out, last_LBH)


@lru_cache(COUNTED)
def count_parameters(cls: type[Architecture], config: Config, spec: SequenceSpec) -> tuple[int, int]:
    """All trainable parameters (tied ones once), and those active for one symbol; nothing is allocated."""
    with torch.device("meta"), SkipDrawing():
        model = cls(config, spec)
    return sum(p.numel() for p in model.parameters() if p.requires_grad), model.active_parameters()


def flop_counter() -> FlopCounterMode:
    """Counts matrix products, and convolutions by their groups, which torch leaves out of those of the gradients."""
    spare_the_compiler()
    return FlopCounterMode(display=False, custom_mapping={torch.ops.aten.convolution_backward: _of_convolution})


def _of_convolution(gradient: Any, x: Any, weight: Any, *rest: Any, **_: Any) -> int:
    """Operations of a convolution's gradients, by its tensors' shapes: each that is wanted takes as many as forward."""
    transposed, wanted = rest[4], rest[7]
    return int(conv_flop_count(x, weight, gradient, transposed=transposed) * sum(wanted[:2]))


def count_flops(cls: type[Architecture], config: Config, spec: SequenceSpec) -> int:
    """Floating-point operations of one example's training: matrix products, forward and backward.

    Counted on the meta device: on CPU torch's counter sees none in `nn.LSTM` and in fused attention. A class whose
    routing depends on data, which meta tensors do not have, states them. Raises ValueError for one that does not.
    """
    with torch.device("meta"), SkipDrawing():
        model = cls(config, spec)
        stated = model.training_flops()
        if stated is not None:
            return stated
        prompt = torch.zeros((ROWS, spec.prompt_width), dtype=torch.long)
        answer = torch.zeros((ROWS, spec.answer_width), dtype=torch.long)
    with flop_counter() as counter, AllStepsAtOnce():
        try:
            model.loss(Batch(prompt, answer), torch.Generator()).mean.backward()
        except RuntimeError as error:  # torch has one class for all it refuses; only the text says on which device
            if "meta" not in str(error):
                raise
            raise ValueError(
                "it looks at values of tensors or makes tensors on a device of its own, and FLOPs are counted without "
                f"values: avoid that, or state them in training_flops() ({str(error).splitlines()[0]})"
            ) from error
    return int(counter.get_total_flops()) // ROWS


def fit(
    cls: type[Architecture],
    config: Config,
    spec: SequenceSpec,
    target: int,
    match: str = "total",
    fixed: frozenset[str] = frozenset(),
) -> Config:
    """The config nearest to `target` parameters: the first size field in its steps, then the second for the rest.

    Sizes that computers multiply fast are preferred (`ALIGNMENTS`). Widths next to the nearest are tried too, since the
    second field moves in steps of a few percent in tiny models. Fields in `fixed` stay as they are; so does a config
    without size fields. Raises ValueError where these are no two fields, or do not make the model larger.
    """
    if not config.size_fields:
        return config
    names = [field.name for field in dataclasses.fields(config)]
    if len(config.size_fields) != 2 or not set(config.size_fields) <= set(names):
        raise ValueError(f"size_fields {config.size_fields}: expected none, or two of {', '.join(names)}")
    first, second = config.size_fields
    for name in config.size_fields:
        if isinstance(value := getattr(config, name), str | bool) or (value is None and name == first):
            raise ValueError(
                f"size field {name} is {value!r}: expected a number, and for the second one a number or None"
            )

    def size(first_value: int, second_value: int | None) -> int:
        candidate = dataclasses.replace(config, **{first: first_value, second: second_value})
        return count_parameters(cls, candidate, spec)[match == "active"]

    def deviation(pair: tuple[int, int | None]) -> float:
        return abs(size(*pair) / target - 1)

    def candidates() -> Iterator[tuple[int, int | None]]:
        start = getattr(config, second)
        for first_step, second_steps in ALIGNMENTS:
            widths = [getattr(config, first)]
            if first not in fixed:
                step = math.lcm(config.size_step, first_step)
                middle = nearest_multiple(lambda width: size(width, start), step, target)
                widths = [width for width in (middle, middle - step, middle + step) if width >= step]
            for width in widths:
                if second in fixed:
                    yield width, start
                    continue
                for step in second_steps:
                    yield width, nearest_multiple(partial(size, width), step, target)

    seen: list[tuple[int, int | None]] = []
    for pair in candidates():
        seen.append(pair)
        if deviation(pair) <= CLOSE:
            break
    chosen = min(seen, key=deviation)
    return dataclasses.replace(config, **{first: chosen[0], second: chosen[1]})


def nearest_multiple(size: Callable[[int], int], step: int, target: int) -> int:
    """The multiple of `step` whose size is nearest to `target`; `size` grows with it."""
    return step * nearest(lambda n: size(n * step), target)


def nearest(size: Callable[[int], int], target: int) -> int:
    """The n >= 1 whose size is nearest to `target`; `size` grows with n. Raises ValueError where it does not."""
    high = 1
    while size(high) < target:
        if high > target:
            raise ValueError(
                f"has {size(high):,} parameters even where a size field is {high:,}: it has to use that field"
            )
        high *= 2
    low = high // 2
    if low == 0:
        return 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size(middle) < target else (low, middle)
    return low if target - size(low) <= size(high) - target else high
