import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.results.records.plan import Plan, write_plan
from bench.results.records.record import Record
from bench.results.records.run import open_run
from bench.results.report import html
from bench.results.report.contents import Contents, contents
from bench.results.report.html import page, write_pictures

REAL_BUNDLE = html._vega


@pytest.fixture(autouse=True)
def _small_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vega is a megabyte, takes seconds to put together, and speaks of all sorts of addresses."""
    monkeypatch.setattr(html, "_vega", lambda: "window.vegaEmbed = null;")


class Elements(HTMLParser):
    """The page as a browser's parser sees it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.headings: list[str] = []
        self.paragraphs: list[str] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._open = tag
        self.ids += [given["id"] or ""] if "id" in given else []
        if tag == "a":
            self.links.append(given["href"] or "")
        elif {"src", "href", "data", "poster", "srcset", "action"} & given.keys():
            self.loads.append(f"{tag} {attrs}")
        {"h2": self.headings, "h3": self.headings, "p": self.paragraphs}.get(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in ("h2", "h3"):
            self.headings[-1] += data
        elif self._open == "p":
            self.paragraphs[-1] += data


def test_the_first_words_say_what_was_held_equal_and_then_who_is_best(report: Contents) -> None:
    said = Elements(page(report)).paragraphs
    assert said[: len(report.parts[0].opening)] == report.parts[0].opening
    assert said[0].startswith("Held equal: the budget was examples=3000")
    assert said[2].startswith("transformer is right most often")


def test_every_table_and_chart_stands_there_once(report: Contents) -> None:
    elements = Elements(page(report))
    for table in report.parts[0].tables:
        assert elements.headings.count(table.title) == 1, table.title
    charts = [name for heading in html.HEADINGS for name in heading.charts]
    drawn = [name.removeprefix("chart-1-") for name in elements.ids if name.startswith("chart-1-")]
    assert sorted(drawn) == sorted(set(charts) - {"differences"})  # which takes three architectures
    assert "Further tables" not in elements.headings


def test_the_contents_lead_to_every_heading_and_no_name_is_there_twice(report: Contents) -> None:
    elements = Elements(page(report))
    assert len(set(elements.ids)) == len(elements.ids)
    assert {link.removeprefix("#") for link in elements.links} == {n for n in elements.ids if n.startswith("section-")}
    assert len(elements.links) > 8


def test_the_page_loads_nothing_and_forbids_it(report: Contents) -> None:
    text = page(report)
    assert Elements(text).loads == []
    assert not re.search(r"@import|url\(|fetch\(|//cdn", text)
    assert "default-src 'none'" in text


def test_the_bundle_stays_within_its_script_and_the_page_small(
    report: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(html, "_vega", REAL_BUNDLE)
    text = page(report)
    assert text.count("</script>") == 11 + 1 + 2  # charts, themes, bundle and our own
    assert Elements(text).loads == []
    assert 0.5e6 < len(text.encode()) < 2e6


def test_nothing_that_a_run_holds_is_taken_for_markup(
    tmp_path: Path,
    make_plan: Callable[..., Plan],
    write_cell: Callable[..., Record],
    predictions: pd.DataFrame,
) -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    write_plan(tmp_path, make_plan(seeds=[0], command=f"python -m bench run {evil}", suite={"summary": evil}))
    wrong = predictions.assign(raw=evil)
    write_cell(tmp_path, wrong, architecture="lstm", seed=0, preset=evil, tuned=False)
    write_cell(tmp_path, wrong, architecture="transformer", seed=0, status="failed", reason=evil)
    text = page(contents([open_run(tmp_path)]))
    assert evil not in text
    assert "alert(1)" in text
    assert "<script>alert" not in text
    assert "<img" not in text


def test_a_run_is_told_how_to_be_had_again(report: Contents) -> None:
    text = page(report)
    for fact in (
        "python -m bench run --arch lstm,transformer",
        "torch 2.13.0",
        "cpus 2",
        "5" * 64,
        "d0",
        "d2",
        "e" * 64,
    ):
        assert f">{fact}<" in text, fact


def test_runs_that_may_not_be_joined_have_a_part_each_and_a_warning(
    run_directory: Path, tmp_path: Path, make_plan: Callable[..., Plan], write_cell: Callable[..., Record]
) -> None:
    other = tmp_path / "other"
    run = open_run(run_directory)
    write_plan(other, make_plan(seeds=[0], suite={"name": "small", "hash": "6" * 64}))
    for record in (record for record in run.records if record.seed == 0):
        facts: dict[str, Any] = {
            "architecture": record.architecture,
            "seed": 0,
            "suite": "small",
            "suite_hash": "6" * 64,
        }
        write_cell(other, run.predictions(record), **facts)
    report = contents([run, open_run(other)])
    text = page(report)
    elements = Elements(text)
    assert [heading for heading in elements.headings if heading in (part.title for part in report.parts)] == [
        f"tiny: {run_directory}",
        f"small: {other}",
    ]
    assert "stands apart from" in text
    assert len(set(elements.ids)) == len(elements.ids)
    assert {"chart-1-digits", "chart-2-digits"} <= set(elements.ids)
    assert "this report has 2." in text


def test_the_same_run_gives_the_same_page(report: Contents) -> None:
    again = contents([open_run(report.parts[0].scores.runs[0].directory)])
    assert page(report) == page(again)


def test_every_chart_is_written_as_svg_and_png(report: Contents, tmp_path: Path) -> None:
    paths = write_pictures(report, tmp_path)
    assert len(paths) == 22
    assert {path.suffix: path.read_bytes()[:4] for path in paths} == {".svg": b"<svg", ".png": b"\x89PNG"}
    for path in paths:
        assert path.parent == tmp_path / "charts"
        if path.suffix == ".svg":
            assert not re.search(r"(href|src)=|url\((?!#)", path.read_text())
