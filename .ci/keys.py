"""The tables of docs/files-of-a-run.md: every key of run.json and record.json and every column of the CSV files.

    python .ci/keys.py      writes them between the lines `<!-- keys -->` and `<!-- /keys -->`

They are made of the docstrings that stand beside the keys in `bench.results.records`, so that nobody writes them twice.
"""

import re
from pathlib import Path
from typing import Any

from bench.results.records.collect import CELL_COLUMNS
from bench.results.records.curves import COLUMNS as CURVE_COLUMNS
from bench.results.records.plan import Plan, PlannedArchitecture, PlannedStratum, PlannedSuite, Settings
from bench.results.records.predictions import COLUMNS as PREDICTION_COLUMNS
from bench.results.records.predictions import WORKINGS_COLUMNS
from bench.results.records.record import Record
from bench.results.records.search import TRIAL_COLUMNS
from bench.results.records.slices import RESULT_COLUMNS
from bench.results.records.typed_csv import Column

PAGE = Path(__file__).resolve().parent.parent / "docs" / "files-of-a-run.md"
BLOCK = re.compile(r"(<!-- keys -->\n)(.*?)(<!-- /keys -->)", re.DOTALL)
MODELS: dict[str, type[Any]] = {
    "`run.json`, the plan": Plan,
    "`settings` in run.json": Settings,
    "`suite` in run.json": PlannedSuite,
    "each of `entries` in run.json": PlannedArchitecture,
    "each of `strata` in run.json": PlannedStratum,
}
FRAMES: dict[str, dict[str, Column]] = {
    "`results.csv` and `baselines.csv`, right answers by slice": RESULT_COLUMNS,
    "`curve.csv`, how a cell learnt": CURVE_COLUMNS,
    "`predictions.csv.gz`, what a cell answered": PREDICTION_COLUMNS | WORKINGS_COLUMNS,
    "`trials.csv` of a search, a row a trial and a final; then a column a setting": TRIAL_COLUMNS,
}


def tables() -> str:
    """All tables as Markdown."""
    blocks = [_table(title, "key", _keys(model.model_fields)) for title, model in MODELS.items()]
    record = _keys(Record.__pydantic_fields__)  # type: ignore[attr-defined]  # pydantic makes it
    blocks.append(_table("`record.json`, the outcome of a cell", "key", record))
    cells = {name: record[name] for name in CELL_COLUMNS} | {"exclusive": f"{record['exclusive']}: yes or no"}
    blocks.append(_table("`cells.csv`, a row a cell", "column", cells))
    for title, columns in FRAMES.items():
        blocks.append(_table(title, "column", {name: column.meaning for name, column in columns.items()}))
    return "\n".join(blocks)


def _keys(fields: dict[str, Any]) -> dict[str, str]:
    return {field.alias or name: " ".join((field.description or "").split()) for name, field in fields.items()}


def _table(title: str, first: str, meanings: dict[str, str]) -> str:
    if missing := [name for name, meaning in meanings.items() if not meaning]:
        raise SystemExit(f"{title}: no docstring at {', '.join(missing)}")
    rows = [f"| `{name}` | {meaning} |" for name, meaning in meanings.items()]
    return "\n".join([f"### {title}", "", f"| {first} | meaning |", "|---|---|", *rows, ""])


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(BLOCK.sub(lambda found: f"{found[1]}{tables()}{found[3]}", text), encoding="utf-8")


if __name__ == "__main__":
    main()
