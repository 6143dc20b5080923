"""Runs that may stand in one table do so, under names that tell them apart; the others stand apart, with the reason."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.results.records.plan import Plan, write_plan
from bench.results.records.record import Record, write_record
from bench.results.records.run import cell_directory, open_run
from bench.results.report.contents import all_tables
from bench.results.statistics.joining import join_runs

MakePlan = Callable[..., Plan]
WriteCell = Callable[..., Record]


@pytest.fixture
def write_run(
    tmp_path: Path, make_plan: MakePlan, write_cell: WriteCell, predictions: pd.DataFrame
) -> Callable[..., Path]:
    """Writes a run of made-up cells: seeds of one architecture, under settings of the test's choice."""

    def write(name: str, architecture: str, seeds: list[int], cell: dict[str, Any] | None = None, **plan: Any) -> Path:
        settings = {"budget": "examples=3000", "version": "1", "torch": "2"} | plan.pop("settings", {})
        entry = plan.pop("entry", {"training": {"lr": 0.02}})
        plan |= {"architectures": [architecture], "seeds": seeds, "budget": settings["budget"]}
        write_plan(tmp_path / name, make_plan(settings=settings, entries={architecture: entry}, **plan))
        for seed in seeds:
            facts = {"data_hash": f"d{seed}", "data_chain": [f"c{seed}1", f"c{seed}2"], "budget": settings["budget"]}
            facts |= {"architecture": architecture, "seed": seed, "training": entry["training"]}
            write_cell(tmp_path / name, predictions, **(facts | (cell or {})))
        return tmp_path / name

    return write


def names_and_seeds(path: Path, *paths: Path) -> dict[str, list[int]]:
    [scores], warnings = join_runs([open_run(run) for run in (path, *paths)])
    assert warnings == []
    return {name: [record.seed for record in scores.of(name)] for name in scores.architectures}


def test_other_architectures_and_seeds_of_the_same_settings_are_joined(write_run: Callable[..., Path]) -> None:
    one, two = write_run("one", "lstm", [0, 1]), write_run("two", "gru", [0, 1])
    three = write_run("three", "lstm", [1, 5])
    assert names_and_seeds(one, two, three) == {"lstm": [0, 1, 5], "gru": [0, 1]}


def test_folders_of_one_name_are_told_apart(write_run: Callable[..., Path]) -> None:
    """By more of their paths; and runs of equal settings are one, whatever a third has."""
    other = {"training": {"lr": 0.01}}
    one, two = write_run("p/run", "lstm", [0, 1]), write_run("q/run", "lstm", [2, 3], entry=other)
    assert names_and_seeds(one, two) == {"lstm (p/run)": [0, 1], "lstm (q/run)": [2, 3]}
    three = write_run("three", "lstm", [4])
    assert names_and_seeds(one, two, three) == {"lstm (p/run)": [0, 1, 4], "lstm (q/run)": [2, 3]}


def test_a_cell_that_two_runs_lack_is_lacking_once(
    write_run: Callable[..., Path], make_record: Callable[..., Record]
) -> None:
    one, two = write_run("one", "lstm", [0, 1]), write_run("two", "lstm", [0, 1])
    for run in (one, two):
        shutil.rmtree(cell_directory(run, "lstm", 1))
    ended = {"status": "diverged", "reason": "loss is nan", "training": {"lr": 0.02}}
    write_record(cell_directory(two, "lstm", 1), make_record(seed=1, **ended))
    [scores], _ = join_runs([open_run(one), open_run(two)])
    assert scores.unfinished == [("lstm", 1, "diverged", "loss is nan")]
    assert scores.seeds("lstm") == [0, 1]
    shutil.copytree(cell_directory(two, "lstm", 1), cell_directory(one, "lstm", 1))
    [scores], _ = join_runs([open_run(one), open_run(two)])
    assert scores.unfinished == [("lstm", 1, "diverged", "loss is nan")]
    assert scores.digits_right("lstm").n == 2


def test_one_architecture_under_two_settings_is_two(write_run: Callable[..., Path]) -> None:
    one = write_run("one", "lstm", [0, 1])
    two = write_run("two", "lstm", [0, 1], entry={"training": {"lr": 0.01}})
    assert names_and_seeds(one, two) == {"lstm (one)": [0, 1], "lstm (two)": [0, 1]}
    [scores], _ = join_runs([open_run(one), open_run(two)])
    assert set(all_tables(scores)[0].rows) == {"lstm (one)", "lstm (two)"}


def test_a_shorter_budget_joins_as_a_prefix_of_the_data(write_run: Callable[..., Path]) -> None:
    one = write_run("one", "lstm", [0])
    short = {"budget": "examples=2000", "examples": 2000, "data_hash": "other", "data_chain": ["c01"]}
    two = write_run("two", "gru", [0], short, settings={"budget": "examples=2000"})
    assert names_and_seeds(one, two) == {"lstm": [0], "gru": [0]}


def test_a_run_named_twice_counts_once(write_run: Callable[..., Path], tmp_path: Path) -> None:
    one = write_run("one", "lstm", [0, 1])
    assert names_and_seeds(one, one, tmp_path / "one" / ".." / "one") == {"lstm": [0, 1]}
    copy = shutil.copytree(one, tmp_path / "copy")
    assert names_and_seeds(one, copy) == {"lstm": [0, 1]}


def test_a_cell_that_one_run_lacks_is_taken_from_the_other(write_run: Callable[..., Path], tmp_path: Path) -> None:
    whole, part = write_run("whole", "lstm", [0, 1]), write_run("part", "lstm", [0, 1])
    shutil.rmtree(part / "cells" / "lstm-s1")
    for order in ((whole, part), (part, whole)):
        [scores], _ = join_runs([open_run(run) for run in order])
        assert scores.unfinished == []
        assert [record.seed for record in scores.of("lstm")] == [0, 1]
    [alone], _ = join_runs([open_run(part)])
    assert alone.unfinished == [("lstm", 1, "not run", "")]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"settings": {"torch": "3"}}, "two stands apart from .*one: other version of torch, 2 and 3"),
        ({"settings": {"version": "2"}}, "other version of arithbench, 1 and 2"),
        ({"test_hash": "another"}, r"other test problems \(test_hash\), e{64} and another"),
        ({"cell": {"data_hash": "x", "data_chain": ["y", "z"]}}, "were trained on different problems"),
    ],
)
def test_runs_that_differ_stand_apart_and_the_reason_is_said(
    write_run: Callable[..., Path], changes: dict[str, Any], reason: str
) -> None:
    one, two = write_run("one", "lstm", [0, 1]), write_run("two", "gru", [0, 1], **changes)
    groups, warnings = join_runs([open_run(one), open_run(two)])
    assert [group.architectures for group in groups] == [["lstm"], ["gru"]]
    [warning] = warnings
    assert re.search(reason, warning)
