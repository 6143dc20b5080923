import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.results.files import BadFile, write_checked_json
from bench.results.records.collect import collect
from bench.results.records.plan import PLAN, Plan, read_plan, write_plan
from bench.results.records.record import Record
from bench.results.records.run import cell_directory, open_run
from bench.results.statistics.scores import Scores


def test_a_run_lists_its_cells_in_the_order_of_the_plan(run_directory: Path, make_plan: Callable[..., Plan]) -> None:
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
    make_plan: Callable[..., Plan],
    write_cell: Callable[..., Record],
    predictions: pd.DataFrame,
    changes: dict[str, Any],
) -> None:
    write_plan(tmp_path, make_plan())
    write_cell(tmp_path, predictions, architecture="lstm", seed=0)
    write_cell(tmp_path, predictions, architecture="lstm", seed=1, **changes)
    run = open_run(tmp_path)
    assert [record.seed for record in run.records] == [0]
    assert re.search(f"not of this place: {next(iter(changes))} ", str(run.broken["lstm", 1]))


def _edit(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("seeds", 3, "has seeds 3 of type int: expected a valid list"),
        ("suite version", ..., "has no suite.version"),
        ("git", "f00", "has git 'f00' of type str: expected a valid dictionary"),
        ("plan_hash", None, "has plan_hash None of type NoneType: expected a valid string"),
        (
            "architectures",
            ["lstm", "lstm"],
            "has architectures ['lstm', 'lstm'] of type list: expected one or more, each",
        ),
        ("architectures 0", "../lstm", "has architectures.0 '../lstm' of type str: String should match pattern "),
        ("architectures 0", "gru", "its architectures are not those it has entries of"),
        ("seeds", [], "has seeds [] of type list: expected one or more, each once"),
        ("seeds", [0, 0], "has seeds [0, 0] of type list: expected one or more, each once"),
        ("seeds 1", True, "has seeds.1 True of type bool: expected a valid integer"),
        ("seeds 1", 2**31, "has seeds.1 2147483648 of type int: expected less than 2147483648"),
        ("strata 0 digits", ..., "has no strata.0.digits"),
        ("strata 0 exhaustive", 1, "has strata.0.exhaustive 1 of type int: expected a valid boolean"),
        ("strata 0 colour", "red", "has an unknown key strata.0.colour"),
        ("schema", 7, "has schema 7, and this program reads 2"),
        ("schema", ..., "has schema None, and this program reads 2"),
        ("budget", ..., "has no budget"),
        ("suite", ..., "has no suite"),
        ("suite content", [], "has suite.content [] of type list: expected a valid dictionary"),
        ("settings", ..., "has no settings"),
        ("settings threads", ..., "has no settings.threads"),
        ("settings match", "all", "has settings.match 'all' of type str: expected 'total' or 'active'"),
        ("settings parameters", 10**400, "has settings.parameters 10000"),
        ("entries", ..., "has no entries"),
        ("entries lstm", ..., "its architectures are not those it has entries of"),
        ("entries lstm", 3, "has entries.lstm 3 of type int: expected a valid dictionary"),
        ("entries lstm config", "wide", "has entries.lstm.config 'wide' of type str: expected a valid dictionary"),
        ("entries lstm training", ..., "has no entries.lstm.training"),
        ("entries lstm optimizer_flops_per_step", ..., "some of its entries have optimizer_flops_per_step, and"),
        ("colour", "red", "has an unknown key colour"),
        ("\x1b[2J\n", "red", "has an unknown key ?[2J"),
    ],
)
def test_what_is_no_plan_is_refused_by_the_key_and_what_is_wrong_with_it(
    tmp_path: Path, make_plan: Callable[..., Plan], path: str, value: Any, message: str
) -> None:
    """Signed by whoever made it: the checksum is right. `path`: keys, outermost first; ... is no value."""
    content = make_plan().as_json()
    *outer, last = (int(key) if key.isdigit() else key for key in path.split(" "))
    place: Any = content
    for key in outer:
        place = place[key]
    place[last] = value
    if value is ...:
        del place[last]
    write_checked_json(tmp_path / PLAN, content)
    with pytest.raises(BadFile) as caught:
        open_run(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / PLAN}: {message}")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < len(str(tmp_path)) + 250
    if last != "schema":  # of another version than this program's; there is no plan of that which could be written
        with pytest.raises(ValueError, match="for Plan"):
            Plan.model_validate(content)


def test_a_plan_comes_back_as_it_was_written(tmp_path: Path, make_plan: Callable[..., Plan]) -> None:
    plain, more = make_plan(), make_plan(plugins=["mine"], git={"commit": "ab", "dirty": False})
    for plan in (plain, more):
        write_plan(tmp_path, plan)
        assert read_plan(tmp_path) == plan
        assert plan.recomputed_hash() == plan.plan_hash
    written = json.loads((tmp_path / PLAN).read_text())
    assert written["git"] == {"commit": "ab", "dirty": False}
    assert set(written) == {*plain.as_json(), "plugins", "checksum"}  # there only where a run has some


def test_edited_predictions_are_found_out(run_directory: Path) -> None:
    run = open_run(run_directory)
    path = cell_directory(run_directory, "transformer", 1) / "predictions.csv.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b"\n"))
    with pytest.raises(BadFile, match=r"transformer-s1/predictions\.csv\.gz: was changed after the run"):
        run.predictions(run.records[4])
    run.predictions(run.records[3])


def test_predictions_that_contradict_their_record_are_found_out(
    tmp_path: Path,
    make_plan: Callable[..., Plan],
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
