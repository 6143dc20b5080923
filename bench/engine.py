"""Running a plan: cell after cell, each in a child process, finished ones skipped."""

import json
import multiprocessing
import shutil
import signal
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from bench.baselines import complete_baselines
from bench.cell import Report, Work, as_message, main, run_cell, write_outcome
from bench.plan import Entry, Plan
from bench.results import records
from bench.results.collect import collect
from bench.results.runs import cell_directory


class Watcher(Protocol):
    """Whoever wants to see a run go on."""

    def start(self, architecture: str, seed: int) -> None: ...
    def event(self, event: dict[str, Any]) -> None: ...
    def finish(self, record: records.Record) -> None: ...


class Interrupted(Exception):
    """The user stopped the run."""


def run_plan(plan: Plan, directory: Path, watcher: Watcher, retry_failed: bool = False) -> list[records.Record]:
    """Run every cell that has no record yet; all records of the plan, in the order they were run.

    Cells run seed by seed, architectures within, so that a drifting machine meets all architectures alike.

    Raises:
        Interrupted: by the user; finished cells are kept.
    """
    finished = []
    for seed in plan.seeds:
        for entry in plan.entries:
            cell = cell_directory(directory, entry.name, seed)
            record = records.read_record(cell) if (cell / records.RECORD).exists() else None
            if record is None or (retry_failed and not record.done):
                if cell.exists():
                    shutil.rmtree(cell)
                cell.mkdir(parents=True)
                watcher.start(entry.name, seed)
                work = work_of(plan, entry, seed, cell)
                exit_code = run_in_child(work, run_cell, watcher.event)
                if not (cell / records.RECORD).exists():
                    write_outcome(work, death(exit_code))
                record = records.read_record(cell)
                collect(directory)
            watcher.finish(record)
            finished.append(record)
    collect(directory)
    complete_baselines(plan, directory)
    return finished


def work_of(plan: Plan, entry: Entry, seed: int, cell: Path) -> Work:
    """What the process of one cell is told; `cell` is its folder."""
    return Work(
        directory=str(cell.resolve()),
        architecture=entry.name,
        seed=seed,
        suite=plan.suite.model_dump(mode="json"),
        config=asdict(entry.config),
        training=asdict(entry.training),
        parameters=entry.parameters,
        active_parameters=entry.active_parameters,
        flops_per_example=entry.flops_per_example,
        match=entry.match,
        preset=entry.preset,
        tuned=entry.tuned,
        budget=str(plan.budget),
        stop_when_flat=plan.stop_when_flat,
        training_problems=plan.training_problems,
        device=plan.device,
        precision=plan.precision,
        threads=plan.threads,
        plugins=list(plan.plugins),
    )


def run_in_child(
    work: Work, job: Callable[[Work, Report], None], event: Callable[[dict[str, Any]], None]
) -> int | None:
    """Do one job in a process of its own; its exit code. `event` is told what it reports, and ends it by raising.

    Raises:
        Interrupted: by the user.
    """
    context = multiprocessing.get_context("spawn")  # a fork would inherit threads, memory and seeds
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=main, args=(theirs, as_message(work), job), name=f"{work.architecture}-s{work.seed}")
    # A terminal sends Ctrl-C to both processes; only this one answers, and then ends the other. Whether a signal is
    # ignored is inherited, so that the child never hears of it, not even while it starts.
    answer = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child.start()
    finally:
        signal.signal(signal.SIGINT, answer)
    theirs.close()  # so that the pipe ends when the child does
    try:
        while True:
            try:
                message = json.loads(ours.recv_bytes())
            except EOFError:
                break
            event(message)
        child.join()
    except KeyboardInterrupt:
        raise Interrupted from None
    finally:
        child.kill()  # nothing, where it has ended
        child.join()
        ours.close()
    return child.exitcode


def death(exit_code: int | None) -> dict[str, str]:
    """Status and reason of a job whose process ended before it could say."""
    if exit_code == -getattr(signal, "SIGKILL", 0):  # how Linux ends processes that ask for too much memory
        return {"status": "out-of-memory", "reason": "its process was killed (SIGKILL): most likely no memory was left"}
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name if -exit_code in set(signal.Signals) else f"signal {-exit_code}"
        return {"status": "failed", "reason": f"its process was ended by {name}"}
    return {"status": "failed", "reason": f"its process ended with exit status {exit_code} and left no record"}
