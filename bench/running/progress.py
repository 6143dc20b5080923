"""Progress of a run: a bar for each cell at work in a terminal or a notebook; plain lines elsewhere."""

import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from bench.results.records.record import Record


@dataclass
class _Bar:
    """What is shown of one cell."""

    text: str
    task: TaskID
    started: float
    share_before: float = 0.0
    """of the budget, used by processes before this one"""
    accuracy: str = ""


class ProgressView:
    """Shows cells, loss, examples a second, validation accuracy and time left. A context manager."""

    def __init__(self, console: Console, cells: int) -> None:
        self._console, self._cells = console, cells
        self._numbers: dict[str, int] = {}
        self._live = console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)
        self._bars: dict[str, _Bar] = {}
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
        self.begin(_name(architecture, seed))

    def event(self, architecture: str, seed: int, event: dict[str, Any]) -> None:
        self.tell(_name(architecture, seed), event)

    def finish(self, record: Record) -> None:
        if record.done:
            assert record.exact_match is not None
            assert record.train_seconds is not None
            tail = f"{record.exact_match:.1%} of {record.total:,} right, trained {record.train_seconds:.1f} s"
            tail += f" ({record.reason})" if record.reason else ""
        else:
            tail = f"{record.status}: {record.reason}"
        self.end(_name(record.architecture, record.seed), tail)

    def leave(self, architecture: str, seed: int) -> None:
        self.end(_name(architecture, seed), "left to another process, which works on it")

    def begin(self, label: str) -> None:
        """Show a new bar."""
        text = self._numbered(label)
        task = self._progress.add_task(text, total=1.0, figures="starting")
        self._bars[label] = _Bar(text, task, time.monotonic())

    def tell(self, label: str, event: dict[str, Any]) -> None:
        """Show an event of a cell."""
        bar = self._bars[label]
        match event["kind"]:
            case "validation":
                bar.accuracy = f", right {event['correct'] / event['total']:.1%}"
                rate = event["examples"] / event["train_seconds"]
                figures = f"loss {event['train_loss']:.3f}{bar.accuracy}, {rate:,.0f} examples/s"
                self._progress.update(bar.task, completed=event["share"], figures=figures)
                share = min(1.0, event["share"])  # the last step may go beyond the budget
                # A few lines a cell where there is no bar: every quarter of the budget.
                if not self._live and int(share * 4 + 1e-9) > int((share - 0.05) * 4 + 1e-9):
                    done_here = max(share - bar.share_before, 1e-9)
                    left = (time.monotonic() - bar.started) * (1 - share) / done_here
                    self._print(f"{bar.text}: {share:.0%}, {figures}, {left:.0f} s left")
            case "step":
                figures = f"loss {event['loss']:.3f}{bar.accuracy}, {event['rate']:,.0f} examples/s"
                self._progress.update(bar.task, completed=event["share"], figures=figures)
            case "resumed":
                bar.share_before = event["share"]
                self._progress.update(bar.task, completed=event["share"])
                self._print(f"{bar.text}: goes on from step {event['steps']:,}, at {event['share']:.0%}")
            case "warning":
                self._print(f"{bar.text}: {event['text']}")
            case "evaluation":
                self._progress.update(bar.task, completed=1.0, figures="evaluating")

    def end(self, label: str, tail: str) -> None:
        """Remove the bar, where there is one, and print how the cell ended."""
        bar = self._bars.pop(label, None)
        if bar is not None:
            self._progress.remove_task(bar.task)
        text = self._numbered(label) if bar is None else bar.text
        self._print(f"{text}: {tail}")

    def _numbered(self, label: str) -> str:
        number = self._numbers.setdefault(label, len(self._numbers) + 1)  # a cell left to others may return
        return f"[{number}/{self._cells}] {label}"

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)


def _name(architecture: str, seed: int) -> str:
    return f"{architecture}, seed {seed}"
