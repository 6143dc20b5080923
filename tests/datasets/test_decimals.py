"""Columns of exact decimals, int64 and unbounded alike."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.datasets.decimals import (
    canonical,
    digit_count,
    digit_matrix,
    integer_dtype,
    powers_of_ten,
    write_decimal,
)

BOTH = [np.int64, object]
SMALL = st.lists(st.integers(0, 10**18 - 1), min_size=1, max_size=6)
LARGE = st.lists(st.integers(0, 10**200), min_size=1, max_size=6)


@pytest.mark.parametrize("dtype", BOTH)
def test_canonical_drops_trailing_zeros_after_the_point_only(dtype: Any) -> None:
    mantissa, places = canonical(np.array([1200, 0, -50, 100, 7, -10], dtype=dtype), np.array([3, 2, 1, 0, 2, 5]))
    assert mantissa.tolist() == [12, 0, -5, 100, 7, -1]
    assert places.tolist() == [1, 0, 0, 0, 2, 4]
    assert mantissa.dtype == dtype


def test_canonical_leaves_its_arguments_alone() -> None:
    mantissa, places = np.array([1200]), np.array([3])
    canonical(mantissa, places)
    assert (mantissa.tolist(), places.tolist()) == ([1200], [3])


@given(st.lists(st.tuples(st.integers(-(10**17), 10**17), st.integers(0, 18)), min_size=1, max_size=6))
def test_canonical_keeps_the_value(rows: list[tuple[int, int]]) -> None:
    for dtype in BOTH:
        columns = canonical(np.array([m for m, _ in rows], dtype=dtype), np.array([p for _, p in rows]))
        for (mantissa, places), short, left in zip(rows, *(c.tolist() for c in columns), strict=True):
            assert Decimal(short).scaleb(-left) == Decimal(mantissa).scaleb(-places)
            assert left == 0 or (0 < left <= places and short % 10)


@given(LARGE)
def test_digits_of_unbounded_integers(values: list[int]) -> None:
    column = np.array(values, dtype=object)
    assert digit_count(column).tolist() == [len(str(value)) for value in values]
    matrix = digit_matrix(column, 205)
    assert ["".join(map(str, row)) for row in matrix.tolist()] == [str(value).zfill(205) for value in values]


@given(SMALL, st.integers(18, 30))
def test_digits_of_int64(values: list[int], width: int) -> None:
    column = np.array(values, dtype=np.int64)
    assert digit_count(column).tolist() == [len(str(value)) for value in values]
    assert ["".join(map(str, row)) for row in digit_matrix(column, width).tolist()] == [
        str(value).zfill(width) for value in values
    ]


@pytest.mark.parametrize("dtype", BOTH)
def test_empty_columns(dtype: Any) -> None:
    empty = np.array([], dtype=dtype)
    assert digit_count(empty).shape == (0,)
    assert digit_matrix(empty, 3).shape == (0, 3)
    assert [column.shape for column in canonical(empty, np.array([], dtype=np.int64))] == [(0,), (0,)]


def test_integer_dtype_holds_its_digits() -> None:
    assert integer_dtype(18) == np.int64
    assert integer_dtype(19) == np.dtype(object)
    assert 10**18 - 1 <= np.iinfo(np.int64).max < 10**19 - 1


@pytest.mark.parametrize(("dtype", "most"), [(np.int64, 18), (object, 399)])
def test_powers_of_ten(dtype: Any, most: int) -> None:
    powers = powers_of_ten(np.array([0, 1, most]), np.dtype(dtype))
    assert powers.tolist() == [1, 10, 10**most]
    assert powers.dtype == dtype


@pytest.mark.parametrize(
    ("mantissa", "places", "text"),
    [(0, 0, "0"), (5, 2, "0.05"), (-5, 1, "-0.5"), (-125, 1, "-12.5"), (125, 0, "125"), (10**99, 0, "1" + "0" * 99)],
)
def test_write_decimal(mantissa: int, places: int, text: str) -> None:
    assert write_decimal(mantissa, places) == text
