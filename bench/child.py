"""Starting another process, so that signals meet one that is whole."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess


def answered_signals() -> list[signal.Signals]:
    """What asks this process to end beside Ctrl-C: a cluster's time limit, a closed terminal (not under `nohup`)."""
    numbers = [signal.Signals[name] for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


def start_deaf(process: BaseProcess) -> None:
    """Start a process that Ctrl-C does not reach, and that no signal leaves half started.

    A terminal sends Ctrl-C to both processes; only this one answers, and then ends the other. Whether a signal is
    ignored is inherited, so that the child never hears of it, not even while it starts. Another signal is answered
    after the start: an interrupt between the child's birth and its orders would leave it to end in a traceback.
    """
    came: list[int] = []
    answers = {signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    for number in answered_signals():
        answers[number] = signal.signal(number, lambda number, _: came.append(number))
    try:
        process.start()
    finally:
        for number, answer in answers.items():
            signal.signal(number, answer)
    for late in came:
        signal.raise_signal(late)
