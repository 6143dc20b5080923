"""How the cost of training grows: time a token against width, depth, length and batch, and peak memory against batch.

Each curve is a straight line on two logarithmic axes where the cost is a power of what grows; its slope is that power.
What the mathematics asks for is the slope of the counted FLOPs (of memory: at most 1), and a curve that rises by more
than `MARGIN` above it is named: it pays for something that the counter does not see (elementwise work, steps one after
another, Muon's update, which grows with the cube of the width whatever the batch). Below it is fine, and usual: what a
step costs at any size weighs most where it is small.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bench.errors import UserError, reason_of
from bench.numerics import as_in_a_cell
from bench.results.records.plan import Plan
from bench.speed.contenders import OwnContender, OwnDesign, Setting, own_designs
from bench.speed.perf import Show, peak_memory_mb
from bench.timing import quartiles, timed

FACTORS = (1, 2, 4, 8)
MARGIN = 0.15
"""A slope this much above that of the FLOPs is an exception."""
WARMUP_ROUNDS = 1
AXES = ("width", "depth", "length", "batch")
TIME, MEMORY = "seconds_per_token", "peak_memory_mb"


@dataclass(frozen=True)
class Point:
    """One model and batch of a curve."""

    against: str
    """what grows, one of `AXES`"""
    value: int
    """of the width field, the depth field, the symbols of an example, or the examples of a batch"""
    design: OwnDesign
    setting: Setting

    @property
    def tokens(self) -> int:
        """Symbols of a training step."""
        return self.setting.batch * self.setting.tokens


def points(design: OwnDesign, setting: Setting) -> list[Point]:
    """All points of an architecture's curves, from half its width, one block, its length and an eighth of the batch on.

    What does not grow stays as the plan has it, but for the batch, which stays at its smallest.
    """
    if not design.config.size_fields:
        raise UserError(f"--growth: {design.name} has the size that it comes with; leave it out")
    small = dataclasses.replace(setting, batch=max(1, setting.batch // FACTORS[-1]))
    first, second = design.config.size_fields
    usual = getattr(type(design.config), second)
    step = design.config.size_step
    narrow = max(1, getattr(design.config, first) // (2 * step)) * step
    widths = [factor * narrow for factor in FACTORS]
    found = [Point("width", width, _changed(design, {first: width, second: usual}), small) for width in widths]
    if design.config.depth:
        depth, depths = design.config.depth_field, [factor * _least_depth(design) for factor in FACTORS]
        found += [Point("depth", layers, _changed(design, {depth: layers}), small) for layers in depths]
    for factor in FACTORS:
        spec = dataclasses.replace(
            setting.spec,
            prompt_width=factor * setting.spec.prompt_width,
            answer_width=factor * setting.spec.answer_width,
        )
        found.append(Point("length", factor * setting.tokens, design, dataclasses.replace(small, spec=spec)))
    batches = [factor * small.batch for factor in FACTORS]
    return found + [Point("batch", batch, design, dataclasses.replace(setting, batch=batch)) for batch in batches]


def _changed(design: OwnDesign, changes: dict[str, Any]) -> OwnDesign:
    return dataclasses.replace(design, config=dataclasses.replace(design.config, **changes))


def _least_depth(design: OwnDesign) -> int:
    """1, or 2 where the config refuses that."""
    try:
        _changed(design, {design.config.depth_field: 1})
    except ValueError:
        return 2
    return 1


def slope(values: Sequence[float], costs: Sequence[float]) -> float:
    """The power with which a cost grows: of a straight line through the logarithms, by least squares."""
    return float(np.polyfit(np.log(values), np.log(costs), 1)[0])


def grow_all(plan: Plan, setting: Setting, rounds: int, show: Show) -> list[dict[str, Any]]:
    """The curves of all architectures of a plan. Raises UserError where one of them cannot run here."""
    curves = []
    with as_in_a_cell(setting.threads, setting.device):
        for design in own_designs(plan):
            try:
                curves += grow(design, setting, rounds, show)
            except UserError:
                raise
            except Exception as error:
                raise UserError(f"{design.name}: cannot run here: {reason_of(error)}") from error
    return curves


def grow(design: OwnDesign, setting: Setting, rounds: int, show: Show) -> list[dict[str, Any]]:
    """An architecture's curves, a row each, as in `--json`. Points are timed in turn: a drifting machine meets all."""
    device, curve = torch.device(setting.device), points(design, setting)
    contenders = []
    for point in curve:
        torch.manual_seed(0)
        contenders.append(OwnContender(point.design, point.setting))
    seconds: list[list[float]] = [[] for _ in curve]
    for number in range(-WARMUP_ROUNDS, rounds):
        show(f"{design.name}: " + (f"round {number + 1} of {rounds}" if number >= 0 else "warm-up"))
        for contender, mine, point in zip(contenders, seconds, curve, strict=True):
            with contender.numerics():
                spent = timed(contender.train, device)
            if number >= 0:
                mine.append(spent / point.tokens)
    found = []
    for against in AXES:
        chosen = [number for number, point in enumerate(curve) if point.against == against]
        if chosen:
            flops = [contenders[number].flops / curve[number].tokens for number in chosen]
            values = [curve[number].value for number in chosen]
            found.append(_row(design, against, TIME, values, [seconds[n] for n in chosen], slope(values, flops)))
    found.append(memory_curve(design, curve, show))
    return found


def memory_curve(design: OwnDesign, curve: Sequence[Point], show: Show) -> dict[str, Any]:
    """Peak memory against batch, a process a point."""
    peaks, batches = [], [point for point in curve if point.against == "batch"]
    for point in batches:
        show(f"{design.name}: memory of {point.value} examples")
        peaks.append(peak_memory_mb(point.design, point.setting))
    known = [[peak] for peak in peaks if peak]
    values = [point.value for point in batches]
    return _row(design, "batch", MEMORY, values, known if len(known) == len(peaks) else [], 1.0)


def _row(
    design: OwnDesign, against: str, cost: str, values: list[int], samples: list[list[float]], expected: float
) -> dict[str, Any]:
    """One curve; `samples` has the figures of each value, or nothing where they could not be had."""
    middle = [quartiles(some)[1] for some in samples]
    power = slope(values, middle) if middle else None
    return {
        "architecture": design.name,
        "cost": cost,
        "against": against,
        "values": values,
        "medians": middle,
        "quartiles": [[quartiles(some)[0], quartiles(some)[2]] for some in samples],
        "slope": power,
        "expected_slope": expected,
        "exception": power is not None and power > expected + MARGIN,
    }
