"""What `choose` says, for a page of `serve`: worked out in a process of its own, since it trains for some seconds."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.child import Child, Parent
from bench.errors import UserError

LONGEST_SECONDS = 120.0
"""How long a request waits for what takes some ten seconds on a machine that has nothing else to do."""


class Chooser:
    """Asks `choose` for one request at a time: two that measured this machine at once would measure each other."""

    def __init__(self, run: Path) -> None:
        """`run` is looked into beside the runs that `choose` always reads."""
        self._run, self._lock = run.resolve(), threading.Lock()

    def choose(self, operations: str, digits: str, minutes: float) -> dict[str, Any]:
        """Rows and lines for the page: `choices`, `too_slow`, `lines`.

        Raises:
            UserError: as `choose`.
            TimeoutError: another request is being worked on, or this one took too long.
            RuntimeError: it failed.
        """
        if not self._lock.acquire(blocking=False):
            raise TimeoutError
        try:
            with closing(Child(_choose, operations, digits, minutes, self._run)) as child:
                if not child.has_sent(LONGEST_SECONDS):
                    raise TimeoutError
                found = child.receive()
        finally:
            self._lock.release()
        if found is None:
            raise RuntimeError("choose failed")
        if isinstance(found, str):
            raise UserError(found)
        return dict(found)


def _choose(parent: Parent, operations: str, digits: str, minutes: float, run: Path) -> None:
    """What the process does: it sends what there is to say, or, as a text, what is wrong with the question."""
    from bench.choosing import CHOICES, choose

    try:
        answer = choose(operations, digits, minutes, [run])
    except UserError as error:
        parent.send(str(error))
        return
    parent.send(
        {
            "choices": [choice.words for choice in answer.choices],
            "too_slow": [choice.words for choice in answer.too_slow[:CHOICES]],
            "lines": answer.lines,
        }
    )
