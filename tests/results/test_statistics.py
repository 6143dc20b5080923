import pytest

from bench.results.statistics import across_seeds, estimate, wilson


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
