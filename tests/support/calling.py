"""A command of the program, or a run, in this process, and its cells with it."""

import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.results.records.plan import Plan
from bench.running.cell import run_cell
from bench.running.engine import Task, planned_cell
from bench.running.run_folder import take_folder
from bench.running.workers import Workers


def one_by_one(
    tasks: Iterable[Task], at_once: int = 1, grace_seconds: float = 0.0, workers: Workers | None = None
) -> None:
    """In the place of `engine.run_tasks`: starting a process for a cell takes longer than training one of test size."""
    for task in tasks:
        if (begun := task.begin()) is not None:
            cell, job = begun
            task.event({"kind": "started", "where": ""})
            job(cell, task.event, lambda: False)
            task.end(0)


def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of one command, in this process."""
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    captured = capsys.readouterr()
    return int(exit_.value.code or 0), captured.out, captured.err


def train(plan: Plan, directory: Path) -> None:
    """Trains every cell of a plan, one after another; writes no tables."""
    take_folder(plan, directory)
    for architecture, seed in plan.cells:
        run_cell(planned_cell(plan, architecture, seed, directory), lambda event: None)
