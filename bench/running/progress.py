"""Progress of a run: a bar for each cell at work in a terminal or a notebook; plain lines elsewhere."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from bench.results.records.record import Record

WIDE = 110
"""Columns from which on bars have room for examples a second."""


@dataclass
class _Bar:
    """What is shown of one cell."""

    text: str
    task: TaskID
    started: float
    share: float = 0.0
    """of the budget, used so far"""
    share_before: float = 0.0
    """of it, by processes before this one"""
    accuracy: str = ""


class _Progress(Progress):
    """Bars below a line, where there is one to be said."""

    above: Callable[[], str] | None = None

    def get_renderables(self) -> Iterable[RenderableType]:
        if self.above is not None:
            yield Text(self.above())
        yield from super().get_renderables()


class ProgressView:
    """Shows cells, loss, examples a second, validation accuracy and time left. A context manager.

    `before`: how many of the cells had ended before, and are not shown. `whole`: whether it says how far all are.
    """

    def __init__(self, console: Console, cells: int, before: int = 0, whole: bool = True) -> None:
        self._console, self._cells, self._before = console, cells, before
        self._says_whole = whole and cells > 1
        self._numbers: dict[str, int] = {}
        self._live = console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)
        self._bars: dict[str, _Bar] = {}
        self._ended: set[str] = set()
        self._share_before, self._started = 0.0, time.monotonic()
        self._elsewhere = False
        self._progress = _Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=10),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not self._live,
        )

    def __enter__(self) -> "ProgressView":
        self._started = time.monotonic()
        if self._says_whole:
            self._progress.above = self._how_far
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
        self.end(_name(architecture, seed), "left to another process, which works on it", ended=False)

    def begin(self, label: str) -> None:
        """Show a new bar."""
        text = self._numbered(label)
        task = self._progress.add_task(text, total=1.0, figures="starting")
        self._bars[label] = _Bar(text, task, time.monotonic())

    def tell(self, label: str, event: dict[str, Any]) -> None:
        """Show an event of a cell."""
        bar = self._bars[label]
        if "share" in event:
            bar.share = min(1.0, event["share"])  # the last step may go beyond the budget
        match event["kind"]:
            case "started":  # on a machine of a cluster, and again where that was lost
                self._elsewhere = True
                self._share_before -= bar.share_before
                bar.share = bar.share_before = 0.0
                bar.accuracy, bar.started = "", time.monotonic()
                bar.text = f"{self._numbered(label)} on {event['where']}"
                self._progress.update(bar.task, description=bar.text, completed=0.0, figures="starting")
                if not self._live:
                    self._print(f"{bar.text}: starts")
            case "validation":
                bar.accuracy = f", right {event['correct'] / event['total']:.1%}"
                rate = event["examples"] / event["train_seconds"]
                figures = self._figures(event["train_loss"], bar.accuracy, rate)
                self._progress.update(bar.task, completed=event["share"], figures=figures)
                share = bar.share
                # A few lines a cell where there is no bar: every quarter of the budget.
                if not self._live and int(share * 4 + 1e-9) > int((share - 0.05) * 4 + 1e-9):
                    done_here = max(share - bar.share_before, 1e-9)
                    left = (time.monotonic() - bar.started) * (1 - share) / done_here
                    self._print(f"{bar.text}: {share:.0%}, {figures}, {left:.0f} s left")
            case "step":
                figures = self._figures(event["loss"], bar.accuracy, event["rate"])
                self._progress.update(bar.task, completed=event["share"], figures=figures)
            case "resumed":
                bar.share_before = event["share"]
                self._share_before += event["share"]
                self._progress.update(bar.task, completed=event["share"])
                self._print(f"{bar.text}: goes on from step {event['steps']:,}, at {event['share']:.0%}")
            case "warning":
                self._print(f"{bar.text}: {event['text']}")
            case "evaluation":
                self._progress.update(bar.task, completed=1.0, figures="evaluating")

    def end(self, label: str, tail: str, *, ended: bool = True) -> None:
        """Remove the bar, where there is one, and print how the cell ended."""
        bar = self._bars.pop(label, None)
        if bar is not None:
            self._progress.remove_task(bar.task)
        text = self._numbered(label) if bar is None else bar.text
        if ended:
            self._ended.add(label)
        whole = f"; {self._how_far()}" if ended and self._says_whole and not self._live else ""
        self._print(f"{text}: {tail}{whole}")

    def _how_far(self) -> str:
        """`3 of 6 done, about 2 min 10 s left`: as if the cells to come took as long as those so far."""
        done_here = len(self._ended) + sum(bar.share for bar in self._bars.values()) - self._share_before
        left = self._cells - self._before - self._share_before - done_here
        text = f"{self._before + len(self._ended)} of {self._cells} done"
        if self._elsewhere:
            waiting = self._cells - self._before - len(self._ended) - len(self._bars)
            text += f", {len(self._bars)} at work, {waiting} wait"
        if left <= 0 or done_here <= 0:
            return text
        return f"{text}, about {clock((time.monotonic() - self._started) * left / done_here)} left"

    def _figures(self, loss: float, accuracy: str, rate: float) -> str:
        speed = "" if self._live and self._console.width < WIDE else f", {rate:,.0f} examples/s"
        return f"loss {loss:.3f}{accuracy}{speed}"

    def _numbered(self, label: str) -> str:
        number = self._numbers.setdefault(label, self._before + len(self._numbers) + 1)  # one left to others may return
        return f"[{number}/{self._cells}] {label}"

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)


def clock(seconds: float) -> str:
    """A duration: `2 h 5 min`, `2 min 10 s` or `9 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _name(architecture: str, seed: int) -> str:
    return f"{architecture}, seed {seed}"
