"""Training streams: a function of (suite, seed, number), the same for all who ask, and proved so by a chained hash."""

import hashlib
import random
import struct
from collections import Counter as Tally
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from bench.datasets.drawing.stream import BLOCK, ProblemStream, Stream
from bench.datasets.problems import Problems
from bench.datasets.split import fingerprint
from bench.datasets.suites import Suite, load_suite
from bench.datasets.writing.encoding import Encoded

Texts = tuple[str, str, str]


@pytest.fixture(scope="module")
def quick() -> Suite:
    return load_suite("quick")


@pytest.fixture(scope="module")
def small(twins: Any) -> Suite:
    """One stratum of few problems: 70 to train on."""
    suite: Suite = twins.suite(digits=["1x1"], signs=["++"])
    return suite


def texts_of(problems: Problems) -> list[Texts]:
    return [problems.texts(row) for row in range(len(problems))]


def examples(stream: ProblemStream, n: int) -> list[Texts]:
    """The first n problems."""
    return [text for number in range(-(-n // BLOCK)) for text in texts_of(stream.block(number))][:n]


def taken(suite: Suite, sizes: list[int], seed: int = 0, limit: int | None = None) -> tuple[Encoded, Stream]:
    stream = Stream(suite.stream(seed, limit), suite.encoding)
    parts = [stream.take(size) for size in sizes]
    return Encoded(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("prompt", "answer"))), stream


def read(suite: Suite, encoded: Encoded) -> list[str]:
    """Prompts and answers as text."""
    decode, answer = suite.encoding.tokenizer.decode, suite.encoding.form.read_answer
    return [
        decode(prompt[prompt > 0]) + answer(decode(target))
        for prompt, target in zip(encoded.prompt, encoded.answer, strict=True)
    ]


# --- the same whatever else happens -----------------------------------------------------------------------------------


def test_batch_sizes_do_not_matter(quick: Suite) -> None:
    whole, one = taken(quick, [3000])
    for sizes in ([1] * 20 + [980, 2000], [256] * 11 + [184], [1024, 1024, 952], [1023, 2, 1975], [2999, 1]):
        parts, other = taken(quick, sizes)
        assert np.array_equal(parts.prompt, whole.prompt)
        assert np.array_equal(parts.answer, whole.answer)
        assert (other.position, other.chain, other.data_hash) == (one.position, one.chain, one.data_hash)


def test_global_random_states_do_not_matter(quick: Suite) -> None:
    expected, _ = taken(quick, [100] * 21)
    for state in (0, 1):
        random.seed(state)
        np.random.seed(state)
        torch.manual_seed(state)
        fresh = load_suite("quick")
        stream = Stream(fresh.stream(0), fresh.encoding)
        for number in range(21):
            part = stream.take(100)
            assert np.array_equal(part.prompt, expected.prompt[100 * number : 100 * number + 100])
            random.random(), np.random.rand(), torch.rand(1)
        before = (
            random.getstate(),
            np.random.get_state(legacy=False)["state"]["key"].tolist(),
            torch.get_rng_state().tolist(),
        )
        stream.take(2000), fresh.evaluation_set("test")
        after = (
            random.getstate(),
            np.random.get_state(legacy=False)["state"]["key"].tolist(),
            torch.get_rng_state().tolist(),
        )
        assert before == after  # and the data disturb nobody else


def test_blocks_in_any_order(quick: Suite) -> None:
    stream = quick.stream(3)
    forwards = [texts_of(stream.block(number)) for number in range(3)]
    assert [texts_of(quick.stream(3).block(number)) for number in (2, 0, 1)] == [forwards[2], forwards[0], forwards[1]]


def test_streams_of_one_suite_do_not_disturb_each_other(quick: Suite) -> None:
    one, other = (Stream(quick.stream(0), quick.encoding) for _ in range(2))
    for _ in range(12):
        assert np.array_equal(one.take(100).prompt, other.take(100).prompt)
    Stream(quick.stream(1), quick.encoding).take(500)
    assert np.array_equal(one.take(100).prompt, other.take(100).prompt)


def test_seeds_differ(quick: Suite) -> None:
    seeds = [examples(quick.stream(seed), 1000) for seed in range(3)]
    assert all(sum(a == b for a, b in zip(one, other, strict=True)) < 20 for one, other in pairwise(seeds))


def test_forms_and_tokenizers_see_the_same_problems(twins: Any) -> None:
    forms: list[dict[str, str]] = [
        {"answer": answer, "operands": operands, "tokenizer": tokenizer}
        for answer in ("plain", "reversed")
        for operands in ("plain", "padded")
        for tokenizer in ("characters", "digit-chunks")
    ]
    operations = {"operations": ["+", "*", "/"], "digits": ["1x2"], "places": [0, 1]}
    suites = [twins.suite(form=form, **operations) for form in forms]
    assert len({suite.evaluation_set("test").hash for suite in suites[::3]}) == 1
    hashes, streams = set(), set()
    for suite in suites:
        encoded, stream = taken(suite, [1500])
        hashes.add((stream.data_hash, *stream.chain))
        streams.add(tuple(line if suite.form.operands == "plain" else "" for line in read(suite, encoded)))
    assert len(hashes) == 1
    assert len(streams - {("",) * 1500}) == 1


# --- which problems ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["quick", "longer", "addition3"])
def test_training_problems_only(twins: Any, name: str) -> None:
    assert {twins.split(problem) for problem in examples(load_suite(name).stream(0), 2000)} == {"train"}


def test_strata_come_evenly(twins: Any) -> None:
    """Listed, drawn and exact strata together, of a number that does not divide a block."""
    suite = twins.suite(operations=["+", "-", "/"], digits=["1x1", "2x4", "5x5"], signs=["+-", "--", "++"])
    strata = suite.strata()
    assert BLOCK % len(strata)
    total: Tally[tuple[Any, ...]] = Tally()
    for number in range(3):
        block = texts_of(suite.stream(7).block(number))
        tally = Tally((op, len(a.lstrip("-")), len(b.lstrip("-")), a[0] == "-", b[0] == "-") for a, op, b in block)
        assert len(tally) == len(strata)
        assert max(tally.values()) - min(tally.values()) <= 1
        total += tally
        assert [problem[1] for problem in block] != sorted(problem[1] for problem in block)
    assert max(total.values()) - min(total.values()) <= 1  # blocks go on where the last one ended


# --- the chained hash -------------------------------------------------------------------------------------------------


def chain_by_hand(twins: Any, problems: list[Texts]) -> tuple[list[str], str]:
    """Hashes at block ends and at the last example, from texts alone."""
    chain, last = [], ""
    for start in range(0, len(problems), BLOCK):
        block = problems[start : start + BLOCK]
        packed = b"".join(struct.pack("<Q", twins.fingerprint(problem)) for problem in block)
        last = hashlib.sha256(last.encode() + packed).hexdigest()
        if len(block) == BLOCK:
            chain.append(last)
    return chain, last


@pytest.mark.parametrize("n", [1, 1000, BLOCK, BLOCK + 1, 2 * BLOCK, 2500])
def test_the_hash_by_hand(twins: Any, quick: Suite, n: int) -> None:
    _, stream = taken(quick, [n])
    assert (stream.chain, stream.data_hash) == chain_by_hand(twins, examples(quick.stream(0), n))


def test_golden(quick: Suite) -> None:
    """The first block of `quick` with seed 0; a change here is a change of all its data."""
    _, stream = taken(quick, [BLOCK])
    assert stream.data_hash == "eb397b536fc478d29880b93e76673bcb66bb2144bd10b1cfbda3fdc74dc08490"


def test_a_shorter_stream_is_a_prefix(quick: Suite) -> None:
    _, long = taken(quick, [5000])
    _, short = taken(quick, [2500])
    assert short.chain == long.chain[:2]
    assert len(long.chain) == 4
    assert short.data_hash not in long.chain


def test_the_hash_moves_with_every_example(quick: Suite) -> None:
    stream = Stream(quick.stream(0), quick.encoding)
    hashes = [stream.data_hash]
    for _ in range(5):
        stream.take(1)
        hashes.append(stream.data_hash)
    assert len(set(hashes)) == 6
    assert hashes[0] == hashlib.sha256().hexdigest()


def test_other_data_have_other_hashes(twins: Any) -> None:
    base = twins.suite()
    others = [twins.suite(operations=["-"]), twins.suite(signs=["++"]), twins.suite(places=[1])]
    hashes = {
        taken(suite, [10], seed)[1].data_hash for suite, seed in [(base, 0), (base, 1), *((s, 0) for s in others)]
    }
    assert len(hashes) == 5


# --- token budgets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [1, 11, 999, 10_000, 31_234])
@pytest.mark.parametrize("batch", [1, 64, 700, 3000])
def test_token_budgets_are_met_within_one_example(quick: Suite, wanted: int, batch: int) -> None:
    stream = Stream(quick.stream(0), quick.encoding)
    tokens: list[int] = []
    while sum(tokens) < wanted:
        part = stream.take(batch, most_tokens=wanted - sum(tokens))
        assert 1 <= len(part.prompt) <= batch
        tokens += part.tokens.tolist()
    assert sum(tokens) - tokens[-1] < wanted <= sum(tokens)
    assert stream.position == len(tokens)
    assert taken(quick, [len(tokens)])[1].data_hash == stream.data_hash


def test_a_large_token_budget_does_not_shorten_a_batch(quick: Suite) -> None:
    stream = Stream(quick.stream(0), quick.encoding)
    assert len(stream.take(1500, most_tokens=10**9).prompt) == 1500


# --- finite training sets ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 7, 500, 1500])
def test_epochs_are_orders_of_the_same_problems(quick: Suite, limit: int) -> None:
    epochs = 4 if limit > 7 else 300
    found = examples(quick.stream(2, limit), limit * epochs)
    rounds = [found[start : start + limit] for start in range(0, len(found), limit)]
    assert len(set(rounds[0])) == limit
    assert all(sorted(one) == sorted(rounds[0]) for one in rounds)
    assert limit == 1 or len({tuple(one) for one in rounds}) > epochs * 0.9


def test_a_finite_set_is_the_start_of_the_endless_stream(quick: Suite) -> None:
    endless = list(dict.fromkeys(examples(quick.stream(2), 4000)))
    for limit in (1, 300, 1024, 2500):
        assert set(examples(quick.stream(2, limit), limit)) == set(endless[:limit])


def test_orders_of_an_epoch_are_even(small: Suite) -> None:
    """Each of three problems is as often first of an epoch."""
    firsts = Tally(examples(small.stream(0, 3), 3 * 1500)[::3])
    assert all(count == pytest.approx(500, abs=75) for count in firsts.values())


def test_all_problems_there_are(twins: Any, small: Suite) -> None:
    pairs = [(str(a), "+", str(b)) for a in range(10) for b in range(10)]
    most = sum(twins.split(problem) == "train" for problem in pairs)
    assert small.sampler.listed_problems == most
    assert len(set(examples(small.stream(0, most), most))) == most
    with pytest.raises(
        ValueError, match=rf"^training_problems {most + 1}: there are only {most} distinct training problems$"
    ):
        small.stream(0, most + 1)


def test_more_than_can_be_found_is_refused(small: Suite, twins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where strata are not listed, nobody knows how many there are: the search ends."""
    monkeypatch.setattr("bench.datasets.strata.LISTED_PAIRS", 0)
    monkeypatch.setattr("bench.datasets.drawing.stream.MOST_BARREN_BLOCKS", 3)
    unlisted = twins.suite(digits=["1x1"], signs=["++"])
    assert unlisted.sampler.listed_problems is None
    most = small.sampler.listed_problems
    with pytest.raises(ValueError, match=rf"^training_problems 500: no more than {most} distinct ones were found$"):
        unlisted.stream(0, 500)


def test_sign_variants_are_distinct_problems(twins: Any) -> None:
    """5 + 3 and -5 - 3 once shared a fingerprint, so that a full set was never found."""
    suite = twins.suite(operations=["+", "-"], digits=["1x1"])
    most = suite.sampler.listed_problems
    assert len(set(examples(suite.stream(0, most), most))) == most


@pytest.mark.parametrize(
    ("name", "limit", "n"), [("small", None, 5000), ("quick", 1500, 5000), ("quick", None, 110_000)]
)
def test_looking_problems_up_changes_nothing(request: Any, name: str, limit: int | None, n: int) -> None:
    """Beyond as many examples as there are problems all of them are encoded once; before, and for most suites, not."""
    suite: Suite = request.getfixturevalue(name)
    problems = suite.stream(3, limit)
    found, stream = taken(suite, [n], seed=3, limit=limit)
    assert problems.pool is not None
    assert len(problems.pool) + BLOCK < n
    last = n // BLOCK - 1
    for number in (0, len(problems.pool) // BLOCK + 1, last):
        block = problems.block(number)
        wanted, rows = suite.encoding.encode(block), slice(number * BLOCK, (number + 1) * BLOCK)
        assert np.array_equal(found.prompt[rows], wanted.prompt)
        assert np.array_equal(found.answer[rows], wanted.answer)
        link = stream.chain[number - 1].encode() if number else b""
        assert stream.chain[number] == hashlib.sha256(link + fingerprint(block).astype("<u8").tobytes()).hexdigest()


def test_unique_problems(quick: Suite, small: Suite, twins: Any) -> None:
    for suite, limit, sizes in (
        (quick, None, [700, 324, 3000]),
        (small, None, [5, 1019, 600]),
        (quick, 40, [30, 2000]),
    ):
        stream = Stream(suite.stream(0, limit), suite.encoding)
        problems = examples(suite.stream(0, limit), sum(sizes))
        for size in sizes:
            stream.take(size)
            assert stream.unique_problems == len(set(problems[: stream.position]))


def test_unique_problems_of_a_long_run(small: Suite) -> None:
    """Beyond 1,024 blocks, where the marks of blocks are folded together."""
    stream = Stream(small.stream(0), small.encoding)
    stream.take(1030 * BLOCK + 1)
    assert stream.unique_problems == small.sampler.listed_problems
    assert len(stream.chain) == 1030
