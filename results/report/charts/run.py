"""The charts of a report, as Vega-Lite pictures made with Altair, each from figures of `Scores` alone.

How they look is in looks.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

import altair as alt
import pandas as pd

from bench.results.records.baselines import NEAREST
from bench.results.report.charts.style import (
    GREY,
    Look,
    amounts_axis,
    colour_by,
    dash_by,
    labelled,
    labels,
    layered,
    rows_height,
    shape_by,
    sharing,
)
from bench.results.report.table import SHARED, share_entry
from bench.results.report.tables.across_suites import by_suite
from bench.results.report.tables.errors import ErrorShares
from bench.results.report.tables.run import estimate_notes
from bench.results.statistics.anatomy import CLASSES
from bench.results.statistics.comparison import Comparison, Difference, words
from bench.results.statistics.conclusion import told_apart
from bench.results.statistics.estimates import (
    ALL_UNSEEN,
    FEWEST_SEEDS,
    FEWEST_TASKS,
    MOST_TAU,
    Estimate,
    performance_profiles,
)
from bench.results.statistics.learning import LEVELS, learning
from bench.results.statistics.scores import Scores

CLASS_COLOURS = ("#7764d8", "#88ccee", "#44aa99", "#117733", "#ddcc77", "#cc6677", "#999999")
"""Of the classes of wrong answers (after Tol 2021, `muted`): none is an architecture's."""
CURVE_CAPTION = (
    "Mean of the seeds; the band goes from the lowest to the highest. A point on a learning curve is not what a "
    "smaller budget gives, since the learning rate had not come down yet: that takes a run of its own."
)
FOREST_CAPTION = (
    f"Paired by seed, 95 % t intervals (of {FEWEST_SEEDS} seeds or more). "
    "Filled: told apart, at p < 0.05 after Holm over"
)
SHARED_CAPTION = f" {SHARED} and grey: measured while the machine was shared, so that the time means little."


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One picture and its words."""

    name: str
    """of its files; unique within a report on one group of runs"""
    title: str
    caption: str
    picture: Any
    """an Altair chart without theme, as wide as its container or, where `panel` is given, in panels"""
    legend: Sequence[str] = ()
    """what its legend lists"""
    panel: int | None = None
    """width of one panel of a picture in panels, in pixels with its gap; None for a picture in one"""

    @property
    def legend_width(self) -> int:
        """Pixels that every entry of the legend needs."""
        return 34 + round(6.2 * max(map(len, self.legend), default=0))

    def specification(self) -> dict[str, Any]:
        """The picture as Vega-Lite, without theme; its description is the name that screen readers give it."""
        with alt.data_transformers.enable("default", max_rows=None):  # by default Altair refuses more than 5,000
            return dict(self.picture.to_dict()) | {"description": self.title}


def charts(
    scores: Scores, comparisons: Sequence[Comparison], errors: ErrorShares, look: dict[str, Look]
) -> list[Chart]:
    """The charts of one group of runs, in order; those that have nothing to show are left out.

    `comparisons` as of `conclusion.all_pairs`, `errors` as of `error_tables.error_shares`; `look` must have every
    architecture.
    """
    if not scores.records:
        return []
    found = [
        exact_match(scores, look),
        *learning_curves(scores, look),
        heat_maps(scores),
        *differences(scores, comparisons, look),
        *trade_offs(scores, look),
        error_anatomy(scores, errors),
    ]
    return [chart for chart in found if chart is not None]


def exact_match(scores: Scores, look: dict[str, Look]) -> Chart:
    """Overall and by operation: mean, interval, every seed, and `nearest` as the bound from below."""
    slices = [("all", "all"), *(("operation", operation) for operation in scores.values("operation"))]
    means, seeds, nearest, shares = [], [], [], []
    for slice_name, value in slices:
        strata = {} if slice_name == "all" else {"operation": value}
        asked = scores.asked(slice_name, value)
        rows = scores.rows(slice_name, value)
        for name in scores.architectures:
            facts = {"problems": value, "architecture": labelled(scores, name)}
            share = scores.share_right(name, slice_name, value, scores.all_unseen(name, **strata))
            shares.append(share)
            means.append(facts | _interval(share) | {"problems asked": asked})
            for _, row in rows[rows["architecture"] == name].iterrows():
                right = 100 * row["correct"] / row["total"]
                seeds.append(facts | {"mean": right, "exact match %": f"{right:.1f} (seed {row['seed']})"})
        if NEAREST in scores.baseline_names:
            share = scores.share_right(NEAREST, slice_name, value, scores.all_unseen(NEAREST, **strata))
            nearest.append({"problems": value, "architecture": NEAREST} | _interval(share))
    order = [value for _, value in slices]
    y = alt.Y("problems:N", sort=order, title=None, axis=alt.Axis(grid=False, labelFontSize=14))
    offset = alt.YOffset("architecture:N", sort=labels(scores), scale=alt.Scale(paddingOuter=0.7))
    x = alt.X("mean:Q", title="exact match %", scale=alt.Scale(domain=[0, 100]), axis=alt.Axis(tickCount=10))
    colour = colour_by(scores, look)
    base = alt.Chart(pd.DataFrame(means)).encode(y=y, yOffset=offset, color=colour)
    rules = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title="exact match %"), x2="high:Q")
    tooltip = ["architecture:N", "problems:N", "exact match %:N"]
    dots = alt.Chart(pd.DataFrame(seeds)).mark_circle(size=22, opacity=0.45)
    dots = dots.encode(x=x, y=y, yOffset=offset, color=colour, tooltip=tooltip)
    points = base.mark_point(size=80, filled=True, opacity=1)
    points = points.encode(x=x, shape=shape_by(scores, look), tooltip=[*tooltip, "problems asked:Q"])
    layers = [rules, dots, points]
    if nearest:
        tall = rows_height(len(scores.architectures)) + 4
        ticks = alt.Chart(pd.DataFrame(nearest)).mark_tick(color=GREY, thickness=2, height=tall)
        layers.insert(0, ticks.encode(x=x, y=y, tooltip=tooltip))
    bound = " Grey bar: the baseline `nearest`, which has learnt nothing." if nearest else ""
    return Chart(
        name="exact-match",
        title="Exact match, overall and by operation",
        caption=f"{_unit(shares)} Small: each seed.{bound}",
        legend=labels(scores),
        picture=layered(*layers, height=len(slices) * (rows_height(len(scores.architectures)) + 18)),
    )


def learning_curves(scores: Scores, look: dict[str, Look]) -> list[Chart]:
    """Exact match on validation against examples, training seconds and FLOPs."""
    frame = curve_frame(scores)
    axes = (("examples", "examples"), ("train_seconds", "seconds"), ("flops", "FLOPs"))
    return [] if frame.empty else [_learning_curve(scores, look, frame, *axis) for axis in axes]


def _learning_curve(scores: Scores, look: dict[str, Look], frame: pd.DataFrame, column: str, against: str) -> Chart:
    shared = sharing(scores) if column == "train_seconds" else set()
    frame = frame.assign(
        architecture=[labelled(scores, name, name in shared) for name in frame["name"]],
        shared=frame["name"].isin(shared),
    )
    base = alt.Chart(frame).encode(x=alt.X(f"{column}:Q", title=f"training {against}", axis=amounts_axis(6)))
    share: dict[str, Any] = {"title": "exact match on validation %", "scale": alt.Scale(domain=[0, 100])}
    mean, colour = alt.Y("mean:Q", **share), colour_by(scores, look, shared).legend(symbolType="stroke")
    dash = dash_by(scores, look, shared).legend(symbolType="stroke")
    tooltip = [
        "architecture:N",
        alt.Tooltip("examples:Q", format=","),
        alt.Tooltip("train_seconds:Q", format=",.1f", title="training seconds"),
        alt.Tooltip("flops:Q", format=".3s", title="FLOPs"),
        alt.Tooltip("mean:Q", format=".1f", title="exact match %"),
        "seeds:N",
    ]
    band = base.mark_area(opacity=0.18).encode(y=alt.Y("low:Q", **share), y2="high:Q", color=colour)
    line = base.mark_line(strokeWidth=2).encode(y=mean, color=colour, strokeDash=dash)
    points = base.mark_circle(size=24, opacity=1).encode(y=mean, color=colour, tooltip=tooltip)
    layers = [band, line, points]
    if shared:
        grey = base.transform_filter("datum.shared").mark_circle(size=24, opacity=1, color=GREY)
        layers.append(grey.encode(y=mean, tooltip=tooltip))
    return Chart(
        name=f"curve-{against.lower()}",
        title=f"Learning against {against}",
        caption=CURVE_CAPTION + (SHARED_CAPTION if shared else ""),
        legend=labels(scores, shared),
        picture=layered(*layers, height=240),
    )


def curve_frame(scores: Scores) -> pd.DataFrame:
    """A row an architecture and validation: name, examples, train_seconds, flops (medians over seeds), mean, low, high
    (percent: mean, lowest and highest seed), seeds.

    Validations that some seed did not reach, since it stopped early, are left out: the mean would jump there.
    """
    rows = []
    for name in scores.architectures:
        curves = [scores.curves[name, record.seed] for record in scores.of(name)]
        for number in range(min(map(len, curves))):
            points = [curve.iloc[number] for curve in curves]
            shares = [100 * float(point["correct"] / point["total"]) for point in points]
            used = {
                column: median(float(point[column]) for point in points)
                for column in ("examples", "train_seconds", "flops")
            }
            figures = {"mean": sum(shares) / len(shares), "low": min(shares), "high": max(shares)}
            each = ", ".join(f"{share:.1f}" for share in shares)
            rows.append({"name": name, **used, **figures, "seeds": each})
    return pd.DataFrame(rows)


def heat_maps(scores: Scores) -> Chart:
    """Digits of a x digits of b, a panel an architecture and operation."""
    rows, panels = [], []
    for name in scores.architectures:
        for value in scores.values("operation x digits"):
            operation, digits = value.split(" ")
            panel = f"{operation}   {labelled(scores, name)}"  # a long name is cut at its end
            if panel not in panels:
                panels.append(panel)
            a, b = map(int, digits.split("x"))
            whole = scores.all_unseen(name, operation=operation, digits=digits)
            share = scores.share_right(name, "operation x digits", value, whole)
            asked = f"{scores.asked('operation x digits', value):,}" + (f", {ALL_UNSEEN}" if whole else "")
            facts = {"panel": panel, "architecture": labelled(scores, name), "problems": value, "a": a, "b": b}
            rows.append(facts | _interval(share) | {"problems asked": asked})
    frame = pd.DataFrame(rows)
    columns = int(frame["b"].nunique())
    side = 56 if columns <= 2 else 40 if columns <= 5 else 26
    # Also on the figures: the pointer often stands on them, not on the cell below.
    tooltip = ["architecture:N", "problems:N", "exact match %:N", "problems asked:N"]
    base = alt.Chart(frame).encode(
        x=alt.X("b:O", title="digits of b", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("a:O", title="digits of a"),
        tooltip=tooltip,
    )
    scale = alt.Scale(scheme="viridis", domain=[0, 100])
    cells = base.mark_rect().encode(
        color=alt.Color(
            "mean:Q", scale=scale, title="exact match %", legend=alt.Legend(orient="bottom", gradientLength=180)
        ),
    )
    light = alt.condition("datum.mean > 55", alt.value("#000000"), alt.value("#ffffff"))
    figures = base.mark_text(fontSize=13 if side > 40 else 11).encode(
        text=alt.Text("mean:Q", format=".0f"), color=light
    )
    layers = alt.layer(cells, figures).properties(width=alt.Step(side), height=alt.Step(side))
    operations = len(scores.values("operation"))
    picture = layers.facet(
        facet=alt.Facet("panel:N", sort=panels, title=None, header=alt.Header(labelLimit=side * columns + 10)),
        columns=operations if operations > 1 else 4,
    )
    return Chart(
        name="digits",
        title="Exact match by digits of both operands",
        caption="Mean over seeds, in percent; intervals and numbers of problems are under the pointer.",
        picture=picture,
        panel=side * columns + 20,
    )


def differences(scores: Scores, comparisons: Sequence[Comparison], look: dict[str, Look]) -> list[Chart]:
    """Pairwise differences as forest plots: every pair overall, and the best architecture against each by slice."""
    if not comparisons:
        return []
    found = []
    overall = told_apart(list(comparisons))
    if len(comparisons) > 1:
        rows = [
            _difference(pair, pair.rows[0]) | {"ahead": labelled(scores, pair.one), "told": told}
            for pair, told in zip(comparisons, overall, strict=True)
        ]
        rows.sort(key=lambda row: -row["mean"])
        y = alt.Y("pair:N", sort=None, title=None, axis=alt.Axis(grid=False))
        colour = colour_by(scores, look, field="ahead").legend(None)
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
    told_of = {pair.other: told for pair, told in zip(comparisons, overall, strict=True) if pair.one == best}
    # Few pairs leave room for more rows each.
    slices = ("all", "operation", "digits", "signs") if len(against) <= 2 else ("all", "operation")
    rows = [
        _difference(pair, row)
        | {
            "problems": words(row),
            "than": labelled(scores, pair.other),
            "told": told_of[pair.other] if row.slice == "all" else row.verdict in (best, pair.other),
        }
        for pair in against
        for row in pair.rows
        if row.slice in slices
    ]
    order = list(dict.fromkeys(row["problems"] for row in rows))
    encodings: dict[str, Any] = {
        "y": alt.Y("problems:N", sort=order, title=None, axis=alt.Axis(grid=False)),
        "color": alt.value(look[best].colour),
    }
    if len(against) > 1:
        others = [pair.other for pair in against]
        scale = alt.Scale(domain=[labelled(scores, name) for name in others], range=[look[n].colour for n in others])
        encodings["color"] = alt.Color("than:N", scale=scale, title="than")
        shapes = alt.Scale(domain=[labelled(scores, name) for name in others], range=[look[n].shape for n in others])
        encodings["shape"] = alt.Shape("than:N", scale=shapes, title="than")
        encodings["yOffset"] = alt.YOffset(
            "than:N", sort=[labelled(scores, name) for name in others], scale=alt.Scale(paddingOuter=0.7)
        )
    found.append(
        Chart(
            name="differences-by-problem",
            title=f"{best} against {'the others' if len(against) > 1 else against[0].other}",
            caption=f"How many points more often {best} is right. {FOREST_CAPTION} the rows of a comparison (all "
            "problems: over all pairs).",
            legend=labels(scores),
            picture=_forest(rows, len(order) * (rows_height(len(against)) + 10), **encodings),
        )
    )
    return found


def _difference(pair: Comparison, row: Difference) -> dict[str, Any]:
    figures = _interval(row.difference)
    points = figures.pop("exact match %")
    return {"pair": f"{pair.one} - {pair.other}", "points": points, "verdict": row.verdict} | figures


def _forest(rows: list[dict[str, Any]], height: int, **encodings: Any) -> Any:
    """Differences with their intervals, filled where they can be told from none."""
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
    if any(row["told"] for row in rows):  # of no rows at all a browser complains that they have no extent
        told = base.transform_filter("datum.told").mark_point(size=80, filled=True, opacity=1)
        layers.append(told.encode(x=x, tooltip=asked, **shape))
    return layered(*layers, height=height)


def trade_offs(scores: Scores, look: dict[str, Look]) -> list[Chart]:
    """Exact match against training time and throughput, with the front of architectures that no other one beats."""
    axes = (
        ("train-seconds", "train_seconds", "training seconds", "training time", True),
        ("examples-per-second", "examples_per_second", "training examples a second", "training throughput", False),
        (
            "decode-per-second",
            "decode_problems_per_second",
            "problems answered a second",
            "answering throughput",
            False,
        ),
    )
    return [chart for axis in axes if (chart := _trade_off(scores, look, *axis)) is not None]


def _trade_off(
    scores: Scores, look: dict[str, Look], name: str, column: str, title: str, against: str, less_is_better: bool
) -> Chart | None:
    shared = sharing(scores)
    rows, seeds, shares = [], [], []
    for architecture in scores.architectures:
        cost = scores.median(architecture, lambda record: getattr(record, column))
        if not cost:  # not known, or a model that was not trained, for which the logarithmic axis has no place
            continue
        facts = {
            "architecture": labelled(scores, architecture, architecture in shared),
            "shared": architecture in shared,
        }
        share = scores.share_right(architecture, "all", "all", scores.all_unseen(architecture))
        shares.append(share)
        rows.append(facts | {"cost": cost} | _interval(share))
        seeds += [
            facts | {"cost": getattr(record, column), "mean": 100 * record.exact_match}
            for record in scores.of(architecture)
            if getattr(record, column) and record.exact_match is not None
        ]
    if not rows:
        return None
    frame = pd.DataFrame(rows)
    front = frame.iloc[pareto_front(list(frame["cost"]), list(frame["mean"]), less_is_better)]
    x = alt.X("cost:Q", title=title, scale=alt.Scale(type="log", nice=False, padding=30), axis=amounts_axis(4))
    y = alt.Y("mean:Q", title="exact match %", scale=alt.Scale(zero=False, padding=12))
    colour = colour_by(scores, look, shared)
    # What is had for a cost is the best of all that cost no more.
    steps: Literal["step-after", "step-before"] = "step-after" if less_is_better else "step-before"
    line = alt.Chart(front).mark_line(color=GREY, strokeWidth=1.5, strokeDash=[4, 3], interpolate=steps)
    bars = alt.Chart(frame).mark_rule(strokeWidth=2).encode(y=alt.Y("low:Q", title="exact match %"), y2="high:Q")
    dots = alt.Chart(pd.DataFrame(seeds)).mark_circle(size=22, opacity=0.45)
    points = alt.Chart(frame).mark_point(size=110, filled=True, opacity=1)
    shape = shape_by(scores, look, shared)
    tooltip = ["architecture:N", "exact match %:N", alt.Tooltip("cost:Q", format=",.1f", title=title)]
    layers = [
        line.encode(x=x, y=y),
        bars.encode(x=x, color=colour),
        dots.encode(x=x, y=y, color=colour),
        points.encode(x=x, y=y, color=colour, shape=shape, tooltip=tooltip),
    ]
    if shared:
        grey = alt.Chart(frame).transform_filter("datum.shared").mark_point(size=30, filled=True, opacity=1, color=GREY)
        layers.append(grey.encode(x=x, y=y, tooltip=tooltip))
    return Chart(
        name=f"accuracy-{name}",
        title=f"Against {against}",
        caption=f"{_unit(shares)} Times are medians. Small: each seed. Dashed: the Pareto front, through those that no "
        f"other one beats in both.{SHARED_CAPTION if shared else ''}",
        legend=labels(scores, shared),
        picture=layered(*layers, height=240),
    )


def pareto_front(costs: Sequence[float], shares: Sequence[float], less_is_better: bool) -> list[int]:
    """Places of the points that no other one beats: no worse in cost and in share, and better in one of them."""
    signed = [cost if less_is_better else -cost for cost in costs]
    points = list(zip(signed, shares, strict=True))
    return [
        place
        for place, (cost, share) in enumerate(points)
        if not any(c <= cost and s >= share and (c, s) != (cost, share) for c, s in points)
    ]


def error_anatomy(scores: Scores, errors: ErrorShares) -> Chart | None:
    """Which errors an architecture makes: shares of all test problems, stacked up to the share answered wrong."""
    rows = [
        {"architecture": labelled(scores, name), "error": kind, "order": order, "share": 100 * share.mean}
        for name, shares in errors.items()
        for order, (kind, share) in enumerate(shares.items())
    ]
    if not any(row["share"] for row in rows):
        return None
    bars = (
        alt.Chart(pd.DataFrame(rows))
        .mark_bar(height=20)
        .encode(
            x=alt.X("share:Q", title="% of all test problems", stack="zero", axis=alt.Axis(tickCount=8)),
            y=alt.Y("architecture:N", sort=labels(scores), title=None, axis=alt.Axis(grid=False)),
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


def performance_profile(groups: Sequence[Scores], look: dict[str, Look]) -> Chart | None:
    """Over the suites of several groups: the share that an architecture learns within tau times the fastest's examples.

    A suite counts as learnt by the median seed's first validation with 90 % right. None with fewer than 5 suites, or
    where no architecture ran on all of them.
    """
    suites = by_suite(groups)
    if len(suites) < FEWEST_TASKS:
        return None
    times = {
        name: [learning(scores, name).reached[LEVELS[0], "examples"] for scores in suites.values()]
        for name in look
        if all(name in scores.architectures for scores in suites.values())
    }
    # One that has learnt a suite before its first example is infinitely many times as fast as any other.
    names = [name for name, of_suites in times.items() if all(of_suites)]
    if not names:
        return None
    taus, profiles = performance_profiles([times[name] for name in names])
    rows = [
        {"architecture": name, "tau": tau, "share": 100 * share}
        for name, profile in zip(names, profiles, strict=True)
        for tau, share in zip(taus, profile, strict=True)
    ]
    scale = alt.Scale(domain=names, range=[look[name].colour for name in names])
    dashes = alt.Scale(domain=names, range=[look[name].dash for name in names])
    line = (
        alt.Chart(pd.DataFrame(rows))
        .mark_line(interpolate="step-after", strokeWidth=2, point=True)
        .encode(
            x=alt.X("tau:Q", title="tau: times the examples of the fastest", scale=alt.Scale(domain=[1, MOST_TAU])),
            y=alt.Y("share:Q", title="% of suites learnt", scale=alt.Scale(domain=[0, 100])),
            color=alt.Color("architecture:N", scale=scale),
            strokeDash=alt.StrokeDash("architecture:N", scale=dashes),
            tooltip=["architecture:N", alt.Tooltip("tau:Q", format=".2f"), alt.Tooltip("share:Q", format=".0f")],
        )
    )
    return Chart(
        name="performance-profile",
        title="Performance profile",
        caption=f"Share of the {len(suites)} suites on which an architecture is 90 % right on validation (median over "
        "seeds) after at most tau times the examples that the fastest one took.",
        legend=names,
        picture=line.properties(width="container", height=240),
    )


# --- what the charts share --------------------------------------------------------------------------------------------


def _interval(estimate: Estimate) -> dict[str, Any]:
    """Mean and interval in percent, as figures (the mean itself where there is no interval) and as words."""
    mean = 100 * estimate.mean
    low, high = (mean if end is None else 100 * end for end in (estimate.low, estimate.high))
    return {"mean": mean, "low": low, "high": high, "exact match %": share_entry(estimate).text}


def _unit(shares: Sequence[Estimate]) -> str:
    """What the intervals of a picture are, and where there is none, in words."""
    return " ".join(estimate_notes(shares, asked=False))
