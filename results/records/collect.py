"""cells.csv, one row a cell, and results.csv, one row a cell and slice: written from the records and predictions."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from bench.results.files import write_text
from bench.results.records.plan import Plan
from bench.results.records.predictions import PREDICTIONS
from bench.results.records.record import Record
from bench.results.records.run import open_run
from bench.results.records.slices import RESULT_COLUMNS, slice_predictions

CELLS = "cells.csv"
RESULTS = "results.csv"

CELL_COLUMNS = (
    *("architecture", "seed", "status", "reason", "parameters", "active_parameters", "match", "examples"),
    *("unique_problems", "tokens", "steps", "flops", "optimizer_flops", "train_seconds"),
    *("tokens_per_second", "examples_per_second", "decode_problems_per_second", "peak_memory_mb", "state_bytes"),
    *("weight_bits", "device", "threads"),
    *("data_hash", "test_hash", "correct", "total", "exact_match", "exclusive"),
)


def collect(run_directory: Path, slices: dict[str, pd.DataFrame] | None = None) -> tuple[Path, Path]:
    """Writes cells.csv and results.csv of a run; the same cells give the same bytes. Returns the two paths.

    `slices` remembers, from one call to the next, the slices of predictions by the SHA-256 of their file.

    A cell that failed is a row of cells.csv with empty figures, and has none in results.csv. No timing enters
    results.csv, so that two runs of one plan can be compared byte by byte, but for those under a budget of seconds.
    Raises BadFile where a cell is broken, and writes nothing then: the figures that stand there may be all that is left
    of it.
    """
    run = open_run(run_directory)
    for error in run.broken.values():
        raise error
    paths = run_directory / CELLS, run_directory / RESULTS
    known = {} if slices is None else slices
    done = [record for record in run.records if record.done]
    for record in done:
        if (digest := record.files[PREDICTIONS]) not in known:
            known[digest] = slice_predictions(run.predictions(record))
    slices_of = {(record.architecture, record.seed): known[record.files[PREDICTIONS]] for record in done}
    results = stacked(slices_of, RESULT_COLUMNS)
    for path, frame in zip(paths, (cells_frame(run.plan, run.records), results), strict=True):
        write_text(path, frame.to_csv(index=False, lineterminator="\n"))
    return paths


def cells_frame(plan: Plan, records: list[Record]) -> pd.DataFrame:
    """Rows of cells.csv. Numbers are objects, lest an empty cell turns the whole numbers of its column to floats."""
    columns = [column for column in CELL_COLUMNS if column != "optimizer_flops" or plan.counts_optimizer]
    rows = [[getattr(record, column) for column in columns] for record in records]
    frame = pd.DataFrame(rows, columns=columns, dtype=object)
    return frame.assign(exclusive=["yes" if record.exclusive else "no" for record in records])


def results_frame(predictions: dict[tuple[str, int], pd.DataFrame]) -> pd.DataFrame:
    """Rows of results.csv, from the predictions of (architecture, seed)."""
    return stacked({cell: slice_predictions(frame) for cell, frame in predictions.items()}, RESULT_COLUMNS)


def stacked(
    frames: dict[tuple[str, int], pd.DataFrame], columns: Iterable[str] = ("architecture", "seed")
) -> pd.DataFrame:
    """Frames of (architecture, seed) below one another, behind two columns that name the cell; `columns` if none."""
    parts = []
    for (architecture, seed), frame in frames.items():
        parts.append(frame.copy())
        parts[-1].insert(0, "architecture", architecture)
        parts[-1].insert(1, "seed", seed)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(columns))
