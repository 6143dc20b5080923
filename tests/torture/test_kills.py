"""A real run, killed again and again at random moments, ends with the bytes of one that was left alone."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

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
COMMAND = ("run", "--arch", "lstm,transformer", "--threads", "1", "--set", "batch=16", "--checkpoint-every", "0.02")
LONGEST = 9.0
"""Seconds after which the latest kill comes: longer than two processes take to start."""


def start(suite: Path, out: Path, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *COMMAND, "--suite", str(suite), "--out", str(out), *more],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,  # so that parent and cells can be killed as one
    )


def kill_now_and_then(suite: Path, out: Path, moments: random.Random, kills: int) -> int:
    """Run to the end, killing it at most so many times; how many times it was."""
    killed = 0
    while True:
        process = start(suite, out, *(("--cells-at-once", "2") if moments.random() < 0.5 else ()))
        try:
            _, said = process.communicate(timeout=moments.uniform(0, LONGEST) if killed < kills else None)
        except subprocess.TimeoutExpired:
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
        return killed


def same(one: Path, other: Path) -> None:
    assert (one / "results.csv").read_bytes() == (other / "results.csv").read_bytes()
    for cell in sorted((one / "cells").iterdir()):
        twin = other / "cells" / cell.name
        for name in ("model.safetensors", "predictions.csv.gz"):
            assert (cell / name).read_bytes() == (twin / name).read_bytes(), cell / name
        curves = [pd.read_csv(folder / "curve.csv").drop(columns="train_seconds") for folder in (cell, twin)]
        pd.testing.assert_frame_equal(*curves)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="signals and process groups are POSIX")
@pytest.mark.parametrize(
    ("kills", "examples"),
    [pytest.param(4, 6_000, id="4"), pytest.param(100, 24_000, id="100", marks=pytest.mark.torture)],
)
def test_a_run_that_is_killed_again_and_again_ends_as_if_nothing_had_happened(
    kills: int, examples: int, tmp_path: Path
) -> None:
    suite, straight = tmp_path / "short.toml", tmp_path / "straight"
    suite.write_text(SUITE % examples, encoding="utf-8")
    process = start(suite, straight)
    assert process.communicate() == (None, b"")
    assert process.returncode == 0
    moments, killed, rounds = random.Random(kills), 0, 0
    started = time.monotonic()
    while killed < kills:
        out = tmp_path / str(rounds)
        killed += kill_now_and_then(suite, out, moments, kills - killed)
        same(straight, out)
        rounds += 1
    print(f"{killed} kills, {rounds} runs, {time.monotonic() - started:.0f} s")
