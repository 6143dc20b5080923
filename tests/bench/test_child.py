"""A function in a process of its own: how it starts, what it hears and sends, and how it ends."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
from dying import die, origin, stay

from bench.child import Child, start_without_interrupt, termination_signals

ROOT = Path(__file__).parents[2]
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
        start_without_interrupt(process)
    assert process.whole
    assert [signal.getsignal(each) for each in (signal.SIGINT, number)] == handlers


@not_on_windows
def test_an_interrupt_of_the_terminal_is_for_neither_while_a_process_starts() -> None:
    process = HalfStarted(signal.SIGINT)
    start_without_interrupt(process)
    assert process.whole


@not_on_windows
def test_what_nohup_has_ignored_stays_ignored(number: int) -> None:
    assert number in termination_signals()
    signal.signal(number, signal.SIG_IGN)
    assert number not in termination_signals()
    process = HalfStarted(number)
    start_without_interrupt(process)
    assert process.whole
    assert signal.getsignal(number) is signal.SIG_IGN


class Signals:
    """An argument that signals this process when it is pickled, which is amid the start."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[type, tuple[int]]:
        os.kill(os.getpid(), self.number)
        return int, (0,)


@not_on_windows
def test_a_child_whose_start_was_signalled_is_ended(number: int) -> None:
    with pytest.raises(Interrupted):
        Child(stay, Signals(number))
    assert not multiprocessing.active_children()


def test_a_child_that_dies_sends_nothing_and_what_is_sent_to_it_is_lost() -> None:
    with closing(Child(die)) as child:
        assert child.has_sent(60)
        assert child.receive() is None
        child.send("anything")
        assert child.join() == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="a server is there on Linux alone")
def test_the_server_has_one_thread_and_no_signal_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Child(origin, "SET_AFTER_THE_SERVER_STARTED")) as child:
        server, before = child.receive()
    assert before is None
    assert len(list(Path(f"/proc/{server}/task").iterdir())) == 1  # a fork would lose the others, and what they held
    for number in SIGNALS:
        os.kill(server, signal.Signals[number])
    os.kill(server, signal.SIGINT)
    monkeypatch.setenv("SET_AFTER_THE_SERVER_STARTED", "yes")
    with closing(Child(origin, "SET_AFTER_THE_SERVER_STARTED")) as child:
        assert child.receive() == [server, "yes"]


def test_children_start_from_other_threads_too_several_at_once() -> None:
    main, handler = sys.modules["__main__"], signal.getsignal(signal.SIGINT)

    def exit_code() -> int | None:
        with closing(Child(die)) as child:
            return child.join(60)

    with ThreadPoolExecutor(3) as threads:
        started = [threads.submit(exit_code) for _ in range(3)]
        assert [each.result(60) for each in started] == [-signal.SIGKILL] * 3
    assert sys.modules["__main__"] is main
    assert signal.getsignal(signal.SIGINT) is handler


# What a user may write: no `if __name__ == "__main__"`, and modules that no child should import.
SCRIPT = """
import sys
from bench.child import Child
import work
print("script")
sys.modules["heavy"] = sys
child = Child(work.answer, 7, {"of": [1.5, None]})
print(child.receive(), child.receive(), child.has_sent())
child.send("more")
print(child.receive(), child.join(), child.receive())
child.close()
"""
PATIENT_SCRIPT = """
import time
from bench.child import Child
import work
child = Child(work.wait)
print(child.receive(), flush=True)
time.sleep(60)
"""
WORK = """
import os, signal, sys
from pathlib import Path

def answer(parent, number, table):
    assert "heavy" not in sys.modules
    assert not parent.has_sent()
    parent.send(number + 1)
    parent.send(table)
    parent.send([parent.receive(), parent.has_sent()])

def wait(parent):
    Path("pid").write_text(str(os.getpid()))
    for number in (signal.SIGINT, signal.SIGTERM):  # they are for the parent to answer
        os.kill(os.getpid(), number)
    parent.send("waits")
    parent.receive()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "work.py").write_text(WORK)
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "patient.py").write_text(PATIENT_SCRIPT)
    return tmp_path


ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


def test_a_script_without_a_guard_is_not_run_again_by_its_children(folder: Path) -> None:
    command = [sys.executable, "script.py"]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["script", "8 {'of': [1.5, None]} False", "['more', False] 0 None"]


@not_on_windows
def test_signals_are_left_to_the_parent_and_a_child_whose_parent_was_killed_ends(folder: Path) -> None:
    command = [sys.executable, "patient.py"]
    with subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "waits\n"
        child = int((folder / "pid").read_text())
        assert is_alive(child)
        parent.kill()
    deadline = time.monotonic() + 10
    try:
        while is_alive(child):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that ended and waits for whoever adopted it does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
