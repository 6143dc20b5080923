from pathlib import Path

import pandas as pd
import pytest

from bench.results.files import BadFile
from bench.results.records.baselines import BASELINES, read_baselines, write_baselines
from bench.results.records.collect import results_frame


@pytest.fixture
def rows(predictions: pd.DataFrame) -> pd.DataFrame:
    """Baselines over two seeds: one always right, one always wrong."""
    frames = {"calculator": predictions.assign(right=1), "nearest": predictions.assign(right=0)}
    return results_frame({(name, seed): frame for name, frame in frames.items() for seed in (0, 4)})


def test_baselines_come_back_as_they_were(tmp_path: Path, rows: pd.DataFrame) -> None:
    write_baselines(tmp_path, rows)
    back = read_baselines(tmp_path)
    pd.testing.assert_frame_equal(back, rows.astype(back.dtypes.to_dict()), check_exact=True)
    text = (tmp_path / BASELINES).read_text()
    assert text.startswith("architecture,seed,slice,value,correct,total\ncalculator,0,all,all,288,288\n")
    write_baselines(tmp_path, back)
    assert (tmp_path / BASELINES).read_text() == text


def test_a_run_that_has_not_ended_has_none(tmp_path: Path, rows: pd.DataFrame) -> None:
    nothing = read_baselines(tmp_path)
    assert len(nothing) == 0
    pd.testing.assert_series_equal(nothing.dtypes, rows.astype(nothing.dtypes.to_dict()).dtypes)


def test_what_cannot_be_is_refused(tmp_path: Path, rows: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="columns are"):
        write_baselines(tmp_path, rows.drop(columns="total"))
    with pytest.raises(ValueError, match=r"architecture is 'lstm' in row 0, not one of"):
        write_baselines(tmp_path, rows.replace({"calculator": "lstm"}))
    with pytest.raises(ValueError, match=r"slice is 'sings' in row"):
        write_baselines(tmp_path, rows.replace({"slice": {"signs": "sings"}}))
    with pytest.raises(ValueError, match="correct is 289 of total 288 in row 0"):
        write_baselines(tmp_path, rows.assign(correct=rows["correct"].mask(rows.index == 0, 289)))
    with pytest.raises(ValueError, match="correct is 0 of total 0 in row 3"):
        write_baselines(
            tmp_path, rows.assign(**{key: rows[key].mask(rows.index == 3, 0) for key in ("correct", "total")})
        )
    with pytest.raises(ValueError, match="nearest seed 4 lacks or has rows"):
        write_baselines(tmp_path, rows.iloc[:-1])
    with pytest.raises(ValueError, match="nearest seed 0 lacks or has rows"):
        write_baselines(tmp_path, rows[rows["architecture"] == "calculator"])
    with pytest.raises(ValueError, match="calculator seed 4 lacks or has rows"):
        write_baselines(tmp_path, pd.concat([rows, rows[rows["seed"] == 4]], ignore_index=True))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_holds_no_baselines_is_named(tmp_path: Path, rows: pd.DataFrame) -> None:
    write_baselines(tmp_path, rows)
    path = tmp_path / BASELINES
    whole = path.read_bytes()
    cut = whole[: whole.rindex(b",")]
    for data in (b"", b"text", b"\xff\n", whole[:-40], cut, whole.replace(b",288,288\n", b",288.5,288\n", 1)):
        path.write_bytes(data)
        with pytest.raises(BadFile, match=rf"^{path}: is no file of baselines \(.*; delete it"):
            read_baselines(tmp_path)
