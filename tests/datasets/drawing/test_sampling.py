"""Strata and draws: exactly the problems a stratum names, each as often as the next."""

import math
from collections import Counter as Tally
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from bench.datasets import strata as strata_module
from bench.datasets.drawing.counter import Counter, key_of
from bench.datasets.drawing.sampling import Sampler, list_split
from bench.datasets.problems import Division, Problems, solve
from bench.datasets.split import SPLITS, split_of
from bench.datasets.strata import Stratum

EXACT, ROUNDED = Division("exact", 2), Division("rounded", 2)
INT64 = np.dtype(np.int64)


def all_texts(problems: Problems) -> list[tuple[str, str, str]]:
    return [problems.texts(row) for row in range(len(problems))]


def draw(strata: list[Stratum], division: Division, split: str, n: int, seed: int = 0) -> Problems:
    """n problems, the strata in turn."""
    return Sampler(strata, division, split).draw(np.arange(n) % len(strata), Counter(key_of("test", seed)))


@pytest.fixture
def nothing_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strata_module, "LISTED_PAIRS", 0)
    monkeypatch.setattr(strata_module, "LISTED_DIVISION_PAIRS", 0)


# --- which problems there are -----------------------------------------------------------------------------------------


def by_hand(twins: Any, stratum: Stratum, division: Division) -> list[tuple[str, str, str]]:
    """All problems of a stratum by their definition, from all decimals with up to `places` decimals."""
    operands = []
    for digits, sign in ((stratum.a_digits, stratum.signs[0]), (stratum.b_digits, stratum.signs[1])):
        values = [Fraction(m, 10**stratum.places) for m in range(10 ** (digits + stratum.places))]
        values = [v for v in values if len(str(int(v))) == digits and (v or sign == "+")]
        operands.append([twins.plain(-v if sign == "-" else v) for v in values])
    found = []
    for a, b in product(*operands):
        places = max(len(text.partition(".")[2]) for text in (a, b))
        if places != stratum.places or (stratum.operation == "/" and b == "0"):
            continue
        if stratum.operation == "/" and division.rule == "exact":
            quotient = Fraction(a) / Fraction(b) * 10**division.places
            if quotient.denominator > 1:
                continue
        found.append((a, stratum.operation, b))
    return found


@pytest.mark.parametrize("dtype", [np.int64, object])
@pytest.mark.parametrize(
    "stratum",
    [
        *(Stratum(operation, 1, 1, signs, 0) for operation in "+-*/" for signs in ("++", "-+", "--")),
        Stratum("+", 2, 1, "+-", 0),
        Stratum("-", 1, 1, "++", 1),
        Stratum("/", 1, 2, "-+", 0),
        Stratum("/", 1, 1, "++", 1),
    ],
    ids=str,
)
def test_strata_hold_the_problems_they_name(twins: Any, stratum: Stratum, dtype: Any) -> None:
    for division in (EXACT, ROUNDED):
        assert all_texts(stratum.all_problems(division, np.dtype(dtype))) == by_hand(twins, stratum, division)


@pytest.mark.parametrize("split", SPLITS)
def test_listed_splits_part_the_stratum(split: str) -> None:
    stratum = Stratum("*", 2, 1, "-+", 0)
    whole = stratum.all_problems(EXACT, INT64)
    listed = list_split(stratum, EXACT, split, INT64)
    assert all_texts(listed) == [
        t for t, s in zip(all_texts(whole), split_of(whole), strict=True) if SPLITS[s] == split
    ]


def test_names_of_strata() -> None:
    stratum = Stratum("/", 2, 1, "+-", 1)
    assert (str(stratum), stratum.digits) == ("/ 2x1 +- 1", "2x1")
    assert (stratum.a_range, stratum.b_range, stratum.pairs) == ((100, 1000), (1, 100), 900 * 99)
    assert Stratum("+", 1, 1, "+-", 0).a_range == (0, 10)
    assert Stratum("/", 1, 1, "++", 0).b_range == (1, 10)


# --- drawing ----------------------------------------------------------------------------------------------------------

SHAPES = [
    Stratum("+", 1, 1, "++", 0),
    Stratum("-", 1, 2, "-+", 0),
    Stratum("*", 2, 1, "--", 0),
    Stratum("/", 1, 1, "++", 0),
    Stratum("*", 1, 1, "+-", 1),
]


def assert_uniform(drawn: Problems, possible: Problems, n: int) -> None:
    wanted = all_texts(possible)
    tally = Tally(all_texts(drawn))
    assert set(tally) <= set(wanted)
    assert sum(tally.values()) == n
    assert chisquare([tally[text] for text in wanted]).pvalue > 0.001


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("stratum", SHAPES, ids=str)
def test_listed_draws_are_uniform(stratum: Stratum, split: str) -> None:
    possible = list_split(stratum, ROUNDED, split, INT64)
    n = 10 * len(possible)
    assert stratum.is_listed(ROUNDED)
    assert_uniform(draw([stratum], ROUNDED, split, n), possible, n)


@pytest.mark.usefixtures("nothing_is_listed")
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("stratum", SHAPES, ids=str)
def test_other_draws_are_as_uniform(stratum: Stratum, split: str) -> None:
    possible = list_split(stratum, ROUNDED, split, INT64)
    n = 10 * len(possible)
    assert not stratum.is_listed(ROUNDED)
    assert_uniform(draw([stratum], ROUNDED, split, n), possible, n)


def test_listed_exact_quotients_are_uniform() -> None:
    stratum = Stratum("/", 2, 1, "+-", 0)
    possible = list_split(stratum, EXACT, "train", INT64)
    n = 10 * len(possible)
    assert_uniform(draw([stratum], EXACT, "train", n), possible, n)


def test_draws_come_from_the_strata_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listed and drawn strata side by side, in any order, on int64 and unbounded columns."""
    monkeypatch.setattr(strata_module, "LISTED_PAIRS", 100)
    for digits, dtype in ((3, np.int64), (40, object)):
        shapes = [
            Stratum(op, a, b, s, p)
            for op in "+*"
            for a, b in ((1, 1), (2, digits))
            for s in ("+-", "--")
            for p in (0, 1)
        ]
        assert {stratum.is_listed(ROUNDED) for stratum in shapes} == {True, False}
        sampler = Sampler(shapes, ROUNDED, "validation")
        chosen = np.random.default_rng(1).integers(0, len(shapes), 300)
        problems = sampler.draw(chosen, Counter(key_of("mixed")))
        assert problems.a.dtype == dtype
        assert set(split_of(problems).tolist()) == {SPLITS.index("validation")}
        for number, (a, operation, b) in zip(chosen, all_texts(problems), strict=True):
            assert (operation, *measured(a, b)) == stratum_facts(shapes[number])


def measured(a: str, b: str) -> tuple[int, int, str, int]:
    """Digits, signs and places of two operands, from their texts alone."""
    digits = [len(text.lstrip("-").partition(".")[0]) for text in (a, b)]
    signs = "".join("-" if text.startswith("-") else "+" for text in (a, b))
    return digits[0], digits[1], signs, max(len(text.partition(".")[2]) for text in (a, b))


def stratum_facts(stratum: Stratum) -> tuple[str, int, int, str, int]:
    return stratum.operation, stratum.a_digits, stratum.b_digits, stratum.signs, stratum.places


def test_nothing_drawn() -> None:
    sampler = Sampler([Stratum("+", 9, 9, "++", 0)], EXACT, "train")
    assert len(sampler.draw(np.empty(0, np.int64), Counter(key_of("none")))) == 0


def test_a_stratum_without_problems_is_refused() -> None:
    """One digit by two never comes out even at 0 places, unless the dividend is 0, which has no sign."""
    whole = Division("exact", 0)
    with pytest.raises(ValueError, match=r"^stratum '/ 1x2 -\+ 0' has no train problem; leave it out of the suite$"):
        Sampler([Stratum("/", 1, 2, "-+", 0)], whole, "train")


def test_a_drawn_stratum_without_problems_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.datasets.drawing.sampling.MOST_ROUNDS", 20)
    with pytest.raises(ValueError, match=r"^stratum '/ 5x9 -\+ 0' has no problem in 20 draws$"):
        draw([Stratum("/", 5, 9, "-+", 0)], Division("exact", 0), "train", 10)


# --- exact division beyond the table ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_is_listed")
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    ("stratum", "division"),
    [
        (Stratum("/", 1, 1, "++", 0), EXACT),
        (Stratum("/", 2, 1, "--", 0), EXACT),
        (Stratum("/", 1, 2, "-+", 0), EXACT),
        (Stratum("/", 2, 2, "++", 0), Division("exact", 4)),
        (Stratum("/", 1, 1, "++", 1), Division("exact", 1)),
    ],
    ids=str,
)
def test_exact_draws_are_as_uniform(stratum: Stratum, division: Division, split: str) -> None:
    possible = list_split(stratum, division, split, INT64)
    n = 30 * len(possible)
    assert_uniform(draw([stratum], division, split, n), possible, n)


def test_long_exact_draws_have_as_many_large_divisors_as_there_are() -> None:
    """All 81 million pairs of four digits, counted: 30.4 % of the problems have a divisor below 2,000."""
    stratum = Stratum("/", 4, 4, "++", 0)
    assert not stratum.is_listed(EXACT)
    problems = draw([stratum], EXACT, "train", 20_000)
    # The divisors' multiples of 1/100 of themselves: those that share g with 100 divide every (b / g)-th dividend.
    counts = [9999 * (g := math.gcd(b, 100)) // b - 999 * g // b for b in range(1000, 10_000)]
    assert sum(counts[:1000]) / sum(counts) == pytest.approx(0.304, abs=0.001)
    assert (problems.b < 2000).mean() == pytest.approx(sum(counts[:1000]) / sum(counts), abs=0.015)
    assert (problems.a >= problems.b).mean() == pytest.approx(0.728, abs=0.015)


@pytest.mark.parametrize("places", [2, 3])
def test_exact_draws_between_small_and_large_divisors_are_kept_soon(
    places: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0.01 and 9.99 are divisors of one digit both, and the one has a thousand times as many dividends."""
    stratum = Stratum("/", 1, 1, "++", places)
    monkeypatch.setattr(strata_module, "LISTED_DIVISION_PAIRS", 0)
    monkeypatch.setattr("bench.datasets.drawing.sampling.MOST_ROUNDS", 60)
    drawn = all_texts(draw([Stratum("+", 1, 1, "++", 0), stratum], EXACT, "train", 400))
    assert [operation for _, operation, _ in drawn] == ["+", "/"] * 200
    assert all((Fraction(a) / Fraction(b) * 100).denominator == 1 for a, operation, b in drawn if operation == "/")


@pytest.mark.parametrize(
    ("a", "b", "places", "kept"), [(12, 12, 0, 2), (12, 5, 0, 2), (4, 4, 0, 6), (6, 6, 2, 3), (30, 14, 1, 20)]
)
def test_long_exact_quotients_terminate(twins: Any, a: int, b: int, places: int, kept: int) -> None:
    stratum, division = Stratum("/", a, b, "-+", places), Division("exact", kept)
    assert not stratum.is_listed(division)
    problems = draw([stratum], division, "train", 200)
    answers = solve(problems, division)
    decimals = set()
    for row, (x, operation, y) in enumerate(all_texts(problems)):
        quotient = Fraction(x) / Fraction(y)
        assert (quotient * 10**kept).denominator == 1
        assert answers.text(row) == twins.plain(quotient)
        assert (operation, *measured(x, y)) == stratum_facts(stratum)
        decimals.add(len(answers.text(row).partition(".")[2]))
    assert len(decimals) >= min(kept, 2) + 1  # whole quotients and broken ones


# --- the counter ------------------------------------------------------------------------------------------------------


def test_words_depend_on_key_and_counter_alone() -> None:
    first = Counter(key_of("a", 1), 5).words(4).tolist()
    assert Counter(key_of("a", 1), 5).words(4).tolist() == first
    others = [Counter(key_of("a", 2), 5), Counter(key_of("a", 1), 6), Counter(key_of("b", 1), 5)]
    assert all(set(other.words(4).tolist()).isdisjoint(first) for other in others)


def test_golden_words() -> None:
    """Pinned: numpy's Philox, the key and what is made of the words decide every suite's data."""
    assert [f"{word:016x}" for word in Counter(key_of("golden"), 3).words(3)] == [
        "4cd1a3bade38dd50",
        "3f00bfabd950bacd",
        "0e0c85690337bde2",
    ]
    assert Counter(key_of("golden"), 3).below(np.array([10, 100, 1000])).tolist() == [3, 24, 54]
    assert Counter(key_of("golden"), 3).permutation(6).tolist() == [3, 2, 1, 5, 0, 4]


@pytest.mark.parametrize("dtype", [np.int64, object])
@pytest.mark.parametrize("bound", [1, 2, 7, 10, 2**32 - 1, 2**32, 3 * 10**9, 10**17, 3 * 2**61])
def test_below_is_uniform(bound: int, dtype: Any) -> None:
    n = 20_000
    drawn = Counter(key_of("below", bound)).below(np.full(n, bound, dtype=dtype))
    assert drawn.dtype == dtype
    assert drawn.min() >= 0
    assert drawn.max() < bound
    cells = min(bound, 20)
    expected = np.diff([-(-bound * cell // cells) for cell in range(cells + 1)]).astype(float)
    counts = np.bincount((drawn.astype(object) * cells // bound).astype(np.int64), minlength=cells)
    assert cells == 1 or chisquare(counts, expected / expected.sum() * n).pvalue > 0.001


def test_below_is_even_to_the_last_value() -> None:
    """No value of a bound near 2**32 has twice the probability of its neighbour."""
    drawn = Counter(key_of("even")).below(np.full(60_000, 3 * 2**30, dtype=np.int64))
    assert chisquare(np.bincount(drawn % 3, minlength=3)).pvalue > 0.001


def test_below_takes_each_its_own_bound() -> None:
    bounds = np.tile([1, 5, 10**12], 500)
    drawn = Counter(key_of("bounds")).below(bounds).reshape(-1, 3)
    assert drawn[:, 0].max() == 0
    assert set(drawn[:, 1].tolist()) == set(range(5))
    assert 10**11 < drawn[:, 2].max() < 10**12


def test_large_bounds_use_all_their_digits() -> None:
    drawn = Counter(key_of("large")).below(np.full(400, 10**100, dtype=object))
    last = np.bincount([int(value) % 10 for value in drawn], minlength=10)
    first = np.bincount([int(value) * 10 // 10**100 for value in drawn], minlength=10)
    assert chisquare(first).pvalue > 0.001
    assert chisquare(last).pvalue > 0.001


def test_permutations_are_uniform() -> None:
    tally = Tally(tuple(Counter(key_of("order"), number).permutation(3).tolist()) for number in range(1200))
    assert len(tally) == 6
    assert chisquare(list(tally.values())).pvalue > 0.001
