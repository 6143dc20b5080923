"""Where the jobs of a run are at work: in processes of this machine (on other machines: `cluster.py`)."""

import multiprocessing.connection
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from bench.child import Child
from bench.running.cell import Job, PlannedCell, main


@dataclass(frozen=True)
class Ended:
    """A job's process has ended, with this exit code; a negative one is the number of a signal."""

    exit_code: int | None
    why: str = ""
    """where more is known than an exit code"""


class Workers(Protocol):
    """They do jobs, and tell their events. Keys are the numbers that `start` gives."""

    def start(self, cell: PlannedCell, job: Job) -> int:
        """Begin a job, or queue it where no place is free. Its first event is `started`, again after each new try."""

    def wait(self) -> list[tuple[int, dict[str, Any] | Ended]]:
        """Wait until something happens: events of jobs in their order, or the end of some."""

    def end(self, key: int) -> None:
        """End a job at once; nothing more is heard of it."""

    def close(self, grace_seconds: float = 0.0) -> None:
        """End all jobs; with grace each may finish a step and keep its state first. May be called again."""


class Children:
    """Jobs in processes of this machine, each begun at once. `gpus`: see `gpus_of`."""

    def __init__(self, gpus: list[str] | None = None) -> None:
        self._children: dict[int, Child] = {}
        self._begun: list[int] = []
        self._count = 0
        self._gpus = dict.fromkeys(gpus or [], 0)
        self._gpu_of: dict[int, str] = {}

    def start(self, cell: PlannedCell, job: Job) -> int:
        self._count += 1
        visible = {}
        if self._gpus:
            gpu = min(self._gpus, key=self._gpus.__getitem__)
            self._gpus[gpu] += 1
            self._gpu_of[self._count] = gpu
            visible = {"CUDA_VISIBLE_DEVICES": gpu}
        self._children[self._count] = Child(main, cell, job, environment=visible)
        self._begun.append(self._count)
        return self._count

    def wait(self) -> list[tuple[int, dict[str, Any] | Ended]]:
        begun, self._begun = self._begun, []
        if begun:
            return [(key, {"kind": "started", "where": ""}) for key in begun]
        found: list[tuple[int, dict[str, Any] | Ended]] = []
        keys: dict[Any, int] = {child.connection: key for key, child in self._children.items()}
        for connection in multiprocessing.connection.wait(list(keys)):
            key = keys[connection]
            child = self._children[key]
            event = child.receive()
            if event is None:
                event = Ended(child.join())
                self.end(key)
            found.append((key, event))
        return found

    def end(self, key: int) -> None:
        self._children.pop(key).close()
        if self._gpus:
            self._gpus[self._gpu_of.pop(key)] -= 1

    def close(self, grace_seconds: float = 0.0) -> None:
        try:
            with suppress(KeyboardInterrupt):  # a second Ctrl-C
                self._stop(grace_seconds)
        finally:
            for key in list(self._children):
                self.end(key)

    def _stop(self, seconds: float) -> None:
        if not seconds:
            return
        for child in self._children.values():
            child.send("stop")
        deadline = time.monotonic() + seconds
        at_work: dict[Any, Child] = {child.connection: child for child in self._children.values()}
        while at_work and (left := deadline - time.monotonic()) > 0:
            for connection in multiprocessing.connection.wait(list(at_work), timeout=left):
                if at_work[connection].receive() is None:
                    del at_work[connection]


def children(device: str, at_once: int) -> Children:
    """Processes of this machine for so many jobs at once, spread over its GPUs where they use them."""
    gpus = gpus_of(visible_gpus(), at_once) if device == "cuda" and at_once > 1 else []
    return Children(gpus if len(gpus) > 1 else None)


def visible_gpus() -> list[str]:
    """The GPUs that this process sees, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    return list(map(str, range(count))) if named is None else [name.strip() for name in named.split(",")][:count]


def gpus_of(visible: list[str], cells_at_once: int) -> list[str]:
    """What each of several cells beside one another sees of a machine's GPUs, as CUDA_VISIBLE_DEVICES has them.

    Cells compute on one GPU each: as few GPUs as there are cells are taken, the first ones; more cells than GPUs share
    them evenly, since each goes to the GPU that has the fewest.
    """
    return visible[: max(1, cells_at_once)]
