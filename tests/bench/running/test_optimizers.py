import math
from types import SimpleNamespace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.architectures import from_scratch
from bench.datasets.suites import Suite
from bench.plan import sequence_spec
from bench.planning.settings import TrainingSettings
from bench.planning.sizing import count_optimizer_flops
from bench.running.optimizers import (
    POLAR_EXPRESS,
    Muon,
    build_optimizers,
    orthogonal,
    schedule_factor,
    set_learning_rates,
)


def reference_update(gradients: list[torch.Tensor], lr: float, momentum: float) -> torch.Tensor:
    """Muon written out for one matrix, step by step, after Jordan et al. 2024, with the polynomials of Polar Express.

    Returns the sum of its updates.
    """
    buffer, moved = torch.zeros_like(gradients[0]), torch.zeros_like(gradients[0])
    for gradient in gradients:
        buffer = momentum * buffer + (1 - momentum) * gradient
        x = (1 - momentum) * gradient + momentum * buffer
        transposed = x.shape[0] > x.shape[1]
        x = x.T if transposed else x
        x = x / (x.norm() * 1.01 + 1e-7)
        for a, b, c in POLAR_EXPRESS:
            gram = x @ x.T
            x = a * x + (b * gram + c * gram @ gram) @ x
        x = x.T if transposed else x
        moved -= lr * max(1.0, gradient.shape[0] / gradient.shape[1]) ** 0.5 * x
    return moved


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5)])
def test_muon_equals_the_written_out_form(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(shape, dtype=torch.float64))
    before = weight.detach().clone()
    gradients = [torch.randn(shape, dtype=torch.float64) for _ in range(4)]
    optimizer = Muon([{"params": [weight], "stacked": [1]}], lr=0.1)
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimizer.step()
    torch.testing.assert_close(weight - before, reference_update(gradients, 0.1, 0.95))


def test_stacked_matrices_are_updated_one_by_one() -> None:
    torch.manual_seed(0)
    gates = torch.nn.Parameter(torch.zeros(12, 5, dtype=torch.float64))
    gates.grad = torch.randn(12, 5, dtype=torch.float64)
    Muon([{"params": [gates], "stacked": [4]}], lr=0.1).step()
    for number in range(4):
        rows = slice(3 * number, 3 * number + 3)
        torch.testing.assert_close(gates[rows].detach(), reference_update([gates.grad[rows]], 0.1, 0.95))


def test_updates_are_nearly_orthogonal() -> None:
    torch.manual_seed(0)
    singular = torch.linalg.svdvals(orthogonal(torch.randn(3, 20, 30)))
    assert 0.4 < float(singular.min()) < float(singular.max()) < 1.6


@pytest.mark.parametrize("optimizer", ["muon", "adamw", "sgd"])
@pytest.mark.parametrize("name", list(from_scratch()))
def test_flops_of_a_step_are_those_that_torch_counts(name: str, optimizer: str, tiny: Suite) -> None:
    cls = from_scratch()[name]
    model = cls(cls.Config(**cls.debug), sequence_spec(tiny))
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    with FlopCounterMode(display=False) as counter:
        for each in build_optimizers(model, TrainingSettings(optimizer=optimizer)):
            each.step()
    assert count_optimizer_flops(model, optimizer) == counter.get_total_flops()
    assert (counter.get_total_flops() > 0) == (optimizer == "muon")


@pytest.mark.parametrize("optimizer", ["muon", "adamw", "sgd"])
@pytest.mark.parametrize("name", list(from_scratch()))
def test_every_parameter_is_updated_by_exactly_one_optimizer(name: str, optimizer: str, tiny: Suite) -> None:
    cls = from_scratch()[name]
    model = cls(cls.Config(**cls.debug), sequence_spec(tiny))
    optimizers = build_optimizers(model, TrainingSettings(optimizer=optimizer))
    updated = [id(p) for o in optimizers for group in o.param_groups for p in group["params"]]
    assert sorted(updated) == sorted(id(p) for p in model.parameters())
    set_learning_rates(optimizers, 0.5)
    assert {group["lr"] for o in optimizers for group in o.param_groups} == {0.01, 0.003}


@pytest.mark.parametrize("optimizer", ["muon", "adamw", "sgd"])
@pytest.mark.parametrize("inner", [True, False])
def test_all_parameters_may_be_of_one_kind(inner: bool, optimizer: str) -> None:
    """An adapter is all matrices."""
    parameter = torch.nn.Parameter(torch.ones(2, 2))
    model = SimpleNamespace(parameter_groups=lambda: iter([("weight", parameter, inner, 1)]))
    [only] = build_optimizers(model, TrainingSettings(optimizer=optimizer))
    assert [id(p) for group in only.param_groups for p in group["params"]] == [id(parameter)]


@pytest.mark.parametrize("optimizer", ["muon", "adamw", "sgd"])
def test_weight_decay_shrinks_inner_matrices_alike_under_every_optimizer(optimizer: str) -> None:
    inner, outer = torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(2))
    groups = [("weight", inner, True, 1), ("bias", outer, False, 1)]
    model = SimpleNamespace(parameter_groups=lambda: iter(groups))
    settings = TrainingSettings(optimizer=optimizer, lr=0.02, weight_decay=0.1)
    optimizers = build_optimizers(model, settings)
    for _ in range(500):
        for parameter in (inner, outer):
            parameter.grad = torch.zeros_like(parameter)
        for each in optimizers:
            each.step()
    assert torch.allclose(inner, torch.full((2, 2), math.exp(-500 * 0.02 * 0.1)), rtol=0.03)
    assert torch.equal(outer, torch.ones(2))


def test_schedules_rise_then_fall_over_the_share_of_the_budget() -> None:
    linear = TrainingSettings(warmup=0.2, schedule="linear")
    assert [schedule_factor(share, linear) for share in (0.0, 0.1, 0.2, 0.6, 1.0)] == pytest.approx([0, 0.5, 1, 0.5, 0])
    cosine = TrainingSettings(warmup=0.0, schedule="cosine")
    assert [schedule_factor(share, cosine) for share in (0.0, 0.5, 1.0)] == pytest.approx([1, 0.5, 0])
    constant = TrainingSettings(warmup=0.1, schedule="constant")
    assert [schedule_factor(share, constant) for share in (0.05, 0.5, 1.0)] == pytest.approx([0.5, 1, 1])
