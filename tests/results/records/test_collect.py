import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from bench.results.records.collect import CELL_COLUMNS, collect
from bench.results.records.plan import Plan, write_plan
from bench.results.records.record import Record, read_record, write_record
from bench.results.records.run import cell_directory


def test_collecting_again_gives_the_same_bytes_and_leaves_no_other_files(run_directory: Path) -> None:
    cells, results = collect(run_directory)
    before = cells.read_bytes(), results.read_bytes()
    collect(run_directory)
    assert (cells.read_bytes(), results.read_bytes()) == before
    assert sorted(path.name for path in run_directory.iterdir()) == ["cells", "cells.csv", "results.csv", "run.json"]
    assert results.read_text().startswith("architecture,seed,slice,value,correct,total\nlstm,0,all,all,")


def test_results_hold_no_timing(run_directory: Path, tmp_path: Path) -> None:
    """Two runs that differ in speed only have the same results.csv."""
    before = collect(run_directory)[1].read_bytes()
    for record_path in run_directory.glob("cells/*/record.json"):
        record = read_record(record_path.parent)
        record_path.unlink()
        write_record(record_path.parent, replace(record, train_seconds=99.0, exclusive=False, device="cuda"))
    cells, results = collect(run_directory)
    assert results.read_bytes() == before
    assert ",99.0," in cells.read_text()


def test_cells_csv_has_the_columns_of_the_design_and_says_what_the_records_say(run_directory: Path) -> None:
    cells, _ = collect(run_directory)
    with cells.open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == CELL_COLUMNS
    design = """architecture, seed, status, reason, parameters, active_parameters, match, examples, unique_problems,
        tokens, steps, flops, optimizer_flops, train_seconds, tokens_per_second, examples_per_second,
        decode_problems_per_second, peak_memory_mb, state_bytes, weight_bits, device, threads, data_hash, test_hash,
        correct, total, exact_match, exclusive"""
    assert list(CELL_COLUMNS) == [name.strip() for name in design.split(",")]
    assert len(rows) == 6
    for row in rows:
        record = read_record(cell_directory(run_directory, row["architecture"], int(row["seed"])))
        assert {key: value for key, value in row.items() if key != "exclusive"} == {
            key: str(getattr(record, key)) for key in CELL_COLUMNS if key != "exclusive"
        }
        assert row["exclusive"] == "yes"


def test_cells_csv_of_a_run_without_the_flops_of_optimizers_has_no_column_of_them(
    tmp_path: Path, make_plan: Callable[..., Plan], write_cell: Callable[..., Record], predictions: pd.DataFrame
) -> None:
    write_plan(tmp_path, make_plan(architectures=["lstm"], entries={"lstm": {"optimizer_flops_per_step": None}}))
    write_cell(tmp_path, predictions, architecture="lstm", seed=0, optimizer_flops=None)
    cells, _ = collect(tmp_path)
    header = cells.read_text().splitlines()[0].split(",")
    assert header == [column for column in CELL_COLUMNS if column != "optimizer_flops"]


def test_a_failed_cell_is_a_row_with_empty_figures_and_a_missing_one_is_none(
    run_directory: Path, make_record: Callable[..., Record], make_plan: Callable[..., Plan]
) -> None:
    write_plan(run_directory, make_plan(seeds=[0, 1, 2, 3]))
    cell = cell_directory(run_directory, "lstm", 1)
    for path in cell.iterdir():
        path.unlink()
    nothing = dict.fromkeys(("correct", "total", "exact_match", "parameters", "flops", "train_seconds", "data_hash"))
    reason = "out of memory at step 3, in the first layer"
    write_record(cell, make_record(seed=1, status="out-of-memory", reason=reason, **nothing))
    cells, results = collect(run_directory)
    with cells.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["architecture"], row["seed"]) for row in rows[:3]] == [("lstm", "0"), ("lstm", "1"), ("lstm", "2")]
    assert len(rows) == 6
    assert (rows[1]["status"], rows[1]["reason"]) == ("out-of-memory", reason)
    assert {rows[1][key] for key in nothing} == {""}
    assert (rows[0]["parameters"], rows[0]["flops"]) == ("10000", "3000000000")  # whole numbers stay whole
    assert "\nlstm,1," not in results.read_text()


def test_a_run_without_a_finished_cell_has_files_with_a_header(tmp_path: Path, make_plan: Callable[..., Plan]) -> None:
    write_plan(tmp_path, make_plan())
    cells, results = collect(tmp_path)
    assert cells.read_text() == ",".join(CELL_COLUMNS) + "\n"
    assert results.read_text() == "architecture,seed,slice,value,correct,total\n"
