from collections import Counter

import pandas as pd

from bench.results.records.slices import SLICES, slice_predictions


def test_slices_that_partition_the_test_set_sum_to_all(predictions: pd.DataFrame) -> None:
    rows = slice_predictions(predictions)
    sums = rows.groupby("slice", sort=False)[["correct", "total"]].sum()
    assert list(sums.index) == list(SLICES)
    everything = tuple(sums.loc["all"])
    assert everything == (predictions.query("split == 'test'")["right"].sum(), 288)
    apart = {"seen digits", "carries"}
    for name in SLICES.keys() - apart:
        assert tuple(sums.loc[name]) == everything, name
    assert sums.loc["seen digits", "total"] == 64
    assert sums.loc["carries", "total"] == 144  # + and - only


def test_every_row_equals_a_count_by_hand(predictions: pd.DataFrame) -> None:
    total: Counter[tuple[str, str]] = Counter()
    correct: Counter[tuple[str, str]] = Counter()
    for row in predictions.to_dict("records"):
        op, digits, signs, places = (str(row[key]) for key in ("op", "digits", "signs", "places"))
        if row["split"] == "train":
            keys = [("seen digits", digits)]
        else:
            keys = [("all", "all"), ("operation", op), ("digits", digits), ("signs", signs), ("places", places)]
            keys += [("operation x digits", f"{op} {digits}"), ("operation x signs", f"{op} {signs}")]
            keys += [("stratum", f"{op} {digits} {signs} {places}"), ("range", row["range"])]
            keys += [("answer_length", str(row["answer_length"]))]
            keys += [("carries", str(row["carries"]))] if op in "+-" else []
        total.update(keys)
        correct.update({key: row["right"] for key in keys})
    rows = slice_predictions(predictions)
    counted = {(row.slice, row.value): (row.correct, row.total) for row in rows.itertuples()}
    assert counted == {key: (correct[key], total[key]) for key in total}


def test_the_order_is_that_of_a_reader_and_not_of_the_items(predictions: pd.DataFrame) -> None:
    long = predictions.assign(digits=predictions["digits"].replace("2x1", "10x2"))
    rows = slice_predictions(long.sample(frac=1, random_state=1))
    values = {str(name): list(group["value"]) for name, group in rows.groupby("slice")}
    assert values["operation"] == ["+", "-", "*", "/"]
    assert values["digits"] == values["seen digits"] == ["1x1", "1x2", "2x2", "10x2"]
    assert values["signs"] == ["++", "+-", "-+", "--"]
    assert values["operation x digits"][:5] == ["+ 1x1", "+ 1x2", "+ 2x2", "+ 10x2", "- 1x1"]
    assert values["stratum"][:2] == ["+ 1x1 ++ 1", "+ 1x1 +- 0"]
    assert values["range"] == ["trained", "beyond"]
    assert values["answer_length"] == sorted(values["answer_length"], key=int)
    pd.testing.assert_frame_equal(rows, slice_predictions(long))
