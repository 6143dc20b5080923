"""Which digits a search for reach tries, and what its trials say."""

from itertools import islice

import pytest

from bench.results.statistics.reach import State, Trial, next_digits, reach_of, state_of, states_of


def searched(reached: int, most: int) -> tuple[str, list[int]]:
    """The reach found for an architecture that reaches so many digits, and all that was tried."""
    states: dict[int, State] = {}
    while (digits := next_digits(states, most)) is not None:
        states[digits] = "reached" if digits <= reached else "missed"
    return reach_of(states).text, list(states)


@pytest.mark.parametrize(
    ("reached", "most", "text", "tried"),
    [
        (1, 32, "below 2", [2]),
        (2, 32, "2", [2, 4, 3]),
        (5, 32, "5", [2, 4, 8, 6, 5]),
        (7, 32, "7", [2, 4, 8, 6, 7]),
        (99, 32, "at least 32", [2, 4, 8, 16, 32]),
        (99, 12, "at least 12", [2, 4, 8, 12]),
        (9, 12, "9", [2, 4, 8, 12, 10, 9]),
        (99, 2, "at least 2", [2]),
    ],
)
def test_digits_are_doubled_and_then_the_interval_halved(reached: int, most: int, text: str, tried: list[int]) -> None:
    assert searched(reached, most) == (text, tried)


def test_the_reach_of_every_number_of_digits_is_found() -> None:
    assert [searched(reached, 100)[0] for reached in range(2, 100)] == [str(reached) for reached in range(2, 100)]
    assert max(len(searched(reached, 100)[1]) for reached in range(100)) == 13


def test_what_was_reached_beyond_a_miss_does_not_count() -> None:
    states: dict[int, State] = {2: "reached", 4: "missed", 8: "reached"}
    assert reach_of(states).text == "2 to 3"
    assert next_digits(states, 32) == 3
    assert reach_of(states | {3: "reached"}).text == "3"


@pytest.mark.parametrize(
    ("states", "text"),
    [
        ({}, "not known"),
        ({2: "open"}, "not known"),
        ({8: "missed"}, "at most 7"),
        ({4: "reached"}, "at least 4"),
        ({4: "reached", 8: "missed"}, "4 to 7"),
        ({4: "reached", 5: "missed"}, "4"),
    ],
)
def test_what_is_known_so_far_is_said(states: dict[int, State], text: str) -> None:
    assert reach_of(states).text == text


def trial(digits: int, seed: int, right: int, total: int = 200) -> Trial:
    return Trial("lstm", digits, seed, right, total, 1.0)


def test_every_seed_has_to_reach() -> None:
    assert trial(2, 0, 198).reaches
    assert not trial(2, 0, 197).reaches
    assert not trial(2, 0, 0, 0).reaches
    right = [trial(2, seed, 199) for seed in range(3)]
    assert state_of(right, 3) == "reached"
    assert state_of(right[:2], 3) == "open"
    assert state_of([*islice(right, 1), trial(2, 1, 150)], 3) == "missed"
    assert states_of([*right, trial(4, 0, 0)], 3) == {2: "reached", 4: "missed"}
