"""Tables of answers to problems from elsewhere.

What counts is the test split: by the rule that hashes magnitudes, no model was trained on a problem of it, and no
setting was chosen by one. All slices but `split` are of it alone.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from bench.results.records.slices import slice_predictions
from bench.results.report.table import NO_VALUE, Entry, Table, share_entry
from bench.results.report.tables.run import estimate_notes
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
ONLY_IF_MANY = ("places", "range")
"""Slices that have a table only where they have more than one value."""


@dataclass(frozen=True, kw_only=True)
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


def outside_rows(predictions: Mapping[tuple[str, int], pd.DataFrame]) -> list[Row]:
    """Every architecture on every value of every slice that it was asked about.

    `predictions` of (architecture, seed) have the columns that slices are made of, and all seeds of an architecture the
    same problems; `split` is train, validation or test.
    """
    rows = []
    for name in dict.fromkeys(name for name, _ in predictions):
        frames = {seed: frame for (architecture, seed), frame in predictions.items() if architecture == name}
        counts = [list(_counts(frame)) for frame in frames.values()]
        for of_seeds in zip(*counts, strict=True):
            slice_name, value, _, total = of_seeds[0]
            correct = [count for _, _, count, _ in of_seeds]
            share = estimate(correct, [total] * len(correct))
            rows.append(
                Row(
                    slice=slice_name,
                    value=value,
                    architecture=name,
                    seeds=list(frames),
                    n=total,
                    correct=correct,
                    share=share,
                )
            )
    return rows


def outside_tables(
    rows: list[Row], stands_for: Mapping[str, str], unseen: bool, pretrained: Collection[str] = ()
) -> list[Table]:
    """The tables: a row a value, a column an architecture of `stands_for`, called as that says.

    `unseen`: whether the models were trained here, on problems of the training split alone; but for the `pretrained`,
    which read other text before.
    """
    tables: list[Table] = []
    test = "test (unseen)" if unseen and not pretrained else "test"
    for slice_name, title in TITLES.items():
        chosen = [row for row in rows if row.slice == slice_name]
        values = list(dict.fromkeys(row.value for row in chosen))
        if slice_name == "split" and "test" not in values:
            values.insert(0, "test")  # the headline, also where it has no problem
        if slice_name in ONLY_IF_MANY and len(values) < 2:
            continue
        shares = {(row.value, row.architecture): row for row in chosen}
        lines = [
            [
                Entry(text=test if (slice_name, value) == ("split", "test") else value),
                *(_entry(shares.get((value, name))) for name in stands_for),
            ]
            for value in values
        ]
        notes = _split_notes(unseen, pretrained) if slice_name == "split" else []
        notes += [note for note in estimate_notes([row.share for row in chosen]) if not tables]
        columns = [slice_name, *stands_for.values()]
        if lines:
            tables.append(Table(title=title, columns=columns, rows=lines, notes=notes))
    return tables


def _counts(predictions: pd.DataFrame) -> Iterator[tuple[str, str, int, int]]:
    """(slice, value, correct, total): by split, then every slice of the test split."""
    for split in SPLITS:
        right = predictions.loc[predictions["split"] == split, "right"]
        if len(right):
            yield "split", split, int(right.sum()), len(right)
    test = predictions[predictions["split"] == "test"]
    for slice_name, value, correct, total in slice_predictions(test).itertuples(index=False, name=None):
        if total:
            yield slice_name, value, int(correct), int(total)


def _entry(row: Row | None) -> Entry:
    return Entry(text=NO_VALUE) if row is None else share_entry(row.share, row.n, show_n=True)


def _split_notes(unseen: bool, pretrained: Collection[str]) -> list[str]:
    if not unseen:
        return [
            "A hash of the magnitudes decides the split. What the model that predicted was trained on is not known."
        ]
    return [
        "A hash of the magnitudes decides the split, as in training. The figure to quote is that of the test split: "
        "settings were chosen on validation, and problems of the training split may have been trained on.",
        *(f"{name}: may have met these before, in the text that it was pretrained on." for name in pretrained),
    ]
