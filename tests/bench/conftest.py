"""A suite that is learnt and asked in a second."""

from pathlib import Path

import pytest
from calling import train

from bench.datasets.suites import Suite, load_suite
from bench.planning.decide import decide
from bench.planning.options import RunOptions

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


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory, tiny_path: Path) -> Path:
    """A finished run of two architectures and two seeds, its cells trained in this process. To be read only."""
    directory = tmp_path_factory.mktemp("trained") / "run"
    options = RunOptions(arch="lstm,masked-encoder", suite=str(tiny_path), seeds="2", threads=1)
    train(decide(options, command="test"), directory)
    return directory
