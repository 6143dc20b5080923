"""Letters against the pairs that they stand for, and the number of seeds against simulated runs."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from bench.results.statistics.comparison import Comparison, Difference
from bench.results.statistics.estimates import holm, holm_levels, paired_difference
from bench.results.statistics.tiers import letters, seeds_to_tell, tiers


def test_letters_of_an_example_by_hand() -> None:
    """b cannot be told from its neighbours, which can be told from one another."""
    assert letters(["a", "b", "c"], [("a", "c")]) == {"a": "a", "b": "ab", "c": "b"}
    assert letters(["x", "y", "z"], []) == {"x": "a", "y": "a", "z": "a"}
    assert letters(["x", "y", "z"], [("x", "y"), ("x", "z"), ("y", "z")]) == {"x": "a", "y": "b", "z": "c"}
    assert letters(["alone"], []) == {"alone": "a"}
    assert letters([], []) == {}
    with pytest.raises(ValueError, match="pairs name c, whom the names lack"):
        letters(["a", "b"], [("a", "c")])


@pytest.mark.parametrize("seed", range(20))
def test_two_share_a_letter_exactly_where_they_are_no_pair(seed: int) -> None:
    generator = np.random.default_rng(seed)
    names = [f"n{number}" for number in range(generator.integers(2, 13))]
    pairs = list(combinations(names, 2))
    differing = [pair for pair in pairs if generator.random() < 0.4]
    found = letters(names, differing)
    for one, other in pairs:
        assert bool(set(found[one]) & set(found[other])) == ((one, other) not in differing)
    used = sorted({letter for one in found.values() for letter in one})
    assert used == [chr(ord("a") + number) for number in range(len(used))]
    assert "a" in found[names[0]]
    for letter in used:  # none could be left out or made one with another
        group = {name for name in names if letter in found[name]}
        assert all(not group <= {name for name in names if other in found[name]} for other in used if other != letter)


def test_budgets_share_no_letter_and_one_alone_has_none() -> None:
    budgets = {"examples=1": ["a", "b"], "flops=1": ["c", "d", "e"], "flops=2": ["f"]}
    assert tiers(budgets, [("a", "b"), ("c", "e")]) == {"a": "a", "b": "b", "c": "c", "d": "cd", "e": "d"}


@pytest.mark.parametrize("seed", range(10))
def test_an_interval_misses_zero_exactly_where_holm_decides(seed: int) -> None:
    generator = np.random.default_rng(seed)
    pairs = []
    for _ in range(12):
        one = generator.normal(generator.choice([0.5, 0.6, 0.9]), 0.02, 5)
        pairs.append(paired_difference(one.tolist(), generator.normal(0.5, 0.02, 5).tolist()))
    ps = [pair.decisive for pair in pairs]
    ps[3] = None  # no test was possible
    decided = []
    for pair, p, level in zip(pairs, holm(ps), holm_levels(ps, 0.05), strict=True):
        if p is None:
            continue
        interval = pair.interval_of(level)
        assert interval.low is not None
        assert interval.high is not None
        decided.append(p < 0.05)
        assert decided[-1] == (not interval.low <= 0 <= interval.high)
    assert any(decided)
    assert not all(decided)


def test_levels_by_hand() -> None:
    """Holm tests 0.01 at 0.05 / 3, 0.02 at 0.05 / 2, and 0.9 at 0.05; and stops at the first that fails."""
    assert holm_levels([0.9, 0.01, 0.02], 0.05) == pytest.approx([0.95, 1 - 0.05 / 3, 1 - 0.05 / 2])
    assert holm_levels([0.04, 0.03, 0.01], 0.05) == pytest.approx([1 - 0.05 / 2, 1 - 0.05 / 2, 1 - 0.05 / 3])
    assert holm_levels([], 0.05) == []


def pair_of(one: str, other: str, differences: list[float]) -> Comparison:
    nothing = {"slice": "all", "value": "all", "asked": 1, "holm": None, "solved_one": None, "solved_other": None}
    paired = paired_difference([0.5 + each for each in differences], [0.5] * len(differences))
    row = Difference(**vars(paired), **nothing, one=paired.difference, other=paired.difference, verdict="", sentence="")
    return Comparison(one=one, other=other, seeds=[], left_out=[], rows=[row], mcnemar=[])


def test_so_many_seeds_tell_so_often() -> None:
    comparisons = [
        pair_of("a", "b", [0.01, 0.03, -0.01]),
        pair_of("a", "c", [0.0, 0.02, 0.04]),
        pair_of("b", "c", [0.0] * 3),
    ]
    seeds = seeds_to_tell(comparisons, 0.03, 3)
    assert seeds is not None
    more = seeds_to_tell(comparisons, 0.03, 30)  # of pairs of another budget too
    assert more is not None
    assert more > seeds
    generator = np.random.default_rng(0)
    told = {
        n: np.mean(stats.ttest_1samp(generator.normal(0.03, 0.02, (20_000, n)), 0, axis=1).pvalue < 0.05 / 3)
        for n in (seeds - 1, seeds)
    }
    assert told[seeds - 1] < 0.81
    assert told[seeds] > 0.79


def test_where_no_pair_has_an_interval_no_number_is_told() -> None:
    assert seeds_to_tell([pair_of("a", "b", [0.1])], 0.03, 1) is None
    assert seeds_to_tell([pair_of("a", "b", [-0.9, 0.2, 0.49])], 0.0001, 1) is None  # more than 1,000
