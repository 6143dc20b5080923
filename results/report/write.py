"""A report in every format: what it holds comes from `contents`, how it looks from one module a format."""

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.results.files import write_text
from bench.results.report.contents import ACROSS, Contents
from bench.results.report.latex import latex
from bench.results.report.markdown import markdown
from bench.results.report.terminal import PAGE, text

FILE_NAMES = {"text": "report.txt", "html": PAGE, "md": "report.md", "csv": "report.csv", "latex": "report.tex"}
"""Format -> the file that `write_report` writes."""


def render(report: Contents, format: str) -> str:
    """The report as `text`, `html`, `md` (Markdown), `latex`, or `csv` (tidy: a row an entry of a table, unrounded).

    Raises ValueError on another format.
    """
    if format == "html":
        from bench.results.report.html import page  # slow to import

        return page(report)
    formats = {"text": text, "md": markdown, "csv": _csv, "latex": latex}
    if format not in formats:
        raise ValueError(f"format is {format!r}; it must be one of {', '.join(FILE_NAMES)}")
    return formats[format](report)


def write_report(report: Contents, formats: Iterable[str], directory: Path) -> list[Path]:
    """Writes report.txt, report.html, ... for each of `formats` into `directory`; returns the paths.

    All are rendered before the first is written. Raises as `render`.
    """
    texts = {format: render(report, format) for format in formats}
    for format, content in texts.items():
        write_text(directory / FILE_NAMES[format], content)
    return [directory / FILE_NAMES[format] for format in texts]


def document(report: Contents) -> dict[str, Any]:
    """The report for programs: text, verdict, tiers and tables of each part. A table's rows have a key and hold values
    by the keys of its columns, each with its text and the unrounded numbers behind it; beyond the budget is no number.
    """
    parts = [
        {
            "title": part.title,
            "suite": part.scores.plan.suite.name,
            "runs": [str(run.directory) for run in part.scores.runs],
            "opening": part.opening,
            "verdict": part.verdict,
            "tiers": part.tiers,
            "tables": [_plain(asdict(table)) for table in part.tables],
        }
        for part in report.parts
    ]
    return {"warnings": report.warnings, "parts": parts, "across": [_plain(asdict(table)) for table in report.across]}


def _plain(value: Any) -> Any:
    """Without numbers that JSON lacks."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _csv(report: Contents) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    several = len(report.parts) > 1
    writer.writerow([*(["part"] if several else []), "table", "row", "column", "text", "value", "low", "high", "n"])
    parts = [(part.title, [*report.warnings, *part.opening], part.tables) for part in report.parts]
    for title, opening, tables in [*parts, (ACROSS, [], report.across)]:
        first = [title] if several else []
        for number, sentence in enumerate(opening, 1):
            writer.writerow([*first, "report", f"line {number}", "", sentence, "", "", "", ""])
        for table in tables:
            names = [column.label for column in table.columns]
            for line in table.lines():
                for name, value in zip(names[1:], line[1:], strict=True):
                    numbers = (value.value, value.low, value.high, value.n)
                    figures = ("" if number is None else number for number in numbers)
                    writer.writerow([*first, table.title, line[0].text, name, value.text, *figures])
            for place, note in enumerate(table.notes, 1):
                writer.writerow([*first, table.title, f"note {place}", "", note.text, "", "", "", ""])
    return file.getvalue()
