"""What a child process does in tests: in a module of its own, so that it is imported in no time."""

import os
import signal
import time

from bench.child import Parent


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def stay(*_: object) -> None:
    time.sleep(60)


def origin(parent: Parent, name: str) -> None:
    """Sends the id of the process that this one was started by, and a variable of the environment."""
    parent.send([os.getppid(), os.environ.get(name)])
