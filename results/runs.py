"""A run folder: run.json, the plan, and one folder a cell under cells/."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.results.curves import CURVE, read_curve
from bench.results.files import BadFile, read_checked_json, verify_checksum, write_checked_json
from bench.results.predictions import PREDICTIONS, read_predictions
from bench.results.records import RECORD, SCHEMA_VERSION, Record, read_record, verify_files, verify_schema

PLAN = "run.json"

PLAN_KEYS: dict[str, type] = {
    "schema": int,
    "suite": dict,
    "architectures": list,
    "seeds": list,
    "budget": str,
    "command": str,
    "strata": list,
}
"""What this room needs to know of a plan; a plan may say more."""
SUITE_KEYS = ("name", "version", "hash", "summary")
STRATUM_KEYS = ("operation", "digits", "signs", "places", "test", "exhaustive")
"""`test`: how many test problems the stratum has; `exhaustive`: those are all that exist in the test split."""


@dataclass(frozen=True)
class Run:
    """A run as it stands on disk."""

    directory: Path
    plan: dict[str, Any]
    """run.json without its checksum"""
    records: list[Record]
    """of the cells that ended, in the plan's order: seed within architecture"""
    missing: list[tuple[str, int]]
    """(architecture, seed) of the cells that have no record yet, in the same order"""

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


def write_plan(run_directory: Path, plan: dict[str, Any]) -> None:
    """Writes run.json with its own checksum. Raises ValueError where the plan lacks what `open_run` needs."""
    if wrong := wrong_in_plan(plan):
        raise ValueError(f"the plan {wrong}")
    write_checked_json(run_directory / PLAN, plan)


def open_run(run_directory: Path) -> Run:
    """Reads the plan and all records. Raises BadFile where the folder is no run, or a file of it is not what it was."""
    path = run_directory / PLAN
    if not path.is_file():
        wrong = f"is no run folder: {PLAN} is missing" if run_directory.is_dir() else "there is no such folder"
        raise BadFile(run_directory, wrong, "give the folder that `python -m bench run` named at its end")
    remedy = "restore it, or run again into another folder"
    plan = read_checked_json(path, remedy)
    verify_schema(path, plan)
    plan = verify_checksum(path, plan, remedy)
    if wrong := wrong_in_plan(plan):
        raise BadFile(path, wrong, remedy)

    planned = [(architecture, seed) for architecture in plan["architectures"] for seed in plan["seeds"]]
    folders = {cell_directory(run_directory, *cell): cell for cell in planned}
    records = []
    for record_path in run_directory.glob(f"cells/*/{RECORD}"):
        cell = record_path.parent
        record = read_record(cell)
        if cell not in folders:
            raise BadFile(cell, f"is a cell that is not in the plan ({PLAN})", "move it out of the run folder")
        if (record.architecture, record.seed) != folders[cell] or record.suite_hash != plan["suite"]["hash"]:
            wrong = (
                f"is of {record.architecture}, seed {record.seed}, suite hash {record.suite_hash}: not of this place"
            )
            raise BadFile(record_path, wrong, "put each cell back into the folder it was written to")
        records.append(record)
    records.sort(key=lambda record: planned.index((record.architecture, record.seed)))
    present = {(record.architecture, record.seed) for record in records}
    return Run(run_directory, plan, records, [cell for cell in planned if cell not in present])


def wrong_in_plan(plan: dict[str, Any]) -> str:
    """What `plan` lacks, as the end of a sentence; '' if nothing."""
    for key, kind in PLAN_KEYS.items():
        if not isinstance(plan.get(key), kind):
            return f"has no {key}" if key not in plan else f"has {key} of type {type(plan[key]).__name__}"
    if plan["schema"] != SCHEMA_VERSION:
        return f"has schema {plan['schema']}, not {SCHEMA_VERSION}"
    if missing := [key for key in SUITE_KEYS if key not in plan["suite"]]:
        return f"has a suite without {', '.join(missing)}"
    for stratum in plan["strata"]:
        if not isinstance(stratum, dict) or set(stratum) != set(STRATUM_KEYS):
            return f"has a stratum {stratum!r}, whose keys are not {', '.join(STRATUM_KEYS)}"
    return ""
