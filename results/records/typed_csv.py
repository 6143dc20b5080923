"""CSV files of known columns, read as strictly as they are written."""

import csv
import io
import re
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from bench.results.files import CELL_REMEDY, BadFile


class Column(NamedTuple):
    """A column of a CSV file."""

    kind: str
    """of pandas: 'str', 'int64', 'float64', or 'Int64' where a value may be missing"""
    meaning: str
    """of its values, in one line"""


PATTERNS = {
    "int64": r"-?[0-9]{1,18}",  # what 64 bits hold
    "Int64": r"(-?[0-9]{1,18})?",
    "float64": r"(-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?|-?inf)?",
}
"""Type of a column -> how its values are written; empty is no value. Text, "str", may be anything."""


def parse_columns(text: str, columns: dict[str, Column]) -> pd.DataFrame:
    """The frame that `to_csv` wrote as `text`, to the last bit.

    In a column of text, '' and 'nan' are texts. Raises ValueError where columns are other ones, a row has more or
    fewer, or a value is not of its type: nothing is guessed.
    """
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise ValueError(str(error)) from None
    _check_names(rows.pop(0) if rows else [], columns)
    for number, row in enumerate(rows):
        if len(row) != len(columns):
            raise ValueError(f"row {number} has {len(row)} fields, not {len(columns)}")
    texts = zip(*rows, strict=True) if rows else [()] * len(columns)
    return pd.DataFrame(
        {name: _typed(name, column, columns[name].kind) for name, column in zip(columns, texts, strict=True)}
    )


def read_frame(
    path: Path, parse: Callable[[bytes], pd.DataFrame], what: str, remedy: str = CELL_REMEDY
) -> pd.DataFrame:
    """The frame that `parse` makes of a file's bytes; `what` names what the file is not otherwise. Raises BadFile."""
    try:
        return parse(path.read_bytes())
    except FileNotFoundError:
        raise BadFile(path, "the file is missing", remedy) from None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise BadFile(path, f"is no {what} ({error})", remedy) from None


def as_typed(frame: pd.DataFrame, columns: dict[str, Column]) -> pd.DataFrame:
    """`frame` with the types of its columns. Raises ValueError unless these are `columns`, in their order."""
    _check_names(list(frame.columns), columns)
    return frame.astype({name: column.kind for name, column in columns.items()})


def check_values(frame: pd.DataFrame, allowed: Mapping[str, tuple[Any, ...]]) -> None:
    """Raises ValueError where a column has another value than those `allowed` in it."""
    for column, values in allowed.items():
        if column in frame and len(wrong := frame.loc[~frame[column].isin(values), column]):
            raise ValueError(f"{column} is '{wrong.iloc[0]}' in row {wrong.index[0]}, not one of {values}")


def _check_names(names: list[str], columns: dict[str, Column]) -> None:
    if names != list(columns):
        raise ValueError(f"columns are {', '.join(map(str, names))}; they must be {', '.join(columns)}")


def _typed(name: str, texts: tuple[str, ...], kind: str) -> "pd.Series[Any]":
    if kind == "str":
        return pd.Series(texts, dtype=kind)
    for text in dict.fromkeys(texts):  # most stand there often
        if not re.fullmatch(PATTERNS[kind], text):
            raise ValueError(f"{name} is {text[:40]!r} in row {texts.index(text)}, not of type {kind}")
    # Converted by Python, which is exact to the last bit; not every pandas 3 is.
    if kind == "float64":
        return pd.Series([float(text or "nan") for text in texts], dtype=kind)
    return pd.Series([int(text) if text else None for text in texts], dtype=kind)
