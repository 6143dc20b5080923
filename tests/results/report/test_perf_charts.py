"""The charts of `perf`, from rows made by hand."""

from pathlib import Path

from bench.results.report.charts.speed import growth, roofline
from bench.results.report.html import write_picture

ROW = {
    "left_out": None,
    "flops_per_token": 100.0,
    "train_tokens_per_second": 5e7,
    "share_of_peak": 0.5,
    "probe_flops_per_second": 1e10,
    "copy_bytes_per_second": 2e9,
}


def test_the_roof_bends_where_the_machine_gives_out() -> None:
    rows = [
        ROW | {"architecture": "lstm", "flops_per_byte": 8.0},
        ROW | {"architecture": "gru", "flops_per_byte": 2.0},
        {"architecture": "GPT-2", "left_out": "not installed"},
    ]
    chart = roofline(rows)
    roof, points = (
        chart.specification()["datasets"][layer["data"]["name"]] for layer in chart.specification()["layer"]
    )
    assert roof == [
        {"intensity": 1.0, "rate": 2e9},
        {"intensity": 5.0, "rate": 1e10},
        {"intensity": 16.0, "rate": 1e10},
    ]
    assert [(point["architecture"], point["intensity"], point["rate"]) for point in points] == [
        ("lstm", 8.0, 5e9),
        ("gru", 2.0, 5e9),
    ]


def test_growth_has_a_panel_a_curve_and_is_drawn_without_what_is_unknown(tmp_path: Path) -> None:
    time = {"architecture": "lstm", "cost": "seconds_per_token", "slope": 1.0, "values": [1, 2, 4]}
    curves = [
        time | {"against": "width", "medians": [1e-6, 2e-6, 4e-6]},
        time | {"against": "depth", "medians": [1e-6, 1e-6, 1e-6]},
        time | {"against": "batch", "cost": "peak_memory_mb", "medians": [], "slope": None},
    ]
    chart = growth(curves)
    [rows] = chart.specification()["datasets"].values()
    assert [(row["panel"], row["value"], row["cost"]) for row in rows[:3]] == [
        ("time a token, us, against width", 1, 1.0),
        ("time a token, us, against width", 2, 2.0),
        ("time a token, us, against width", 4, 4.0),
    ]
    assert {row["panel"] for row in rows} == {"time a token, us, against width", "time a token, us, against depth"}
    svg, png = write_picture(chart, tmp_path / chart.name)
    assert "<svg" in svg.read_text()
    assert png.read_bytes().startswith(b"\x89PNG")
