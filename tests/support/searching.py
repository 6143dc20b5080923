"""Searches whose trials do not train: a formula of their settings says how many answers are right."""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from bench.planning.options import TuneOptions
from bench.running.cell import PlannedCell, run_trial
from bench.running.engine import Interrupted, Task
from bench.running.training import CURVE_POINTS
from bench.running.workers import Workers
from bench.tuning.folder import take_folder
from bench.tuning.search import Search, decide_search, run_search
from bench.tuning.trials import Trial


class Silent:
    """Watches without a word; `stop_after` events it interrupts the search, as Ctrl-C does."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.started: list[tuple[str, str, int, int]] = []
        self.events = 0
        self._stop_after = stop_after

    def start(self, architecture: str, stage: str, number: int, seed: int) -> None:
        self.started.append((architecture, stage, number, seed))

    def event(self, architecture: str, stage: str, number: int, seed: int, event: dict[str, Any]) -> None:
        self.events += 1
        if self.events == self._stop_after:
            raise Interrupted

    def finish(self, trial: Trial) -> None:
        pass


class Formula:
    """Takes the place of the trials' processes: right answers by a formula of the settings, a point at a time."""

    def __init__(self, right: Callable[[dict[str, Any]], int], outcome: dict[str, Any] | None = None) -> None:
        self.cells: list[PlannedCell] = []
        self._right, self._outcome = right, outcome

    def __call__(self, tasks: Iterable[Task], at_once: int, workers: Workers | None = None) -> None:
        for task in tasks:
            if (begun := task.begin()) is not None:
                cell, job = begun
                assert job is run_trial
                self.cells.append(cell)
                task.end(0 if all(map(task.event, self._events(cell))) else None)

    def _events(self, cell: PlannedCell) -> Iterator[dict[str, Any]]:
        about = {"budget": cell.plan.settings.budget, "seed": cell.seed}
        right = self._right(cell.planned.training | cell.planned.config | about)
        cost = {"flops": 7, "train_seconds": 0.5}
        yield {"kind": "started", "where": ""}
        for point in range(1, CURVE_POINTS + 1):
            share = point / CURVE_POINTS
            yield {"kind": "validation", "share": share, "correct": right, "total": 100, "examples": point, **cost}
        done = {"status": "done", "reason": "", "correct": 10 * right, "total": 1000, "examples": CURVE_POINTS, **cost}
        yield {"kind": "outcome", **(self._outcome or done)}


def near(settings: dict[str, Any]) -> int:
    """Best at a low rate, and nothing else matters."""
    return round(90 - 1000 * settings["lr"])


@cache  # finding the depths takes its time
def search_of(
    tiny_path: Path, trials: int = 8, arch: str = "lstm,transformer", finalists: int = 0, **options: Any
) -> Search:
    settings = {"arch": arch, "suite": str(tiny_path), "trials": trials, "finalists": finalists, "threads": 1}
    settings |= {"final_seeds": 1}
    return decide_search(TuneOptions(**(settings | options)), command="test")


def searched(search: Search, directory: Path, watcher: Silent | None = None) -> dict[str, list[Trial]]:
    take_folder(search, directory)
    return run_search(search, directory, watcher or Silent())
