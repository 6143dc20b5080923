"""The plans and records of the published runs: each is read, keeps its hash, and is written back to the byte."""

from pathlib import Path

import pytest
from places import PUBLISHED

from bench.results.records.plan import PLAN, read_plan, write_plan
from bench.results.records.record import RECORD, read_record, write_record

PLANS, RECORDS = sorted(PUBLISHED.rglob(PLAN)), sorted(PUBLISHED.rglob(RECORD))


def test_there_are_some() -> None:
    assert PLANS
    assert len(RECORDS) >= len(PLANS)


@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.parent.relative_to(PUBLISHED))) for path in PLANS])
def test_a_published_plan_is_written_back_to_the_byte(path: Path, tmp_path: Path) -> None:
    plan = read_plan(path.parent)
    assert plan.recomputed_hash() == plan.plan_hash
    write_plan(tmp_path, plan)
    assert (tmp_path / PLAN).read_bytes() == path.read_bytes()


def test_every_published_record_is_written_back_to_the_byte(tmp_path: Path) -> None:
    for number, path in enumerate(RECORDS):
        write_record(tmp_path / str(number), read_record(path.parent))
        assert (tmp_path / str(number) / RECORD).read_bytes() == path.read_bytes(), path
