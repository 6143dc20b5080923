"""The split rule: which problems fall together, its shares, and that it never changes silently."""

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.datasets.decimals import canonical
from bench.datasets.problems import Problems
from bench.datasets.split import SPLITS, fingerprint, mix, mix_integer, split_of

MAGNITUDES = st.builds(
    lambda digits, seed: random.Random(seed).randrange(10 ** (digits - 1) if digits > 1 else 0, 10**digits),
    st.integers(1, 100),
    st.integers(0, 2**32),
)
"""1 to 100 digits, each length equally likely"""
LONG = "9" * 100


def texts(a: int, operation: str, b: int, places: int = 0) -> tuple[str, str, str]:
    """A problem whose operands both have `places` decimals, which must be no trailing zeros."""
    written = [str(abs(m)).zfill(places + 1) for m in (a, b)]
    if places:
        written = [f"{m[:-places]}.{m[-places:]}" for m in written]
    first, second = (("-" if m < 0 else "") + text for m, text in zip((a, b), written, strict=True))
    return first, operation, second


@given(st.lists(st.tuples(MAGNITUDES, MAGNITUDES), min_size=1, max_size=5))
def test_variants_of_a_problem_fall_together(twins: Any, rows: list[tuple[int, int]]) -> None:
    for families in ("+-", "*"):
        variants = [
            [
                texts(sign_a * x, operation, sign_b * y)
                for operation in families
                for x, y in ((a, b), (b, a))
                for sign_a in (1, -1)
                for sign_b in (1, -1)
            ]
            for a, b in rows
        ]
        for same in variants:
            assert len(set(split_of(twins.columns(same)).tolist())) == 1


@given(st.lists(st.tuples(MAGNITUDES, st.sampled_from("+-*/"), MAGNITUDES, st.integers(0, 20)), min_size=1, max_size=8))
def test_the_slow_twin_agrees(twins: Any, rows: list[tuple[int, str, int, int]]) -> None:
    # Odd multiples of one tenth and the like: operands without trailing zeros.
    problems = [texts(-a // 10 * 10 - 1, op, b // 10 * 10 + 3, places) for a, op, b, places in rows]
    columns = twins.columns(problems)
    assert [SPLITS[code] for code in split_of(columns)] == [twins.split(problem) for problem in problems]
    assert fingerprint(columns).tolist() == [twins.fingerprint(problem) for problem in problems]


@given(st.lists(st.tuples(st.integers(-(10**18) + 1, 10**18 - 1), st.sampled_from("+-*/")), min_size=1, max_size=8))
def test_int64_and_object_columns_agree(twins: Any, rows: list[tuple[int, str]]) -> None:
    problems = [texts(a, op, 17) for a, op in rows]
    small, large = twins.columns(problems, np.int64), twins.columns(problems, object)
    assert split_of(small).tolist() == split_of(large).tolist()
    assert fingerprint(small).tolist() == fingerprint(large).tolist()


@pytest.mark.parametrize("magnitude", [0, 1, 2**32 - 1, 2**32, 2**63 - 1, 2**64 - 1, 2**64, 2**64 + 1, 10**99])
def test_a_number_is_hashed_the_same_in_any_company(twins: Any, magnitude: int) -> None:
    state = np.zeros(1, np.uint64)
    alone = mix_integer(state, np.array([magnitude], dtype=object))
    among = mix_integer(np.zeros(3, np.uint64), np.array([0, magnitude, 10**100], dtype=object))
    assert alone[0] == among[1] == twins.mix_integer(0, magnitude)


def test_trailing_zeros_are_folded(twins: Any) -> None:
    zeros = canonical(np.array([150, 1500, 15]), np.array([2, 3, 1]))
    problems = Problems(np.zeros(3, np.uint8), *zeros, *zeros)
    assert fingerprint(problems).tolist() == [twins.fingerprint(("1.5", "+", "1.5"))] * 3
    assert len(set(split_of(problems).tolist())) == 1


def test_what_differs_falls_apart(twins: Any) -> None:
    """Order counts for / alone; operations, and 1.5 and 15, have keys of their own."""
    pairs = [(a, b) for a in range(10, 60) for b in range(a + 1, 60)]

    def share(one: Any, other: Any) -> float:
        left, right = (split_of(twins.columns([f(a, b) for a, b in pairs])) for f in (one, other))
        return float((left == right).mean())

    assert share(lambda a, b: texts(a, "/", b), lambda a, b: texts(b, "/", a)) == pytest.approx(0.66, abs=0.05)
    assert share(lambda a, b: texts(a, "+", b), lambda a, b: texts(a, "*", b)) == pytest.approx(0.66, abs=0.05)
    assert share(lambda a, b: texts(a, "*", b), lambda a, b: texts(a, "/", b)) == pytest.approx(0.66, abs=0.05)
    assert share(lambda a, b: texts(a, "+", 3), lambda a, b: texts(a, "+", 3, places=1)) < 0.9


@pytest.mark.parametrize("operation", "+-*/")
def test_shares(operation: str) -> None:
    n = 100_000
    generator = np.random.default_rng(5)
    a, b = generator.integers(0, 10**9, (2, n))
    none = np.zeros(n, np.int64)
    shares = np.bincount(split_of(Problems(np.full(n, "+-*/".index(operation), np.uint8), a, none, b, none))) / n
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.004)  # four standard deviations


def test_shares_of_small_sums(twins: Any) -> None:
    problems = [texts(a, "+", b) for a in range(100) for b in range(a, 100)]
    counts = Counter(split_of(twins.columns(problems, np.int64)).tolist())
    assert [counts[code] / len(problems) for code in range(3)] == pytest.approx([0.8, 0.1, 0.1], abs=0.02)


def test_the_mixer_is_splitmix64() -> None:
    """Its first three outputs from seed 0, as published with the reference implementation."""
    gamma = 0x9E3779B97F4A7C15
    states = np.array([0, gamma, 2 * gamma % 2**64], dtype=np.uint64)
    assert [f"{word:x}" for word in mix(states, np.uint64(0)).tolist()] == [
        "e220a8397b1dcdaf",
        "6e789e6aa1b965f4",
        "6c45d188009454f",
    ]


GOLDEN = [
    (("5", "+", "3"), "train", 0x3A27D1EF29698A3E),
    (("-5", "-", "3"), "train", 0xF9424AEDCB9D2FBC),
    (("10", "+", "16"), "test", 0x746AE0DF90C864B3),
    (("12", "*", "7"), "train", 0x4C5E768E1CC6AA41),
    (("7", "/", "2"), "validation", 0x5F32B38CF9101FFB),
    (("2", "/", "7"), "train", 0x1777BAB479C3B3F2),
    (("-12.5", "*", "0.07"), "train", 0xEFD223B9028AAFA8),
    ((LONG, "+", "18446744073709551616"), "train", 0x8E7E3C8BB19A31C4),
    (("1" + "0" * 97 + "17", "*", "18446744073709551617"), "test", 0xEF99D9AE3EB4F45D),
]
"""Computed by the slow twin; a change here is a change of every suite's data"""


def test_golden(twins: Any) -> None:
    for problem, part, mark in GOLDEN:
        columns = twins.columns([problem])
        assert (SPLITS[split_of(columns)[0]], int(fingerprint(columns)[0])) == (part, mark), problem


def test_no_two_problems_share_a_fingerprint(twins: Any) -> None:
    """Operation and signs count: -5 - 3 is not 5 + 3, though both are of one split."""
    problems = [(a, op, b) for a in range(-12, 13) for op in "+-*/" for b in range(-12, 13)]
    columns = twins.columns([texts(*problem) for problem in problems], np.int64)
    assert len(np.unique(fingerprint(columns))) == len(problems)
