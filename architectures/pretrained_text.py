r"""Between the suite's symbols and the tokens of a language model that others trained on text.

Prompt and answer are tokenised separately, so that the prompt's tokens are the same in training, where an answer
follows, and in evaluation, where none does: of SmolLM2's tokens one is `=-`, and `3-5=-2` as one text would end the
prompt in `5`.

- Prompt `12+7=`: what the model's tokenizer puts in front of every text (a begin token, say), then the tokens of
  `12+7=`. Two prompts that differ have tokens that differ.
- Answer `19`: the tokens of `19`, a leading space where the tokenizer puts one, then the model's end token.
- Suites that reverse their answers are answered in the order of people unless `order` is 'suite': `-12.5` where the
  suite has `5.21-`. Workings, which stand before a ':', stay as they are.
- What the model writes is read up to its end token, or to the first symbol that no answer of any suite could hold:
  without training it goes on talking (`19, which is`, `19=12+7`). Spaces around are left off. Of an answer that is too
  long, what was written first is kept.
- Some tokenizers (WordPiece) put a space between any two tokens when they write, `- 9`. Of theirs a space between two
  digits ends the answer, and others are left out.

One token covers several symbols in many models, so that no column has logits: loss and likelihoods are of its tokens.
"""

import math
import re
from collections.abc import Sequence
from typing import Any, TypeVar

from torch import Tensor

from bench.architectures.base import SequenceSpec

Piece = TypeVar("Piece")

WORKINGS_END = ":"
OF_PROMPTS = frozenset("+*=()") | {r"\times"}
"""Symbols that no answer holds, whatever the suite: a model that was not trained writes `2+1=3` where it could stop."""
WRITTEN = (
    "7",
    "-9",
    "140",
    "-12.5",
    "0.25",
    "-1/3",
    "3r2",
    "51,90,40:495",
    "536,2010:2546",
    r"-\frac{7}{3}",
    r"2 \mathrm{r} 1",
)
"""Answers of every kind, as people write them: sign, point, fraction, remainder, workings, LaTeX."""
_SYMBOL = re.compile(r"\\[a-z]+(?:\{r\})?|.", re.DOTALL)  # a command of LaTeX is one symbol
_BESIDE_NO_DIGIT = re.compile(r"(?<!\d) | (?!\d)")


def require_embeddings(model: Any, tokenizer: Any, name: str) -> None:
    """Raises ValueError where the tokenizer has tokens of numbers and signs that the model has no vectors for."""
    embedding = getattr(model.get_input_embeddings(), "weight", None)
    rows = math.inf if embedding is None else len(embedding)
    written = {*"".join(WRITTEN), *"".join(OF_PROMPTS)}
    for token in sorted(token for token in tokenizer.get_vocab().values() if token >= rows):
        text = tokenizer.decode([token])
        if text and written.issuperset(text):
            raise ValueError(
                f"model {name}: token {token} of its tokenizer is '{text}', and its embedding has {rows} rows; take "
                f"the tokenizer that belongs to it"
            )


class Translator:
    """Between the suite's ids and the model's tokens.

    Raises ValueError where the tokenizer cannot write the suite's symbols, or an answer that it wrote cannot be read.
    """

    def __init__(self, tokenizer: Any, ends: Sequence[int], spec: SequenceSpec, flips: bool) -> None:
        self._tokenizer, self._spec, self._flips = tokenizer, spec, flips
        self.end = ends[0]
        """the token that a trained answer ends in"""
        self.ends = frozenset(ends)
        special = {spec.pad, spec.bos, spec.eos, spec.mask}
        self._texts = ["" if number in special else text for number, text in enumerate(spec.texts)]
        if spec.tokenize is None:
            raise ValueError("nobody said which texts the suite's symbols are")
        self._tokenize = spec.tokenize
        self._longest = max(map(len, self._texts))
        self._all_symbols = {symbol for text in self._texts for symbol in _SYMBOL.findall(text)}
        self._symbols = self._all_symbols - OF_PROMPTS
        self._begin = _tokens_in_front(tokenizer)
        for end in ends:
            if (text := str(tokenizer.decode([end])).strip()) in self._all_symbols:
                raise ValueError(f"the model's end token, {end}, is '{text}'; name another one in its config")
        for text in filter(None, self._texts):
            if self.text(self._tokens([text])[0]).strip() != text.strip():
                raise ValueError(f"the model's tokenizer cannot write '{text}'")
        self._spaced = False
        wrong = self._misread()
        if wrong and " " not in self._symbols:
            self._spaced = True
            wrong = self._misread()
        if wrong:
            [tokens] = self._tokens([wrong])
            raise ValueError(
                f"the model's tokenizer writes '{wrong}' as '{self.text(tokens)}', which is read otherwise"
            )
        if alike := self._written_alike():
            raise ValueError("the model's tokenizer has the same tokens for '{}' and '{}'".format(*alike))

    def prompts(self, prompt: Tensor) -> list[list[int]]:
        """(B, P) -> the model's tokens of each prompt; what follows it does not enter."""
        texts = ["".join(self._texts[number] for number in row) for row in prompt.tolist()]
        return [self._begin + tokens for tokens in self._tokens(texts)]

    def answers(self, answer: Tensor) -> list[list[int]]:
        """(B, A) -> the model's tokens of each answer, its end token among them where the answer has one."""
        rows = answer.tolist()
        tokens = self._tokens([self._written(row)[0] for row in rows])
        return [found + ([self.end] if self._spec.eos in row else []) for found, row in zip(tokens, rows, strict=True)]

    def text(self, tokens: Sequence[int]) -> str:
        """What the model wrote, up to its end token."""
        stop = next((place for place, token in enumerate(tokens) if token in self.ends), len(tokens))
        return str(self._tokenizer.decode(tokens[:stop], clean_up_tokenization_spaces=False))

    def read(self, tokens: Sequence[int], width: int) -> list[int]:
        """What the model wrote -> the suite's ids: symbols, the end token where it ended, then pads."""
        symbols = _SYMBOL.findall(self._as_read(tokens))
        stop = next((place for place, symbol in enumerate(symbols) if symbol not in self._symbols), len(symbols))
        ended = stop < len(symbols) or bool(self.ends.intersection(tokens))
        kept = _SYMBOL.findall("".join(symbols[:stop]).strip())
        while len(ids := self._ids(kept)) > width:  # before it is turned: what was written first is kept
            kept.pop()
            ended = False
        ids += [self._spec.eos] if ended and len(ids) < width else []
        return ids + [self._spec.pad] * (width - len(ids))

    def read_from(self, tokens: Sequence[int], row: Sequence[int]) -> list[int]:
        """Of what the model wrote the tokens that `read` took this answer from, that which ended it among them."""
        symbols, ended = len(self._written(row)[0]), self._spec.eos in row
        for count, token in enumerate(tokens):
            found = len(self._as_read(tokens[:count]))
            if found > symbols or (found == symbols and not ended):
                return list(tokens[:count])
            if token in self.ends:
                return list(tokens[: count + 1])
        return list(tokens)

    def longest_prompt(self) -> int:
        """Tokens of a prompt in which no two symbols share one."""
        return len(self._begin) + self._spec.prompt_width * max(map(len, self._tokens(list(filter(None, self._texts)))))

    def most_tokens(self, width: int) -> int:
        """A bound on the tokens of an answer of so many of the suite's, its end and a leading space among them."""
        return width * self._longest + 1

    def columns(self, tokens: Sequence[int], row: Sequence[int]) -> list[int]:
        """The column of an answer in which each of its tokens starts; behind its last symbol that of its end."""
        columns = self._written(row)[1]
        last = row.index(self._spec.eos) if self._spec.eos in row else max(len(row) - 1, 0)
        starts = (len(self._as_read(tokens[:count])) for count in range(len(tokens)))
        return [columns[start] if start < len(columns) else last for start in starts]

    def _as_read(self, tokens: Sequence[int]) -> str:
        """What the model wrote, up to its end token, without the spaces that its tokenizer put there."""
        text = self.text(tokens).lstrip()
        return _BESIDE_NO_DIGIT.sub("", text) if self._spaced else text

    def _written_alike(self) -> tuple[str, str] | None:
        """Two prompts whose operands stand with other signs between them, and that the tokenizer cannot tell apart."""
        signs = sorted(symbol for symbol in self._all_symbols if not symbol.isdigit() and symbol not in (" ", "="))
        between = [*signs, *(one + other for one in signs for other in signs)]
        texts = [f"5{sign}3=" for sign in between]
        seen: dict[tuple[int, ...], str] = {}
        for text, tokens in zip(texts, self._tokens(texts), strict=True):
            if (other := seen.setdefault(tuple(tokens), text)) != text:
                return other, text
        return None

    def _misread(self) -> str | None:
        """An answer, as people write it, that is another one when it is read from its tokens."""
        for text in WRITTEN:
            symbols = _SYMBOL.findall(text)
            if self._symbols.issuperset(symbols):
                ids, [tokens] = self._ids(symbols), self._tokens([text])
                if self.read([*tokens, self.end], len(ids) + 1) != [*ids, self._spec.eos]:
                    return text
        return None

    def _ids(self, symbols: list[str]) -> list[int]:
        """The suite's ids of an answer in the order in which the model writes it."""
        return self._tokenize("".join(_flip(symbols, symbols) if self._flips else symbols))

    def _written(self, row: Sequence[int]) -> tuple[str, list[int]]:
        """The text of an answer before its end token, and the column that each of its characters stands in."""
        stop = row.index(self._spec.eos) if self._spec.eos in row else len(row)
        pieces = [(symbol, column) for column in range(stop) for symbol in _SYMBOL.findall(self._texts[row[column]])]
        if self._flips:
            pieces = _flip(pieces, [symbol for symbol, _ in pieces])
        return "".join(symbol for symbol, _ in pieces), [column for symbol, column in pieces for _ in symbol]

    def _tokens(self, texts: list[str]) -> list[list[int]]:
        return [list(tokens) for tokens in self._tokenizer(texts, add_special_tokens=False)["input_ids"]]


def _tokens_in_front(tokenizer: Any) -> list[int]:
    """What a tokenizer puts in front of every text."""
    alone, whole = (list(tokenizer("0", add_special_tokens=special)["input_ids"]) for special in (False, True))
    starts = range(len(whole) - len(alone) + 1)
    return next((whole[:start] for start in starts if whole[start : start + len(alone)] == alone), [])


def _flip(pieces: list[Piece], symbols: list[str]) -> list[Piece]:
    """An answer from its last symbol to its first; workings before it stay where they are."""
    behind = len(symbols) - symbols[::-1].index(WORKINGS_END) if WORKINGS_END in symbols else 0
    return pieces[:behind] + pieces[behind:][::-1]
