"""A function in a process of its own: how it starts, what it hears and sends, and how it ends."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from dying import die

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


def test_a_child_that_dies_sends_nothing_and_what_is_sent_to_it_is_lost() -> None:
    with closing(Child(die)) as child:
        assert child.has_sent(60)
        assert child.receive() is None
        child.send("anything")
        assert child.join() == -signal.SIGKILL


# What a user may write: no `if __name__ == "__main__"`, and the same module would be imported by every child.
SCRIPT = """
import sys, time
from pathlib import Path
print("script", flush=True)
sys.modules["heavy"] = sys
from bench.child import Child
import work
child = Child(work.answer, 7, {"of": [1.5, None]})
print(child.receive(), child.receive(), child.has_sent(0))
child.send("more")
print(child.receive(), child.join(), child.receive())
child.close()
child = Child(work.wait)
print(child.receive(), flush=True)
if len(sys.argv) > 1:
    time.sleep(60)
child.close()
print(child.join())
"""
WORK = """
import os, signal, sys
from pathlib import Path

def answer(parent, number, table):
    assert "torch" not in sys.modules and "heavy" not in sys.modules
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
def script(tmp_path: Path) -> list[str]:
    (tmp_path / "work.py").write_text(WORK)
    (tmp_path / "script.py").write_text(SCRIPT)
    return [sys.executable, str(tmp_path / "script.py")]


ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


@not_on_windows
def test_a_script_without_a_guard_is_not_run_again_by_its_children(script: list[str], tmp_path: Path) -> None:
    done = subprocess.run(script, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "script",
        "8 {'of': [1.5, None]} False",
        "['more', False] 0 None",
        "waits",
        str(-signal.SIGKILL),
    ]


@not_on_windows
def test_a_child_whose_parent_was_killed_ends_at_once(script: list[str], tmp_path: Path) -> None:
    with subprocess.Popen([*script, "stay"], cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        while run.stdout.readline() != "waits\n":
            assert run.poll() is None
        child = int((tmp_path / "pid").read_text())
        os.kill(child, 0)
        run.kill()
    deadline = time.monotonic() + 10
    while is_alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that ended and waits for whoever adopted it does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
