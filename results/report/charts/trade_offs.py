"""Charts of accuracy against cost: training time and throughput, with the Pareto front."""

import math
from collections.abc import Sequence
from typing import Literal

import altair as alt
import pandas as pd

from bench.results.report.charts import style
from bench.results.report.charts.chart import SHARED_CAPTION, Chart, interval, intervals_text, machines_text
from bench.results.statistics.scores import Scores

HEIGHT, PADDING = 300, 30
"""Pixels of a chart, and between its sides and the outermost points."""
LETTER, LINE = 6.0, 13
"""Pixels of a letter of a name and of its line, as it stands beside its point."""


def trade_offs(scores: Scores, styles: style.Styles) -> list[Chart]:
    """Exact match against training time and throughput, with the front of architectures that no other one beats."""
    axes = (
        ("train-seconds", "train_seconds", "training seconds", "training time"),
        ("examples-per-second", "examples_per_second", "training examples a second", "training throughput"),
        ("decode-per-second", "decode_problems_per_second", "problems answered a second", "answering throughput"),
    )
    return [chart for axis in axes if (chart := _trade_off(scores, styles, *axis)) is not None]


def _trade_off(scores: Scores, styles: style.Styles, name: str, column: str, title: str, against: str) -> Chart | None:
    less_is_better = column == "train_seconds"
    shared = style.sharing(scores)
    drawn = style.drawn_as(scores, styles, shared)
    rows, seeds, shares = [], [], []
    for architecture in scores.architectures:
        cost = scores.median(architecture, lambda record: getattr(record, column))
        if not cost:  # not known, or a model that was not trained, for which the logarithmic axis has no place
            continue
        about = {
            "architecture": style.chart_label(scores, architecture, architecture in shared),
            "shared": architecture in shared,
        }
        share = scores.share_right(architecture, "all", "all")
        shares.append(share)
        rows.append(about | {"cost": cost} | interval(share))
        seeds += [
            about | {"cost": getattr(record, column), "mean": 100 * record.exact_match}
            for record in scores.of(architecture)
            if getattr(record, column) and record.exact_match is not None
        ]
    if not rows:
        return None
    frame = pd.DataFrame(rows)
    front = frame.iloc[pareto_front(list(frame["cost"]), list(frame["mean"]), less_is_better)]
    x = alt.X(
        "cost:Q", title=title, scale=alt.Scale(type="log", nice=False, padding=PADDING), axis=style.amounts_axis(4)
    )
    y = alt.Y("mean:Q", title="exact match %", scale=alt.Scale(zero=False, padding=12))
    colour, shape = style.colour_by(drawn).legend(None), style.shape_by(drawn).legend(None)
    # What is had for a cost is the best of all that cost no more.
    steps: Literal["step-after", "step-before"] = "step-after" if less_is_better else "step-before"
    line = alt.Chart(front).mark_line(color=style.GREY, strokeWidth=1.5, strokeDash=[4, 3], interpolate=steps)
    bars = alt.Chart(frame).mark_rule(strokeWidth=2).encode(y=alt.Y("low:Q", title="exact match %"), y2="high:Q")
    dots = alt.Chart(pd.DataFrame(seeds)).mark_circle(size=22, opacity=0.45)
    points = alt.Chart(frame).mark_point(size=110, filled=True, opacity=1)
    tooltip = ["architecture:N", "exact match %:N", alt.Tooltip("cost:Q", format=",.1f", title=title)]
    layers = [
        line.encode(x=x, y=y),
        bars.encode(x=x, color=colour),
        dots.encode(x=x, y=y, color=colour),
        points.encode(x=x, y=y, color=colour, shape=shape, tooltip=tooltip),
    ]
    sides: dict[Literal["left", "right"], int] = {"left": 9, "right": -9}
    names = _placed(frame)
    for side, dx in sides.items():
        some = names[names["align"] == side]
        if some.empty:  # of no rows at all a browser complains that they have no extent
            continue
        named = alt.Chart(some).mark_text(align=side, dx=dx, fontSize=11)
        layers.append(named.encode(x="cost:Q", y="at:Q", text=alt.Text("architecture:N"), color=colour))
    if shared:
        crowded = alt.Chart(frame).transform_filter("datum.shared")
        grey = crowded.mark_point(size=30, filled=True, opacity=1, color=style.GREY)
        layers.append(grey.encode(x=x, y=y, tooltip=tooltip))
    return Chart(
        name=f"accuracy-{name}",
        title=f"Against {against}",
        caption=f"{intervals_text(shares)} Times are medians. Small: each seed. Dashed: the Pareto front, through "
        f"those that no other one beats in both.{SHARED_CAPTION if shared else ''}{machines_text(scores)}",
        picture=style.layered(*layers, height=HEIGHT),
    )


def _placed(frame: pd.DataFrame) -> pd.DataFrame:
    """The names of the points, each right of its own (left where it would leave the picture), and as far above or below
    as keeps it off the names before it.

    The places are those of a picture as wide as in a file: on a narrow page names may touch.
    """
    costs = frame["cost"].map(math.log)
    width = max(costs.max() - costs.min(), 1e-9)
    height = max(frame["high"].max() - frame["low"].min(), 1e-9)
    taken: list[tuple[float, float, float]] = []
    places = []
    for _, row in frame.sort_values("mean", ascending=False).iterrows():
        point = (math.log(row["cost"]) - costs.min()) / width * (style.WIDTH - 2 * PADDING)
        long = LETTER * len(row["architecture"]) + 10
        outside = point + long > style.WIDTH - PADDING
        left, right = (point - long, point) if outside else (point, point + long)
        start = y = row["mean"] / height * HEIGHT
        for step in range(1, 30):
            if all(abs(y - other) >= LINE or right < begins or ends < left for begins, ends, other in taken):
                break
            y = start + (1 if step % 2 else -1) * (step + 1) // 2 * LINE / 2
        taken.append((left, right, y))
        align = "right" if outside else "left"
        places.append(
            {"architecture": row["architecture"], "cost": row["cost"], "at": y / HEIGHT * height, "align": align}
        )
    return pd.DataFrame(places)


def pareto_front(costs: Sequence[float], shares: Sequence[float], less_is_better: bool) -> list[int]:
    """Places of the points that no other one beats: no worse in cost and in share, and better in one of them."""
    signed = [cost if less_is_better else -cost for cost in costs]
    points = list(zip(signed, shares, strict=True))
    return [
        place
        for place, (cost, share) in enumerate(points)
        if not any(c <= cost and s >= share and (c, s) != (cost, share) for c, s in points)
    ]
