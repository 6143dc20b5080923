"""How long a run will take on workers that there may not be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.planning.amounts import parse_worker_counts
from bench.running.estimate import CELL_SECONDS, START_SECONDS, schedule


@given(st.lists(st.floats(0.1, 1e5), min_size=1, max_size=40), st.integers(1, 50))
def test_a_schedule_lies_between_its_bounds(cells: list[float], workers: int) -> None:
    """No schedule ends sooner than the longest cell or a fair share of all; this one at most a cell's length later."""
    found, whole = schedule(cells, workers), [seconds + CELL_SECONDS for seconds in cells]
    least = max(max(whole), sum(whole) / workers)
    assert least <= found.seconds - START_SECONDS + 1e-6
    assert found.seconds - START_SECONDS <= sum(whole) / workers + max(whole) + 1e-6
    assert found.worker_seconds == pytest.approx(workers * found.seconds)
    assert 0 < found.last_hour <= 1


def test_the_longest_come_first() -> None:
    # In the order given, the long one would begin last, and end at 3 + 9 and not at 9.
    found = schedule([3, 3, 3, 9], 2)
    assert found.seconds == START_SECONDS + 9 + 3 * CELL_SECONDS  # the three short ones, side by side with it


def test_a_worker_too_many_is_idle() -> None:
    hour = 3600 - CELL_SECONDS
    assert schedule([hour] * 4, 4).last_hour == 1
    assert schedule([hour] * 4, 8).last_hour == pytest.approx(0.5)
    assert schedule([hour] * 3, 2).last_hour == pytest.approx(0.5)  # the hour in which one of two works alone
    assert schedule([], 2).seconds == 0


def test_numbers_of_workers() -> None:
    assert parse_worker_counts("1, 8,64") == (1, 8, 64)
    assert parse_worker_counts(None) == ()
    for wrong in ("0", "x", "1,100001", "2.5"):
        with pytest.raises(UserError, match="expected numbers of workers such as 1,8,64"):
            parse_worker_counts(wrong)
