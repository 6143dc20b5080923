"""The tables of exact match by kind of problem: operation, digits, signs, decimals, and what stands beside them."""

from collections.abc import Callable
from typing import Any

from bench.results.records.predictions import OPERATIONS
from bench.results.report.table import ARCHITECTURE, Column, Note, Table, Value, number_value, share_value
from bench.results.report.tables.notes import DIVERGED_NOTE, UNSEEN_NOTE, estimate_notes, label
from bench.results.statistics.estimates import Estimate, shares_across_seeds
from bench.results.statistics.scores import Scores

WORKINGS = {
    "answer": "answer (exact match)",
    "both": "answer and workings",
    "workings": "workings",
    "answer_alone": "answer alone",
    "workings_alone": "workings alone",
}


def by_operation(scores: Scores) -> Table:
    return _by_value(scores, "Exact match %, by operation", "operation", lambda value: {"operation": value})


def by_signs(scores: Scores) -> Table:
    return _by_value(scores, "Exact match %, by signs of a and b", "signs", lambda value: {"signs": value})


def by_places(scores: Scores) -> Table | None:
    """By decimal places, where the suite has more than one number of them."""
    if len(scores.values("places")) < 2:
        return None
    return _by_value(scores, "Exact match %, by decimal places", "places", lambda value: {"places": int(value)})


def by_range(scores: Scores) -> Table | None:
    """Inside and beyond the patterns trained on, where the suite tests both."""
    if len(scores.values("range")) < 2:
        return None
    return _by_value(scores, "Exact match %, patterns trained on and beyond", "range")


def _by_value(
    scores: Scores, title: str, slice_name: str, strata: Callable[[str], dict[str, Any]] | None = None
) -> Table:
    """One row an architecture, one column a value of the slice, which is the key of the table.

    `strata`: what the strata of a value have in common, where it is made of whole ones.
    """
    values = {value: scores.asked(slice_name, value) for value in scores.values(slice_name)}
    rows: dict[str, dict[str, Value]] = {}
    estimates, any_whole = [], False
    for name in [*scores.architectures, *scores.baseline_names]:
        rows[name] = {"architecture": Value(label(scores, name))}
        for value, asked in values.items():
            whole = strata is not None and scores.all_unseen(name, **strata(value))
            share = scores.share_right(name, slice_name, value, whole)
            rows[name][value] = share_value(share, asked, whole)
            estimates.append(share)
            any_whole |= whole
    return Table(
        key=slice_name,
        title=title,
        columns=[ARCHITECTURE, *(Column(value, f"{value} (n = {asked:,})") for value, asked in values.items())],
        rows=rows,
        notes=[*estimate_notes(estimates), *([UNSEEN_NOTE] if any_whole else [])],
    )


def by_digits(scores: Scores) -> list[Table]:
    """By digit pattern, one grid an architecture: digits of a are the rows, those of b the columns."""
    patterns = scores.values("digits")
    a_digits, b_digits = (sorted({int(pattern.split("x")[side]) for pattern in patterns}) for side in (0, 1))
    tables = []
    # The calculator's grid would say nothing: it is right everywhere.
    for name in [*scores.architectures, *(name for name in scores.baseline_names if name != "calculator")]:
        rows, estimates, any_whole = {str(a): {"a": Value(str(a))} for a in a_digits}, [], False
        for pattern in patterns:
            whole = scores.all_unseen(name, digits=pattern)
            share = scores.share_right(name, "digits", pattern, whole)
            a, b = pattern.split("x")
            rows[a][b] = share_value(share, scores.asked("digits", pattern), whole, show_n=True)
            estimates.append(share)
            any_whole |= whole
        tables.append(
            Table(
                key="digits",
                subject=name,
                title=f"Exact match %, digits of a (rows) x digits of b (columns): {label(scores, name)}",
                columns=[Column("a", "digits of a", left=True), *(Column(str(b), f"b: {b}") for b in b_digits)],
                rows=rows,
                notes=[*estimate_notes(estimates), *([UNSEEN_NOTE] if any_whole else [])],
            )
        )
    return tables


def few_problems(scores: Scores) -> Table | None:
    """The patterns with so few distinct problems that a stratum, or all of them, are asked whole.

    Sign variants of one pair of magnitudes count once: they are not independent of each other.
    """
    rows = {}
    for value in scores.values("operation x digits"):
        operation, digits = value.split(" ")
        whole, strata = scores.exhaustive(operation=operation, digits=digits)
        if not whole:
            continue
        distinct, asked = scores.distinct(operation, digits), scores.asked("operation x digits", value)
        cover = f"all {distinct:,} of the test split" if whole == strata else f"{whole} of {strata} strata whole"
        rows[value] = {
            "pattern": Value(value),
            "distinct": number_value(distinct),
            "asked": Value(f"{asked:,}", n=asked),
            "cover": Value(cover),
        }
    if not rows:
        return None
    return Table(
        key="few-problems",
        title="Patterns with few distinct problems",
        columns=[
            Column("pattern", "pattern", left=True),
            Column("distinct", "distinct"),
            Column("asked", "asked"),
            Column("cover", "what the test set holds", left=True),
        ],
        rows=rows,
        notes=[
            Note(
                "`distinct` counts pairs of magnitudes. Their sign variants are asked too, and are not independent of "
                "each other."
            )
        ],
    )


def by_workings(scores: Scores) -> Table | None:
    """How answers and workings go together, where the suite's answers have workings."""
    if any("workings_right" not in predictions for predictions in scores.predictions.values()):
        return None
    asked, rows, estimates = scores.asked("all", "all"), {}, []
    for name in scores.architectures:
        of_seeds: list[list[float]] = []
        for seed in scores.seeds(name):
            predictions = scores.predictions[name, seed]
            of_test = predictions[predictions["split"] == "test"]
            right, workings = of_test["right"] == 1, of_test["workings_right"] == 1
            kinds = (right, workings & right, workings, right & ~workings, workings & ~right)
            of_seeds.append([float(kind.mean()) for kind in kinds])
        shares = [shares_across_seeds(list(of_kind)) for of_kind in zip(*of_seeds, strict=True)]
        estimates += shares
        found = {kind: share_value(share, asked) for kind, share in zip(WORKINGS, shares, strict=True)}
        rows[name] = {"architecture": Value(label(scores, name))} | found
    return Table(
        key="workings",
        title=f"Answers and their workings, % right (n = {asked:,})",
        columns=[ARCHITECTURE, *(Column(key, title) for key, title in WORKINGS.items())],
        rows=rows,
        notes=[
            Note(
                "Exact match looks at the answer, which stands behind the workings. `answer alone` counts right "
                "answers behind wrong workings."
            ),
            *estimate_notes(estimates),
        ],
    )


def on_training_problems(scores: Scores) -> Table | None:
    """Exact match on problems of the training split: who asks for 1 + 1 means those too."""
    names = [*scores.architectures, *scores.baseline_names]
    rows: dict[str, dict[str, Value]] = {}
    estimates: list[Estimate] = []
    for value in scores.values("seen digits"):
        asked = scores.asked("seen digits", value)
        shares = {name: scores.share_right(name, "seen digits", value) for name in names}
        estimates += shares.values()
        found = {name: share_value(share, asked) for name, share in shares.items()}
        rows[value] = {"digits of a x b": Value(value), "problems asked": number_value(asked)} | found
    if not rows:
        return None
    columns = [Column("digits of a x b", "digits", left=True), Column("problems asked", "n")]
    return Table(
        key="training-problems",
        title="Exact match % on training-split problems",
        columns=[*columns, *(Column(name, label(scores, name)) for name in names)],
        rows=rows,
        notes=[
            *estimate_notes(estimates),
            Note(
                "These problems, `seen digits` in results.csv, belong to the training split and are in no other figure."
            ),
        ],
    )


def of_one_model(own: Scores, every: Scores, pretrained: bool) -> Table:
    """Exact match of one model, by `own`, and of all finished seeds of its architecture, by `every`, slice by slice."""
    [name] = own.architectures
    slices = {"all": ["all"], "operation": [value for value in OPERATIONS if value in own.values("operation")]}
    slices |= {slice_name: own.values(slice_name) for slice_name in ("digits", "signs")}
    rows, estimates, any_whole = {}, [], False
    for slice_name, values in slices.items():
        for value in values:
            whole = own.all_unseen(name, **({} if slice_name == "all" else {slice_name: value}))
            shares = [scores.share_right(name, slice_name, value, whole) for scores in (own, every)]
            estimates += shares
            any_whole |= whole
            asked = own.asked(slice_name, value)
            about = value if slice_name == "all" else f"{slice_name} {value}"
            mine, mean = (share_value(share, asked, whole) for share in shares)
            rows[about] = {"problems": Value(about), "n": number_value(asked), "model": mine, "mean": mean}
    seeds = len(every.seeds(name))
    return Table(
        key="model",
        title="Exact match % on test problems",
        columns=[
            Column("problems", "problems", left=True),
            Column("n", "n"),
            Column("model", "this model"),
            Column("mean", f"mean over {seeds} seed{'s' if seeds > 1 else ''}"),
        ],
        rows=rows,
        notes=[
            *estimate_notes(estimates),
            *([UNSEEN_NOTE] if any_whole else []),
            *([DIVERGED_NOTE] if every.diverged else []),
            Note(
                "`digits` are those of a x those of b, and `signs` those of a and of b. No test problem was trained "
                "on, in any sign or order" + (", by arithbench." if pretrained else ".")
            ),
        ],
    )
