"""The Flask application of `serve`: a web page and a JSON API of a run's trained models, and its protection."""

from __future__ import annotations

import json
import math
import re
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import architectures
from bench.asking.expression import read_problem
from bench.datasets.expressions import MOST_SYMBOLS
from bench.datasets.problems import Problems
from bench.errors import UserError
from bench.results.report.tables.replies import reply_table, whether_seen
from bench.results.report.terminal import tables_text
from bench.serving.asker import Asker
from bench.serving.report_page import ReportPage

if TYPE_CHECKING:
    from flask import Flask, Response

WEB = Path(__file__).parent / "web"
MOST_BYTES = 16 * MOST_SYMBOLS
"""Of a request's body: the longest expression fits in any encoding."""
MOST_HEADER_BYTES = 16_384
MISDIRECTED = 421
READ_FOR_EACH = 10
"""How many expressions may be typeset for each that is asked: the page typesets while the user types."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""Content security policy of every page but the report: nothing inline, nothing from elsewhere."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Names by which a browser on this machine calls a server on it."""
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(?::[0-9]{1,5})?")
_REASONS = {
    404: "There is nothing at this address.",
    405: "This address is asked in another way: the API's description, /api/openapi.json, says how.",
    413: f"That is too long: at most {MOST_BYTES:,} bytes.",
}
USUAL_QUESTION = {"operations": "*", "digits": "3x3", "minutes": "10"}
"""What the page of `choose` asks until the user says otherwise."""
_MINUTES = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?")
_BODY = 'Send {"expression": "-12*7"}.'


@dataclass(frozen=True, kw_only=True)
class Site:
    """What the application serves, and to whom."""

    asker: Asker
    examples: list[str]
    """expressions that the models can be asked"""
    run: str
    """name of the run's folder"""
    report: Callable[[], ReportPage | None]
    """see `ReportMaker.page`"""
    choose: Callable[[str, str, float], dict[str, Any]]
    """see `Chooser.choose`"""
    hosts: frozenset[str] | None
    """Names by which a request may call this server; None allows any. Without this check a web page from elsewhere
    could let its own name point to loopback and read the answers (DNS rebinding)."""
    per_minute: int
    """requests to the models that one address may make in a minute"""


class Refused(Exception):
    """A request is refused: the status, a text for the user, and more headers."""

    def __init__(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, headers or {}


class Limit:
    """A limit on the requests of each address: `per_minute`, and a tenth of those at once."""

    REMEMBERED = 10_000
    """Addresses; the one whose last request is the oldest is forgotten first."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._per_second, self._most = per_minute / 60, max(1.0, per_minute / 10)
        self._clock, self._lock = clock, threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, address: str) -> float:
        """Count one request of an address: 0 where it is allowed, else the seconds until the next one is."""
        with self._lock:
            now = self._clock()
            left, then = self._left.pop(address, (self._most, now))
            left = min(self._most, left + (now - then) * self._per_second)
            waiting = max(0.0, (1 - left) / self._per_second)
            self._left[address] = (left if waiting else left - 1, now)
            if len(self._left) > self.REMEMBERED:
                self._left.popitem(last=False)
        return waiting


def create_app(site: Site) -> Flask:
    """The application that serves `site`."""
    from flask import Flask
    from jinja2 import StrictUndefined

    app = Flask(__name__, static_folder=WEB / "static", template_folder=WEB / "templates")
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    app.url_map.merge_slashes = False  # it would redirect to whatever a Host header says
    app.jinja_options = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    _guard(app, site)
    _add_pages(app, site)
    _add_api(app, site)
    return app


def _guard(app: Flask, site: Site) -> None:
    """Add what holds for every address: who may ask how often, the headers of answers, and pages for errors."""
    from flask import Response as FlaskResponse
    from flask import request
    from werkzeug.exceptions import HTTPException

    asking, reading = Limit(site.per_minute), Limit(READ_FOR_EACH * site.per_minute)

    @app.before_request
    def admit() -> None:
        named = _HOST.fullmatch(request.headers.get("Host", "").lower())
        if site.hosts is not None and (named is None or named[1] not in site.hosts):
            raise Refused(MISDIRECTED, f"This server answers to {', '.join(sorted(site.hosts))} only.")
        if request.method == "POST" and request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
            raise Refused(403, "Another website sent this; only this one's own page may ask.")
        limit = reading if request.path == "/api/read" else asking
        if request.method == "POST" and (waiting := limit.wait(request.remote_addr or "")):
            seconds = math.ceil(waiting)
            said = f"Too many requests: at most {limit.per_minute:,} a minute. Try again in {seconds} s."
            raise Refused(429, said, {"Retry-After": str(seconds)})

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.update(HEADERS)
        return response

    @app.errorhandler(Exception)
    def explain(error: Exception) -> Response:
        match error:
            case Refused():
                refused = error
            case UserError():
                refused = Refused(400, str(error))
            case TimeoutError():
                refused = Refused(503, "The models are busy; try again in a moment.", {"Retry-After": "1"})
            case HTTPException(code=int(status)):
                allowed = [header for header in error.get_headers() if header[0] == "Allow"]
                refused = Refused(status, _REASONS.get(status, f"{error.name}."), dict(allowed))
            case _:
                where = f"{request.method} {request.path!a}"
                print(f"bench: {where}: {type(error).__name__}: {str(error)!a}", file=sys.stderr)
                refused = Refused(500, "Something went wrong here; a line on the server's terminal says what.")
        if request.path.startswith("/api/"):
            response = _json({"error": refused.text}, refused.status)
        elif refused.status == MISDIRECTED:  # the page would show the run to a caller by another name
            response = FlaskResponse(f"{refused.text}\n", refused.status, mimetype="text/plain")
        else:
            response = _page("ask.html", refused.status, error=refused.text, **_front(site))
        response.headers.update(refused.headers)
        return response


def _add_pages(app: Flask, site: Site) -> None:
    from flask import Response, request

    @app.get("/")
    def front() -> Response:
        return _page("ask.html", **_front(site))

    @app.post("/")
    def answers() -> Response:
        expression = request.form.get("expression", "")
        try:
            problem = _problem(expression)
            replies = site.asker.ask(problem)
        except UserError as error:
            return _page("ask.html", 400, error=str(error), **_front(site, expression))
        asked = {
            "problem": problem.texts(0),
            "replies": replies,
            "first": replies[0],
            "seen": whether_seen(replies).capitalize(),
            "right": sum(reply.right for reply in replies),
            "text": tables_text([reply_table(replies)]),
        }
        return _page("ask.html", asked=asked, **_front(site, expression))

    @app.get("/report")
    def report() -> Response:
        try:
            made = site.report()
        except RuntimeError:
            raise Refused(500, "The report cannot be made; `python -m bench report RUN` says why.") from None
        if made is None:
            response = _page("waiting.html", page="report", run=site.run)
            response.headers["Refresh"] = "2"
            return response
        return Response(made.html, headers={"Content-Security-Policy": made.policy})

    @app.get("/choose")
    def choice() -> Response:
        return _choose_page(site, USUAL_QUESTION)

    @app.post("/choose")
    def chosen() -> Response:
        asked = {name: request.form.get(name, usual).strip() for name, usual in USUAL_QUESTION.items()}
        try:
            if not _MINUTES.fullmatch(asked["minutes"]):
                raise UserError(f"minutes '{asked['minutes'][:20]}': expected a number, such as 10")
            found = site.choose(asked["operations"], asked["digits"], float(asked["minutes"]))
        except UserError as error:
            return _choose_page(site, asked, 400, error=str(error).removeprefix("--"))
        except TimeoutError:
            busy = "Another question is being worked on; ask again in a moment."
            return _choose_page(site, asked, 503, error=busy)
        return _choose_page(site, asked, found=found)

    @app.get("/favicon.ico")
    def icon() -> Response:
        return app.send_static_file("icon.svg")


def _add_api(app: Flask, site: Site) -> None:
    """Add the API that openapi.json describes."""
    from flask import render_template

    @app.post("/api/ask")
    def ask() -> Response:
        return _json([asdict(reply) for reply in site.asker.ask(_problem(_posted_expression()))])

    @app.post("/api/read")
    def read() -> Response:
        a, op, b = _problem(_posted_expression()).texts(0)
        return _json({"expression": f"{a}{op}{b}", "mathml": render_template("problem.html", problem=(a, op, b))})

    @app.get("/api/models")
    def models() -> Response:
        return _json(_models(site))

    @app.get("/api/openapi.json")
    def openapi() -> Response:
        return app.send_static_file("openapi.json")

    @app.get("/healthz")
    def health() -> Response:
        alive = site.asker.is_alive
        return _json({"status": "ok" if alive else "the models do not answer"}, 200 if alive else 503)


def _posted_expression() -> str:
    """The expression in a request's JSON. Raises Refused where there is none."""
    from flask import request

    if not request.is_json:
        raise Refused(415, "Expected JSON: a header Content-Type: application/json, and a body as below. " + _BODY)
    try:
        body = json.loads(request.get_data())
    except (ValueError, RecursionError):
        raise Refused(400, "The body is no JSON. " + _BODY) from None
    if not isinstance(body, dict) or list(body) != ["expression"] or not isinstance(body["expression"], str):
        raise Refused(400, "The body has other keys or values. " + _BODY)
    return body["expression"]


def _problem(expression: str) -> Problems:
    """Read an expression. Raises UserError where it is none."""
    if not expression.strip():
        raise UserError("Type an operation on two numbers, such as -12 * 7.")
    return read_problem(expression)


def _models(site: Site) -> list[dict[str, Any]]:
    return [
        {"architecture": model.architecture, "seed": model.seed}
        | {name: getattr(architectures.get(model.architecture), name) for name in ("family", "year", "paper")}
        | {"suite": model.suite.name}
        | {name: getattr(model.record, name) for name in ("parameters", "correct", "total")}
        for model in site.asker.models
    ]


def _front(site: Site, expression: str = "") -> dict[str, Any]:
    """What the page shows with or without a question."""
    suite = site.asker.models[0].suite
    return {
        "expression": expression,
        "run": site.run,
        "suite": suite,
        "models": _models(site),
        "examples": site.examples,
        "longest": MOST_SYMBOLS,
    }


def _page(template: str, status: int = 200, **values: Any) -> Response:
    from flask import Response, render_template

    return Response(render_template(template, **{"asked": None, "error": "", "page": "ask"} | values), status)


def _choose_page(site: Site, asked: dict[str, str], status: int = 200, **values: Any) -> Response:
    """The page of `choose`, its fields filled with what was asked."""
    return _page("choose.html", status, page="choose", run=site.run, asking=asked, **{"found": None} | values)


def _json(document: Any, status: int = 200) -> Response:
    from flask import Response

    return Response(json.dumps(document, indent=1) + "\n", status, mimetype="application/json")
