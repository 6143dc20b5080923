"""The nearest training example, against a twin that compares symbol by symbol."""

from typing import Any

import numpy as np
import pytest

from bench.datasets import nearest as module
from bench.datasets.drawing.stream import BLOCK
from bench.datasets.nearest import first_distinct, nearest, nearest_rows
from bench.datasets.problems import Problems
from bench.datasets.suites import Suite, load_suite
from bench.datasets.writing.cells import Symbols

Texts = tuple[str, str, str]


def texts_of(problems: Problems) -> list[Texts]:
    return [problems.texts(row) for row in range(len(problems))]


def naive(asked: list[str], known: list[str]) -> list[int]:
    """Prompts as texts, padded with spaces; `min` takes the first of equals."""
    width = max(map(len, asked + known))

    def differ(one: str, other: str) -> int:
        return sum(x != y for x, y in zip(one.rjust(width), other.rjust(width), strict=True))

    return [min(range(len(known)), key=lambda row: differ(prompt, known[row])) for prompt in asked]


@pytest.mark.parametrize("operands", ["plain", "padded"])
def test_the_nearest_is_that_of_the_naive_twin(twins: Any, monkeypatch: pytest.MonkeyPatch, operands: str) -> None:
    monkeypatch.setattr(module, "_KNOWN_AT_ONCE", 100)  # blocks that end within the data, on both sides
    monkeypatch.setattr(module, "_ASKED_AT_ONCE", 37)
    suite: Suite = twins.suite(digits=["1x1", "3x2"], places=[0, 1], form={"operands": operands})
    known = first_distinct(suite.stream(0), 450)
    asked = suite.evaluation_set("test").problems
    asked = asked.rows(slice(0, len(asked), 11))
    written = [[f"{a}{op}{b}=" for a, op, b in texts_of(problems)] for problems in (asked, known)]
    if operands == "padded":
        forms = [suite.encoding.form.prompts(problems) for problems in (asked, known)]
        written = [["".join(chr(code) for code in row if code) for row in form] for form in forms]
    assert nearest(asked, known, suite.encoding.form).tolist() == naive(*written)


def test_the_earliest_of_equally_near_rows_is_taken_within_and_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KNOWN_AT_ONCE", 4)
    known: Symbols = np.array([[1, 1], [1, 2], [2, 1], [9, 9], [2, 1], [2, 2], [2, 2], [2, 2], [3, 3]], np.uint8)
    asked: Symbols = np.array([[2, 2], [2, 9], [9, 1], [7, 7], [3, 3], [2, 1]], np.uint8)
    #                          exact   2 or 9  9x or x1  none   exact   exact
    assert nearest_rows(asked, known).tolist() == [5, 2, 0, 0, 8, 2]


def test_long_prompts_are_counted_exactly() -> None:
    """205 symbols, as of two operands of 100 digits: counts stay exact in float32 to the last row of a block."""
    generator = np.random.default_rng(5)
    known = generator.integers(48, 58, (8200, 205)).astype(np.uint8)
    chosen = np.array([0, 8190, 8191, 8192, 8199])
    asked = known[chosen].copy()
    asked[:, :60] = 0
    assert nearest_rows(asked, known).tolist() == chosen.tolist()


def test_the_first_distinct_problems_are_those_of_the_stream_in_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCKS_AT_ONCE", 2)
    stream = load_suite("quick").stream(3)
    seen = [text for number in range(5) for text in texts_of(stream.block(number))]
    distinct = list(dict.fromkeys(seen))
    assert len(distinct) < len(seen)
    n = len(distinct) - 10
    assert texts_of(first_distinct(stream, n)) == distinct[:n]


def test_where_there_are_fewer_all_are_found(twins: Any) -> None:
    suite: Suite = twins.suite(digits=["1x1"], signs=["++"])
    assert suite.sampler.listed_problems == 70
    assert len(set(texts_of(first_distinct(suite.stream(0), 100_000)))) == 70


def test_a_finite_training_set_is_all_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCKS_AT_ONCE", 1)
    suite = load_suite("quick")
    stream = suite.stream(0, 50)
    known = texts_of(first_distinct(stream, 100_000))
    assert known == texts_of(stream.block(0))[:50]  # the order of the first epoch
    assert len(set(known)) == 50
    assert texts_of(first_distinct(stream, 20)) == known[:20]


def test_the_search_ends_though_problems_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_EXAMPLES", 2 * BLOCK)
    monkeypatch.setattr(module, "_BLOCKS_AT_ONCE", 1)
    stream = load_suite("quick").stream(0)
    seen = [text for number in range(2) for text in texts_of(stream.block(number))]
    assert texts_of(first_distinct(stream, 100_000)) == list(dict.fromkeys(seen))
