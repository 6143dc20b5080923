"""Trackers: learning curves and figures of a run's cells, for TensorBoard or trackio to show while it runs.

Each tracker works in a process of its own, and a thread sends it the figures. Whatever happens there (slow imports, a
full disk, a crash) takes no time of a cell: one line names the trouble, and the run goes on. Trackers write into the
run's folder alone, and nothing leaves the machine. This module imports nothing heavy, since that process imports it.

Each cell is one run of a tracker. When a cell is continued, that run is made anew and its curve so far is repeated.
"""

from __future__ import annotations

import importlib.util
import os
import queue
import shlex
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.child import Child, Parent
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.results.records.plan import Plan
    from bench.results.records.record import Record
    from bench.running.engine import Watcher

START_SECONDS = 60.0
"""How long a tracker may take to be imported; nothing trains meanwhile."""
END_SECONDS = 40.0
"""How long it may take to write its last figures when the run ends (trackio allows itself 30)."""
FINAL = (
    *("exact_match", "train_seconds", "examples_per_second", "tokens_per_second", "decode_problems_per_second"),
    *("peak_memory_mb", "parameters", "examples", "flops", "optimizer_flops"),
)
"""Figures of a record that a tracker is given when the cell has ended."""


class Tracker(ABC):
    """What a tracker's process does. `__init__` imports the package and takes the folder to write into."""

    package: str
    view_command: str
    """the command that shows the figures"""

    @abstractmethod
    def __init__(self, directory: Path) -> None: ...

    @abstractmethod
    def begin(self, cell: str, facts: dict[str, Any]) -> None:
        """A cell begins; the figures of an earlier try are deleted."""

    @abstractmethod
    def log(self, cell: str, examples: int, figures: dict[str, float]) -> None:
        """Record figures of a cell after a number of examples."""

    @abstractmethod
    def end(self, cell: str) -> None:
        """A cell has ended."""


class TensorBoard(Tracker):
    package, view_command = "tensorboard", "tensorboard --logdir {folder}"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._events = import_module("tensorboard.compat.proto.event_pb2")
        self._summaries = import_module("tensorboard.compat.proto.summary_pb2")
        self._settings = import_module("tensorboard.plugins.hparams.summary_v2")
        self._files = import_module("tensorboard.summary.writer.event_file_writer")
        self._open: dict[str, Any] = {}

    def begin(self, cell: str, facts: dict[str, Any]) -> None:
        self._open[cell] = self._files.EventFileWriter(str(self._directory / cell))
        # A session that starts at step 0 makes TensorBoard forget all that the folder held before.
        start = self._events.SessionLog(status=self._events.SessionLog.START)
        self._write(cell, 0, session_log=start)
        shown = {key: value if isinstance(value, bool | int | float) else str(value) for key, value in facts.items()}
        self._write(cell, 0, summary=self._settings.hparams_pb(shown, trial_id=cell))

    def log(self, cell: str, examples: int, figures: dict[str, float]) -> None:
        summary = self._summaries.Summary
        values = [summary.Value(tag=name, simple_value=value) for name, value in figures.items()]
        self._write(cell, examples, summary=summary(value=values))

    def end(self, cell: str) -> None:
        self._open.pop(cell).close()

    def _write(self, cell: str, examples: int, **content: Any) -> None:
        writer = self._open[cell]
        writer.add_event(self._events.Event(wall_time=time.time(), step=examples, **content))
        writer.flush()


class Trackio(Tracker):
    package, view_command = "trackio", "TRACKIO_DIR={folder} trackio show --project arithbench"

    def __init__(self, directory: Path) -> None:
        # Some variables make it send figures elsewhere (a Space, a server, a webhook), and with a token of the Hub it
        # asks there for the user's name. They are removed from this process, which is the tracker's own.
        for name in list(os.environ):
            if name == "SYSTEM" or name.startswith(("TRACKIO_", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "SPACE_")):
                del os.environ[name]
        os.environ |= {
            "TRACKIO_DIR": str(directory),
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "GRADIO_ANALYTICS_ENABLED": "False",
        }
        self._trackio = import_module("trackio")
        self._open: dict[str, Any] = {}

    def begin(self, cell: str, facts: dict[str, Any]) -> None:
        import contextvars

        project = "arithbench"  # the folder is the run's own
        try:
            earlier = [run for run in self._trackio.Api().runs(project) if run.name == cell]
        except ValueError:  # no such project yet
            earlier = []
        for run in earlier:
            run.delete()
        # In a context of its own: `init` would end the run that another cell has in this one.
        self._open[cell] = contextvars.Context().run(
            lambda: self._trackio.init(
                project=project, name=cell, config=facts, embed=False, auto_log_gpu=False, auto_log_cpu=False
            )
        )

    def log(self, cell: str, examples: int, figures: dict[str, float]) -> None:
        self._open[cell].log(figures, step=examples)

    def end(self, cell: str) -> None:
        self._open.pop(cell).finish()


TRACKERS: dict[str, type[Tracker]] = {"tensorboard": TensorBoard, "trackio": Trackio}


def check_trackers(names: tuple[str, ...]) -> None:
    """Raise UserError unless all of these are trackers and their packages are installed."""
    for name in names:
        if name not in TRACKERS:
            raise UserError(f"--track '{name}': there are {', '.join(TRACKERS)}")
        if importlib.util.find_spec(TRACKERS[name].package) is None:
            raise UserError(
                f"--track {name}: the package {TRACKERS[name].package} is not installed: "
                f"pip install -c constraints.txt -e '.[{name}]'"
            )


@contextmanager
def tracked(view: Watcher, names: tuple[str, ...], plan: Plan, directory: Path) -> Iterator[Watcher]:
    """A context with a watcher that passes all events to `view`, and figures to the trackers."""
    with ExitStack() as stack:
        trackers = [stack.enter_context(TrackerProcess(name, directory / name)) for name in names]
        yield TrackedView(view, trackers, plan) if trackers else view


class TrackedView:
    """A watcher that passes all events to another one, and figures to the trackers."""

    def __init__(self, view: Watcher, trackers: list[TrackerProcess], plan: Plan) -> None:
        self._view, self._trackers = view, trackers
        common = {"suite": plan.suite.name, "budget": plan.budget}
        self._facts = {
            name: common | {"parameters": planned.parameters} | planned.config | planned.training
            for name, planned in plan.entries.items()
        }
        self._begun: set[str] = set()

    def start(self, architecture: str, seed: int) -> None:
        self._view.start(architecture, seed)

    def event(self, architecture: str, seed: int, event: dict[str, Any]) -> None:
        self._view.event(architecture, seed, event)
        points = {"validation": [event], "resumed": event.get("curve", [])}.get(event["kind"], [])
        for point in points:
            self._begin(architecture, seed)
            self._log(architecture, seed, point["examples"], _figures(point))

    def finish(self, record: Record) -> None:
        self._view.finish(record)
        if _cell(record.architecture, record.seed) in self._begun:
            final = {f"final/{name}": value for name in FINAL if (value := getattr(record, name)) is not None}
            if record.examples is not None:
                self._log(record.architecture, record.seed, record.examples, final)
            self._tell({"end": _cell(record.architecture, record.seed)})

    def leave(self, architecture: str, seed: int) -> None:
        self._view.leave(architecture, seed)

    def _begin(self, architecture: str, seed: int) -> None:
        cell = _cell(architecture, seed)
        if cell not in self._begun:
            self._begun.add(cell)
            facts = {"architecture": architecture, "seed": seed, **self._facts[architecture]}
            self._tell({"begin": cell, "facts": facts})

    def _log(self, architecture: str, seed: int, examples: int, figures: dict[str, float]) -> None:
        self._tell({"log": _cell(architecture, seed), "examples": examples, "figures": figures})

    def _tell(self, message: dict[str, Any]) -> None:
        for tracker in self._trackers:
            tracker.tell(message)


def _cell(architecture: str, seed: int) -> str:
    return f"{architecture}-s{seed}"


def _figures(point: dict[str, Any]) -> dict[str, float]:
    """The figures of a point of a learning curve, see `results.records.curves`."""
    seconds = point["train_seconds"]
    return {
        "training/loss": point["train_loss"],
        "training/learning_rate": point["learning_rate"],
        "validation/exact_match": point["correct"] / point["total"],
        "speed/examples_per_second": point["examples"] / seconds if seconds else 0.0,
        "speed/tokens_per_second": point["tokens"] / seconds if seconds else 0.0,
    }


class TrackerProcess:
    """A tracker at work in a process of its own. A context manager; `tell` returns at once, whatever happens there."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name, self._directory = name, directory
        self._waiting: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._given_up = threading.Event()

    def __enter__(self) -> TrackerProcess:
        self._child = Child(_serve, self.name, str(self._directory))
        self._thread = threading.Thread(target=self._pass_on, daemon=True)
        try:
            if self._answers(START_SECONDS):
                command = TRACKERS[self.name].view_command.format(folder=shlex.quote(str(self._directory)))
                print(f"tracked by {self.name}: {command}", file=sys.stderr)
        except BaseException:  # an interrupt: `__exit__` is not called
            self._child.close()
            raise
        self._thread.start()
        return self

    def tell(self, message: dict[str, Any]) -> None:
        """Hand a message over; the thread sends it later."""
        self._waiting.put(message)

    def __exit__(self, *error: Any) -> None:
        self._waiting.put(None)
        self._thread.join(END_SECONDS)
        if self._child.join(END_SECONDS) is None:
            self._give_up(f"did not end within {END_SECONDS:.0f} s")
        self._child.close()  # where the thread still waits for room in the pipe, that wakes it

    def _pass_on(self) -> None:
        """What the thread does: it sends each message once the tracker is done with the one before."""
        while (message := self._waiting.get()) is not None:
            if not self._given_up.is_set():
                self._child.send(message)
                self._answers(END_SECONDS)
        self._child.send(None)

    def _answers(self, seconds: float) -> bool:
        """Whether the tracker says, within so many seconds, that all is well."""
        if not self._child.has_sent(seconds):
            return self._give_up(f"says nothing for {seconds:.0f} s")
        trouble = self._child.receive()
        if trouble is None:
            return self._give_up("its process has ended")
        return self._give_up(trouble) if trouble else True

    def _give_up(self, why: str) -> bool:
        """Print once why the tracker is given up."""
        if not self._given_up.is_set():
            self._given_up.set()
            print(f"bench: --track {self.name}: {' '.join(why.split())}; the run goes on without it", file=sys.stderr)
        return False


def _serve(parent: Parent, name: str, directory: str) -> None:
    """What a tracker's process does. It answers every message with '' or with what went wrong, and then ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # trackers talk a lot
        os.dup2(nowhere, stream)
    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
        tracker = TRACKERS[name](Path(directory))
        at_work: set[str] = set()
        parent.send("")
        while (message := parent.receive()) is not None:
            match message:
                case {"begin": cell, "facts": facts}:
                    tracker.begin(cell, facts)
                    at_work.add(cell)
                case {"log": cell, "examples": examples, "figures": figures}:
                    tracker.log(cell, examples, figures)
                case {"end": cell}:
                    tracker.end(cell)
                    at_work.remove(cell)
            parent.send("")
        for cell in at_work:  # they were interrupted
            tracker.end(cell)
    except Exception as error:
        parent.send(f"{type(error).__name__}: {error}")
