"""The suite `tiny`, and a run of it."""

from pathlib import Path

import pytest
from tiny import TINY

from bench.datasets.suites import Suite, load_suite
from bench.planning.decide import resolve
from bench.planning.options import RunOptions
from bench.results.records.run import cell_directory
from bench.running.cell import run_cell
from bench.running.engine import work_of
from bench.running.run_folder import prepare


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
    plan = resolve(RunOptions(arch="lstm,masked-encoder", suite=str(tiny_path), seeds="2", threads=1))
    prepare(plan, directory, "test")
    for entry in plan.entries:
        for seed in plan.seeds:
            run_cell(work_of(plan, entry, seed, cell_directory(directory, entry.name, seed)), lambda event: None)
    return directory
