import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from bench.results.report.contents import Contents
from bench.results.report.latex import BOLD_NOTE, WIDTH, _bold, _table, latex
from bench.results.report.table import Column, Note, Table, Value, words
from bench.results.report.tables.slices import by_slice
from bench.results.report.tables.summary import summary

GOLDEN = (
    r"""\begin{table}[htbp]
\centering\footnotesize
\caption{50 \% of \{all\} -{}-{} 'x'}\label{tab:2-small-a-b}
\begin{tabular}{lr}
\toprule
{architecture} & -{} (n = 4) \\
\midrule
{* 1x1} & \textbf{75.0 [30.1, 95.4]} \\
{a\_b \& c} & \textasciitilde{}1.5 \\
\bottomrule
\end{tabular}\par\medskip
\parbox{\textwidth}{\scriptsize \$\#\textasciicircum{}\textbackslash{}\textless{}\textgreater{}\textbar{}}\par
\parbox{\textwidth}{\scriptsize """
    + BOLD_NOTE.text
    + r"""}\par
\end{table}
"""
)


def test_latex_of_a_small_table_is_this() -> None:
    table = Table(
        key="small",
        subject="a_b",
        title="50 % of {all} -- `x`",
        columns=[*words("architecture"), Column("-", "- (n = 4)")],
        rows={
            "first": {"architecture": Value("* 1x1"), "-": Value("75.0 [30.1, 95.4]")},
            "second": {"architecture": Value("a_b & c"), "-": Value("~1.5")},
        },
        notes=[Note("$#^\\<>|")],
    )
    assert _table(table, {("first", "-")}, "2-") == GOLDEN


def test_every_table_has_a_label_of_its_own(report: Contents) -> None:
    labels = re.findall(r"\\label{([^}]*)}", latex(replace(report, parts=report.parts * 2)))
    assert len(set(labels)) == len(labels) == 2 * len(report.parts[0].tables)
    assert {"tab:1-summary", "tab:2-summary"} <= set(labels)


def test_the_best_is_bold_and_so_is_who_does_not_differ_significantly(report: Contents) -> None:
    [part] = report.parts
    assert _bold(part, summary(part.scores)) == {("transformer", "exact_match")}
    verdicts = {"+": "transformer", "-": "lstm", "*": "cannot tell with 3 seeds", "/": "transformer"}
    [comparison] = part.comparisons
    rows = [replace(row, verdict=verdicts.get(row.value, row.verdict)) for row in comparison.rows]
    part = replace(part, comparisons=[replace(comparison, rows=rows)])
    bold = {"lstm": "*", "transformer": "+-*/"}
    operations = by_slice(part.scores, "operation")
    assert operations is not None
    assert _bold(part, operations) == {(name, value) for name in bold for value in bold[name]}


def test_overall_bold_is_what_all_pairs_together_cannot_tell(report: Contents) -> None:
    """As the text of the report says it; the interval of the pair alone, which `verdict` is, may tell more."""
    [part] = report.parts
    [comparison] = part.comparisons
    row = replace(comparison.rows[0], p=0.03, verdict=comparison.one)
    third = replace(comparison, one="lstm", other="gru", rows=[replace(row, p=0.9)])
    part = replace(part, comparisons=[replace(comparison, rows=[row]), third])
    assert _bold(part, summary(part.scores)) == {("lstm", "exact_match"), ("transformer", "exact_match")}


def test_every_row_has_as_many_entries_as_its_table_has_columns(report: Contents) -> None:
    text = latex(report)
    tabulars = re.findall(r"\\begin{tabular}{((?:[lr]|p{[^}]*})+)}\n(.*?)\\end{tabular}", text, re.DOTALL)
    assert len(tabulars) == text.count(r"\begin{tabular}") > 10
    for alignment, body in tabulars:
        columns = len(re.sub(r"p{[^}]*}", "p", alignment))
        for line in body.splitlines():
            if not re.fullmatch(r"\\(top|mid|bottom)rule", line):
                assert len(re.findall(r"(?<!\\)&", line)) == columns - 1, line
                assert line.endswith(r" \\"), line


def test_every_figure_of_the_report_is_in_it(report: Contents) -> None:
    text = latex(report)
    for table in report.parts[0].tables:
        for line in table.lines():
            for value in line:
                if re.fullmatch(r"[0-9., \[\]]+", value.text):
                    assert value.text in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_a_plain_article_compiles_with_it_and_no_table_is_too_wide(report: Contents, tmp_path: Path) -> None:
    (tmp_path / "report.tex").write_text(latex(report), encoding="utf-8")
    article = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n\\input{report}\n\\end{document}\n"
    (tmp_path / "article.tex").write_text(article, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "article.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull \\hbox" not in done.stdout, f"WIDTH = {WIDTH} is too much"
