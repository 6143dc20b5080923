"""baselines.csv: what two baselines score on a run's test set, the bounds of every table. They are no cells.

`calculator` is always right. `nearest` has learnt nothing: it answers as the one among the first 100,000 distinct
training examples whose prompt looks most like the one asked. It depends on the seed, as the training examples do.
"""

from pathlib import Path

import pandas as pd

from bench.results.files import write_text
from bench.results.records.slices import RESULT_COLUMNS, SLICES
from bench.results.records.typed_csv import as_typed, check_values, parse_columns, read_frame

BASELINES = "baselines.csv"

CALCULATOR, NEAREST = "calculator", "nearest"


def write_baselines(run_directory: Path, baselines: pd.DataFrame) -> None:
    """Writes baselines.csv; the same frame gives the same bytes. Raises ValueError on wrong columns or values."""
    write_text(run_directory / BASELINES, _checked(baselines).to_csv(index=False, lineterminator="\n"))


def read_baselines(run_directory: Path) -> pd.DataFrame:
    """The frame that was written, its columns typed; no rows where no run has ended here yet. Raises BadFile."""
    path = run_directory / BASELINES
    if not path.exists():
        return as_typed(pd.DataFrame(columns=list(RESULT_COLUMNS)), RESULT_COLUMNS)
    remedy = "delete it and give the command of the run again, which writes it anew"
    return read_frame(
        path, lambda data: _checked(parse_columns(data.decode(), RESULT_COLUMNS)), "file of baselines", remedy
    )


def _checked(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` typed. ValueError where columns or values are wrong, or a baseline was not asked what all others were."""
    frame = as_typed(frame, RESULT_COLUMNS)
    check_values(frame, {"architecture": (CALCULATOR, NEAREST), "slice": tuple(SLICES)})
    impossible = frame[(frame["correct"] < 0) | (frame["correct"] > frame["total"]) | (frame["total"] == 0)]
    if len(impossible):
        correct, total = impossible.iloc[0][["correct", "total"]]
        raise ValueError(f"correct is {correct} of total {total} in row {impossible.index[0]}")
    asked = {
        key: list(rows[["slice", "value", "total"]].itertuples(index=False, name=None))
        for key, rows in frame.groupby(["architecture", "seed"], sort=False)
    }
    for seed in dict.fromkeys(frame["seed"]):
        for baseline in (CALCULATOR, NEAREST):
            if asked.get((baseline, seed)) != next(iter(asked.values())):
                raise ValueError(f"{baseline} seed {seed} lacks or has rows that the first one does not")
    return frame
