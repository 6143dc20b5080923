"""The page and the API, asked without a network: what they answer, what they refuse, and that nothing breaks them."""

import html
import json
import re
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields, replace
from hashlib import sha256
from pathlib import Path
from shutil import copytree, ignore_patterns
from socket import create_server
from typing import Any

import jsonschema
import numpy as np
import pytest
from calling import call
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import example, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

import bench
from bench import __version__
from bench.asking.expression import ask, read_problem
from bench.asking.models import TrainedModel, trained_models
from bench.datasets.expressions import MOST_SYMBOLS
from bench.datasets.problems import Problems
from bench.datasets.suites import load_suite
from bench.datasets.writing.tokenizers import EOS, PAD
from bench.errors import UserError
from bench.results.records.record import WEIGHTS
from bench.results.report.tables.replies import PaperLine, Reply, Symbol
from bench.running.evaluation import Answered
from bench.serving import server as serving
from bench.serving.asker import Asker
from bench.serving.choose_page import Chooser
from bench.serving.report_page import ReportPage, policy_of
from bench.serving.site import LOOPBACK, MOST_BYTES, WEB, Limit, Site, create_app

MANY = 1_000_000


class Buffered(FlaskClient):
    """Reads every response to its end, so that no file stays open."""

    def open(self, *arguments: Any, **named: Any) -> TestResponse:
        return super().open(*arguments, buffered=True, **named)


def client_of(app: Flask) -> FlaskClient:
    app.test_client_class = Buffered
    return app.test_client()


def nothing_to_choose(operations: str, digits: str, minutes: float) -> dict[str, Any]:
    return {"choices": [], "too_slow": [], "lines": [f"Nothing of {operations}, {digits} and {minutes:g}."]}


@pytest.fixture(scope="module")
def models(trained_run: Path) -> list[TrainedModel]:
    return trained_models(trained_run, seeds="lowest")


@pytest.fixture(scope="module")
def site(models: list[TrainedModel]) -> Iterator[Site]:
    with closing(Asker(models)) as asker:
        yield Site(
            asker=asker,
            examples=["1+2", "8/5"],
            run="a run",
            report=lambda: ReportPage("<p>figures", policy_of("<style>p {}</style>")),
            choose=nothing_to_choose,
            hosts=LOOPBACK,
            per_minute=MANY,
        )


@pytest.fixture(scope="module")
def app(site: Site) -> Flask:
    return create_app(site)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return client_of(app)


OPENAPI: dict[str, Any] = json.loads((WEB / "static" / "openapi.json").read_text())


def described(response: TestResponse, path: str, method: str = "post") -> Any:
    """The JSON of a response, held against what openapi.json says of it."""
    content = OPENAPI["paths"][path][method]["responses"][str(response.status_code)]["content"]
    schema = content[response.mimetype]["schema"] | {"components": OPENAPI["components"]}
    document = json.loads(response.text)
    jsonschema.Draft202012Validator(schema).validate(document)
    return document


# --- what is answered


@pytest.mark.parametrize("expression", ["-7 - 8", "\\frac{8}{5}", "What is 9 plus 9?"])
def test_the_api_answers_what_ask_prints(
    expression: str,
    client: FlaskClient,
    trained_run: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    status, printed, _ = call(capsys, monkeypatch, "ask", str(trained_run), expression, "--json")
    assert status == 0
    answered = described(client.post("/api/ask", json={"expression": expression}), "/api/ask")
    for rows in (expected := json.loads(printed), answered):
        for row in rows:
            assert row.pop("seconds") > 0
    assert answered == expected


def test_the_api_names_models_and_is_described(client: FlaskClient, models: list[TrainedModel], app: Flask) -> None:
    named = described(client.get("/api/models"), "/api/models", "get")
    assert [(one["architecture"], one["total"]) for one in named] == [
        (model.architecture, model.record.total) for model in models
    ]
    assert described(client.get("/healthz"), "/healthz", "get") == {"status": "ok"}
    assert json.loads(client.get("/api/openapi.json").text) == OPENAPI
    assert OPENAPI["info"]["version"] == __version__
    routes = {rule.rule for rule in app.url_map.iter_rules() if rule.rule.startswith(("/api/", "/healthz"))}
    assert routes == {*OPENAPI["paths"], "/api/openapi.json"}
    schemas = OPENAPI["components"]["schemas"]
    for name, cls in (("Reply", Reply), ("PaperLine", PaperLine), ("Symbol", Symbol)):
        assert list(schemas[name]["properties"]) == [field.name for field in fields(cls)]


@pytest.mark.parametrize(
    ("expression", "read", "drawn"),
    [
        ("5 - (-3)", "5--3", "<mn>5</mn><mo>\u2212</mo><mrow><mo stretchy"),
        ("\\frac{-12}{5}", "-12/5", "<mfrac><mrow><mo"),
        ("1 times 2.5", "1*2.5", "<mn>1</mn><mo>\u00d7</mo><mn>2.5</mn>"),
    ],
)
def test_an_expression_is_drawn(expression: str, read: str, drawn: str, client: FlaskClient) -> None:
    found = described(client.post("/api/read", json={"expression": expression}), "/api/read")
    assert found["expression"] == read
    assert drawn in found["mathml"]


def test_the_page_answers_a_plain_form(client: FlaskClient, models: list[TrainedModel]) -> None:
    assert 'value="8/5"' in client.get("/").text
    response = client.post("/", data={"expression": "\\frac{8}{5}"})
    replies = ask(models, read_problem("8/5"))
    assert response.status_code == 200
    assert "<mfrac><mn>8</mn><mn>5</mn></mfrac><mo>=</mo><mn>1.6</mn>" in response.text
    assert f"{sum(reply.right for reply in replies)} of 2 right." in response.text
    cards = response.text.split('<li class="card ')[1:]
    for card, reply in zip(cards, replies, strict=True):
        assert card.startswith("right" if reply.right else "wrong")
        assert reply.architecture in card
        assert reply.confidence is not None
        assert f"{100 * reply.confidence:.1f} % sure" in card
        assert re.findall("<li><b>(.)</b>", card) == [symbol.symbol for symbol in reply.symbols]
    assert "8/5 = 1.6" in response.text.split("<pre")[1]


class Silent(TrainedModel):
    """Answers no number, without an end."""

    def answer(self, problems: Problems) -> Any:
        answered = super().answer(problems)
        return replace(answered, ids=0 * answered.ids + self.suite.encoding.tokenizer.vocabulary.index("-"))


class Scribbler(TrainedModel):
    """Works the sum of 128 and 367 out with a mistake in its second column."""

    def answer(self, problems: Problems) -> Any:
        encoded = self.suite.encoding.encode(problems)
        ids = [self.suite.encoding.tokenizer.vocabulary.index(symbol) for symbol in "51,80,40:495"] + [EOS]
        rows = np.array([ids + [PAD] * (encoded.answer.shape[1] - len(ids))] * len(problems))
        return Answered(rows, encoded.right(rows), 0.0)

    def likelihoods(self, problems: Problems, ids: Any) -> Any:
        return np.ones(ids.shape)


def test_the_page_shows_an_answer_that_is_no_number(site: Site, models: list[TrainedModel]) -> None:
    model = models[0]
    with closing(Asker([Silent(model.record, model.suite, model.model)])) as asker:
        page = client_of(create_app(replace(site, asker=asker))).post("/", data={"expression": "1+1"}).text
    assert re.search("no number: <code>-+</code>", page)
    assert "no end" in page


def test_the_page_shows_workings_line_by_line_and_marks_the_first_mistake(
    site: Site, models: list[TrainedModel]
) -> None:
    model, suite = models[0], load_suite("addition3-scratchpad")
    with closing(Asker([Scribbler(model.record, suite, model.model)])) as asker:
        page = client_of(create_app(replace(site, asker=asker))).post("/", data={"expression": "128+367"}).text
    lines = page.split('<pre aria-label="Workings">')[1].split("</pre>")[0].splitlines()
    assert [line.strip() for line in lines] == ["<mark>   1 </mark>", "128", "+ 367", "-----", "485"]
    assert "Workings go wrong first at <strong>column 2</strong>" in page


# --- what is refused


@pytest.mark.parametrize(
    ("path", "sent", "status", "says"),
    [
        ("/api/ask", {"json": {"expression": "1+"}}, 400, "is no operation on two numbers"),
        ("/api/ask", {"json": {"expression": "1/0"}}, 400, "divides by zero"),
        ("/api/ask", {"json": {"expression": " "}}, 400, "Type an operation"),
        ("/api/ask", {"json": {"expression": "\ud800"}}, 400, "is no operation"),
        ("/api/ask", {"json": {"expression": "7*3"}}, 400, "not in the alphabet: *"),
        ("/api/ask", {"json": {"expression": "12345+1"}}, 400, "the widest is"),
        ("/api/ask", {"json": {"expression": "1" * (MOST_SYMBOLS + 1)}}, 400, "more than 1,000 symbols"),
        ("/api/ask", {"json": {"expression": 7}}, 400, "other keys or values"),
        ("/api/ask", {"json": {"expression": "1+1", "more": 1}}, 400, "other keys or values"),
        ("/api/ask", {"json": ["1+1"]}, 400, "other keys or values"),
        ("/api/ask", {"data": "{", "content_type": "application/json"}, 400, "no JSON"),
        ("/api/ask", {"data": "[" * 9000, "content_type": "application/json"}, 400, "no JSON"),
        ("/api/ask", {"data": b"\xff", "content_type": "application/json"}, 400, "no JSON"),
        ("/api/ask", {"data": {"expression": "1+1"}}, 415, "Content-Type: application/json"),
        ("/api/ask", {"data": " " * (MOST_BYTES + 1), "content_type": "application/json"}, 413, "at most 16,000 bytes"),
        ("/api/read", {"json": {"expression": "1+2+3"}}, 400, "has 3 numbers"),
        ("/api/none", {}, 404, "nothing at this address"),
        ("/", {"data": {"expression": "<script>alert(1)</script>"}}, 400, "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("/", {"data": {}}, 400, "Type an operation"),
        ("/", {"data": {"expression": "1" * MOST_BYTES}}, 413, "at most 16,000 bytes"),
        ("/report", {}, 405, "asked in another way"),
    ],
)
def test_bad_input_is_told_what_is_wrong(path: str, sent: Any, status: int, says: str, client: FlaskClient) -> None:
    response = client.post(path, **sent)
    assert (response.status_code, response.mimetype) == (
        status,
        "application/json" if path.startswith("/api/") else "text/html",
    )
    if path in OPENAPI["paths"]:
        assert says in described(response, path)["error"]
    assert says in response.text
    assert ("Allow" in response.headers) is (status == 405)


@pytest.mark.parametrize(
    ("host", "served"),
    [
        ("localhost", True),
        ("LOCALHOST:8000", True),
        ("127.0.0.1:1", True),
        ("[::1]:8000", True),
        ("evil.example", False),
        ("localhost.evil.example:8000", False),
        ("127.0.0.1@evil.example", False),
        ("localhost:8000:8000", False),
        ("", False),
    ],
)
def test_a_name_from_elsewhere_is_no_name_of_this_server(host: str, served: bool, site: Site, app: Flask) -> None:
    for path in ("/", "/api/models", "/static/page.js", "/none"):
        response = client_of(app).get(path, headers={"Host": host})
        assert (response.status_code == 421) is not served
        # A page from elsewhere that has its own name point here may read what it gets.
        assert served or "This server answers to " in response.text
        assert served or site.run not in response.text
    anywhere = client_of(create_app(replace(site, hosts=None)))
    assert anywhere.get("/api/models", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("site_of_sender", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)]
)
def test_no_other_website_can_make_it_ask(site_of_sender: str, status: int, site: Site) -> None:
    client = client_of(create_app(replace(site, per_minute=20)))
    for _ in range(2):
        response = client.post("/", data={"expression": "1+1"}, headers={"Sec-Fetch-Site": site_of_sender})
        assert response.status_code == status
    # What was refused took nothing from what the user may ask.
    assert client.post("/", data={"expression": "1+1"}).status_code == (200 if status == 403 else 429)
    assert client.get("/", headers={"Sec-Fetch-Site": site_of_sender}).status_code == 200


def test_an_address_may_ask_so_often(site: Site) -> None:
    client = client_of(create_app(replace(site, per_minute=20)))
    for _ in range(2):
        assert client.post("/api/ask", json={"expression": "1+1"}).status_code == 200
    response = client.post("/api/ask", json={"expression": "1+1"})
    assert "at most 20 a minute" in described(response, "/api/ask")["error"]
    assert response.headers["Retry-After"] == "3"
    assert client.post("/", data={"expression": "1+1"}).status_code == 429
    drawn = [client.post("/api/read", json={"expression": "1+1"}) for _ in range(21)]  # while one types
    assert [response.status_code for response in drawn] == [200] * 20 + [429]
    assert "at most 200 a minute" in described(drawn[-1], "/api/read")["error"]
    assert client.get("/").status_code == 200
    elsewhere = {"REMOTE_ADDR": "192.0.2.1"}
    assert client.post("/", data={"expression": "1+1"}, environ_base=elsewhere).status_code == 200


@pytest.mark.skipif(sys.platform != "linux", reason="others refuse the second at once, or let both listen")
def test_who_comes_second_to_a_port_is_told_so(site: Site) -> None:
    with (
        serving.bound("127.0.0.1", 0) as first,
        serving.bound("127.0.0.1", first.port) as second,
        closing(serving.make_server(site, first)),
        pytest.raises(UserError) as refused,
    ):
        serving.make_server(site, second)
    assert str(refused.value) == f"--port {first.port}: Address already in use; name another with --port"


def test_the_limit_fills_again_and_forgets() -> None:
    now = 0.0
    limit = Limit(60, lambda: now)
    assert [limit.wait("a") for _ in range(7)] == [0] * 6 + [1]
    now = 0.5
    assert [limit.wait("a"), limit.wait("b")] == [0.5, 0]
    now = 2.0
    assert [limit.wait("a") for _ in range(3)] == [0, 0, 1]
    limit.REMEMBERED = 2
    for address in "cd":
        limit.wait(address)
    assert [limit.wait("a") for _ in range(7)] == [0] * 6 + [1]  # as one that was never there


# --- what a browser is told


@pytest.mark.parametrize("path", ["/", "/report", "/none", "/api/models", "/static/page.css"])
def test_nothing_inline_runs_and_nothing_comes_from_elsewhere(path: str, client: FlaskClient) -> None:
    for response in (client.get(path), client.post(path, data={"expression": "1+1"})):
        policy = response.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src ")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "Server" not in response.headers
        if path == "/":
            assert re.findall(r"<style|<script(?! src=\"/static/)|\sstyle=|\son[a-z]+=|https?:", response.text) == []


def test_the_report_may_run_what_it_holds_and_nothing_else() -> None:
    html = '<style>p {}</style><script type="application/json">1</script><script>a("<\\/script>")</script>'
    allowed = [f"'sha256-{b64encode(sha256(text).digest()).decode()}'" for text in (b"p {}", b'a("<\\/script>")')]
    policy = dict(rule.split(" ", 1) for rule in policy_of(html).split("; "))
    assert policy["script-src"] == allowed[1]
    assert policy["style-src"].split()[0] == allowed[0]


def test_a_report_that_is_not_there_yet_is_waited_for(site: Site) -> None:
    response = client_of(create_app(replace(site, report=lambda: None))).get("/report")
    assert (response.status_code, response.headers["Refresh"]) == (200, "2")
    assert "being made" in response.text


def test_a_report_that_cannot_be_made_is_told(site: Site) -> None:
    def broken() -> ReportPage:
        raise RuntimeError("/home/me/secret")

    response = client_of(create_app(replace(site, report=broken))).get("/report")
    assert response.status_code == 500
    assert "python -m bench report RUN" in response.text
    assert "secret" not in response.text


# --- which to take


def test_the_page_of_choose_says_what_the_command_says(
    site: Site, trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its figures are measured in a process of its own, so that here only what stays the same is compared."""
    monkeypatch.chdir(tmp_path)
    client = client_of(create_app(replace(site, choose=Chooser(trained_run).choose)))
    page = client.post("/choose", data={"operations": "+-", "digits": "2x2", "minutes": "600"})
    assert page.status_code == 200
    best = bench.choose("+-", "2x2", 600, [trained_run]).choices[0]
    assert f'<th scope="row">{best.words["architecture"]}</th>' in page.text
    assert html.escape(best.words["right %"]) in page.text
    assert html.escape(f"1. {best.command}", quote=False) in page.text
    assert html.escape(best.source) in page.text


def test_the_page_of_choose_keeps_what_was_asked(client: FlaskClient) -> None:
    assert 'value="3x3"' in client.get("/choose").text
    page = client.post("/choose", data={"operations": "/", "digits": "7x7", "minutes": "2.5"}).text
    assert "Nothing of /, 7x7 and 2.5." in page
    assert 'value="7x7"' in page


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"minutes": "soon"}, "minutes &#39;soon&#39;: expected a number, such as 10"),
        ({"operations": "<x>"}, "operations &#39;&lt;x&gt;&#39;: expected some of + - * /"),
        ({"digits": "3"}, "digits &#39;3&#39;: expected those of both operands, such as 3x3"),
    ],
)
def test_a_bad_question_is_told_in_one_line(
    asked: dict[str, str], line: str, site: Site, trained_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(create_app(replace(site, choose=Chooser(trained_run).choose)))
    page = client.post("/choose", data=asked)
    assert page.status_code == 400
    assert f'role="alert">{line}' in page.text


def test_two_do_not_measure_at_once(site: Site) -> None:
    def busy(operations: str, digits: str, minutes: float) -> dict[str, Any]:
        raise TimeoutError

    page = client_of(create_app(replace(site, choose=busy))).post("/choose", data={})
    assert page.status_code == 503
    assert "ask again in a moment" in page.text
    chooser = Chooser(Path())
    with chooser._lock, pytest.raises(TimeoutError):
        chooser.choose("*", "2x2", 1.0)


# --- many at once, and models that fail


def test_many_at_once_get_their_own_answers(site: Site, models: list[TrainedModel]) -> None:
    texts = [f"{a}{op}{b}" for a in range(10) for op, b in (("+", 3), ("-", 7), ("/", 2), ("*", 1))]  # `*` is unknown
    found: dict[str, list[Reply]] = {}

    def one(text: str) -> None:
        replies = site.asker.ask(read_problem(text))
        found[text] = [replace(reply, seconds=None) for reply in replies]

    askable = [text for text in texts if "*" not in text]
    threads = [threading.Thread(target=one, args=(text,)) for text in askable]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for text in askable:
        alone = ask(models, read_problem(text))
        assert [reply.expression for reply in found[text]] == [text, text]
        for mine, other in zip(alone, found[text], strict=True):
            assert (mine.answer, mine.right, mine.expected) == (other.answer, other.right, other.expected)
            assert mine.confidence == pytest.approx(other.confidence, rel=1e-3)


class Stuck(TrainedModel):
    """Answers when it is let, and then raises."""

    let = threading.Event()

    def answer(self, problems: Problems) -> Any:
        self.let.wait(10)
        raise RuntimeError("/home/me/secret")


def test_a_model_that_hangs_or_fails_is_told_and_leaks_nothing(
    site: Site, models: list[TrainedModel], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = models[0]
    with closing(Asker([Stuck(model.record, model.suite, model.model)])) as asker:
        monkeypatch.setattr(Asker.ask, "__defaults__", (0.2,))
        client = client_of(create_app(replace(site, asker=asker)))
        started = time.monotonic()
        response = client.post("/api/ask", json={"expression": "1+1"})
        assert time.monotonic() - started < 5
        assert "busy" in described(response, "/api/ask")["error"]
        monkeypatch.setattr(Asker.ask, "__defaults__", (10.0,))
        Stuck.let.set()
        for path, sent in (("/api/ask", {"json": {"expression": "1+1"}}), ("/", {"data": {"expression": "1+1"}})):
            response = client.post(path, **sent)
            assert response.status_code == 500
            assert "Something went wrong here" in response.text
            assert "secret" not in response.text
        assert client.get("/healthz").status_code == 200
    assert client.get("/healthz").status_code == 503
    printed = capsys.readouterr().err
    assert re.findall("^bench: .*$", printed, re.MULTILINE) == printed.splitlines()
    assert printed.count("RuntimeError") == 2


# --- whatever anyone sends

EXPRESSIONS = st.text(max_size=60) | st.text(
    alphabet="0123456789+-*/().,\\{}frac=$ \u00d7\u00f7\u2212\u00b2\u0663", max_size=40
)


@settings(max_examples=60)
@given(EXPRESSIONS)
@example("9" * 100 + "-" + "9" * 100)
@example("-" * MOST_SYMBOLS)
@example("(" * 500 + "1+1" + ")" * 400)
@example(",".join(["1"] * 400))
@example("q: " * 300)
@example("what is " * 120)
@example(". " * 499)
@example("\\frac{" * 160)
@example("1" * 500 + "." + "1" * 400)
@example("0.00000000000000000001/3")
def test_no_expression_breaks_it(app: Flask, expression: str) -> None:
    client = client_of(app)
    started = time.process_time()
    responses = [
        client.post("/api/ask", json={"expression": expression}),
        client.post("/api/read", json={"expression": expression}),
        client.post("/", data={"expression": expression}),
    ]
    assert time.process_time() - started < 2
    assert {response.status_code for response in responses} <= {200, 400}
    for response in responses:
        assert "Traceback" not in response.text
    assert (responses[0].status_code, responses[2].status_code) in ((200, 200), (400, 400))


PATHS = st.lists(
    st.sampled_from(
        ["", "api", "ask", "read", "models", "static", "report", "..", ".", "page.js", "%00", "%2e%2e", "a"]
    )
    | st.text(st.characters(max_codepoint=255), max_size=6),  # WSGI's idea of bytes
    max_size=5,
).map(lambda parts: "/" + "/".join(parts))
HEADER_NAMES = st.sampled_from(
    ["Accept", "Content-Type", "Content-Length", "Cookie", "Host", "If-Modified-Since", "If-None-Match", "Origin"]
) | st.sampled_from(["Range", "Transfer-Encoding", "X-Forwarded-For", "X-Forwarded-Host"])
HEADER_VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40)


@settings(max_examples=80)
@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"]),
    PATHS,
    st.dictionaries(HEADER_NAMES, HEADER_VALUES | st.sampled_from(["bytes=0-1", "chunked", "application/json", "-1"])),
    st.binary(max_size=200),
)
@example("GET", "//evil.example/..", {}, b"")
@example("GET", "/static/../site.py", {}, b"")
@example("GET", "/static/%2e%2e/%2e%2e/site.py", {}, b"")
@example("GET", "/static//etc/passwd", {}, b"")
@example("POST", "/", {"Content-Type": "multipart/form-data; boundary=a"}, b"--a\r\n" * 40)
def test_no_request_breaks_it(app: Flask, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
    response = client_of(app).open(method=method, headers=headers, data=body, environ_overrides={"PATH_INFO": path})
    assert response.status_code < 500
    assert not 300 <= response.status_code < 400 or response.status_code == 304  # it sends nobody elsewhere
    assert "Traceback" not in response.text
    assert "def create_app" not in response.text
    assert "unsafe" not in response.headers["Content-Security-Policy"]


# --- the command


def test_a_port_that_is_taken_is_one_line(
    trained_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, out, err = call(capsys, monkeypatch, "serve", str(trained_run), "--port", port)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"--port {port}: Address already in use; name another" in err


def test_a_run_without_weights_is_one_line(
    trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    copytree(trained_run, tmp_path / "run")
    (tmp_path / "run" / "cells" / "lstm-s0" / WEIGHTS).unlink()
    status, out, err = call(capsys, monkeypatch, "serve", str(tmp_path / "run"), "--port", "0")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "the file is missing" in err


def test_without_flask_the_remedy_is_named(
    trained_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving.importlib.util, "find_spec", lambda name: None)
    status, _, err = call(capsys, monkeypatch, "serve", str(trained_run))
    assert status == 2
    assert "pip install -c constraints.txt -e '.[serve]'" in err


class Brief:
    """A server that ends at once."""

    def run(self) -> None: ...


@pytest.mark.parametrize(("host", "warns"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_whoever_opens_it_to_others_is_warned(
    host: str,
    warns: bool,
    trained_run: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served: list[Site] = []

    def make_server(site: Site, place: serving.Place) -> Brief:
        served.append(site)
        return Brief()

    monkeypatch.setattr(serving, "make_server", make_server)
    status, out, err = call(capsys, monkeypatch, "serve", str(trained_run), "--host", host, "--port", "0")
    assert status == 0
    assert out.startswith(f"http://{host}:")
    assert ("there is no password" in err) is warns
    assert (served[0].hosts is None) is warns
    assert not served[0].asker.is_alive  # all is ended


def test_demo_opens_a_published_run_that_has_its_weights(
    trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("bench.choosing.PUBLISHED", tmp_path)
    monkeypatch.setattr(serving, "make_server", lambda site, place: Brief())
    monkeypatch.setattr("webbrowser.open", opened.append)
    status, _, err = call(capsys, monkeypatch, "demo", "--port", "0")
    assert (status, err.count("\n")) == (2, 1)
    assert "no run with weights is here; run it in the folder of a clone of the project" in err
    copytree(trained_run, tmp_path / "products3")
    copytree(trained_run, tmp_path / "bare", ignore=ignore_patterns(WEIGHTS))
    status, _, err = call(capsys, monkeypatch, "demo", "bare", "--port", "0")
    assert (status, err) == (
        2,
        "bench: 'bare': no published run of that name comes with weights; there are products3\n",
    )
    for screen in (True, False):
        monkeypatch.setattr("bench.machine.has_screen", lambda screen=screen: screen)
        status, out, _ = call(capsys, monkeypatch, "demo", "--port", "0")
        assert status == 0
        assert opened == [out.split()[0]] * screen
        opened.clear()
