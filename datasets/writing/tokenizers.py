"""Tokenizers: they turn symbols into token ids and back.

Each has four special ids (0 pad, 1 bos, 2 eos, 3 mask), then its own. The text form of a suite decides which symbols
there are, so that every problem of the suite can be encoded.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bench.datasets.writing.cells import Symbols
from bench.datasets.writing.forms import TEXTS
from bench.datasets.writing.workings import WORKINGS_END

PAD, BOS, EOS, MASK = range(4)
SPECIAL = ("<pad>", "<bos>", "<eos>", "<mask>")
DIGITS = "0123456789"
Ids = NDArray[np.int64]  # (n, width) token ids


class Tokenizer(ABC):
    """Maps rows of symbols to rows of ids. `vocabulary[id]` is the text of a token.

    An alphabet is a string of characters, each standing for the symbol of its code. '=' and the end of workings are
    tokens of their own in every one, so that prompt, workings and answer never share a token. A text has at most one
    token a symbol, and may have as many: where operators part the digits, or no pair of symbols was seen in learning.
    """

    vocabulary: tuple[str, ...]

    @abstractmethod
    def encode(self, symbols: Symbols) -> Ids:
        """Ids in the order of the text, with zeros between or after them: (n, width) -> (n, width)."""

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
        self.vocabulary = SPECIAL + tuple(map(_text, alphabet))
        self._ids = np.zeros(256, dtype=np.int64)
        self._ids[[ord(symbol) for symbol in alphabet]] = np.arange(len(alphabet)) + len(SPECIAL)

    def encode(self, symbols: Symbols) -> Ids:
        return self._ids[symbols]


class DigitChunks(Tokenizer):
    """Runs of digits cut from the left into tokens of up to three digits, as the tokenizers of recent language models
    do: `1234+56=` is `123`, `4`, `+`, `56`, `=`.
    """

    LONGEST = 3

    def __init__(self, alphabet: str) -> None:
        others = tuple(symbol for symbol in alphabet if symbol not in DIGITS)
        chunks = [f"{value:0{width}}" for width in range(1, self.LONGEST + 1) for value in range(10**width)]
        self.vocabulary = SPECIAL + tuple(map(_text, others)) + tuple(chunks)
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


class BytePair(Tokenizer):
    r"""Tokens learnt from texts: the most frequent pair of neighbours becomes one token, again and again, until there
    are `size` of them, the four special ones included, or no pair is left (Sennrich, Haddow and Birch, "Neural Machine
    Translation of Rare Words with Subword Units", 2016; by the package `tokenizers`).

    Pairs are joined within a run of digits and within a run of other symbols, but for '=', ',' and ':', which stay
    alone. With the pairs `1 2` and `space \times` learnt, `-12 \times 7 =` is `-`, `12`, ` \times`, ` `, `7`, ` `, `=`.

    Raises:
        ValueError: `size` has no room for the special tokens and the alphabet.
        ImportError: the package `tokenizers` is not installed.
    """

    PACKAGE = "tokenizers"

    def __init__(self, alphabet: str, texts: Iterable[Symbols], size: int) -> None:
        if size < len(SPECIAL) + len(alphabet):
            raise ValueError(f"{size} tokens: the alphabet and the special ones are {len(SPECIAL) + len(alphabet)}")
        # Its threads are not counted among the cell's, and gain nothing on short texts.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from tokenizers import Regex, models, pre_tokenizers, trainers
        from tokenizers import Tokenizer as Model

        alone = "=," + WORKINGS_END
        words = Regex(rf"[0-9]+|[{alone}]|[^0-9{alone}]+")
        self._model = Model(models.BPE())
        self._model.pre_tokenizer = pre_tokenizers.Split(words, "isolated")
        trainer = trainers.BpeTrainer(
            vocab_size=size, special_tokens=list(SPECIAL), initial_alphabet=list(alphabet), show_progress=False
        )
        self._model.train_from_iterator((text for rows in texts for text in _lines(rows)), trainer)
        ids = self._model.get_vocab()
        learnt = sorted(ids, key=ids.__getitem__)
        self.vocabulary = SPECIAL + tuple("".join(map(_text, token)) for token in learnt[len(SPECIAL) :])

    @cached_property
    def file(self) -> str:
        """The tokenizer as a file of the package `tokenizers` (JSON): what was learnt, to the last pair.

        In it the commands of LaTeX stand as single characters, those of their codes.
        """
        return self._model.to_str()

    def encode(self, symbols: Symbols) -> Ids:
        ids = np.zeros(symbols.shape, dtype=np.int64)
        for row, encoding in enumerate(self._model.encode_batch(_lines(symbols))):
            ids[row, : len(encoding.ids)] = encoding.ids
        return ids


def _text(symbol: str) -> str:
    return TEXTS[ord(symbol)]


def _lines(symbols: Symbols) -> list[str]:
    """Rows of symbols as strings, a character a code."""
    return [bytes(row[row != 0]).decode("latin-1") for row in symbols]


TOKENIZERS: dict[str, Callable[[str], Tokenizer]] = {"characters": Characters, "digit-chunks": DigitChunks}
"""The tokenizers that depend on the alphabet alone."""
