"""Evaluation sets: what stands in them, that none of it was trained on, and that it never changes silently."""

import hashlib
import struct
from collections import Counter as Tally
from itertools import product
from typing import Any

import numpy as np
import pytest

from bench.datasets.drawing.evaluation import EvaluationSet
from bench.datasets.strata import Stratum
from bench.datasets.suites import Suite, load_suite

SPLITS = ("validation", "test", "seen")
Texts = tuple[str, str, str]


@pytest.fixture(scope="module")
def quick() -> Suite:
    return load_suite("quick")


@pytest.fixture(scope="module")
def sets() -> dict[tuple[str, str], EvaluationSet]:
    """All evaluation sets of three suites, by suite and split."""
    names = ("quick", "longer", "addition3")
    return {(name, split): load_suite(name).evaluation_set(split) for name in names for split in SPLITS}


def texts_of(evaluation: EvaluationSet) -> list[Texts]:
    return [evaluation.problems.texts(row) for row in range(len(evaluation))]


def canonical(texts: Texts) -> tuple[str, frozenset[str] | tuple[str, str]]:
    """What must not be in two splits: signs and order folded, - with +."""
    a, operation, b = texts
    pair = (a.lstrip("-"), b.lstrip("-"))
    return ("+" if operation == "-" else operation), pair if operation == "/" else frozenset(pair)


def facts(texts: Texts) -> Stratum:
    """The stratum of a problem, from its texts alone."""
    a, operation, b = texts
    digits = [len(text.lstrip("-").partition(".")[0]) for text in (a, b)]
    signs = "".join("-" if text.startswith("-") else "+" for text in (a, b))
    return Stratum(operation, digits[0], digits[1], signs, max(len(text.partition(".")[2]) for text in (a, b)))


@pytest.mark.parametrize("name", ["quick", "longer", "addition3"])
def test_no_problem_is_in_two_splits(twins: Any, sets: Any, name: str) -> None:
    found = {split: {canonical(text) for text in texts_of(sets[name, split])} for split in SPLITS}
    blocks = [load_suite(name).stream(0).block(number) for number in range(8)]
    trained = {canonical(block.texts(row)) for block in blocks for row in range(len(block))}
    assert not found["validation"] & found["test"]
    assert not (found["seen"] | trained) & (found["validation"] | found["test"])
    for split, part in (("validation", "validation"), ("test", "test"), ("seen", "train")):
        assert {twins.split(text) for text in texts_of(sets[name, split])} == {part}


def test_splits_of_all_suites_agree() -> None:
    """One rule for all: what `quick` trains on, `standard` does not test. Sums of two-digit numbers stand in both."""
    trained = {canonical(problem) for problem in texts_of(load_suite("quick").evaluation_set("seen"))}
    tested = {canonical(problem) for problem in texts_of(load_suite("standard").evaluation_set("test"))}
    assert not trained & tested


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", ["quick", "longer", "addition3"])
def test_problems_are_of_the_stratum_that_is_named(sets: Any, name: str, split: str) -> None:
    """A test set meant for 10-digit addition once held operands under 8 digits, in another suite."""
    evaluation = sets[name, split]
    named = [evaluation.strata[number] for number in evaluation.stratum]
    assert [facts(text) for text in texts_of(evaluation)] == named
    assert len(set(texts_of(evaluation))) == len(evaluation)
    assert np.bincount(evaluation.stratum).tolist() == evaluation.counts


def test_places_are_the_larger_of_both_operands(twins: Any) -> None:
    division = {"rule": "rounded"}
    suite = twins.suite(operations=["+", "/"], digits=["1x1", "3x2"], places=[0, 1, 3], division=division)
    evaluation = suite.evaluation_set("test")
    texts = texts_of(evaluation)
    assert [facts(text) for text in texts] == [evaluation.strata[number] for number in evaluation.stratum]
    of_one_place = [
        (a, b)
        for (a, _, b), number in zip(texts, evaluation.stratum, strict=True)
        if evaluation.strata[number].places == 1
    ]
    assert {("." in a, "." in b) for a, b in of_one_place} == {(True, True), (True, False), (False, True)}


def test_at_most_per_stratum(twins: Any) -> None:
    suite = twins.suite(digits=["1x1", "2x2", "3x3"], evaluation={"per_stratum": 30, "seen": 12})
    for split, most in (("validation", 30), ("test", 30), ("seen", 12)):
        evaluation = suite.evaluation_set(split)
        assert max(evaluation.counts) == most
        assert [s.digits for s in evaluation.strata] == ["1x1"] * 4 + ["2x2"] * 4 + ["3x3"] * 4
        whole = [most > count for count in evaluation.counts]
        assert evaluation.exhaustive == whole
        assert any(whole) == (split != "seen")


def test_a_stratum_of_just_as_many_is_whole(twins: Any) -> None:
    pairs = [(str(a), "+", str(b)) for a in range(10) for b in range(10)]
    count = sum(twins.split(pair) == "test" for pair in pairs)
    for most, whole in ((count - 1, False), (count, True), (count + 1, True)):
        suite = twins.suite(digits=["1x1"], signs=["++"], evaluation={"per_stratum": most})
        evaluation = suite.evaluation_set("test")
        assert (evaluation.counts, evaluation.exhaustive) == ([min(most, count)], [whole])


def every_problem_of_quick(twins: Any) -> dict[tuple[Stratum, str], int]:
    """How many problems each stratum of `quick` has in each split, by brute force."""
    tally: Tally[tuple[Stratum, str]] = Tally()
    for operation, a, b in product("+-*/", range(100), range(100)):
        if operation == "/" and (b == 0 or a * 100 % b):
            continue
        part = twins.split((str(a), operation, str(b)))
        for signs in ("++", "+-", "-+", "--"):
            if (a or signs[0] == "+") and (b or signs[1] == "+"):
                tally[Stratum(operation, len(str(a)), len(str(b)), signs, 0), part] += 1
    return tally


def test_exhaustive_strata_of_quick_by_brute_force(twins: Any, quick: Suite, sets: Any) -> None:
    everything = every_problem_of_quick(twins)
    for split in ("validation", "test"):
        evaluation = sets["quick", split]
        expected = {stratum: everything[stratum, split] for stratum in quick.strata() if everything[stratum, split]}
        assert dict(zip(evaluation.strata, evaluation.counts, strict=True)) == {
            stratum: min(count, 100) for stratum, count in expected.items()
        }
        assert evaluation.exhaustive == [count <= 100 for count in expected.values()]
        assert 10 < sum(evaluation.exhaustive) < 64
    training = sum(count for (_, part), count in everything.items() if part == "train")
    assert quick.sampler.listed_problems == training


def test_distinct_exact_quotients_of_quick(twins: Any) -> None:
    everything = every_problem_of_quick(twins)
    tally: Tally[str] = Tally()
    for (stratum, _), count in everything.items():
        if stratum.operation == "/" and stratum.signs == "++":
            tally[stratum.digits] += count
    assert tally == {"1x1": 57, "1x2": 159, "2x1": 488, "2x2": 947}


@pytest.mark.parametrize("split", SPLITS)
def test_hash_by_hand(twins: Any, sets: Any, split: str) -> None:
    evaluation = sets["longer", split]
    packed = b"".join(struct.pack("<Q", twins.fingerprint(text)) for text in texts_of(evaluation))
    assert evaluation.hash == hashlib.sha256(packed).hexdigest()


def test_golden(sets: Any) -> None:
    """A change here is a change of the figures that anybody published: raise the version of the suite."""
    assert {name: sets[name, "test"].hash for name in ("quick", "longer", "addition3")} == {
        "quick": "a349c2ac2107616af50fc0d37e03391f8c289178a8cd00179da88b8abd8f9ea9",
        "longer": "937a7f3751f1c181d6e6f72a5a08da9b1f15dab91e84c0deeb9e755f78138279",
        "addition3": "1701edf5f3166233578b7624fe4c40e08f2537e97fb7c25078791d3b4fc30ec2",
    }


def test_versions_have_their_own_sets(twins: Any) -> None:
    one, two = (twins.suite(version=version).evaluation_set("test") for version in (1, 2))
    assert one.hash != two.hash
    assert one.counts == two.counts


def test_patterns_beyond_the_trained_ones_are_in_the_test_set_alone(sets: Any) -> None:
    beyond = {"5x5", "6x6", "7x7", "8x8"}
    assert {s.digits for s in sets["longer", "test"].strata} > beyond
    for split in ("validation", "seen"):
        assert not {s.digits for s in sets["longer", split].strata} & beyond
    test = sets["longer", "test"]
    assert {(s.digits, count) for s, count in zip(test.strata, test.counts, strict=True) if s.digits in beyond} == {
        (digits, 100) for digits in beyond
    }


def test_problems_of_the_training_split_can_be_left_out(twins: Any) -> None:
    for digits in ("1x1", "4x4"):  # listed and drawn
        seen = twins.suite(digits=[digits], evaluation={"seen": 0}).evaluation_set("seen")
        assert (len(seen), seen.strata, seen.counts, seen.exhaustive) == (0, [], [], [])


def test_strata_without_problems_are_left_out(twins: Any) -> None:
    settings = {"operations": ["/"], "signs": ["-+"], "division": {"rule": "exact", "places": 0}}
    evaluation = twins.suite(digits=["1x2", "2x1"], **settings).evaluation_set("test")
    assert {s.digits for s in evaluation.strata} == {"2x1"}
    nothing = twins.suite(digits=["1x2"], **settings).evaluation_set("test")
    assert len(nothing) == 0
    assert nothing.hash == hashlib.sha256().hexdigest()


def test_a_drawn_stratum_with_fewer_than_asked_for_ends(twins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody counted, what was found is not called all there is."""
    suite = twins.suite(digits=["1x1"], evaluation={"per_stratum": 100})
    listed = suite.evaluation_set("test")
    monkeypatch.setattr("bench.datasets.strata.LISTED_PAIRS", 0)
    drawn = twins.suite(digits=["1x1"], evaluation={"per_stratum": 100}).evaluation_set("test")
    assert drawn.counts == listed.counts
    assert sorted(texts_of(drawn)) == sorted(texts_of(listed))
    assert (any(drawn.exhaustive), all(listed.exhaustive)) == (False, True)


def test_long_operands_stand_beside_short_ones(twins: Any) -> None:
    """Unbounded and int64 columns in one set."""
    suite = twins.suite(operations=["+", "/"], digits=["1x1", "60x60"], evaluation={"per_stratum": 5})
    evaluation = suite.evaluation_set("validation")
    assert evaluation.problems.a.dtype == object
    assert {type(value) for value in evaluation.problems.a} == {int}
    assert [facts(text) for text in texts_of(evaluation)] == [evaluation.strata[n] for n in evaluation.stratum]


def test_samples_are_chosen_once_for_all(sets: Any) -> None:
    evaluation = sets["quick", "validation"]
    chosen = evaluation.sample(512, "curve")
    assert len(set(chosen.tolist())) == 512
    assert chosen.tolist() == sorted(chosen.tolist())
    assert chosen.tolist() == evaluation.sample(512, "curve").tolist() != evaluation.sample(512, "other").tolist()
    assert evaluation.sample(10**6, "curve").tolist() == list(range(len(evaluation)))
