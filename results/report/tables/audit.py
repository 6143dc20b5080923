"""The audit: what each cell used and met, the proof that a comparison is fair, or where it is not."""

from bench.results.report.table import Column, Note, Table, Value, number_value
from bench.results.report.tables.summary import parameters_value
from bench.results.statistics.comparable import SHOWN_HASH
from bench.results.statistics.scores import Scores

COLUMNS = [
    Column("cell", "cell", left=True),
    Column("budget", "budget", left=True),
    Column("missed", "missed by"),
    Column("parameters", "parameters"),
    Column("examples", "examples"),
    Column("distinct", "distinct"),
    Column("tokens", "tokens"),
    Column("steps", "steps"),
    Column("flops", "FLOPs"),
    Column("train_seconds", "train s"),
    Column("exclusive", "exclusive", left=True),
    Column("data", "data", left=True),
    Column("test", "test", left=True),
    Column("tuned", "tuned for", left=True),
]


def audit(scores: Scores) -> Table:
    rows = {}
    for record in scores.records:
        deviation = record.budget_deviation or 0.0
        cell = f"{record.architecture} seed {record.seed}"
        rows[cell] = {
            "cell": Value(cell),
            "budget": Value(record.budget),
            "missed": Value(f"{100 * deviation:+.2f} %" if deviation else "0", value=deviation),
            "parameters": parameters_value(record),
            "examples": number_value(record.examples),
            "distinct": number_value(record.unique_problems),
            "tokens": number_value(record.tokens),
            "steps": number_value(record.steps),
            "flops": number_value(record.flops, power=True),
            "train_seconds": number_value(record.train_seconds, decimals=1, shared=not record.exclusive),
            "exclusive": Value("yes" if record.exclusive else "no"),
            "data": Value(str(record.data_hash)[:SHOWN_HASH]),
            "test": Value(str(record.test_hash)[:SHOWN_HASH]),
            "tuned": Value("this" if record.tuned else record.preset or "nothing"),
        }
    return Table(
        key="audit",
        title="Audit: what each cell used, and on which data",
        columns=COLUMNS,
        rows=rows,
        notes=[
            Note(
                "`data` and `test` are the first digits of data_hash and test_hash. Cells of a seed with equal data "
                "met the same problems in the same order. `python -m bench verify RUN` recomputes all of it."
            )
        ],
        detail=True,
    )
