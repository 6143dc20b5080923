"""Which architecture and data to take: the best of what runs have shown, among what this machine trains in time."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench import architectures, machine
from bench.datasets.problems import OPERATIONS
from bench.datasets.shipped import suite_names
from bench.datasets.suites import MOST_DIGITS
from bench.errors import UserError, user_errors
from bench.planning.amounts import parse_budget, short_count, short_time
from bench.planning.decide import decide
from bench.planning.options import RunOptions, command_of
from bench.results.files import BadFile
from bench.results.records.plan import Plan
from bench.results.report.table import share_value
from bench.results.statistics.evidence import Evidence, digits_asked, evidence, run_folders
from bench.running.estimate import training_seconds

PUBLISHED = Path(__file__).parent / "results" / "published"
"""Runs of the project; a wheel has none."""
CHOICES = 3


@dataclass(frozen=True)
class Choice:
    """One that may be taken."""

    evidence: Evidence
    seconds: float
    """of training one model on this machine, measured on a few steps"""
    command: str
    """what trains one such model"""
    differs: bool
    """whether the command would train on another suite, or with other settings, than the evidence did"""

    @property
    def row(self) -> dict[str, Any]:
        """It as one row of a frame: shares from 0 to 1, seconds of training one model here, problems asked a seed."""
        found, settings = self.evidence, self.evidence.plan.settings
        return {
            "architecture": found.architecture,
            "right": found.right.mean,
            "low": found.right.low,
            "high": found.right.high,
            "seconds_here": round(self.seconds, 1),
            "suite": found.plan.suite.name,
            "workings": found.plan.suite.content.get("form", {}).get("workings", "none"),
            "parameters": settings.parameters,
            "budget": settings.budget,
            "seeds": len(found.seeds),
            "asked": found.asked,
            "run": _name(found.directory),
            "version": settings.version,
            "differs": self.differs,
            "command": self.command,
        }

    @property
    def words(self) -> dict[str, str]:
        """The same for a person, what the table of choices shows."""
        row, budget = self.row, parse_budget(self.evidence.plan.settings.budget)
        return {
            "architecture": row["architecture"] + (" *" if self.differs else ""),
            "right %": share_value(self.evidence.right).text,
            "here": short_time(self.seconds),
            "suite": row["suite"] + ("" if row["workings"] == "none" else f", {row['workings']}"),
            "size": short_count(row["parameters"]),
            "trained on": f"{short_count(budget.amount)} {budget.unit}",
        }

    @property
    def source(self) -> str:
        """Where its figures come from."""
        row = self.row
        seeds = "1 seed" if row["seeds"] == 1 else f"{row['seeds']} seeds"
        return f"{row['run']} ({row['version']}): {seeds}, each asked {row['asked']:,} problems"


@dataclass(frozen=True)
class Answer:
    """The best choices; where nothing of the kind was measured, what would measure it."""

    operations: str
    digits: str
    minutes: float
    choices: list[Choice]
    too_slow: list[Choice]
    """better ones that take longer than asked, the best first"""
    measured: list[str]
    """digits that a run has asked with all these operations, where none has asked those that were wanted"""
    command: str
    """what measures the problems that were asked about"""
    disturbed: str
    """what made this machine slower than it is while it was measured; '' where nothing is known to"""

    @property
    def frame(self) -> pd.DataFrame:
        """A row a choice, the best first; none where no run has an answer."""
        return pd.DataFrame([choice.row for choice in self.choices])

    @property
    def lines(self) -> list[str]:
        """What there is to say beside the table."""
        what, near = f"{self.operations} of {self.digits} digits", ", ".join(self.measured)
        busy = [f"Times here are too long: {self.disturbed}."] * bool(
            self.disturbed and (self.choices or self.too_slow)
        )
        if not self.choices:
            none = f"No run has asked {what}{f'; measured were {near}' if near else ''}. Nothing is extrapolated."
            slow = f"Nothing that was measured on {what} trains within {self.minutes:g} min here."
            return [slow if self.too_slow else none, *busy, f"to measure it:  {self.command}"]
        said = [f"{number}. {choice.command}\n   from {choice.source}" for number, choice in enumerate(self.choices, 1)]
        said.append("right %: mean over seeds on new problems, with its 95 % interval; here: training one model here")
        if any(choice.differs for choice in self.choices):
            said.append("* Today's settings or suite are others than those of this run: measure it anew.")
        return said + busy


def choose(operations: str, digits: str, minutes: float, runs: Sequence[Path] = ()) -> Answer:
    """The choices of the highest expected accuracy that train within so many minutes here. Nothing is extrapolated.

    operations: one or several of + - * /. digits: of both operands, such as 3x3. runs: folders to look for runs in,
    beside those of the project, `runs` and `reach` in the working folder.

    Raises:
        UserError: no such operation, digits or minutes can be; or a run is broken.
    """
    asked = [operation for operation in OPERATIONS if operation in operations]
    if not asked or set(operations.replace(",", "").replace(" ", "")) - set(OPERATIONS):
        raise UserError(f"--operations '{operations}': expected some of {' '.join(OPERATIONS)}, such as '*' or '+-'")
    parts = digits.split("x")
    if len(parts) != 2 or not all(part.isdecimal() and 1 <= int(part) <= MOST_DIGITS for part in parts):
        raise UserError(f"--digits '{digits}': expected those of both operands, such as 3x3, {MOST_DIGITS} at most")
    if not 0 < minutes < float("inf"):
        raise UserError(f"--minutes {minutes}: expected more than 0")
    for folder in runs:
        if not folder.is_dir():
            raise UserError(f"{folder}: there is no such folder")
    folders = run_folders([*runs, PUBLISHED, Path("runs"), Path("reach")])
    with user_errors(BadFile):
        found = evidence(folders, asked, digits)
    busy = machine.disturbed(1)  # before the measuring itself is what keeps it busy
    choices: list[Choice] = []
    too_slow: list[Choice] = []
    for each in found:
        if len(choices) == CHOICES:
            break
        if (choice := _choice(each)) is not None:
            (choices if choice.seconds <= 60 * minutes else too_slow).append(choice)
    operation, most = asked[-1], max(map(int, parts))
    command = ["python", "-m", "bench", "reach", "--arch", "encoder-decoder,transformer-lstm,lstm"]
    command += ["--operation", operation, "--workings", "scratchpad", "--most", str(max(2, most))]
    command += ["--budget", f"seconds={round(60 * minutes)}"]
    choices.sort(key=lambda choice: (-choice.evidence.right.mean, choice.seconds))
    measured = [] if found else digits_asked(folders, asked)
    return Answer("".join(asked), digits, minutes, choices, too_slow, measured, shlex.join(command), busy)


def _choice(each: Evidence) -> Choice | None:
    """None where this machine cannot train it: its suite or its architecture is not here."""
    source, settings = each.plan.suite.source, each.plan.settings
    known = architectures.from_scratch()
    if each.architecture not in known or not (source in suite_names() or Path(source).is_file()):
        return None
    usual = each.plan.suite.content["defaults"]
    limit = settings.training_problems
    options = RunOptions(
        arch=each.architecture,
        suite=source,
        seeds="1",
        budget=None if settings.budget == str(parse_budget(usual["budget"])) else settings.budget,
        params=None if settings.parameters == usual["parameters"] else str(settings.parameters),
        match=settings.match,
        training_problems=None if limit == usual.get("training_problems") else str(limit),
    )
    try:
        plan = decide(options, "")
    except UserError:
        return None
    return Choice(each, training_seconds(plan, each.architecture), command_of(options), _differs(each, plan))


def _name(directory: Path) -> str:
    """A run as a person finds it: by its path from here, or from the folder of the project."""
    for root, prefix in ((Path.cwd(), Path()), (PUBLISHED, Path("results/published"))):
        if directory.resolve().is_relative_to(root.resolve()):
            return (prefix / directory.resolve().relative_to(root.resolve())).as_posix()
    return str(directory)


def _differs(each: Evidence, plan: Plan) -> bool:
    mine, theirs = (one.entries[each.architecture] for one in (plan, each.plan))
    then, now = ({**entry.config, **entry.training} for entry in (theirs, mine))
    # A setting that the run did not know is not asked for by the command either.
    return any(now.get(key) != value for key, value in then.items()) or plan.suite.hash != each.plan.suite.hash
