import csv
import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from bench.results.records.plan import Plan, write_plan
from bench.results.records.record import Record, write_record
from bench.results.records.run import cell_directory, open_run
from bench.results.report.contents import Contents, chosen, contents
from bench.results.report.markdown import blocks_of
from bench.results.report.table import Column, Note, Table, Value, words
from bench.results.report.terminal import _rich, print_ending, print_report, print_tables
from bench.results.report.write import FILE_NAMES, render, write_report

GOLDEN = """\
Held equal: nothing but 2 \\* 2.

## By operation

| architecture | + (n = 4) | \\* (n = 4) |
| :--- | ---: | ---: |
| lstm ! | 75.0 [30.1, 95.4] | 100.0 |
| a\\|b | \\~1.5 | - |

- ! lstm: not tuned for this.
"""


def test_markdown_of_a_small_table_is_this() -> None:
    rows = {
        "lstm": {"architecture": Value("lstm !"), "+": Value("75.0 [30.1, 95.4]", value=75.0), "*": Value("100.0")},
        "a|b": {"architecture": Value("a|b"), "+": Value("~1.5", value=1.5)},
    }
    columns = [*words("architecture"), Column("+", "+ (n = 4)"), Column("*", "* (n = 4)")]
    notes = [Note("! lstm: not tuned for this.")]
    table = Table(key="operation", title="By operation", columns=columns, rows=rows, notes=notes)
    assert "\n\n".join(blocks_of(["Held equal: nothing but 2 * 2."], [table])) + "\n" == GOLDEN


TEXT = """\
pattern   asked   cover
─────────────────────────
/ 1x2        16   all 4
* 1x1     1,200   3 of 12
"""


def test_a_value_of_no_column_and_a_column_that_is_there_twice_are_refused() -> None:
    for columns in ([Column("a", "a")], [Column("a", "a"), Column("b", "b"), Column("b", "c")]):
        with pytest.raises(ValueError, match="table t: a column is there twice, or a row has a value of none"):
            Table(key="t", title="", columns=columns, rows={"row": {"a": Value("1"), "b": Value("2")}})


def test_figures_stand_on_the_right_and_words_on_the_left() -> None:
    columns = [Column("pattern", "pattern", left=True), Column("asked", "asked"), Column("cover", "cover", left=True)]
    rows = {
        "/ 1x2": {"pattern": Value("/ 1x2"), "asked": Value("16"), "cover": Value("all 4")},
        "* 1x1": {"pattern": Value("* 1x1"), "asked": Value("1,200"), "cover": Value("3 of 12")},
    }
    table = Table(key="patterns", title="", columns=columns, rows=rows)
    console = Console(file=io.StringIO(), width=60, color_system=None)
    console.print(_rich(table, [0, 1, 2]))
    assert [line.rstrip() for line in _written(console).splitlines()] == TEXT.splitlines()


def test_the_first_line_says_what_was_held_equal(report: Contents) -> None:
    for format in ("text", "md", "csv"):
        lines = render(report, format).splitlines()
        assert "Held equal: the budget was examples=3000" in lines[format == "csv"]
        assert "Suite tiny, version 1" in "".join(lines[:5])


def test_text_holds_every_entry_whole_and_no_line_is_too_long(report: Contents) -> None:
    text = render(report, "text")
    assert max(map(len, text.splitlines())) <= 120
    assert "…" not in text
    for row in csv.DictReader(io.StringIO(render(report, "csv"))):
        if row["column"]:
            assert row["text"] in text
            assert row["column"] in text


def test_no_terminal_obeys_what_a_run_says() -> None:
    bad = "\x1b]52;c;eA==\x07 \x1b[2J \u202e"
    columns, rows = [Column("a", "a"), Column("b", bad)], {"row": {"a": Value(bad), "b": Value("1")}}
    table = Table(key="bad", title=bad, columns=columns, rows=rows, notes=[Note(bad)])
    terminal = Console(file=io.StringIO(), width=80, color_system=None)
    print_tables(terminal, [bad], [table])
    said = _written(terminal)
    assert said.count("?]52;c;eA==? ?[2J ?") == 5
    said += "\n".join(blocks_of([bad], [table]))
    assert all(symbol.isprintable() or symbol == "\n" for symbol in said)


def test_a_wide_table_is_shown_in_parts_and_a_narrow_terminal_is_kept_to(report: Contents) -> None:
    terminal = Console(file=io.StringIO(), width=64, force_terminal=True, color_system=None)
    print_report(report, terminal)
    text, _, last = _written(terminal).partition("\nfiles:")
    assert max(map(len, text.splitlines())) <= 64
    assert "…" not in text
    assert text.count("\narchitecture ") > render(report, "text").count("\narchitecture ")
    assert "python -m bench report" in last


def test_the_end_of_a_run_says_where_the_files_are_and_how_to_go_on(
    run_directory: Path, make_plan: Callable[..., Plan]
) -> None:
    write_plan(run_directory, make_plan(seeds=[0, 1, 2, 3]))
    pipe = Console(file=io.StringIO(), width=120, color_system=None)
    print_report(contents([open_run(run_directory)]), pipe)
    lines = _written(pipe).splitlines()
    assert f"files:          {run_directory / 'cells.csv'}, {run_directory / 'results.csv'}, " in lines[-5]
    assert lines[-4] == "finish the run: python -m bench run --arch lstm,transformer"
    assert lines[-3] == f"these tables:   python -m bench report {run_directory}"
    assert lines[-2] == (
        f"as files:       python -m bench report {run_directory} --format html,md,csv,latex --out {run_directory}"
    )
    assert lines[-1] == "the problems:   python -m bench data --suite tiny --split test"


def test_a_run_ends_in_25_lines_of_100_columns(run_directory: Path) -> None:
    """With fifteen architectures, as the published run has, and with two."""
    published = Path(__file__).parents[3] / "results" / "published" / "addition3"
    for directory in (run_directory, published):
        report = contents([open_run(directory)])
        for width in (100, 80):
            screen = Console(file=io.StringIO(), width=width, color_system=None)
            print_ending(report, screen)
            lines = _written(screen).splitlines()
            text, _, _ = _written(screen).partition("\nall tables:")
            assert len(lines) <= 25 + (width < 100), (width, lines)
            assert max(map(len, text.splitlines())) <= width
            scores = report.parts[0].scores
            names = [*scores.architectures, *scores.baseline_names]
            shown = sum(line.split(" ")[0] in names and line.rstrip()[-1:] in "0123456789-" for line in lines)
            left_out = f"{len(names) - shown} more are in the tables." if shown < len(names) else ""
            assert left_out in lines
            assert lines[-1] == f"all tables:     python -m bench report {directory}"
    assert any(line.endswith("~ measured while other work shared the machine.") for line in lines)
    assert any("45 cells trained for 48 minutes in all" in line for line in lines)


def test_the_end_of_a_run_says_what_is_missing(
    run_directory: Path, make_plan: Callable[..., Plan], make_record: Callable[..., Record]
) -> None:
    write_plan(run_directory, make_plan(seeds=[0, 1, 2, 3]))
    failed = make_record(architecture="lstm", seed=3, status="failed", reason="no memory left")
    write_record(cell_directory(run_directory, "lstm", 3), failed)
    for width in (100, 40):
        screen = Console(file=io.StringIO(), width=width, color_system=None)
        print_ending(contents([open_run(run_directory)]), screen)
        text = " ".join(_written(screen).split())
        assert "2 have no result, such as lstm seed 3 (failed: no memory left)." in text
        assert "finish the run: python -m bench run --arch lstm,transformer" in text
        assert {"lstm", "transformer"} <= set(text.split())


def test_the_end_of_a_run_shows_the_hardest_problems_and_the_verdict(run_directory: Path) -> None:
    report = contents([open_run(run_directory)])
    [part] = report.parts
    screen = Console(file=io.StringIO(), width=100, color_system=None)
    print_ending(report, screen)
    text = " ".join(_written(screen).split())
    for sentence in part.verdict[:3]:
        assert sentence in text
    results = part.scores.results
    kinds = results[(results["slice"] == "operation x digits")]
    right = kinds.assign(share=kinds["correct"] / kinds["total"]).groupby("value")["share"].mean()
    asked = kinds[kinds["value"] == right.idxmin()]["total"].iloc[0]
    assert f"{right.idxmin()} % (n = {asked})" in text
    assert "[ ] 95 % interval" in text


def test_the_next_command_names_a_suite_of_ones_own_by_its_file(
    run_directory: Path, make_plan: Callable[..., Plan]
) -> None:
    write_plan(run_directory, make_plan(suite={"source": "my suites/tiny.toml"}))
    file = io.StringIO()
    print_report(contents([open_run(run_directory)]), Console(file=file, width=120))
    assert "bench data --suite 'my suites/tiny.toml' --split test" in file.getvalue()


def _written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_csv_is_tidy_and_has_the_figures_behind_the_texts(report: Contents) -> None:
    rows = list(csv.DictReader(io.StringIO(render(report, "csv"))))
    figures = [row for row in rows if row["table"].startswith("Exact match %, by") and row["column"]]
    assert len(figures) == 2 * (4 + 4 + 2)
    for row in figures:
        interval = f" [{float(row['low']):.1f}, {float(row['high']):.1f}]" if row["low"] else ""
        assert row["text"] == f"{float(row['value']):.1f}{interval}"
        assert row["column"].endswith(f"(n = {row['n']})")


def test_reports_are_written_where_asked(report: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.results.report.html._vega", str)  # a megabyte, and seconds
    paths = write_report(report, FILE_NAMES, tmp_path / "out")
    assert [path.name for path in paths] == ["report.txt", "report.html", "report.md", "report.csv", "report.tex"]
    assert [path.read_text() for path in paths] == [render(report, format) for format in FILE_NAMES]


def test_tables_are_chosen_by_key_and_a_wrong_one_lists_all(report: Contents) -> None:
    few = chosen(report, ["operation", "summary"])
    assert [table.key for table in few.parts[0].tables] == ["summary", "operation"]
    assert few.parts[0].verdict == report.parts[0].verdict
    with pytest.raises(ValueError, match="no table of this report is called 'sumary'; there are summary, "):
        chosen(report, ["sumary"])


def test_an_unknown_format_is_refused_and_nothing_written(report: Contents, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="format is 'pdf'; it must be one of text, html, md, csv, latex"):
        write_report(report, ["md", "pdf"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_reason_breaks_a_report(
    tmp_path: Path,
    make_plan: Callable[..., Plan],
    write_cell: Callable[..., Record],
    predictions: pd.DataFrame,
) -> None:
    reason = "RuntimeError: [bold]size | mismatch[/bold] <x> " + "long " * 60
    write_plan(tmp_path, make_plan(seeds=[0]))
    write_cell(tmp_path, predictions, architecture="lstm", seed=0, status="failed", reason=reason)
    write_cell(tmp_path, predictions, architecture="transformer", seed=0)
    report = contents([open_run(tmp_path)])
    assert "[bold]size | mismatch[/bold] <x> long" in render(report, "text")
    assert "[bold]size \\| mismatch[/bold] \\<x> long" in render(report, "md")
    assert max(map(len, render(report, "text").splitlines())) <= 120
