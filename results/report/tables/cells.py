"""The tables of cells: those without a result, and the audit of what each one used and met."""

from bench.results.report.table import Note, Table, Value, figures, number_value, words
from bench.results.report.tables.notes import DIVERGED_NOTE, time_notes
from bench.results.report.tables.summary import parameters_value
from bench.results.statistics.comparable import SHOWN_HASH
from bench.results.statistics.scores import Scores

COUNTS = {"examples": "examples", "distinct": "unique_problems", "tokens": "tokens", "steps": "steps"}
"""Column of the audit -> field of a record."""
OPTIMIZER = "by optimizer"
"""Column of the audit: its part of the FLOPs; not there where no run counted it."""
AUDIT_NOTE = Note(
    "`data` and `test` are the first digits of data_hash and test_hash. Cells of a seed with equal data met the same "
    "problems in the same order. `python -m bench verify RUN` recomputes all of it."
)


def unfinished(scores: Scores) -> Table | None:
    """The cells that have no result, and why."""
    if not scores.unfinished:
        return None
    rows = {}
    for name, seed, status, reason in scores.unfinished:
        cell = f"{name} seed {seed}"
        rows[cell] = {"cell": Value(cell), "status": Value(status), "reason": Value(reason)}
    columns, notes = words("cell", "status", "reason"), [DIVERGED_NOTE] if scores.diverged else []
    return Table(key="unfinished", title="Cells without a result", columns=columns, rows=rows, notes=notes)


def audit(scores: Scores) -> Table:
    """The proof that a comparison is fair, or where it is not."""
    counted = any(record.optimizer_flops is not None for record in scores.records)
    rows = {}
    for record in scores.records:
        deviation, cell = record.budget_deviation or 0.0, f"{record.architecture} seed {record.seed}"
        rows[cell] = {
            "cell": Value(cell),
            "budget": Value(record.budget),
            "missed by": Value(f"{100 * deviation:+.2f} %" if deviation else "0", value=deviation),
            "parameters": parameters_value(record),
            **{column: number_value(getattr(record, field)) for column, field in COUNTS.items()},
            "FLOPs": number_value(record.all_flops, power=True),
            **({OPTIMIZER: number_value(record.optimizer_flops, power=True)} if counted else {}),
            "train s": number_value(
                record.train_seconds, 1, shared=not record.exclusive, machines=scores.machine_marks([record])
            ),
            "exclusive": Value("yes" if record.exclusive else "no"),
            "data": Value(str(record.data_hash)[:SHOWN_HASH]),
            "test": Value(str(record.test_hash)[:SHOWN_HASH]),
            "tuned for": Value("this" if record.tuned else record.preset or "nothing"),
        }
    columns = [*words("cell", "budget"), *figures("missed by", "parameters", *COUNTS, "FLOPs")]
    columns += figures(*[OPTIMIZER] * counted, "train s")
    columns += words("exclusive", "data", "test", "tuned for")
    title, notes = "Audit: what each cell used, and on which data", [AUDIT_NOTE, *time_notes(scores)]
    return Table(key="audit", title=title, columns=columns, rows=rows, notes=notes, detail=True)
