"""What starts the process of a cell, and who may write beside whom."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import locks
from bench.child import answered_signals, start_deaf
from bench.errors import UserError
from bench.locks import Held, holding, writing_tables

not_on_windows = pytest.mark.skipif(os.name == "nt", reason="os.kill ends a process of Windows")
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


@not_on_windows
def test_a_signal_is_answered_after_the_start_not_amid_it(number: int) -> None:
    process = HalfStarted(number)
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, number)]
    with pytest.raises(Interrupted):
        start_deaf(process)
    assert process.whole
    assert [signal.getsignal(each) for each in (signal.SIGINT, number)] == handlers


@not_on_windows
def test_an_interrupt_of_the_terminal_is_for_neither_while_a_process_starts() -> None:
    process = HalfStarted(signal.SIGINT)
    start_deaf(process)
    assert process.whole


@not_on_windows
def test_what_nohup_has_ignored_stays_ignored(number: int) -> None:
    assert number in answered_signals()
    signal.signal(number, signal.SIG_IGN)
    assert number not in answered_signals()
    process = HalfStarted(number)
    start_deaf(process)
    assert process.whole
    assert signal.getsignal(number) is signal.SIG_IGN


def test_tables_that_another_process_keeps_are_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "TABLES_SECONDS", 0.05)
    with (
        holding(tmp_path / locks.TABLES_LOCK),
        pytest.raises(UserError, match="another process keeps writing its tables; end it"),
        writing_tables(tmp_path),
    ):
        pass


@pytest.mark.parametrize(
    ("note", "said"),
    [(b"process 7 on here", "process 7 on here"), (b"\xff\x1b[2Jx", "\ufffd[2Jx"), (b"", "another process")],
)
def test_whoever_holds_a_lock_is_named_whatever_its_note_says(note: bytes, said: str, tmp_path: Path) -> None:
    with holding(tmp_path / "lock"):
        (tmp_path / "lock.holder").write_bytes(note)
        with pytest.raises(Held) as held, holding(tmp_path / "lock"):
            pass
    assert str(held.value) == said
