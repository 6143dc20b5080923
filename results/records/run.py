"""A run folder: run.json, the plan, and one folder a cell under cells/."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.results.files import BadFile
from bench.results.records.curves import CURVE, read_curve
from bench.results.records.plan import PLAN, Plan, read_plan
from bench.results.records.predictions import PREDICTIONS, read_predictions
from bench.results.records.record import RECORD, Record, read_record, verify_files

CELL_FILES = (PREDICTIONS, CURVE)
"""The files of a finished cell that figures are read from."""


@dataclass(frozen=True)
class RunFolder:
    """A run as it stands on disk."""

    directory: Path
    plan: Plan
    records: list[Record]
    """of the cells that ended, with the files that were written, in the plan's order: seed within architecture"""
    missing: list[tuple[str, int]]
    """(architecture, seed) of the cells that have no record yet, in the same order"""
    broken: dict[tuple[str, int], BadFile]
    """(architecture, seed) -> what is wrong with a file of the cell; such a cell is in no figure"""

    def predictions(self, record: Record) -> pd.DataFrame:
        """What a cell answered. Raises BadFile where the file is not the one of the record or contradicts it."""
        cell = cell_directory(self.directory, record.architecture, record.seed)
        verify_files(cell, record, [PREDICTIONS])
        predictions = read_predictions(cell)
        right = predictions.loc[predictions["split"] == "test", "right"]
        if record.done and (right.sum(), len(right)) != (record.correct, record.total):
            wrong = f"counts {right.sum()} right of {len(right)}, the record {record.correct} of {record.total}"
            raise BadFile(cell / PREDICTIONS, wrong, "delete the cell's folder and run it again")
        return predictions

    def curve(self, record: Record) -> pd.DataFrame:
        """How a cell learnt. Raises BadFile where the file is not the one of the record."""
        cell = cell_directory(self.directory, record.architecture, record.seed)
        verify_files(cell, record, [CURVE])
        return read_curve(cell)


def cell_directory(run_directory: Path, architecture: str, seed: int) -> Path:
    """Where a cell keeps its files, such as RUN/cells/lstm-s0."""
    return run_directory / "cells" / f"{architecture}-s{seed}"


def open_run(run_directory: Path) -> RunFolder:
    """Reads the plan and all records, and compares the files that figures come from with their SHA-256.

    A cell with a file that is not what it was is `broken`, and the others stand. Raises BadFile where nothing stands:
    the folder is no run, its plan is not what it was, or it holds a cell that is not in the plan.
    """
    plan = read_plan(run_directory)
    planned = plan.cells
    folders = {cell_directory(run_directory, *cell) for cell in planned}
    for record_path in sorted(run_directory.glob(f"cells/*/{RECORD}")):
        if record_path.parent not in folders:
            raise BadFile(
                record_path.parent, f"is a cell that is not in the plan ({PLAN})", "move it out of the run folder"
            )
    run = RunFolder(run_directory, plan, records=[], missing=[], broken={})
    for cell in planned:
        if not (cell_directory(run_directory, *cell) / RECORD).exists():
            run.missing.append(cell)
            continue
        try:
            run.records.append(_read_cell(run_directory, plan, *cell))
        except BadFile as error:
            run.broken[cell] = error
    return run


def _read_cell(run_directory: Path, plan: Plan, architecture: str, seed: int) -> Record:
    """The record of a planned cell. Raises BadFile where it, or a file that figures come from, is not this cell's."""
    folder = cell_directory(run_directory, architecture, seed)
    record = read_record(folder)
    planned: dict[str, Any] = {"architecture": architecture, "seed": seed}
    planned |= {"suite_hash": plan.suite.hash, "budget": plan.budget}
    planned |= {"plugin_hash": plan.entries[architecture].plugin_hash}
    found = {key: getattr(record, key) for key in planned}
    for group in ("config", "training"):
        planned |= {f"{group} {key}": value for key, value in getattr(plan.entries[architecture], group).items()}
        found |= {f"{group} {key}": value for key, value in getattr(record, group).items()}
    for key in planned | found:
        if found.get(key) != planned.get(key):
            wrong = f"is not of this place: {key} is {found.get(key)}, in {PLAN} {planned.get(key)}"
            raise BadFile(folder / RECORD, wrong, "put each cell back into the folder it was written to")
    if record.done:
        verify_files(folder, record, CELL_FILES)
    return record
