"""A report as Markdown."""

from bench.results.contents import Contents
from bench.results.entries import Table


def markdown(report: Contents) -> str:
    """The whole report; each part under a heading where there are several."""
    blocks = [f"- {_escaped(warning)}" for warning in report.warnings]
    for part in report.parts:
        if len(report.parts) > 1:
            blocks.append(f"# {_escaped(part.title)}")
        blocks += [_escaped(line) for line in part.opening] + table_blocks(part.tables)
    return "\n\n".join(blocks) + "\n"


def table_blocks(tables: list[Table]) -> list[str]:
    """Tables, each under a heading of the second level and with its notes below it, as blocks of lines."""
    blocks = []
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
    for symbol in "\\|<*_~":
        text = text.replace(symbol, "\\" + symbol)
    return text
