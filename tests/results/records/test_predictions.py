import gzip
from pathlib import Path

import pandas as pd
import pytest

from bench.results.files import BadFile
from bench.results.records.curves import read_curve, write_curve
from bench.results.records.predictions import read_predictions, write_predictions


def test_predictions_come_back_as_they_were_text_as_text(tmp_path: Path, predictions: pd.DataFrame) -> None:
    odd = ["nan", "", 'a "quoted", one', "NA", "007", "<pad>", " ", "1e5"]
    predictions.loc[: len(odd) - 1, "raw"] = odd
    write_predictions(tmp_path, predictions)
    back = read_predictions(tmp_path)
    pd.testing.assert_frame_equal(back, predictions.astype(back.dtypes.to_dict()), check_exact=True)
    assert list(back["raw"][: len(odd)]) == odd
    assert (back["prediction"] == "").any()
    assert back.loc[back["op"].isin(["*", "/"]), "carries"].isna().all()


def test_the_same_predictions_give_the_same_bytes(tmp_path: Path, predictions: pd.DataFrame) -> None:
    write_predictions(tmp_path / "1", predictions)
    write_predictions(tmp_path / "2", predictions)
    one, other = ((tmp_path / name / "predictions.csv.gz").read_bytes() for name in "12")
    assert one == other
    assert one[4:8] == bytes(4)  # the time in a gzip header, RFC 1952


def test_predictions_with_other_columns_or_values_are_refused(tmp_path: Path, predictions: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="columns are"):
        write_predictions(tmp_path, predictions.drop(columns="raw"))
    with pytest.raises(ValueError, match="signs is '0-' in row 5"):
        write_predictions(tmp_path, predictions.assign(signs=predictions["signs"].mask(predictions.index == 5, "0-")))
    with pytest.raises(ValueError, match="ended is '-1' in row 0"):
        write_predictions(tmp_path, predictions.assign(ended=-1))
    with pytest.raises(ValueError, match="right is '2' in row 0"):
        write_predictions(tmp_path, predictions.assign(right=2))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_holds_no_predictions_is_named(tmp_path: Path, predictions: pd.DataFrame) -> None:
    path = tmp_path / "predictions.csv.gz"
    with pytest.raises(BadFile, match="missing"):
        read_predictions(tmp_path)
    write_predictions(tmp_path, predictions)
    whole = path.read_bytes()
    broken = (b"", b"text", whole[:-9], whole[:40], gzip.compress(b"item,split\n1,test\n"), gzip.compress(b"\xff\n"))
    for data in (*broken, gzip.compress(gzip.decompress(whole).replace(b",test,", b",exam,"))):
        path.write_bytes(data)
        with pytest.raises(BadFile, match="^" + str(path)):
            read_predictions(tmp_path)


@pytest.mark.parametrize("counted", [{"optimizer_flops": [7, 14]}, {}], ids=["counted", "not counted"])
def test_a_curve_comes_back_to_the_last_bit(counted: dict[str, list[int]], tmp_path: Path) -> None:
    curve = pd.DataFrame(
        {
            **{"examples": [1000, 2000], "tokens": [9000, 18000], "steps": [10, 20], "flops": [10**15, 2 * 10**15]},
            **{**counted, "train_seconds": [0.1 + 0.2, 1 / 3], "learning_rate": [3e-3, 1e-9]},
            **{"train_loss": [2.3, float("nan")]},
            **{"correct": [0, 7], "total": [9, 9]},
        }
    )
    write_curve(tmp_path, curve)
    pd.testing.assert_frame_equal(read_curve(tmp_path), curve, check_exact=True)
    with pytest.raises(ValueError, match="columns are"):
        write_curve(tmp_path, curve[["steps", "examples"]])
    (tmp_path / "curve.csv").write_text("examples\n1\n")
    with pytest.raises(BadFile, match="is no learning curve"):
        read_curve(tmp_path)
