"""How long a cell will take: measured on a few steps with throwaway weights."""

import time

import torch

from bench import machine
from bench.architectures import Batch
from bench.datasets.drawing.stream import Stream
from bench.planning.decide import Entry, Plan, sequence_spec
from bench.running.numerics import cell_numerics
from bench.running.optimizers import build_optimizers
from bench.running.training import autocast, on_device, update
from bench.timing import synchronize

STEPS = 6
MOST_SECONDS = 0.5
"""No further step begins after this."""


def training_seconds(plan: Plan, entry: Entry) -> float:
    """About how many seconds one cell of this architecture trains, from a few of its steps.

    Raises:
        MemoryError: the machine has not enough for weights, gradients and one more value a weight, which is the least
            that an optimiser keeps. Some systems promise what they have not, and end whoever uses it.
    """
    needed, there = 3 * 4 * entry.parameters, machine.memory_bytes()
    if plan.device == "cpu" and there is not None and needed > there:
        raise MemoryError(
            f"{entry.parameters:,} weights, their gradients and the optimiser's memory take at least "
            f"{needed / 1e9:,.1f} GB; the machine has {there / 1e9:,.1f} GB: take fewer parameters"
        )
    if plan.budget.unit == "seconds":
        return float(plan.budget.amount)
    with cell_numerics(plan.threads, plan.device):
        seconds, tokens = _steps(plan, entry)
    examples = plan.budget.examples(entry.training.batch, entry.flops_per_example, tokens)
    assert examples is not None
    return seconds * examples


def _steps(plan: Plan, entry: Entry) -> tuple[float, float]:
    """Seconds of a step, the least that was seen, and symbols; both of one example."""
    device = torch.device(plan.device)
    stream = Stream(plan.suite.stream(plan.seeds[0]), plan.suite.encoding)
    model = entry.cls(entry.config, sequence_spec(plan.suite)).to(device)
    optimizers = build_optimizers(model, entry.training)
    scaler = torch.amp.GradScaler(device.type, enabled=plan.precision == "16")
    seconds: list[float] = []
    begun = time.perf_counter()
    while len(seconds) < STEPS and (len(seconds) < 2 or time.perf_counter() - begun < MOST_SECONDS):
        encoded = stream.take(min(entry.training.batch, 128))
        batch = Batch(*(on_device(ids, device) for ids in (encoded.prompt, encoded.answer)))
        started = time.perf_counter()
        with autocast(device, plan.precision):
            loss = model.loss(batch, torch.Generator().manual_seed(0))
        update(model, loss, optimizers, scaler, entry.training.clip)
        synchronize(device)
        seconds.append((time.perf_counter() - started) / len(encoded.prompt))
    return min(seconds), float(encoded.tokens.mean())
