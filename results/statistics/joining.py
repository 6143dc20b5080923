"""Several runs in one report: joined where their cells may stand in one table, apart with a warning where not."""

from pathlib import Path

from bench.results.records.run import RunFolder
from bench.results.statistics.comparable import NotComparable
from bench.results.statistics.scores import Scores


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
    mine, theirs = (
        {
            "suite": f"{plan.suite.name} version {plan.suite.version}",
            "content of the suite": plan.suite.hash,
            "test problems (test_hash)": plan.test_hash,
            "version of arithbench": plan.settings.version,
            "version of torch": plan.settings.torch,
        }
        for plan in (one.plan, other.plan)
    )
    differing = [f"other {what}, {mine[what]} and {theirs[what]}" for what in mine if mine[what] != theirs[what]]
    return differing[0] if differing else ""
