"""The charts of `perf`, from its JSON: how near each model comes to what the machine can do, and how cost grows."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from bench.results.report.charts.chart import Chart
from bench.results.report.charts.style import GREY, colour_by, dash_by, shape_by, styles_of

PANEL = 300
"""Pixels of one panel."""
COSTS = {"seconds_per_token": "time a token, us", "peak_memory_mb": "peak memory, MB"}


def roofline(rows: Sequence[dict[str, Any]]) -> Chart:
    """Operations a second against operations a byte, below the roof that the machine's probes make (Williams, Waterman
    and Patterson, "Roofline: An Insightful Visual Performance Model", 2009).
    """
    measured = [row for row in rows if not row["left_out"]]
    drawn = styles_of([row["architecture"] for row in measured])
    points = [
        {
            "architecture": row["architecture"],
            "intensity": row["flops_per_byte"],
            "rate": row["flops_per_token"] * row["train_tokens_per_second"],
            "share of peak": f"{row['share_of_peak']:.1%}",
        }
        for row in measured
    ]
    peak, bandwidth = measured[0]["probe_flops_per_second"], measured[0]["copy_bytes_per_second"]
    ridge = peak / bandwidth
    low = min([ridge, *(point["intensity"] for point in points)]) / 2
    high = max([ridge, *(point["intensity"] for point in points)]) * 2
    roof = [{"intensity": at, "rate": min(peak, at * bandwidth)} for at in (low, ridge, high)]
    scale = alt.Scale(type="log", nice=False, domain=[low, high])
    x = alt.X("intensity:Q", title="operations a byte moved", scale=scale, axis=_axis())
    y = alt.Y("rate:Q", title="operations a second", scale=alt.Scale(type="log", nice=False, padding=24), axis=_axis())
    line = alt.Chart(pd.DataFrame(roof)).mark_line(color=GREY, strokeWidth=2).encode(x=x, y=y)
    dots = alt.Chart(pd.DataFrame(points)).mark_point(size=90, filled=True, opacity=1)
    dots = dots.encode(
        x=x,
        y=y,
        color=colour_by(drawn),
        shape=shape_by(drawn),
        tooltip=["architecture:N", "share of peak:N", alt.Tooltip("intensity:Q", format=".3~s")],
    )
    return Chart(
        name="roofline",
        title="Training steps below the machine's roof",
        caption="Grey: the most that the machine did meanwhile, of a large matrix product (flat) and of a large copy "
        "(rising). Operations: matrix products alone. Bytes are an estimate: every operator of a step, the update "
        "included, reads its inputs from memory and writes its outputs there once, as if there were no caches.",
        legend=list(drawn),
        picture=alt.layer(line, dots).properties(width="container", height=320),
    )


def growth(curves: Sequence[dict[str, Any]]) -> Chart:
    """Cost against what grows, a panel each, on logarithmic axes: a power is a straight line."""
    drawn = styles_of([curve["architecture"] for curve in curves])
    frame = pd.DataFrame(
        [
            {
                "architecture": curve["architecture"],
                "panel": f"{COSTS[curve['cost']]}, against {curve['against']}",
                "value": value,
                "cost": cost * (1e6 if curve["cost"] == "seconds_per_token" else 1),
                "slope": f"{curve['slope']:.2f}",
            }
            for curve in curves
            for value, cost in zip(curve["values"], curve["medians"], strict=False)  # not all could be measured
        ]
    )
    panels = list(dict.fromkeys(frame["panel"]))
    log = alt.Scale(type="log", nice=False, padding=8)
    picture = (
        alt.Chart(frame)
        .mark_line(strokeWidth=2, point=True)
        .encode(
            x=alt.X("value:Q", title=None, scale=log, axis=_axis()),
            y=alt.Y("cost:Q", title=None, scale=log, axis=_axis()),
            color=colour_by(drawn).legend(symbolType="stroke"),  # dots would be dashed
            strokeDash=dash_by(drawn).legend(symbolType="stroke"),
            tooltip=["architecture:N", "value:Q", alt.Tooltip("cost:Q", format=".3~s"), "slope:N"],
        )
        .properties(width=PANEL, height=200)
        .facet(facet=alt.Facet("panel:N", sort=panels, title=None, header=alt.Header(labelLimit=PANEL)), columns=2)
        .resolve_scale(x="independent", y="independent")
    )
    return Chart(
        name="growth",
        title="How the cost of training grows",
        caption="Medians over rounds. On two logarithmic axes the slope is the power with which a cost grows.",
        legend=list(drawn),
        picture=picture,
        panel=PANEL + 70,
    )


def _axis() -> alt.Axis:
    """A logarithmic axis with figures at 1, 2 and 5 of each power of ten: those of all ticks would hide one another."""
    leading = "toNumber(slice(format(datum.value, '.0e'), 0, 1))"
    text = f"indexof([1, 2, 5], {leading}) < 0 ? '' : format(datum.value, datum.value < 1 ? '~g' : '.3~s')"
    return alt.Axis(tickCount=5, grid=False, labelExpr=text)
