"""Live progress of a run: a bar a cell in a terminal, plain lines elsewhere."""

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from bench.results.records import Record


class ProgressView:
    """Shows cell, loss, examples a second, validation accuracy and time left. A context manager."""

    def __init__(self, console: Console, cells: int) -> None:
        self._console, self._cells, self._number = console, cells, 0
        self._label = ""
        self._live = console.is_terminal
        self._task: TaskID | None = None
        self._started = 0.0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not self._live,
        )

    def __enter__(self) -> "ProgressView":
        self._progress.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._progress.stop()

    def start(self, architecture: str, seed: int) -> None:
        self.begin(f"{architecture}, seed {seed}")

    def begin(self, label: str) -> None:
        """Show a new bar."""
        self._label = label
        self._started = time.monotonic()
        self._accuracy = ""
        self._task = self._progress.add_task(self._describe(), total=1.0, figures="starting")

    def event(self, event: dict[str, Any]) -> None:
        assert self._task is not None
        if event["kind"] == "validation":
            self._accuracy = f", right {event['correct'] / event['total']:.1%}"
            rate = event["examples"] / event["train_seconds"]
            figures = f"loss {event['train_loss']:.3f}{self._accuracy}, {rate:,.0f} examples/s"
            self._progress.update(self._task, completed=event["share"], figures=figures)
            share = min(1.0, event["share"])  # the last step may go beyond the budget
            # A few lines a cell where there is no bar: every quarter of the budget.
            if not self._live and int(share * 4 + 1e-9) > int((share - 0.05) * 4 + 1e-9):
                left = (time.monotonic() - self._started) * (1 / share - 1)
                self._console.print(f"{self._describe()}: {share:.0%}, {figures}, {left:.0f} s left")
        elif event["kind"] == "step":
            figures = f"loss {event['loss']:.3f}{self._accuracy}, {event['rate']:,.0f} examples/s"
            self._progress.update(self._task, completed=event["share"], figures=figures)
        elif event["kind"] == "evaluation":
            self._progress.update(self._task, completed=1.0, figures="evaluating")

    def finish(self, record: Record) -> None:
        if record.done:
            assert record.exact_match is not None
            assert record.train_seconds is not None
            tail = f"{record.exact_match:.1%} of {record.total:,} right, trained {record.train_seconds:.1f} s"
            tail += f" ({record.reason})" if record.reason else ""
        else:
            tail = f"{record.status}: {record.reason}"
        self.end(f"{record.architecture}, seed {record.seed}", tail)

    def end(self, label: str, tail: str) -> None:
        """Take the bar away, where there is one, and print how it ended."""
        self._number += 1
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
        self._console.print(
            f"[{self._number}/{self._cells}] {label}: {tail}", highlight=False, markup=False, soft_wrap=True
        )

    def _describe(self) -> str:
        return f"[{self._number + 1}/{self._cells}] {self._label}"
