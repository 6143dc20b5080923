"""What a child process does in tests: in a module of its own, so that it is imported in no time."""

import os
import signal
import time


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def stay(*_: object) -> None:
    time.sleep(60)
