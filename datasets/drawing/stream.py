"""The stream of training examples: example i of seed s depends on the suite's problems, s and i alone.

Examples are made in blocks of 1,024, each from its own place of a counter-based generator, so that no global seed,
batch size, tokenizer or restart changes them. A chained hash over the blocks identifies the examples of a training.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from bench.datasets.drawing.counter import Counter, key_of
from bench.datasets.drawing.sampling import Sampler
from bench.datasets.problems import Problems
from bench.datasets.split import distinct, fingerprint
from bench.datasets.writing.encoding import Encoded, Encoding

BLOCK = 1024
MOST_BARREN_BLOCKS = 10_000
MOST_TRAINING_PROBLEMS = 10_000_000
"""Of a finite training set, which is held in memory."""
MOST_ENCODED = 2**18
"""Problems that are kept as token ids, which takes 150 bytes and more each."""


class ProblemStream:
    """The endless sequence of training problems of one seed, block by block.

    A block holds problems of all strata equally often (to within one), in random order. With `limit` the sequence
    consists of its first `limit` distinct problems, shuffled anew in each epoch.

    Raises:
        ValueError: `limit` is larger than `MOST_TRAINING_PROBLEMS` or the number of distinct training problems.
    """

    def __init__(self, sampler: Sampler, problem_key: str, seed: int, limit: int | None = None) -> None:
        self._sampler, self._key = sampler, key_of("stream", problem_key, seed)
        self._epoch_key = key_of("epoch", problem_key, seed)
        self._finite = limit is not None
        self.pool = None if sampler.listed_problems is None else sampler.table
        """all distinct problems; None where there are too many to list"""
        if limit is not None:
            self.pool = self._first_distinct(limit)
        self._epoch: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    @property
    def distinct_problems(self) -> int | None:
        """How many distinct problems the sequence has; None where there are too many to list."""
        return None if self.pool is None else len(self.pool)

    def block(self, number: int) -> Problems:
        """Examples number * 1,024 to (number + 1) * 1,024 - 1."""
        return self._fresh(number) if self.pool is None else self.pool.rows(self.picks(number))

    def picks(self, number: int) -> NDArray[np.int64]:
        """The block as indices into `pool`, where there is one: (1,024,)."""
        assert self.pool is not None
        if not self._finite:
            return self._sampler.pick(*self._strata(number))
        positions = np.arange(number * BLOCK, (number + 1) * BLOCK)
        epochs, places = np.divmod(positions, len(self.pool))
        picks = np.empty(BLOCK, dtype=np.int64)
        for epoch in np.unique(epochs):
            picks[epochs == epoch] = self._order(int(epoch))[places[epochs == epoch]]
        return picks

    def _strata(self, number: int) -> tuple[NDArray[np.int64], Counter]:
        """The stratum of each example of a block, and the generator for its other draws."""
        counter = Counter(self._key, number)
        strata = (np.arange(BLOCK) + number * BLOCK) % len(self._sampler.strata)
        return strata[counter.permutation(BLOCK)], counter

    def _fresh(self, number: int) -> Problems:
        return self._sampler.draw(*self._strata(number))

    def _order(self, epoch: int) -> NDArray[np.int64]:
        assert self.pool is not None
        if self._epoch[0] != epoch:
            self._epoch = (epoch, Counter(self._epoch_key, epoch).permutation(len(self.pool)))
        return self._epoch[1]

    def _first_distinct(self, limit: int) -> Problems:
        if limit > MOST_TRAINING_PROBLEMS:
            raise ValueError(
                f"training_problems {limit:,}: at most {MOST_TRAINING_PROBLEMS:,} are held in memory; "
                "leave it out to train on endless ones"
            )
        available = self._sampler.listed_problems
        if available is not None and limit > available:
            raise ValueError(f"training_problems {limit:,}: there are only {available:,} distinct training problems")
        parts: list[Problems] = []
        seen: set[int] = set()
        barren = 0
        while len(seen) < limit:
            block = distinct(self._fresh(len(parts)))
            new = np.array([mark not in seen for mark in fingerprint(block).tolist()])
            parts.append(block.rows(new).rows(slice(limit - len(seen))))
            seen.update(fingerprint(parts[-1]).tolist())
            barren = 0 if len(parts[-1]) else barren + 1
            if barren == MOST_BARREN_BLOCKS:
                raise ValueError(f"training_problems {limit:,}: no more than {len(seen):,} distinct ones were found")
        return Problems.join(parts)


class Stream:
    """The training examples of one cell: the next ones of a `ProblemStream`, encoded, and their chained hash."""

    def __init__(self, problems: ProblemStream, encoding: Encoding) -> None:
        self._problems, self._encoding = problems, encoding
        self.position = 0
        """examples taken so far"""
        self.chain: list[str] = []
        """SHA-256 after each whole block taken, each over the one before and the block"""
        self._marks: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        self._encoded: Encoded | None = None
        self._pool: tuple[Encoded, NDArray[np.uint64]] | None = None
        self._distinct: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        self._fresh_marks: list[NDArray[np.uint64]] = []

    def take(self, n: int, most_tokens: int | None = None) -> Encoded:
        """The next n examples, or as many of them as it takes to reach `most_tokens`."""
        prompts, answers = [], []
        while n:
            start = self.position % BLOCK
            if self._encoded is None:
                self._encoded, self._marks = self._block(self.position // BLOCK)
            stop = min(start + n, BLOCK)
            if most_tokens is not None:
                total = np.cumsum(self._encoded.rows(slice(start, stop)).tokens)
                enough = int(np.searchsorted(total, most_tokens)) + 1
                if enough <= stop - start:
                    n = enough
                    stop = start + n
                most_tokens -= int(total[stop - start - 1])
            prompts.append(self._encoded.prompt[start:stop])
            answers.append(self._encoded.answer[start:stop])
            n -= stop - start
            self.position += stop - start
            if stop == BLOCK:
                self.chain.append(self._link(self._marks))
                self._fresh_marks.append(self._marks)
                self._encoded = None
                if len(self._fresh_marks) == 1024:
                    self._fold_marks()
        return Encoded(np.concatenate(prompts), np.concatenate(answers), self._encoding.workings_end)

    def forward(self, position: int, data_hash: str) -> None:
        """Advance to a later position, making all examples on the way as `take` does.

        Raises:
            ValueError: the examples up to there are not those of `data_hash`.
        """
        while self.position < position:
            self.take(min(BLOCK, position - self.position))
        if (mine := self.data_hash) != data_hash:
            raise ValueError(f"the first {position:,} examples have hash {mine[:12]}, not {data_hash[:12]}")

    @property
    def data_hash(self) -> str:
        """SHA-256 of all examples taken so far."""
        rest = self.position % BLOCK
        if rest:
            return self._link(self._marks[:rest])
        return self.chain[-1] if self.chain else hashlib.sha256().hexdigest()

    @property
    def unique_problems(self) -> int:
        """Distinct problems (operation and signed operands) among the examples taken so far."""
        self._fold_marks()
        return len(np.union1d(self._distinct, self._marks[: self.position % BLOCK]))

    def _block(self, number: int) -> tuple[Encoded, NDArray[np.uint64]]:
        """A block as token ids, and the fingerprints of its problems.

        Once a cell has taken as many examples as there are problems, all problems are encoded once and looked up from
        then on. That is five times as fast, and encodes at most twice as many as the cell takes.
        """
        pool = self._problems.pool
        if pool is None or len(pool) > MOST_ENCODED or number * BLOCK < len(pool):
            block = self._problems.block(number)
            return self._encoding.encode(block), fingerprint(block)
        if self._pool is None:
            self._pool = self._encoding.encode(pool), fingerprint(pool)
        picks = self._problems.picks(number)
        encoded, marks = self._pool
        return encoded.rows(picks), marks[picks]

    def _link(self, marks: NDArray[np.uint64]) -> str:
        before = self.chain[-1] if self.chain else ""
        return hashlib.sha256(before.encode() + marks.astype("<u8").tobytes()).hexdigest()

    def _fold_marks(self) -> None:
        self._distinct = np.unique(np.concatenate([self._distinct, *self._fresh_marks]))
        self._fresh_marks = []
