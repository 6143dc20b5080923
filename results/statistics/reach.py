"""Reach: the most digits of which an architecture answers 99 % right, by doubling and then halving.

A number of digits is `reached` where as many seeds as asked have each 99 % right of the problems with that many
digits, and `missed` as soon as one has not; a seed that diverged or failed has none right. More digits are tried from 2
on, twice as many each time, until some are missed or `most` are reached; then the interval between the most reached and
the fewest missed is halved. Reach is the most digits reached below the fewest missed: where more digits were reached
beyond a miss, as an earlier search may have left them, they do not count. Fewer than 2 digits are not tried: of 1x1
there are too few problems to learn from.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.results.records.plan import PLAN
from bench.results.records.run import RunFolder, open_run

LEVEL = 0.99
"""The share that each seed has to answer right."""
FIRST = 2
"""Digits that are tried first, and the fewest."""

State = Literal["reached", "missed", "open"]


@dataclass(frozen=True)
class Trial:
    """What one seed answers of the problems with that many digits, the most that it was trained on."""

    architecture: str
    digits: int
    seed: int
    right: int
    total: int
    train_seconds: float

    @property
    def reaches(self) -> bool:
        return self.total > 0 and self.right >= LEVEL * self.total


@dataclass(frozen=True)
class Reach:
    """How far an architecture reaches, as far as that is known."""

    low: int
    """digits that are reached; 1: none that were tried"""
    high: int | None
    """the fewest digits above these that are missed; None: none so far"""

    @property
    def text(self) -> str:
        """`5`, or `below 2`; where trials are missing `at least 8`, `at most 6` or `4 to 6`."""
        if self.high is None:
            return f"at least {self.low}" if self.low >= FIRST else "not known"
        if self.high - self.low == 1:
            return str(self.low) if self.low >= FIRST else f"below {FIRST}"
        return f"{self.low} to {self.high - 1}" if self.low >= FIRST else f"at most {self.high - 1}"


def read_trials(directory: Path) -> list[Trial]:
    """What each seed answered, by architecture, digits and seed. Raises BadFile where a file is not what it was."""
    runs = [open_run(plan.parent) for plan in directory.glob(f"*/*/{PLAN}")]
    return sorted((trial for run in runs for trial in trials_of(run)), key=lambda t: (t.architecture, t.digits, t.seed))


def trials_of(run: RunFolder) -> list[Trial]:
    """What each seed answered of the problems with the most digits. One that did not end well has none right."""
    for broken in run.broken.values():
        raise broken
    pattern = run.plan.suite.content["digits"][-1]
    total = sum(stratum.test for stratum in run.plan.strata if stratum.digits == pattern)
    trials = []
    for record in run.records:
        right = 0
        if record.done:
            answers = run.predictions(record)
            right = int(answers.loc[(answers["split"] == "test") & (answers["digits"] == pattern), "right"].sum())
        digits = int(pattern.partition("x")[2])
        trials.append(Trial(record.architecture, digits, record.seed, right, total, record.train_seconds or 0.0))
    return trials


def state_of(trials: Iterable[Trial], seeds: int) -> State:
    """Of the trials with so many digits. seeds: how many have to reach."""
    reaching = [trial.reaches for trial in trials]
    if not all(reaching):
        return "missed"
    return "reached" if len(reaching) >= seeds else "open"


def reach_of(states: Mapping[int, State]) -> Reach:
    """states: digits -> what came of them."""
    high = min((digits for digits, state in states.items() if state == "missed"), default=None)
    reached = (digits for digits, state in states.items() if state == "reached" and (high is None or digits < high))
    return Reach(max(reached, default=FIRST - 1), high)


def next_digits(states: Mapping[int, State], most: int) -> int | None:
    """How many digits to try next; None where the reach is known, or `most` are reached."""
    reach = reach_of(states)
    if reach.high is None:
        return None if reach.low >= most else min(2 * reach.low, most)
    return None if reach.high - reach.low == 1 else (reach.low + reach.high) // 2


def states_of(trials: Iterable[Trial], seeds: int) -> dict[int, State]:
    """Digits -> what came of the trials of one architecture with so many."""
    by_digits: dict[int, list[Trial]] = {}
    for trial in trials:
        by_digits.setdefault(trial.digits, []).append(trial)
    return {digits: state_of(some, seeds) for digits, some in sorted(by_digits.items())}
