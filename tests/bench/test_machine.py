"""Memory is this process's own, and its peak can be taken anew."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="read from Linux's /proc")


def printed(program: str) -> float:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    return float(done.stdout)


def test_the_peak_of_the_process_that_started_this_one_does_not_count() -> None:
    large = bytearray(300 * 10**6)
    large[::4096] = b"1" * len(large[::4096])
    assert printed("from bench import machine; print(machine.peak_resident_mb())") < 150


def test_the_peak_counts_from_where_it_was_forgotten() -> None:
    program = "from bench import machine; x = b'1' * 200_000_000; del x; {}; print(machine.peak_resident_mb())"
    assert printed(program.format("pass")) > 200
    assert printed(program.format("machine.forget_peak()")) < 150
