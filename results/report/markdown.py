"""A report as Markdown."""

from bench.results.files import printable
from bench.results.report.contents import ACROSS, Contents
from bench.results.report.table import Table


def markdown(report: Contents) -> str:
    """The whole report; each part under a heading where there are several."""
    blocks = [f"- {_escaped(warning)}" for warning in report.warnings]
    for part in report.parts:
        if len(report.parts) > 1:
            blocks.append(f"# {_escaped(part.title)}")
        blocks += blocks_of(part.opening, part.tables)
    if report.across:
        blocks += [f"# {ACROSS}", *blocks_of([], report.across)]
    return "\n\n".join(blocks) + "\n"


def blocks_of(opening: list[str], tables: list[Table]) -> list[str]:
    """Paragraphs, then tables, each under a heading of the second level and with its notes below it."""
    blocks = [_escaped(line) for line in opening]
    for table in tables:
        blocks += [f"## {_escaped(table.title)}", grid_of(table)]
        if table.notes:
            blocks.append("\n".join(f"- {_escaped(note.text)}" for note in table.notes))
    return blocks


def grid_of(table: Table) -> str:
    """The columns and rows of a table."""
    rules = [":---" if column.left else "---:" for column in table.columns]
    head = [column.label for column in table.columns]
    texts = [head, rules, *([value.text for value in line] for line in table.lines())]
    return "\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in texts)


def _escaped(text: str) -> str:
    """`text` so that Markdown shows it as it is: a reason or a summary may hold anything."""
    text = printable(text)
    for symbol in "\\|<*_~":
        text = text.replace(symbol, "\\" + symbol)
    return text
