"""A report as one HTML page that needs nothing but itself: words, tables, charts, light and dark, desktop and phone."""

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import vl_convert
from jinja2 import Environment, StrictUndefined

from bench.results.files import write_bytes
from bench.results.records.run import RunFolder
from bench.results.report.charts.accuracy import error_anatomy, exact_match, heat_maps, tier_chart
from bench.results.report.charts.chart import Chart
from bench.results.report.charts.curves import learning_curves, performance_profile
from bench.results.report.charts.differences import differences
from bench.results.report.charts.style import WIDTH, Styles, styles_of, theme
from bench.results.report.charts.trade_offs import trade_offs
from bench.results.report.contents import ACROSS, Contents, Part
from bench.results.report.table import Table
from bench.results.statistics.comparable import longest_streams
from bench.results.statistics.estimates import FEWEST_TASKS
from bench.results.statistics.scores import Scores

VEGA_LITE = "6.4"
"""Version of the bundle in the page: the one that Altair writes for."""
PICTURES = "charts"
"""Folder of the charts' files, beside report.html."""

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, kw_only=True)
class Heading:
    """What belongs under a heading of the page."""

    title: str
    charts: tuple[str, ...] = ()
    """by name"""
    tables: tuple[str, ...] = ()
    """by key"""
    tables_first: bool = False
    folded: bool = False
    """the tables say what a chart above them shows, and open on a click"""


HEADINGS = (
    Heading(title="Summary", charts=("tiers",), tables=("summary", "unfinished"), tables_first=True),
    Heading(
        title="How fast it was learnt", charts=("curve-examples", "curve-seconds", "curve-flops"), tables=("learning",)
    ),
    Heading(title="Digits", charts=("digits",), tables=("digits",), folded=True),
    Heading(
        title="Operations, signs, decimals",
        charts=("exact-match",),
        tables=("operation", "signs", "few-problems", "places", "range"),
    ),
    Heading(title="Differences", charts=("differences", "differences-by-problem")),
    Heading(
        title="Accuracy and cost",
        charts=("accuracy-train-seconds", "accuracy-examples-per-second", "accuracy-decode-per-second"),
    ),
    Heading(title="Wrong answers", charts=("errors",), tables=("errors", "error-examples")),
    Heading(title="Training problems", tables=("training-problems",)),
    Heading(title="Audit", tables=("audit",)),
)
"""In the order of the page. Tables that belong nowhere stand under `Further tables`, before `How to reproduce`."""
LONG = 24
"""A table with more rows opens on a click."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading with what stands under it in one report."""

    heading: Heading
    lines: list[str] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    reproduction: list[list[tuple[str, str]]] = field(default_factory=list)
    """(name, value) of what it takes to get the figures of each run again"""


def page(report: Contents, home: str | None = None) -> str:
    """The page. Its bytes depend on the runs and on the versions of Altair and vl-convert alone.

    `home` is the address of the page that this one belongs to, where a server sends both and says what it may load.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_template("report.html"))
    drawn = _charts(report)
    parts = [
        {"title": part.title, "opening": part.opening, "sections": _sections(part, drawn[number])}
        for number, part in enumerate(report.parts)
    ]
    parts.append({"title": ACROSS, "opening": [], "sections": [_across_suites(report, drawn[-1])]})
    suites = dict.fromkeys(part.scores.plan.suite.name for part in report.parts)
    return template.render(
        title=f"arithbench: {', '.join(suites)}",
        home=home,
        warnings=report.warnings,
        parts=parts,
        several=len(report.parts) > 1,
        long=LONG,
        themes={"light": theme(dark=False), "dark": theme(dark=True)},
        style=_template("report.css"),
        script=_template("report.js"),
        vega=_vega(),
    )


def write_pictures(report: Contents, directory: Path) -> list[Path]:
    """Writes every chart of the page as SVG and PNG on white into `directory`/charts; returns the paths."""
    paths = []
    for number, some in enumerate(_charts(report), 1):
        part = f"part-{number}-" if len(report.parts) > 1 else ""
        for chart in some:
            paths += write_picture(chart, directory / PICTURES / f"{part}{chart.name}")
    return paths


def write_picture(chart: Chart, path: Path) -> list[Path]:
    """Writes a chart as SVG and PNG on white; `path` lacks its ending. Returns both paths."""
    picture = chart.specification() | {"config": theme(dark=False)}
    if chart.panel is None:
        picture["width"] = WIDTH
    svg = vl_convert.vegalite_to_svg(picture, vl_version=VEGA_LITE)
    png = vl_convert.vegalite_to_png(picture, vl_version=VEGA_LITE, scale=2)
    paths = [path.with_name(f"{path.name}.{ending}") for ending in ("svg", "png")]
    for one, content in zip(paths, (svg.encode(), png), strict=True):
        write_bytes(one, content)
    return paths


def _charts(report: Contents) -> list[list[Chart]]:
    """The charts of each part, and last those across suites."""
    styles = styles_of([name for part in report.parts for name in part.scores.planned])
    profile = performance_profile([part.scores for part in report.parts], styles)
    return [
        *(charts(part, styles) for part in report.parts),
        [profile] if profile else [],
    ]


def charts(part: Part, styles: Styles) -> list[Chart]:
    """The charts of a part, in order; those that have nothing to show are left out. `styles` has every architecture."""
    if not part.scores.records:
        return []
    found = [
        tier_chart(part.scores, styles, part.tiers),
        exact_match(part.scores, styles),
        *learning_curves(part.scores, styles),
        heat_maps(part.scores),
        *differences(part.scores, part.comparisons, styles),
        *trade_offs(part.scores, styles),
        error_anatomy(part.scores, part.errors),
    ]
    return [chart for chart in found if chart is not None]


def _sections(part: Part, drawn: list[Chart]) -> list[Section]:
    """The headings of a part, every chart and table under one of them; those with nothing to show are left out."""
    by_name, left, found = {chart.name: chart for chart in drawn}, list(part.tables), []
    for heading in HEADINGS:
        some = [by_name[name] for name in heading.charts if name in by_name]
        tables = [table for table in left if table.key in heading.tables]
        left = [table for table in left if table.key not in heading.tables]
        found.append(Section(heading=heading, charts=some, tables=tables))
    found.append(Section(heading=Heading(title="Further tables"), tables=left))
    reproduction = [_reproduction(run, part.scores) for run in part.scores.runs]
    found.append(Section(heading=Heading(title="How to reproduce"), reproduction=reproduction))
    return [section for section in found if section.charts or section.tables or section.reproduction]


def _across_suites(report: Contents, drawn: list[Chart]) -> Section:
    suites = len({part.scores.plan.suite.name for part in report.parts})
    missing = (
        f"A performance profile shows how architectures do over many tasks. It takes {FEWEST_TASKS} suites or more, "
        f"with an architecture that ran on all of them; this report has {suites}."
    )
    lines = [] if drawn else [missing]
    return Section(heading=Heading(title=ACROSS), charts=drawn, lines=lines, tables=report.across)


def _reproduction(run: RunFolder, scores: Scores) -> list[tuple[str, str]]:
    """What it takes to get a run's figures again: command, versions, machine, hashes."""
    plan = run.plan
    found = [("run", str(run.directory)), ("command", plan.command)]
    versions = {json.dumps(record.versions, sort_keys=True): record.versions for record in run.records}
    found += [("versions", _listed(some)) for some in versions.values()]
    machines = {json.dumps(record.machine, sort_keys=True): record.machine for record in run.records}
    found += [("machine", _listed(some)) for some in machines.values()]
    if git := plan.git:
        found.append(("git commit", f"{git.get('commit')}{', with local changes' if git.get('dirty') else ''}"))
    for name, entry in plan.entries.items():
        if not entry.module.startswith("bench."):
            found.append((f"plug-in hash, {name}", entry.plugin_hash or "not recorded"))
    found += [("suite hash", plan.suite.hash), ("plan hash", plan.plan_hash)]
    found += [(f"data hash, seed {seed}", value) for seed, value in longest_streams(run.records).items()]
    found += [("test hash", value) for value in dict.fromkeys(str(record.test_hash) for record in scores.records)]
    return found


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(values.items()))


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


@cache
def _vega() -> str:
    """Vega, Vega-Lite and vega-embed as one script."""
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE)
    # A script element ends at the first `</script`, wherever it stands.
    return bundle.replace("</script", "<\\/script")
