"""Predictions cut into slices: how many right of how many, by operation, digits, signs, and so on.

Sums and counts only, never means, so that slices can be added up. The values of operation, digits, signs and stratum
each sum to `all`. `seen digits` stands apart: problems of the training split, in no other slice.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd

from bench.results.records.predictions import OPERATIONS, SIGNS
from bench.results.records.typed_csv import Column

SLICES: dict[str, tuple[str, ...]] = {
    "all": (),
    "operation": ("op",),
    "digits": ("digits",),
    "signs": ("signs",),
    "operation x digits": ("op", "digits"),
    "operation x signs": ("op", "signs"),
    "stratum": ("op", "digits", "signs", "places"),
    "seen digits": ("digits",),
    "places": ("places",),
    "carries": ("carries",),
    "answer_length": ("answer_length",),
    "range": ("range",),
}
"""Slice -> the columns of the predictions whose values, joined by spaces, are its values."""

COLUMNS = {
    "slice": Column("str", "what the problems are cut by, such as `operation`; `all` is all test problems"),
    "value": Column("str", "value of that, such as `+`"),
    "correct": Column("int64", "problems answered exactly"),
    "total": Column("int64", "problems asked"),
}
RESULT_COLUMNS = {
    "architecture": Column("str", "architecture, or a baseline: `calculator` or `nearest`"),
    "seed": Column("int64", "seed of the cell"),
    **COLUMNS,
}
"""Of results.csv and baselines.csv, in their order."""

_RANK: dict[str, Callable[[Any], Any]] = {
    "op": OPERATIONS.index,
    "digits": lambda pattern: tuple(map(int, pattern.split("x"))),
    "signs": SIGNS.index,
    "range": ("trained", "beyond").index,
}
"""Column -> sort key of its values; numbers sort as they are."""


def slice_predictions(predictions: pd.DataFrame) -> pd.DataFrame:
    """Rows (slice, value, correct, total) of one cell, in a fixed order; every slice of `SLICES` that has items.

    A row without a value in a column (no carries in * and /) is left out of that slice alone.
    """
    rows: list[tuple[str, str, int, int]] = []
    split = predictions["split"]
    trained, tested = (predictions[split == name] for name in ("train", "test"))
    for name, columns in SLICES.items():
        asked = trained if name == "seen digits" else tested
        if not columns:
            rows.append((name, "all", int(asked["right"].sum()), len(asked)))
            continue
        counts = asked.groupby(list(columns), sort=False, dropna=True)["right"].agg(["sum", "size"])
        keys = counts.index if len(columns) > 1 else zip(counts.index, strict=True)
        groups = dict(zip(keys, counts.itertuples(index=False, name=None), strict=True))
        for key in sorted(groups, key=partial(_rank, columns)):
            correct, total = groups[key]
            rows.append((name, " ".join(map(str, key)), int(correct), int(total)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rank(columns: tuple[str, ...], key: tuple[Any, ...]) -> list[Any]:
    return [_RANK.get(column, int)(value) for column, value in zip(columns, key, strict=True)]
