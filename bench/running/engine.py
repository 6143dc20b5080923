"""Running a plan: cell after cell, or several at once, each in a child process, finished ones skipped."""

import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from bench.locks import Held, holding, writing_tables
from bench.results.records import record as records
from bench.results.records.collect import collect
from bench.results.records.plan import Plan
from bench.results.records.run import cell_directory
from bench.running.baselines import complete_baselines
from bench.running.cell import LOCK, Job, PlannedCell, run_cell
from bench.running.checkpoints import delete_checkpoints
from bench.running.outcome import write_outcome
from bench.running.workers import Children, Ended, Workers

STOP_SECONDS = 30.0
"""How long cells that were asked to stop may take to finish a step and keep their state."""
ORPHAN_SECONDS = 3.0
"""How long a cell's process may live after its parent was killed."""


class Watcher(Protocol):
    """Whoever wants to see a run go on. Cells are named by architecture and seed."""

    def start(self, architecture: str, seed: int) -> None: ...
    def event(self, architecture: str, seed: int, event: dict[str, Any]) -> None: ...
    def finish(self, record: records.Record) -> None: ...
    def leave(self, architecture: str, seed: int) -> None: ...


class Interrupted(Exception):
    """The user stopped the run."""


class Task(Protocol):
    """Something to do in a child process."""

    def begin(self) -> tuple[PlannedCell, Job] | None:
        """What to do; None where nothing is left to do."""

    def event(self, event: dict[str, Any]) -> bool:
        """Hears of the job's events; False ends it."""

    def end(self, exit_code: int | None, why: str = "") -> None:
        """The process has ended; without a code and a reason why by our hand."""


def run_tasks(
    tasks: Iterable[Task], at_once: int = 1, grace_seconds: float = 0.0, workers: Workers | None = None
) -> None:
    """Do all tasks, so many at once, each begun when a place is free. The workers are closed at the end; where there
    are none, they are processes of this machine.

    Raises:
        Interrupted: by the user. The jobs at work are asked to stop, and ended after `grace_seconds`.
    """
    waiting = iter(tasks)
    running: dict[int, Task] = {}
    workers = workers or Children()
    try:
        while True:
            while len(running) < at_once and (task := next(waiting, None)) is not None:
                if (begun := task.begin()) is not None:
                    running[workers.start(*begun)] = task
            if not running:
                return
            for key, event in workers.wait():
                if key not in running:  # ended by our hand meanwhile
                    continue
                if isinstance(event, Ended):
                    running.pop(key).end(event.exit_code, event.why)
                elif not running[key].event(event):
                    workers.end(key)
                    running.pop(key).end(None)
    except KeyboardInterrupt:
        workers.close(grace_seconds)
        raise Interrupted from None
    finally:
        workers.close()


@dataclass
class _CellTask:
    """One cell of a plan: trained where it has no record yet, unless another process works on it."""

    cell: PlannedCell
    run: Path
    watcher: Watcher
    retry_failed: bool
    slices: dict[str, pd.DataFrame]
    """of the run's cells, by what they were computed from: see `collect`"""
    record: records.Record | None = None
    """what it ended with; None as long as it is another's"""
    held: bool = False
    """another process works on it"""
    started: bool = False
    """the watcher has been told of it"""

    def begin(self) -> tuple[PlannedCell, Job] | None:
        seen = self._found()
        again = seen is not None and self.retry_failed and not seen.done
        if seen is not None and not again:
            if seen.done:
                delete_checkpoints(self.cell.directory)  # a kill between the record and this leaves them
            self._finish(seen)
            return None
        self.cell.directory.mkdir(parents=True, exist_ok=True)
        try:
            with holding(self.cell.directory / LOCK, ORPHAN_SECONDS):
                found = self._found()
                if again and found == seen:
                    with writing_tables(self.run):  # nobody reads it meanwhile
                        (self.cell.directory / records.RECORD).unlink()
                    found = None
        except Held:
            self._leave()
            return None
        if found is not None:  # another process ended it meanwhile
            self._finish(found)
            return None
        return self.cell, run_cell

    def event(self, event: dict[str, Any]) -> bool:
        if event["kind"] == "held":
            self.held = True
            return True
        if event["kind"] == "started" and not self.started:
            self.started = True
            self.watcher.start(self.cell.architecture, self.cell.seed)
        if event["kind"] != "started" or event["where"]:
            self.watcher.event(self.cell.architecture, self.cell.seed, event)
        return True

    def end(self, exit_code: int | None, why: str = "") -> None:
        if self.held:
            self._leave()
            return
        if self._found() is None:
            write_outcome(self.cell, death(exit_code, why))
        self._finish(records.read_record(self.cell.directory))
        _collect(self.run, self.slices)

    def look_again(self) -> None:
        """For when all else is done: another process may have finished the cell meanwhile."""
        if self.record is None and (found := self._found()) is not None:
            self._finish(found)

    def _found(self) -> records.Record | None:
        return records.read_record(self.cell.directory) if (self.cell.directory / records.RECORD).exists() else None

    def _finish(self, record: records.Record) -> None:
        self.record = record
        self.watcher.finish(record)

    def _leave(self) -> None:
        self.held = True
        self.watcher.leave(self.cell.architecture, self.cell.seed)


@dataclass(frozen=True)
class Place:
    """A plan, the folder that it runs in, and who follows its progress."""

    plan: Plan
    directory: Path
    watcher: Watcher


def run_plan(
    plan: Plan,
    directory: Path,
    watcher: Watcher,
    *,
    retry_failed: bool = False,
    at_once: int = 1,
    checkpoint_seconds: float | None = None,
    workers: Workers | None = None,
    seconds: Mapping[str, float] | None = None,
) -> list[records.Record]:
    """Run every cell that has no record yet, so many at once; the records of the plan's cells, in the plan's order.

    Cells run seed by seed, architectures within, so that a drifting machine meets all architectures alike. One that
    another process works on is left to it, and has no record among those returned unless that process is the quicker.
    seconds: architecture -> about how long a cell of it trains; then the longest come first, so that many workers end
    together.

    Raises:
        Interrupted: by the user; finished cells are kept, and what the others have learnt.
    """
    place = Place(plan, directory, watcher)
    [found] = run_plans(
        [place],
        retry_failed=retry_failed,
        at_once=at_once,
        checkpoint_seconds=checkpoint_seconds,
        workers=workers,
        seconds=seconds,
    )
    return found


def run_plans(
    places: Sequence[Place],
    *,
    retry_failed: bool = False,
    at_once: int = 1,
    checkpoint_seconds: float | None = None,
    workers: Workers | None = None,
    seconds: Mapping[str, float] | None = None,
) -> list[list[records.Record]]:
    """As `run_plan`, several plans side by side."""
    slices: list[dict[str, pd.DataFrame]] = [{} for _ in places]
    cells = [
        [
            _CellTask(
                planned_cell(place.plan, name, seed, place.directory, checkpoint_seconds),
                place.directory,
                place.watcher,
                retry_failed,
                known,
            )
            for seed in place.plan.seeds
            for name in place.plan.architectures
        ]
        for place, known in zip(places, slices, strict=True)
    ]
    try:
        tasks = [cell for some in cells for cell in some]
        if seconds is not None:
            tasks.sort(key=lambda task: -seconds.get(task.cell.architecture, 0.0))
        run_tasks(tasks, at_once, STOP_SECONDS, workers)
    except Interrupted:
        for place, known in zip(places, slices, strict=True):
            _collect(place.directory, known)  # a cell that was about to end has its record
        raise
    for place, known, some in zip(places, slices, cells, strict=True):
        for cell in some:
            cell.look_again()
        _collect(place.directory, known)
        complete_baselines(place.plan, place.directory)
    return [[cell.record for cell in some if cell.record is not None] for some in cells]


def _collect(directory: Path, slices: dict[str, pd.DataFrame]) -> None:
    """Write the tables of all cells; beside another process one of the two waits, so that the later sees all."""
    with writing_tables(directory):
        collect(directory, slices)


def planned_cell(
    plan: Plan, architecture: str, seed: int, run: Path, checkpoint_seconds: float | None = None
) -> PlannedCell:
    """A cell of a plan in its place in the folder of the run."""
    directory = cell_directory(run, architecture, seed).resolve()
    return PlannedCell(plan, architecture, seed, directory, checkpoint_seconds)


def death(exit_code: int | None, why: str = "") -> dict[str, str]:
    """Status and reason of a job whose process ended before it could say; `why` where more is known."""
    if why:
        return {"status": "failed", "reason": why}
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name if -exit_code in set(signal.Signals) else f"signal {-exit_code}"
        if name == "SIGKILL":  # how Linux ends processes that ask for too much memory
            reason = "its process was killed (SIGKILL): most likely no memory was left"
            return {"status": "out-of-memory", "reason": reason}
        return {"status": "failed", "reason": f"its process was ended by {name}"}
    return {"status": "failed", "reason": f"its process ended with exit status {exit_code} and left no record"}
