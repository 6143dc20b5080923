"""Memory is this process's own, and its peak can be taken anew; cells notice each other."""

from pathlib import Path

import pytest

from bench import machine
from bench.machine import CellsBeside
from tests.support.apart import printed

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="read from Linux's /proc")


def test_the_peak_of_the_process_that_started_this_one_does_not_count() -> None:
    large = bytearray(300 * 10**6)
    large[::4096] = b"1" * len(large[::4096])
    assert printed("from bench import machine; print(machine.peak_resident_mb())") < 150


def test_the_peak_counts_from_where_it_was_forgotten() -> None:
    program = "from bench import machine; x = b'1' * 200_000_000; del x; {}; print(machine.peak_resident_mb())"
    assert printed(program.format("pass")) > 200
    assert printed(program.format("machine.forget_peak()")) < 150


def test_the_peak_of_training_is_without_code_that_is_run_for_the_first_time() -> None:
    program = """
import torch
from bench.machine import PeakMemory
memory = PeakMemory("cpu")
torch.nn.LSTM(16, 64)(torch.zeros(10, 32, 16))[0].sum().backward()
print(memory.mb())
"""
    assert 0 < printed(program) < 10  # 18 with that code


def test_cells_that_train_at_the_same_time_notice_each_other_whoever_came_first(tmp_path: Path) -> None:
    file = tmp_path / "cells"
    with CellsBeside(file) as first:
        assert first.seen() is False
        with CellsBeside(file) as second:
            assert (first.seen(), second.seen()) == (True, True)
        assert first.seen() is True  # the other has ended, but was there
    with CellsBeside(file) as one_after_the_other:
        assert one_after_the_other.seen() is False


def test_cells_in_different_processes_notice_each_other(tmp_path: Path) -> None:
    program = """
from pathlib import Path
from bench.machine import CellsBeside
from tests.support.apart import printed
with CellsBeside(Path({!r})) as cell:
    print(int(cell.seen()))
"""
    file = str(tmp_path / "cells")
    with CellsBeside(tmp_path / "cells") as here:
        assert printed(program.format(file)) == 1
        assert here.seen() is True
    assert printed(program.format(file)) == 0


def test_where_there_is_no_file_to_share_nobody_can_tell(tmp_path: Path) -> None:
    with CellsBeside(tmp_path / "no" / "folder") as cell:
        assert cell.seen() is None


@pytest.mark.parametrize(
    ("threads", "load", "says"),
    [
        (2, 0.3, ""),
        (2, 2.4, ""),
        (2, 3.0, "the machine is busy (load average 3.0, and 2 of 4 cores are wanted)"),
        (4, 1.0, "the machine is busy (load average 1.0, and 4 of 4 cores are wanted)"),
        (5, 0.0, "5 threads share 4 cores"),
    ],
)
def test_what_takes_time_from_threads_is_named(
    threads: int, load: float, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 4)
    monkeypatch.setattr("os.getloadavg", lambda: (load, 9.0, 9.0))
    assert machine.disturbed(threads) == says
