"""How close two tensors are: shared by the oracles of architectures. On sys.path through `pythonpath` of pytest."""

from torch import Tensor

TIGHT = 1e-10
"""Equal in float64 but for the order of sums."""


def distance(a: Tensor, b: Tensor) -> float:
    """Largest difference; what is compared is of size 1 to 100."""
    assert a.shape == b.shape
    return float((a - b).detach().abs().max())
