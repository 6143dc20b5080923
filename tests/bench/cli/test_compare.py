"""`compare` as a user meets it, on a run folder with made-up answers."""

import json
import sys
from dataclasses import fields
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from plans import make_plan

from bench.__main__ import main
from bench.results.files import sha256_of
from bench.results.records.curves import COLUMNS as CURVE_COLUMNS
from bench.results.records.curves import CURVE, write_curve
from bench.results.records.plan import SCHEMA_VERSION, read_plan, write_plan
from bench.results.records.predictions import COLUMNS, PREDICTIONS, write_predictions
from bench.results.records.record import Record, write_record
from bench.results.records.run import cell_directory

RIGHT = {"lstm": (0.60, 0.61, 0.62), "transformer": (0.93, 0.91, 0.92), "gru": (0.97, 0.96, 0.02), "rnn": ()}
"""architecture -> share right of each seed"""


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "run"
    write_plan(directory, make_plan(architectures=list(RIGHT), budget="examples=9"))
    for (name, shares), seed in product(RIGHT.items(), range(3)):
        if seed < len(shares):
            _write_cell(directory, name, seed, shares[seed])
    return directory


def _write_cell(directory: Path, name: str, seed: int, share: float) -> None:
    cell = cell_directory(directory, name, seed)
    answers = pd.DataFrame(
        [{"a": str(a), "op": op, "b": str(b), "signs": signs} for a, b, op, signs in _problems()]
    ).assign(split="test", answer="7", prediction="7", raw="7", ended=1, digits="1x1", places=0, carries=0)
    order = np.argsort((np.arange(len(answers)) * 0.618034) % 1)  # spreads the right answers over all slices
    correct = round(share * len(answers))
    answers = answers.assign(item=range(len(answers)), answer_length=1, range="trained", digits_right=1)
    write_predictions(
        cell, answers.assign(right=np.isin(np.arange(len(answers)), order[:correct]).astype(int))[list(COLUMNS)]
    )
    write_curve(cell, pd.DataFrame([dict.fromkeys(CURVE_COLUMNS, 9)]))
    facts = dict.fromkeys(field.name for field in fields(Record))
    facts |= {"schema": SCHEMA_VERSION, "architecture": name, "seed": seed, "status": "done", "reason": ""}
    facts |= {"suite": "tiny", "suite_version": 1, "suite_hash": "5" * 64, "budget": "examples=9"}
    facts |= {"config": {"width": 8}, "training": {"optimizer": "adamw"}, "preset": "other", "tuned": name != "lstm"}
    facts |= {"match": "total", "device": "cpu"}
    facts |= dict.fromkeys(("parameters", "active_parameters", "examples", "tokens", "steps", "flops"), 9)
    facts |= {"train_seconds": 1.0, "precision": "32", "threads": 1, "exclusive": True, "data_hash": f"d{seed}"}
    facts |= {"data_chain": [], "test_hash": "e", "versions": {}, "machine": {}, "correct": correct}
    facts |= {"total": len(answers), "exact_match": correct / len(answers), "validation_total": 100}
    facts |= {
        "validation_correct": int(100 * share),
        "files": {name: sha256_of(cell / name) for name in (PREDICTIONS, CURVE)},
    }
    write_record(cell, Record(**facts))


def _problems() -> list[tuple[int, int, str, str]]:
    return [(a, b, op, signs) for a, b in product(range(1, 6), range(1, 6)) for op in "+*" for signs in ("++", "--")]


def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["bench", "compare", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    captured = capsys.readouterr()
    return int(exit_.value.code or 0), captured.out, captured.err


def test_compare_prints_tables_and_sentences(
    run_directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, err = call(capsys, monkeypatch, str(run_directory), "--arch", "transformer,lstm")
    assert (status, err) == (0, "")
    assert out.startswith("Held equal: the budget was examples=9")
    assert "Exact match, transformer minus lstm" in out
    assert "These two trained models: exact McNemar on the same 100 problems" in out
    assert "transformer is right 31.0 points more often than lstm [26.7, 35.3], 3 seeds." in " ".join(out.split())
    assert "! lstm was not tuned for this" in out
    assert "solved" not in out
    rows = {line.split("  ")[0] for line in out.splitlines()}
    assert {"all", "operation +", "operation *", "signs ++", "signs --"} <= rows
    assert "digits 1x1" not in rows  # the same as `all`


def test_all_or_nothing_seeds_put_the_solved_share_first(
    run_directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, out, _ = call(capsys, monkeypatch, str(run_directory), "--arch", "gru,lstm")
    [header] = [line for line in out.splitlines() if "gru solved %" in line]
    assert header.index("gru solved %") < header.index("gru %")
    [row] = [line for line in out.splitlines() if line.startswith("all ") and "[0.0, 56.1]" in line]
    assert "No t interval holds there" in out
    assert "All-or-nothing: gru solves it in 0 of 3 seeds [0.0, 56.1] %" in " ".join(out.split())
    assert row.split()[1] == "100"


def test_json_is_one_list_of_the_rows_of_both_tables(
    run_directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, err = call(capsys, monkeypatch, str(run_directory), "--arch", "lstm,transformer", "--json")
    assert (status, err) == (0, "")
    listed = json.loads(out)
    slices = [row for row in listed if row["table"] == "across seeds"]
    models = [row for row in listed if row["table"] == "these two trained models"]
    assert len(slices) + len(models) == len(listed)
    assert slices[0]["difference"]["mean"] == pytest.approx(-0.31)
    assert slices[0]["verdict"] == "transformer"
    assert {"slice", "value", "p", "holm", "sign_flip", "all_or_nothing", "sentence"} <= set(slices[0])
    assert [(row["seed"], row["only_one_right"], row["only_other_right"]) for row in models] == [
        (0, 0, 33),
        (1, 0, 30),
        (2, 0, 30),
    ]
    assert all(row["architectures"] == ["lstm", "transformer"] for row in listed)


@pytest.mark.parametrize(
    ("arguments", "value", "rule"),
    [
        (["--arch", "lstm"], "'lstm'", "expected two architectures"),
        (["--arch", "lstm,gru,transformer"], "'lstm,gru,transformer'", "expected two architectures"),
        (["--arch", "lstm,lstm"], "lstm", "twice"),
        (["--arch", "lstm,trasformer"], "'trasformer'", "did you mean 'transformer'?"),
        (["--arch", "lstm,rnn"], "rnn", "has no finished cell"),
        (["--arch", ","], "','", "at least one name"),
        ([], "--arch", "requires an argument"),
    ],
)
def test_bad_input_is_one_clear_line(
    arguments: list[str],
    value: str,
    rule: str,
    run_directory: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    status, out, err = call(capsys, monkeypatch, str(run_directory), *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("bench: ")
    assert value in err
    assert rule in err


def test_a_folder_that_is_no_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, err = call(capsys, monkeypatch, str(tmp_path), "--arch", "lstm,gru")
    assert (status, out) == (2, "")
    assert "is no run folder" in err


def test_architectures_of_two_runs_are_compared_where_the_runs_may_be_joined(
    run_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, test_hash in (("joins", read_plan(run_directory).test_hash), ("apart", "another")):
        write_plan(tmp_path / folder, make_plan(architectures=["mine"], budget="examples=9", test_hash=test_hash))
        for seed in range(3):
            _write_cell(tmp_path / folder, "mine", seed, 0.3 + 0.01 * seed)
    arguments = (str(run_directory), str(tmp_path / "joins"), "--arch", "transformer,mine")
    status, out, _ = call(capsys, monkeypatch, *arguments)
    assert status == 0
    assert "transformer is right 61.0 points more often than mine" in out
    arguments_of_both = (*arguments[:2], str(tmp_path / "apart"), *arguments[2:])
    status, same, err = call(capsys, monkeypatch, *arguments_of_both)
    assert (status, same) == (0, out)
    assert "other test problems (test_hash)" in err.splitlines()[0]
    assert f"compared is what {run_directory}, {tmp_path / 'joins'} hold" in err.splitlines()[1]
    status, out, err = call(capsys, monkeypatch, *arguments[:1], str(tmp_path / "apart"), *arguments[2:])
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "transformer and mine cannot be compared" in err
    assert "other test problems (test_hash)" in err
