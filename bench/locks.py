"""Who works on what: locks on files, which the system takes back when their process ends, however it ends."""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


class Held(Exception):
    """Another process holds the lock. The message says who."""


@contextmanager
def holding(path: Path, patience: float = 0.0, sign: bool = False) -> Iterator[None]:
    """A context that holds the lock of this file, made where it is missing and left there; `sign` says who holds it.

    Raises:
        Held: another process still holds it after `patience` seconds.
    """
    # thread_local: a cell is trained in one thread and watched from another.
    lock = FileLock(path, timeout=patience, thread_local=False)
    try:
        lock.acquire(poll_interval=0.02)
    except Timeout:
        raise Held(_holder(path)) from None
    try:
        if sign:
            now = time.strftime("%Y-%m-%d %H:%M:%S")
            _note(path).write_text(f"process {os.getpid()} on {platform.node()}, since {now},", encoding="utf-8")
        yield
    finally:
        lock.release()


def _note(path: Path) -> Path:
    """Where the holder of a lock leaves its name; not in the locked file, which others empty when they try it."""
    return path.with_name(f"{path.name}.holder")


def _holder(path: Path) -> str:
    try:
        return _note(path).read_text(encoding="utf-8") or "another process"
    except OSError:
        return "another process"
