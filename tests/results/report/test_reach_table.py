"""What a search for reach prints and draws."""

from bench.results.report.charts.reach import reach_curves
from bench.results.report.tables.reach import reach_table
from bench.results.statistics.reach import Trial

TRIALS = [
    Trial("lstm", 2, 0, 100, 200, 3.0),
    Trial("transformer", 2, 0, 200, 200, 2.0),
    Trial("transformer", 2, 1, 198, 200, 2.0),
    Trial("transformer", 4, 0, 199, 200, 2.0),
    Trial("transformer", 4, 1, 0, 200, 0.0),
]


def test_the_table_has_the_farthest_first_and_all_that_was_tried() -> None:
    table = reach_table(TRIALS, seeds=2)
    texts = {name: [value.text for value in row.values()] for name, row in table.rows.items()}
    assert texts == {
        "transformer": ["transformer", "2 to 3", "4", "6", "2: 100.0 99.0; 4: 99.5 0.0"],
        "lstm": ["lstm", "below 2", "1", "3", "2: 50.0"],
    }


def test_the_chart_has_a_point_for_each_number_of_digits() -> None:
    chart = reach_curves(TRIALS)
    [points] = [values for values in chart.specification()["datasets"].values() if "architecture" in values[0]]
    found = [(row["architecture"], row["digits"], row["low"], row["mean"], row["high"]) for row in points]
    assert found == [
        ("lstm", 2, 50.0, 50.0, 50.0),
        ("transformer", 2, 99.0, 99.5, 100.0),
        ("transformer", 4, 0.0, 49.75, 99.5),
    ]
    assert chart.legend == ["lstm", "transformer"]
