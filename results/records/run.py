"""A run folder: run.json, the plan, and one folder a cell under cells/."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.results.records.curves import CURVE, read_curve
from bench.results.records.files import BadFile, read_checked_json, verify_checksum, write_checked_json
from bench.results.records.predictions import PREDICTIONS, read_predictions
from bench.results.records.record import RECORD, SCHEMA_VERSION, Record, read_record, verify_files, verify_schema

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
"""What this room needs to know of a plan."""
MAY_HAVE: dict[str, type] = {"settings": dict, "entries": dict, "git": dict, "plan_hash": str}
"""What it reads where a plan says it; a plan may say more."""
SUITE_KEYS: dict[str, type] = {"name": str, "version": int, "hash": str, "summary": str}
STRATUM_KEYS: dict[str, type] = {
    "operation": str,
    "digits": str,
    "signs": str,
    "places": int,
    "test": int,
    "exhaustive": bool,
}
"""`test`: how many test problems the stratum has; `exhaustive`: those are all that exist in the test split."""
CELL_FILES = (PREDICTIONS, CURVE)
"""The files of a finished cell that figures are read from."""


@dataclass(frozen=True)
class Run:
    """A run as it stands on disk."""

    directory: Path
    plan: dict[str, Any]
    """run.json without its checksum"""
    records: list[Record]
    """of the cells that ended and whose files are those that were written, in the plan's order: seed within
    architecture"""
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


def write_plan(run_directory: Path, plan: dict[str, Any]) -> None:
    """Writes run.json with its own checksum. Raises ValueError where the plan lacks what `open_run` needs."""
    if wrong := wrong_in_plan(plan):
        raise ValueError(f"the plan {wrong}")
    write_checked_json(run_directory / PLAN, plan)


def open_run(run_directory: Path) -> Run:
    """Reads the plan and all records, and compares the files that figures come from with their SHA-256.

    A cell with a file that is not what it was is `broken`, and the others stand. Raises BadFile where nothing stands:
    the folder is no run, its plan is not what it was, or it holds a cell that is not in the plan.
    """
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
    folders = {cell_directory(run_directory, *cell) for cell in planned}
    for record_path in sorted(run_directory.glob(f"cells/*/{RECORD}")):
        if record_path.parent not in folders:
            raise BadFile(
                record_path.parent, f"is a cell that is not in the plan ({PLAN})", "move it out of the run folder"
            )
    run = Run(run_directory, plan, records=[], missing=[], broken={})
    for cell in planned:
        if not (cell_directory(run_directory, *cell) / RECORD).exists():
            run.missing.append(cell)
            continue
        try:
            run.records.append(_read_cell(run_directory, plan, *cell))
        except BadFile as error:
            run.broken[cell] = error
    return run


def _read_cell(run_directory: Path, plan: dict[str, Any], architecture: str, seed: int) -> Record:
    """The record of a planned cell. Raises BadFile where it, or a file that figures come from, is not this cell's."""
    folder = cell_directory(run_directory, architecture, seed)
    record = read_record(folder)
    planned = {
        "architecture": architecture,
        "seed": seed,
        "suite_hash": plan["suite"]["hash"],
        "budget": plan["budget"],
    }
    found = {key: getattr(record, key) for key in planned}
    entry = plan.get("entries", {}).get(architecture, {})
    for group in ("config", "training"):
        if group in entry:
            planned |= {f"{group} {key}": value for key, value in entry[group].items()}
            found |= {f"{group} {key}": value for key, value in getattr(record, group).items()}
    for key in planned | found:
        if found.get(key) != planned.get(key):
            wrong = f"is not of this place: {key} is {found.get(key)}, in {PLAN} {planned.get(key)}"
            raise BadFile(folder / RECORD, wrong, "put each cell back into the folder it was written to")
    if record.done:
        verify_files(folder, record, CELL_FILES)
    return record


def wrong_in_plan(plan: dict[str, Any]) -> str:
    """What `plan` lacks, as the end of a sentence; '' if nothing."""
    if wrong := _wrong_types(plan, PLAN_KEYS):
        return wrong
    if plan["schema"] != SCHEMA_VERSION:
        return f"has schema {plan['schema']}, not {SCHEMA_VERSION}"
    if wrong := _wrong_types(plan["suite"], SUITE_KEYS):
        return f"has a suite that {wrong}"
    for stratum in plan["strata"]:
        if not isinstance(stratum, dict) or set(stratum) != set(STRATUM_KEYS):
            return f"has a stratum {stratum!r}, whose keys are not {', '.join(STRATUM_KEYS)}"
        if wrong := _wrong_types(stratum, STRATUM_KEYS):
            return f"has a stratum that {wrong}"
    for key, kind in (("architectures", str), ("seeds", int)):
        if not plan[key] or len(set(map(repr, plan[key]))) != len(plan[key]):
            return f"has {key} {plan[key]}: none, or one twice"
        if strange := [item for item in plan[key] if type(item) is not kind]:
            return f"has {key} with {strange[0]!r}"
    # A name is part of a folder's.
    if strange := [name for name in plan["architectures"] if not re.fullmatch(r"[a-z][a-z0-9-]{0,99}", name)]:
        return f"has an architecture called {strange[0]!r}"
    if strange := [seed for seed in plan["seeds"] if not 0 <= seed < 2**31]:
        return f"has seed {strange[0]}"
    if type(plan["suite"].get("source", "")) is not str:
        return f"has a suite with source of type {type(plan['suite']['source']).__name__}"
    if wrong := _wrong_types(plan, {key: kind for key, kind in MAY_HAVE.items() if key in plan}):
        return wrong
    for name, entry in plan.get("entries", {}).items():
        if not isinstance(entry, dict):
            return f"has an entry of {name} of type {type(entry).__name__}"
        for key in ("config", "training"):
            if not isinstance(entry.get(key, {}), dict):
                return f"has an entry of {name} with {key} of type {type(entry[key]).__name__}"
    return ""


def _wrong_types(table: dict[str, Any], kinds: dict[str, type]) -> str:
    for key, kind in kinds.items():
        if type(table.get(key)) is not kind:
            return f"has no {key}" if key not in table else f"has {key} of type {type(table[key]).__name__}"
    return ""
