"""A suite that is learnt and asked in a second."""

from pathlib import Path

import pytest

from bench.datasets.suites import Suite, load_suite

TINY = """
name = "tiny"
version = 1
summary = "sums, differences and quotients of one digit"
operations = ["+", "-", "/"]
digits = ["1x1"]
[evaluation]
per_stratum = 10
seen = 5
[defaults]
budget = "examples=600"
parameters = 5_000
seeds = 1
batch = 32
"""


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("suite") / "tiny.toml"
    path.write_text(TINY, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tiny(tiny_path: Path) -> Suite:
    return load_suite(str(tiny_path))
