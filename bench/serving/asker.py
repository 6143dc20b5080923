"""A thread that asks the trained models of a run, on behalf of all threads that serve requests."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future

from bench.asking.expression import ask_together, refuse_unwritable
from bench.asking.models import TrainedModel
from bench.datasets.problems import Problems
from bench.results.report.tables.replies import Reply

MOST_TOGETHER = 64
"""Problems that are answered in one batch."""
LONGEST_SECONDS = 30.0
"""How long a request waits for its answer, which takes a fraction of a second."""

_Waiting = tuple[Problems, "Future[list[Reply]]"]


class Asker:
    """Models of one run, and the one thread that asks them, so that no other changes torch's settings meanwhile. It
    answers all problems that wait in one batch: fifty take little longer than one.
    """

    def __init__(self, models: list[TrainedModel]) -> None:
        self.models = models
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="models", daemon=True)
        self._thread.start()

    def ask(self, problem: Problems, patience_seconds: float | None = LONGEST_SECONDS) -> list[Reply]:
        """The models' replies to one problem, from any thread; with patience None it waits as long as it takes.

        Raises:
            UserError: models of this suite cannot be asked this problem.
            TimeoutError: there was no answer in time.
        """
        refuse_unwritable(self.models, problem)
        future: Future[list[Reply]] = Future()
        self._waiting.put((problem, future))
        try:
            return future.result(patience_seconds)
        except TimeoutError:
            future.cancel()  # nobody waits for the answer any more
            raise

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End the thread, once it has answered the problems that wait."""
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
        except Exception as error:  # it is raised where the question was asked
            for _, future in together:
                future.set_exception(error)
            return
        for (_, future), replies in zip(together, answered, strict=True):
            future.set_result(replies)
