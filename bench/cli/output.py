"""How commands print: tables for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.results.files import printable

if TYPE_CHECKING:
    from bench.results.records.run import RunFolder

USUAL_WIDTH = 120
"""Columns when standard output is no terminal and COLUMNS is not set."""


class _Console(Console):
    """Prints what it is given: text is no markup, and holds nothing that a terminal would obey."""

    def __init__(self, **how: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **how)

    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(printable(text), **how)

    def on_broken_pipe(self) -> None:
        raise  # rich calls this where it has caught the error, and would exit with 1; `main` knows better


def console(errors: bool = False, quiet: bool = False) -> Console:
    """Standard output, or standard error; as wide as COLUMNS says, where that is set. `quiet`: prints nothing."""
    found = _Console(stderr=errors, quiet=quiet)
    if found.is_terminal or os.environ.get("COLUMNS", "").isdigit():
        return found
    return _Console(stderr=errors, quiet=quiet, width=USUAL_WIDTH)


def name_broken(runs: list[RunFolder]) -> int:
    """A line on standard error for each cell with a broken file; the exit status: 1 if there is one, else 0."""
    broken = [error for run in runs for error in run.broken.values()]
    for error in broken:
        print(f"bench: {error}", file=sys.stderr)
    return 1 if broken else 0


def print_json(document: Any) -> None:
    """One JSON document and nothing else."""
    print(json.dumps(document, indent=1, ensure_ascii=False))


def print_csv(columns: Sequence[str], rows: list[dict[str, Any]]) -> None:
    """Rows, their keys as header."""
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def print_listing(title: str, rows: Sequence[dict[str, Any]], empty: str = "none") -> None:
    """Rows, their keys as header, in one part, however narrow the screen is; `empty` stands where there are no rows.

    Numbers are aligned right, everything else left.
    """
    target = console()
    if not rows:
        target.print(f"{title}: {empty}")
        return
    table = Table(title=Text(title, style="bold"), title_justify="left", box=None, pad_edge=False)
    names = list(dict.fromkeys(name for row in rows for name in row))
    for name in names:
        numeric = all(isinstance(row.get(name, 0), int | float) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(_shown(name, row.get(name, "")))) for name in names))
    target.print(table)
    target.print()


def _shown(name: str, value: Any) -> str:
    grouped = isinstance(value, int) and not isinstance(value, bool) and name != "year"
    return f"{value:,}" if grouped else str(value)
