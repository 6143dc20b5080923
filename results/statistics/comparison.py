"""Two architectures compared over the seeds that both have: per slice across seeds, and model against model on items.

What was found is said in words, row by row. Where the sample cannot decide, that is what the words say.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from bench.results.records.record import Record
from bench.results.statistics.estimates import (
    ALL_OR_NOTHING,
    FEWEST_SEEDS,
    FEWEST_SEEDS_SIGN_FLIP,
    Estimate,
    PairedDifference,
    all_or_nothing,
    estimate,
    holm,
    holm_levels,
    mcnemar,
    paired_difference,
    share_of_seeds,
)
from bench.results.statistics.scores import Scores

SLICES = ("all", "operation", "digits", "signs", "operation x digits")
"""Slices whose values are the rows of a comparison."""
SIGNIFICANCE = 0.05
SAYS_NOTHING = 1.9
"""Width of the interval of a difference from which on it is left out: all there is lies between -1 and 1."""
SOLVED = 0.99
"""Share right from which on a task counts as solved."""
TRAINED_MODELS = "these two trained models"
"""What McNemar's test speaks of: never quote it for architectures."""

_OPERATIONS = {"+": "addition", "-": "subtraction", "*": "multiplication", "/": "division"}


@dataclass(frozen=True, kw_only=True)
class Difference(PairedDifference):
    """One row: how far apart two architectures are, one minus other, on one value of a slice.

    The interval of the difference is that of the test by which the row is judged: at 95 % on `all`, and wider on other
    rows, as Holm asks. It misses 0 exactly where the verdict names an architecture.
    Where `all_or_nothing`, read the solved shares first.
    """

    slice: str
    """'all', 'operation', 'digits', 'signs' or 'operation x digits'"""
    value: str
    """as in results.csv"""
    asked: int
    """problems, per seed"""
    one: Estimate
    """share right of the first architecture, over the seeds that both have"""
    other: Estimate
    """share right of the second"""
    holm: float | None
    """`decisive`, adjusted over all rows of the comparison; None on `all`, whose verdict does not rest on it"""
    solved_one: Estimate | None
    """share of seeds with 99 % right: on validation for `all`, on its test problems for any other slice, of which
    validation keeps no counts; None where the records hold no validation"""
    solved_other: Estimate | None
    verdict: str
    """the architecture that is right more often, or 'cannot tell with n seeds'"""
    sentence: str
    """the same in plain words, with figures"""


@dataclass(frozen=True, kw_only=True)
class TrainedPair:
    """The two trained models of one seed, on all test problems."""

    seed: int
    only_one_right: int
    """problems that the first architecture's model got right and the second's wrong"""
    only_other_right: int
    p: float
    """of the exact McNemar test; speaks of these two trained models"""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything that `compare` finds."""

    one: str
    other: str
    seeds: list[int]
    """those with a finished cell of both, on which everything here rests"""
    left_out: list[tuple[str, int]]
    """(architecture, seed) of the finished cells whose partner is missing"""
    rows: list[Difference]
    mcnemar: list[TrainedPair]
    """of the seeds that diverged for neither"""

    @property
    def frame(self) -> pd.DataFrame:
        """The rows as a frame: shares right of both, the difference (one minus other) and its interval, p, verdict."""
        frame = pd.DataFrame(
            [
                {
                    **{"slice": row.slice, "value": row.value, "asked": row.asked},
                    **{self.one: row.one.mean, self.other: row.other.mean, "difference": row.difference.mean},
                    **{"low": row.difference.low, "high": row.difference.high, "p": row.p, "p_holm": row.holm},
                    "verdict": row.verdict,
                }
                for row in self.rows
            ]
        )
        return frame.astype(dict.fromkeys(("low", "high", "p", "p_holm"), "float64"))

    @property
    def sentences(self) -> list[str]:
        """The outcome in words: overall, then the slices on which they differ and those that cannot be told."""
        [whole], slices = self.rows[:1], self.rows[1:]
        opens_with_a_name = whole.sentence.startswith((self.one, self.other))
        said = [f"{whole.sentence if opens_with_a_name else whole.sentence[0].upper() + whole.sentence[1:]}."]
        for name in (self.one, self.other):
            better = [f"{words(row)} ({points(row)})" for row in slices if row.verdict == name]
            if better:
                said.append(f"{name} is right more often on {', '.join(better)}.")
        untold = cannot_tell(len(self.seeds))
        undecided = [row for row in slices if row.verdict == untold]
        apart = [row for row in undecided if row.p is not None and row.p < SIGNIFICANCE]
        if near := [words(row) for row in undecided if row not in apart]:
            said.append(f"{untold.capitalize()}: {', '.join(near)}.")
        if apart:
            listed = ", ".join(f"{words(row)} ({points(row)})" for row in apart)
            why = f"though by itself p is below {SIGNIFICANCE}, as some of {len(self.rows)} are by chance"
            said.append(f"{untold.capitalize()} either, {why}: {listed}.")
        return said


def compare(scores: Scores, one: str, other: str) -> Comparison:
    """Compares two architectures of `scores` over the seeds that both have; one that diverged has none right.

    The verdict on `all`, the one question that was asked beforehand, is that of its own interval. Every other row needs
    p < 0.05 after Holm over all rows: of some thirty p values one or two are smaller by chance. A slice that would
    repeat the rows of another (that of a single operation, say) is left out: it asks nothing new.
    Raises ValueError where the two are one, one has no finished cell, or they have no seed in common; BadFile.
    """
    if one == other:
        raise ValueError(f"{one} cannot be compared with itself; name two architectures")
    seeds_of = {name: scores.seeds(name) for name in (one, other)}
    for name, finished in seeds_of.items():
        if not finished:
            raise ValueError(f"{name} has no finished cell; there are {', '.join(scores.architectures) or 'none'}")
    seeds = sorted(set(seeds_of[one]) & set(seeds_of[other]))
    if not seeds:
        raise ValueError(f"{one} and {other} have no finished seed in common; run both with the same seeds")

    table = _measure(scores, one, other, seeds)
    ps = [row.decisive for row in table]
    rows = [
        _judged(
            row if row.slice == "all" else replace(row, holm=corrected, difference=row.interval_of(level)),
            *(one, other, len(table)),
        )
        for row, corrected, level in zip(table, holm(ps), holm_levels(ps, SIGNIFICANCE), strict=True)
    ]
    left_out = [(name, seed) for name, finished in seeds_of.items() for seed in finished if seed not in seeds]
    trained = [seed for seed in seeds if not {(one, seed), (other, seed)} & set(scores.diverged)]
    pairs = [_trained_pair(scores, one, other, seed) for seed in trained]
    return Comparison(one=one, other=other, seeds=seeds, left_out=left_out, rows=rows, mcnemar=pairs)


def solved(record: Record) -> bool | None:
    """Whether a cell solves the task: 99 % right on validation at the end. None where it was not validated."""
    if record.validation_correct is None or not record.validation_total:
        return None
    return record.validation_correct / record.validation_total >= SOLVED


def solved_share(solutions: Sequence[bool | None]) -> Estimate | None:
    """Share of seeds that solve the task, from `solved` of each; None where one is not known."""
    return None if None in solutions else share_of_seeds(sum(map(bool, solutions)), len(solutions))


def _measure(scores: Scores, one: str, other: str, seeds: list[int]) -> list[Difference]:
    """The rows without Holm and verdict."""
    counts: dict[tuple[str, str], dict[tuple[str, int], tuple[int, int]]] = {}
    results = scores.results
    chosen = results[results["slice"].isin(SLICES) & results["architecture"].isin((one, other))]
    columns = ["slice", "value", "architecture", "seed", "correct", "total"]
    for slice_name, value, *cell, correct, total in chosen[columns].itertuples(index=False, name=None):
        counts.setdefault((slice_name, value), {})[cell[0], cell[1]] = (int(correct), int(total))
    values = {name: sum(key[0] == name for key in counts) for name in SLICES}
    again = {name for name in SLICES if name != "all" and values[name] == 1}
    if values["operation x digits"] in (values["operation"], values["digits"]):
        again.add("operation x digits")
    cells_of = {name: {cell.seed: cell for cell in scores.of(name)} for name in (one, other)}
    validated = {  # a cell that diverged solves nothing
        name: [seed in cells and solved(cells[seed]) for seed in seeds] for name, cells in cells_of.items()
    }

    table = []
    for (slice_name, value), cells in counts.items():
        if slice_name in again:
            continue
        pairs = {name: [cells[name, seed] for seed in seeds] for name in (one, other)}
        shares = {name: [correct / total for correct, total in pairs[name]] for name in pairs}
        solutions = validated
        if slice_name != "all":
            solutions = {name: [share >= SOLVED for share in shares[name]] for name in shares}
        row = Difference(
            **vars(paired_difference(shares[one], shares[other])),
            slice=slice_name,
            value=value,
            asked=pairs[one][0][1],
            one=_share(pairs[one]),
            other=_share(pairs[other]),
            holm=None,
            solved_one=solved_share(solutions[one]),
            solved_other=solved_share(solutions[other]),
            verdict="",
            sentence="",
        )
        table.append(row)
    return sorted(table, key=lambda row: SLICES.index(row.slice))  # stable: values keep the order of results.csv


def _share(pairs: list[tuple[int, int]]) -> Estimate:
    corrects, totals = zip(*pairs, strict=True)
    share = estimate(corrects, totals)
    if all_or_nothing([correct / total for correct, total in pairs]):
        return replace(share, low=None, high=None, note=ALL_OR_NOTHING)
    return share


def _trained_pair(scores: Scores, one: str, other: str, seed: int) -> TrainedPair:
    apart = scores.right[one, seed] - scores.right[other, seed]  # item by item: all cells met the same
    only_one, only_other = int((apart == 1).sum()), int((apart == -1).sum())
    return TrainedPair(seed=seed, only_one_right=only_one, only_other_right=only_other, p=mcnemar(only_one, only_other))


def words(row: Difference) -> str:
    """What a row asks: '2x2 multiplication'."""
    operation, _, digits = row.value.partition(" ")
    return {
        "all": "all problems",
        "operation": _OPERATIONS.get(operation, operation),
        "digits": f"{row.value} problems",
        "signs": f"signs {row.value}",
        "operation x digits": f"{digits} {_OPERATIONS.get(operation, operation)}",
    }[row.slice]


def ahead(row: Difference, one: str, other: str) -> str | None:
    """Which of the two is right more often on a row; None where neither is."""
    return None if row.difference.mean == 0 else one if row.difference.mean > 0 else other


def points(row: Difference) -> str:
    """The size of the difference, with its interval where that says anything: '12.3 points [9.8, 14.9]'."""
    return f"{100 * abs(row.difference.mean):.1f} points{_interval(row)}"


def cannot_tell(n: int) -> str:
    """The verdict where a sample of `n` seeds cannot decide."""
    return f"cannot tell with {n} seed{'s' if n > 1 else ''}"


def _judged(row: Difference, one: str, other: str, rows: int) -> Difference:
    """The row with its verdict and sentence; `rows`: how many Holm's adjustment spans."""
    n = row.difference.n
    better, worse = (one, other) if row.difference.mean > 0 else (other, one)
    p = row.decisive if row.slice == "all" else row.holm
    decided = p is not None and p < SIGNIFICANCE
    verdict = better if decided else cannot_tell(n)

    clauses = [solved_words(row, one, other)] if row.all_or_nothing else []
    if decided:
        more = f"{100 * abs(row.difference.mean):.1f} points more often{f' than {worse}' if row.slice == 'all' else ''}"
        clauses.append(f"{better} is right {more}{_interval(row)}, {n} seeds")
    else:
        clauses.append(f"{verdict}: {_reason(row, better, rows)}")
    place = "" if row.slice == "all" else f"on {words(row)} "
    return replace(row, verdict=verdict, sentence=place + "; ".join(clauses))


def solved_words(row: Difference, one: str, other: str) -> str:
    """'all-or-nothing: transformer solves it in 3 of 5 seeds [23.1, 88.2], lstm in 0 of 5 [0.0, 43.4]', in percent."""
    said = []
    for name, share in ((one, row.solved_one), (other, row.solved_other)):
        if share is None or share.low is None or share.high is None:
            return "all-or-nothing, and not known which seeds solve it"
        hits = f"{round(share.mean * share.n)} of {share.n}"
        said.append((name, hits, f"[{100 * share.low:.1f}, {100 * share.high:.1f}]"))
    (first, hits, span), (second, other_hits, other_span) = said
    return f"all-or-nothing: {first} solves it in {hits} seeds {span} %, {second} in {other_hits} {other_span} %"


def _reason(row: Difference, better: str, rows: int) -> str:
    """Why a row cannot be told."""
    n = row.difference.n
    found = f"{points(row)} more for {better}" if row.difference.mean else "no difference on average"
    if row.all_or_nothing and row.decisive is None:
        return f"{found}, but the sign-flip test needs {FEWEST_SEEDS_SIGN_FLIP} seeds"
    if n < FEWEST_SEEDS:
        return f"{found}, but an interval needs {FEWEST_SEEDS} seeds"
    if row.decisive is None:
        return f"{found}, in every seed, so that there is no interval"
    if row.slice != "all" and row.decisive < SIGNIFICANCE:
        return f"{found}, but {rows} rows are asked at once (p {row.decisive:.3f}, by Holm {row.holm:.2f})"
    return f"{found} (p {row.decisive:.2f})"


def _interval(row: Difference) -> str:
    """' [9.8, 14.9]': of the difference's size, so turned round where the second architecture is ahead."""
    low, high = row.difference.low, row.difference.high
    if low is None or high is None or high - low > SAYS_NOTHING:
        return ""
    if row.difference.mean < 0:
        low, high = -high, -low
    return f" [{100 * low:z.1f}, {100 * high:z.1f}]"
