"""predictions.csv.gz: every problem of the evaluation that a cell was asked, and what it answered."""

import gzip
import zlib
from pathlib import Path

import pandas as pd

from bench.results.columns import check_names, parse_columns
from bench.results.files import BadFile, write_bytes

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
    "raw": "str",  # the symbols as generated, up to the end token
    "ended": "int64",  # 1 if there is an end token, else 0: the answer was cut off at the suite's width
    "right": "int64",  # 1 if all symbols up to the end token are right, else 0
    "digits_right": "int64",  # digits of `answer` (signs and points are none) that the prediction has at their place
    "digits": "str",  # digits of a x digits of b, such as '1x2'
    "signs": "str",  # signs of a and b, such as '+-'
    "places": "int64",  # decimal places, the larger of the two operands'
    "carries": "Int64",  # carries or borrows; empty for * and /
    "answer_length": "int64",  # symbols of the answer
    "range": "str",  # 'trained' or 'beyond': the pattern is inside or outside what was trained on
}
"""Column -> type, in the order of the file."""

ALLOWED = {
    "split": ("test", "train"),
    "op": OPERATIONS,
    "ended": (0, 1),
    "right": (0, 1),
    "signs": SIGNS,
    "range": ("trained", "beyond"),
}


def write_predictions(cell_directory: Path, predictions: pd.DataFrame) -> None:
    """Writes predictions.csv.gz; the same frame gives the same bytes. Raises ValueError on wrong columns or values."""
    text = _checked(predictions).to_csv(index=False, lineterminator="\n")
    write_bytes(cell_directory / PREDICTIONS, gzip.compress(text.encode(), mtime=0))


def read_predictions(cell_directory: Path) -> pd.DataFrame:
    """The frame that was written, typed as in `COLUMNS`; text stays text ('' and 'nan' too). Raises BadFile."""
    path = cell_directory / PREDICTIONS
    remedy = "restore it, or delete the cell's folder and run it again"
    try:
        return _checked(parse_columns(gzip.decompress(path.read_bytes()).decode(), COLUMNS))
    except FileNotFoundError:
        raise BadFile(path, "the file is missing", remedy) from None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise BadFile(path, f"is no file of predictions ({error})", remedy) from None


def _checked(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with the types of `COLUMNS`. ValueError where a column is missing or unknown, or a value not allowed."""
    check_names(list(frame.columns), COLUMNS)
    frame = frame.astype(COLUMNS)
    for column, allowed in ALLOWED.items():
        wrong = frame.loc[~frame[column].isin(allowed), column]
        if len(wrong):
            raise ValueError(f"{column} is '{wrong.iloc[0]}' in row {wrong.index[0]}, not one of {allowed}")
    wrong = frame.loc[~frame["digits"].str.fullmatch("[0-9]+x[0-9]+"), "digits"]
    if len(wrong):
        raise ValueError(f"digits is '{wrong.iloc[0]}' in row {wrong.index[0]}, not such as 1x2")
    return frame
