"""A report as LaTeX: a file of booktabs tables for a paper, the best of a column in bold."""

import re

from bench.results.report.contents import Contents, Part
from bench.results.report.table import Note, Table
from bench.results.report.terminal import fitting
from bench.results.statistics.conclusion import significant

WIDTH = 84
"""Characters of footnote size that fit the text width of a plain `article`."""
BY_VALUE = ("operation", "signs")
"""Slices whose tables, of the same keys, have a column a value, of the same key, and a row an architecture."""
WRAPPED = 44
"""A text with more characters is set as a paragraph."""
HEAD = """\
% Tables of arithbench. In the preamble of your document: \\usepackage{booktabs}. Then \\input this file.
"""
BOLD_NOTE = Note(
    "Bold marks the best architecture of a column, and those that do not differ significantly from it across seeds."
)

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "`": "'",
    '"': "''",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "-": r"-{}",  # else -- is one dash
    **{symbol: "\\" + symbol for symbol in "&%$#_{}"},
}


def latex(report: Contents) -> str:
    """The whole report: opening lines as comments, every table a `table` with its caption and notes."""
    blocks = [HEAD]
    for number, part in enumerate(report.parts, 1):
        blocks.append("".join(f"% {line}\n" for line in (part.title, *part.opening)))
        place = f"{number}-" if len(report.parts) > 1 else ""
        blocks += [_table(table, _bold(part, table), place) for table in part.tables]
    blocks += [_table(table, set(), "across-") for table in report.across]
    return "\n".join(blocks)


def _table(table: Table, bold: set[tuple[str, str]], place: str = "") -> str:
    """place: of the part in the report, before the key of its label: `tab:summary`, or `tab:2-summary`."""
    lines = ["\\begin{table}[htbp]", "\\centering\\footnotesize", f"\\caption{{{_escaped(table.title)}}}"]
    label = "-".join(filter(None, (table.key, table.subject)))
    lines[-1] += f"\\label{{tab:{place}{re.sub('[^A-Za-z0-9]+', '-', label)}}}"
    for places in fitting(table, WIDTH):
        columns = [table.columns[place] for place in places]
        alignments = [_alignment(table, place) for place in places]
        lines += [f"\\begin{{tabular}}{{{''.join(alignments)}}}", "\\toprule"]
        lines += [_row([_escaped(column.label) for column in columns]), "\\midrule"]
        for about, line in zip(table.rows, table.lines(), strict=True):
            texts = [_escaped(line[place].text) for place in places]
            marked = [
                rf"\textbf{{{text}}}" if (about, column.key) in bold else text
                for column, text in zip(columns, texts, strict=True)
            ]
            lines.append(_row(marked))
        lines += ["\\bottomrule", "\\end{tabular}\\par\\medskip"]
    for note in [*table.notes, *([BOLD_NOTE] if bold else [])]:
        lines.append(f"\\parbox{{\\textwidth}}{{\\scriptsize {_escaped(note.text)}}}\\par")
    return "\n".join([*lines, "\\end{table}", ""])


def _row(texts: list[str]) -> str:
    # In braces, since a * or [ right after the line above would be taken for an argument of its end.
    return f"{{{texts[0]}}} & {' & '.join(texts[1:])} \\\\"


def _alignment(table: Table, place: int) -> str:
    if max(len(line[place].text) for line in table.lines()) > WRAPPED:
        return r"p{0.5\textwidth}"
    return "l" if table.columns[place].left else "r"


def _bold(part: Part, table: Table) -> set[tuple[str, str]]:
    """(row, column) of the best architecture of a column, and of those that do not differ significantly from it."""
    scores = part.scores
    if len(scores.architectures) < 2:
        return set()
    found = set()
    for column, (slice_name, value) in _compared(table).items():
        known = {name: scores.share_right(name, slice_name, value).mean for name in scores.architectures}
        best = max(known, key=lambda name: known[name])
        level = {name for name in known if known[name] == known[best]} | _level_with(part, best, slice_name, value)
        found |= {(name, column) for name in level}
    return found


def _compared(table: Table) -> dict[str, tuple[str, str]]:
    """Column -> (slice, value) of those columns whose figures compare architectures."""
    if table.key == "summary":
        return {"exact_match": ("all", "all")}
    if table.key in BY_VALUE:
        return {column.key: (table.key, column.key) for column in table.columns[1:]}
    return {}


def _level_with(part: Part, best: str, slice_name: str, value: str) -> set[str]:
    """The architectures that do not differ significantly from `best` on one value of a slice: overall by all pairs
    together, as the text of the report has it, elsewhere by its comparison with each.
    """
    return {
        pair.other if pair.one == best else pair.one
        for pair, differs in zip(part.comparisons, significant(part.comparisons), strict=True)
        if best in (pair.one, pair.other)
        for row in pair.rows
        if (row.slice, row.value) == (slice_name, value)
        and not (differs if slice_name == "all" else row.verdict in (pair.one, pair.other))
    }


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(symbol, symbol) for symbol in text)
