"""A run of two architectures and two seeds, trained in a second each; commands are called in this process."""

import contextlib
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from calling import one_by_one

from bench.__main__ import main

TINY = """
name = "tiny"
version = 1
summary = "sums and quotients of one digit"
operations = ["+", "/"]
digits = ["1x1"]
[evaluation]
per_stratum = 5
seen = 2
[defaults]
budget = "examples=300"
parameters = 5_000
seeds = 2
batch = 32
"""


class Outcome(NamedTuple):
    """What one command did."""

    status: int
    out: str
    err: str


def _call(*arguments: str) -> Outcome:
    """One command in this process. Whatever it raises, but the end of a program, is a traceback to a user: it fails."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["bench", *arguments])
        patch.setattr("bench.__main__._write_no_more", lambda: None)  # it is for the file descriptor of a program
        with pytest.raises(SystemExit) as end:
            main()
    return Outcome(int(end.value.code or 0), out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def call() -> Callable[..., Outcome]:
    return _call


@pytest.fixture(scope="session")
def run_arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command of the run, but for its folder."""
    suite = tmp_path_factory.mktemp("torture") / "tiny.toml"
    suite.write_text(TINY, encoding="utf-8")
    return ["--arch", "lstm,transformer", "--suite", str(suite), "--threads", "1"]


@pytest.fixture(scope="session")
def trained(run_arguments: list[str]) -> Path:
    """The folder of the run, all cells done."""
    directory = Path(run_arguments[3]).with_name("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.running.engine.run_tasks", one_by_one)
        assert _call("run", *run_arguments, "--out", str(directory)).status == 0
    return directory
