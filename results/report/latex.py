"""A report as LaTeX: a file of booktabs tables for a paper, the best of a column in bold."""

from bench.results.report.contents import Contents, Part
from bench.results.report.table import Table
from bench.results.report.tables.run import label
from bench.results.report.terminal import fitting
from bench.results.statistics.conclusion import told_apart

WIDTH = 84
"""Characters of footnote size that fit the text width of a plain `article`."""
BY_VALUE = {"operation": "Exact match %, by operation", "signs": "Exact match %, by signs"}
"""Slice -> how the title of its table begins: a column a value, a row an architecture."""
WRAPPED = 44
"""A text with more characters is set as a paragraph."""
HEAD = """\
% Tables of arithbench. In the preamble of your document: \\usepackage{booktabs}. Then \\input this file.
"""
BOLD_NOTE = "Bold: the best architecture of a column, and those that cannot be told from it across seeds."

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
    for part in report.parts:
        blocks.append("".join(f"% {line}\n" for line in (part.title, *part.opening)))
        blocks += [_table(table, _bold(part, table)) for table in part.tables]
    blocks += [_table(table, set()) for table in report.across]
    return "\n".join(blocks)


def _table(table: Table, bold: set[tuple[int, int]]) -> str:
    lines = ["\\begin{table}[htbp]", "\\centering\\footnotesize", f"\\caption{{{_escaped(table.title)}}}"]
    for columns in fitting(table, WIDTH):
        lines += [f"\\begin{{tabular}}{{{''.join(_alignment(table, number) for number in columns)}}}", "\\toprule"]
        lines += [_row([_escaped(table.columns[number]) for number in columns]), "\\midrule"]
        for y, row in enumerate(table.rows):
            texts = [_escaped(row[x].text) for x in columns]
            marked = [rf"\textbf{{{text}}}" if (y, x) in bold else text for x, text in zip(columns, texts, strict=True)]
            lines.append(_row(marked))
        lines += ["\\bottomrule", "\\end{tabular}\\par\\medskip"]
    for note in [*table.notes, *([BOLD_NOTE] if bold else [])]:
        lines.append(f"\\parbox{{\\textwidth}}{{\\scriptsize {_escaped(note)}}}\\par")
    return "\n".join([*lines, "\\end{table}", ""])


def _row(texts: list[str]) -> str:
    # In braces, since a * or [ right after the line above would be taken for an argument of its end.
    return f"{{{texts[0]}}} & {' & '.join(texts[1:])} \\\\"


def _alignment(table: Table, number: int) -> str:
    if max(len(row[number].text) for row in table.rows) > WRAPPED:
        return r"p{0.5\textwidth}"
    return "l" if number in table.left else "r"


def _bold(part: Part, table: Table) -> set[tuple[int, int]]:
    """(row, column) of the best architecture of a column, and of those that it cannot be told from."""
    scores = part.scores
    if len(scores.architectures) < 2:
        return set()
    found = set()
    rows = {label(scores.of(name)): name for name in scores.architectures}
    places = {rows[row[0].text]: y for y, row in enumerate(table.rows) if row[0].text in rows}
    for x, (slice_name, value) in _asked(table).items():
        known = {name: scores.share_right(name, slice_name, value).mean for name in places}
        best = max(known, key=lambda name: known[name])
        level = {name for name in known if known[name] == known[best]} | _not_told(part, best, slice_name, value)
        found |= {(places[name], x) for name in level}
    return found


def _asked(table: Table) -> dict[int, tuple[str, str]]:
    """Column -> (slice, value) of those columns whose figures compare architectures."""
    if table.title == "Summary":
        return {1: ("all", "all")}
    for slice_name, beginning in BY_VALUE.items():
        if table.title.startswith(beginning):
            # A column is called '+ (n = 1,136)'.
            return {x: (slice_name, column.split(" ")[0]) for x, column in enumerate(table.columns) if x}
    return {}


def _not_told(part: Part, best: str, slice_name: str, value: str) -> set[str]:
    """The architectures that cannot be told from `best` on one value of a slice: overall by all pairs together, as the
    text of the report has it, elsewhere by its comparison with each.
    """
    overall = told_apart(part.comparisons)
    return {
        comparison.other if comparison.one == best else comparison.one
        for comparison, told in zip(part.comparisons, overall, strict=True)
        if best in (comparison.one, comparison.other)
        for row in comparison.rows
        if (row.slice, row.value) == (slice_name, value)
        and not (told if slice_name == "all" else row.verdict in (comparison.one, comparison.other))
    }


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(symbol, symbol) for symbol in text)
