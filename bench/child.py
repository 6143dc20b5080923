"""A function at work in a process of its own: starting it, messages to and from it, and its end.

Messages are JSON. On Linux children are forked from a server, a process without threads that has imported what most of
them need: each import of torch and its compiler, which optimizers and deterministic algorithms import, takes seconds.
Elsewhere they are spawned.
"""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.connection
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVarTuple

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

Arguments = TypeVarTuple("Arguments")
if sys.platform == "linux":
    CONTEXT = multiprocessing.get_context("forkserver")
else:
    CONTEXT = multiprocessing.get_context("spawn")
"""How children start. A fork of this process would inherit its threads, memory and seeds."""
IMPORTED = ("torch._dynamo", "pandas", "safetensors.torch", "pydantic")
"""Packages that the server imports. None is ours: it would look for it on another path than this process."""
_ENDING = [signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_STARTING = threading.Lock()


class Child:
    """The process of a function, seen from the process that started it. Whoever makes one closes it.

    Args:
        function: of a module that can be imported by its name; called with the `Parent`, then with `arguments`.
        arguments: what the function needs; they are pickled.
        environment: variables that differ from those of this process.
    """

    def __init__(
        self,
        function: Callable[[Parent, *Arguments], None],
        *arguments: *Arguments,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.connection, theirs = CONTEXT.Pipe()
        variables = {**os.environ, **(environment or {})}
        self._process = CONTEXT.Process(target=_call, args=(theirs, variables, function, *arguments))
        try:
            with _STARTING, _without_main_module():
                start_server()
                start_without_interrupt(self._process)
        except BaseException:  # a signal came meanwhile, and nobody gets this object to close it
            if self._process.pid is not None:
                self.close()
            raise
        finally:
            theirs.close()  # so that the connection ends when the child does

    def send(self, message: Any) -> None:
        """Send a message; it is lost where the process has ended."""
        with suppress(OSError):
            self.connection.send_bytes(json.dumps(message).encode())

    def has_sent(self, seconds: float = 0.0) -> bool:
        """Whether `receive` returns at once; the answer is awaited for so many seconds at most."""
        with suppress(OSError):  # on Windows a broken pipe
            return self.connection.poll(seconds)
        return True

    def receive(self) -> Any:
        """Wait for the next message; None where the process has ended and sends no more."""
        try:
            return json.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            return None

    def join(self, seconds: float | None = None) -> int | None:
        """Wait for the process to end, for so many seconds at most; its exit code, None where it has not ended."""
        self._process.join(seconds)
        return self._process.exitcode

    def close(self) -> None:
        """End the process, if it has not ended by itself."""
        self._process.kill()
        self._process.join()
        self.connection.close()


class Parent:
    """The process that started this one. Once it is gone, this one ends at once: nobody would read what it makes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._received: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, message: Any) -> None:
        try:
            self._connection.send_bytes(json.dumps(message).encode())
        except OSError:
            os._exit(1)

    def receive(self) -> Any:
        """Wait for the next message."""
        return self._received.get()

    def has_sent(self) -> bool:
        """Whether a message has come that was not received yet."""
        return not self._received.empty()

    def _listen(self) -> None:
        process = multiprocessing.parent_process()
        assert process is not None
        with suppress(EOFError, OSError):
            while process.sentinel not in multiprocessing.connection.wait([process.sentinel, self._connection]):
                self._received.put(json.loads(self._connection.recv_bytes()))
        os._exit(1)


def start_server() -> None:
    """Start the server where children are forked from one and it does not run yet. It is ready some seconds later.

    Signals that end processes are blocked in it: they reach this process too, and the children of a server that has
    ended would be taken for ended.
    """
    if sys.platform != "linux":
        return
    from multiprocessing import forkserver, resource_tracker

    resource_tracker.ensure_running()  # the server needs it, and its start ends with signals unblocked
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)  # inherited; what comes meanwhile is answered afterwards
    try:
        CONTEXT.set_forkserver_preload(list(IMPORTED))
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _call(connection: Connection, environment: dict[str, str], function: Callable[..., None], *arguments: Any) -> None:
    """Entry point of the child process."""
    for number in (signal.SIGINT, *termination_signals()):  # all of them reach the parent too, and it decides
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        os.environ.clear()  # it is that of the time when the server was started
    os.environ.update(environment)
    function(Parent(connection), *arguments)
    # The connection is not closed: the thread of `Parent` waits on it, and both end with the process.


@contextmanager
def _without_main_module() -> Iterator[None]:
    """A context in which a process can be started that does not import the script which this process runs.

    `spawn` has every child import the main module of its parent first. A script without `if __name__ == "__main__"`
    would run again in each child, and start children there, which fails; any other would import torch (where it does)
    before the function has set its environment. The functions here are in modules of their own and need none of it.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")  # has no file and no name to import it by
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def termination_signals() -> list[signal.Signals]:
    """The signals that ask this process to end, beside Ctrl-C: a cluster's time limit, a closed terminal.

    One that is ignored, as under `nohup`, is not among them.
    """
    return [number for number in _ENDING[1:] if signal.getsignal(number) is not signal.SIG_IGN]


def start_without_interrupt(process: BaseProcess) -> None:
    """Start a process that Ctrl-C does not reach, and whose start no signal interrupts.

    A terminal sends Ctrl-C to both processes; only this one answers, and then ends the other. Whether a signal is
    ignored is inherited, so that the child ignores it from its first moment on. Other signals are answered after the
    start: a child whose parent was interrupted before it had sent the arguments would end in a traceback.

    Outside the main thread Python lets nobody set how signals are answered: there the process is simply started.
    """
    if threading.current_thread() is not threading.main_thread():
        process.start()
        return
    came: list[int] = []
    handlers = {signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    for number in termination_signals():
        handlers[number] = signal.signal(number, lambda number, _: came.append(number))
    try:
        process.start()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for late in came:
        signal.raise_signal(late)
