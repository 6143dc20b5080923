"""What this machine can do: operations and bytes a second, and the bytes that a job moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.timing import timed


class MatrixProbe:
    """A large matrix product in the precision of the models: the most operations a second that this machine has."""

    def __init__(self, device: torch.device, precision: str = "32", size: int | None = None) -> None:
        size = size or (1024 if device.type == "cpu" else 8192)
        dtype = {"32": torch.float32, "bf16": torch.bfloat16, "16": torch.float16}[precision]
        self._one, self._other = (torch.rand((size, size), dtype=dtype, device=device) for _ in range(2))
        self._out = torch.empty_like(self._one)
        self._device, self._flops = device, 2 * size**3

    def rate(self) -> float:
        """Floating-point operations a second, now."""
        return self._flops / timed(lambda: torch.mm(self._one, self._other, out=self._out), self._device)


class CopyProbe:
    """A copy of what fits no cache: the most bytes a second that this machine moves."""

    def __init__(self, device: torch.device, megabytes: int | None = None) -> None:
        megabytes = megabytes or (64 if device.type == "cpu" else 1024)
        self._from = torch.zeros(megabytes * 250_000, device=device)
        self._to = torch.empty_like(self._from)
        self._device, self._bytes = device, 2 * self._from.numel() * self._from.element_size()

    def rate(self) -> float:
        """Bytes a second, read and written, now."""
        return self._bytes / timed(lambda: self._to.copy_(self._from), self._device)


class _BytesMoved(TorchDispatchMode):
    """Counts what every operator reads and writes."""

    def __init__(self) -> None:
        parent: Any = super()  # torch left its types out
        parent.__init__()
        self.total = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = function(*args, **kwargs)
        if not function.is_view:
            self.total += _bytes((args, kwargs))
            schema = function._schema
            for number, argument in enumerate(schema.arguments):
                if argument.alias_info is not None and argument.alias_info.is_write:
                    self.total += _bytes(args[number] if number < len(args) else kwargs.get(argument.name))
            if all(returned.alias_info is None for returned in schema.returns):
                self.total += _bytes(out)
        return out


def _bytes(values: Any) -> int:
    """Bytes of all tensors; what is expanded counts as often as it is stored."""
    tensors: list[Tensor] = [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
    return sum(min(t.numel() * t.element_size(), int(t.untyped_storage().nbytes())) for t in tensors)


def bytes_moved(job: Callable[[], Any]) -> int:
    """An estimate of the bytes that a job moves: every operator reads its inputs from memory and writes its outputs
    there, once. Caches make it less; an operator that keeps intermediate results makes it more.
    """
    counter = _BytesMoved()
    with counter:
        job()
    return counter.total
