"""The tables of error anatomy: how often an architecture errs in which way, and some of its wrong answers."""

from bench.results.report.table import NO_VALUE, Note, Table, Value, figures, share_value, words
from bench.results.report.tables.notes import label
from bench.results.statistics.anatomy import CLASSES, anatomy_frame, examples
from bench.results.statistics.estimates import Estimate, shares_across_seeds
from bench.results.statistics.scores import Scores

ErrorShares = dict[str, dict[str, Estimate]]
"""Architecture -> class of error -> its share of all test problems, across seeds."""
EXAMPLES = 10
"""Wrong answers shown of each architecture."""
KINDS_NOTE = Note(
    "An answer counts as the first kind that fits, from left to right. Figures are means over seeds, from 3 seeds on "
    "with a 95 % t interval across them; there is none where all are equal."
)
EXAMPLES_NOTE = Note(
    "They are spread over the kinds that occur, and within a kind over seeds and problems. They are the same ones "
    "every time."
)


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
    rows = {
        name: {"architecture": Value(label(scores, name))}
        | {kind: share_value(share, asked) for kind, share in of_architecture.items()}
        for name, of_architecture in shares.items()
    }
    title = f"Wrong answers by kind, % of all test problems (n = {asked:,}, per seed)"
    columns = [*words("architecture"), *figures(*CLASSES)]
    return Table(key="errors", title=title, columns=columns, rows=rows, notes=[KINDS_NOTE], detail=True)


def _examples(scores: Scores) -> Table:
    answered = {cell: frame for cell, frame in scores.predictions.items() if cell not in scores.diverged}
    rows = {}
    for number, wrong in enumerate(examples(answered, EXAMPLES).to_dict("records"), 1):
        texts = {"architecture": label(scores, wrong["architecture"]), "answer": wrong["answer"]}
        texts |= {"problem": f"{wrong['a']} {wrong['op']} {wrong['b']}", "given": wrong["prediction"] or NO_VALUE}
        texts |= {"as generated": wrong["raw"], "kind": wrong["class"], "seed": str(wrong["seed"])}
        rows[f"{wrong['architecture']}, {number}"] = {key: Value(text) for key, text in texts.items()}
    title = f"Wrong answers, {EXAMPLES} of each architecture"
    columns = [*words("architecture", "problem"), *figures("answer", "given"), *words("as generated", "kind")]
    columns += figures("seed")
    return Table(key="error-examples", title=title, columns=columns, rows=rows, notes=[EXAMPLES_NOTE], detail=True)
