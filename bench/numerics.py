"""Settings of torch (threads, determinism, precision) under which cells train, and are evaluated and measured again."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from torch.utils import flop_counter

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of `mallopt`, from glibc's malloc.h."""
_OPTIONS: Any = torch.utils.deterministic  # a module that makes its attributes up as it goes


def repeats(device: str) -> bool:
    """Whether a device gives the same bits each time; some kernels of GPUs add up in any order."""
    return device.startswith("cpu")


@contextmanager
def as_in_a_cell(threads: int, device: str) -> Iterator[None]:
    """A context with the settings of a cell: a number of threads, and on a CPU deterministic algorithms.

    Denormals are flushed to zero, since arithmetic with them is slow. GPUs compute float32 in full precision (no TF32).
    The allocator keeps freed memory, from here to the end of the process.
    """
    _keep_freed_memory()
    before, tf32 = torch.get_num_threads(), torch.backends.cudnn.allow_tf32
    torch.set_num_threads(threads)
    _flush_denormals(True)
    torch.backends.cudnn.allow_tf32 = False
    try:
        with deterministic(repeats(device)):
            yield
    finally:
        _flush_denormals(False)
        torch.set_num_threads(before)
        torch.backends.cudnn.allow_tf32 = tf32


def _flush_denormals(yes: bool) -> None:
    """Say it to this thread and to those that compute for it: flushing is a thread's own, and inherited at its birth.

    Where torch's threads are not GNU's (on Linux they are), those that stood before are left as they are.
    """
    torch.set_flush_denormal(yes)
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    if torch.get_num_threads() > 1 and library.is_file():
        with suppress(OSError, AttributeError):
            in_each_thread = ctypes.CDLL(str(library)).GOMP_parallel
            call = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p)(lambda _: torch.set_flush_denormal(yes))
            in_each_thread(call, None, ctypes.c_uint(0), ctypes.c_uint(0))  # 0 threads: as many as torch takes


@contextmanager
def deterministic(yes: bool) -> Iterator[None]:
    """A context in which torch uses deterministic algorithms only (`yes`), or any."""
    before, fill = torch.get_deterministic_debug_mode(), _OPTIONS.fill_uninitialized_memory
    torch.set_deterministic_debug_mode("error" if yes else "default")  # its sibling imports torch's compiler, 2 s
    _OPTIONS.fill_uninitialized_memory = False  # a safety net for wrong kernels that costs 2 to 10 % of a step
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)
        _OPTIONS.fill_uninitialized_memory = fill


def spare_the_compiler() -> None:
    """Keep torch from importing its compiler, which takes 2 s, for functions that its compiler is to leave as they are.

    Each of them imports it when it is first called, to get itself back, and keeps what it got: here that is set before.
    Where another version of torch keeps it elsewhere, nothing changes but the time.
    """
    optimizer = torch.optim.Optimizer
    left_alone: list[Any] = [optimizer.zero_grad, optimizer.add_param_group, optimizer.state_dict]
    left_alone += [optimizer.load_state_dict, flop_counter._FlopCounterMode.__torch_dispatch__]
    for references in (torch._refs, torch._refs.nn.functional):  # what computes shapes on the meta device
        left_alone += vars(references).values()
    while left_alone:
        function = left_alone.pop()
        if isinstance(function, FunctionType) and not hasattr(function, "__dynamo_disable"):
            function.__dynamo_disable = function  # type: ignore[attr-defined]
            left_alone += [cell.cell_contents for cell in function.__closure__ or ()]  # what it wraps


def _keep_freed_memory() -> None:
    """Make glibc keep freed memory for the next allocations.

    By default it returns large pieces to the system, and taking them again costs a page fault for each 4 KB. Every step
    of training frees its tensors; without this, steps of `lstm` took 1.17 times as long.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            libc = ctypes.CDLL(None)
            for parameter, most in ((M_TRIM_THRESHOLD, 2**31 - 1), (M_MMAP_THRESHOLD, 32 * 2**20)):
                libc.mallopt(parameter, most)
