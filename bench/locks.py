"""Locks on files, by which processes share the folder of a run. The system frees a lock when its process ends."""

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from bench.errors import UserError

RUN_LOCK = ".run.lock"
"""In the folder of a run or a search: its holder works on all of it; others may take part only if asked to."""
TABLES_LOCK = ".tables.lock"
"""In a run's folder: its holder writes the plan, or the tables of all cells."""
TABLES_SECONDS = 60.0
"""How long to wait for that lock: writing takes far less."""


class Held(UserError):
    """Another process holds the lock. The message names it."""


@contextmanager
def holding(
    path: Path, patience: float = 0.0, sign: bool = False, refusal: Callable[[str], str] = str
) -> Iterator[None]:
    """A context that holds the lock of this file, which is made where it is missing; `sign` leaves the holder's name.

    Raises:
        Held: another process still holds it after `patience` seconds; `refusal` makes the message from its name.
    """
    # thread_local: a cell is trained in one thread and watched from another.
    lock = FileLock(path, timeout=patience, thread_local=False)
    try:
        lock.acquire(poll_interval=0.02)
    except Timeout:
        raise Held(refusal(_holder(path))) from None
    try:
        if sign:
            now = time.strftime("%Y-%m-%d %H:%M:%S")
            _note(path).write_text(f"process {os.getpid()} on {platform.node()}, since {now},", encoding="utf-8")
        yield
    finally:
        lock.release()


def writing_tables(directory: Path) -> AbstractContextManager[None]:
    """A context in which no other process writes the plan of this run, or the tables of all its cells.

    Raises:
        Held: another process is still writing them after a minute.
    """
    wrong = f"{directory}: another process keeps writing its tables; end it, and run this again"
    return holding(directory / TABLES_LOCK, TABLES_SECONDS, refusal=lambda _: wrong)


def _note(path: Path) -> Path:
    """The file with the name of a lock's holder. Others empty the locked file itself when they try to lock it."""
    return path.with_name(f"{path.name}.holder")


def _holder(path: Path) -> str:
    try:
        note = _note(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        note = ""
    return "".join(symbol for symbol in note[:200] if symbol.isprintable()) or "another process"
