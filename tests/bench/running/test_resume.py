"""Never lose a run: a cell that was stopped or killed goes on bit for bit, and two processes never write one cell."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any
from unittest.mock import Mock

import pandas as pd
import pytest
import torch
from calling import call, one_by_one
from places import ROOT

from bench.locks import Held, holding
from bench.planning.decide import decide
from bench.planning.options import RunOptions
from bench.results.files import BadFile
from bench.results.records.plan import Plan
from bench.results.records.record import RECORD, read_record
from bench.running.cell import ERROR, LOCK, PlannedCell, run_cell
from bench.running.checkpoints import PATTERN, Checkpoint, newest_checkpoint, read_checkpoint, write_checkpoint
from bench.running.engine import Watcher, _CellTask, death, planned_cell
from bench.running.outcome import write_outcome
from bench.running.training import Diverged, Trained, _raise_if_diverged

SAME = ("model.safetensors", "predictions.csv.gz")
STEPS = 20
"""Of a run of the tiny suite, each of them with a point of the curve."""


def plan_of(
    tiny_path: Path, name: str = "transformer", settings: str = "batch=30,dropout=0.1", budget: str | None = None
) -> Plan:
    options = RunOptions(arch=name, suite=str(tiny_path), threads=1, set=(settings,), budget=budget)
    return decide(options, command="test")


def cell_of(plan: Plan, folder: Path) -> PlannedCell:
    return PlannedCell(plan, plan.architectures[0], 0, folder, checkpoint_seconds=1e9)


def run_for(cell: PlannedCell, steps: int) -> list[dict[str, Any]]:
    """Run a cell until it has taken so many more steps, or is done; what it reported."""
    events: list[dict[str, Any]] = []
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked == steps

    run_cell(cell, events.append, stop)
    return events


@pytest.fixture(scope="module")
def straight(tiny_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a cell that nothing interrupted."""
    folder = tmp_path_factory.mktemp("straight") / "cell"
    run_cell(cell_of(plan_of(tiny_path), folder), lambda event: None)
    return folder


def same_outcome(one: Path, other: Path) -> None:
    for name in SAME:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    curves = [pd.read_csv(folder / "curve.csv").drop(columns="train_seconds") for folder in (one, other)]
    pd.testing.assert_frame_equal(*curves)
    first, second = read_record(one), read_record(other)
    names = ("data_hash", "data_chain", "unique_problems", "tokens", "steps", "flops", "optimizer_flops", "correct")
    for name in names:
        assert getattr(first, name) == getattr(second, name), name


# Muon and AdamW, with dropout; AdamW alone; momentum alone; masks drawn in every step; a part of a block of data.
CASES = {
    "transformer": "batch=30,dropout=0.1",
    "lstm": "batch=30,optimizer=adamw",
    "gru": "batch=30,optimizer=sgd",
    "masked-encoder": "batch=30",
}


@pytest.mark.parametrize("name", CASES)
def test_a_cell_that_was_stopped_goes_on_bit_for_bit(name: str, tiny_path: Path, tmp_path: Path) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    plan = plan_of(tiny_path, name, CASES[name])
    run_cell(cell_of(plan, straight), lambda event: None)
    cell = cell_of(plan, broken)
    for steps in (1, 6, 12):
        run_for(cell, steps)
        assert not (broken / RECORD).exists()
    assert len(list(broken.glob(PATTERN))) == 2
    resumed = next(event for event in run_for(cell, STEPS + 1) if event["kind"] == "resumed")
    assert (resumed["steps"], resumed["share"]) == (19, 19 / 20)
    same_outcome(straight, broken)
    assert not list(broken.glob(PATTERN))  # done is done


def test_a_budget_of_flops_ends_at_the_same_example_after_a_stop(tiny_path: Path, tmp_path: Path) -> None:
    planned = plan_of(tiny_path, "lstm", "batch=30").entries["lstm"]
    each, update = planned.flops_per_example, planned.optimizer_flops_per_step
    assert update
    used = 160 * each + 6 * update
    plan = plan_of(tiny_path, "lstm", "batch=30", f"flops={used - 3}")
    run_cell(cell_of(plan, tmp_path / "straight"), lambda event: None)
    cell = cell_of(plan, tmp_path / "broken")
    for steps in (2, 3):
        run_for(cell, steps)
    resumed = next(event for event in run_for(cell, STEPS) if event["kind"] == "resumed")
    assert (resumed["steps"], resumed["share"]) == (5, (150 * each + 5 * update) / (used - 3))
    record = read_record(tmp_path / "broken")
    assert (record.examples, record.steps, record.optimizer_flops, record.all_flops) == (160, 6, 6 * update, used)
    same_outcome(tmp_path / "straight", tmp_path / "broken")


def test_a_cell_that_was_stopped_after_its_last_step_only_answers(
    straight: Path, tiny_path: Path, tmp_path: Path
) -> None:
    cell = cell_of(plan_of(tiny_path), tmp_path / "late")
    run_for(cell, STEPS)
    assert [event["kind"] for event in run_for(cell, 1)] == ["resumed", "evaluation"]
    same_outcome(straight, tmp_path / "late")


def test_what_the_sessions_cost_is_summed(tiny_path: Path, tmp_path: Path) -> None:
    cell = cell_of(plan_of(tiny_path), tmp_path)
    run_for(cell, 5)
    before, _ = newest_checkpoint(tmp_path, cell.digest)
    assert before is not None
    run_for(cell, STEPS)
    record = read_record(tmp_path)
    assert record.wall_seconds is not None
    assert record.train_seconds is not None
    assert record.wall_seconds > record.train_seconds > before.facts["trained"]["train_seconds"] > 0
    assert record.wall_seconds > before.facts["cost"]["wall_seconds"] > 0


def test_a_broken_checkpoint_is_named_and_the_one_before_serves(
    straight: Path, tiny_path: Path, tmp_path: Path
) -> None:
    cell = cell_of(plan_of(tiny_path), tmp_path / "broken")
    run_for(cell, 4)
    run_for(cell, 4)
    newer = max((tmp_path / "broken").glob(PATTERN))
    data = bytearray(newer.read_bytes())
    data[-7] ^= 1
    newer.write_bytes(data)
    warning, resumed = run_for(cell, STEPS)[:2]
    assert warning["kind"] == "warning"
    assert str(newer) in warning["text"]
    assert "its checksum does not match); delete it: its cell goes on from the one before" in warning["text"]
    assert resumed["steps"] == 4
    same_outcome(straight, tmp_path / "broken")


def test_without_a_whole_checkpoint_a_cell_starts_anew(straight: Path, tiny_path: Path, tmp_path: Path) -> None:
    cell = cell_of(plan_of(tiny_path), tmp_path / "broken")
    run_for(cell, 7)
    [only] = (tmp_path / "broken").glob(PATTERN)
    only.write_bytes(only.read_bytes()[:-100])
    (tmp_path / "broken" / ".curve.csv.123.tmp").write_text("half")
    kinds = [event["kind"] for event in run_for(cell, STEPS + 1)]
    assert kinds[0] == "warning"
    assert "resumed" not in kinds
    same_outcome(straight, tmp_path / "broken")
    assert not list((tmp_path / "broken").glob(".*.tmp"))


def test_a_checkpoint_of_other_settings_is_not_taken(tiny_path: Path, tmp_path: Path) -> None:
    plan = plan_of(tiny_path)
    run_for(cell_of(plan, tmp_path), 4)
    [path] = tmp_path.glob(PATTERN)
    other = cell_of(plan_of(tiny_path, settings="batch=30,dropout=0.2"), tmp_path)
    with pytest.raises(BadFile, match="is of another cell, or of one with other settings"):
        read_checkpoint(path, other.digest)
    # Where it lies, how often it keeps its state, what it calls itself and what else was loaded change nothing of
    # what a cell learns.
    preset = {name: entry.model_copy(update={"preset": "quick", "tuned": True}) for name, entry in plan.entries.items()}
    more = plan.model_copy(update={"entries": preset, "plugins": ["mine"], "command": "again", "seeds": [0, 1]})
    same = replace(cell_of(more, tmp_path / "elsewhere"), checkpoint_seconds=1.0)
    assert read_checkpoint(path, same.digest).facts["position"] == 120


def test_checkpoints_that_serve_nobody_give_way_to_those_that_do(tmp_path: Path) -> None:
    for step in (900, 1000):
        write_checkpoint(tmp_path, "another cell", step, Checkpoint({}, {}))
    for step in (100, 200, 300):
        write_checkpoint(tmp_path, "cell", step, Checkpoint({}, {"step": step}))
        assert len(list(tmp_path.glob(PATTERN))) == min(step // 100, 2)
    newest, broken = newest_checkpoint(tmp_path, "cell")
    assert (newest, broken) == (Checkpoint({}, {"step": 300}), [])


def test_other_data_than_before_are_refused(tiny_path: Path, tmp_path: Path) -> None:
    cell = cell_of(plan_of(tiny_path), tmp_path)
    run_for(cell, 4)
    [path] = tmp_path.glob(PATTERN)
    checkpoint = read_checkpoint(path, cell.digest)
    write_checkpoint(tmp_path, cell.digest, 4, replace(checkpoint, facts=checkpoint.facts | {"data_hash": "0" * 64}))
    run_cell(cell, lambda event: None)
    record = read_record(tmp_path)
    assert record.status == "failed"
    assert "the first 120 examples have hash" in record.reason


def test_a_checkpoint_holds_tensors_and_facts_to_the_bit(tmp_path: Path) -> None:
    written = Checkpoint({"a": torch.randn(3, 4).T, "steps": torch.tensor(2.0), "none": torch.empty(0)}, {"x": 0.1})
    write_checkpoint(tmp_path, "cell", 1, written)
    [path] = tmp_path.glob(PATTERN)
    read = read_checkpoint(path, "cell")
    assert read.facts == written.facts
    assert read.tensors.keys() == written.tensors.keys()
    for name, tensor in written.tensors.items():
        assert torch.equal(read.tensors[name], tensor)


@pytest.mark.parametrize(
    ("losses", "diverged"),
    [([4.0] * 5, True), ([4.0] * 4, False), ([4.0, 4.0, 3.0, 4.0, 4.0], False), ([2.0, 4.0, 4.0, 4.0, 4.0, 4.0], True)],
)
def test_a_loss_above_its_start_for_long_has_diverged(losses: list[float], diverged: bool) -> None:
    trained = Trained(start_loss=3.0, curve=[{"train_loss": loss} for loss in losses])
    if diverged:
        with pytest.raises(Diverged, match="the loss lay above 4 over 5 validations, and started at 3"):
            _raise_if_diverged(trained)
    else:
        _raise_if_diverged(trained)


def test_a_cell_that_another_process_ended_is_let_alone(straight: Path, tiny_path: Path, tmp_path: Path) -> None:
    """It waited for the lock of the cell, and got it from a process that had written the record."""
    copytree(straight, tmp_path / "cell")
    before = {path.name: path.read_bytes() for path in (tmp_path / "cell").iterdir()}
    assert run_for(cell_of(plan_of(tiny_path), tmp_path / "cell"), STEPS) == []
    assert {path.name: path.read_bytes() for path in (tmp_path / "cell").iterdir()} == before


def task_of(plan: Plan, run: Path, watcher: Watcher, retry_failed: bool = False) -> _CellTask:
    return _CellTask(planned_cell(plan, "transformer", 0, run), run, watcher, retry_failed, slices={})


@pytest.mark.parametrize("failed_before", [False, True], ids=["new", "retry-failed"])
def test_no_process_is_started_for_a_cell_that_another_ended_meanwhile(
    straight: Path, tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failed_before: bool
) -> None:
    plan, watcher = plan_of(tiny_path), Mock()
    task = task_of(plan, tmp_path, watcher, retry_failed=failed_before)
    if failed_before:
        task.cell.directory.mkdir(parents=True)
        write_outcome(task.cell, death(1))

    @contextmanager
    def held_by_another(*_: object) -> Iterator[None]:
        rmtree(task.cell.directory)
        copytree(straight, task.cell.directory)
        yield

    monkeypatch.setattr("bench.running.engine.holding", held_by_another)
    assert task.begin() is None
    watcher.finish.assert_called_once_with(read_record(straight))
    watcher.start.assert_not_called()
    assert read_record(task.cell.directory).done


# --- other processes --------------------------------------------------------------------------------------------------

# A shell that starts the tests in the background may have told them, and what they start, to ignore Ctrl-C.
INTERRUPT = signal.SIGTERM if signal.getsignal(signal.SIGINT) is signal.SIG_IGN else signal.SIGINT
Start = Callable[..., subprocess.Popen[str]]
LONG = ("--threads", "1", "--set", "batch=30", "--budget", "examples=3M", "--checkpoint-every", "0.05")


@pytest.fixture
def start(tiny_path: Path, tmp_path: Path) -> Iterator[Start]:
    """A function that runs the command itself, after something that a shell does. None outlives the test."""
    started = []

    def start(*arguments: str, shell: str = "true") -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "bench", "run", "--suite", str(tiny_path), "--out", "out", *arguments]
        process = subprocess.Popen(
            ["sh", "-c", f'{shell}; exec "$@"', "sh", *command],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_for(pattern: str, folder: Path) -> None:
    deadline = time.monotonic() + 180  # a crowded machine takes long to start two processes
    while not list(folder.glob(pattern)):
        assert time.monotonic() < deadline, f"no {pattern}"
        time.sleep(0.02)


def test_two_at_once_then_ctrl_c_for_one_and_the_other_is_killed(
    start: Start, tiny_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second process finds the folder held, by whom, and may take other cells. Ctrl-C keeps what was learnt and says
    how to go on; a cell whose parent was killed ends by itself, writes nothing more and holds no lock.
    """
    monkeypatch.chdir(tmp_path)
    first = start("--arch", "lstm", *LONG)
    wait_for(f"out/cells/lstm-s0/{PATTERN}", tmp_path)
    second = ("run", "--suite", str(tiny_path), "--out", "out", "--arch", "lstm", *LONG)
    status, _, refusal = call(capsys, monkeypatch, *second)
    assert status == 2
    assert refusal.startswith(f"bench: --out out: process {first.pid} on ")
    assert "add --join to take cells that it does not" in refusal
    helper = start("--arch", "lstm,gru", *LONG, "--join")
    wait_for(f"out/cells/gru-s0/{PATTERN}", tmp_path)
    helper.send_signal(INTERRUPT)
    printed, said = helper.communicate(timeout=180)
    assert helper.returncode == 130
    assert "the same command goes on from the last checkpoints" in said
    assert "lstm, seed 0: left to another process, which works on it" in printed
    assert list(tmp_path.glob(f"out/cells/gru-s0/{PATTERN}"))
    with holding(tmp_path / "out" / "cells" / "gru-s0" / LOCK):  # nobody holds it any more
        pass

    cell = tmp_path / "out" / "cells" / "lstm-s0"
    with pytest.raises(Held), holding(cell / LOCK):
        pass
    first.kill()
    killed = time.monotonic()
    first.communicate()
    with holding(cell / LOCK, patience=5):
        assert time.monotonic() - killed < 5  # a second, on a machine that has nothing else to do
        before = {path.name: path.stat().st_mtime_ns for path in cell.iterdir()}
        time.sleep(0.3)
        assert {path.name: path.stat().st_mtime_ns for path in cell.iterdir()} == before


class PowerCut(BaseException):
    """No code sees it coming, and none may tidy up after it."""


WRITES = STEPS + 4
"""Of a cell with a checkpoint a step: those, predictions, curve, weights and record."""


@pytest.mark.parametrize("after_rename", [False, True], ids=["before it is renamed", "after it is renamed"])
@pytest.mark.parametrize(
    "write", [11, STEPS + 1, *(pytest.param(STEPS + n, marks=pytest.mark.torture) for n in (2, 3)), WRITES]
)
def test_a_power_cut_in_any_write_costs_nothing(
    write: int, after_rename: bool, straight: Path, tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = replace(cell_of(plan_of(tiny_path), tmp_path / "cut"), checkpoint_seconds=0.0)
    original, writes = Path.replace, 0

    def rename(path: Path, target: Path) -> Path:
        nonlocal writes
        writes += 1
        if writes == write and not after_rename:
            raise PowerCut
        original(path, target)
        if writes == write:
            raise PowerCut
        return target

    monkeypatch.setattr(Path, "replace", rename)
    with pytest.raises(PowerCut):
        run_cell(cell, lambda event: None)
    monkeypatch.undo()
    recorded = (tmp_path / "cut" / RECORD).exists()
    assert recorded == (write == WRITES and after_rename)
    if not recorded:
        run_cell(cell, lambda event: None)
    same_outcome(straight, tmp_path / "cut")


def test_checkpoints_that_a_power_cut_left_behind_a_record_go_with_the_next_start(
    straight: Path, tiny_path: Path, tmp_path: Path
) -> None:
    plan = plan_of(tiny_path)
    task = task_of(plan, tmp_path, Mock())
    copytree(straight, task.cell.directory)
    write_checkpoint(task.cell.directory, "cell", STEPS, Checkpoint({}, {}))
    assert task.begin() is None
    assert {path.name for path in task.cell.directory.iterdir()} == {path.name for path in straight.iterdir()}


@pytest.mark.skipif(os.name != "posix", reason="the shell's `ulimit` stands in for a full disk")
def test_a_full_disk_is_one_line_and_loses_no_finished_cell(
    start: Start, tiny_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "bench.running.engine.run_tasks", one_by_one
    )  # the cells before and after, not those that meet it
    monkeypatch.setattr("bench.results.report.html._vega", str)  # a megabyte, and seconds
    settings = ("--threads", "1", "--set", "batch=30")
    here = ("run", "--suite", str(tiny_path), "--out", "out", *settings)
    status, _, said = call(capsys, monkeypatch, *here, "--arch", "lstm")
    assert (status, said) == (0, "")
    record = tmp_path / "out" / "cells" / "lstm-s0" / RECORD
    before = record.read_bytes()
    # No file above 40 blocks of 512 or 1,024 bytes: less than weights and page, more than a record.
    second = start("--arch", "lstm,gru", *settings, shell="ulimit -f 40")
    printed, said = second.communicate()
    assert second.returncode == 2
    assert said == "bench: out/report.html: File too large\n"
    assert "gru, seed 0: failed: OSError" in printed
    assert record.read_bytes() == before
    assert "OSError" in (tmp_path / "out" / "cells" / "gru-s0" / ERROR).read_text(encoding="utf-8")
    status, _, said = call(capsys, monkeypatch, *here, "--arch", "lstm,gru", "--retry-failed")
    assert (status, said) == (0, "")
    records = [read_record(folder) for folder in (tmp_path / "out" / "cells").iterdir()]
    assert {record.status for record in records} == {"done"}
    assert all(ERROR not in record.files for record in records)
