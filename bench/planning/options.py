"""Options of `run` and `check`, and those of `tune`. Imports nothing heavy, so that `--help` stays fast."""

import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(kw_only=True, frozen=True)
class RunOptions:
    """How to train and evaluate."""

    arch: str
    """Architectures, separated by commas, or 'all'."""
    suite: str = "quick"
    """Suite by name (`list suites`), or the path of a TOML file of your own."""
    seeds: str | None = None
    """A count (3 means 0,1,2) or a list with a comma (0,4,7 or 4,). Default: the suite's."""
    budget: str | None = None
    """Training of each cell: examples=N, steps=N, tokens=N, flops=N or seconds=N, such as examples=300k, flops=1e11
    (of model and optimizer together) or seconds=10min. Default: the suite's."""
    params: str | None = None
    """Parameters of each model, met within 2 %. Default: the suite's."""
    match: Literal["total", "active"] = "total"
    """Which parameters are held equal; they differ in sparse models only."""
    training_problems: str | None = None
    """Train on this many distinct problems, epoch after epoch. Default: endless fresh draws."""
    out: Path | None = None
    """Folder of the run. Default: runs/SUITE-HASH."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to train."""
    precision: Literal["32", "bf16", "16"] = "32"
    """Of matrix products; weights stay in 32 bits."""
    threads: int | None = None
    """Processor threads a cell. Default: the cores shared out among the cells at once."""
    cells_at_once: int | None = None
    """Cells that train beside one another; from 2 on their times are marked as shared. Default: as many as have cores
    for their threads, so one a core; one alone where the budget is seconds or the device a GPU."""
    set: Annotated[tuple[str, ...], Parameter(show_default=False)] = ()
    """Settings, separated by commas or each behind a --set of its own, for all that have them: --set lr=3e-3,layers=3;
    or for one architecture: --set lstm.lr=1e-2."""
    set_file: Path | None = None
    """TOML file with settings a table an architecture, such as `tune` writes. --set wins over it."""
    stop_when_flat: int | None = None
    """End a cell after this many validations without gain, and mark it. Default: never."""
    unequal: bool = False
    """Run sizes that cannot be met, and mark them in every table."""
    plugin: str | None = None
    """Module(s) that register architectures of your own, by name or as path/of/file.py."""


@Parameter(name="*")
@dataclass(kw_only=True, frozen=True)
class ClusterOptions:
    """On which machines cells train. None of it decides what they learn."""

    engine: Literal["inline", "ray"] = "inline"
    """Where cells train: inline in processes of this machine, or ray as tasks of a Ray cluster (extra `cluster`)."""
    address: str | None = None
    """Of the Ray cluster: HOST:PORT, ray://HOST:PORT or auto. Default: RAY_ADDRESS, else a Ray of this machine."""
    gpus_per_cell: float = 0.0
    """GPUs that Ray gives a cell: 1, several, or a share such as 0.25, so that small cells share one."""
    cell_resources: str | None = None
    """Other resources of Ray that a cell takes, as JSON: '{"a100": 1}'."""
    checkpoint_dir: Path | None = None
    """Folder on a disk that all nodes of the cluster share, for checkpoints: a cell whose node is lost goes on there.
    Default: each on the disk of its own node."""
    exclusive: bool = False
    """Give each cell a whole node, so that times of one kind of node can be compared."""


INLINE = ClusterOptions()
"""On this machine, in processes of its own."""


@Parameter(name="*")
@dataclass(kw_only=True, frozen=True)
class TuneOptions:
    """How to search. What `run` has too means the same."""

    arch: str
    """Architectures, separated by commas, or 'all'."""
    suite: str = "quick"
    """Suite by name (`list suites`), or the path of a TOML file of your own."""
    trials: int = 20
    """Trials of each architecture."""
    finalists: int | None = None
    """How many of its best trials are trained once more, at the whole budget. Default: 5, or all of fewer trials."""
    final_seeds: int = 2
    """How many seeds each of these is trained with: that of the search, and those that follow it."""
    budget: str | None = None
    """Training of each trial, a quarter of what the settings are for. Default: a quarter of the suite's."""
    params: str | None = None
    """Parameters of each model, met within 2 %. Default: the suite's."""
    match: Literal["total", "active"] = "total"
    """Which parameters are held equal; they differ in sparse models only."""
    training_problems: str | None = None
    """Train on this many distinct problems, epoch after epoch. Default: endless fresh draws."""
    seed: int = 100
    """Of the search, and of every trial's model and data; by default none that a run takes."""
    out: Path | None = None
    """Folder of the search. Default: tune/SUITE-HASH."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to train."""
    precision: Literal["32", "bf16", "16"] = "32"
    """Of matrix products; weights stay in 32 bits."""
    threads: int | None = None
    """Processor threads a trial. Default: the cores shared out among the trials at once."""
    cells_at_once: int | None = None
    """Trials, each of another architecture, or finals that train beside one another. Default: as in `run`."""
    plugin: str | None = None
    """Module(s) that register architectures of your own, by name or as path/of/file.py."""


@Parameter(name="*")
@dataclass(kw_only=True, frozen=True)
class ReachOptions:
    """How to find the reach. What `run` has too means the same."""

    arch: str
    """Architectures, separated by commas, or 'all'."""
    operation: Literal["+", "-", "*", "/"] = "*"
    """What is asked: + - * or /, without signs. A dividend has twice as many digits as its divisor."""
    budget: str
    """Training of each cell, as in `run`: flops=2T, seconds=600, ..."""
    workings: Literal["none", "scratchpad", "scratchpad-sums"] = "none"
    """What stands before an answer: nothing, or how it is worked out."""
    params: str = "100k"
    """Parameters of each model, met within 2 %."""
    seeds: int = 3
    """Seeds that must each answer 99 % right."""
    most: int = 32
    """Digits that are tried at most, 100 or fewer."""
    tries: int = 9
    """Numbers of digits that are tried at most for each architecture."""
    out: Path | None = None
    """Folder of the search. Default: reach/OPERATION-HASH."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to train."""
    precision: Literal["32", "bf16", "16"] = "32"
    """Of matrix products; weights stay in 32 bits."""
    threads: int | None = None
    """Processor threads a cell. Default: the cores shared out among the cells at once."""
    cells_at_once: int | None = None
    """Cells that train beside one another. Default: as in `run`."""
    set: Annotated[tuple[str, ...], Parameter(show_default=False)] = ()
    """Settings, as in `run`."""
    set_file: Path | None = None
    """TOML file with settings a table an architecture, as in `run`."""
    plugin: str | None = None
    """Module(s) that register architectures of your own, by name or as path/of/file.py."""


def command_of(options: RunOptions, cluster: ClusterOptions = INLINE) -> str:
    """The command that does the same as these options."""
    words = ["python", "-m", "bench", "run"]
    for some in (options, cluster):
        for name, value in asdict(some).items():
            flag = f"--{name.replace('_', '-')}"
            if value == getattr(type(some), name, None):
                continue
            if value is True:
                words.append(flag)
            else:
                given = value if isinstance(value, tuple) else [value]
                words += [word for each in given for word in (flag, str(each))]
    return shlex.join(words)
