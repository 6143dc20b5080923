import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.results.records.collect import collect
from bench.results.records.files import BadFile
from bench.results.records.record import Record
from bench.results.records.run import cell_directory, open_run, write_plan
from bench.results.statistics.scores import Scores


def test_a_run_lists_its_cells_in_the_order_of_the_plan(
    run_directory: Path, make_plan: Callable[..., dict[str, Any]]
) -> None:
    run = open_run(run_directory)
    assert [(r.architecture, r.seed) for r in run.records] == [
        (a, s) for a in ("lstm", "transformer") for s in (0, 1, 2)
    ]
    assert run.missing == []
    assert run.plan == make_plan()

    write_plan(run_directory, make_plan(architectures=["transformer", "lstm", "gru"], seeds=[2, 0, 1]))
    run = open_run(run_directory)
    assert [(r.architecture, r.seed) for r in run.records] == [
        (a, s) for a in ("transformer", "lstm") for s in (2, 0, 1)
    ]
    assert run.missing == [("gru", 2), ("gru", 0), ("gru", 1)]


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda run: (run / "run.json").unlink(), "is no run folder: run.json is missing; give the folder"),
        (lambda run: run.rename(run.with_name("elsewhere")), "there is no such folder"),
        (lambda run: (run / "run.json").write_text("{"), "not valid JSON"),
        (lambda run: _edit(run / "run.json", "3000", "9000"), "was changed after it was written"),
        (lambda run: _edit(run / "run.json", '"schema": 2', '"schema": 9'), "has schema 9"),
        (lambda run: (run / "cells/lstm-s0").rename(run / "cells/lstm-s7"), "a cell that is not in the plan"),
    ],
)
def test_what_is_no_run_is_refused_in_one_line(
    run_directory: Path, break_it: Callable[[Path], object], message: str
) -> None:
    break_it(run_directory)
    with pytest.raises(BadFile, match=message) as caught:
        open_run(run_directory)
    assert "\n" not in str(caught.value)
    assert str(run_directory) in str(caught.value)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda cell: (cell.with_name("lstm-s0") / "record.json").replace(cell / "record.json"), "seed is 0, in run"),
        (lambda cell: _edit(cell / "record.json", '"steps": 30', '"steps": 31'), r"record\.json: was changed after"),
        (lambda cell: (cell / "curve.csv").unlink(), r"curve\.csv: the file is missing"),
        (lambda cell: (cell / "predictions.csv.gz").write_bytes(b""), r"predictions\.csv\.gz: was changed after"),
    ],
)
def test_a_broken_cell_is_named_and_the_others_stand(
    run_directory: Path, break_it: Callable[[Path], object], message: str
) -> None:
    before = {path: path.read_bytes() for path in run_directory.glob("*.csv")}
    break_it(cell_directory(run_directory, "lstm", 1))
    run = open_run(run_directory)
    assert list(run.broken) == [("lstm", 1)]
    assert re.search(f"lstm-s1/.*{message}.*; ", str(run.broken["lstm", 1]))
    assert ("lstm", 1) not in [*run.missing, *((record.architecture, record.seed) for record in run.records)]
    assert len(run.records) + len(run.missing) == 5
    scores = Scores(run)
    assert ("lstm", 1, "broken", str(run.broken["lstm", 1])) in scores.unfinished
    assert not len(scores.results.query("architecture == 'lstm' and seed == 1"))
    with pytest.raises(BadFile, match=message):
        collect(run_directory)
    assert {path: path.read_bytes() for path in run_directory.glob("*.csv")} == before


@pytest.mark.parametrize("changes", [{"budget": "examples=9000"}, {"config": {"width": 9}}, {"training": {}}])
def test_a_cell_of_another_run_is_broken(
    tmp_path: Path,
    make_plan: Callable[..., dict[str, Any]],
    write_cell: Callable[..., Record],
    predictions: pd.DataFrame,
    changes: dict[str, Any],
) -> None:
    entry = {"config": {"width": 8}, "training": {"optimizer": "adamw"}}
    write_plan(tmp_path, make_plan(entries={"lstm": entry}))
    write_cell(tmp_path, predictions, architecture="lstm", seed=0)
    write_cell(tmp_path, predictions, architecture="lstm", seed=1, **changes)
    run = open_run(tmp_path)
    assert [record.seed for record in run.records] == [0]
    assert re.search(f"not of this place: {next(iter(changes))} ", str(run.broken["lstm", 1]))


def _edit(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 3}, "has seeds of type int"),
        ({"suite": {"name": "tiny"}}, "has a suite that has no version"),
        ({"git": "f00"}, "has git of type str"),
        ({"plan_hash": None}, "has plan_hash of type NoneType"),
        ({"architectures": ["lstm", "lstm"]}, "none, or one twice"),
        ({"architectures": ["../lstm"]}, "has an architecture called"),
        ({"seeds": [0, True]}, "has seeds with True"),
        ({"strata": [{"operation": "+"}]}, "has a stratum"),
        ({"schema": 7}, "has schema 7"),
    ],
)
def test_a_plan_that_could_not_be_read_is_not_written(
    tmp_path: Path, make_plan: Callable[..., dict[str, Any]], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write_plan(tmp_path, make_plan(**changes))
    with pytest.raises(ValueError, match="has no budget"):
        write_plan(tmp_path, {key: value for key, value in make_plan().items() if key != "budget"})
    assert list(tmp_path.iterdir()) == []


def test_edited_predictions_are_found_out(run_directory: Path) -> None:
    run = open_run(run_directory)
    path = cell_directory(run_directory, "transformer", 1) / "predictions.csv.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b"\n"))
    with pytest.raises(BadFile, match=r"transformer-s1/predictions\.csv\.gz: was changed after the run"):
        run.predictions(run.records[4])
    run.predictions(run.records[3])


def test_predictions_that_contradict_their_record_are_found_out(
    tmp_path: Path,
    make_plan: Callable[..., dict[str, Any]],
    write_cell: Callable[..., Record],
    predictions: pd.DataFrame,
) -> None:
    write_plan(tmp_path, make_plan())
    right, asked = int(predictions.query("split == 'test'")["right"].sum()), 288
    write_cell(
        tmp_path,
        predictions,
        architecture="lstm",
        seed=0,
        correct=right + 1,
        exact_match=(right + 1) / asked,
        total=asked,
    )
    run = open_run(tmp_path)
    with pytest.raises(BadFile, match=f"counts {right} right of {asked}, the record {right + 1} of {asked}"):
        run.predictions(run.records[0])


def test_a_plan_may_say_more(tmp_path: Path, make_plan: Callable[..., dict[str, Any]]) -> None:
    write_plan(tmp_path, make_plan(git={"commit": "ab", "dirty": False}))
    assert open_run(tmp_path).plan["git"] == {"commit": "ab", "dirty": False}
    assert set(json.loads((tmp_path / "run.json").read_text())) == {*make_plan(), "git", "checksum"}
