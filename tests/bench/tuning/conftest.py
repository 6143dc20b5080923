"""Trials that do not train."""

from collections.abc import Callable
from typing import Any

import pytest
from searching import Formula, near


@pytest.fixture(autouse=True)
def no_flops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting them takes most of the time of a trial that does not train."""
    monkeypatch.setattr("bench.planning.decide.count_flops", lambda *_: 1000)


@pytest.fixture
def formula(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Formula]:
    def put(right: Callable[[dict[str, Any]], int] = near, outcome: dict[str, Any] | None = None) -> Formula:
        made = Formula(right, outcome)
        monkeypatch.setattr("bench.tuning.search.run_tasks", made)
        return made

    return put
