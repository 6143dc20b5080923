"""A report as text: tables as wide as the console allows, and the end of a run in the terminal."""

import io
import shlex
from collections.abc import Callable
from dataclasses import replace

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from bench.results.files import printable
from bench.results.records.collect import CELLS, RESULTS
from bench.results.records.run import RunFolder
from bench.results.report.contents import ACROSS, Contents
from bench.results.report.table import SHARED, Table
from bench.results.report.tables.summary import ending
from bench.results.statistics.conclusion import duration
from bench.results.statistics.scores import Scores

WIDTH = 120
"""Columns of a text that goes to no terminal."""
ENDING = 25
"""Lines of 100 columns that the end of a run takes at most."""
VERDICTS = 3
"""Sentences of the verdict that it shows."""
FEWEST_ROWS = 3
"""Rows that it shows in a narrow terminal too, where its sentences take many lines."""
PAGE = "report.html"
"""The page of a run, in its folder."""


def text(report: Contents) -> str:
    """The whole report in lines of at most `WIDTH` columns."""
    return _written(lambda console: _print(console, report, detail=True))


def tables_text(tables: list[Table]) -> str:
    """Tables in lines of at most `WIDTH` columns."""
    return _written(lambda console: print_tables(console, [], tables))


def print_report(report: Contents, console: Console) -> None:
    """The tables, where the files are, and how to go on."""
    _print(console, report, detail=False)
    runs = [run for part in report.parts for run in part.scores.runs]
    if len(runs) == 1:
        _print_next(console, _next(runs[0]))


def print_ending(report: Contents, console: Console) -> None:
    """How a run ended, in at most `ENDING` lines of 100 columns: a table, the verdict, what it cost, and how to go on.

    What does not fit is told where to find.
    """
    [part] = report.parts
    [run] = part.scores.runs
    ways = _next(run, short=True)
    table = ending(part.scores, part.tiers)
    [columns, *_] = fitting(table, console.width)
    below = [*part.verdict[:VERDICTS], _cost(part.scores), *_marks(table)]
    room = ENDING - len(ways) - 4 - sum(len(_plain(line).wrap(console, console.width)) for line in below)
    room = max(room, FEWEST_ROWS)
    left_out = max(0, len(table.rows) - room)
    if left_out:
        kept = dict(list(table.rows.items())[: room - 1])
        below = [f"{left_out + 1} more are in the tables.", *below]
        table = replace(table, rows=kept)
    for warning in report.warnings:
        console.print(_plain(f"warning: {warning}"))
    console.print()
    console.print(_rich(table, columns))
    for line in below:
        console.print(_plain(line))
    console.print()
    _print_next(console, ways)


def _print_next(console: Console, ways: list[tuple[str, str]]) -> None:
    for name, value in ways:
        # Never wrapped: a person copies these.
        console.print(_plain(f"{name:<16}{value}"), soft_wrap=True)


def _cost(scores: Scores) -> str:
    """What a run took, and what it lacks."""
    records = scores.records
    seconds = sum(record.train_seconds or 0 for record in records)
    cells = f"{len(records)} cell{'s' if len(records) != 1 else ''}"
    line = f"{cells} trained for {duration(seconds)} in all, under {scores.plan.settings.budget} each."
    if not scores.unfinished:
        return line
    name, seed, status, reason = scores.unfinished[0]
    why = f"{status}: {reason}" if reason else status
    lacking = len(scores.unfinished)
    have = "1 has no result:" if lacking == 1 else f"{lacking} have no result, such as"
    return f"{line} {have} {name} seed {seed} ({why})."


def _marks(table: Table) -> list[str]:
    """What the marks of a table mean, where it has any, in a line."""
    texts = [value.text for row in table.rows.values() for value in row.values()]
    meanings = {
        " [": "[ ] 95 % interval",
        " !": "! its settings were not tuned for this",
        SHARED: f"{SHARED} measured while other work shared the machine",
    }
    found = [meaning for mark, meaning in meanings.items() if any(mark in text for text in texts)]
    return [f"{'; '.join(found)}."] if found else []


def print_tables(console: Console, head: list[str], tables: list[Table]) -> None:
    """Lines, then tables with their notes, each as wide as the console allows."""
    for line in head:
        console.print(_plain(line))
    for table in tables:
        console.print()
        console.print(_plain(table.title, "bold"))
        for number, columns in enumerate(fitting(table, console.width)):
            if number:
                console.print()
            console.print(_rich(table, columns))
        for note in table.notes:
            console.print(_plain(note.text, "dim"))
    console.print()


def fitting(table: Table, width: int) -> list[list[int]]:
    """The columns of a table in parts that fit `width`, each with the first column, so that no value is cut."""
    gap, lines = 3, table.lines()
    widths = [
        max([len(column.label), *(len(line[number].text) for line in lines)]) + gap
        for number, column in enumerate(table.columns)
    ]
    parts: list[list[int]] = [[0]]
    for number in range(1, len(widths)):
        if len(parts[-1]) > 1 and sum(widths[chosen] for chosen in parts[-1]) + widths[number] > width:
            parts.append([0])
        parts[-1].append(number)
    return parts


def _written(write: Callable[[Console], None]) -> str:
    """What is written to a console, as a text."""
    file = io.StringIO()
    write(Console(file=file, width=WIDTH, color_system=None))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def _print(console: Console, report: Contents, detail: bool) -> None:
    for warning in report.warnings:
        console.print(_plain(f"warning: {warning}"))
    for part in report.parts:
        if len(report.parts) > 1:
            console.print()
            console.rule(_plain(part.title, "bold"))
        print_tables(console, part.opening, [table for table in part.tables if detail or not table.detail])
    if report.across:
        console.rule(_plain(ACROSS, "bold"))
        print_tables(console, [], report.across)


def _next(run: RunFolder, short: bool = False) -> list[tuple[str, str]]:
    """Where the files of a run are, and the commands to go on with it; `short`: the most important."""
    folder = shlex.quote(str(run.directory))
    suite = run.plan.suite.source
    table_files = f"{run.directory / CELLS}, {run.directory / RESULTS}"
    page = [("with charts:", str(run.directory / PAGE))] if (run.directory / PAGE).is_file() else []
    finish = [("finish the run:", run.plan.command)] if run.missing else []
    if short:
        return [*page, *finish, ("all tables:", f"python -m bench report {folder}")]
    return [
        *page,
        ("files:", f"{table_files}, one folder a cell in {run.directory / 'cells'}"),
        *finish,
        ("these tables:", f"python -m bench report {folder}"),
        ("as files:", f"python -m bench report {folder} --format html,md,csv,latex --out {folder}"),
        ("the problems:", f"python -m bench data --suite {shlex.quote(suite)} --split test"),
    ]


def _rich(table: Table, columns: list[int]) -> RichTable:
    rich = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in (table.columns[number] for number in columns):
        rich.add_column(_plain(column.label), justify="left" if column.left else "right", overflow="fold")
    for line in table.lines():
        values = [line[number] for number in columns]
        rich.add_row(*(_plain(value.text, "dim" if value.shared else "") for value in values))
    return rich


def _plain(text: str, style: str = "") -> Text:
    return Text(printable(text), style=style)
