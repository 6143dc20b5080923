"""`choose`: which architecture and data to take for problems of a kind, from runs that are there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cli.parameters import Json

if TYPE_CHECKING:
    from bench.choosing import Choice


def choose_command(
    *runs: Path, operations: str = "*", digits: str = "3x3", minutes: float = 10.0, json: Json = False
) -> int:
    """Which architecture, data and budget to take: the three that were right most often, of those that train in time.

    Reads the runs of the project, those in ./runs and ./reach, and those in folders that are named. Seconds are
    measured here, on a few steps of each. Nothing is extrapolated: problems that no run has asked have no answer, but a
    command that would measure them. Exit status: 0 there is a choice, 1 there is none.

    Parameters
    ----------
    runs
        Folders with more runs.
    operations
        One or several of + - * /.
    digits
        Digits of both operands.
    minutes
        Training of one model on this machine, at most.
    """
    from bench.choosing import choose
    from bench.cli.output import console, print_json, print_listing

    answer = choose(operations, digits, minutes, runs)
    rows = [_row(choice) for choice in answer.choices]
    if json:
        print_json(
            {
                "choices": [
                    row | {"command": choice.command} for row, choice in zip(rows, answer.choices, strict=True)
                ],
                "too_slow": [_row(choice) for choice in answer.too_slow],
                "measured": answer.measured,
                "measure": answer.command,
            }
        )
        return 0 if rows else 1
    screen = console()
    what = f"{operations} of {digits} digits"
    if rows:
        print_listing(f"{what}, at most {minutes:g} minutes of training a model here", rows)
        for number, choice in enumerate(answer.choices, 1):
            screen.print(f"{number}. {choice.command}", soft_wrap=True)
        screen.print(
            "right %: mean over seeds on n new problems, with its 95 % interval; here: training one model on this machine",
            soft_wrap=True,
        )
        if any(choice.differs for choice in answer.choices):
            screen.print("* Today's settings or suite are others than those of this run: measure it anew.")
    elif answer.too_slow:
        screen.print(f"Nothing that was measured on {what} trains within {minutes:g} minutes here.")
    else:
        near = f"; measured were {', '.join(answer.measured)}" if answer.measured else ""
        screen.print(f"No run has asked {what}{near}. Nothing is extrapolated.", soft_wrap=True)
    if answer.too_slow:
        print_listing("Right more often, but slower than asked", [_row(choice) for choice in answer.too_slow[:3]])
    if not rows:
        screen.print(f"to measure it:  {answer.command}", soft_wrap=True)
    return 0 if rows else 1


def _name(directory: Path) -> str:
    """A run as a person finds it: by its path from here, or from the folder of the project."""
    from bench.choosing import PUBLISHED

    for root, prefix in ((Path.cwd(), Path()), (PUBLISHED, Path("results/published"))):
        if directory.resolve().is_relative_to(root.resolve()):
            return str(prefix / directory.resolve().relative_to(root.resolve()))
    return str(directory)


def _row(choice: Choice) -> dict[str, Any]:
    from bench.planning.amounts import parse_budget, short_count, short_time
    from bench.results.report.table import share_value

    found, settings = choice.evidence, choice.evidence.plan.settings
    workings = found.plan.suite.content.get("form", {}).get("workings", "none")
    budget = parse_budget(settings.budget)
    return {
        "architecture": found.architecture + (" *" if choice.differs else ""),
        "right %": share_value(found.right).text,
        "here": short_time(choice.seconds),
        "suite": found.plan.suite.name + ("" if workings == "none" else f", {workings}"),
        "size": short_count(settings.parameters),
        "trained on": f"{short_count(budget.amount)} {budget.unit}",
        "seeds": len(found.seeds),
        "n a seed": found.asked,
        "run": f"{_name(found.directory)} ({settings.version})",
    }
