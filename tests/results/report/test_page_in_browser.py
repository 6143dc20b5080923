"""The page as Chromium shows it, at the width of a desk and of a phone."""

import shutil
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bench.results.report.contents import Contents
from bench.results.report.write import write_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

DESK, PHONE = 1280, 390
"""Widths of the window, in pixels."""
CHARTS = 11
PATIENCE = 60_000
"""Milliseconds; the machine may be busy."""
MARKS = "g[class*='mark-'][role='graphics-object'] > *, g[class*='mark-'][role='graphics-symbol']"


@pytest.fixture(scope="module")
def address(report: Contents, tmp_path_factory: pytest.TempPathFactory) -> str:
    [path] = write_report(report, ["html"], tmp_path_factory.mktemp("page"))
    return path.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium's sandbox does not start for root, as whom containers run; the page is our own.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def _opened(
    browser: Browser, address: str, width: int = DESK, scheme: Literal["light", "dark"] = "light", **options: Any
) -> tuple[Page, list[str], list[str]]:
    """The page with its charts drawn, all addresses it asked for, and all that it complained of."""
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme, **options)
    page = context.new_page()
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    return page, requests, complaints


def _drawn(page: Page) -> None:
    """Waits until every chart is there."""
    expect(page.locator("figure svg.marks")).to_have_count(CHARTS, timeout=PATIENCE)


@pytest.mark.parametrize(("width", "scheme"), [(DESK, "light"), (PHONE, "dark")])
def test_every_chart_has_marks_nothing_is_asked_of_the_network_and_nothing_sticks_out(
    browser: Browser, address: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    page, requests, complaints = _opened(browser, address, width, scheme)
    _drawn(page)
    for figure in page.locator("figure").all():
        name = figure.get_attribute("id")
        assert figure.locator(MARKS).count() > 2, name
        wider = "figure => figure.querySelector('svg.marks').clientWidth - figure.clientWidth"
        assert figure.evaluate(wider) <= 0, name
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert requests == [address]
    assert complaints == []
    page.context.close()


def test_the_charts_turn_dark_with_the_page(browser: Browser, address: str) -> None:
    page, _, _ = _opened(browser, address)
    _drawn(page)
    label = page.locator("figure .role-axis-title text").first
    expect(label).to_have_attribute("fill", "#1c1f23")
    page.emulate_media(color_scheme="dark")
    expect(label).to_have_attribute("fill", "#e6e6e6", timeout=PATIENCE)
    page.context.close()


def test_the_pointer_finds_the_figures(browser: Browser, address: str) -> None:
    page, _, _ = _opened(browser, address)
    _drawn(page)
    page.locator("#chart-1-digits .mark-text text[aria-roledescription='text mark']").first.hover()  # on a cell
    tooltip = page.locator("#vg-tooltip-element.visible")
    tooltip.wait_for(timeout=PATIENCE)
    assert "exact match %" in tooltip.inner_text()
    assert "problems asked" in tooltip.inner_text()
    page.context.close()


def test_without_scripts_the_tables_are_there_and_the_reader_is_told(browser: Browser, address: str) -> None:
    page, _, _ = _opened(browser, address, java_script_enabled=False)
    assert page.locator("table").first.locator("tbody tr").count() == 2
    told = page.locator("noscript").first
    assert told.is_visible()
    assert "The charts need JavaScript" in told.inner_html()
    page.context.close()


def test_a_link_of_the_contents_leads_to_its_heading(browser: Browser, address: str) -> None:
    page, _, _ = _opened(browser, address, PHONE)
    _drawn(page)
    page.get_by_role("link", name="How to reproduce").click()
    expect(page.get_by_role("heading", name="How to reproduce")).to_be_in_viewport(timeout=PATIENCE)
    page.context.close()
