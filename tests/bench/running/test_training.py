"""Budgets, the learning curve and the loop, on a model of a few hundred parameters."""

import math
import random
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from bench.architectures import Architecture, Batch, get
from bench.datasets.drawing.stream import Stream
from bench.datasets.suites import Suite
from bench.plan import sequence_spec
from bench.planning.amounts import parse_budget
from bench.planning.settings import TrainingSettings
from bench.planning.sizing import count_flops, count_optimizer_flops
from bench.running import training
from bench.running.checkpoints import Checkpoint
from bench.running.evaluation import answer
from bench.running.optimizers import build_optimizers
from bench.running.training import CURVE_POINTS, READING_STEPS, Checkpointing, Diverged, Trained, train, update


def build(suite: Suite, name: str = "transformer", seed: int = 0) -> Architecture:
    cls = get(name)
    torch.manual_seed(seed)
    return cls(cls.Config(**cls.debug), sequence_spec(suite)).train()


def run(
    suite: Suite,
    budget: str,
    model: Architecture | None = None,
    stop_when_flat: int | None = None,
    validate: Callable[[], tuple[int, int]] = lambda: (1, 4),
    checkpointing: Checkpointing | None = None,
    flops: tuple[int, int] | None = None,
    **settings: Any,
) -> tuple[Trained, Stream]:
    """`flops`: of an example and of an optimizer's step; None counts them."""
    model = model or build(suite)
    chosen = TrainingSettings(**({"batch": 32} | settings))
    each = count_flops(type(model), model.config, model.spec)
    flops = flops or (each, count_optimizer_flops(model, chosen.optimizer))
    stream = Stream(suite.stream(0), suite.encoding)
    trained = train(
        model,
        stream,
        parse_budget(budget),
        chosen,
        seed=0,
        flops_per_example=flops[0],
        optimizer_flops_per_step=flops[1],
        device=torch.device("cpu"),
        precision="32",
        stop_when_flat=stop_when_flat,
        validate=validate,
        send=lambda event: None,
        checkpointing=checkpointing,
    )
    return trained, stream


@pytest.mark.parametrize(("cost", "steps"), [(0.0, [4, 8, 12, 16, 20, 24]), (1.0, [4, 14, 24])])
def test_checkpoints_come_every_20_seconds_and_take_a_fiftieth_at_most(
    cost: float, steps: list[int], tiny: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock of which a step takes 5 seconds. The last checkpoint is that of the end."""
    now, kept = 0.0, []

    def stop() -> bool:  # asked once a step
        nonlocal now
        now += 5
        return False

    def save(checkpoint: Checkpoint, step: int) -> None:
        nonlocal now
        now += cost
        kept.append(step)

    monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: now, perf_counter=time.perf_counter))
    run(tiny, "steps=25", checkpointing=Checkpointing(save=save, stop=stop))
    assert kept == [*steps, 25]


def test_examples_and_steps_are_met_exactly(tiny: Suite) -> None:
    trained, stream = run(tiny, "examples=1001")
    assert (trained.examples, trained.steps, stream.position) == (1001, 32, 1001)
    assert run(tiny, "steps=7")[0].examples == 7 * 32


def test_tokens_are_met_within_one_example(tiny: Suite) -> None:
    trained, stream = run(tiny, "tokens=5000")
    again = Stream(tiny.stream(0), tiny.encoding).take(trained.examples)
    assert trained.tokens == again.tokens.sum()
    assert 0 <= trained.tokens - 5000 < again.tokens[-1]
    assert stream.position == trained.examples


@pytest.mark.parametrize(
    ("budget", "examples", "steps", "used"),
    [
        (840, 64, 2, 840),  # two whole steps, of 32 x 10 + 100 each
        (839, 64, 2, 840),
        (830, 63, 2, 830),
        (421, 33, 2, 530),  # the least that a second step takes: its update and one example
        (520, 33, 2, 530),
        (531, 34, 2, 540),
        (991, 70, 3, 1000),
        (1, 1, 1, 110),
    ],
)
def test_a_budget_of_flops_is_used_up_by_model_and_optimizer_together(
    budget: int, examples: int, steps: int, used: int, tiny: Suite
) -> None:
    """At 10 an example and 100 a step."""
    trained, _ = run(tiny, f"flops={budget}", flops=(10, 100))
    assert (trained.examples, trained.steps) == (examples, steps)
    assert (trained.flops, trained.optimizer_flops, trained.all_flops) == (10 * examples, 100 * steps, used)
    last = trained.curve[-1]
    assert (last["flops"], last["optimizer_flops"]) == (10 * examples, 100 * steps)


def test_an_optimizer_without_matrix_products_leaves_the_budget_of_flops_to_the_model(tiny: Suite) -> None:
    each = run(tiny, "examples=1")[0].flops
    trained, _ = run(tiny, f"flops={each * 100 + 1}", optimizer="adamw")
    assert (trained.examples, trained.optimizer_flops) == (101, 0)


def test_seconds_run_on_the_training_clock_alone(tiny: Suite) -> None:
    trained, _ = run(tiny, "seconds=1")
    assert 1 <= trained.train_seconds < 1.5


def test_a_gpu_is_waited_for_after_many_steps_and_no_second_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    now, waits = 0.0, 0

    def wait(device: torch.device) -> None:
        nonlocal waits
        waits += 1

    monkeypatch.setattr(training, "synchronize", wait)
    monkeypatch.setattr(training.time, "perf_counter", lambda: now)
    clock = training._Clock(torch.device("cuda"), done := Trained(), READING_STEPS)
    for _ in range(2 * READING_STEPS + 10):
        clock.begin()
        now += 2
        clock.end(10)
    clock.read()
    assert done.train_seconds == 2 * (2 * READING_STEPS + 10)
    assert waits == len(done.rates) == 4  # the first step alone, two full ones, the rest
    assert set(done.rates) == {5}


def test_the_curve_has_twenty_points_evenly_over_the_budget(tiny: Suite) -> None:
    trained, _ = run(tiny, "examples=3000")
    examples = [point["examples"] for point in trained.curve]
    assert len(examples) == CURVE_POINTS
    assert examples[-1] == 3000
    assert all(0 <= e - 3000 * (k + 1) / CURVE_POINTS < 32 for k, e in enumerate(examples))
    assert all(math.isfinite(point["train_loss"]) and point["total"] == 4 for point in trained.curve)


def test_the_loss_of_the_curve_is_the_mean_since_the_point_before(tiny: Suite) -> None:
    """Recomputed with a learning rate too small to move anything: each point is then a plain mean over its examples."""
    trained, _ = run(tiny, "examples=640", lr=1e-30, outer_lr=1e-30)
    model, stream = build(tiny), Stream(tiny.stream(0), tiny.encoding)
    for point in trained.curve:
        batch = stream.take(32)
        logits = model.logits(torch.from_numpy(batch.prompt), torch.from_numpy(batch.answer)).detach()
        target = torch.from_numpy(batch.answer)
        nll = -logits.log_softmax(-1).gather(-1, target[..., None])[..., 0][target != 0]
        assert point["train_loss"] == pytest.approx(float(nll.mean()), rel=1e-5)


@pytest.mark.parametrize("unit", ["examples", "steps", "flops"])
def test_the_learning_rate_follows_the_share_of_the_budget(unit: str, tiny: Suite) -> None:
    each = {"examples": 1.0, "steps": 1 / 32, "flops": run(tiny, "examples=32")[0].all_flops / 32}[unit]
    model = build(tiny)
    before = [parameter.clone() for parameter in model.parameters()]
    run(tiny, f"{unit}={round(32 * each)}", model)
    assert any(not torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True))  # the first step moves
    trained, _ = run(tiny, f"{unit}={round(6400 * each)}", lr=0.1, warmup=0.1)
    rates = [point["learning_rate"] for point in trained.curve]
    assert rates[0] == pytest.approx(0.05)  # the first point, at 5 %, is halfway up
    assert rates[1] == pytest.approx(0.1, rel=0.01)
    assert rates[-1] == pytest.approx(0.1 * 32 / 6400 / 0.9)  # the last step still moves


def test_a_loss_that_is_no_number_stops_the_cell(tiny: Suite) -> None:
    with pytest.raises(Diverged):
        run(tiny, "examples=6400", optimizer="sgd", lr=100.0, outer_lr=100.0, clip=1e6)


def test_a_cell_ends_when_validation_gains_nothing_for_long_enough(tiny: Suite) -> None:
    right = [0, 2, 3, 3, 2, 5, 5, 4, 5, *range(6, 20)]

    def asked(stop_when_flat: int | None) -> tuple[bool, int]:
        answers = iter(right)
        trained, _ = run(tiny, "examples=640", stop_when_flat=stop_when_flat, validate=lambda: (next(answers), 20))
        assert trained.examples == 32 * len(trained.curve)
        return trained.flat, len(trained.curve)

    assert asked(2) == (True, 5)  # 3 and 2 after 3: an equal count is no gain
    assert asked(3) == (True, 9)  # 5, 4 and 5 after 5
    assert asked(4) == (False, CURVE_POINTS)
    assert asked(None) == (False, CURVE_POINTS)


def test_a_cell_that_is_flat_at_the_very_end_has_met_its_budget(tiny: Suite) -> None:
    trained, _ = run(tiny, "examples=640", stop_when_flat=CURVE_POINTS - 1)
    assert (trained.flat, trained.examples) == (False, 640)


def test_the_same_seed_gives_the_same_weights_whatever_else_is_random(tiny: Suite) -> None:
    first = build(tiny)
    run(tiny, "examples=320", first)
    second = build(tiny)
    torch.manual_seed(99)
    np.random.seed(99)
    random.seed(99)
    run(tiny, "examples=320", second)
    for (name, one), two in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(one, two), name


def test_a_step_that_overflows_in_half_precision_is_left_out_by_all_optimizers(tiny: Suite) -> None:
    model = build(tiny)
    optimizers = build_optimizers(model, TrainingSettings())
    assert len(optimizers) > 1
    scaler = torch.amp.GradScaler("cpu", enabled=True, init_scale=2.0)
    taken = Stream(tiny.stream(0), tiny.encoding).take(32)
    batch = Batch(torch.from_numpy(taken.prompt), torch.from_numpy(taken.answer))
    model.get_parameter("head.weight").register_hook(lambda gradient: gradient * math.inf)
    before = [parameter.clone() for parameter in model.parameters()]
    update(model, model.loss(batch, torch.Generator()), optimizers, scaler, 1.0)
    assert all(torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True))
    assert scaler.get_scale() == 1.0


def test_it_learns(tiny: Suite) -> None:
    cls = get("transformer")
    torch.manual_seed(0)
    model = cls(cls.Config(width=32, heads=2, layers=1), sequence_spec(tiny))
    run(tiny, "examples=20k", model, weight_decay=0.0)
    items = tiny.encoding.encode(tiny.evaluation_set("seen").problems)
    assert answer(model, items, torch.device("cpu"), "32").right.mean() > 0.5  # 0.68 and more, by the processor
