"""What a report says before its tables: which architecture is best, by how much, and where that cannot be told."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from bench.results.statistics.comparison import (
    SIGNIFICANCE,
    Comparison,
    Difference,
    ahead,
    cannot_tell,
    compare,
    points,
    solved_words,
    words,
)
from bench.results.statistics.estimates import FEWEST_SEEDS, holm, holm_levels
from bench.results.statistics.scores import Scores
from bench.results.statistics.tiers import seeds_to_tell, tiers

Pairs = dict[tuple[str, str], Comparison]
"""By the names of the two, the better first."""
SHOWN = 2
"""Differences given in figures; the others are in the chart of differences."""
TOLD = 0.03
"""The difference of which a report says how many seeds would tell it."""


def by_budget(scores: Scores) -> dict[str, list[str]]:
    """Budget -> the architectures trained under it, by exact match, the best first."""
    budgets: dict[str, list[str]] = {}
    for name in scores.architectures:
        budgets.setdefault(scores.of(name)[0].budget, []).append(name)
    return {
        budget: sorted(names, key=lambda name: -scores.share_right(name, "all", "all").mean)
        for budget, names in budgets.items()
    }


def all_pairs(scores: Scores) -> list[Comparison]:
    """Every two architectures of one budget, the one that is right more often first.

    Pairs without a seed in common are left out.
    """
    return [
        compare(scores, better, worse)
        for names in by_budget(scores).values()
        for better, worse in combinations(names, 2)
        if set(scores.seeds(better)) & set(scores.seeds(worse))
    ]


def over_all_pairs(comparisons: Sequence[Comparison]) -> list[Difference]:
    """The row of each comparison on all problems, judged after Holm over the pairs given: its interval, its `holm` and
    its verdict are those.

    The pairs must be all there are, also where only those with the best are of interest: which is best was read off
    the same figures, so that of 15 equal architectures one in 10 reports would name a winner if those 14 alone were
    counted.
    """
    rows = [comparison.rows[0] for comparison in comparisons]
    ps = [row.decisive for row in rows]
    judged = []
    for pair, row, p, level in zip(comparisons, rows, holm(ps), holm_levels(ps, SIGNIFICANCE), strict=True):
        better = ahead(row, pair.one, pair.other)
        verdict = better if better and p is not None and p < SIGNIFICANCE else cannot_tell(row.difference.n)
        judged.append(replace(row, holm=p, difference=row.interval_of(level), verdict=verdict))
    return judged


def significant(comparisons: Sequence[Comparison]) -> list[bool]:
    """For each pair, whether it differs significantly overall: p < 0.05 after Holm over the pairs given, which must be
    all.
    """
    return [
        row.verdict in (pair.one, pair.other)
        for pair, row in zip(comparisons, over_all_pairs(comparisons), strict=True)
    ]


def tiers_of(scores: Scores, comparisons: Sequence[Comparison]) -> dict[str, str]:
    """Architecture -> its letters: two of one budget share one where they cannot be told apart over all pairs."""
    told = [(pair.one, pair.other) for pair, yes in zip(comparisons, significant(comparisons), strict=True) if yes]
    return tiers(by_budget(scores), told)


def conclusion(scores: Scores, comparisons: list[Comparison]) -> list[str]:
    """The outcome in words, a sentence or two a line. `comparisons`: what `all_pairs` found."""
    pairs: Pairs = {
        (comparison.one, comparison.other): replace(comparison, rows=[whole, *comparison.rows[1:]])
        for comparison, whole in zip(comparisons, over_all_pairs(comparisons), strict=True)
    }
    differing = {names for names, pair in pairs.items() if pair.rows[0].verdict in names}
    budgets = by_budget(scores)
    lines = []
    for budget, names in budgets.items():
        under = f"Under {budget}: " if len(budgets) > 1 else ""
        lines += [f"{under}{line}" for line in _under_one_budget(scores, names, pairs, differing)]
    flops = [scores.median(name, lambda record: record.all_flops) or 0 for name in scores.architectures]
    equal_flops = any(budget.startswith("flops=") for budget in budgets)
    if len(flops) > 1 and not equal_flops and max(flops) > 1.01 * min(flops):
        lines.append("The ranking under equal FLOPs is not known: no run under a budget of FLOPs is in this report.")
    return lines


def _under_one_budget(scores: Scores, names: list[str], pairs: Pairs, differing: set[tuple[str, str]]) -> Iterator[str]:
    """`differing`: the pairs that differ significantly."""
    best, *others = names
    if not others:
        yield f"{best} is right on {_share(scores, best)} of the test problems. There is no other to compare it with."
        return
    mean = {name: scores.share_right(name, "all", "all").mean for name in names}
    if mean[best] == 0:
        yield f"None of {_listed(names)} is right on any of the test problems."
        return
    against = [pairs[best, other] for other in others if (best, other) in pairs]
    # Where seeds differ, another may be ahead on those that both have.
    before = [pair for pair in against if ahead(pair.rows[0], best, pair.other) != pair.other]
    ties = [other for other in others if mean[other] == mean[best]]
    behind = [pair for pair in before if (best, pair.other) in differing]
    level = [pair for pair in before if (best, pair.other) not in differing and pair.other not in ties]
    if len(ties) == len(others) > SHOWN:
        line = f"All {len(names)} are right equally often, on {100 * mean[best]:.1f} % of the test problems"
    elif ties:
        line = f"{_listed([best, *ties])} are right most often, each on {100 * mean[best]:.1f} % of the test problems"
    else:
        line = f"{best} is right most often, on {_share(scores, best)} of the test problems"
    if behind:
        line += f": {_listed([f'{points(pair.rows[0])} more often than {pair.other}' for pair in behind[:SHOWN]])}"
    if rest := [pair.other for pair in behind[SHOWN:]]:
        line += f", and more often than {_listed(rest)}"
    yield f"{line}."
    for seeds in sorted({len(pair.seeds) for pair in level}):
        alike = [pair for pair in level if len(pair.seeds) == seeds]
        spanned = f", after Holm over all {len(pairs)} pairs," if len(pairs) > 1 else ""
        they = "they are" if ties else "it is"
        yield f"{cannot_tell(seeds).capitalize()}{spanned} whether {they} better than {_level(alike)}."
    if level and (would_take := _what_it_would_take(scores, names, pairs)):
        yield would_take
    if reverse := [pair for pair in against if pair not in before]:
        found = [f"{pair.other} ({points(pair.rows[0])}, {len(pair.seeds)} seeds)" for pair in reverse]
        yield f"On the seeds that both have, it is right less often than {_listed(found)}: run all with the same seeds."
    yield from (
        f"{pair.one} and {pair.other}, {solved_words(row, pair.one, pair.other)}."
        for pair in against
        if (row := pair.rows[0]).all_or_nothing
    )
    if unpaired := [other for other in others if (best, other) not in pairs]:
        yield f"{best} shares no seed with {_listed(unpaired)}, so they are not compared."
    yield from _by_operation(scores, names, pairs)


def _level(alike: list[Comparison]) -> str:
    """Those that cannot be told from the best; of many the nearest, and how far away the others are."""
    if len(alike) <= SHOWN + 1:
        return _listed([f"{pair.other} ({_open(pair.rows[0])})" for pair in alike], "or")
    shown = [f"{pair.other} ({_open(pair.rows[0])})" for pair in alike[:SHOWN]]
    last = alike[-1]
    return f"{', '.join(shown)} or {len(alike) - SHOWN} others, up to {last.other} ({_open(last.rows[0])})"


def _what_it_would_take(scores: Scores, names: list[str], pairs: Pairs) -> str | None:
    """How many seeds would tell more, and the training that they take."""
    own = [pair for pair in pairs.values() if {pair.one, pair.other} <= set(names)]
    if (needed := seeds_to_tell(own, TOLD, len(pairs))) is None:
        return None
    line = (
        f"About {needed} seeds would tell apart two that truly differ by {100 * TOLD:.0f} points, with a chance of 80 %"
    )
    seconds = [scores.median(name, lambda record: record.train_seconds) for name in names]
    more = max(needed - min(len(scores.seeds(name)) for name in names), 0)
    if None not in seconds and more:
        line += f" (about {duration(more * sum(filter(None, seconds)))} of training more, one cell after the other)"
    return f"{line}."


def duration(seconds: float) -> str:
    """A duration in words, to two digits or so."""
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.{1 if seconds < 10 * size else 0}f} {name}"
    return f"{seconds:.0f} seconds"


def _by_operation(scores: Scores, names: list[str], pairs: Pairs) -> Iterator[str]:
    """The best on each operation, against the second best on it."""
    decided: list[str] = []
    level: dict[str, list[str]] = {}
    """verdict -> the operations on which the seeds cannot decide"""
    for operation in scores.values("operation"):
        mean = {name: scores.share_right(name, "operation", operation).mean for name in names}
        first, second = sorted(names, key=lambda name: -mean[name])[:2]
        pair = pairs.get((first, second)) or pairs.get((second, first))
        if pair is None:
            continue
        row = next((row for row in pair.rows if (row.slice, row.value) == ("operation", operation)), None)
        if row is None:  # the only operation: what holds for it was said of all
            continue
        best = ahead(row, pair.one, pair.other) or first  # on the seeds that both have
        other = second if best == first else first
        how = f"{points(row)} before" if row.difference.mean else "level with"
        found = f"{words(row)} ({best} {how} {other})"
        if row.verdict == best:
            decided.append(found)
        else:
            verdict = f"{row.verdict}, after Holm over the {len(pair.rows)} rows of a comparison,"
            level.setdefault(verdict, []).append(found)
    if decided:
        yield f"By operation, the best can be told on {_listed(decided)}."
    yield from (f"By operation, {verdict} on {_listed(found)}." for verdict, found in level.items())


def _share(scores: Scores, name: str) -> str:
    share = scores.share_right(name, "all", "all")
    interval = "" if share.low is None or share.high is None else f" [{100 * share.low:.1f}, {100 * share.high:.1f}]"
    return f"{100 * share.mean:.1f} %{interval}"


def _open(row: Difference) -> str:
    if row.difference.n < FEWEST_SEEDS:
        return f"{points(row)} apart, and an interval needs {FEWEST_SEEDS} seeds"
    return f"{points(row)} apart"


def _listed(parts: list[str], last: str = "and") -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}"
