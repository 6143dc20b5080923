"""predictions.csv.gz: every problem of the evaluation that a cell was asked, and what it answered."""

import gzip
import zlib
from pathlib import Path

import pandas as pd

from bench.results.records.files import BadFile, write_bytes
from bench.results.records.typed_csv import check_names, parse_columns

PREDICTIONS = "predictions.csv.gz"

OPERATIONS = ("+", "-", "*", "/")
SIGNS = ("++", "+-", "-+", "--")

COLUMNS = {
    "item": "int64",  # place in the evaluation set, from 0
    "split": "str",  # 'test', or 'train' for the problems of `seen digits`
    "a": "str",  # operands, answer and prediction as a person writes them
    "op": "str",
    "b": "str",
    "answer": "str",
    "prediction": "str",  # '' where what was generated is no number
    "raw": "str",  # the symbols as generated, up to the end token; an answer stands behind its workings and a ':'
    "ended": "int64",  # 1 if there is an end token, else 0: the answer was cut off at the suite's width
    "right": "int64",  # 1 if all symbols of the answer up to the end token are right, else 0
    "digits_right": "int64",  # digits of `answer` (signs and points are none) that the prediction has at their place
    "digits": "str",  # digits of a x digits of b, such as '1x2'
    "signs": "str",  # signs of a and b, such as '+-'
    "places": "int64",  # decimal places, the larger of the two operands'
    "carries": "Int64",  # carries or borrows; empty for * and /
    "answer_length": "int64",  # symbols of the answer
    "range": "str",  # 'trained' or 'beyond': the pattern is inside or outside what was trained on
}
"""Column -> type, in the order of the file."""

WORKINGS_COLUMNS = {
    "workings_right": "int64",  # 1 if all symbols up to the end of the workings are right, else 0
}
"""The columns behind them in a suite whose answers have workings."""

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
    path = cell_directory / PREDICTIONS
    remedy = "restore it, or delete the cell's folder and run it again"
    try:
        text = gzip.decompress(path.read_bytes()).decode()
        return _checked(parse_columns(text, _columns(text.partition("\n")[0].split(","))))
    except FileNotFoundError:
        raise BadFile(path, "the file is missing", remedy) from None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise BadFile(path, f"is no file of predictions ({error})", remedy) from None


def _columns(names: list[str]) -> dict[str, str]:
    """Column -> type, in the order of a file that has columns of these names."""
    return COLUMNS | (WORKINGS_COLUMNS if WORKINGS_COLUMNS.keys() & set(names) else {})


def _checked(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with its types. ValueError where a column is missing or unknown, or a value not allowed."""
    columns = _columns(list(frame.columns))
    check_names(list(frame.columns), columns)
    frame = frame.astype(columns)
    for column, allowed in ALLOWED.items():
        if column not in columns:
            continue
        wrong = frame.loc[~frame[column].isin(allowed), column]
        if len(wrong):
            raise ValueError(f"{column} is '{wrong.iloc[0]}' in row {wrong.index[0]}, not one of {allowed}")
    wrong = frame.loc[~frame["digits"].str.fullmatch("[0-9]+x[0-9]+"), "digits"]
    if len(wrong):
        raise ValueError(f"digits is '{wrong.iloc[0]}' in row {wrong.index[0]}, not such as 1x2")
    return frame
