"""What a cell claims, compared with what is recomputed: one function a check, in the order of `CHECKS`.

A checksum tells what was damaged, not what was forged: whoever edits a file can write its checksum anew. So everything
that follows from the suite, the seed and the settings is made again, and the model whose weights lie in the folder is
asked again. Times, memory and the way to the last point of the learning curve are testimony: here they are only held
against each other, and training again (`verify --rerun`) is what tests them.
"""

from collections.abc import Callable, Iterator
from functools import partial

from bench.results.records.record import RECORD, verify_files
from bench.running.checkpoints import PATTERN as CHECKPOINTS
from bench.verifying import answers, training
from bench.verifying.cell import Cell, Check, Wrong, outcome


def files(cell: Cell) -> str:
    """The files of the cell are those that the record has the SHA-256 of."""
    verify_files(cell.directory, cell.record)
    names = {path.name for path in cell.directory.glob("[!.]*") if path.is_file() and not path.match(CHECKPOINTS)}
    if unknown := sorted(names - cell.record.files.keys() - {RECORD}):
        raise Wrong(f"the record does not list {', '.join(unknown)}")
    return f"SHA-256 of {', '.join(sorted(cell.record.files)) or 'no file'}"


CHECKS: dict[str, Callable[[Cell], str]] = {
    "files": files,
    "settings": training.settings,
    "parameters": training.parameters,
    "budget": training.budget,
    "training data": training.training_data,
    "no peeking": training.no_peeking,
    "test set": answers.questions,
    "answers": answers.answers,
    "weights": answers.weights,
    "answers again": answers.answers_again,
    "learning curve": training.learning_curve,
    "times": training.times,
}
"""What is checked of every finished cell."""


def audit(cell: Cell) -> Iterator[Check]:
    """All checks of a cell; a failed cell has fewer, since it claims less."""
    checks = CHECKS if cell.record.done else {name: CHECKS[name] for name in ("files", "settings")}
    for name, function in checks.items():
        yield outcome(name, cell.name, partial(function, cell))
