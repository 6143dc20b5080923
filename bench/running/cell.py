"""What the process of one cell (architecture x seed) does, and that of one trial of a search.

A cell trains a model, evaluates it and writes its files into its folder, the record last; it sends its progress to the
process that started it. A trial trains in the same way, is scored on validation alone, and sends its score at the end.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.child import Parent
from bench.locks import Held, holding
from bench.results.files import delete_halves
from bench.results.records.plan import Plan, PlannedArchitecture
from bench.results.records.record import RECORD

Send = Callable[[dict[str, Any]], None]
"""Sends an event to the parent, which shows how far the job is."""
Stop = Callable[[], bool]
"""Whether the parent has asked to stop."""

LOCK = ".lock"
"""In a cell's folder: who holds it may write there."""
ERROR = "error.txt"
"""In a cell's folder: the traceback of what made it fail."""
PATIENCE_SECONDS = 10.0
"""How long a cell waits for its folder: a process whose parent was killed is about to end."""


@dataclass(frozen=True)
class PlannedCell:
    """Which cell of which plan a process is to train, and in which folder."""

    plan: Plan
    architecture: str
    seed: int
    directory: Path
    checkpoint_seconds: float | None = None
    """of training between two checkpoints; None: as often as costs little"""

    @property
    def planned(self) -> PlannedArchitecture:
        return self.plan.entries[self.architecture]

    @property
    def digest(self) -> str:
        """SHA-256 in hex of all that decides what is learnt."""
        settings = self.plan.settings.model_dump()
        deciding = [self.architecture, self.planned.config, self.planned.training, self.planned.flops_per_example]
        deciding += filter(None, [self.planned.plugin_hash, self.planned.optimizer_flops_per_step])
        return hashlib.sha256(json.dumps([settings, deciding, self.seed], sort_keys=True).encode()).hexdigest()


Job = Callable[[PlannedCell, Send, Stop], None]


def main(parent: Parent, cell: PlannedCell, job: Job) -> None:
    """What the process of a cell or a trial does: `job` is `run_cell` or `run_trial`. Any message asks it to stop."""
    # Its deterministic CUDA products read the last of these, and its thread pools the others where this process imports
    # torch itself; where it was forked from one that had, `as_in_a_cell` alone says how many threads there are.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(cell.plan.settings.threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        job(cell, parent.send, parent.has_sent)
    except OSError as error:  # a full disk, say: the parent meets it too, and tells the user
        parent.send({"kind": "warning", "text": f"{error.filename or cell.directory}: {error.strerror or error}"})


def run_cell(cell: PlannedCell, send: Send, stop: Stop = lambda: False) -> None:
    """Train, evaluate and record, from the newest checkpoint on; a failure is recorded too.

    Without a record it ends where it was asked to stop, or where another process works on the cell; one that stands
    already, since another process was quicker, is let alone.
    """
    from bench.running.checkpoints import delete_checkpoints
    from bench.running.outcome import outcome_of, train_and_evaluate, write_outcome
    from bench.running.training import Stopped

    directory = cell.directory
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with holding(directory / LOCK, PATIENCE_SECONDS):
            if (directory / RECORD).exists():
                return
            delete_halves(directory)
            (directory / ERROR).unlink(missing_ok=True)  # of an earlier try
            outcome = outcome_of(train_and_evaluate, cell, send, stop)
            write_outcome(cell, outcome)
            if outcome["status"] in ("done", "diverged"):  # others may be tried again
                delete_checkpoints(directory)
    except Held:
        send({"kind": "held"})
    except Stopped:
        send({"kind": "stopped"})


def run_trial(cell: PlannedCell, send: Send, stop: Stop = lambda: False) -> None:
    """Train and score on validation alone; the outcome, a failure too, is the last event, of kind `outcome`."""
    from bench.running.outcome import outcome_of, train_and_validate

    send({"kind": "outcome"} | outcome_of(train_and_validate, cell, send, stop))
