"""The style of charts: a colour, dash and shape for each architecture, one theme, the same axes and labels in all."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from bench.results.report.table import SHARED
from bench.results.report.tables.notes import label
from bench.results.statistics.scores import Scores

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""The colour-blind can distinguish them, on white and on black (Okabe and Ito 2008, less black and yellow)."""
DASHES = ([1, 0], [6, 3], [2, 2])
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
GREY = "#8a8a8a"
LABEL_WIDTH = 230
"""Pixels of a label at an axis, at most; on a narrow page it is less."""
WIDTH = 640
"""Pixels of a picture in a file; on the page a chart is as wide as its column."""


@dataclass(frozen=True, kw_only=True)
class Style:
    """How an architecture is drawn in every chart."""

    colour: str
    dash: list[int]
    shape: str


Styles = dict[str, Style]
"""By name."""


def styles_of(names: Sequence[str]) -> Styles:
    """A style for each name, by its place: two names of one colour have other dashes and shapes."""
    return {
        name: Style(
            colour=COLOURS[number % len(COLOURS)],
            dash=list(DASHES[number // len(COLOURS) % len(DASHES)]),
            # One step on with every round of colours.
            shape=SHAPES[(number + number // len(COLOURS)) % len(SHAPES)],
        )
        for number, name in enumerate(dict.fromkeys(names))
    }


def theme(dark: bool) -> dict[str, Any]:
    """Vega-Lite's `config` for a light or a dark page."""
    ink, faint, grid = ("#e6e6e6", "#a8adb3", "#33383e") if dark else ("#1c1f23", "#5b626a", "#e4e7ea")
    text = {"labelColor": faint, "titleColor": ink, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": 500}
    return {
        "background": "transparent" if dark else "white",
        "font": "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif",
        "view": {"stroke": None},
        "axis": {**text, "domainColor": faint, "tickColor": faint, "gridColor": grid, "labelLimit": LABEL_WIDTH},
        "legend": {
            **text,
            "title": None,
            "orient": "top",
            "symbolStrokeWidth": 2,
            "symbolOpacity": 1,
            "labelLimit": 200,
            "columns": 4,
        },
        "header": {**text, "labelColor": ink},
        "rule": {"color": faint},
        "text": {"color": ink, "fontSize": 12},
    }


def layered(*layers: Any, height: int) -> Any:
    """One picture of several, the first at the bottom, as wide as its column."""
    return alt.layer(*layers).properties(width="container", height=height)


def amounts_axis(ticks: int) -> alt.Axis:
    """An axis of amounts, such as 300k."""
    return alt.Axis(
        tickCount=ticks, grid=False, labelSeparation=8, labelExpr="format(datum.value, datum.value < 1 ? '~g' : '.3~s')"
    )


def rows_height(architectures: int) -> int:
    """Pixels for so many architectures, one below the other."""
    return (14 if architectures <= 4 else 10) * architectures


def chart_label(scores: Scores, name: str, shared: bool = False) -> str:
    """An architecture as charts call it; `shared`: its times were measured while the machine was."""
    return f"{SHARED} {label(scores, name)}" if shared else label(scores, name)


def drawn_as(scores: Scores, styles: Styles, shared: Collection[str] = ()) -> dict[str, Style]:
    """What charts call each architecture -> its style."""
    return {chart_label(scores, name, name in shared): styles[name] for name in scores.architectures}


def colour_by(drawn: Mapping[str, Style], field: str = "architecture") -> alt.Color:
    """The colour of each name in `field`; the same for shape and dash below."""
    scale = alt.Scale(domain=list(drawn), range=[style.colour for style in drawn.values()])
    return alt.Color(f"{field}:N", scale=scale)


def shape_by(drawn: Mapping[str, Style], field: str = "architecture") -> alt.Shape:
    scale = alt.Scale(domain=list(drawn), range=[style.shape for style in drawn.values()])
    return alt.Shape(f"{field}:N", scale=scale)


def dash_by(drawn: Mapping[str, Style]) -> alt.StrokeDash:
    scale = alt.Scale(domain=list(drawn), range=[style.dash for style in drawn.values()])
    return alt.StrokeDash("architecture:N", scale=scale)


def sharing(scores: Scores) -> set[str]:
    """Architectures with a cell that shared the machine."""
    return {record.architecture for record in scores.records if not record.exclusive}
