"""Training of one model under one budget: the loop, its clock, its state and the learning curve."""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.architectures import Architecture, Batch, Loss
from bench.datasets.drawing.stream import Stream
from bench.datasets.writing.encoding import Encoded
from bench.planning.amounts import Budget
from bench.planning.settings import TrainingSettings
from bench.results.records.record import BUDGET_UNITS
from bench.running.cell import Send
from bench.running.checkpoints import EVERY_SECONDS, MOST_SHARE, Checkpoint
from bench.running.optimizers import build_optimizers, factor_of_step, set_learning_rates
from bench.timing import quartiles, synchronize

CURVE_POINTS = 20
"""Validations at even points of the budget."""
WARMUP_STEPS = 10
"""Readings of the clock that throughput figures leave out: on a CPU one is taken after each step."""
READING_STEPS = 25
"""Steps between readings of the loss and, on a GPU, of the clock: each one waits for the device, which then idles."""
REPORT_SECONDS = 0.3
"""Least time between two reports of progress."""
ABOVE_START, POINTS_ABOVE = 1.25, 5
"""Training has diverged when its loss was more than 1.25 times that of the first batch at 5 points of the curve in
a row: a quarter of the budget, where the curve has all its points."""

Validate = Callable[[], tuple[int, int]]


class Diverged(Exception):
    """The loss is not finite, or stayed far above that of the first batch; the message says which."""


class Stopped(Exception):
    """Training ended between two steps because it was asked to; its state was saved first, if it is saved at all."""


@dataclass
class Trained:
    """What training used, and its learning curve."""

    examples: int = 0
    tokens: int = 0
    steps: int = 0
    flops: int = 0
    """of the model"""
    optimizer_flops: int = 0
    train_seconds: float = 0.0
    """wall seconds of data, forward, backward and update; without validation"""
    curve: list[dict[str, float]] = field(default_factory=list)
    """a row a validation, as in curve.csv"""
    rates: list[float] = field(default_factory=list)
    """examples a second, from one reading of the clock to the next: step by step on a CPU"""
    flat: bool = False
    """ended before the budget was used up, since validation did not improve any more"""
    start_loss: float | None = None
    """mean training loss a symbol in the first batch"""

    @property
    def all_flops(self) -> int:
        """Those of model and optimiser together."""
        return self.flops + self.optimizer_flops

    def rate_quartiles(self) -> tuple[float, float, float]:
        """First quartile, median and third quartile of examples a second after warm-up."""
        return quartiles(self.rates[WARMUP_STEPS:] or self.rates)


@dataclass(frozen=True)
class Checkpointing:
    """How the state of a training is saved and restored. None of it changes what is learnt."""

    resume: Checkpoint | None = None
    """the state to continue from"""
    save: Callable[[Checkpoint, int], None] | None = None
    """saves the state after the step of this number"""
    every_seconds: float | None = None
    """None: as often as takes little time"""
    stop: Callable[[], bool] = lambda: False
    """whether to stop after this step"""


def train(
    model: Architecture,
    stream: Stream,
    budget: Budget,
    settings: TrainingSettings,
    *,
    seed: int,
    flops_per_example: int,
    optimizer_flops_per_step: int,
    device: torch.device,
    precision: str,
    stop_when_flat: int | None,
    validate: Validate,
    send: Send,
    checkpointing: Checkpointing | None = None,
) -> Trained:
    """Train until the budget is used up, see `next_examples`. Unless `stop_when_flat` is None, it ends sooner where
    the last so many validations brought no more right answers than the best before them. With a budget of 0 nothing is
    trained, and the curve has one point.

    Raises:
        Diverged: the loss is nan or infinite, or stayed far above that of the first batch.
        Stopped: it was asked to stop.
    """
    optimizers = build_optimizers(model, settings)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "16")
    done, losses = Trained(), _LossMeter()
    checkpointing = checkpointing or Checkpointing()
    current = _State(model, optimizers, scaler, stream, done, losses)
    if checkpointing.resume is not None:
        current.restore(checkpointing.resume)
    if not budget.amount:
        done.curve.append(_point(done, 0.0, math.nan, *validate()))
    clock = _Clock(device, done, 1 if device.type == "cpu" or budget.unit == "seconds" else READING_STEPS)
    last_sent, last_saved, cost_of_saving = 0.0, time.monotonic(), 0.0
    while budget_used(budget, done) < 1 and not done.flat:
        clock.begin()
        used_before = budget_used(budget, done)
        encoded = next_examples(stream, budget, done, settings.batch, flops_per_example, optimizer_flops_per_step)
        done.examples += len(encoded.prompt)
        done.tokens += int(encoded.tokens.sum())
        done.flops = done.examples * flops_per_example
        done.steps += 1
        done.optimizer_flops = done.steps * optimizer_flops_per_step
        factor = factor_of_step(used_before, budget_used(budget, done), settings)  # what seconds it takes, nobody knows
        set_learning_rates(optimizers, factor)
        batch = Batch(*(on_device(ids, device) for ids in (encoded.prompt, encoded.answer)))
        with autocast(device, precision):
            loss = model.loss(batch, torch.Generator().manual_seed((seed << 32) + done.steps - 1))
        update(model, loss, optimizers, scaler, settings.clip)
        losses.add(loss)
        if done.start_loss is None:
            done.start_loss = losses.read()
        elif done.steps % READING_STEPS == 0:
            losses.read()
        clock.end(len(encoded.prompt))

        used = budget_used(budget, done)
        if curve_point(used) > curve_point(used_before) or used >= 1:
            clock.read()
            train_loss = losses.read()
            losses.reset()
            done.curve.append(_point(done, settings.lr * factor, train_loss, *validate()))
            send({"kind": "validation", "share": used, **done.curve[-1]})
            done.flat = used < 1 and stop_when_flat is not None and _is_flat(done.curve, stop_when_flat)
            _raise_if_diverged(done)
        elif losses.last is not None and time.monotonic() - last_sent > REPORT_SECONDS:
            last_sent = time.monotonic()
            send({"kind": "step", "share": used, "loss": losses.last, "rate": done.rate_quartiles()[1]})

        stop = checkpointing.stop()
        interval = checkpointing.every_seconds
        if interval is None:
            interval = max(EVERY_SECONDS, cost_of_saving / MOST_SHARE)
        due = time.monotonic() - last_saved >= interval or used >= 1 or done.flat
        if checkpointing.save is not None and (stop or due):
            clock.read()
            began = time.monotonic()
            state = current.state()
            checkpointing.save(replace(state, facts=state.facts | {"share": used}), done.steps)
            last_saved = time.monotonic()
            cost_of_saving = last_saved - began
        if stop:
            raise Stopped
    return done


def _point(done: Trained, learning_rate: float, train_loss: float, correct: int, total: int) -> dict[str, float]:
    """A row of the curve."""
    names = ("examples", "tokens", "steps", "flops", "optimizer_flops", "train_seconds")
    used = {name: getattr(done, name) for name in names}
    return used | {"learning_rate": learning_rate, "train_loss": train_loss, "correct": correct, "total": total}


class _Clock:
    """Wall seconds of training, read after every so many steps and on request."""

    def __init__(self, device: torch.device, done: Trained, every: int) -> None:
        self._device, self._done, self._every = device, done, every
        self._started, self._steps, self._examples = 0.0, 0, 0

    def begin(self) -> None:
        """A step begins."""
        if not self._steps:
            self._started = time.perf_counter()

    def end(self, examples: int) -> None:
        """A step ends; a GPU may still be at work on it."""
        self._steps += 1
        self._examples += examples
        if self._steps == self._every or not self._done.rates:
            self.read()

    def read(self) -> None:
        """Wait for the device, and add the time since the last reading to that of training."""
        if self._steps:
            synchronize(self._device)
            seconds = time.perf_counter() - self._started
            self._done.train_seconds += seconds
            self._done.rates.append(self._examples / seconds)
            self._steps = self._examples = 0


def on_device(ids: NDArray[np.int64], device: torch.device) -> Tensor:
    """The array on the device. It is copied to a GPU while that computes, which needs pinned memory."""
    tensor = torch.from_numpy(ids)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


@dataclass(frozen=True)
class _State:
    """The state of a training: all that the next steps depend on. Each step seeds its own generator from its number."""

    model: Architecture
    optimizers: list[torch.optim.Optimizer]
    scaler: torch.amp.GradScaler
    stream: Stream
    done: Trained
    losses: "_LossMeter"

    def state(self) -> Checkpoint:
        """What `restore` takes."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for number, optimizer in enumerate(self.optimizers):
            for place, remembered in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{number}.{place}.{name}": tensor for name, tensor in remembered.items()}
        tensors["rates"] = torch.tensor(self.done.rates, dtype=torch.float64)
        facts = {
            "trained": {name: value for name, value in asdict(self.done).items() if name != "rates"},
            "losses": self.losses.state(),
            "scaler": self.scaler.state_dict(),
            "position": self.stream.position,
            "data_hash": self.stream.data_hash,
        }
        return Checkpoint(tensors, facts)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint. The data are generated again, and their hash is compared."""
        facts, tensors = checkpoint.facts, checkpoint.tensors
        weights = {name[len("model.") :]: t for name, t in tensors.items() if name.startswith("model.")}
        self.model.load_state_dict(weights)
        for number, optimizer in enumerate(self.optimizers):
            state: dict[int, dict[str, Tensor]] = {}
            for key, tensor in tensors.items():
                kind, _, rest = key.partition(".")
                if kind == "optimizer" and rest.startswith(f"{number}."):
                    _, place, name = rest.split(".", 2)
                    state.setdefault(int(place), {})[name] = tensor
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        self.scaler.load_state_dict(facts["scaler"])
        self.stream.forward(facts["position"], facts["data_hash"])
        self.losses.restore(facts["losses"])
        for name, value in facts["trained"].items():
            setattr(self.done, name, value)
        self.done.rates = tensors["rates"].tolist()


def _raise_if_diverged(done: Trained) -> None:
    """Raise Diverged where the training loss stayed far above that of the first batch."""
    assert done.start_loss is not None
    last = [point["train_loss"] for point in done.curve[-POINTS_ABOVE:]]
    if len(last) == POINTS_ABOVE and min(last) > ABOVE_START * done.start_loss:
        raise Diverged(
            f"the loss lay above {min(last):.3g} over {POINTS_ABOVE} validations, and started at {done.start_loss:.3g}"
        )


def _is_flat(curve: list[dict[str, float]], validations: int) -> bool:
    """Whether none of the last `validations` points has more right answers than every point before them."""
    right = [point["correct"] for point in curve]
    before, last = right[:-validations], right[-validations:]
    return bool(before) and max(last) <= max(before)


def update(
    model: Architecture, loss: Loss, optimizers: list[torch.optim.Optimizer], scaler: torch.amp.GradScaler, clip: float
) -> None:
    """One step of all optimisers, along the gradient of the mean loss, whose norm is clipped to `clip`.

    In half precision all of them leave out a step whose gradient overflows, since clipping mixes their gradients.
    """
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    scaler.scale(loss.mean).backward()
    for optimizer in optimizers:
        scaler.unscale_(optimizer)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
    if not scaler.is_enabled() or torch.isfinite(norm):
        for optimizer in optimizers:
            scaler.step(optimizer)
    scaler.update()


class _LossMeter:
    """Mean training loss a symbol. Sums stay on the device until they are read, since reading waits for it."""

    def __init__(self) -> None:
        self.last: float | None = None
        self.reset()

    def reset(self) -> None:
        """Begin a new mean."""
        self._sums: list[tuple[Tensor, Tensor]] = []
        self._total, self._count = 0.0, 0.0

    def state(self) -> list[float]:
        """What `restore` takes: the sums so far. Raises Diverged as `read` does."""
        self.read()
        return [self._total, self._count]

    def restore(self, state: list[float]) -> None:
        self._total, self._count = state

    def add(self, loss: Loss) -> None:
        self._sums.append((loss.nll_sum.detach(), loss.count))

    def read(self) -> float:
        """The mean over all losses added, 0 where there are none. Raises Diverged where it is no finite number."""
        for nll_sum, count in self._sums:
            self._total += float(nll_sum)
            self._count += float(count)
        self._sums = []
        if not math.isfinite(self._total):
            raise Diverged("the loss became nan or infinite")
        if not self._count:
            return 0.0
        self.last = self._total / self._count
        return self.last


def next_examples(
    stream: Stream, budget: Budget, done: Trained, batch: int, flops_per_example: int, optimizer_flops_per_step: int
) -> Encoded:
    """The next batch, cut so that the budget is used up to within one example, with the step that this takes.

    Of FLOPs the optimiser takes its part first, however small the batch; a rest of less than that buys one example.
    """
    match budget.unit:
        case "examples":
            return stream.take(min(batch, budget.amount - done.examples))
        case "flops":
            left = budget.amount - done.all_flops - optimizer_flops_per_step
            return stream.take(min(batch, max(1, -(-left // flops_per_example))))
        case "tokens":
            return stream.take(batch, most_tokens=budget.amount - done.tokens)
        case _:
            return stream.take(batch)


def budget_used(budget: Budget, done: Trained) -> float:
    """Share of the budget used so far; 1 or more when it is used up."""
    if not budget.amount:
        return 1.0
    used: float = getattr(done, BUDGET_UNITS[budget.unit])
    return used / budget.amount


def autocast(device: torch.device, precision: str) -> Any:
    """The context in which forward passes run at a precision of '32', 'bf16' or '16'."""
    if precision == "32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16 if precision == "bf16" else torch.float16)


def curve_point(used: float) -> int:
    """How many points of the curve are passed. The tiny addend makes up for rounding at the points themselves."""
    return int(used * CURVE_POINTS + 1e-9)
