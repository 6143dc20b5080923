"""Charts of the differences between architectures, pair by pair."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from bench.results.report.charts import style
from bench.results.report.charts.chart import Chart, interval
from bench.results.statistics.comparison import Comparison, Difference, words
from bench.results.statistics.conclusion import over_all_pairs, significant
from bench.results.statistics.estimates import FEWEST_SEEDS
from bench.results.statistics.scores import Scores

FOREST_CAPTION = (
    f"Paired by seed (intervals take {FEWEST_SEEDS} seeds or more). Filled: the difference is significant, and its "
    "interval misses 0, at p < 0.05 after Holm over"
)


def differences(scores: Scores, comparisons: Sequence[Comparison], styles: style.Styles) -> list[Chart]:
    """Pairwise differences as forest plots: every pair overall, and the best architecture against each by slice."""
    if not comparisons:
        return []
    found = []
    whole, overall = over_all_pairs(comparisons), significant(comparisons)
    if len(comparisons) > 1:
        rows = [
            _difference(pair, row) | {"ahead": style.chart_label(scores, pair.one), "significant": differs}
            for pair, row, differs in zip(comparisons, whole, overall, strict=True)
        ]
        rows.sort(key=lambda row: -row["mean"])
        y = alt.Y("pair:N", sort=None, title=None, axis=alt.Axis(grid=False))
        colour = style.colour_by(style.drawn_as(scores, styles), "ahead").legend(None)
        found.append(
            Chart(
                name="differences",
                title="Pairwise differences, all problems",
                caption=f"How many points more often the first is right. {FOREST_CAPTION} these {len(rows)} pairs.",
                picture=_forest(rows, 22 * len(rows), y=y, color=colour),
            )
        )
    best = comparisons[0].one
    against = [pair for pair in comparisons if pair.one == best]
    differs_from = {pair.other: differs for pair, differs in zip(comparisons, overall, strict=True) if pair.one == best}
    judged = {pair.other: row for pair, row in zip(comparisons, whole, strict=True) if pair.one == best}
    # Few pairs leave room for more rows each.
    slices = ("all", "operation", "digits", "signs") if len(against) <= 2 else ("all", "operation")
    rows = [
        _difference(pair, judged[pair.other] if row.slice == "all" else row)
        | {
            "problems": words(row),
            "than": style.chart_label(scores, pair.other),
            "significant": differs_from[pair.other] if row.slice == "all" else row.verdict in (best, pair.other),
        }
        for pair in against
        for row in pair.rows
        if row.slice in slices
    ]
    order = list(dict.fromkeys(row["problems"] for row in rows))
    encodings: dict[str, Any] = {
        "y": alt.Y("problems:N", sort=order, title=None, axis=alt.Axis(grid=False)),
        "color": alt.value(styles[best].colour),
    }
    if len(against) > 1:
        others = {style.chart_label(scores, pair.other): styles[pair.other] for pair in against}
        encodings["color"] = style.colour_by(others, "than").title("than")
        encodings["shape"] = style.shape_by(others, "than").title("than")
        encodings["yOffset"] = alt.YOffset("than:N", sort=list(others), scale=alt.Scale(paddingOuter=0.7))
    found.append(
        Chart(
            name="differences-by-problem",
            title=f"{best} against {'the others' if len(against) > 1 else against[0].other}",
            caption=f"How many points more often {best} is right. {FOREST_CAPTION} the rows of a comparison (all "
            "problems: over all pairs).",
            legend=list(style.drawn_as(scores, styles)),
            picture=_forest(rows, len(order) * (style.rows_height(len(against)) + 10), **encodings),
        )
    )
    return found


def _difference(pair: Comparison, row: Difference) -> dict[str, Any]:
    figures = interval(row.difference)
    points = figures.pop("exact match %")
    return {"pair": f"{pair.one} - {pair.other}", "points": points, "verdict": row.verdict} | figures


def _forest(rows: list[dict[str, Any]], height: int, **encodings: Any) -> Any:
    """Differences with their intervals, filled where they are significant."""
    shape = {"shape": encodings.pop("shape")} if "shape" in encodings else {}  # a rule would draw it at its end
    base = alt.Chart(pd.DataFrame(rows)).encode(**encodings)
    title = "difference, points"
    zero = alt.Chart(pd.DataFrame({"mean": [0]})).mark_rule(strokeDash=[4, 3]).encode(x="mean:Q")
    axis = alt.Axis(tickCount=8)
    bars = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=title, axis=axis), x2="high:Q")
    x = alt.X("mean:Q", title=title, axis=axis)
    asked = ["pair:N", *(["problems:N"] if "problems" in rows[0] else []), "points:N", "verdict:N"]
    rings = base.mark_point(size=80, strokeWidth=2, opacity=1).encode(x=x, tooltip=asked, **shape)
    layers = [zero, bars, rings]
    if any(row["significant"] for row in rows):  # of no rows at all a browser complains that they have no extent
        filled = base.transform_filter("datum.significant").mark_point(size=80, filled=True, opacity=1)
        layers.append(filled.encode(x=x, tooltip=asked, **shape))
    return style.layered(*layers, height=height)
