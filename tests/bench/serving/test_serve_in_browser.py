"""The server in a process of its own, as a browser, a crowd and a broken client meet it, from its start to Ctrl-C."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bench.asking.expression import ask, read_problem
from bench.asking.models import trained_models
from bench.serving.site import MOST_BYTES

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
with_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

DESK, PHONE = 1280, 390
"""Widths of the window, in pixels."""
PATIENCE = 60_000
"""Milliseconds; the machine may be busy."""


@dataclass(frozen=True)
class Server:
    process: subprocess.Popen[str]
    address: str
    """without the slash at its end"""

    @property
    def place(self) -> tuple[str, int]:
        parts = urlsplit(self.address)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port


@pytest.fixture(scope="module")
def server(trained_run: Path) -> Iterator[Server]:
    # A shell that starts this in the background has its children ignore Ctrl-C.
    answering = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", "serve", str(trained_run), "--port", "0", "--rate", "1000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    signal.signal(signal.SIGINT, answering)
    assert process.stdout
    assert process.stderr
    line = process.stdout.readline()
    assert "Ctrl-C ends it" in line, process.stderr.read()
    yield Server(process, line.split()[0].rstrip("/"))
    process.kill()
    process.communicate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium's sandbox does not start for root, as whom containers run; the page is our own.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass(frozen=True)
class Opened:
    page: Page
    requests: list[str]
    """all addresses that it asked for"""
    complaints: list[str]
    """all that the browser says is wrong with it"""


@pytest.fixture
def opened(browser: Browser, server: Server, request: pytest.FixtureRequest) -> Iterator[Opened]:
    """The page at the width, in the colours and with the options that a test is parametrised with."""
    options: dict[str, Any] = {"viewport": {"width": DESK, "height": 844}} | getattr(request, "param", {})
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    found = Opened(context.new_page(), [], [])
    found.page.on("request", lambda request: found.requests.append(request.url))
    found.page.on("console", lambda message: found.complaints.append(message.text))
    found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
    found.page.goto(server.address)
    yield found
    context.close()


def looks(width: int, scheme: Literal["light", "dark"]) -> dict[str, Any]:
    return {"viewport": {"width": width, "height": 844}, "color_scheme": scheme}


def ask_by_key(page: Page, expression: str) -> None:
    page.locator("#expression").fill(expression)
    page.locator("#expression").press("Enter")


# --- with a browser


@with_a_browser
@pytest.mark.parametrize("opened", [looks(DESK, "light"), looks(PHONE, "dark")], indirect=True)
def test_what_is_typed_is_drawn_and_answered(opened: Opened, server: Server) -> None:
    page, width = opened.page, opened.page.viewport_size
    assert width
    expect(page.locator("#expression")).to_be_focused()
    page.keyboard.type(r"\frac{8}{5}")
    expect(page.locator("#preview math mfrac mn")).to_have_text(["8", "5"])
    box = page.locator("#preview mfrac").bounding_box()
    assert box
    assert box["height"] > 25  # it is drawn as a fraction, one number over the other
    page.keyboard.press("Enter")
    expect(page.locator(".card")).to_have_count(2)
    expect(page.locator("#result math mn")).to_have_text(["8", "5", "1.6"])
    for card in page.locator(".card").all():
        right = "right" in (card.get_attribute("class") or "").split()
        expect(card.locator(".mark")).to_have_text("✓ right" if right else "✗ wrong")
        assert card.locator(".digits li").count() >= 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width["width"]
    assert all(address.startswith(f"{server.address}/") for address in opened.requests)
    # Half an expression, where the machine is slow between two keys, is answered with 400.
    assert [complaint for complaint in opened.complaints if "status of 400" not in complaint] == []


@with_a_browser
@pytest.mark.parametrize("opened", [looks(PHONE, "light")], indirect=True)
def test_the_history_is_kept_and_saved_on_a_click(opened: Opened) -> None:
    page = opened.page
    expect(page.locator("#history")).to_be_hidden()
    ask_by_key(page, "1+2")
    expect(page.locator("#history li")).to_have_count(1)
    page.locator(".examples button").first.click()
    expect(page.locator("#history li")).to_have_count(2)
    page.reload()
    expect(page.locator("#history li button")).to_have_count(2)
    expect(page.locator("#history li button").last).to_have_text("1+2 = 3")
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Save as a text file").click()
    assert downloading.value.suggested_filename == "arithbench-history.txt"
    text = Path(downloading.value.path()).read_text(encoding="utf-8")
    assert "1+2 = 3   (" in text
    assert text.count("lstm seed 0") == 2
    page.locator("#history li button").last.click()  # asks again
    expect(page.locator("#history li")).to_have_count(3)
    expect(page.locator("#result math")).to_have_attribute("alttext", "1+2 = 3")
    expect(page.locator("#expression")).to_be_focused()  # the button that was clicked is no more
    expect(page.get_by_role("status")).to_have_text(re.compile(r"1\+2 = 3: \d of 2 right\."))
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#history")).to_be_hidden()
    expect(page.locator("#expression")).to_be_focused()
    assert opened.complaints == []


@with_a_browser
def test_whoever_asks_anew_gets_the_new_answer_and_each_is_kept_as_it_was_asked(opened: Opened) -> None:
    page = opened.page
    page.route("**/", lambda route: route.fallback() if "2%2B3" in (route.request.post_data or "") else None)
    ask_by_key(page, "1+1")  # its answer never comes
    ask_by_key(page, "2+3")
    page.locator("#expression").fill("7+7")  # typed meanwhile
    expect(page.locator("#history li button")).to_have_text(["2+3 = 5"])
    expect(page.locator("#result math")).to_have_attribute("alttext", "2+3 = 5")
    page.locator("#history li button").click()
    expect(page.locator("#expression")).to_have_value("2+3")
    expect(page.locator("#history li button")).to_have_text(["2+3 = 5", "2+3 = 5"])


@with_a_browser
@pytest.mark.parametrize("opened", [{"java_script_enabled": False}], indirect=True)
def test_answers_need_no_scripts(opened: Opened) -> None:
    page = opened.page
    ask_by_key(page, "-7-8")
    page.wait_for_selector("#result math")
    assert page.locator(".card").count() == 2
    assert page.locator("#result math").get_attribute("alttext") == "-7-8 = -15"
    assert page.locator("#expression").input_value() == "-7-8"
    ask_by_key(page, "-7-")
    page.wait_for_selector(".error")
    assert "is no operation on two numbers" in page.locator(".error").inner_text()
    assert page.locator("#expression").input_value() == "-7-"


@with_a_browser
def test_what_cannot_be_read_is_told_and_runs_nothing(opened: Opened) -> None:
    page = opened.page
    ask_by_key(page, "<img src=x onerror=alert(1)>")
    expect(page.get_by_role("alert")).to_contain_text("is no operation on two numbers")
    expect(page.locator("#preview")).to_contain_text("<img src=x")
    assert page.locator("#answers img, #preview img").count() == 0
    expect(page.locator("#history")).to_be_hidden()
    assert all("status of 400" in complaint for complaint in opened.complaints)


@with_a_browser
def test_the_keyboard_goes_everywhere(opened: Opened) -> None:
    page = opened.page

    def reach(key: str) -> str:
        page.keyboard.press(key)
        return str(page.evaluate("document.activeElement.textContent.trim() || document.activeElement.id"))

    backwards = [reach("Shift+Tab") for _ in range(4)]
    assert backwards == ["Which to take", "Tables and charts", "Ask the models", "To the content"]
    assert [reach("Tab") for _ in range(6)][3:5] == ["expression", "Ask"]
    page.keyboard.press("Enter")  # on an example
    expect(page.locator(".card")).to_have_count(2)


@with_a_browser
@pytest.mark.parametrize("opened", [looks(PHONE, "dark")], indirect=True)
def test_the_report_is_a_second_page_whose_charts_the_policy_allows(opened: Opened, server: Server) -> None:
    page, width = opened.page, opened.page.viewport_size
    assert width
    page.get_by_role("link", name="Tables and charts").click()
    expect(page.locator("figure svg.marks").first).to_be_visible(timeout=PATIENCE)  # it waits until it is made
    expect(page.locator("figure svg.marks")).to_have_count(page.locator("figure").count(), timeout=PATIENCE)
    assert page.locator("figure").count() >= 5
    assert page.locator("table").first.locator("tbody tr").count() >= 2
    page.locator("figure .mark-symbol path").first.hover(force=True)  # the tooltip has a style of its own
    page.locator("#vg-tooltip-element.visible").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width["width"]
    assert [complaint for complaint in opened.complaints if "Policy" in complaint] == []
    assert all(address.startswith((f"{server.address}/", "blob:", "data:")) for address in opened.requests)
    page.get_by_role("link", name="Ask the models").click()
    expect(page.locator("#expression")).to_be_visible()


# --- without


def test_fifty_at_once_each_get_their_own_answer(server: Server, trained_run: Path) -> None:
    texts = [f"{a}{op}{b}" for a in range(1, 6) for op, b in (("+", 2), ("-", 9)) for b in range(b, b + 5)]
    texts = list(dict.fromkeys(texts))
    assert len(texts) == 50

    def one(text: str) -> list[dict[str, Any]]:
        connection = http.client.HTTPConnection(*server.place, timeout=60)
        body = json.dumps({"expression": text})
        connection.request("POST", "/api/ask", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        rows: list[dict[str, Any]] = json.loads(response.read())
        connection.close()
        assert response.status == 200
        return rows

    with ThreadPoolExecutor(50) as pool:
        answered = list(pool.map(one, texts))
    models = trained_models(trained_run, seeds="lowest")
    for text, rows in zip(texts, answered, strict=True):
        expected = ask(models, read_problem(text))
        assert [(row["expression"], row["answer"]) for row in rows] == [
            (one.expression, one.answer) for one in expected
        ]


@pytest.mark.parametrize(
    "sent",
    [
        b"garbage\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"POST /api/ask HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n",
        b"POST /api/ask HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET /%00%ff%fe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://evil.example HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
def test_a_broken_request_is_refused_at_once(sent: bytes, server: Server) -> None:
    with socket.create_connection(server.place, timeout=30) as connection:
        connection.sendall(sent)
        head = connection.recv(65536)
    assert head.split()[1] in (b"400", b"404", b"413", b"421", b"431")
    assert b"Traceback" not in head
    assert b"waitress" not in head


def test_a_body_that_is_too_long_is_refused_as_the_api_is_described(server: Server) -> None:
    connection = http.client.HTTPConnection(*server.place, timeout=30)
    body = json.dumps({"expression": "9" * MOST_BYTES})
    connection.request("POST", "/api/ask", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert response.status == 413
    assert "at most 16,000 bytes" in json.loads(response.read())["error"]
    connection.close()


def test_a_client_that_says_nothing_keeps_nobody_waiting(server: Server) -> None:
    silent = [socket.create_connection(server.place) for _ in range(80)]  # more than there are threads
    for connection in silent:
        connection.sendall(b"POST /api/ask HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n{")
    other = http.client.HTTPConnection(*server.place, timeout=30)
    other.request("GET", "/healthz")
    assert other.getresponse().status == 200
    for connection in [other, *silent]:
        connection.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no Ctrl-C for one process")
def test_ctrl_c_ends_it_cleanly(server: Server) -> None:
    """The last one: the server of all others ends here."""
    started = time.monotonic()
    server.process.send_signal(signal.SIGINT)
    out, err = server.process.communicate(timeout=30)
    assert (server.process.returncode, out, err) == (0, "", "")
    assert time.monotonic() - started < 15
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(server.place)
