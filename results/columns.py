"""CSV files of known columns, read as strictly as they are written."""

import csv
import io
import re
from collections.abc import Callable
from typing import Any

import pandas as pd

CONVERT: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int64": lambda text: _whole(text),
    "Int64": lambda text: _whole(text) if text else None,
    "float64": lambda text: float(text) if text else float("nan"),
}
"""Type of a column -> what its texts become."""


def parse_columns(text: str, columns: dict[str, str]) -> pd.DataFrame:
    """The frame that `to_csv` wrote as `text`, to the last bit; `columns`: name -> type, one of `CONVERT`.

    Only an empty number means "no value"; '' and 'nan' in a column of text are texts. Raises ValueError where columns
    are other ones, a row has more or fewer, or a value is not of its type: nothing is guessed.
    """
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise ValueError(str(error)) from None
    header, rows = (rows[0], rows[1:]) if rows else ([], [])
    check_names(header, columns)
    for number, row in enumerate(rows):
        if len(row) != len(columns):
            raise ValueError(f"row {number} has {len(row)} fields, not {len(columns)}")
    series = {}
    for place, (name, kind) in enumerate(columns.items()):
        values = []
        for number, row in enumerate(rows):
            try:
                values.append(CONVERT[kind](row[place]))
            except ValueError:
                raise ValueError(f"{name} is '{row[place][:40]}' in row {number}, not of type {kind}") from None
        series[name] = pd.Series(values, dtype=kind)
    return pd.DataFrame(series)


def check_names(names: list[str], columns: dict[str, str]) -> None:
    """Raises ValueError unless the names of a frame's columns are those of `columns`, in their order."""
    if names != list(columns):
        raise ValueError(f"columns are {', '.join(map(str, names))}; they must be {', '.join(columns)}")


def _whole(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):  # what int64 holds
        raise ValueError(text)
    return int(text)
