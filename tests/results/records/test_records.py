import json
import re
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from bench.results.files import BadFile, checksum, sha256_of, write_json
from bench.results.records import record as records
from bench.results.records.plan import first_mistake
from bench.results.records.record import Record

MakeRecord = Callable[..., Record]

FAILED: dict[str, Any] = {
    **{"status": "diverged", "reason": "the loss is nan at step 12", "correct": None, "total": None},
    **{"exact_match": None, "data_hash": None, "train_seconds": None, "examples": None},
}


def test_a_record_comes_back_as_it_was_written(tmp_path: Path, make_record: MakeRecord) -> None:
    for record in (make_record(), make_record(**FAILED)):
        records.write_record(tmp_path / record.status, record)
        assert records.read_record(tmp_path / record.status) == record
        assert [path.name for path in (tmp_path / record.status).iterdir()] == ["record.json"]


def test_a_budget_of_flops_is_used_up_by_model_and_optimizer(tmp_path: Path, make_record: MakeRecord) -> None:
    """In a record from before the latter was counted, which lacks the key, by the model alone."""
    record = make_record(budget="flops=4000000000", optimizer_flops=1_200_000_000)
    assert (record.all_flops, record.budget_deviation) == (4_200_000_000, pytest.approx(0.05))
    before = make_record(budget="flops=4000000000", optimizer_flops=None)
    assert (before.all_flops, before.budget_deviation) == (3_000_000_000, -0.25)
    records.write_record(tmp_path, before)
    assert "optimizer_flops" not in (tmp_path / "record.json").read_text()
    assert records.read_record(tmp_path) == before
    assert make_record(**FAILED, flops=None).all_flops is None


def test_every_field_says_what_it_is() -> None:
    source = Path(records.__file__).read_text()
    body = source[source.index("class Record") : source.index("def __post_init__")]
    for field in fields(Record):
        declaration = body[body.index(f"\n    {field.name}: ") :].split("\n")
        assert declaration[2].strip().startswith('"""'), field.name


def test_a_finished_record_is_never_overwritten_but_a_failed_one_is(tmp_path: Path, make_record: MakeRecord) -> None:
    records.write_record(tmp_path, make_record(**FAILED))
    records.write_record(tmp_path, make_record())
    before = (tmp_path / "record.json").read_bytes()
    with pytest.raises(ValueError, match="never overwritten"):
        records.write_record(tmp_path, make_record(train_seconds=1.0))
    assert (tmp_path / "record.json").read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": "0"}, "has seed '0' of type str: expected a valid integer"),
        ({"seed": True}, "has seed True of type bool: expected a valid integer"),
        ({"correct": np.int64(3)}, "has correct .* of type int64: expected a valid integer"),
        ({"status": "finished"}, "has status 'finished' of type str: expected 'done', 'diverged', "),
        ({"data_chain": ["ab", 1]}, r"has data_chain\.1 1 of type int: expected a valid string"),
        ({"versions": {"torch": 2}}, r"has versions\.torch 2 of type int: expected a valid string"),
        ({"budget": "steps=0"}, "budget is 'steps=0'"),
        ({"budget": "epochs=3"}, "a unit of examples, steps, tokens, flops, seconds"),
        ({"reason": "one\ntwo"}, "not one line"),
        ({"test_hash": None, "flops": None}, "no value for flops, test_hash"),
        ({"parameters": 0}, "status is 'done', but parameters is 0"),
        ({"flops": 10**400}, r"has flops 1000.*\.\.\..*000 of type int: expected less than"),
        ({"exact_match": 0.7}, "exact_match is 0.7, not 3 / 4"),
        ({"correct": 5, "exact_match": 1.25}, "correct is 5 of total 4"),
    ],
)
def test_a_record_that_cannot_be_is_refused(make_record: MakeRecord, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make_record(**changes)
    assert re.search(message, first_mistake(caught.value))
    assert first_mistake(caught.value).isprintable()


def _rewritten(path: Path, sign: bool = True, **changes: Any) -> None:
    """Changes keys of a record on disk (... removes one), with a checksum that fits or not."""
    content = json.loads(path.read_bytes()) | changes
    content = {key: value for key, value in content.items() if value is not ...}
    if sign:
        content.pop("checksum", None)
        content["checksum"] = checksum(content)
    write_json(path, content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: _rewritten(path, sign=False, correct=4, exact_match=1.0), "was changed after it was written"),
        (lambda path: _rewritten(path, sign=False, checksum=...), "lacks keys: checksum"),
        (lambda path: _rewritten(path, accuracy=1, colour=2), "unknown keys: accuracy, colour"),
        (lambda path: _rewritten(path, flops=..., seed=...), "lacks keys: flops, seed"),
        (lambda path: _rewritten(path, seed="0"), "has seed '0' of type str: expected a valid integer; "),
        (lambda path: _rewritten(path, schema=1), "schema 1, and this program reads 2; use the version"),
        (lambda path: path.write_bytes(path.read_bytes()[:-300]), "not valid JSON"),
        (lambda path: path.write_bytes(b"\xff" + path.read_bytes()), "not valid JSON"),
        (lambda path: path.write_text(path.read_text().replace("0.75", "NaN")), "NaN is no JSON number"),
        (lambda path: path.write_text("[]"), "not a JSON object"),
        (lambda path: path.unlink(), "the file is missing"),
    ],
)
def test_a_record_that_is_not_what_was_written_is_named(
    tmp_path: Path, make_record: MakeRecord, change: Callable[[Path], object], message: str
) -> None:
    records.write_record(tmp_path, make_record())
    change(tmp_path / "record.json")
    with pytest.raises(BadFile, match=message) as caught:
        records.read_record(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "record.json"))
    assert "\n" not in str(caught.value)


def test_no_flipped_bit_goes_unnoticed(tmp_path: Path, make_record: MakeRecord) -> None:
    record = make_record()
    records.write_record(tmp_path, record)
    path = tmp_path / "record.json"
    whole = path.read_bytes()
    for place in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        # Between values a flipped bit may turn one white space to another: then nothing has changed.
        try:
            assert asdict(records.read_record(tmp_path)) == asdict(record), place
        except BadFile:
            continue


def test_files_of_a_cell_are_compared_with_its_record(tmp_path: Path, make_record: MakeRecord) -> None:
    (tmp_path / "curve.csv").write_text("1")
    record = make_record(files={"curve.csv": sha256_of(tmp_path / "curve.csv")})
    records.verify_files(tmp_path, record)
    (tmp_path / "curve.csv").write_text("2")
    with pytest.raises(BadFile, match=r"curve\.csv: was changed after the run"):
        records.verify_files(tmp_path, record)
    (tmp_path / "curve.csv").unlink()
    with pytest.raises(BadFile, match=r"curve\.csv: the file is missing"):
        records.verify_files(tmp_path, record)
    with pytest.raises(BadFile, match=r"does not list the file model\.safetensors"):
        records.verify_files(tmp_path, record, ["model.safetensors"])


def test_how_far_a_budget_was_missed(make_record: MakeRecord) -> None:
    assert make_record(budget="examples=2000").budget_deviation == 0.5
    assert make_record(budget="seconds=10").budget_deviation == -0.75
    assert make_record(**FAILED).budget_deviation is None


@pytest.mark.parametrize(
    ("changes", "alone"),
    [
        ({}, True),
        ({"cpu_seconds": 17.9}, False),  # of 10 s on two threads: 18 are needed
        ({"cell_beside": True}, False),
        ({"cell_beside": None}, True),
        ({"cores": 1, "cpu_seconds": 9.0}, True),  # two threads on one core cannot both be busy
        ({"device": "cuda", "cpu_seconds": 9.0}, True),  # one thread feeds a GPU
        ({"device": "cuda", "cpu_seconds": 8.9}, False),
    ],
)
def test_a_cell_had_the_machine_where_its_threads_were_busy_and_no_cell_was_beside_it(
    changes: dict[str, Any], alone: bool
) -> None:
    figures: dict[str, Any] = {"device": "cpu", "threads": 2, "cores": 4, "wall_seconds": 10.0, "cpu_seconds": 18.0}
    assert records.had_the_machine(**(figures | {"cell_beside": False} | changes)) is alone
