"""What runs on disk say of a kind of problems: how often each architecture was right, and what its training cost."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pandas as pd

from bench.results.records.collect import CELLS, RESULTS
from bench.results.records.plan import PLAN, Plan, read_plan
from bench.results.statistics.estimates import Estimate, estimate


@dataclass(frozen=True)
class Evidence:
    """How one architecture of one run did on the problems asked about."""

    directory: Path
    plan: Plan
    architecture: str
    seeds: list[int]
    """those that ended; one that diverged has none right"""
    right: Estimate
    asked: int
    """problems, per seed"""
    train_seconds: float
    """median over the seeds, on the machine of the run"""


def run_folders(roots: Iterable[Path]) -> list[Path]:
    """The folders of runs in these, at any depth, each once, in order."""
    return list(dict.fromkeys(plan.parent for root in roots for plan in sorted(root.rglob(PLAN))))


def evidence(directories: Iterable[Path], operations: Sequence[str], digits: str) -> list[Evidence]:
    """What each architecture of these runs did on these operations with so many digits, such as `3x3`; the best first.

    Runs that asked nothing of the kind, or whose tables are not written, have none. Raises BadFile on a broken plan.
    """
    found = []
    for directory in directories:
        files = directory / RESULTS, directory / CELLS
        if not all(file.exists() for file in files):
            continue
        results, cells = (pd.read_csv(file) for file in files)
        wanted = [f"{operation} {digits}" for operation in operations]
        rows = results[(results["slice"] == "operation x digits") & results["value"].isin(wanted)]
        if set(rows["value"]) != set(wanted):
            continue
        plan = read_plan(directory)
        for architecture, of_it in rows.groupby("architecture", sort=False):
            sums = of_it.groupby("seed")[["correct", "total"]].sum()
            ended = cells[(cells["architecture"] == architecture) & (cells["status"] == "done")]
            diverged = cells.loc[(cells["architecture"] == architecture) & (cells["status"] == "diverged"), "seed"]
            correct = [*map(int, sums["correct"]), *[0] * len(diverged)]
            total = int(sums["total"].iloc[0])
            found.append(
                Evidence(
                    directory=directory,
                    plan=plan,
                    architecture=str(architecture),
                    seeds=sorted([*map(int, sums.index), *map(int, diverged)]),
                    right=estimate(correct, [total] * len(correct)),
                    asked=total,
                    train_seconds=float(median(ended["train_seconds"])),
                )
            )
    return sorted(found, key=lambda each: (-each.right.mean, each.train_seconds))


def digits_asked(directories: Iterable[Path], operations: Sequence[str]) -> list[str]:
    """The digits, as `2x2`, that some run has asked with all of these operations."""
    found: set[str] = set()
    for directory in directories:
        if (directory / RESULTS).exists():
            results = pd.read_csv(directory / RESULTS)
            values = set(results.loc[results["slice"] == "operation x digits", "value"])
            patterns = {value.split(" ")[1] for value in values}
            found |= {each for each in patterns if all(f"{operation} {each}" in values for operation in operations)}
    return sorted(found, key=lambda pattern: tuple(map(int, pattern.split("x"))))
