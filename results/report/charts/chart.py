"""What a chart is, and what several charts share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from bench.results.report.table import SHARED, share_value
from bench.results.report.tables.notes import estimate_notes
from bench.results.statistics.estimates import Estimate
from bench.results.statistics.scores import Scores

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


def interval(estimate: Estimate) -> dict[str, Any]:
    """Mean and interval in percent, as figures (the mean itself where there is no interval) and as words."""
    mean = 100 * estimate.mean
    low, high = (mean if end is None else 100 * end for end in (estimate.low, estimate.high))
    return {"mean": mean, "low": low, "high": high, "exact match %": share_value(estimate).text}


def intervals_text(shares: Sequence[Estimate]) -> str:
    """What the intervals of a picture are, and where there is none, in words."""
    return " ".join(note.text for note in estimate_notes(shares, asked=False))


def machines_text(scores: Scores) -> str:
    """What a picture of times says where they are of several machines."""
    return (
        f" Times are of {len(scores.machines)} machines: {'; '.join(scores.machines)}."
        if len(scores.machines) > 1
        else ""
    )
