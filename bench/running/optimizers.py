"""Optimisers and the learning rate schedule: one optimiser for the inner matrices, one for all other parameters."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.architectures import Architecture
from bench.numerics import spare_the_compiler
from bench.planning.settings import TrainingSettings

POLAR_EXPRESS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
)
"""Coefficients of x, x^3 and x^5 in the first four steps of Polar Express."""
MOMENTUM = 0.9
"""Of plain SGD."""


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal, for matrices (Jordan et al., "Muon", 2024).

    It computes in float32 and batched over all matrices of one shape: `torch.optim.Muon` computes in bfloat16, one
    matrix at a time, which is far slower on CPUs without bfloat16 units. Parameters that stack several matrices by rows
    (the gates of a recurrent cell) are split into them first.

    Args:
        params: parameter groups; each has `stacked`, a list with the number of matrices in each of its parameters.
        lr: learning rate; an update has singular values of about 1, times sqrt(max(1, rows / columns)).
        momentum: share of the last direction kept, with Nesterov's look-ahead.
        weight_decay: decoupled, times the learning rate.
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            shapes: dict[torch.Size, list[tuple[Tensor, Tensor, float]]] = defaultdict(list)
            for parameter, stacked in zip(group["params"], group["stacked"], strict=True):
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                direction = parameter.grad.lerp(state["momentum"], group["momentum"])
                if group["weight_decay"]:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                for target, matrix in zip(parameter.chunk(stacked), direction.chunk(stacked), strict=True):
                    scale = math.sqrt(max(1.0, matrix.shape[0] / matrix.shape[1]))
                    if matrix.shape[0] > matrix.shape[1]:  # transposed, so that tall and wide ones share a batch
                        target, matrix = target.mT, matrix.mT
                    rows, columns = matrix.shape
                    # Zeros stay zeros, and matrix products of multiples of 8 run up to 1.7 x faster.
                    padded = F.pad(matrix, (0, -columns % 8, 0, -rows % 8))
                    shapes[padded.shape].append((target, padded, scale))
            for batch in shapes.values():
                updates = orthogonal(torch.stack([padded for _, padded, _ in batch]))
                for (target, _, scale), update in zip(batch, updates, strict=True):
                    rows, columns = target.shape
                    target.add_(update[:rows, :columns], alpha=-group["lr"] * scale)


def orthogonal(matrices: Tensor) -> Tensor:
    """(n, rows, columns), rows <= columns -> matrices of the same singular vectors with all singular values near 1.

    A Newton-Schulz iteration: each step puts the singular values through an odd polynomial of degree 5. Its
    coefficients bring the worst value of [0.001, 1] nearest to 1 (Amsel et al., "The Polar Express", 2025); values
    above a thousandth of the norm end in about [0.44, 1.56]. Muon's own five equal steps cost a quarter more and
    trained no better (`docs/log.md`).
    """
    # The largest singular value is at most the norm; the paper's margin keeps it below 1 after rounding.
    x: Tensor = matrices / (matrices.norm(dim=(1, 2), keepdim=True) * 1.01 + 1e-7)
    for a, b, c in POLAR_EXPRESS:
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def build_optimizers(model: Architecture, settings: TrainingSettings) -> list[torch.optim.Optimizer]:
    """The optimisers of a model; each group's `initial_lr` is its peak, which `set_learning_rates` scales."""
    spare_the_compiler()
    inner, stacked, outer = [], [], []
    for _, parameter, is_matrix, count in model.parameter_groups():
        if is_matrix:
            inner.append(parameter)
            stacked.append(count)
        else:
            outer.append(parameter)
    decay = settings.weight_decay
    optimizers: list[torch.optim.Optimizer] = []
    common = _sgd if settings.optimizer == "sgd" else _adamw
    if settings.optimizer == "muon" and inner:
        optimizers.append(Muon([{"params": inner, "stacked": stacked}], lr=settings.lr, weight_decay=decay))
    elif inner:
        optimizers.append(common(inner, settings.lr, decay))
    if outer:  # an adapter is all matrices
        optimizers.append(common(outer, settings.outer_lr, 0.0))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return optimizers


def _sgd(parameters: list[torch.nn.Parameter], lr: float, weight_decay: float) -> torch.optim.Optimizer:
    spread = weight_decay * (1 - MOMENTUM)  # it is added to the gradient, which momentum sums up to ten times as much
    return torch.optim.SGD(parameters, lr=lr, momentum=MOMENTUM, nesterov=True, weight_decay=spread)


def _adamw(parameters: list[torch.nn.Parameter], lr: float, weight_decay: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=lr, betas=(0.9, 0.98), weight_decay=weight_decay, fused=True)


def set_learning_rates(optimizers: list[torch.optim.Optimizer], factor: float) -> None:
    """Scale every group's learning rate to `factor` of its peak."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor


def factor_of_step(before: float, after: float, settings: TrainingSettings) -> float:
    """The learning rate's factor in a step; `before` and `after` it these shares of the budget (0 to 1) were used.

    During warm-up the share after the step counts, so that the first step's rate is above 0; later the share before it,
    so that the last step's is.
    """
    return schedule_factor(min(after, settings.warmup) if before < settings.warmup else before, settings)


def schedule_factor(share: float, settings: TrainingSettings) -> float:
    """The learning rate's factor after `share` (0 to 1) of the budget was used."""
    if share < settings.warmup:
        return share / settings.warmup
    rest = min(1.0, (1.0 - share) / (1.0 - settings.warmup))
    match settings.schedule:
        case "linear":
            return rest
        case "cosine":
            return 0.5 - 0.5 * math.cos(math.pi * rest)
        case _:
            return 1.0
