"""predictions.csv.gz: every problem of the evaluation that a cell was asked, and what it answered."""

import gzip
from pathlib import Path

import pandas as pd

from bench.results.files import write_bytes
from bench.results.records.typed_csv import Column, as_typed, check_values, parse_columns, read_frame

PREDICTIONS = "predictions.csv.gz"

OPERATIONS = ("+", "-", "*", "/")
SIGNS = ("++", "+-", "-+", "--")

COLUMNS = {
    "item": Column("int64", "place in the evaluation set, from 0"),
    "split": Column("str", "`test`, or `train` for the training-split problems that are asked beside them"),
    "a": Column("str", "first operand, as a person writes it"),
    "op": Column("str", "operation: `+ - * /`"),
    "b": Column("str", "second operand"),
    "answer": Column("str", "right answer, as a person writes it"),
    "prediction": Column("str", "the model's answer, as a person writes it; empty where it is no number"),
    "raw": Column("str", "the symbols as generated, up to the end token; workings stand before a `:`"),
    "ended": Column("int64", "1 if there is an end token, else 0: the answer was cut off at the suite's width"),
    "right": Column("int64", "1 if all symbols of the answer up to the end token are right, else 0"),
    "digits_right": Column("int64", "digits of `answer` that the prediction has at their place"),
    "digits": Column("str", "digits of a x digits of b, such as `1x2`"),
    "signs": Column("str", "signs of a and b, such as `+-`"),
    "places": Column("int64", "decimal places, the larger of the two operands'"),
    "carries": Column("Int64", "carries or borrows; empty for `*` and `/`"),
    "answer_length": Column("int64", "symbols of the answer"),
    "range": Column("str", "`trained` or `beyond`: whether the pattern was trained on"),
}
"""In the order of the file."""

WORKINGS_COLUMNS = {
    "workings_right": Column("int64", "1 if all symbols up to the end of the workings are right, else 0"),
    "mistake": Column(
        "str",
        "the first part of the workings that is wrong and the step it stands in, such as `times 2`; `end` where "
        "nothing but their end is; empty where they are right",
    ),
}
"""The columns behind them in a suite whose answers have workings; runs of 0.2.0 lack `mistake`."""

ALLOWED = {
    "split": ("test", "train"),
    "op": OPERATIONS,
    "ended": (0, 1),
    "right": (0, 1),
    "signs": SIGNS,
    "range": ("trained", "beyond"),
    "workings_right": (0, 1),
}


def write_predictions(cell_directory: Path, predictions: pd.DataFrame) -> None:
    """Writes predictions.csv.gz; the same frame gives the same bytes. Raises ValueError on wrong columns or values."""
    text = _checked(predictions).to_csv(index=False, lineterminator="\n")
    write_bytes(cell_directory / PREDICTIONS, gzip.compress(text.encode(), mtime=0))


def read_predictions(cell_directory: Path) -> pd.DataFrame:
    """The frame that was written, its columns typed as above; text stays text ('' and 'nan' too). Raises BadFile."""
    return read_frame(cell_directory / PREDICTIONS, _parsed, "file of predictions")


def _parsed(data: bytes) -> pd.DataFrame:
    text = gzip.decompress(data).decode()
    return _checked(parse_columns(text, _columns(text.partition("\n")[0].split(","))))


def _columns(names: list[str]) -> dict[str, Column]:
    """The columns of a file that has some of these names."""
    if not WORKINGS_COLUMNS.keys() & set(names):
        return COLUMNS
    return COLUMNS | {name: column for name, column in WORKINGS_COLUMNS.items() if name != "mistake" or name in names}


def _checked(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with its types. ValueError where a column is missing or unknown, or a value not allowed."""
    frame = as_typed(frame, _columns(list(frame.columns)))
    check_values(frame, ALLOWED)
    wrong = frame.loc[~frame["digits"].str.fullmatch("[0-9]+x[0-9]+"), "digits"]
    if len(wrong):
        raise ValueError(f"digits is '{wrong.iloc[0]}' in row {wrong.index[0]}, not such as 1x2")
    return frame
