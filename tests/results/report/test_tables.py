"""Every figure of the tables is computed a second time here, by plain Python from predictions.csv.gz."""

import csv
import gzip
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from statistics import mean, stdev
from typing import Any

import pandas as pd
import pytest

from bench.results.records.baselines import write_baselines
from bench.results.records.collect import results_frame
from bench.results.records.plan import Plan, write_plan
from bench.results.records.record import Record, read_record, write_record
from bench.results.records.run import cell_directory, open_run
from bench.results.report.contents import all_tables
from bench.results.report.table import Table
from bench.results.report.tables.learning import by_learning
from bench.results.report.tables.slices import by_mistake, by_workings
from bench.results.statistics.comparable import NotComparable
from bench.results.statistics.scores import Scores

T_2 = 4.302652729911275
"""97.5 % point of t with 2 degrees of freedom"""


def tables_of(run_directory: Path) -> dict[str, Table]:
    """Key -> table; that of an architecture's digits is `digits NAME`."""
    tables = all_tables(Scores(open_run(run_directory)))
    return {f"{table.key} {table.subject}".rstrip(): table for table in tables}


def texts(table: Table) -> dict[str, dict[str, str]]:
    """row -> column -> text"""
    return {
        about: {column.key: value.text for column, value in zip(table.columns, line, strict=True)}
        for about, line in zip(table.rows, table.lines(), strict=True)
    }


def labels(table: Table) -> dict[str, str]:
    """column -> what it is called"""
    return {column.key: column.label for column in table.columns}


def rows_on_disk(run_directory: Path, architecture: str, split: str = "test") -> list[list[dict[str, str]]]:
    """The predictions of each seed."""
    seeds = []
    for seed in (0, 1, 2):
        with gzip.open(run_directory / f"cells/{architecture}-s{seed}/predictions.csv.gz", "rt") as file:
            seeds.append([row for row in csv.DictReader(file) if row["split"] == split])
    return seeds


def written(shares: list[float]) -> str:
    """Mean and t interval of three seeds, as a table writes them."""
    middle, half = 100 * mean(shares), 100 * T_2 * stdev(shares) / 3**0.5
    if len(set(shares)) == 1:
        return f"{middle:.1f}"
    return f"{middle:.1f} [{max(0, middle - half):.1f}, {min(100, middle + half):.1f}]"


def share_right(seeds: list[list[dict[str, str]]], **facts: str) -> tuple[str, int]:
    shares = []
    for rows in seeds:
        asked = [int(row["right"]) for row in rows if all(row[key] == fact for key, fact in facts.items())]
        shares.append(sum(asked) / len(asked))
    return written(shares), len(asked)


@pytest.mark.parametrize("architecture", ["lstm", "transformer"])
def test_every_share_equals_the_one_counted_from_the_predictions(run_directory: Path, architecture: str) -> None:
    tables, seeds = tables_of(run_directory), rows_on_disk(run_directory, architecture)

    row = texts(tables["summary"])[architecture]
    assert row["exact_match"] == share_right(seeds)[0]
    assert labels(tables["summary"])["exact_match"] == "exact match % (n = 288)"
    over_strata, digits = [], []
    for rows in seeds:
        strata = defaultdict(list)
        for item in rows:
            strata[item["op"], item["digits"], item["signs"], item["places"]].append(int(item["right"]))
        over_strata.append(mean(mean(right) for right in strata.values()))
        all_digits = sum(symbol.isdigit() for item in rows for symbol in item["answer"])
        digits.append(sum(int(item["digits_right"]) for item in rows) / all_digits)
    assert len(strata) == 64
    assert row["mean over strata %"] == written(over_strata)
    assert row["digits right %"] == written(digits)

    for key, column, values in (
        ("operation", "op", ["+", "-", "*", "/"]),
        ("signs", "signs", ["++", "+-", "-+", "--"]),
        ("places", "places", ["0", "1"]),
        ("range", "range", ["trained", "beyond"]),
    ):
        expected, called = {"architecture": architecture}, {"architecture": "architecture"}
        for value in values:
            figure, n = share_right(seeds, **{column: value})
            expected[value], called[value] = figure, f"{value} (n = {n})"
        assert texts(tables[key])[architecture] == expected
        assert labels(tables[key]) == called

    grid = tables[f"digits {architecture}"]
    assert grid.title.endswith(f": {architecture}")
    for a in "12":
        for b in "12":
            figure, n = share_right(seeds, digits=f"{a}x{b}")
            note = f" all unseen, n = {n}" if a + b == "11" else f" n = {n}"
            assert texts(grid)[a][b] == figure + note

    seen = rows_on_disk(run_directory, architecture, "train")
    for digits_pattern in ("1x1", "1x2", "2x1", "2x2"):
        row = texts(tables["training-problems"])[digits_pattern]
        assert (row[architecture], int(row["problems asked"])) == share_right(seen, digits=digits_pattern)


def test_the_summary_says_too_when_all_unseen_problems_are_asked(
    run_directory: Path, make_plan: Callable[..., Plan]
) -> None:
    strata = [stratum.model_copy(update={"exhaustive": True}) for stratum in make_plan().strata]
    write_plan(run_directory, make_plan(strata=strata))
    row = texts(tables_of(run_directory)["summary"])["lstm"]
    assert row["exact_match"] == f"{share_right(rows_on_disk(run_directory, 'lstm'))[0]} all unseen"
    assert "all unseen" not in row["mean over strata %"]


def test_costs_are_medians_over_seeds(run_directory: Path) -> None:
    row = texts(tables_of(run_directory)["summary"])["transformer"]
    costs = {"parameters": "10,100", "examples": "3,000", "all_flops": "6.00e9", "train_seconds": "6.5", "seeds": "3"}
    costs |= {"tokens_per_second": "12,000", "examples_per_second": "1,200", "decode_problems_per_second": "800"}
    costs |= {"peak_memory_mb": "12.5", "state_bytes": "64", "weight_bits": "32.0"}
    assert {key: row[key] for key in costs} == costs
    assert not tables_of(run_directory)["summary"].noted("shared")


def test_flops_are_those_of_model_and_optimizer_together(
    run_directory: Path, write_cell: Callable[..., Record], predictions: pd.DataFrame
) -> None:
    note = "FLOPs count matrix products only, forward, backward and the optimizer's."
    assert any(note in text.text for text in tables_of(run_directory)["summary"].notes)
    for seed in range(3):
        facts = {"data_hash": f"d{seed}", "data_chain": [f"c{seed}1", f"c{seed}2"], "optimizer_flops": 2 * 10**9}
        facts |= {"validation_correct": 200, "validation_total": 200}
        rmtree(cell_directory(run_directory, "lstm", seed))
        write_cell(run_directory, predictions, architecture="lstm", seed=seed, **facts)
    tables = tables_of(run_directory)
    assert texts(tables["summary"])["lstm"]["all_flops"] == "5.00e9"
    assert texts(tables["learning"])["lstm"]["flops to 0.9"] == "4.50e9"
    row = texts(tables["audit"])["lstm seed 0"]
    assert (row["FLOPs"], row["by optimizer"]) == ("5.00e9", "2.00e9")


def test_tables_of_a_run_without_the_flops_of_optimizers_say_so(
    tmp_path: Path, make_plan: Callable[..., Plan], write_cell: Callable[..., Record], predictions: pd.DataFrame
) -> None:
    write_plan(tmp_path, make_plan(architectures=["lstm"], entries={"lstm": {"optimizer_flops_per_step": None}}))
    write_cell(tmp_path, predictions, architecture="lstm", seed=0, optimizer_flops=None)
    tables = tables_of(tmp_path)
    assert any("matrix products only, forward and backward." in note.text for note in tables["summary"].notes)
    assert texts(tables["audit"])["lstm seed 0"]["FLOPs"] == "3.00e9"
    assert "by optimizer" not in texts(tables["audit"])["lstm seed 0"]


def test_patterns_with_few_problems_say_how_many(run_directory: Path) -> None:
    rows = texts(tables_of(run_directory)["few-problems"])
    assert list(rows) == ["+ 1x1", "- 1x1", "* 1x1", "/ 1x1", "/ 1x2"]
    assert rows["/ 1x2"] == {
        **{"pattern": "/ 1x2", "distinct": "4", "asked": "16"},
        **{"cover": "all 4 of the test split"},
    }


def test_a_pattern_that_is_partly_asked_whole_says_so(run_directory: Path, make_plan: Callable[..., Plan]) -> None:
    def write(*partly: tuple[str, str]) -> None:
        """All strata of division are asked whole, but for these (digits, signs)."""
        strata = [
            stratum.model_copy(
                update={"exhaustive": stratum.operation == "/" and (stratum.digits, stratum.signs) not in partly}
            )
            for stratum in make_plan().strata
        ]
        write_plan(run_directory, make_plan(strata=strata))

    write(("1x2", "++"))
    tables = tables_of(run_directory)
    rows = texts(tables["few-problems"])
    assert rows["/ 1x2"]["cover"] == "3 of 4 strata whole"
    assert rows["/ 2x2"]["cover"] == "all 6 of the test split"
    assert "all unseen" not in str(tables["operation"])
    write()
    row = texts(tables_of(run_directory)["operation"])["lstm"]
    assert row["/"].endswith("] all unseen")
    assert "unseen" not in row["+"]


def _replace(run_directory: Path, make_record: Callable[..., Record], **changes: Any) -> None:
    path = cell_directory(run_directory, changes["architecture"], changes["seed"])
    (path / "record.json").unlink()
    write_record(path, make_record(**changes))


def test_failed_and_missing_cells_are_shown_and_are_in_no_figure(
    run_directory: Path, make_record: Callable[..., Record], make_plan: Callable[..., Plan]
) -> None:
    write_plan(run_directory, make_plan(architectures=["lstm", "transformer", "gru"]))
    none = dict.fromkeys(("correct", "total", "exact_match", "data_hash", "test_hash"))
    failed = {"status": "diverged", "reason": "the loss is nan at step 12", **none}
    _replace(run_directory, make_record, architecture="lstm", seed=1, **failed)
    tables = tables_of(run_directory)
    assert texts(tables["summary"])["lstm"]["seeds"] == "2 of 3"
    match = texts(tables["summary"])["lstm"]["exact_match"]
    assert float(match.split()[0]) < 60  # two of three seeds, which are right on some 60 %
    assert texts(tables["summary"])["gru"]["seeds"] == "0 of 3"
    assert texts(tables["summary"])["gru"]["exact_match"] == "-"
    rows = texts(tables["unfinished"])
    expected = {"cell": "lstm seed 1", "status": "diverged", "reason": "the loss is nan at step 12"}
    assert rows["lstm seed 1"] == expected
    assert rows["gru seed 2"]["status"] == "not run"
    assert len(rows) == 4


def test_a_run_without_a_finished_cell_has_a_report_too(tmp_path: Path, make_plan: Callable[..., Plan]) -> None:
    write_plan(tmp_path, make_plan())
    tables = tables_of(tmp_path)
    assert list(tables) == ["summary", "unfinished"]
    assert set(texts(tables["summary"])["lstm"].values()) == {"lstm", "-", "0 of 3"}


def test_what_a_reader_must_know_is_marked(
    tmp_path: Path,
    make_plan: Callable[..., Plan],
    write_cell: Callable[..., Record],
    predictions: pd.DataFrame,
) -> None:
    names = ["untuned", "big", "early", "crowded", "sparse"]
    write_plan(tmp_path, make_plan(architectures=names, seeds=[0]))
    marks: dict[str, dict[str, Any]] = {
        "untuned": {"tuned": False},
        "big": {"match": "unequal", "preset": ""},
        "early": {"examples": 1500, "data_chain": ["c1"], "data_hash": "d9", "reason": "flat"},
        "crowded": {"exclusive": False, "examples": 3020, "data_hash": "d8"},
        "sparse": {"match": "active", "parameters": 40_000, "peak_memory_mb": None},
    }
    for name in names:
        write_cell(tmp_path, predictions, architecture=name, seed=0, **marks[name])
    tables = tables_of(tmp_path)
    marked = ["untuned !", "big (unequal)", "early (budget -50.0 %)", "crowded", "sparse"]
    summary, signs = texts(tables["summary"]), texts(tables["signs"])
    assert list(summary) == list(signs) == names
    for rows in (summary, signs):
        assert [row["architecture"] for row in rows.values()] == marked
    assert summary["crowded"]["train_seconds"] == "~2.5"
    assert tables["summary"].rows["crowded"]["train_seconds"].shared
    assert summary["untuned"]["train_seconds"] == "2.5"
    assert summary["sparse"]["parameters"] == "40,000 (10,000 active)"
    assert summary["sparse"]["peak_memory_mb"] == "-"
    notes = "\n".join(note.text for note in tables["summary"].notes)
    assert "! untuned was not tuned for this (its settings were tuned for: tiny 10k examples=3000)." in notes
    assert "unequal: big was not fitted" in notes
    assert "budget: early seed 0 missed the budget examples=3000 by -50.0 %, flat." in notes
    assert tables["summary"].noted("shared")
    [interval] = tables["summary"].noted("interval")
    assert "95 % Wilson interval over the problems asked" in interval.text
    assert "There is no interval where one seed was asked all unseen problems" in str(tables)


def test_cells_that_may_not_stand_side_by_side_give_no_table(run_directory: Path) -> None:
    cell = cell_directory(run_directory, "lstm", 2)
    record = read_record(cell)
    (cell / "record.json").unlink()
    write_record(cell, replace(record, data_hash="other"))
    with pytest.raises(NotComparable, match="lstm seed 2 and transformer seed 2 were trained on different problems"):
        tables_of(run_directory)


def test_a_note_is_said_once(run_directory: Path) -> None:
    notes = [note for table in tables_of(run_directory).values() for note in table.notes]
    assert any("the seed is the unit" in note.text for note in notes)
    assert len(notes) == len(set(notes))


@pytest.fixture
def with_baselines(run_directory: Path, predictions: pd.DataFrame) -> Path:
    """The run with what both baselines scored; the nearest gets the problems right whose first operand is even."""
    asked = {"calculator": predictions.assign(right=1)}
    even = predictions["a"].astype(int) % 2 == 0
    asked["nearest"] = predictions.assign(right=even.astype(int))
    rows = results_frame({(name, seed): frame for name, frame in asked.items() for seed in (0, 1, 2)})
    write_baselines(run_directory, rows)
    return run_directory


def test_the_baselines_stand_in_every_table_of_shares(with_baselines: Path, predictions: pd.DataFrame) -> None:
    tables = tables_of(with_baselines)
    asked = predictions[predictions["split"] == "test"]
    even = asked["a"].astype(int) % 2 == 0
    for key, column, chosen in (
        ("summary", "exact_match", even),
        ("operation", "+", even[asked["op"] == "+"]),
        ("signs", "+-", even[asked["signs"] == "+-"]),
        ("places", "1", even[asked["places"] == 1]),
        ("range", "beyond", even[asked["range"] == "beyond"]),
    ):
        rows = texts(tables[key])
        assert list(rows)[-2:] == ["calculator", "nearest"]
        assert rows["calculator"][column] == "100.0"
        assert rows["nearest"][column] == f"{100 * chosen.mean():.1f}"
    share = 100 * even[asked["digits"] == "2x1"].mean()
    assert texts(tables["digits nearest"])["2"]["1"] == f"{share:.1f} n = 80"
    seen = {*texts(tables["training-problems"])["1x1"]}
    assert seen > {"lstm", "transformer", "calculator", "nearest"}
    assert texts(tables["summary"])["nearest"]["train_seconds"] == "-"
    assert any("calculator is right by definition" in note.text for note in tables["summary"].notes)


def test_without_a_file_of_baselines_no_table_speaks_of_them(run_directory: Path) -> None:
    assert "nearest" not in str(tables_of(run_directory))


def test_answers_and_workings_are_counted_apart(run_directory: Path) -> None:
    scores = Scores(open_run(run_directory))
    assert by_workings(scores) is None
    expected: dict[str, list[list[float]]] = defaultdict(list)
    for number, ((name, seed), frame) in enumerate(scores.predictions.items()):
        workings = [int((item + number) % 4 > 0) for item in frame["item"]]
        scores.predictions[name, seed] = frame.assign(workings_right=workings)
        pairs = [
            (right == 1, own == 1)
            for right, own, split in zip(frame["right"], workings, frame["split"], strict=True)
            if split == "test"
        ]
        kinds = [(True, True), (True, False), (False, True)]
        both, answer, own = (sum(pair == kind for pair in pairs) / len(pairs) for kind in kinds)
        expected[name].append([both + answer, both, both + own, answer, own])
    table = by_workings(scores)
    assert table is not None
    for name, row in texts(table).items():
        assert list(row.values())[1:] == [written(list(shares)) for shares in zip(*expected[name], strict=True)]


def test_mistakes_in_workings_are_counted_by_part(run_directory: Path) -> None:
    scores = Scores(open_run(run_directory))
    assert by_mistake(scores) is None
    shares: dict[str, list[list[float]]] = defaultdict(list)
    kinds = ["times 1", "", "row 3", "times 2"]
    for (name, seed), frame in scores.predictions.items():
        mistakes = [kinds[(item + seed) % 4] for item in frame["item"]]
        scores.predictions[name, seed] = frame.assign(mistake=mistakes)
        of_test = [text for text, split in zip(mistakes, frame["split"], strict=True) if split == "test"]
        counts = [sum(text.startswith(part) for text in of_test) for part in ("row", "times")]
        shares[name].append([count / len(of_test) for count in counts])
    table = by_mistake(scores)
    assert table is not None
    assert [column.key for column in table.columns] == ["architecture", "row", "times"]
    for name, row in texts(table).items():
        assert list(row.values())[1:] == [written(list(of_part)) for of_part in zip(*shares[name], strict=True)]
    for cell, frame in scores.predictions.items():
        scores.predictions[cell] = frame.assign(mistake="")
    assert by_mistake(scores) is None


def test_how_fast_counts_a_seed_that_missed_as_beyond_the_budget(
    run_directory: Path,
    make_plan: Callable[..., Plan],
    write_cell: Callable[..., Record],
    predictions: pd.DataFrame,
) -> None:
    write_plan(run_directory, make_plan(architectures=["lstm", "transformer", "gru"]))
    for seed, right in ((0, 200), (1, 198), (2, 100)):  # a straight line to 100, 99 and 50 % of 200
        facts = {"data_hash": f"d{seed}", "data_chain": [f"c{seed}1", f"c{seed}2"], "train_seconds": 10.0}
        facts |= {"validation_correct": right, "validation_total": 200}
        write_cell(run_directory, predictions, architecture="gru", seed=seed, **facts)
    rows = texts(tables_of(run_directory)["learning"])
    assert rows["gru"]["solved"].startswith("2 of 3 [")
    assert rows["gru"]["examples to 0.9"] == "2,850"  # 18 / 20 and 19 / 20 of 3,000, and a miss
    assert rows["gru"]["train_seconds to 0.99"] == "10.0"
    assert rows["gru"]["flops to 0.99"] == "3.00e9"
    assert rows["lstm"]["solved"].startswith("0 of 3 [")
    assert rows["lstm"]["examples to 0.9"] == "beyond the budget"


def test_a_level_that_none_reached_is_a_note(
    tmp_path: Path,
    make_plan: Callable[..., Plan],
    write_cell: Callable[..., Record],
    predictions: pd.DataFrame,
) -> None:
    write_plan(tmp_path, make_plan(architectures=["gru", "rnn"], seeds=[0]))
    for name, right in (("gru", 100), ("rnn", 190)):
        facts = {"validation_correct": right, "validation_total": 200}
        write_cell(tmp_path, predictions, architecture=name, seed=0, **facts)
    scores = Scores(open_run(tmp_path))
    table = by_learning(scores)
    assert [column.key for column in table.columns if "0.9" in column.key] == [
        *("examples to 0.9", "train_seconds to 0.9", "flops to 0.9")
    ]
    assert "None reached 99 % within the budget (median over seeds)." in [note.text for note in table.notes]
    assert len(by_learning(scores, all_levels=True).columns) == len(table.columns) + 3


def test_how_fast_marks_times_of_a_shared_machine(
    tmp_path: Path,
    make_plan: Callable[..., Plan],
    write_cell: Callable[..., Record],
    predictions: pd.DataFrame,
) -> None:
    write_plan(tmp_path, make_plan(architectures=["gru", "rnn"], seeds=[0]))
    for name in ("gru", "rnn"):
        facts = {"validation_correct": 200, "validation_total": 200, "exclusive": name == "rnn"}
        write_cell(tmp_path, predictions, architecture=name, seed=0, **facts)
    table = by_learning(Scores(open_run(tmp_path)))
    rows = texts(table)
    assert (rows["gru"]["train_seconds to 0.9"], rows["rnn"]["train_seconds to 0.9"]) == ("~2.2", "2.2")
    assert "~" not in rows["gru"]["examples to 0.9"]
    assert table.noted("shared")


def test_the_audit_has_what_each_cell_used_and_is_left_out_at_the_end_of_a_run(run_directory: Path) -> None:
    cell = cell_directory(run_directory, "lstm", 2)
    record = read_record(cell)
    (cell / "record.json").unlink()
    write_record(cell, replace(record, examples=3030, data_hash="longer", exclusive=False, tuned=False))
    table = tables_of(run_directory)["audit"]
    assert table.detail
    rows = texts(table)
    assert len(rows) == 6
    assert (rows["lstm seed 0"]["missed by"], rows["lstm seed 0"]["tuned for"]) == ("0", "this")
    expected = {"missed by": "+1.00 %", "exclusive": "no", "data": "longer", "tuned for": record.preset}
    expected |= {"train s": f"~{record.train_seconds}"}
    assert {key: rows["lstm seed 2"][key] for key in expected} == expected
