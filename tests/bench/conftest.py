"""The suite `tiny`, and a run of it."""

from pathlib import Path

import pytest
from calling import train
from tiny import TINY

from bench.datasets.suites import Suite, load_suite
from bench.planning.decide import decide
from bench.planning.options import RunOptions


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
