"""What a Ray worker does with a job: it starts a process for it, as one machine does, and hands on what that says.

Imports nothing heavy: the process of the job imports torch, and a worker that waited for it would begin seconds later.
"""

from __future__ import annotations

import json
import os
import platform
import stat
import sys
import tempfile
import time
from collections import deque
from concurrent import futures
from contextlib import closing
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

from bench import __version__
from bench.child import Child, Parent, start_server

if TYPE_CHECKING:
    from bench.running.cell import PlannedCell

BEAT_SECONDS = 1.0
"""A job sends no more than one event of a step in so many seconds, and asks as often whether it is to stop."""
ARRIVE_SECONDS = 10.0
"""How long the last events of a job may take to arrive."""
CHECKPOINTS, RECORD = "checkpoint-*.safetensors", "record.json"
"""As `checkpoints.PATTERN` and `record.RECORD`, whose modules import torch and pandas."""


def warm() -> None:
    """Begin to import what jobs need, in the process that theirs are forked from."""
    start_server()


class Mailbox:
    """A Ray actor on the node of the run's process: jobs put their events in, and hear whether they are to stop."""

    def __init__(self) -> None:
        import asyncio

        self._letters: list[tuple[int, int, str]] = []
        self._arrived = asyncio.Event()
        self._stopping = False

    async def put(self, key: int, number: int, text: str) -> bool:
        self._letters.append((key, number, text))
        self._arrived.set()
        return self._stopping

    async def take(self) -> list[tuple[int, int, str]]:
        """What has come, once something has."""
        await self._arrived.wait()
        return await self.drain()

    async def drain(self) -> list[tuple[int, int, str]]:
        """What has come."""
        letters, self._letters = self._letters, []
        self._arrived.clear()
        return letters

    async def stop(self) -> None:
        self._stopping = True


class _Sender:
    """Sends the events of a job, and knows whether it is to stop.

    It asks Ray for nothing that waits, not even for no time: a task that does gives its CPUs to another meanwhile.
    """

    def __init__(self, mailbox: Any, key: int, number: int) -> None:
        self._mailbox, self._key, self._number = mailbox, key, number
        self._pending: deque[Any] = deque()
        self._sent = self._asked = 0.0
        self._stop = False
        self.last: list[str] = []
        """events that must not be lost"""

    def send(self, event: dict[str, Any]) -> None:
        if event["kind"] == "outcome":
            self.last.append(json.dumps(event))
            return
        now = time.monotonic()
        if event["kind"] == "step" and now - self._sent < BEAT_SECONDS:
            return
        self._sent = now
        self._put(event)

    def stop(self) -> bool:
        now = time.monotonic()
        if not self._stop and now - self._asked > BEAT_SECONDS:
            self._asked = now
            while self._pending and self._pending[0].done():
                self._stop |= self._pending.popleft().result()
            if not self._pending:
                self._put({"kind": "alive"})
        return self._stop

    def wait(self) -> None:
        """Until all that was sent has arrived."""
        futures.wait(self._pending, ARRIVE_SECONDS)

    def _put(self, event: dict[str, Any]) -> None:
        self._pending.append(self._mailbox.put.remote(self._key, self._number, json.dumps(event)).future())


def work(key: int, number: int, message: str, mailbox: Any) -> dict[str, Any]:
    """One job, in a process of its own beside the worker, as on one machine: a crash, the peak of memory and what a
    process may remember are that job's. Returns the bytes of its files, and how the process ended.
    """
    asked = json.loads(message)
    node = platform.node()
    directory = _folder(asked["kept_in"], asked["place"])
    sender = _Sender(mailbox, key, number)
    sender.send({"kind": "started", "where": node})
    stopped = False
    with closing(Child(_do, message, directory)) as child:
        while True:
            if child.has_sent(BEAT_SECONDS):
                if (event := child.receive()) is None:
                    break
                if event["kind"] == "refused":
                    return {"refusal": f"worker {node}: {event['text']}"}
                sender.send(event)
            if not stopped and sender.stop():
                stopped = True
                child.send("stop")
        exit_code = child.join()
    sender.wait()
    files = {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("[!.]*"))
        if path.is_file() and not path.match(CHECKPOINTS)
    }
    unfinished = stopped and asked["job"] == "cell" and RECORD not in files
    if not unfinished:
        rmtree(directory, ignore_errors=True)
    return {"files": files, "last": sender.last, "exit_code": exit_code, "stopped": unfinished}


def _do(parent: Parent, message: str, directory: Path) -> None:
    """What the process of a job does."""
    from bench.results.records.plan import PLAN, parse_plan
    from bench.running.cell import PlannedCell, main, run_cell, run_trial

    asked = json.loads(message)
    plan = parse_plan(Path(PLAN), asked["plan"])
    cell = PlannedCell(plan, asked["architecture"], asked["seed"], directory, asked["checkpoint_seconds"])
    if refusal := disagreement(cell):
        parent.send({"kind": "refused", "text": refusal})
        return
    main(parent, cell, {"cell": run_cell, "trial": run_trial}[asked["job"]])


def disagreement(cell: PlannedCell) -> str:
    """Why this machine may not train a cell: its software is not the plan's; '' where it is."""
    import torch

    from bench import architectures
    from bench.errors import reason_of
    from bench.plugins import check_plugin

    settings = cell.plan.settings
    for name, mine, theirs in (
        ("arithbench", __version__, settings.version),
        ("torch", torch.__version__.split("+")[0], settings.torch.split("+")[0]),
    ):
        if mine != theirs:
            return f"has {name} {mine}, and the plan is of {theirs}; install the same there and here"
    try:
        for module in cell.plan.plugins:
            architectures.load_plugin(module)
        check_plugin(architectures.get(cell.architecture), cell.planned.plugin_hash)
    except Exception as error:
        return f"cannot load the plug-in of {cell.architecture}: {reason_of(error)}; put it there at the same path"
    if settings.device == "cuda" and not torch.cuda.is_available():
        return "has no GPU that torch can use; ask for one with --gpus-per-cell 1"
    return ""


def _folder(kept_in: str | None, place: str) -> Path:
    """The folder in which a job works here: on a disk that is shared, or one that this user alone may read."""
    if kept_in is not None:
        return Path(kept_in) / place
    user = getattr(os, "getuid", lambda: 0)()  # Windows has a folder for temporary files for each user
    root = Path(tempfile.gettempdir()) / f"arithbench-{user}"
    root.mkdir(mode=0o700, exist_ok=True)
    there = root.stat()
    if sys.platform != "win32" and (there.st_uid != user or stat.S_IMODE(there.st_mode) & 0o077):
        root = Path(tempfile.mkdtemp(prefix="arithbench-"))  # somebody else made it
    return root / place
