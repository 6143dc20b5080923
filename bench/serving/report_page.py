"""The report of a run as a page of `serve`: it is made in a process of its own and sent with a strict policy."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.child import Child, Parent

CHART_STYLES = (
    "'sha256-9uoGUaZm3j6W7+Fh2wfvjI8P7zXcclRw5tVUu3qKZa0='",  # the menu
    "'sha256-MmUum7+PiN7Rz79EUMm0OmUFWjCx6NZ97rdjoIbTnAg='",  # the tooltip
)
"""Hashes of the styles that the scripts of the charts (vl-convert 1.9) add as they run; browsers report any other."""


@dataclass(frozen=True)
class ReportPage:
    """A page, and its content security policy: only the scripts and styles in the page are allowed."""

    html: str
    policy: str


class ReportMaker:
    """Makes the report of a run in a process of its own, since that keeps a core busy for many seconds."""

    def __init__(self, run: Path, home: str) -> None:
        """Start the process. `home` is the address of the link by which the page leads back."""
        self._child = Child(_make, run, home)
        self._lock = threading.Lock()
        self._page: ReportPage | None = None
        self._failed = False

    def page(self) -> ReportPage | None:
        """The page; None while it is being made. Raises RuntimeError where the report cannot be made."""
        with self._lock:
            if self._page is None and not self._failed and self._child.has_sent():
                html = self._child.receive()
                self._failed = html is None
                self._page = None if html is None else ReportPage(html, policy_of(html))
            if self._failed:
                raise RuntimeError("the report cannot be made")
            return self._page

    def close(self) -> None:
        """End the process, if it has not ended by itself."""
        self._child.close()


def policy_of(html: str) -> str:
    """The content security policy of a page that loads no other files: its own scripts and styles, by their hash."""
    scripts = _hashes(html, "script")
    styles = [*_hashes(html, "style"), *CHART_STYLES]
    return (
        f"default-src 'none'; script-src {' '.join(scripts)}; style-src {' '.join(styles)}; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hashes(html: str, element: str) -> list[str]:
    """The hash of each element of this name without attributes; scripts that hold data have a type and never run."""
    found = re.findall(rf"<{element}>(.*?)</{element}>", html, re.DOTALL)
    digests = [hashlib.sha256(content.encode()).digest() for content in found]
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]


def _make(parent: Parent, run: Path, home: str) -> None:
    """What the process does: it sends the page, or ends without having sent anything."""
    with suppress(AttributeError, OSError):
        os.nice(10)  # answers to questions go first
    from bench.results.records.run import open_run
    from bench.results.report.contents import contents
    from bench.results.report.html import page

    with suppress(ValueError):  # `report` says what is wrong with the run
        parent.send(page(contents([open_run(run)]), home))
