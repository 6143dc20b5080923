"""Charts of learning: curves against examples, seconds and FLOPs, and the performance profile over many suites."""

from collections.abc import Sequence
from statistics import median
from typing import Any

import altair as alt
import pandas as pd

from bench.results.report.charts import style
from bench.results.report.charts.chart import SHARED_CAPTION, Chart, machines_text
from bench.results.report.tables.several_runs import one_a_suite
from bench.results.statistics.estimates import FEWEST_TASKS, MOST_TAU, performance_profiles
from bench.results.statistics.learning import LEVELS, learning
from bench.results.statistics.scores import Scores

CURVE_CAPTION = (
    "Mean of the seeds; the band goes from the lowest to the highest. A point on a learning curve is not what a "
    "smaller budget gives, since the learning rate had not come down yet: that takes a run of its own."
)


def learning_curves(scores: Scores, styles: style.Styles) -> list[Chart]:
    """Exact match on validation against examples, training seconds and FLOPs."""
    frame = curve_frame(scores)
    axes = (("examples", "examples"), ("train_seconds", "seconds"), ("flops", "FLOPs"))
    return [] if frame.empty else [_learning_curve(scores, styles, frame, *axis) for axis in axes]


def _learning_curve(scores: Scores, styles: style.Styles, frame: pd.DataFrame, column: str, against: str) -> Chart:
    shared = style.sharing(scores) if column == "train_seconds" else set()
    drawn = style.drawn_as(scores, styles, shared)
    frame = frame.assign(
        architecture=[style.chart_label(scores, name, name in shared) for name in frame["name"]],
        shared=frame["name"].isin(shared),
    )
    base = alt.Chart(frame).encode(x=alt.X(f"{column}:Q", title=f"training {against}", axis=style.amounts_axis(6)))
    share: dict[str, Any] = {"title": "exact match on validation %", "scale": alt.Scale(domain=[0, 100])}
    mean, colour = alt.Y("mean:Q", **share), style.colour_by(drawn).legend(symbolType="stroke")
    dash = style.dash_by(drawn).legend(symbolType="stroke")
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
        grey = base.transform_filter("datum.shared").mark_circle(size=24, opacity=1, color=style.GREY)
        layers.append(grey.encode(y=mean, tooltip=tooltip))
    return Chart(
        name=f"curve-{against.lower()}",
        title=f"Learning against {against}",
        caption=CURVE_CAPTION
        + (SHARED_CAPTION if shared else "")
        + (machines_text(scores) if column == "train_seconds" else ""),
        legend=list(drawn),
        picture=style.layered(*layers, height=240),
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


def performance_profile(groups: Sequence[Scores], styles: style.Styles) -> Chart | None:
    """Over the suites of several groups: the share that an architecture learns within tau times the fastest's examples.

    A suite counts as learnt by the median seed's first validation with 90 % right. None with fewer than 5 suites, or
    where no architecture ran on all of them.
    """
    suites = one_a_suite(groups)
    if len(suites) < FEWEST_TASKS:
        return None
    times = {
        name: [learning(scores, name).reached[LEVELS[0], "examples"] for scores in suites.values()]
        for name in styles
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
    drawn = {name: styles[name] for name in names}
    line = (
        alt.Chart(pd.DataFrame(rows))
        .mark_line(interpolate="step-after", strokeWidth=2, point=True)
        .encode(
            x=alt.X("tau:Q", title="tau: times the examples of the fastest", scale=alt.Scale(domain=[1, MOST_TAU])),
            y=alt.Y("share:Q", title="% of suites learnt", scale=alt.Scale(domain=[0, 100])),
            color=style.colour_by(drawn),
            strokeDash=style.dash_by(drawn),
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
