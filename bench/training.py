"""Training one model under one budget: the loop, its clock, and the learning curve."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.amounts import Budget
from bench.architectures import Architecture, Batch
from bench.datasets.encoding import Encoded
from bench.datasets.stream import Stream
from bench.optimizers import build_optimizers, schedule_factor, set_learning_rates
from bench.settings import TrainingSettings

CURVE_POINTS = 20
"""Validations at even points of the budget."""
WARMUP_STEPS = 10
"""Steps left out of throughput figures."""
LOSS_CHECK_STEPS = 25
"""Steps between looks at the loss: each one waits for the device."""

Validate = Callable[[], tuple[int, int]]
Report = Callable[[dict[str, Any]], None]


class Diverged(Exception):
    """The loss is not finite any more."""


@dataclass
class Trained:
    """What training used and how it went."""

    examples: int = 0
    tokens: int = 0
    steps: int = 0
    flops: int = 0
    train_seconds: float = 0.0
    """wall seconds of data, forward, backward and update; without validation"""
    curve: list[dict[str, float]] = field(default_factory=list)
    """a row a validation, as in curve.csv"""
    rates: list[float] = field(default_factory=list)
    """examples a second, step by step"""

    def rate_quartiles(self) -> tuple[float, float, float]:
        """First quartile, median and third quartile of examples a second after warm-up."""
        counted = self.rates[WARMUP_STEPS:] or self.rates
        low, middle, high = np.quantile(counted, [0.25, 0.5, 0.75])
        return float(low), float(middle), float(high)


def train(
    model: Architecture,
    stream: Stream,
    budget: Budget,
    settings: TrainingSettings,
    *,
    seed: int,
    flops_per_example: int,
    device: torch.device,
    precision: str,
    validate: Validate,
    report: Report,
) -> Trained:
    """Train until the budget is met, within one example.

    Raises:
        Diverged: the loss is nan or infinite.
    """
    optimizers = build_optimizers(model, settings)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "16")
    done = Trained()
    loss_sum, loss_count = torch.zeros((), device=device), torch.zeros((), device=device)
    recent_sum, recent_count = 0.0, 0.0
    last_report = 0.0
    while True:
        started = time.perf_counter()
        used = budget_used(budget, done)
        encoded = next_examples(stream, budget, done, settings.batch, flops_per_example)
        batch = Batch(*(torch.from_numpy(ids).to(device, non_blocking=True) for ids in (encoded.prompt, encoded.answer)))
        done.examples += len(encoded.prompt)
        done.tokens += int(encoded.tokens.sum())
        done.flops = done.examples * flops_per_example
        # At the step's end for the rise, so that the first step moves; at its start for the fall, so that the last does.
        factor = max(schedule_factor(used, settings), min(schedule_factor(budget_used(budget, done), settings), 1.0))
        if used >= settings.warmup:
            factor = schedule_factor(used, settings)
        set_learning_rates(optimizers, factor)
        with autocast(device, precision):
            loss = model.loss(batch, torch.Generator().manual_seed((seed << 32) + done.steps))
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss.mean).backward()
        for optimizer in optimizers:
            scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        for optimizer in optimizers:
            scaler.step(optimizer)
        scaler.update()
        loss_sum, loss_count = loss_sum + loss.nll_sum.detach(), loss_count + loss.count
        done.steps += 1
        used = budget_used(budget, done)
        if done.steps % LOSS_CHECK_STEPS == 0 or used >= 1:
            recent_sum, recent_count = _read_losses(loss_sum, loss_count, recent_sum, recent_count)
            loss_sum, loss_count = torch.zeros_like(loss_sum), torch.zeros_like(loss_count)
        seconds = time.perf_counter() - started
        done.train_seconds += seconds
        done.rates.append(len(encoded.prompt) / seconds)

        if used >= (len(done.curve) + 1) / CURVE_POINTS or used >= 1:
            recent_sum, recent_count = _read_losses(loss_sum, loss_count, recent_sum, recent_count)
            loss_sum, loss_count = torch.zeros_like(loss_sum), torch.zeros_like(loss_count)
            correct, total = validate()
            done.curve.append(
                {
                    "examples": done.examples,
                    "tokens": done.tokens,
                    "steps": done.steps,
                    "flops": done.flops,
                    "train_seconds": done.train_seconds,
                    "learning_rate": settings.lr * factor,
                    "train_loss": recent_sum / recent_count,
                    "correct": correct,
                    "total": total,
                }
            )
            report({"kind": "validation", **done.curve[-1], "share": used})
            recent_sum, recent_count = 0.0, 0.0
        elif time.monotonic() - last_report > 0.3 and recent_count:
            last_report = time.monotonic()
            report({"kind": "step", "share": used, "loss": recent_sum / recent_count, "rate": done.rate_quartiles()[1]})
        if used >= 1:
            return done


def next_examples(stream: Stream, budget: Budget, done: Trained, batch: int, flops_per_example: int) -> Encoded:
    """The next batch, cut so that the budget is met within one example."""
    match budget.unit:
        case "examples":
            return stream.take(min(batch, budget.amount - done.examples))
        case "flops":
            return stream.take(min(batch, -(-(budget.amount - done.flops) // flops_per_example)))
        case "tokens":
            return stream.take(batch, most_tokens=budget.amount - done.tokens)
        case _:
            return stream.take(batch)


def budget_used(budget: Budget, done: Trained) -> float:
    """Share of the budget used so far; 1 or more when it is met."""
    used: float = done.train_seconds if budget.unit == "seconds" else getattr(done, budget.unit)
    return used / budget.amount


def autocast(device: torch.device, precision: str) -> Any:
    """The context in which forward passes run at a precision of '32', 'bf16' or '16'."""
    if precision == "32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16 if precision == "bf16" else torch.float16)


def _read_losses(loss_sum: Tensor, loss_count: Tensor, recent_sum: float, recent_count: float) -> tuple[float, float]:
    total = recent_sum + float(loss_sum)
    if not np.isfinite(total):
        raise Diverged
    return total, recent_count + float(loss_count)
