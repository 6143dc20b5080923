"""The tables of error anatomy: how often an architecture errs in which way, and some of its wrong answers."""

from bench.results.report.table import NO_VALUE, Entry, Table, share_entry
from bench.results.report.tables.run import label
from bench.results.statistics.anatomy import CLASSES, anatomy_frame, examples
from bench.results.statistics.estimates import Estimate, shares_across_seeds
from bench.results.statistics.scores import Scores

ErrorShares = dict[str, dict[str, Estimate]]
"""Architecture -> class of error -> its share of all test problems, across seeds."""
EXAMPLES = 10
"""Wrong answers shown of each architecture."""


def error_shares(scores: Scores) -> ErrorShares:
    """How often each architecture errs in each way. Empty where no cell is done."""
    if not scores.records:
        return {}
    counts = anatomy_frame(scores.predictions).set_index(["architecture", "class"])["count"].sort_index()
    asked = scores.asked("all", "all")
    return {
        name: {kind: shares_across_seeds([count / asked for count in counts.loc[[(name, kind)]]]) for kind in CLASSES}
        for name in scores.architectures
    }


def error_tables(scores: Scores, shares: ErrorShares) -> list[Table]:
    """Both tables, from `error_shares`; none where nothing was answered wrong."""
    if not any(share.mean for of_architecture in shares.values() for share in of_architecture.values()):
        return []
    return [table for table in (_by_kind(scores, shares), _examples(scores)) if table.rows]


def _by_kind(scores: Scores, shares: ErrorShares) -> Table:
    asked = scores.asked("all", "all")
    rows = [
        [Entry(text=label(scores.of(name))), *(share_entry(share, asked) for share in of_architecture.values())]
        for name, of_architecture in shares.items()
    ]
    return Table(
        title=f"Wrong answers by kind, % of all test problems (n = {asked:,}, per seed)",
        columns=["architecture", *CLASSES],
        rows=rows,
        notes=[
            "The first kind that fits, from left to right. Means over seeds, from 3 seeds on with a 95 % t interval "
            "across them; none where all are equal."
        ],
        detail=True,
    )


def _examples(scores: Scores) -> Table:
    rows = []
    answered = {cell: frame for cell, frame in scores.predictions.items() if cell not in scores.diverged}
    for facts in examples(answered, EXAMPLES).to_dict("records"):
        texts = [f"{facts['a']} {facts['op']} {facts['b']}", facts["answer"], facts["prediction"] or NO_VALUE]
        texts += [facts["raw"], facts["class"], str(facts["seed"])]
        rows.append([Entry(text=text) for text in (label(scores.of(facts["architecture"])), *texts)])
    return Table(
        title=f"Wrong answers, {EXAMPLES} of each architecture",
        columns=["architecture", "problem", "answer", "given", "as generated", "kind", "seed"],
        rows=rows,
        notes=[
            "Spread over the kinds that occur, and within a kind over seeds and problems; the same ones every time."
        ],
        left=frozenset({0, 1, 4, 5}),
        detail=True,
    )
