"""A small run folder with made-up answers: two architectures, three seeds, strata sampled and exhaustive."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plans
import pytest

from bench.results.files import sha256_of
from bench.results.records.curves import CURVE, write_curve
from bench.results.records.plan import SCHEMA_VERSION, Plan, PlannedStratum, write_plan
from bench.results.records.predictions import COLUMNS, PREDICTIONS, write_predictions
from bench.results.records.record import Record, write_record
from bench.results.records.run import cell_directory, open_run
from bench.results.report.contents import Contents, contents

DIGITS = ("1x1", "1x2", "2x1", "2x2")
SIGNS = ("++", "+-", "-+", "--")
PROBLEMS = {"1x1": 3, "1x2": 4, "2x1": 5, "2x2": 6}
"""pattern -> magnitudes a stratum"""
EXHAUSTIVE = {("+", "1x1"), ("-", "1x1"), ("*", "1x1"), ("/", "1x1"), ("/", "1x2")}
SKILL = {"lstm": 0.55, "transformer": 0.9}


def _evaluation_set() -> pd.DataFrame:
    """The same problems for every cell; columns of the predictions that do not depend on the cell."""
    generator = np.random.default_rng(7)
    rows: list[dict[str, Any]] = []
    for operation, digits in itertools.product("+-*/", DIGITS):
        a_digits, b_digits = map(int, digits.split("x"))
        for number in range(PROBLEMS[digits] + 1):  # the last one is of the training split
            low_b = 10 ** (b_digits - 1)
            a, b = int(generator.integers(10 ** (a_digits - 1), 10**a_digits)), low_b + number
            for signs in SIGNS:
                x, y = (-a if signs[0] == "-" else a), (-b if signs[1] == "-" else b)
                exact = {"+": x + y, "-": x - y, "*": x * y, "/": int(x / y)}[operation]
                places = int(operation == "+" and signs == "++")  # one stratum a pattern with another value
                row: dict[str, Any] = {
                    "split": "test" if number < PROBLEMS[digits] else "train",
                    "a": str(x),
                    "op": operation,
                }
                row |= {"b": str(y), "answer": str(exact), "digits": digits, "signs": signs, "places": places}
                row |= {"carries": a % 10 + b % 10 >= 10 if operation in "+-" else None}
                row |= {"answer_length": len(str(exact)), "range": "beyond" if digits == "2x2" else "trained"}
                rows.append(row)
    frame = pd.DataFrame(rows)
    return frame.assign(item=range(len(frame)), carries=frame["carries"].astype("Int64"))


def _predictions(skill: float, generator: np.random.Generator) -> pd.DataFrame:
    frame = _evaluation_set()
    right = generator.random(len(frame)) < skill
    wrong = [answer[:-1] + str(9 - int(answer[-1])) for answer in frame["answer"]]
    prediction = frame["answer"].where(right, wrong)
    prediction = prediction.mask(~right & (generator.random(len(frame)) < 0.2), "")
    digits = frame["answer"].str.count(r"\d")
    digits_right = digits.where(right, digits - 1).where(prediction != "", 0)
    raw = prediction.str[::-1] + "<eos>"
    frame = frame.assign(prediction=prediction, raw=raw, ended=1, right=right.astype(int), digits_right=digits_right)
    return frame[list(COLUMNS)]


def _record(**changes: Any) -> Record:
    """A record of a finished cell without predictions."""
    fields: dict[str, Any] = {
        **{"schema": SCHEMA_VERSION, "architecture": "lstm", "seed": 0, "status": "done", "reason": ""},
        **{"suite": "tiny", "suite_version": 1, "suite_hash": "5" * 64, "budget": "examples=3000"},
        **{"config": {"width": 8}, "training": {"optimizer": "adamw"}, "preset": "tiny 10k examples=3000"},
        **{"tuned": True, "match": "total", "parameters": 10_000, "active_parameters": 10_000, "examples": 3000},
        **{"unique_problems": 2500, "tokens": 30_000, "steps": 30, "flops": 3 * 10**9, "train_seconds": 2.5},
        **{"optimizer_flops": 0},
        **{"wall_seconds": 2.6, "cpu_seconds": 5.0, "cell_beside": False},
        **{
            "tokens_per_second": 12_000.0,
            "examples_per_second": 1200.0,
            "examples_per_second_quartiles": [1100, 1300.0],
        },
        **{"decode_problems_per_second": 800.0, "peak_memory_mb": 12.5, "state_bytes": 64, "weight_bits": 32},
        **{"device": "cpu", "precision": "32", "threads": 2, "exclusive": True},
        **{"data_hash": "d0", "data_chain": ["c1", "c2"], "test_hash": "e" * 64, "validation_hash": "f" * 64},
        **{"correct": 3, "total": 4, "exact_match": 0.75, "validation_correct": 1, "validation_total": 2},
        **{"versions": {"torch": "2.13.0"}, "machine": {"cpus": 2}, "files": {}},
    }
    return Record(**(fields | changes))


def _plan(**changes: Any) -> Plan:
    strata = [
        PlannedStratum(
            operation=operation,
            digits=digits,
            signs=signs,
            places=int(operation + signs == "+++"),
            test=PROBLEMS[digits],
            exhaustive=(operation, digits) in EXHAUSTIVE,
        )
        for operation, digits, signs in itertools.product("+-*/", DIGITS, SIGNS)
    ]
    return plans.make_plan(**({"architectures": list(SKILL), "strata": strata} | changes))


def _curve(record: Record, share_right: float) -> pd.DataFrame:
    """Twenty points of a straight line to `share_right` on validation."""
    parts = np.arange(1, 21) / 20
    examples, flops, train_seconds = record.examples or 0, record.flops or 0, record.train_seconds or 0
    counted = {} if record.optimizer_flops is None else {"optimizer_flops": record.optimizer_flops * parts}
    return pd.DataFrame(
        {
            **{"examples": examples * parts, "tokens": 10 * examples * parts, "steps": np.arange(1, 21)},
            **{"flops": flops * parts, **counted, "train_seconds": train_seconds * parts},
            **{"learning_rate": 0.01 * (1 - parts)},
            **{"train_loss": 2 * (1 - parts), "correct": 200 * share_right * parts, "total": 200},
        }
    )


def _write_cell(run_directory: Path, predictions: pd.DataFrame, **changes: Any) -> Record:
    """Writes predictions, a curve and a record that fits them; returns the record."""
    cell = cell_directory(run_directory, changes["architecture"], changes["seed"])
    write_predictions(cell, predictions)
    right = predictions.loc[predictions["split"] == "test", "right"]
    counts = {"correct": int(right.sum()), "total": len(right), "exact_match": int(right.sum()) / len(right)}
    record = _record(**(counts | changes))
    share_right = (record.validation_correct or 0) / (record.validation_total or 1)
    write_curve(cell, _curve(record, share_right))
    files = {name: sha256_of(cell / name) for name in (PREDICTIONS, CURVE)}
    record = replace(record, files=files | record.files)
    write_record(cell, record)
    return record


@pytest.fixture
def make_record() -> Callable[..., Record]:
    return _record


@pytest.fixture
def make_plan() -> Callable[..., Plan]:
    return _plan


@pytest.fixture
def write_cell() -> Callable[..., Record]:
    return _write_cell


@pytest.fixture
def predictions() -> pd.DataFrame:
    """What one middling cell answered."""
    return _predictions(0.6, np.random.default_rng(3))


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    """A whole run on disk, all cells done."""
    return _write_run(tmp_path / "run")


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    """The report on such a run."""
    return contents([open_run(_write_run(tmp_path_factory.mktemp("report") / "run"))])


def _write_run(directory: Path) -> Path:
    write_plan(directory, _plan())
    for number, ((architecture, skill), seed) in enumerate(itertools.product(SKILL.items(), (0, 1, 2))):
        facts: dict[str, Any] = {"data_hash": f"d{seed}", "data_chain": [f"c{seed}1", f"c{seed}2"]}
        if architecture == "transformer":
            facts |= {"parameters": 10_100, "active_parameters": 10_100, "flops": 6 * 10**9}
        facts |= {"train_seconds": 2.5 + number, "architecture": architecture, "seed": seed}
        _write_cell(directory, _predictions(skill, np.random.default_rng([11, number])), **facts)
    return directory
