"""Every figure of the tables is computed a second time here, by plain Python from predictions.csv.gz."""

import csv
import gzip
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pandas as pd
import pytest

from bench.results.comparable import NotComparable
from bench.results.entries import Table
from bench.results.records import Record, write_record
from bench.results.runs import cell_directory, open_run, write_plan
from bench.results.scores import Scores
from bench.results.tables import all_tables

T_2 = 4.302652729911275
"""97.5 % point of t with 2 degrees of freedom"""


def tables_of(run_directory: Path) -> dict[str, Table]:
    return {table.title: table for table in all_tables(Scores(open_run(run_directory)))}


def texts(table: Table) -> dict[str, dict[str, str]]:
    """row -> column -> text"""
    return {
        row[0].text: {column: entry.text for column, entry in zip(table.columns, row, strict=True)}
        for row in table.rows
    }


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

    row = texts(tables["Summary"])[architecture]
    assert row["exact match % (n = 288)"] == share_right(seeds)[0]
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

    for title, column, values in (
        ("Exact match %, by operation", "op", ["+", "-", "*", "/"]),
        ("Exact match %, by signs of a and b", "signs", ["++", "+-", "-+", "--"]),
        ("Exact match %, by decimal places", "places", ["0", "1"]),
        ("Exact match %, patterns trained on and beyond", "range", ["trained", "beyond"]),
    ):
        expected = {"architecture": architecture}
        for value in values:
            figure, n = share_right(seeds, **{column: value})
            expected[f"{value} (n = {n})"] = figure
        assert texts(tables[title])[architecture] == expected

    grid = tables[f"Exact match %, digits of a (rows) x digits of b (columns): {architecture}"]
    for a in "12":
        for b in "12":
            figure, n = share_right(seeds, digits=f"{a}x{b}")
            note = f" all unseen, n = {n}" if a + b == "11" else f" n = {n}"
            assert texts(grid)[a][f"b: {b}"] == figure + note

    seen = rows_on_disk(run_directory, architecture, "train")
    [table] = [table for title, table in tables.items() if "training split" in title]
    for digits_pattern in ("1x1", "1x2", "2x1", "2x2"):
        row = texts(table)[digits_pattern]
        assert (row[architecture], int(row["n"])) == share_right(seen, digits=digits_pattern)


def test_the_summary_says_too_when_all_unseen_problems_are_asked(
    run_directory: Path, make_plan: Callable[..., dict[str, Any]]
) -> None:
    strata = [stratum | {"exhaustive": True} for stratum in make_plan()["strata"]]
    write_plan(run_directory, make_plan(strata=strata))
    row = texts(tables_of(run_directory)["Summary"])["lstm"]
    assert row["exact match % (n = 288)"] == f"{share_right(rows_on_disk(run_directory, 'lstm'))[0]} all unseen"
    assert "all unseen" not in row["mean over strata %"]


def test_costs_are_medians_over_seeds(run_directory: Path) -> None:
    row = texts(tables_of(run_directory)["Summary"])["transformer"]
    costs = {"parameters": "10,100", "examples": "3,000", "FLOPs": "6.00e9", "train s": "6.5", "tokens/s": "12,000"}
    costs |= {"examples/s": "1,200", "decode/s": "800", "peak MB": "12.5", "seeds": "3"}
    assert {key: row[key] for key in costs} == costs
    assert "shared" not in str(tables_of(run_directory)["Summary"].notes)


def test_patterns_with_few_problems_say_how_many(run_directory: Path) -> None:
    rows = texts(tables_of(run_directory)["Patterns with few distinct problems"])
    assert list(rows) == ["+ 1x1", "- 1x1", "* 1x1", "/ 1x1", "/ 1x2"]
    assert rows["/ 1x2"] == {
        **{"pattern": "/ 1x2", "distinct": "4", "asked": "16"},
        **{"what the test set holds": "all 4 unseen problems"},
    }


def test_a_pattern_that_is_partly_asked_whole_says_so(
    run_directory: Path, make_plan: Callable[..., dict[str, Any]]
) -> None:
    plan = make_plan()
    for stratum in plan["strata"]:
        stratum["exhaustive"] = stratum["operation"] == "/" and (stratum["digits"], stratum["signs"]) != ("1x2", "++")
    write_plan(run_directory, plan)
    tables = tables_of(run_directory)
    rows = texts(tables["Patterns with few distinct problems"])
    assert rows["/ 1x2"]["what the test set holds"] == "3 of 4 strata are all unseen"
    assert rows["/ 2x2"]["what the test set holds"] == "all 6 unseen problems"
    assert "all unseen" not in str(tables["Exact match %, by operation"])
    plan["strata"] = [stratum | {"exhaustive": stratum["operation"] == "/"} for stratum in plan["strata"]]
    write_plan(run_directory, plan)
    row = texts(tables_of(run_directory)["Exact match %, by operation"])["lstm"]
    assert row["/ (n = 72)"].endswith("] all unseen")
    assert "unseen" not in row["+ (n = 72)"]


def _replace(run_directory: Path, make_record: Callable[..., Record], **changes: Any) -> None:
    path = cell_directory(run_directory, changes["architecture"], changes["seed"])
    (path / "record.json").unlink()
    write_record(path, make_record(**changes))


def test_failed_and_missing_cells_are_shown_and_are_in_no_figure(
    run_directory: Path, make_record: Callable[..., Record], make_plan: Callable[..., dict[str, Any]]
) -> None:
    write_plan(run_directory, make_plan(architectures=["lstm", "transformer", "gru"]))
    none = dict.fromkeys(("correct", "total", "exact_match", "data_hash", "test_hash"))
    failed = {"status": "diverged", "reason": "the loss is nan at step 12", **none}
    _replace(run_directory, make_record, architecture="lstm", seed=1, **failed)
    tables = tables_of(run_directory)
    assert texts(tables["Summary"])["lstm"]["seeds"] == "2 of 3"
    assert texts(tables["Summary"])["lstm"]["exact match % (n = 288)"].count("[") == 0
    assert texts(tables["Summary"])["gru"]["seeds"] == "0 of 3"
    assert texts(tables["Summary"])["gru"]["exact match % (n = 288)"] == "-"
    assert "2 seeds: no interval (that takes 3 seeds)." in tables["Summary"].notes
    rows = texts(tables["Cells without a result, in no figure here"])
    expected = {"cell": "lstm seed 1", "status": "diverged", "reason": "the loss is nan at step 12"}
    assert rows["lstm seed 1"] == expected
    assert rows["gru seed 2"]["status"] == "not run"
    assert len(rows) == 4


def test_a_run_without_a_finished_cell_has_a_report_too(
    tmp_path: Path, make_plan: Callable[..., dict[str, Any]]
) -> None:
    write_plan(tmp_path, make_plan())
    tables = tables_of(tmp_path)
    assert list(tables) == ["Summary", "Cells without a result, in no figure here"]
    assert set(texts(tables["Summary"])["lstm"].values()) == {"lstm", "-", "0 of 3"}


def test_what_a_reader_must_know_is_marked(
    tmp_path: Path,
    make_plan: Callable[..., dict[str, Any]],
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
    labels = ["untuned !", "big (unequal)", "early (budget -50.0 %)", "crowded", "sparse"]
    summary = texts(tables["Summary"])
    assert list(summary) == labels == list(texts(tables["Exact match %, by signs of a and b"]))
    assert summary["crowded"]["train s"] == "~2.5"
    assert summary["untuned !"]["train s"] == "2.5"
    assert summary["sparse"]["parameters"] == "40,000 (10,000 active)"
    assert summary["sparse"]["peak MB"] == "-"
    notes = "\n".join(tables["Summary"].notes)
    assert "! untuned: not tuned for this (its settings were tuned for: tiny 10k examples=3000)." in notes
    assert "unequal: big was not fitted" in notes
    assert "budget: early seed 0 missed the budget examples=3000 by -50.0 %, flat." in notes
    assert "~ the machine was shared" in notes
    assert "One seed: 95 % Wilson interval" in notes
    assert "No interval where one seed was asked all unseen problems" in str(tables)


def test_cells_that_may_not_stand_side_by_side_give_no_table(
    run_directory: Path, make_record: Callable[..., Record]
) -> None:
    _replace(run_directory, make_record, architecture="lstm", seed=2, data_hash="other")
    with pytest.raises(NotComparable, match="lstm seed 2 and transformer seed 2 were trained on different problems"):
        tables_of(run_directory)


def test_a_note_is_said_once(run_directory: Path) -> None:
    notes = [note for table in tables_of(run_directory).values() for note in table.notes]
    assert any("the seed is the unit" in note for note in notes)
    assert len(notes) == len(set(notes))
