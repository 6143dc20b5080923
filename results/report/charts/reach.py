"""The chart of a search by `reach`: exact match against the number of digits."""

from collections.abc import Sequence
from statistics import fmean

import altair as alt
import pandas as pd

from bench.results.report.charts import style
from bench.results.report.charts.chart import Chart
from bench.results.statistics.reach import LEVEL, Trial


def reach_curves(trials: Sequence[Trial]) -> Chart:
    """A line an architecture: the mean over the seeds that were tried, with the lowest and the highest of them."""
    names = list(dict.fromkeys(trial.architecture for trial in trials))
    shares: dict[tuple[str, int], list[float]] = {}
    for trial in trials:
        shares.setdefault((trial.architecture, trial.digits), []).append(100 * trial.right / max(1, trial.total))
    frame = pd.DataFrame(
        {
            "architecture": name,
            "digits": digits,
            "mean": fmean(some),
            "low": min(some),
            "high": max(some),
            "seeds": ", ".join(f"{share:.1f}" for share in some),
        }
        for (name, digits), some in shares.items()
    )
    drawn = style.styles_of(names)
    most = int(frame["digits"].max())
    ticks = sorted(set(frame["digits"]))
    x = alt.X(
        "digits:Q",
        title="digits n of n x n",
        scale=alt.Scale(domain=[1, most]),
        axis=alt.Axis(values=ticks, format="d"),
    )
    y = alt.Y("mean:Q", title="exact match %", scale=alt.Scale(domain=[0, 100]))
    base = alt.Chart(frame).encode(x=x, color=style.colour_by(drawn).legend(symbolType="stroke"))
    line = base.mark_line(strokeWidth=2).encode(y=y, strokeDash=style.dash_by(drawn).legend(symbolType="stroke"))
    spread = base.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q"), y2="high:Q")
    tooltip = ["architecture:N", "digits:Q", alt.Tooltip("mean:Q", format=".1f", title="exact match %"), "seeds:N"]
    points = base.mark_point(filled=True, size=50, opacity=1).encode(y=y, shape=style.shape_by(drawn), tooltip=tooltip)
    level = alt.Chart(pd.DataFrame({"level": [100 * LEVEL]})).mark_rule(strokeDash=[2, 2]).encode(y="level:Q")
    return Chart(
        name="reach",
        title="Right answers against the number of digits",
        caption=f"Mean of the seeds that were tried; strokes go from the lowest to the highest. Dashed: {LEVEL:.0%}.",
        legend=names,
        picture=style.layered(level, spread, line, points, height=280),
    )
