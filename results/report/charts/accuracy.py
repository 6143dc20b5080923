"""Charts of exact match and of errors: tiers, overall and by operation, by digits, and wrong answers by kind."""

import altair as alt
import pandas as pd

from bench.results.records.baselines import NEAREST
from bench.results.report.charts import style
from bench.results.report.charts.chart import Chart, interval, intervals_text
from bench.results.report.tables.errors import ErrorShares
from bench.results.report.tables.summary import best_first
from bench.results.statistics.anatomy import CLASSES
from bench.results.statistics.estimates import ALL_UNSEEN
from bench.results.statistics.scores import Scores

CLASS_COLOURS = ("#7764d8", "#88ccee", "#44aa99", "#117733", "#ddcc77", "#cc6677", "#999999")
"""Of the classes of wrong answers (after Tol 2021, `muted`): none is an architecture's."""
LABEL = 150
"""Pixels of an architecture's name beside the heat map, at most."""


def exact_match(scores: Scores, styles: style.Styles) -> Chart:
    """Overall and by operation: mean, interval, every seed, and `nearest` as the bound from below."""
    slices = [("all", "all"), *(("operation", operation) for operation in scores.values("operation"))]
    means, seeds, nearest, shares = [], [], [], []
    for slice_name, value in slices:
        asked = scores.asked(slice_name, value)
        rows = scores.rows(slice_name, value)
        for name in scores.architectures:
            about = {"problems": value, "architecture": style.chart_label(scores, name)}
            share = scores.share_right(name, slice_name, value)
            shares.append(share)
            means.append(about | interval(share) | {"problems asked": asked})
            for _, row in rows[rows["architecture"] == name].iterrows():
                right = 100 * row["correct"] / row["total"]
                seeds.append(about | {"mean": right, "exact match %": f"{right:.1f} (seed {row['seed']})"})
        if NEAREST in scores.baseline_names:
            share = scores.share_right(NEAREST, slice_name, value)
            nearest.append({"problems": value, "architecture": NEAREST} | interval(share))
    order = [value for _, value in slices]
    y = alt.Y("problems:N", sort=order, title=None, axis=alt.Axis(grid=False, labelFontSize=14))
    drawn = style.drawn_as(scores, styles)
    offset = alt.YOffset("architecture:N", sort=list(drawn), scale=alt.Scale(paddingOuter=0.7))
    x = alt.X("mean:Q", title="exact match %", scale=alt.Scale(domain=[0, 100]), axis=alt.Axis(tickCount=10))
    colour = style.colour_by(drawn)
    base = alt.Chart(pd.DataFrame(means)).encode(y=y, yOffset=offset, color=colour)
    rules = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title="exact match %"), x2="high:Q")
    tooltip = ["architecture:N", "problems:N", "exact match %:N"]
    dots = alt.Chart(pd.DataFrame(seeds)).mark_circle(size=22, opacity=0.45)
    dots = dots.encode(x=x, y=y, yOffset=offset, color=colour, tooltip=tooltip)
    points = base.mark_point(size=80, filled=True, opacity=1)
    points = points.encode(x=x, shape=style.shape_by(drawn), tooltip=[*tooltip, "problems asked:Q"])
    layers = [rules, dots, points]
    if nearest:
        tall = style.rows_height(len(scores.architectures)) + 4
        ticks = alt.Chart(pd.DataFrame(nearest)).mark_tick(color=style.GREY, thickness=2, height=tall)
        layers.insert(0, ticks.encode(x=x, y=y, tooltip=tooltip))
    bound = " Grey bar: the baseline `nearest`, which has learnt nothing." if nearest else ""
    return Chart(
        name="exact-match",
        title="Exact match, overall and by operation",
        caption=f"{intervals_text(shares)} Small: each seed.{bound}",
        legend=list(drawn),
        picture=style.layered(*layers, height=len(slices) * (style.rows_height(len(scores.architectures)) + 18)),
    )


def tier_chart(scores: Scores, styles: style.Styles, tiers: dict[str, str]) -> Chart | None:
    """All architectures, the best first, with the letters that say which cannot be told apart; None without letters."""
    if not tiers:
        return None
    means, seeds, shares = [], [], []
    for name in (name for name in best_first(scores) if name in tiers):
        about = {"architecture": style.chart_label(scores, name), "tier": tiers[name]}
        share = scores.share_right(name, "all", "all")
        shares.append(share)
        means.append(about | interval(share))
        for record in scores.of(name):
            if record.exact_match is not None:
                right = 100 * record.exact_match
                seeds.append(about | {"mean": right, "exact match %": f"{right:.1f} (seed {record.seed})"})
    drawn = style.drawn_as(scores, styles)
    order = [row["architecture"] for row in means]
    y = alt.Y("architecture:N", sort=order, title=None)
    x = alt.X("mean:Q", title="exact match %", scale=alt.Scale(zero=False, nice=True, padding=24))
    colour = style.colour_by(drawn).legend(None)
    tooltip = ["architecture:N", "exact match %:N", "tier:N"]
    base = alt.Chart(pd.DataFrame(means)).encode(y=y)
    rules = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title="exact match %"), x2="high:Q", color=colour)
    dots = alt.Chart(pd.DataFrame(seeds)).mark_circle(size=22, opacity=0.45)
    dots = dots.encode(x=x, y=y, color=colour, tooltip=tooltip)
    points = base.mark_point(size=80, filled=True, opacity=1)
    points = points.encode(x=x, color=colour, shape=style.shape_by(drawn).legend(None), tooltip=tooltip)
    letters = base.mark_text(align="left", dx=8, fontSize=13)
    letters = letters.encode(x="high:Q", text=alt.Text("tier:N"), tooltip=tooltip)
    return Chart(
        name="tiers",
        title="Tiers",
        caption=f"{intervals_text(shares)} Small: each seed. Two share a letter where they cannot be told apart, after "
        "Holm over all pairs; their intervals may overlap or not, since a pair is compared seed by seed.",
        picture=style.layered(rules, dots, points, letters, height=24 * len(means)),
    )


def heat_maps(scores: Scores) -> Chart:
    """Architectures, the best first, x digits of both operands; a panel an operation."""
    rows = []
    patterns: dict[str, None] = {}
    names = [name for name in best_first(scores) if name in scores.architectures]
    for name in names:
        for value in scores.values("operation x digits"):
            operation, digits = value.split(" ")
            patterns[digits] = None
            share = scores.share_right(name, "operation x digits", value)
            asked = f"{scores.asked('operation x digits', value):,}"
            asked += f", {ALL_UNSEEN}" if scores.all_unseen(name, "operation x digits", value) else ""
            about = {"operation": operation, "architecture": style.chart_label(scores, name), "problems": value}
            rows.append(about | {"digits": digits} | interval(share) | {"problems asked": asked})
    frame = pd.DataFrame(rows)
    side = 36 if len(patterns) <= 9 else 26
    # Also on the figures: the pointer often stands on them, not on the cell below.
    tooltip = ["architecture:N", "problems:N", "exact match %:N", "problems asked:N"]
    order = sorted(patterns, key=lambda digits: (sum(map(int, digits.split("x"))), digits))
    labels = [style.chart_label(scores, name) for name in names]
    base = alt.Chart(frame).encode(
        x=alt.X("digits:N", title="digits of a x b", sort=order, axis=alt.Axis(labelAngle=0, labelOverlap=False)),
        y=alt.Y("architecture:N", title=None, sort=labels, axis=alt.Axis(labelLimit=LABEL)),
        tooltip=tooltip,
    )
    scale = alt.Scale(scheme="viridis", domain=[0, 100])
    cells = base.mark_rect().encode(
        color=alt.Color(
            "mean:Q", scale=scale, title="exact match %", legend=alt.Legend(orient="bottom", gradientLength=180)
        )
    )
    light = alt.condition("datum.mean > 55", alt.value("#000000"), alt.value("#ffffff"))
    figures = base.mark_text(fontSize=12 if side > 30 else 10).encode(
        text=alt.Text("mean:Q", format=".0f"), color=light
    )
    layers = alt.layer(cells, figures).properties(width=alt.Step(side), height=alt.Step(22))
    operations = scores.values("operation")
    picture = layers.facet(facet=alt.Facet("operation:N", sort=operations, title=None), columns=len(operations))
    return Chart(
        name="digits",
        title="Exact match by operation and digits",
        caption="Mean over seeds, in percent, the best architecture first; intervals and numbers of problems are under "
        "the pointer.",
        picture=picture,
        panel=side * len(patterns) + LABEL // max(2, len(operations)),
    )


def error_anatomy(scores: Scores, errors: ErrorShares) -> Chart | None:
    """Which errors an architecture makes: shares of all test problems, stacked up to the share answered wrong."""
    rows = [
        {"architecture": style.chart_label(scores, name), "error": kind, "order": order, "share": 100 * share.mean}
        for name, shares in errors.items()
        for order, (kind, share) in enumerate(shares.items())
    ]
    if not any(row["share"] for row in rows):
        return None
    names = [style.chart_label(scores, name) for name in scores.architectures]
    bars = (
        alt.Chart(pd.DataFrame(rows))
        .mark_bar(height=20)
        .encode(
            x=alt.X("share:Q", title="% of all test problems", stack="zero", axis=alt.Axis(tickCount=8)),
            y=alt.Y("architecture:N", sort=names, title=None, axis=alt.Axis(grid=False)),
            color=alt.Color("error:N", scale=alt.Scale(domain=list(CLASSES), range=list(CLASS_COLOURS))),
            order="order:Q",
            tooltip=["architecture:N", "error:N", alt.Tooltip("share:Q", format=".1f", title="% of all test problems")],
        )
    )
    return Chart(
        name="errors",
        title="Wrong answers by kind",
        caption="The first kind that fits, in the order of the legend; means over seeds.",
        legend=list(CLASSES),
        picture=bars.properties(width="container", height=34 * len(scores.architectures) + 10),
    )
