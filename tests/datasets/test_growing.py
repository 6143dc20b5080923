"""The suites of `reach`."""

import json
import tomllib

import pytest

from bench.datasets.growing import PROBLEMS, growing_suite
from bench.datasets.problems import OPERATIONS
from bench.datasets.suites import Suite, suite_of_content
from bench.datasets.writing.workings import Workings


def suite(operation: str, digits: int, workings: Workings = "none") -> Suite:
    text = growing_suite(operation, digits, workings, "flops=1000000", 100_000)
    return suite_of_content(json.dumps(tomllib.loads(text)))


@pytest.mark.parametrize("workings", ["none", "scratchpad", "scratchpad-sums"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_one_operation_on_one_to_n_digits(operation: str, workings: Workings) -> None:
    made = suite(operation, 3, workings)
    assert made.digits == (("2x1", "4x2", "6x3") if operation == "/" else ("1x1", "2x2", "3x3"))
    assert (made.operations, made.signs, made.places) == ((operation,), ("++",), (0,))
    test = made.evaluation_set("test")
    assert test.counts[-1] == PROBLEMS
    assert made.form.workings == workings
    encoded = made.encoding.encode(test.problems)
    assert encoded.right(encoded.answer).all()


def test_the_hash_follows_the_rule() -> None:
    """Published searches rest on it: a changed rule is a new version of these suites."""
    assert suite("*", 3).hash[:16] == "63baa4f442416763"
    assert suite("/", 2, "scratchpad").hash[:16] == "82035ebf81bbae4b"


def test_a_hundred_digits_fit() -> None:
    assert len(suite("+", 100).evaluation_set("test").counts) == 100
