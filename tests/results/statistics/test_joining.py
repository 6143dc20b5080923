"""Runs that may stand in one table do so, under names that tell them apart; the others stand apart, with the reason."""

import gzip
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.results.files import sha256_of
from bench.results.records.plan import Plan, write_plan
from bench.results.records.predictions import PREDICTIONS
from bench.results.records.record import RECORD, WEIGHTS, Record, read_record, write_record
from bench.results.records.run import cell_directory, open_run
from bench.results.report.contents import all_tables, contents
from bench.results.report.write import FILE_NAMES, render
from bench.results.statistics.joining import join_runs

MakePlan = Callable[..., Plan]
WriteCell = Callable[..., Record]


@pytest.fixture
def write_run(
    tmp_path: Path, make_plan: MakePlan, write_cell: WriteCell, predictions: pd.DataFrame
) -> Callable[..., Path]:
    """Writes a run of made-up cells: seeds of one architecture, under settings of the test's choice."""

    def write(name: str, architecture: str, seeds: list[int], cell: dict[str, Any] | None = None, **plan: Any) -> Path:
        answers = plan.pop("answers", predictions)
        settings = {"budget": "examples=3000", "version": "1", "torch": "2"} | plan.pop("settings", {})
        entry = plan.pop("entry", {"training": {"lr": 0.02}})
        plan |= {"architectures": [architecture], "seeds": seeds, "budget": settings["budget"]}
        write_plan(tmp_path / name, make_plan(settings=settings, entries={architecture: entry}, **plan))
        for seed in seeds:
            facts = {"data_hash": f"d{seed}", "data_chain": [f"c{seed}1", f"c{seed}2"], "budget": settings["budget"]}
            facts |= {"architecture": architecture, "seed": seed, "training": entry["training"]}
            write_cell(tmp_path / name, answers, **(facts | (cell or {})))
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


def test_cells_of_one_plan_that_ended_otherwise_are_rows_of_their_own_whatever_the_order(
    write_run: Callable[..., Path], predictions: pd.DataFrame
) -> None:
    here, there = ({"machine": {"processor": name, "processor_model": "25/1/1"}} for name in ("Chip", "Other"))
    one, two = write_run("one", "lstm", [0, 1], here), write_run("two", "lstm", [0, 1], there)
    assert names_and_seeds(one, two) == {"lstm": [0, 1]}  # the same answers
    test = predictions["split"] == "test"
    turned = predictions.assign(right=predictions["right"].where(~test, 1 - predictions["right"]))
    shutil.rmtree(two)
    shutil.rmtree(cell_directory(one, "lstm", 1))
    two = write_run("two", "lstm", [0, 1], there, answers=turned)
    said = []
    for order in ((one, two), (two, one)):
        [scores], warnings = join_runs([open_run(run) for run in order])
        assert warnings == []
        shares = {name: scores.share_right(name, "all", "all").mean for name in scores.architectures}
        said.append((scores.differing, shares))
        assert [record.seed for record in scores.of(f"lstm ({two.name})")] == [0, 1]
        assert contents([open_run(run) for run in order]).parts[0].opening[0] == scores.differing[0]
    assert said[0] == said[1]
    right = 100 * predictions.loc[test, "right"].mean()
    assert said[0][0] == [
        f"lstm has a row for each run, since a cell of one plan and seed ended otherwise: {one} on Chip 25/1/1, seed 0 "
        f"{right:.1f} %; {two} on Other 25/1/1, seed 0 {100 - right:.1f} %."
    ]


def test_other_weights_with_the_same_answers_are_another_end(write_run: Callable[..., Path]) -> None:
    one, two = (write_run(name, "lstm", [0], {"files": {WEIGHTS: name}}) for name in ("one", "two"))
    assert names_and_seeds(one, two) == {"lstm (one)": [0], "lstm (two)": [0]}


def test_answers_that_are_compressed_otherwise_are_the_same(write_run: Callable[..., Path]) -> None:
    one, two = write_run("one", "lstm", [0]), write_run("two", "lstm", [0])
    cell = cell_directory(two, "lstm", 0)
    packed = (cell / PREDICTIONS).read_bytes()
    (cell / PREDICTIONS).write_bytes(gzip.compress(gzip.decompress(packed), compresslevel=1, mtime=1))
    record = read_record(cell)
    (cell / RECORD).unlink()
    write_record(cell, replace(record, files=record.files | {PREDICTIONS: sha256_of(cell / PREDICTIONS)}))
    assert sha256_of(cell / PREDICTIONS) != read_record(cell_directory(one, "lstm", 0)).files[PREDICTIONS]
    assert names_and_seeds(one, two) == {"lstm": [0]}


def test_of_two_runs_that_hold_a_cell_alike_the_same_is_taken_in_any_order(write_run: Callable[..., Path]) -> None:
    one, two = write_run("one", "lstm", [0], {"train_seconds": 1.0}), write_run("two", "lstm", [0])
    for order in ((one, two), (two, one)):
        [scores], _ = join_runs([open_run(run) for run in order])
        assert [record.train_seconds for record in scores.of("lstm")] == [1.0]


@pytest.mark.parametrize("format", sorted(FILE_NAMES))
def test_times_of_several_machines_are_marked_in_every_format(format: str, write_run: Callable[..., Path]) -> None:
    machines = [{"machine": {"processor": name}} for name in ("Chip", "Other CPU")]
    one, two = write_run("one", "lstm", [0], machines[0]), write_run("two", "gru", [0], machines[1])
    text = " ".join(render(contents([open_run(one), open_run(two)]), format).replace("\\#", "#").split())
    assert "times are of 2 machines: Chip and Other CPU" in text
    assert "Times are of 2 machines, marked behind each: #1 Chip; #2 Other CPU." in text
    assert text.count("2.5 #1") == text.count("2.5 #2") >= 2  # in the summary and in the audit
    alone = render(contents([open_run(one)]), format)
    assert "are of 2 machines" not in alone
    assert "2.5 #1" not in alone
