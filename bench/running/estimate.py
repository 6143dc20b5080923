"""How long a cell will take: measured on a few steps with throwaway weights."""

import heapq
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from bench import architectures, machine
from bench.architectures import Batch
from bench.datasets.drawing.stream import Stream
from bench.numerics import as_in_a_cell
from bench.plan import config_of, sequence_spec, suite_of, training_of
from bench.planning.amounts import parse_budget
from bench.results.records.plan import Plan
from bench.running.optimizers import build_optimizers
from bench.running.training import autocast, on_device, update
from bench.timing import synchronize

STEPS = 6
START_SECONDS = 8.0
"""Until the first cell of a cluster begins: its start, and that of a worker (measured: 6 to 10 s)."""
CELL_SECONDS = 1.0
"""What a cell takes beside its training: a process, its problems, its answers, its files (measured: 0.7 to 1.5 s)."""
MOST_SECONDS = 0.5
"""No further step begins after this."""


def training_seconds(plan: Plan, architecture: str) -> float:
    """About how many seconds one cell of this architecture trains, from a few of its steps.

    Raises:
        MemoryError: the machine has not enough for weights, gradients and one more value a weight, which is the least
            that an optimiser keeps. Some systems promise what they have not, and end whoever uses it.
    """
    planned, settings, budget = plan.entries[architecture], plan.settings, parse_budget(plan.budget)
    needed, there = 3 * 4 * planned.parameters, machine.memory_bytes()
    if settings.device == "cpu" and there is not None and needed > there:
        raise MemoryError(
            f"{planned.parameters:,} weights, their gradients and the optimiser's memory take at least "
            f"{needed / 1e9:,.1f} GB; the machine has {there / 1e9:,.1f} GB: take fewer parameters"
        )
    if budget.unit == "seconds":
        return float(budget.amount)
    with as_in_a_cell(settings.threads, settings.device):
        seconds, tokens = _steps(plan, architecture)
    optimizer_flops = planned.optimizer_flops_per_step or 0
    examples = budget.examples(planned.training["batch"], planned.flops_per_example, optimizer_flops, tokens)
    assert examples is not None
    return seconds * examples


def seconds_until_done(cells: Sequence[float], at_once: int) -> float:
    """How long somebody waits for cells of so many seconds, each begun in its turn when one of the places is free."""
    return max((ended for _, ended in _spans(cells, at_once)), default=0.0)


@dataclass(frozen=True)
class Schedule:
    """How cells fill workers, by simulation."""

    workers: int
    seconds: float
    """until the last cell has ended"""
    worker_seconds: float
    """that all workers are held, busy or not"""
    last_hour: float
    """share of it that they are busy in the last hour, or in all of it where it takes less"""


def schedule(cells: Sequence[float], workers: int) -> Schedule:
    """List scheduling, the longest first: each cell goes to the worker that is free first (Graham, "Bounds on
    multiprocessing timing anomalies", 1969). cells: seconds of training of each.
    """
    whole = [seconds + CELL_SECONDS for seconds in sorted(cells, reverse=True)]
    spans = [(START_SECONDS + begun, START_SECONDS + ended) for begun, ended in _spans(whole, workers)]
    end = max((ended for _, ended in spans), default=0.0)
    since = max(0.0, end - 3600)
    busy = sum(max(0.0, ended - max(begun, since)) for begun, ended in spans)
    return Schedule(workers, end, workers * end, busy / (workers * (end - since)) if end else 1.0)


def _spans(cells: Sequence[float], places: int) -> Iterator[tuple[float, float]]:
    """When each of these cells begins and ends, in their order: in the place that is free first."""
    free = [0.0] * max(1, min(places, len(cells)))
    for seconds in cells:
        begun = free[0]
        heapq.heapreplace(free, begun + seconds)
        yield begun, begun + seconds


def _steps(plan: Plan, architecture: str) -> tuple[float, float]:
    """Seconds that one example takes in the fastest step, and the symbols that it has."""
    planned, suite, precision = plan.entries[architecture], suite_of(plan), plan.settings.precision
    device, training = torch.device(plan.settings.device), training_of(planned)
    stream = Stream(suite.stream(plan.seeds[0]), suite.encoding)
    model = architectures.get(architecture)(config_of(architecture, planned), sequence_spec(suite)).to(device)
    optimizers = build_optimizers(model, training)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "16")
    seconds: list[float] = []
    begun = time.perf_counter()
    while len(seconds) < STEPS and (len(seconds) < 2 or time.perf_counter() - begun < MOST_SECONDS):
        encoded = stream.take(min(training.batch, 128))
        batch = Batch(*(on_device(ids, device) for ids in (encoded.prompt, encoded.answer)))
        started = time.perf_counter()
        with autocast(device, precision):
            loss = model.loss(batch, torch.Generator().manual_seed(0))
        update(model, loss, optimizers, scaler, training.clip)
        synchronize(device)
        seconds.append((time.perf_counter() - started) / len(encoded.prompt))
    return min(seconds), float(encoded.tokens.mean())
