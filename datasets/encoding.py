"""Problems as arrays that a model reads: text form and tokenizer together, at the suite's fixed widths.

Prompts are padded on the left and answers on the right, so in each row the answer starts at the same column. Widths
come from the suite, never from a batch: otherwise a model that sees the whole canvas would be told the answer's length.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.datasets.forms import Form, Symbols, push_left, push_right
from bench.datasets.problems import OPERATIONS, Division, Problems, no_answer, solve
from bench.datasets.strata import Stratum
from bench.datasets.tokenizers import EOS, SPECIAL, TOKENIZERS, Ids


@dataclass(frozen=True)
class Encoded:
    """n problems as token ids (0 is pad)."""

    prompt: Ids
    """(n, prompt width), padded on the left, ends in '='"""
    answer: Ids
    """(n, answer width), ends in the end token, padded on the right"""

    def rows(self, index: slice) -> "Encoded":
        return Encoded(self.prompt[index], self.answer[index])

    @property
    def tokens(self) -> NDArray[np.int64]:
        """Symbols of prompt and answer with the end token, pads left out: (n,)."""
        count: NDArray[np.int64] = np.count_nonzero(self.prompt, axis=1) + np.count_nonzero(self.answer, axis=1)
        return count


class Encoding:
    """Writes problems of the given strata in one form, with one tokenizer."""

    def __init__(self, strata: list[Stratum], division: Division, form: Form, tokenizer: str) -> None:
        self.form, self._division = form, division
        self.tokenizer = TOKENIZERS[tokenizer](_alphabet(strata, division))
        self.prompt_width = self.tokenizer.widest(max(_prompt_symbols(s, form) for s in strata))
        self.answer_width = self.tokenizer.widest(max(_answer_symbols(s, division) for s in strata)) + 1

    def encode(self, problems: Problems) -> Encoded:
        """Token ids of prompts and targets."""
        n = len(problems)
        prompt = push_right(self.tokenizer.encode(self.form.prompts(problems)))
        answer = push_left(self.tokenizer.encode(self.form.answers(solve(problems, self._division))))
        prompts = np.zeros((n, self.prompt_width), dtype=np.int64)
        prompts[:, self.prompt_width - prompt.shape[1] :] = prompt
        answers = np.zeros((n, self.answer_width), dtype=np.int64)
        answers[:, : answer.shape[1]] = answer
        answers[np.arange(n), np.count_nonzero(answer, axis=1)] = EOS
        return Encoded(prompts, answers)

    def unwritable(self, problems: Problems) -> list[str]:
        """Why each problem, of any kind, cannot be asked here, as the end of a sentence about it; '' where it can be:
        all symbols are known, it has an answer under the division rule, and both fit their widths.
        """
        reasons = self._misfits("a prompt", self.form.prompts(problems), self.prompt_width)
        for row, reason in enumerate(no_answer(problems, self._division)):
            reasons[row] = reasons[row] or reason
        rows = [row for row, reason in enumerate(reasons) if not reason]
        answers = self.form.answers(solve(problems.rows(np.array(rows, dtype=np.int64)), self._division))
        for row, reason in zip(rows, self._misfits("an answer", answers, self.answer_width - 1), strict=True):
            reasons[row] = reason
        return reasons

    def _misfits(self, what: str, symbols: Symbols, width: int) -> list[str]:
        known = set("".join(self.tokenizer.vocabulary[len(SPECIAL) :]))
        reasons = []
        for codes, ids in zip(symbols, self.tokenizer.encode(symbols), strict=True):
            written, tokens = "".join(map(chr, codes[codes > 0])), ids[ids > 0]
            if self.tokenizer.decode(tokens) != written:
                unknown = " ".join(sorted(set(written) - known))
                reasons.append(f"has {what} with symbols that are not in the alphabet: {unknown}")
            elif len(tokens) > width:
                reasons.append(f"has {what} of {len(tokens)} tokens, and the widest is {width}")
            else:
                reasons.append("")
        return reasons


def _alphabet(strata: list[Stratum], division: Division) -> str:
    """Every symbol that problems of these strata and their answers are written with."""
    operations = {s.operation for s in strata}
    divides = "/" in operations
    decimals = any(s.places for s in strata) or (divides and division.rule in ("exact", "rounded") and division.places)
    symbols = "0123456789" + "".join(op for op in OPERATIONS if op in operations or op == "-")
    return symbols + "=" + ("." if decimals else "") + ("r" if divides and division.rule == "remainder" else "")


def _number_symbols(digits: int, places: int) -> int:
    return digits + (1 + places if places else 0)


def _prompt_symbols(stratum: Stratum, form: Form) -> int:
    """The longest prompt of a stratum: operands with their signs, the operation and '='."""
    least = form.operand_digits if form.operands == "padded" else 0
    operands = sum(_number_symbols(max(d, least), stratum.places) for d in (stratum.a_digits, stratum.b_digits))
    return operands + stratum.signs.count("-") + 2


def _answer_symbols(stratum: Stratum, division: Division) -> int:
    """A bound on the longest answer of a stratum, without the end token; reached but in corners."""
    a, b, places = stratum.a_digits, stratum.b_digits, stratum.places
    negative_a, same_signs = stratum.signs[0] == "-", stratum.signs in ("++", "--")
    match stratum.operation:
        case "+" | "-" if same_signs == (stratum.operation == "+"):  # magnitudes are added
            return negative_a + _number_symbols(max(a, b) + 1, places)
        case "+" | "-":
            return 1 + _number_symbols(max(a, b), places)
        case "*":
            return (not same_signs) + _number_symbols(a + b, 2 * places)
    sign = int(not same_signs)
    # |b| is at least 10**(b - 1), or 10**-places where b has one digit, whose integer part may be 0.
    quotient = a + places if b == 1 else max(a - b + 1, 1)
    if division.rule == "fraction":
        return sign + (a + places) + 1 + (b + places)
    if division.rule == "remainder":
        return sign + quotient + 1 + negative_a + _number_symbols(b, places)
    # Rounding may carry into one digit more: 99 / 1 at places 0 does not, 9.99 / 1 at one place does.
    carry = 1 if division.rule == "rounded" else 0
    return sign + _number_symbols(quotient + carry, division.places)
