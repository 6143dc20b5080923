"""The RMS norm against torch's."""

import pytest
import torch
from torch import nn

from bench.architectures.norms import RMSNorm, unit


@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 3, 4, 5)])
def test_values_and_gradients_are_those_of_torch(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    x, gradient = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    found = []
    for norm in (RMSNorm(5, eps=0.1), nn.RMSNorm(5, eps=0.1)):
        norm.double()
        with torch.no_grad():
            norm.weight.copy_(torch.arange(1.0, 6.0))
            asked = norm(x)
        leaf = x.clone().requires_grad_()
        normed = norm(leaf)
        normed.backward(gradient)
        torch.testing.assert_close(asked, normed.detach())
        found.append((normed.detach(), leaf.grad, norm.weight.grad))
    torch.testing.assert_close(*found)


def test_the_gradient_is_that_of_small_differences() -> None:
    norm = RMSNorm(4, eps=1e-6).double()
    x = torch.randn((3, 4), generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, _: norm(x), (x, norm.weight))


def test_it_is_in_the_precision_of_its_gain() -> None:
    norm = RMSNorm(4, eps=1e-6).float()
    assert norm(torch.ones((2, 4), dtype=torch.bfloat16)).dtype == torch.float32


def test_unit_length_and_its_gradient() -> None:
    x = torch.randn((3, 2, 4), generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(unit(x).norm(dim=-1), torch.ones((3, 2), dtype=torch.float64), atol=1e-5, rtol=0)
    assert torch.autograd.gradcheck(unit, (x,))
    assert torch.equal(unit(torch.zeros(2, 3)), torch.zeros(2, 3))
