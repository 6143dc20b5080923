"""A report as Markdown."""

from bench.results.records.files import printable
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
        rules = [":---" if number in table.left else "---:" for number in range(len(table.columns))]
        texts = [table.columns, rules, *([entry.text for entry in row] for row in table.rows)]
        blocks.append(f"## {_escaped(table.title)}")
        blocks.append("\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in texts))
        if table.notes:
            blocks.append("\n".join(f"- {_escaped(note)}" for note in table.notes))
    return blocks


def _escaped(text: str) -> str:
    """`text` so that Markdown shows it as it is: a reason or a summary may hold anything."""
    text = printable(text)
    for symbol in "\\|<*_~":
        text = text.replace(symbol, "\\" + symbol)
    return text
