"""The tables of exact match by kind of problem: operation, digits, signs, decimals, and what stands beside them."""

from bench.results.records.predictions import OPERATIONS
from bench.results.report.table import Column, Note, Table, Value, figures, number_value, words
from bench.results.report.tables.notes import DIVERGED_NOTE, Shares, label
from bench.results.statistics.estimates import shares_across_seeds
from bench.results.statistics.scores import Scores

TITLES = {
    "operation": "Exact match %, by operation",
    "signs": "Exact match %, by signs of a and b",
    "places": "Exact match %, by decimal places",
    "range": "Exact match %, patterns trained on and beyond",
}
"""Slice, and key of its table -> title."""
ONLY_IF_MANY = ("places", "range")
"""Slices that have a table only where they have more than one value."""
DISTINCT_NOTE = Note(
    "`distinct` counts pairs of magnitudes. Their sign variants are asked too, and are not independent of each other."
)
PARTS = ("column", "row", "sum", "divided", "times", "taken", "left", "numerator", "denominator", "end")
"""Of workings, as `mistake` in the predictions names them."""
PARTS_NOTE = Note(
    "`column` is one of a sum, `row` and `sum` are of a product. In a division `divided` is what is divided, `times` "
    "how often, `taken` what that takes away, `left` what is left; in a fraction `numerator` and `denominator` are of "
    "a convergent. `end`: nothing else is wrong, but the workings go on, or never end."
)
WORKINGS_NOTE = Note(
    "Exact match looks at the answer, which stands behind the workings. `answer alone` counts right answers behind "
    "wrong workings."
)
TRAINING_NOTE = Note(
    "These problems, `seen digits` in results.csv, belong to the training split and are in no other figure."
)


def by_slice(scores: Scores, slice_name: str) -> Table | None:
    """One row an architecture, one column a value of a slice of `TITLES`; None where one value would say nothing."""
    values = scores.values(slice_name)
    if slice_name in ONLY_IF_MANY and len(values) < 2:
        return None
    shares = Shares()
    rows = {
        name: {"architecture": Value(label(scores, name))}
        | {value: shares.right(scores, name, slice_name, value) for value in values}
        for name in [*scores.architectures, *scores.baseline_names]
    }
    columns = [
        *words("architecture"),
        *(Column(value, f"{value} (n = {scores.asked(slice_name, value):,})") for value in values),
    ]
    return Table(key=slice_name, title=TITLES[slice_name], columns=columns, rows=rows, notes=shares.notes())


def by_digits(scores: Scores) -> list[Table]:
    """By digit pattern, one grid an architecture: digits of a are the rows, those of b the columns."""
    patterns = [pattern.split("x") for pattern in scores.values("digits")]
    a_digits, b_digits = (sorted({pattern[side] for pattern in patterns}, key=int) for side in (0, 1))
    tables = []
    # The calculator's grid would say nothing: it is right everywhere.
    for name in [*scores.architectures, *(name for name in scores.baseline_names if name != "calculator")]:
        rows, shares = {a: {"a": Value(a)} for a in a_digits}, Shares()
        for a, b in patterns:
            rows[a][b] = shares.right(scores, name, "digits", f"{a}x{b}", show_n=True)
        title = f"Exact match %, digits of a (rows) x digits of b (columns): {label(scores, name)}"
        columns = [Column("a", "digits of a", left=True), *(Column(b, f"b: {b}") for b in b_digits)]
        tables.append(Table(key="digits", subject=name, title=title, columns=columns, rows=rows, notes=shares.notes()))
    return tables


def few_problems(scores: Scores) -> Table | None:
    """The patterns with so few distinct problems that a stratum, or all of them, are asked whole.

    Sign variants of one pair of magnitudes count once: they are not independent of each other.
    """
    rows = {}
    for value in scores.values("operation x digits"):
        operation, digits = value.split(" ")
        whole, strata = scores.exhaustive("operation x digits", value)
        if not whole:
            continue
        distinct, asked = scores.distinct(operation, digits), scores.asked("operation x digits", value)
        cover = f"all {distinct:,} of the test split" if whole == strata else f"{whole} of {strata} strata whole"
        rows[value] = {"pattern": Value(value), "distinct": number_value(distinct), "cover": Value(cover)}
        rows[value]["asked"] = Value(f"{asked:,}", n=asked)
    if not rows:
        return None
    columns = [*words("pattern"), *figures("distinct", "asked"), Column("cover", "what the test set holds", left=True)]
    title = "Patterns with few distinct problems"
    return Table(key="few-problems", title=title, columns=columns, rows=rows, notes=[DISTINCT_NOTE])


def by_workings(scores: Scores) -> Table | None:
    """How answers and workings go together, where the suite's answers have workings."""
    if any("workings_right" not in predictions for predictions in scores.predictions.values()):
        return None
    columns = figures("answer (exact match)", "answer and workings", "workings", "answer alone", "workings alone")
    asked, rows, shares = scores.asked("all", "all"), {}, Shares()
    for name in scores.architectures:
        of_seeds: list[list[float]] = []
        for seed in scores.seeds(name):
            predictions = scores.predictions[name, seed]
            of_test = predictions[predictions["split"] == "test"]
            right, workings = of_test["right"] == 1, of_test["workings_right"] == 1
            kinds = (right, workings & right, workings, right & ~workings, workings & ~right)
            of_seeds.append([float(kind.mean()) for kind in kinds])
        rows[name] = {"architecture": Value(label(scores, name))}
        for column, of_kind in zip(columns, zip(*of_seeds, strict=True), strict=True):
            rows[name][column.key] = shares.show(shares_across_seeds(list(of_kind)), asked)
    title, notes = f"Answers and their workings, % right (n = {asked:,})", [WORKINGS_NOTE, *shares.notes()]
    return Table(key="workings", title=title, columns=[*words("architecture"), *columns], rows=rows, notes=notes)


def by_mistake(scores: Scores) -> Table | None:
    """Where workings go wrong first, where the suite's answers have workings."""
    if any("mistake" not in predictions for predictions in scores.predictions.values()):
        return None
    asked, found = scores.asked("all", "all"), {}
    for cell, predictions in scores.predictions.items():
        mistakes = predictions.loc[predictions["split"] == "test", "mistake"]
        found[cell] = mistakes[mistakes != ""].str.extract("([a-z]+)")[0].value_counts()
    parts = [part for part in PARTS if any(part in counts for counts in found.values())]
    rows, shares = {}, Shares()
    for name in scores.architectures:
        rows[name] = {"architecture": Value(label(scores, name))}
        for part in parts:
            of_seeds = [int(found[name, seed].get(part, 0)) / asked for seed in scores.seeds(name)]
            rows[name][part] = shares.show(shares_across_seeds(of_seeds), asked)
    title, notes = (
        f"Where workings go wrong first, % of all test problems (n = {asked:,})",
        [PARTS_NOTE, *shares.notes()],
    )
    columns = [*words("architecture"), *figures(*parts)]
    return Table(key="mistakes", title=title, columns=columns, rows=rows, notes=notes) if parts else None


def on_training_problems(scores: Scores) -> Table | None:
    """Exact match on problems of the training split: who asks for 1 + 1 means those too."""
    names = [*scores.architectures, *scores.baseline_names]
    rows, shares = {}, Shares()
    for value in scores.values("seen digits"):
        asked = number_value(scores.asked("seen digits", value))
        found = {name: shares.right(scores, name, "seen digits", value) for name in names}
        rows[value] = {"digits of a x b": Value(value), "problems asked": asked} | found
    if not rows:
        return None
    columns = [Column("digits of a x b", "digits", left=True), Column("problems asked", "n")]
    columns += [Column(name, label(scores, name)) for name in names]
    title, notes = "Exact match % on training-split problems", [*shares.notes(), TRAINING_NOTE]
    return Table(key="training-problems", title=title, columns=columns, rows=rows, notes=notes)


def of_one_model(own: Scores, every: Scores, pretrained: bool) -> Table:
    """Exact match of one model, by `own`, and of all finished seeds of its architecture, by `every`, slice by slice."""
    [name] = own.architectures
    slices = {"all": ["all"], "operation": [value for value in OPERATIONS if value in own.values("operation")]}
    slices |= {slice_name: own.values(slice_name) for slice_name in ("digits", "signs")}
    rows, shares = {}, Shares()
    for slice_name, value in ((slice_name, value) for slice_name, values in slices.items() for value in values):
        about = value if slice_name == "all" else f"{slice_name} {value}"
        mine, mean = (shares.right(scores, name, slice_name, value) for scores in (own, every))
        asked = number_value(own.asked(slice_name, value))
        rows[about] = {"problems": Value(about), "n": asked, "this model": mine, "mean": mean}
    seeds = len(every.seeds(name))
    columns = [*words("problems"), *figures("n", "this model")]
    columns.append(Column("mean", f"mean over {seeds} seed{'s' if seeds > 1 else ''}"))
    explained = (
        "`digits` are those of a x those of b, and `signs` those of a and of b. No test problem was trained on, in any "
        f"sign or order{', by arithbench' if pretrained else ''}."
    )
    notes = [*shares.notes(), *([DIVERGED_NOTE] if every.diverged else []), Note(explained)]
    return Table(key="model", title="Exact match % on test problems", columns=columns, rows=rows, notes=notes)
