"""The files of a search by `tune`: its settings, its trials, and the settings that it found best."""

import csv
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.results.files import BadFile, read_checked_json, verify_checksum
from bench.results.records.typed_csv import Column

SEARCH, TRIALS, BEST = "tune.json", "trials.csv", "tune.toml"
REMEDY = "restore it, or give another folder"

TRIAL_COLUMNS = {
    "architecture": Column("str", "name of the architecture"),
    "stage": Column("str", "'search', or 'final' at the whole budget"),
    "trial": Column("int64", "number from 0 within the architecture; of a final that of its finalist, the best first"),
    "seed": Column("int64", "of model and data; several finals of one finalist differ in it"),
    "state": Column("str", "'done', 'pruned' (it counts as worse than all done ones) or 'failed'"),
    "reason": Column("str", "why it was not done, or ''"),
    "score": Column("float64", "`correct` / `total`; '' where nothing was asked"),
    "correct": Column("Int64", "validation problems answered exactly"),
    "total": Column("Int64", "those asked: all of them where done, the sample of the learning curve where pruned"),
    "examples": Column("int64", "trained on"),
    "flops": Column("int64", "floating-point operations of its training"),
    "train_seconds": Column("float64", "as in record.json"),
    "at_edge": Column("str", "its settings that stand at an edge of the space, as `batch=32, layers=6`"),
}
"""Columns of trials.csv; each setting has one more, '' where an architecture does not search it."""


@dataclass(frozen=True)
class TrialRow:
    """What a row of trials.csv says that tables show."""

    stage: str
    number: int
    state: str
    score: float | None
    train_seconds: float
    at_edge: str | None
    """None in searches of 0.2.0"""
    settings: dict[str, str]
    """as they are written"""


@dataclass(frozen=True)
class SearchFiles:
    """What the files of a search say."""

    trials: dict[str, list[TrialRow]]
    """of each architecture"""
    papers: dict[str, dict[str, Any]]
    """architecture -> its own options -> what its paper has there; empty for searches of 0.2.0"""
    best: dict[str, dict[str, Any]]
    """architecture -> the settings that were taken; without those that lack trials or finals"""


def read_search(directory: Path) -> SearchFiles:
    """Raises BadFile where a file of the search is missing or broken."""
    path = directory / SEARCH
    about = verify_checksum(path, read_checked_json(path, REMEDY), REMEDY)
    papers = {name: entry["paper"] for name, entry in about.get("architectures", {}).items()}
    trials: dict[str, list[TrialRow]] = {}
    path = directory / TRIALS
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, restval="", strict=True):
                trials.setdefault(row["architecture"], []).append(_trial_row(row))
        path = directory / BEST
        best = tomllib.loads(path.read_text(encoding="utf-8"))
    except KeyError as error:
        raise BadFile(path, f"has no column {error}", REMEDY) from None
    except (OSError, ValueError, csv.Error) as error:
        raise BadFile(path, f"cannot be read ({error})", REMEDY) from None
    return SearchFiles(trials, papers, {name: best[name] for name in trials if name in best})


def _trial_row(row: dict[str, str]) -> TrialRow:
    return TrialRow(
        stage=row["stage"],
        number=int(row["trial"]),
        state=row["state"],
        score=float(row["score"]) if row["score"] else None,
        train_seconds=float(row["train_seconds"]),
        at_edge=row.get("at_edge"),
        settings={name: value for name, value in row.items() if value and name not in TRIAL_COLUMNS},
    )
