"""Tables of answers to problems from elsewhere.

Of models trained here, what counts is the test split: by the rule that hashes magnitudes, none was trained on a problem
of it, and no setting was chosen by one. All slices but `overall` and `split` are of it alone.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bench.results.records.slices import slice_predictions
from bench.results.report.table import Column, Note, Table, Value, figures, number_value, share_value, words
from bench.results.report.tables.notes import estimate_notes
from bench.results.report.tables.slices import ONLY_IF_MANY
from bench.results.statistics.estimates import Estimate, estimate

SPLITS = ("test", "validation", "train")
"""In the order of the rows."""
TITLES = {
    "split": "Exact match %, by the split that each problem falls into",
    "operation": "Exact match % on the test split, by operation",
    "digits": "Exact match % on the test split, by digits of a x digits of b",
    "signs": "Exact match % on the test split, by signs of a and b",
    "places": "Exact match % on the test split, by decimal places",
    "range": "Exact match % on the test split, patterns trained on and beyond",
}
"""Slice -> title, in the order of the tables."""
MOST_LISTED = 10
"""Rows of a table of what is in no figure; `--json` lists all."""
MOST_EXAMPLES = 3
"""Positions named beside a reason that many share."""

Unused = tuple[int, str, str]
"""What is in no figure: its position in the file, its text, and the end of a sentence that begins with the text."""


Wrong = tuple[str, int, str, str, str, bool]
"""A wrong prediction: model, position, problem, right answer, prediction, and whether that is the right number."""


@dataclass(frozen=True)
class Row:
    """One architecture on one value of a slice."""

    slice: str
    value: str
    architecture: str
    seeds: list[int]
    n: int
    """problems asked, of each seed"""
    correct: list[int]
    """of each seed"""
    share: Estimate
    written_otherwise: list[int]
    """of each seed: the right number, written otherwise; not among `correct`"""


def outside_rows(predictions: Mapping[tuple[str, int], pd.DataFrame]) -> list[Row]:
    """Every architecture on every value of every slice that it was asked about.

    `predictions` of (architecture, seed) have the columns that slices are made of and `written_otherwise`, and all
    seeds of an architecture the same problems; `split` is train, validation or test.
    """
    rows = []
    for name in dict.fromkeys(name for name, _ in predictions):
        frames = {seed: frame for (architecture, seed), frame in predictions.items() if architecture == name}
        counts = [list(_counts(frame)) for frame in frames.values()]
        for of_seeds in zip(*counts, strict=True):
            slice_name, value, _, _, total = of_seeds[0]
            correct, otherwise = ([counted[place] for counted in of_seeds] for place in (2, 3))
            share = estimate(correct, [total] * len(correct))
            rows.append(Row(slice_name, value, name, list(frames), total, correct, share, otherwise))
    return rows


def outside_tables(
    rows: list[Row], stands_for: Mapping[str, str], unseen: bool, pretrained: Collection[str] = ()
) -> list[Table]:
    """The tables, one a slice, which is its key: a row a value, a column an architecture, called as `stands_for` says.

    The first one, of those trained elsewhere, is `overall`: a row each.
    `unseen`: whether the models were trained here, on problems of the training split alone; but for the `pretrained`,
    which read other text before.
    """
    tables = [] if unseen else [_overall([row for row in rows if row.slice == "overall"], stands_for)]
    for slice_name, title in TITLES.items():
        chosen = [row for row in rows if row.slice == slice_name]
        values = list(dict.fromkeys(row.value for row in chosen))
        if slice_name == "split" and "test" not in values:
            values.insert(0, "test")  # the headline, also where it has no problem
        if not values or (slice_name in ONLY_IF_MANY and len(values) < 2):
            continue
        # No file and no architecture is called by an empty name.
        lines = {value: {"": Value(value)} for value in values}
        for row in chosen:
            lines[row.value][row.architecture] = share_value(row.share, row.n, show_n=True)
        if slice_name == "split" and unseen and not pretrained:
            lines["test"][""] = Value("test (unseen)")
        notes = _split_notes(unseen, pretrained) if slice_name == "split" else []
        notes += [note for note in estimate_notes([row.share for row in chosen]) if not tables]
        columns = [Column("", slice_name, left=True), *(Column(name, text) for name, text in stands_for.items())]
        tables.append(Table(key=slice_name, title=title, columns=columns, rows=lines, notes=notes))
    return tables


def unused_tables(
    unread: Sequence[Unused], left_out: Sequence[Unused], wrong: Sequence[Unused], where: str
) -> list[Table]:
    """What is in no figure, and why: what is no operation on two numbers, what the suite cannot ask, and what has a
    wrong reference. `where`: what a position counts, such as 'line'.
    """
    rows = {
        str(position): {"position": Value(str(position)), "problem": Value(text), "it ...": Value(reason)}
        for position, text, reason in wrong[:MOST_LISTED]
    }
    title, notes = f"Wrong references: {len(wrong):,}, in no figure", _cut(len(wrong), "of them")
    columns = [Column("position", where, left=True), *words("problem", "it ...")]
    tables = [
        _by_reason("unread", "Cannot be read as one operation on two numbers", unread, where),
        _by_reason("left-out", "Cannot be asked in this suite", left_out, where),
        Table(key="wrong-references", title=title, columns=columns, rows=rows, notes=notes),
    ]
    return [table for table in tables if table.rows]


def _by_reason(key: str, title: str, unused: Sequence[Unused], where: str) -> Table:
    by_reason: dict[str, list[str]] = {}
    for position, text, reason in unused:
        by_reason.setdefault(reason, []).append(f"{where} {position}: {text}")
    often = sorted(by_reason.items(), key=lambda item: -len(item[1]))
    rows = {}
    for reason, those in often[:MOST_LISTED]:
        some = Value("; ".join(those[:MOST_EXAMPLES]))
        rows[reason] = {"it ...": Value(reason), "problems": Value(f"{len(those):,}", n=len(those)), "such as": some}
    columns, notes = [*words("it ..."), *figures("problems"), *words("such as")], _cut(len(often), "reasons")
    return Table(key=key, title=f"{title}: {len(unused):,}, in no figure", columns=columns, rows=rows, notes=notes)


def wrong_prediction_tables(wrong: Sequence[Wrong], where: str) -> list[Table]:
    """The first wrong predictions, if there are any; `where` as in `unused_tables`."""
    rows = {
        f"{model} {position}": {
            "model": Value(model),
            "position": Value(str(position)),
            "problem": Value(problem),
            "is": Value(answer),
            "prediction": Value(prediction),
            "": Value("the right number, written otherwise" if otherwise else ""),
        }
        for model, position, problem, answer, prediction, otherwise in wrong[:MOST_LISTED]
    }
    columns = [*words("model"), Column("position", where, left=True), *words("problem", "is", "prediction", "")]
    title, notes = f"Wrong predictions: {len(wrong):,}", _cut(len(wrong), "of them")
    return [Table(key="wrong-predictions", title=title, columns=columns, rows=rows, notes=notes)] if rows else []


def _overall(rows: list[Row], stands_for: Mapping[str, str]) -> Table:
    lines = {
        row.architecture: {
            "model": Value(stands_for[row.architecture]),
            "exact match %": share_value(row.share),
            "right number, written otherwise %": share_value(
                estimate(row.written_otherwise, [row.n] * len(row.written_otherwise))
            ),
            "problems": number_value(row.n),
        }
        for row in rows
    }
    columns = [*words("model"), *figures("exact match %", "right number, written otherwise %", "problems")]
    notes = [
        Note("Exact match is symbol for symbol: 12.50 for 12.5 is the right number, written otherwise, and wrong.")
    ]
    notes += estimate_notes([row.share for row in rows])
    return Table(key="overall", title="All problems of the file", columns=columns, rows=lines, notes=notes)


def _cut(there: int, what: str) -> list[Note]:
    if there <= MOST_LISTED:
        return []
    return [Note(f"These are the first {MOST_LISTED} of {there:,} {what}; --json lists all.")]


def _counts(predictions: pd.DataFrame) -> Iterator[tuple[str, str, int, int, int]]:
    """(slice, value, correct, right otherwise, total): of all, by split, then every slice of the test split."""
    by_split = {split: predictions[predictions["split"] == split] for split in SPLITS}
    for slice_name, value, some in (("overall", "all", predictions), *(("split", *each) for each in by_split.items())):
        if len(some):
            yield slice_name, value, int(some["right"].sum()), int(some["written_otherwise"].sum()), len(some)
    test = by_split["test"]
    exact, otherwise = (slice_predictions(test.assign(right=test[name])) for name in ("right", "written_otherwise"))
    for (slice_name, value, correct, total), others in zip(
        exact.itertuples(index=False, name=None), otherwise["correct"], strict=True
    ):
        if total:
            yield slice_name, value, int(correct), int(others), int(total)


def _split_notes(unseen: bool, pretrained: Collection[str]) -> list[Note]:
    if not unseen:
        text = "A hash of the magnitudes decides the split. What the model that predicted was trained on is not known."
        return [Note(text)]
    text = (
        "A hash of the magnitudes decides the split, as in training. The figure to quote is that of the test split: "
        "settings were chosen on validation, and problems of the training split may have been trained on."
    )
    met = "may have met these before, in the text that it was pretrained on."
    return [Note(text), *(Note(f"{name} {met}") for name in pretrained)]
