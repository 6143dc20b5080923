"""A table of rows as dicts, such as what there is, a plan, or the outcome of a search."""

from collections.abc import Mapping
from typing import Any

from bench.results.report.table import Column, Table, Value


def listing(key: str, title: str, rows: Mapping[str, Mapping[str, Any]]) -> Table:
    """What a row is about -> name of a column -> what stands there. Numbers are aligned right, everything else left."""
    names = dict.fromkeys(name for row in rows.values() for name in row)
    numeric = {name: all(isinstance(row.get(name, 0), int | float) for row in rows.values()) for name in names}
    return Table(
        key=key,
        title=title,
        columns=[Column(name, name, left=not numeric[name]) for name in names],
        rows={about: {name: Value(_shown(name, row.get(name, ""))) for name in names} for about, row in rows.items()},
    )


def _shown(name: str, value: Any) -> str:
    grouped = isinstance(value, int) and not isinstance(value, bool) and name != "year"
    return f"{value:,}" if grouped else str(value)
