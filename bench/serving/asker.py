"""Trained models behind one thread, for whoever asks them from many."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future

from bench.asking.expression import ask_together, refuse_unwritable
from bench.asking.models import TrainedModel
from bench.datasets.problems import Problems
from bench.results.report.tables.replies import Reply

MOST_TOGETHER = 64
"""Problems answered at once."""
LONGEST_SECONDS = 30.0
"""That anyone waits for an answer, which takes a fraction of a second."""

_Waiting = tuple[Problems, "Future[list[Reply]]"]


class Asker:
    """Models of one run. A thread of its own asks them, always all problems that wait together: fifty cost them little
    more than one, and torch's settings of threads and tiny numbers are touched by nobody else meanwhile.
    """

    def __init__(self, models: list[TrainedModel]) -> None:
        self.models = models
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="models", daemon=True)
        self._thread.start()

    def ask(self, problem: Problems, patience_seconds: float | None = LONGEST_SECONDS) -> list[Reply]:
        """As `asking.ask`, from any thread; with patience None it waits as long as it takes.

        Raises:
            UserError: models of that suite cannot be asked it.
            TimeoutError: there was no answer in time.
        """
        refuse_unwritable(self.models, problem)
        future: Future[list[Reply]] = Future()
        self._waiting.put((problem, future))
        try:
            return future.result(patience_seconds)
        except TimeoutError:
            future.cancel()  # who has gone needs no answer
            raise

    @property
    def answers(self) -> bool:
        """Whether the thread is there."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Ends the thread, once it has answered those that wait."""
        self._waiting.put(None)
        self._thread.join(LONGEST_SECONDS)

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            together = [first]
            while len(together) < MOST_TOGETHER and not self._waiting.empty():
                if (another := self._waiting.get()) is None:
                    self._waiting.put(None)  # the end comes after these
                    break
                together.append(another)
            self._answer([(problem, future) for problem, future in together if future.set_running_or_notify_cancel()])

    def _answer(self, together: list[_Waiting]) -> None:
        if not together:
            return
        try:
            answered = ask_together(self.models, Problems.join([problem for problem, _ in together]))
        except Exception as error:  # whoever asked is told
            for _, future in together:
                future.set_exception(error)
            return
        for (_, future), replies in zip(together, answered, strict=True):
            future.set_result(replies)
