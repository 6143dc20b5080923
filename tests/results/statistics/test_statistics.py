import math
import warnings
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import bootstrap, permutation_test

from bench.results.statistics.estimates import (
    across_seeds,
    all_or_nothing,
    estimate,
    holm,
    interquartile_mean,
    mcnemar,
    median_reached,
    paired_difference,
    performance_profiles,
    share_of_seeds,
    sign_flip,
    wilson,
)


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [
        # R. G. Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17 (1998),
        # table I, method 3 (score, no continuity correction).
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_equals_the_textbook(correct: int, total: int, low: float, high: float) -> None:
    interval = wilson(correct, total)
    assert interval.mean == correct / total
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)
    assert (interval.unit, interval.n) == ("items", total)


def test_the_interval_across_seeds_equals_one_worked_by_hand() -> None:
    # Mean 0.6, deviations -0.2, 0.1, 0.1: s = sqrt(0.06 / 2) = 0.173205, s / sqrt(3) = 0.1; the 97.5 % point of t with
    # 2 degrees of freedom is 4.302653 (any table): 0.6 -+ 0.4302653.
    interval = across_seeds([0.4, 0.7, 0.7])
    assert interval.mean == pytest.approx(0.6)
    assert interval.low == pytest.approx(0.1697347, abs=1e-7)
    assert interval.high == pytest.approx(1.0302653, abs=1e-7)
    assert (interval.unit, interval.n, interval.note) == ("seeds", 3, "")


def test_a_share_does_not_leave_0_to_1() -> None:
    interval = estimate([4, 7, 7], [10, 10, 10])
    assert interval.low == pytest.approx(0.1697347, abs=1e-7)
    assert interval.high == 1.0


def test_where_there_is_no_interval_it_is_said() -> None:
    two = estimate([4, 7], [10, 10])
    assert two.mean == pytest.approx(0.55)
    assert (two.low, two.high, two.note) == (None, None, "2 seeds: no interval")
    equal = estimate([1, 1, 1], [3, 3, 3])
    assert (equal.low, equal.high, equal.note) == (None, None, "all seeds equal: no interval")
    assert across_seeds([0.1]).note == "1 seed: no interval"
    whole = estimate([40], [43], exhaustive=True)
    assert (whole.low, whole.high, whole.unit, whole.n, whole.note) == (None, None, "items", 43, "all unseen")


def test_one_seed_has_the_interval_over_items_and_more_have_that_across_seeds_even_if_exhaustive() -> None:
    assert estimate([81], [263]) == wilson(81, 263)
    assert estimate([4, 7, 7], [10, 10, 10], exhaustive=True) == estimate([4, 7, 7], [10, 10, 10])


def test_nothing_asked_is_no_estimate() -> None:
    with pytest.raises(ValueError, match="no seed"):
        across_seeds([])
    with pytest.raises(ValueError, match="must be"):
        wilson(0, 0)


# --- shares and means of seeds ----------------------------------------------------------------------------------------


def test_share_of_seeds_is_wilson_over_seeds() -> None:
    # Newcombe (1998), table I: 0 of 20.
    solved = share_of_seeds(0, 20)
    assert solved.high == pytest.approx(0.1611, abs=5e-5)
    assert (solved.unit, solved.n, solved.note) == ("seeds", 20, "share of seeds: Wilson interval")


def test_interquartile_mean_equals_the_textbook() -> None:
    # Wikipedia, Interquartile mean: the dataset of twelve.
    assert interquartile_mean([[5, 8, 4, 38, 8, 6], [9, 7, 7, 3, 1, 6]]).mean == 6.5


def test_interquartile_mean_draws_within_tasks() -> None:
    """Tasks far apart, seeds close together: an interval that drew tasks too would span the tasks."""
    middle = interquartile_mean([[0.1, 0.12, 0.11], [0.5, 0.52, 0.51], [0.9, 0.92, 0.91]])
    assert middle.low is not None
    assert middle.high is not None
    assert 0.47 < middle.low < middle.mean < middle.high < 0.55
    assert (middle.unit, middle.n) == ("seeds", 3)
    assert interquartile_mean([[0.1, 0.2], [0.3, 0.4]]).note == "2 seeds: no interval"
    with pytest.raises(ValueError, match="no score"):
        interquartile_mean([[0.1], []])


def test_interquartile_mean_of_equal_seeds_has_no_interval() -> None:
    solved = [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        broken = bootstrap(solved, lambda *scores, axis=-1: np.concatenate(scores, axis=-1).mean(axis), method="BCa")
    assert math.isnan(broken.confidence_interval.low)  # the trap: scipy's default here
    middle = interquartile_mean(solved)
    assert (middle.mean, middle.low, middle.high, middle.note) == (1.0, None, None, "all seeds equal: no interval")
    # Equal where it counts: the middle half never changes, whatever is drawn.
    assert interquartile_mean([[0.0] * 3, [0.3] * 3, [0.3] * 3, [0.9, 1.0, 0.8]]).low is None


# --- tests ------------------------------------------------------------------------------------------------------------

SLEEP = ([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0], [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
"""Student (1908): hours of sleep gained by ten patients under two drugs."""
MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
"""Darwin (1876), in eighths of an inch: cross- minus self-fertilised plants of fifteen pairs."""


def test_paired_difference_equals_the_textbook() -> None:
    # The documentation of R's t.test, paired, on Student's sleep data: t = -4.0621, df = 9, p = 0.002833,
    # 95 % interval -2.4598858 to -0.7001142. Divided by twenty, so that hours lie where shares do.
    one, other = ([hours / 20 for hours in drug] for drug in SLEEP)
    paired = paired_difference(one, other)
    assert paired.difference.mean == pytest.approx(-1.58 / 20)
    assert paired.difference.low == pytest.approx(-2.4598858 / 20, abs=1e-8)
    assert paired.difference.high == pytest.approx(-0.7001142 / 20, abs=1e-8)
    assert paired.p == pytest.approx(0.002833, abs=5e-7)
    assert (paired.difference.unit, paired.difference.n, paired.all_or_nothing) == ("seeds", 10, False)
    assert paired.decisive == paired.p


def test_sign_flip_equals_the_textbook() -> None:
    # R. A. Fisher, The Design of Experiments (1935), section 21: on Darwin's maize, 863 of the 32,768 sums are as large
    # as the one found, or larger; as many are as small.
    assert sign_flip(MAIZE) == pytest.approx(2 * 863 / 32768)
    assert sign_flip([1, 2, 3, 4, 5, 6]) == 2 / 2**6
    assert sign_flip([1, 2, 3, 4, 5]) > 0.05
    assert sign_flip([0.0, 0.0]) == 1.0
    assert sign_flip([1.0] * 30) < 1e-4
    assert sign_flip([1.0, -1.0] * 15) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="no difference"):
        sign_flip([])


@given(
    st.lists(st.integers(-4, 4) | st.integers(-300, 300), min_size=2, max_size=12), st.sampled_from([10, 300, 2**20])
)
@example([-2, 3, -1, 1, -2, 1], 10)  # their sum is 0, and not quite 0 as a sum of tenths
def test_sign_flip_counts_as_one_does_in_whole_numbers(counts: list[int], parts: int) -> None:
    every = product((1, -1), repeat=len(counts))  # the first flips nothing
    sums = [abs(sum(sign * count for sign, count in zip(signs, counts, strict=True))) for signs in every]
    expected = sum(found >= sums[0] for found in sums) / len(sums)
    assert sign_flip([count / parts for count in counts]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", range(2, 11))
def test_sign_flip_is_the_permutation_test_of_scipy(n: int) -> None:
    differences = np.random.default_rng(n).normal(size=n)
    theirs = permutation_test((differences,), np.sum, permutation_type="samples", vectorized=True)
    assert sign_flip(differences.tolist()) == pytest.approx(theirs.pvalue, abs=1e-12)


def test_sign_flip_stands_from_six_seeds_on() -> None:
    five, six = [0.8, 0.82, 0.81, 0.83, 0.8], [0.8, 0.82, 0.81, 0.83, 0.8, 0.84]
    assert paired_difference(five, [0.7] * 5).sign_flip is None
    assert paired_difference(six, [0.7] * 6).sign_flip == 2 / 2**6


@pytest.mark.parametrize(
    ("one", "other", "note"),
    [
        ([0.9, 0.8], [0.7, 0.6], "2 seeds: no interval"),
        ([1.0, 1.0, 1.0], [0.8, 0.8, 0.8], "all seeds equal: no interval"),
        ([0.7, 0.8, 0.9], [0.6, 0.7, 0.8], "all seeds equal: no interval"),  # but for rounding, of which t makes much
    ],
)
def test_without_an_interval_there_is_no_p(one: list[float], other: list[float], note: str) -> None:
    paired = paired_difference(one, other)
    assert (paired.difference.low, paired.difference.high, paired.p, paired.decisive) == (None, None, None, None)
    assert paired.difference.note == note


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([0.99, 0.98, 0.03, 0.99], True),
        ([0.02, 0.01, 0.03, 0.99], True),
        ([0.99, 0.98, 0.97], False),
        ([0.01, 0.02, 0.4], False),
        ([0.47, 0.51, 0.55], False),  # a middling score
        ([0.6, 0.95, 0.99], False),
        ([0.5], False),
    ],
)
def test_all_or_nothing_is_seeds_apart_on_both_sides_of_half(shares: list[float], expected: bool) -> None:
    assert all_or_nothing(shares) is expected


@pytest.mark.parametrize("swapped", [False, True])
def test_all_or_nothing_seeds_have_no_t_interval_and_the_sign_flip_decides(swapped: bool) -> None:
    one, other = [0.99, 0.98, 0.99, 0.97, 0.99, 0.98, 0.99], [0.02, 0.03, 0.9, 0.01, 0.02, 0.02, 0.03]
    paired = paired_difference(other, one) if swapped else paired_difference(one, other)
    assert paired.all_or_nothing
    assert abs(paired.difference.mean) == pytest.approx((6.89 - 1.03) / 7)
    assert (paired.difference.low, paired.difference.high, paired.p) == (None, None, None)
    assert paired.difference.note == "all-or-nothing seeds: no t interval"
    assert paired.decisive == paired.sign_flip == 2 / 2**7


def test_mcnemar_equals_the_textbook() -> None:
    # M. W. Fagerland, S. Lydersen, P. Laake, BMC Medical Research Methodology 13 (2013) 91: airway responsiveness of 21
    # children before and after stem cell transplantation, 1 and 7 discordant pairs; exact conditional p 0.0703.
    assert mcnemar(1, 7) == pytest.approx(0.0703, abs=5e-5)
    assert mcnemar(7, 1) == mcnemar(1, 7)
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(4, 4) == 1.0
    with pytest.raises(ValueError, match="0 or more"):
        mcnemar(-1, 3)


def test_holm_equals_the_textbook() -> None:
    # The documentation of pingouin's `holm`.
    assert holm([0.50, 0.003, 0.32, 0.054, 0.0003]) == pytest.approx([0.64, 0.012, 0.64, 0.162, 0.0015])
    # Wikipedia, Holm-Bonferroni method: the third smallest, 0.03 x 2, carries over to the fourth.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_counts_rows_without_a_test() -> None:
    assert holm([0.01, None, 0.04]) == [pytest.approx(0.03), None, pytest.approx(0.08)]
    assert holm([None]) == [None]


# --- how fast ---------------------------------------------------------------------------------------------------------


def test_the_median_counts_a_miss_as_beyond_the_budget() -> None:
    assert median_reached([100, None, 300]) == 300
    assert median_reached([100, None, None]) == math.inf
    assert median_reached([100, 200, None, None]) == math.inf  # somewhere beyond 200, and nobody knows where
    assert median_reached([100, 200, 300, None]) == 250
    with pytest.raises(ValueError, match="no seed"):
        median_reached([])


def test_performance_profiles_equal_those_worked_by_hand() -> None:
    # Best times 1, 2, 3, 4 and none (nobody solved the fifth). Ratios of A: 1, 1.5, 1, 5; of B: 2, 1, unsolved, 1.
    inf = math.inf
    taus, shares = performance_profiles([[1, 3, 3, 20, inf], [2, 2, inf, 4, inf]])
    assert taus == [1.0, 1.5, 2.0, 4.0]
    assert shares == [[0.4, 0.6, 0.6, 0.6], [0.4, 0.4, 0.6, 0.6]]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([[1, 2, 3, 4]], "5 or more"),
        ([[1] * 5, [1] * 6], "the same"),
        ([[1, 2, 3, 4, 0]], "not above 0"),
        ([], "tasks"),
    ],
)
def test_performance_profiles_refuse_too_few_tasks_and_impossible_times(times: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        performance_profiles(times)
