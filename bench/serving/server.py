"""The web server of `serve`: its socket, the thread that asks the models, the process of the report, and waitress."""

from __future__ import annotations

import errno
import importlib.util
import ipaddress
import logging
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.asking.expression import read_problem
from bench.asking.models import TrainedModel
from bench.errors import UserError
from bench.serving.asker import Asker
from bench.serving.choose_page import Chooser
from bench.serving.report_page import ReportMaker
from bench.serving.site import MOST_HEADER_BYTES, Site, create_app

if TYPE_CHECKING:
    from waitress.server import BaseWSGIServer, MultiSocketServer

THREADS = 64
"""Requests that are worked on at the same time; all but one wait for the models."""
CONNECTIONS = 256
SILENT_SECONDS = 30
"""A connection over which nothing comes for so long is closed."""
MOST_BYTES_READ = 2**18
"""Of a request's body. The application takes less, so that it can refuse what is somewhat too long with an answer."""
MOST_PER_MINUTE = 1_000_000
EXAMPLES = 5


@dataclass(frozen=True)
class Place:
    """A bound socket, which does not listen yet."""

    socket: socket.socket
    host: str
    """as it stands in an address"""
    port: int
    loopback: bool
    """this machine alone can reach it"""

    @property
    def address(self) -> str:
        return f"http://{self.host}:{self.port}/"


def check_options(port: int, per_minute: int) -> None:
    """Raise UserError where a figure is out of bounds, or Flask or waitress is not installed."""
    if any(importlib.util.find_spec(module) is None for module in ("flask", "waitress")):
        raise UserError("serve needs Flask and waitress: pip install -c constraints.txt -e '.[serve]'")
    if not 0 <= port <= 65535:
        raise UserError(f"--port {port}: expected 0 to 65535 (0: any that is free)")
    if not 1 <= per_minute <= MOST_PER_MINUTE:
        raise UserError(f"--rate {per_minute}: expected 1 to {MOST_PER_MINUTE:,} questions a minute")


@contextmanager
def bound(host: str, port: int) -> Iterator[Place]:
    """A context with a socket bound to this address, for the server to listen at later.

    Raises:
        UserError: the address or port cannot be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise UserError(f"--host '{host}': is no address of this machine ({error})") from None
    with closing(socket.socket(family, kind, protocol)) as opened:
        if sys.platform == "win32":  # there others could share the port by the option that elsewhere frees it sooner
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind(address)
        except OSError as error:
            remedy = "name another with --port" if error.errno == errno.EADDRINUSE else "name another"
            raise UserError(f"--host {host} --port {port}: {error.strerror}; {remedy}") from None
        name, taken, *_ = opened.getsockname()
        yield Place(opened, f"[{name}]" if ":" in name else name, taken, ipaddress.ip_address(name).is_loopback)


@contextmanager
def open_site(models: list[TrainedModel], run: Path, hosts: frozenset[str] | None, per_minute: int) -> Iterator[Site]:
    """A context with what `create_app` serves of a run: the thread of the models and the process of the report run."""
    with closing(Asker(models)) as asker, closing(ReportMaker(run, home="/")) as report:
        test = models[0].suite.evaluation_set("test").problems
        examples = ["".join(test.texts(row)) for row in range(0, len(test), -(-len(test) // EXAMPLES))]
        for expression in examples:  # the first answers in a process are slow
            asker.ask(read_problem(expression), patience_seconds=None)
        yield Site(
            asker=asker,
            examples=examples,
            run=run.resolve().name,
            report=report.page,
            choose=Chooser(run).choose,
            hosts=hosts,
            per_minute=per_minute,
        )


def make_server(site: Site, place: Place) -> MultiSocketServer | BaseWSGIServer:
    """A server that listens; its `run()` answers requests until Ctrl-C.

    Raises:
        UserError: another process has begun to listen at this address since it was bound.
    """
    from waitress.server import create_server

    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns whenever a request has to wait
    try:
        place.socket.listen()  # first, since waitress would not close a server that fails here
    except OSError as error:
        raise UserError(f"--port {place.port}: {error.strerror}; name another with --port") from None
    return create_server(
        create_app(site),
        sockets=[place.socket],
        threads=THREADS,
        connection_limit=CONNECTIONS,
        channel_timeout=SILENT_SECONDS,
        max_request_header_size=MOST_HEADER_BYTES,
        max_request_body_size=MOST_BYTES_READ,
        ident=None,
    )
