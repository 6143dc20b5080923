"""The report of a run as a page that a server sends: made in a process of its own, and under a strict policy."""

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
"""Of the styles that the charts' scripts, those of vl-convert 1.9, add as they run; browsers report any other."""


@dataclass(frozen=True)
class ReportPage:
    """A page, and its content security policy: what the page holds may run, and nothing else."""

    html: str
    policy: str


class ReportMaker:
    """Makes the report of a run beside whatever else this process does: it takes many seconds, all of them busy."""

    def __init__(self, run: Path, home: str) -> None:
        """`home` is the address that the page leads back to."""
        self._child = Child(_make, run, home)
        self._lock = threading.Lock()
        self._page: ReportPage | None = None
        self._failed = False

    def page(self) -> ReportPage | None:
        """The page; None while it is being made.

        Raises:
            RuntimeError: it cannot be made.
        """
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
    """The content security policy of a page that needs nothing but itself: its scripts and styles, by their hash."""
    scripts = _hashes(html, "script")
    styles = [*_hashes(html, "style"), *CHART_STYLES]
    return (
        f"default-src 'none'; script-src {' '.join(scripts)}; style-src {' '.join(styles)}; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hashes(html: str, element: str) -> list[str]:
    """Of every element that is all in the page; one of data (with a type) runs nothing."""
    return [_hash(content) for content in re.findall(rf"<{element}>(.*?)</{element}>", html, re.DOTALL)]


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _make(parent: Parent, run: Path, home: str) -> None:
    """What the process does: it sends the page, or ends without having sent anything."""
    with suppress(AttributeError, OSError):
        os.nice(10)  # whoever waits for an answer goes first
    from bench.results.records.run import open_run
    from bench.results.report.contents import contents
    from bench.results.report.html import page

    with suppress(ValueError):  # `report` says what is wrong with the run
        parent.send(page(contents([open_run(run)]), home))
