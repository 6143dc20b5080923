"""Problems as arrays of token ids, of the fixed widths of a suite: text form and tokenizer together.

Prompts are padded on the left and answers on the right, so that in each row the answer starts at the same column. The
widths depend on the suite, never on a batch: otherwise a model that sees all places could infer the answer's length.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.datasets.problems import OPERATIONS, Division, Problems, no_answer
from bench.datasets.strata import Stratum
from bench.datasets.writing.cells import Symbols, push_left, push_right
from bench.datasets.writing.forms import FRACTION, REMAINDER, TEXTS, TIMES, Form, as_codes
from bench.datasets.writing.tokenizers import EOS, PAD, Characters, Ids, Tokenizer
from bench.datasets.writing.workings import MULTIPLES, WORKINGS_END


@dataclass(frozen=True)
class Encoded:
    """n problems as token ids (0 is pad)."""

    prompt: Ids
    """(n, prompt width), padded on the left, ends in '='"""
    answer: Ids
    """(n, answer width), workings (if any), answer and end token, padded on the right"""
    workings_end: int = PAD
    """the token that ends the workings; pad where there are none"""
    tokenizer: Tokenizer | None = None
    """set where tokens have several symbols, so that a text can be cut in several ways; else None"""

    def rows(self, index: slice | NDArray[np.int64]) -> "Encoded":
        return dataclasses.replace(self, prompt=self.prompt[index], answer=self.answer[index])

    def right(self, generated: Ids) -> NDArray[np.bool_]:
        """Exact match: whether the generated ids (n, answer width) are the answer up to its end token: (n,).

        In a text with workings, the answer is what follows the first end of workings: wrong workings before a right
        answer are ignored, a second answer is not.
        """
        wanted = self.answer
        if self.workings_end != PAD:
            generated, wanted = _behind(generated, self.workings_end), _behind(wanted, self.workings_end)
        right: NDArray[np.bool_] = (generated == wanted).all(axis=1)
        if self.tokenizer is not None:
            for row in np.flatnonzero(~right & (generated == EOS).any(axis=1)):
                right[row] = self.tokenizer.decode(generated[row]) == self.tokenizer.decode(wanted[row])
        return right

    @property
    def tokens(self) -> NDArray[np.int64]:
        """Symbols of prompt and answer with the end token, pads left out: (n,)."""
        count: NDArray[np.int64] = np.count_nonzero(self.prompt, axis=1) + np.count_nonzero(self.answer, axis=1)
        return count


class Encoding:
    """Writes problems of the given strata in one form, with a tokenizer for their alphabet."""

    def __init__(
        self, strata: list[Stratum], division: Division, form: Form, make_tokenizer: Callable[[str], Tokenizer]
    ) -> None:
        self.form, self._division = form, division
        self._alphabet = alphabet(strata, division, form)
        self.tokenizer = make_tokenizer(self._alphabet)
        self.workings_end = PAD if form.workings == "none" else self.tokenizer.vocabulary.index(WORKINGS_END)
        self.prompt_width = max(_prompt_symbols(s, form) for s in strata)
        self.answer_width = max(_target_symbols(s, division, form) for s in strata) + 1

    def tokenize(self, text: str) -> list[int]:
        """Token ids of a text as `decode` returns it; symbols that are not in the alphabet are left out."""
        [ids] = self.tokenizer.encode(as_codes(text))
        return [int(number) for number in ids if number != PAD]

    def encode(self, problems: Problems) -> Encoded:
        """Token ids of prompts and targets."""
        n = len(problems)
        prompt = push_right(self.tokenizer.encode(self.form.prompts(problems)))
        answer = push_left(self.tokenizer.encode(self.form.targets(problems, self._division)))
        prompts = np.zeros((n, self.prompt_width), dtype=np.int64)
        prompts[:, self.prompt_width - prompt.shape[1] :] = prompt
        answers = np.zeros((n, self.answer_width), dtype=np.int64)
        answers[:, : answer.shape[1]] = answer
        answers[np.arange(n), np.count_nonzero(answer, axis=1)] = EOS
        several = None if isinstance(self.tokenizer, Characters) else self.tokenizer
        return Encoded(prompts, answers, self.workings_end, several)

    def unwritable(self, problems: Problems) -> list[str]:
        """Why each problem cannot be written here, as the end of a sentence about it; '' where it can.

        All its symbols must be known, it must have an answer under the division rule, and both must fit their widths.
        """
        reasons = self._misfits("a prompt", self.form.prompts(problems), self.prompt_width)
        for row, reason in enumerate(no_answer(problems, self._division)):
            reasons[row] = reasons[row] or reason
        rows = [row for row, reason in enumerate(reasons) if not reason]
        possible = problems.rows(np.array(rows, dtype=np.int64))
        targets = self.form.targets(possible, self._division)
        what = "an answer" if self.form.workings == "none" else "an answer with workings"
        for row, reason in zip(rows, self._misfits(what, targets, self.answer_width - 1), strict=True):
            reasons[row] = reason
        return reasons

    def _misfits(self, what: str, symbols: Symbols, width: int) -> list[str]:
        known = np.array([0, *map(ord, self._alphabet)], dtype=np.uint8)
        reasons = []
        for codes, ids in zip(symbols, self.tokenizer.encode(symbols), strict=True):
            tokens = np.count_nonzero(ids)
            if len(unknown := np.setdiff1d(codes, known)):
                there = " ".join(TEXTS[code] for code in unknown)
                reasons.append(f"has {what} with symbols that are not in the alphabet: {there}")
            elif tokens > width:
                reasons.append(f"has {what} of {tokens} tokens, and the widest is {width}")
            else:
                reasons.append("")
        return reasons


def _behind(rows: Ids, token: int) -> Ids:
    """The part of each row after the first `token`, moved to the left and padded: [1 9 2 3] -> [2 3 0 0] for 9."""
    behind = np.zeros(rows.shape, dtype=bool)
    behind[:, 1:] = np.logical_or.accumulate(rows == token, axis=1)[:, :-1]
    columns = np.arange(rows.shape[1]) + rows.shape[1] - behind.sum(axis=1).reshape(-1, 1)
    beyond = columns >= rows.shape[1]
    return np.where(beyond, PAD, np.take_along_axis(rows, np.where(beyond, 0, columns), axis=1))


def alphabet(strata: list[Stratum], division: Division, form: Form) -> str:
    """All symbols of problems of these strata and their answers, each as the character of its code."""
    operations = {s.operation for s in strata}
    divides, latex = "/" in operations, form.notation == "latex"
    worked, rule = form.workings != "none", division.rule
    places = division.places if rule == "exact" else division.places + worked if rule == "rounded" else 0
    decimals = any(s.places for s in strata) or (divides and places)
    written = {"*": chr(TIMES), "/": chr(FRACTION) + "{}"} if latex else {}
    symbols = "0123456789" + "".join(written.get(op, op) for op in OPERATIONS if op in operations or op == "-")
    symbols += "=" + ("." if decimals else "")
    if divides and division.rule == "remainder":
        symbols += chr(REMAINDER) if latex else "r"
    if latex:
        symbols += " " + ("()" if any(s.signs[1] == "-" and s.operation != "/" for s in strata) else "")
    return symbols + ("," + WORKINGS_END if worked else "")


def _number_symbols(digits: int, places: int) -> int:
    return digits + (1 + places if places else 0)


def _prompt_symbols(stratum: Stratum, form: Form) -> int:
    """The longest prompt of a stratum: operands with their signs, the operation and '='."""
    least = form.operand_digits if form.operands == "padded" else 0
    operands = sum(_number_symbols(max(d, least), stratum.places) for d in (stratum.a_digits, stratum.b_digits))
    symbols = operands + stratum.signs.count("-") + 2
    if form.notation == "ascii":
        return symbols
    if stratum.operation == "/":
        return symbols + len(chr(FRACTION) + "{}{}") - len("/") + len(" ")
    return symbols + len("   ") + 2 * (stratum.signs[1] == "-")


def _target_symbols(stratum: Stratum, division: Division, form: Form) -> int:
    """A bound on the longest target of a stratum, without the end token: its workings and its answer."""
    answer = _answer_symbols(stratum, division, form)
    if form.workings == "none":
        return answer
    return _workings_symbols(stratum, division, form) + len(WORKINGS_END) + answer


def _workings_symbols(stratum: Stratum, division: Division, form: Form) -> int:
    a, b = stratum.a_digits + stratum.places, stratum.b_digits + stratum.places
    match stratum.operation:
        case "+" | "-":
            return 3 * max(a, b) - 1
        case "*":  # a row for each digit of b, each one digit longer than the row before; b - 1 commas
            rows = sum(a + 1 + place for place in range(b)) + b - 1
            sums = sum(a + 2 + place for place in range(1, b - 1))
            return rows + sums * (form.workings == "scratchpad-sums")
    if division.rule == "fraction":
        steps = max(_euclidean_steps(a, b), _euclidean_steps(b, a) + 1)
        # The product of all quotients is below the larger operand, that of a remainder and its numerator at most a.
        return steps * (1 + (a + 1) + b + len(",,,,")) - 1 + max(a, b)
    decimals = 0 if division.rule == "remainder" else division.places + (division.rule == "rounded")
    multiples = len(MULTIPLES) * (b + 1 + len(",")) * (form.workings == "scratchpad-sums")
    divisors = range(1, b + 1) if stratum.b_digits == 1 else [b]
    return multiples + max(_division_symbols(a, digits, decimals) for digits in divisors)


def _division_symbols(a: int, b: int, decimals: int) -> int:
    """A bound on the workings of a long division of `a` by `b` digits that goes on for so many decimals.

    What is divided has a digit more than b, and so has what is taken away, but for the first step.
    """
    steps = max(a - b + 1, 1) + decimals
    return steps * ((b + 1) + 1 + (b + 1) + len(",,,")) - 2 + b


def _euclidean_steps(larger: int, smaller: int) -> int:
    """The most steps of Euclid's algorithm on numbers of so many digits: on neighbours in Fibonacci's sequence."""
    steps, one, other = 1, 2, 3
    while one < 10**smaller and other < 10**larger:
        steps, one, other = steps + 1, other, one + other
    return steps


def _answer_symbols(stratum: Stratum, division: Division, form: Form) -> int:
    """A bound on the longest answer of a stratum, without the end token; most strata reach it."""
    b, places = stratum.b_digits, stratum.places
    digits = max(integer_digits(stratum, division), form.answer_digits)
    negative_a, same_signs = stratum.signs[0] == "-", stratum.signs in ("++", "--")
    match stratum.operation:
        case "+" | "-" if _adds(stratum):
            return negative_a + _number_symbols(digits, places)
        case "+" | "-":
            return 1 + _number_symbols(digits, places)
        case "*":
            return (not same_signs) + _number_symbols(digits, 2 * places)
    sign = int(not same_signs)
    latex = form.notation == "latex"
    if division.rule == "fraction":
        return sign + digits + len(chr(FRACTION) + "{}{}" if latex else "/") + (b + places)
    if division.rule == "remainder":
        return sign + digits + len(f" {chr(REMAINDER)} " if latex else "r") + negative_a + _number_symbols(b, places)
    return sign + _number_symbols(digits, division.places)


def integer_digits(stratum: Stratum, division: Division) -> int:
    """A bound on the digits of the integer part of a stratum's answers: of the numerator, where they are fractions."""
    a, b, places = stratum.a_digits, stratum.b_digits, stratum.places
    match stratum.operation:
        case "+" | "-":
            return max(a, b) + _adds(stratum)
        case "*":
            return a + b
    if division.rule == "fraction":
        return a + places
    # Rounding may carry into one digit more: 99 / 1 at places 0 does not, 9.99 / 1 at one place does.
    return _quotient_digits(stratum) + (division.rule == "rounded")


def _quotient_digits(stratum: Stratum) -> int:
    """A bound on the digits of the integer part of a quotient before it is rounded."""
    # |b| is at least 10**(b - 1), or 10**-places where b has one digit, whose integer part may be 0.
    a, b = stratum.a_digits, stratum.b_digits
    return a + stratum.places if b == 1 else max(a - b + 1, 1)


def _adds(stratum: Stratum) -> bool:
    """Whether a sum or difference adds the magnitudes."""
    return (stratum.signs in ("++", "--")) == (stratum.operation == "+")
