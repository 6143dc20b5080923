"""A real run, killed again and again at random moments, ends with the bytes of one that was left alone.

Every other kill comes soon after a new checkpoint, amid training; the others at any moment of a run, most of which is
starting two processes.
"""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from calling import train

from bench.planning.decide import decide
from bench.planning.options import RunOptions
from bench.results.records.collect import collect
from bench.running.checkpoints import PATTERN

ROOT = Path(__file__).resolve().parents[2]
SUITE = """
name = "short"
version = 1
summary = "sums of one digit"
operations = ["+"]
digits = ["1x1"]
[evaluation]
per_stratum = 10
seen = 5
[defaults]
budget = "examples=%d"
parameters = 5_000
seeds = 1
batch = 32
"""
SETTINGS = "batch=16,lstm.layers=2"
COMMAND = ("run", "--arch", "lstm,transformer", "--threads", "1", "--set", SETTINGS, "--checkpoint-every", "0.02")
LONGEST = 9.0
"""Seconds after which the latest kill of those at any moment comes."""
SOON = 0.5
"""Seconds after a new checkpoint within which a kill amid training comes."""


def start(suite: Path, out: Path, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *COMMAND, "--suite", str(suite), "--out", str(out), *more],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,  # so that parent and cells can be killed as one
    )


def wait_for_a_checkpoint(process: subprocess.Popen[bytes], out: Path, since_ns: int) -> bool:
    """Whether a checkpoint was written before the run ended."""
    while process.poll() is None:
        for path in out.glob(f"cells/*/{PATTERN}"):
            with suppress(FileNotFoundError):  # a newer one has taken its place
                if path.stat().st_mtime_ns > since_ns:
                    return True
        time.sleep(0.005)
    return False


def kill_now_and_then(suite: Path, out: Path, moments: random.Random, kills: int) -> tuple[int, int]:
    """Run to the end, killing it at most so many times; how many times it was, and how many of them amid training."""
    killed = amid = 0
    while True:
        begun_ns = time.time_ns()
        process = start(suite, out, *(("--cells-at-once", "2") if moments.random() < 0.5 else ()))
        training = killed < kills and killed % 2 == 0 and wait_for_a_checkpoint(process, out, begun_ns)
        try:
            longest = SOON if training else LONGEST
            _, said = process.communicate(timeout=moments.uniform(0, longest) if killed < kills else None)
        except subprocess.TimeoutExpired:
            amid += training
            how = moments.choice(["parent", "all", "term", "interrupt"])
            if how == "all":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                sign = {"parent": signal.SIGKILL, "term": signal.SIGTERM, "interrupt": signal.SIGINT}[how]
                process.send_signal(sign)
            _, said = process.communicate()
            killed += 1
            assert b"Traceback" not in said, said.decode()
            continue
        assert (process.returncode, said) == (0, b"")
        return killed, amid


def same(one: Path, other: Path) -> None:
    assert (one / "results.csv").read_bytes() == (other / "results.csv").read_bytes()
    for cell in sorted((one / "cells").iterdir()):
        twin = other / "cells" / cell.name
        for name in ("model.safetensors", "predictions.csv.gz"):
            assert (cell / name).read_bytes() == (twin / name).read_bytes(), cell / name
        curves = [pd.read_csv(folder / "curve.csv").drop(columns="train_seconds") for folder in (cell, twin)]
        pd.testing.assert_frame_equal(*curves)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="signals and process groups are POSIX")
@pytest.mark.torture
@pytest.mark.parametrize(("kills", "examples"), [(1, 4_000), (100, 24_000)], ids=["1", "100"])
def test_a_run_that_is_killed_again_and_again_ends_as_if_nothing_had_happened(
    kills: int, examples: int, tmp_path: Path
) -> None:
    suite, straight = tmp_path / "short.toml", tmp_path / "straight"
    suite.write_text(SUITE % examples, encoding="utf-8")
    options = RunOptions(arch="lstm,transformer", suite=str(suite), threads=1, set=(SETTINGS,))
    train(decide(options, command="test"), straight)
    collect(straight)
    moments, killed, amid, rounds = random.Random(kills), 0, 0, 0
    started = time.monotonic()
    while killed < kills:
        out = tmp_path / str(rounds)
        counts = kill_now_and_then(suite, out, moments, kills - killed)
        killed, amid = killed + counts[0], amid + counts[1]
        same(straight, out)
        rounds += 1
    print(f"{killed} kills, {amid} amid training, {rounds} runs, {time.monotonic() - started:.0f} s")
    assert amid >= max(1, kills // 4)
