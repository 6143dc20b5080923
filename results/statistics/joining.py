"""Several runs in one report: joined where their cells may stand in one table, apart with a warning where not."""

from pathlib import Path

from bench.results.records.run import RunFolder
from bench.results.statistics.comparable import NotComparable
from bench.results.statistics.scores import Scores

VERSIONS = ("version", "torch")
"""Of the plan's settings: what trained the models."""


def join_runs(runs: list[RunFolder]) -> tuple[list[Scores], list[str]]:
    """The runs in groups whose cells may stand in one table, and why there is more than one group, a line each.

    Runs are joined where suite, test problems, versions of arithbench and torch, and the training problems of each seed
    agree. Raises NotComparable where cells of one run may not, and BadFile.
    """
    groups: list[list[RunFolder]] = []
    joined: list[Scores] = []
    warnings: list[str] = []
    seen: set[Path] = set()
    for run in runs:
        if run.directory.resolve() in seen:
            continue  # named twice
        seen.add(run.directory.resolve())
        reasons = []
        for number, group in enumerate(groups):
            if not (why := _difference(group[0], run)):
                try:
                    joined[number] = Scores(*group, run)
                except NotComparable as error:
                    why = str(error)
                else:
                    group.append(run)
                    break
            reasons.append(f"{run.directory} stands apart from {group[0].directory}: {why}")
        else:
            groups.append([run])
            joined.append(Scores(run))
            warnings += reasons
    return joined, warnings


def _difference(one: RunFolder, other: RunFolder) -> str:
    """Why no cell of one may stand beside a cell of the other; '' where they may."""
    for what, mine, theirs in (
        ("suite", _suite(one), _suite(other)),
        ("content of the suite", one.plan.suite.hash, other.plan.suite.hash),
        ("test problems (test_hash)", one.plan.test_hash, other.plan.test_hash),
        *(
            (f"version of {'arithbench' if key == 'version' else key}", _setting(one, key), _setting(other, key))
            for key in VERSIONS
        ),
    ):
        if mine != theirs:
            return f"other {what}, {mine} and {theirs}"
    return ""


def _suite(run: RunFolder) -> str:
    return f"{run.plan.suite.name} version {run.plan.suite.version}"


def _setting(run: RunFolder, key: str) -> object:
    return getattr(run.plan.settings, key)
