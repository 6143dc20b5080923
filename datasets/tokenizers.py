"""Tokenizers: symbols to token ids and back.

Each has four special ids, then its own: 0 pad, 1 bos, 2 eos, 3 mask. The suite's text forms decide which symbols there
are, so every problem that can be asked can be encoded.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from bench.datasets.forms import Symbols

PAD, BOS, EOS, MASK = range(4)
SPECIAL = ("<pad>", "<bos>", "<eos>", "<mask>")
DIGITS = "0123456789"
Ids = NDArray[np.int64]  # (n, width) token ids


class Tokenizer(ABC):
    """Maps rows of symbols to rows of ids. `vocabulary[id]` is the text of a token."""

    vocabulary: tuple[str, ...]

    @abstractmethod
    def encode(self, symbols: Symbols) -> Ids:
        """Ids in the places where tokens start, 0 elsewhere: (n, width) -> (n, width)."""

    @abstractmethod
    def widest(self, symbols: int) -> int:
        """The most tokens that a text of so many symbols can have."""

    @property
    def digit_ids(self) -> tuple[int, ...]:
        """Ids of the single digits 0 .. 9."""
        return tuple(self.vocabulary.index(digit) for digit in DIGITS)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of one row up to its end token; special tokens before it stand as '<mask>' and the like."""
        texts = []
        for token in ids:
            if token == EOS:
                break
            texts.append(self.vocabulary[token])
        return "".join(texts)


class Characters(Tokenizer):
    """One token a symbol: `-12*7=` with the alphabet `0123456789*-=` is six tokens."""

    def __init__(self, alphabet: str) -> None:
        self.vocabulary = SPECIAL + tuple(alphabet)
        self._ids = np.zeros(256, dtype=np.int64)
        self._ids[[ord(symbol) for symbol in alphabet]] = np.arange(len(alphabet)) + len(SPECIAL)

    def encode(self, symbols: Symbols) -> Ids:
        return self._ids[symbols]

    def widest(self, symbols: int) -> int:
        return symbols


class DigitChunks(Tokenizer):
    """Runs of digits cut from the left into tokens of up to three digits, as the tokenizers of recent language models
    do: `1234+56=` is `123`, `4`, `+`, `56`, `=`.
    """

    LONGEST = 3

    def __init__(self, alphabet: str) -> None:
        others = tuple(symbol for symbol in alphabet if symbol not in DIGITS)
        chunks = [f"{value:0{width}}" for width in range(1, self.LONGEST + 1) for value in range(10**width)]
        self.vocabulary = SPECIAL + others + tuple(chunks)
        self._ids = np.zeros(256, dtype=np.int64)
        self._ids[[ord(symbol) for symbol in others]] = np.arange(len(others)) + len(SPECIAL)
        start = len(SPECIAL) + len(others)
        self._first = [start + sum(10**k for k in range(1, width)) for width in range(1, self.LONGEST + 1)]

    def encode(self, symbols: Symbols) -> Ids:
        ids = self._ids[symbols]
        is_digit = (symbols >= ord("0")) & (symbols <= ord("9"))
        starts = np.zeros(len(symbols), dtype=np.int64)  # column in which each row's open chunk starts
        value = np.zeros(len(symbols), dtype=np.int64)
        length = np.zeros(len(symbols), dtype=np.int64)
        rows = np.arange(len(symbols))
        first = np.array([0, *self._first])
        for column in range(symbols.shape[1]):
            digit = is_digit[:, column]
            opens = digit & ((length == 0) | (length == self.LONGEST))
            starts = np.where(opens, column, starts)
            value = np.where(digit, np.where(opens, 0, value) * 10 + symbols[:, column] - ord("0"), 0)
            length = np.where(digit, np.where(opens, 0, length) + 1, 0)
            ids[rows[digit], starts[digit]] = first[length[digit]] + value[digit]
        return ids

    def widest(self, symbols: int) -> int:
        return symbols  # signs, points and operators between digits may leave no chunk longer than one


TOKENIZERS: dict[str, Callable[[str], Tokenizer]] = {"characters": Characters, "digit-chunks": DigitChunks}
