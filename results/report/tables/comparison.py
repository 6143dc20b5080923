"""The tables of a comparison of two architectures: slice by slice across seeds, and model against model."""

from bench.results.report.table import NO_VALUE, Column, Note, Table, Value, figures, number_value, share_value, words
from bench.results.report.tables.notes import DIVERGED_NOTE, label, mark_notes
from bench.results.statistics.comparison import TRAINED_MODELS, Comparison
from bench.results.statistics.scores import Scores

MODELS_NOTE = Note(
    "The test speaks of the two models of a seed, never of architectures: one architecture under two seeds is "
    "'different' by it in about half of all cases or more."
)


def differences(scores: Scores, comparison: Comparison) -> Table:
    """A row a value of a slice. Where any row is all-or-nothing, the solved shares lead."""
    names = (comparison.one, comparison.other)
    one, other = (label(scores, name) for name in names)
    leads = any(row.all_or_nothing for row in comparison.rows)
    flips = any(row.sign_flip is not None for row in comparison.rows)
    columns = [*words("problems"), *figures("n")]
    columns += [Column("solved_one", f"{one} solved %"), Column("solved_other", f"{other} solved %")] if leads else []
    columns += [Column("one", f"{one} %"), Column("other", f"{other} %"), *figures("difference, points")]
    columns += [*words("verdict"), *figures("p (paired t)", *(["p (sign flip)"] if flips else []), "p (Holm)")]
    rows = {}
    for row in comparison.rows:
        about = row.value if row.slice in ("all", "operation x digits") else f"{row.slice} {row.value}"
        values = {
            "problems": Value(about),
            "n": number_value(row.asked),
            "one": share_value(row.one, row.asked),
            "other": share_value(row.other, row.asked),
            "difference, points": share_value(row.difference, row.asked),
            "verdict": Value(row.verdict),
            "p (paired t)": _p_value(row.p),
            "p (Holm)": _p_value(row.holm),
        }
        if row.all_or_nothing:
            solved = {"solved_one": row.solved_one, "solved_other": row.solved_other}
            values |= {key: share_value(share) for key, share in solved.items() if share is not None}
        rows[about] = values | ({"p (sign flip)": _p_value(row.sign_flip)} if flips else {})
    seeds = ", ".join(map(str, comparison.seeds))
    notes = [
        f"Architectures are paired by seed: {seeds}. Intervals are t intervals across seeds, and speak of this test "
        "set.",
        "The interval on `all` is at 95 %, and its verdict is its own. The other rows are asked all at once: each "
        "needs p < 0.05 by Holm over all rows, and its interval is as wide as that asks, so that it misses 0 where a "
        "verdict names an architecture.",
    ]
    if leads:
        notes.append(
            "`solved` is the share of seeds with 99 % right (`all`: on validation), with a Wilson interval over seeds. "
            "It is shown where some seeds of an architecture learnt and others did not. No t interval holds there: the "
            "sign flip decides."
        )
    if comparison.left_out:
        left_out = ", ".join(f"{name} seed {seed}" for name, seed in comparison.left_out)
        notes.append(f"These are left out, since the other has no finished cell of that seed: {left_out}.")
    if diverged := [f"{name} seed {seed}" for name, seed in scores.diverged if name in names]:
        notes.append(f"{DIVERGED_NOTE.text} Here that is {', '.join(diverged)}.")
    title = f"Exact match, {comparison.one} minus {comparison.other}"
    all_notes = [*map(Note, notes), *mark_notes(scores, names)]
    return Table(key="differences", title=title, columns=columns, rows=rows, notes=all_notes)


def trained_models(scores: Scores, comparison: Comparison) -> Table:
    """Model against model: exact McNemar, a row a seed."""
    rows = {}
    for pair in comparison.mcnemar:
        counts = {"one": number_value(pair.only_one_right), "other": number_value(pair.only_other_right)}
        rows[str(pair.seed)] = {"seed": Value(str(pair.seed), value=pair.seed), "p": _p_value(pair.p)} | counts
    columns = [*words("seed"), Column("one", f"only {comparison.one} right")]
    columns += [Column("other", f"only {comparison.other} right"), *figures("p")]
    title = f"{TRAINED_MODELS.capitalize()}: exact McNemar on the same {scores.asked('all', 'all'):,} problems"
    return Table(key="trained-models", title=title, columns=columns, rows=rows, notes=[MODELS_NOTE])


def _p_value(p: float | None) -> Value:
    if p is None:
        return Value(NO_VALUE)
    return Value("< 0.001" if p < 0.001 else f"{p:.3f}", value=p)
