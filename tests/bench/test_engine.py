"""What starts the process of a cell."""

import multiprocessing
import os
import signal
from collections.abc import Iterator

import pytest

from bench.engine import start_deaf

SIGNALS = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interrupted(BaseException):
    """What this test's signal handler raises."""


class HalfStarted(multiprocessing.Process):
    """A process that is signalled while it starts."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number, self.whole = number, False

    def start(self) -> None:
        os.kill(os.getpid(), self.number)
        self.whole = True


@pytest.fixture(params=SIGNALS)
def number(request: pytest.FixtureRequest) -> Iterator[int]:
    def interrupt(*_: object) -> None:
        raise Interrupted

    number = signal.Signals[request.param]
    before = signal.signal(number, interrupt)
    yield number
    signal.signal(number, before)


@pytest.mark.skipif(os.name == "nt", reason="os.kill ends a process of Windows")
def test_a_signal_is_answered_after_the_start_not_amid_it(number: int) -> None:
    process = HalfStarted(number)
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, number)]
    with pytest.raises(Interrupted):
        start_deaf(process)
    assert process.whole
    assert [signal.getsignal(each) for each in (signal.SIGINT, number)] == handlers


@pytest.mark.skipif(os.name == "nt", reason="os.kill ends a process of Windows")
def test_an_interrupt_of_the_terminal_is_for_neither_while_a_process_starts() -> None:
    process = HalfStarted(signal.SIGINT)
    start_deaf(process)
    assert process.whole
