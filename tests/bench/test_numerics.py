"""What holds while torch computes as in a cell."""

import platform

import pytest

from tests.support.apart import printed

PROGRAM = """
import ctypes
import resource
from contextlib import nullcontext
from bench.numerics import as_in_a_cell

libc, size = ctypes.CDLL(None), 20 * 2**20
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

def faults_of_steps():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        pieces = [libc.malloc(size) for _ in range(5)]
        for piece in pieces:
            libc.memset(piece, 1, size)
        for piece in pieces:
            libc.free(piece)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with {}:
    faults_of_steps()
    print(faults_of_steps())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that gives memory back, and is told not to")
def test_steps_find_the_memory_that_earlier_ones_freed() -> None:
    faults = {context: printed(PROGRAM.format(context)) for context in ("as_in_a_cell(1, 'cpu')", "nullcontext()")}
    assert faults["as_in_a_cell(1, 'cpu')"] < 1000 < faults["nullcontext()"]


FLUSHED = """
import torch
from bench.numerics import as_in_a_cell

def flushed():
    return (tiny * 1.0 == 0).float().mean().item()

torch.set_num_threads(1)
tiny = torch.full((4_000_000,), 1e-40)
torch.set_num_threads({before})
tiny * 1.0
with as_in_a_cell({inside}, "cpu"):
    inside = flushed()
after = [flushed()]
torch.set_num_threads(4)
print(inside - max(after + [flushed()]))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="elsewhere only threads that are born inside flush")
@pytest.mark.parametrize(("before", "inside"), [(4, 2), pytest.param(2, 4, marks=pytest.mark.torture)])
def test_denormals_are_flushed_by_all_threads_inside_and_by_none_afterwards(before: int, inside: int) -> None:
    assert printed(FLUSHED.format(before=before, inside=inside)) == 1.0
