"""A run as a report that a person reads: text, Markdown or CSV, and the end of a run in the terminal."""

import csv
import io
import shlex
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from bench.results.collect import CELLS, RESULTS
from bench.results.comparable import held_equal
from bench.results.entries import SHARED, Table
from bench.results.files import write_text
from bench.results.runs import Run
from bench.results.scores import Scores
from bench.results.tables import all_tables

FILE_NAMES = {"text": "report.txt", "md": "report.md", "csv": "report.csv"}
"""Format -> the file that `write_report` writes."""
WIDTH = 120
"""Columns of a text that goes to no terminal."""


def render(run: Run, format: str) -> str:
    """The report as `text`, `md` (Markdown) or `csv` (tidy: a row an entry of a table, figures unrounded).

    Raises ValueError on another format, NotComparable where cells may not stand side by side, BadFile as `Run` does.
    """
    if format not in FILE_NAMES:
        raise ValueError(f"format is {format!r}; it must be one of {', '.join(FILE_NAMES)}")
    scores = Scores(run)
    head, tables = _head(scores), all_tables(scores)
    if format == "text":
        console = Console(file=io.StringIO(), width=WIDTH, color_system=None)
        _print(console, head, tables)
        return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"  # type: ignore[attr-defined]
    return _markdown(head, tables) if format == "md" else _csv(head, tables)


def print_report(run: Run, console: Console) -> None:
    """The tables, where the files are, and how to go on. As wide as the terminal; 120 or more where there is none."""
    if not console.is_terminal:
        console = Console(file=console.file, width=max(WIDTH, console.width), color_system=None)
    scores = Scores(run)
    _print(console, _head(scores), all_tables(scores))
    folder = shlex.quote(str(run.directory))
    suite = run.plan["suite"].get("source", run.plan["suite"]["name"])
    finish = [("finish the run:", run.plan["command"])] if run.missing else []
    lines = [
        (
            "files:",
            f"{run.directory / CELLS}, {run.directory / RESULTS}, one folder a cell in {run.directory / 'cells'}",
        ),
        *finish,
        ("these tables:", f"python -m bench report {folder}"),
        ("as files:", f"python -m bench report {folder} --format md,csv --out {folder}"),
        ("the problems:", f"python -m bench data --suite {shlex.quote(suite)} --split test"),
    ]
    for name, value in lines:
        # Never wrapped: a person copies these.
        console.print(Text(f"{name:<16}{value}"), soft_wrap=True)


def write_report(run: Run, formats: Iterable[str], directory: Path) -> list[Path]:
    """Writes report.txt, report.md or report.csv for each of `formats` into `directory`; returns the paths.

    All are rendered before the first is written. Raises as `render`.
    """
    texts = {format: render(run, format) for format in formats}
    for format, text in texts.items():
        write_text(directory / FILE_NAMES[format], text)
    return [directory / FILE_NAMES[format] for format in texts]


def _head(scores: Scores) -> list[str]:
    suite = scores.run.plan["suite"]
    return [held_equal(scores.records), f"Suite {suite['name']}, version {suite['version']}: {suite['summary']}"]


def _print(console: Console, head: list[str], tables: list[Table]) -> None:
    for line in head:
        console.print(Text(line))
    for table in tables:
        console.print()
        console.print(Text(table.title, style="bold"))
        for number, part in enumerate(_split(table, console.width)):
            if number:
                console.print()
            console.print(_rich(part))
        for note in table.notes:
            console.print(Text(note, style="dim"))
    console.print()


def _rich(table: Table) -> RichTable:
    rich = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for number, column in enumerate(table.columns):
        rich.add_column(Text(column), justify="left" if number in table.left else "right", overflow="fold")
    for row in table.rows:
        rich.add_row(*(Text(entry.text, style="dim" if entry.text.startswith(SHARED) else "") for entry in row))
    return rich


def _split(table: Table, width: int) -> list[Table]:
    """The table in as many parts as fit `width`, each with the first column, so that no cell is cut or wrapped."""
    gap = 3
    texts = [table.columns, *([entry.text for entry in row] for row in table.rows)]
    widths = [max(len(line[number]) for line in texts) + gap for number in range(len(table.columns))]
    parts: list[list[int]] = [[0]]
    for number in range(1, len(widths)):
        if len(parts[-1]) > 1 and sum(widths[chosen] for chosen in parts[-1]) + widths[number] > width:
            parts.append([0])
        parts[-1].append(number)
    return [
        replace(
            table,
            columns=[table.columns[number] for number in part],
            rows=[[row[number] for number in part] for row in table.rows],
            left=frozenset(place for place, number in enumerate(part) if number in table.left),
        )
        for part in parts
    ]


def _markdown(head: list[str], tables: list[Table]) -> str:
    blocks = [_escaped(line) for line in head]
    for table in tables:
        rules = [":---" if number in table.left else "---:" for number in range(len(table.columns))]
        texts = [table.columns, rules, *([entry.text for entry in row] for row in table.rows)]
        blocks.append(f"## {_escaped(table.title)}")
        blocks.append("\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in texts))
        if table.notes:
            blocks.append("\n".join(f"- {_escaped(note)}" for note in table.notes))
    return "\n\n".join(blocks) + "\n"


def _escaped(text: str) -> str:
    """`text` so that Markdown shows it as it is: a reason or a summary may hold anything."""
    for symbol in "\\|<*_~":
        text = text.replace(symbol, "\\" + symbol)
    return text


def _csv(head: list[str], tables: list[Table]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["table", "row", "column", "text", "value", "low", "high", "n"])
    for number, line in enumerate(head, 1):
        writer.writerow(["report", f"line {number}", "", line, "", "", "", ""])
    for table in tables:
        for row in table.rows:
            for column, entry in zip(table.columns[1:], row[1:], strict=True):
                figures = ("" if figure is None else figure for figure in (entry.value, entry.low, entry.high, entry.n))
                writer.writerow([table.title, row[0].text, column, entry.text, *figures])
        for number, note in enumerate(table.notes, 1):
            writer.writerow([table.title, f"note {number}", "", note, "", "", "", ""])
    return file.getvalue()
