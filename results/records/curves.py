"""curve.csv: how a cell learnt, one row a validation, at even points of the budget."""

from collections.abc import Container
from pathlib import Path

import pandas as pd

from bench.results.files import write_text
from bench.results.records.typed_csv import Column, as_typed, parse_columns, read_frame

CURVE = "curve.csv"

COLUMNS = {
    "examples": Column("int64", "problems trained on so far, repeats counted"),
    "tokens": Column("int64", "symbols of their prompts and answers, end tokens counted, pads not"),
    "steps": Column("int64", "optimizer steps so far"),
    "flops": Column("int64", "floating-point operations of the model's matrix products so far"),
    "optimizer_flops": Column("int64", "those of the optimizer's; not in files written before these were counted"),
    "train_seconds": Column("float64", "wall seconds of training so far"),
    "learning_rate": Column("float64", "of the inner matrices at the last step"),
    "train_loss": Column("float64", "nats a token, mean since the row before; empty where it was no number"),
    "correct": Column("int64", "problems of the validation sample answered exactly"),
    "total": Column("int64", "problems in that sample"),
}
"""In the order of the file."""


def write_curve(cell_directory: Path, curve: pd.DataFrame) -> None:
    """Writes curve.csv. Raises ValueError where the columns are not those of `COLUMNS`."""
    write_text(cell_directory / CURVE, as_typed(curve, _columns(curve)).to_csv(index=False, lineterminator="\n"))


def read_curve(cell_directory: Path) -> pd.DataFrame:
    """The frame that was written, to the last bit. Raises BadFile."""
    return read_frame(cell_directory / CURVE, _parsed, "learning curve")


def _parsed(data: bytes) -> pd.DataFrame:
    text = data.decode()
    return parse_columns(text, _columns(text.partition("\n")[0].split(",")))


def _columns(names: Container[str]) -> dict[str, Column]:
    """The columns of a file that has some of these names."""
    return {name: column for name, column in COLUMNS.items() if name != "optimizer_flops" or name in names}
