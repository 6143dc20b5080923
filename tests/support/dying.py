"""What a cell's process does where the system takes it away: in a module of its own, so that it imports in no time."""

import os
import signal


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
