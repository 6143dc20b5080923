r"""Text forms: how a problem and its answer are written as symbols.

Texts are matrices of symbol codes (uint8, 0 for a gap), prompts pushed to the right and targets to the left, so that
many problems are written at once. A code below 128 is the ASCII code of its
symbol; a command of LaTeX is one symbol too, whose code is from 128 on.

`-12.5 * 7 = -87.5`, prompt and target. The first row is the default of suites; each other row changes what it names:

| form                             | prompt             | target      |
|----------------------------------|--------------------|-------------|
| ASCII, reversed                  | `-12.5*7=`         | `5.78-`     |
| answer plain                     | `-12.5*7=`         | `-87.5`     |
| operands padded, to 2 digits     | `-12.5*07=`        | `5.78-`     |
| answer padded, to 3 digits       | `-12.5*7=`         | `5.780-`    |
| workings scratchpad              | `-12.5*7=`         | `578:5.78-` |
| notation latex                   | `-12.5 \times 7 =` | `5.78-`     |

LaTeX writes `5 - -3` as `5 - (-3) =`, `-7 / 3` as `\frac{-7}{3} =`, the fraction -7/3 as `-\frac{7}{3}` and the
remainder 2r1 as `2 \mathrm{r} 1`.

Workings stand before the answer and end in `:` (after Nye et al., "Show Your Work: Scratchpads for Intermediate
Computation with Language Models", 2021; the columns hold what the simplified scratchpad of Lee et al., "Teaching
Arithmetic to Small Transformers", 2023, does). They leave signs and points aside:

- Sums and differences: column by column from the last, the digit written and then the carry or borrow that goes on to
  the next. `128+367=` has `51,90,40:` (8 + 7 is 5, carry 1; 2 + 6 + 1 is 9, carry 0; 1 + 3 is 4), `13-8=` has
  `51,00:`. `5--3=` adds 5 and 3, `3-5=` takes 3 from 5.
- Products: the row of each digit of b, from its last, with its zeros, in the direction of the answer. `67*38=` has
  `536,2010:` plain and `635,0102:` reversed.

Quotients have none.
"""

import re
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.datasets.decimals import Integers, digit_count, digit_matrix, powers_of_ten
from bench.datasets.problems import OPERATIONS, Answers, Columns, Problems, by_columns

Symbols = NDArray[np.uint8]  # (n, width) codes, 0 where nothing stands
Cells = TypeVar("Cells", NDArray[np.uint8], NDArray[np.int64])  # symbols or token ids, 0 where nothing stands

TIMES, FRACTION, REMAINDER = range(128, 131)
TEXTS = tuple(
    {TIMES: r"\times", FRACTION: r"\frac", REMAINDER: r"\mathrm{r}"}.get(code, chr(code)) for code in range(256)
)
"""The text of each code."""
_CODES = {text: code for code, text in enumerate(TEXTS) if code}
WORKINGS_END = ":"
"""Ends the workings; no other symbol is written like it."""

_OPERATION_CODES = {
    "ascii": np.frombuffer(OPERATIONS.encode(), dtype=np.uint8),
    "latex": np.array([ord("+"), ord("-"), TIMES, 0], dtype=np.uint8),
}
_SYMBOL = re.compile(r"\\times|\\frac|\\mathrm\{r\}|<[a-z]+>|.", re.DOTALL)
_NUMBER = re.compile(r"-?\d+(\.\d+)?([/r]-?\d+(\.\d+)?)?", re.ASCII)
_LATEX_NUMBER = re.compile(r"-?\d+(\.\d+)?( \\mathrm\{r\} -?\d+(\.\d+)?)?", re.ASCII)
_LATEX_FRACTION = re.compile(r"(-?)\\frac\{(\d+)\}\{(\d+)\}", re.ASCII)


@dataclass(frozen=True)
class Form:
    """How a suite writes problems.

    `answer`: 'plain', or 'reversed': the whole answer from its last symbol to its first, so that the least significant
    digit comes first and the sign last. `operands`: 'plain', or 'padded': the integer part of each operand filled with
    zeros to `operand_digits`. `answer_digits`: the integer part of the answer is filled with zeros to so many digits.
    `notation`: 'ascii' or 'latex'. `workings`: 'none', or 'scratchpad': before the answer stands how it is worked out.
    """

    answer: Literal["plain", "reversed"] = "reversed"
    operands: Literal["plain", "padded"] = "plain"
    operand_digits: int = 0
    answer_digits: int = 1
    notation: Literal["ascii", "latex"] = "ascii"
    workings: Literal["none", "scratchpad"] = "none"

    def prompts(self, problems: Problems) -> Symbols:
        """Prompts up to and with the '=', pushed to the right: (n, widest prompt of these problems)."""
        least = self.operand_digits if self.operands == "padded" else 1
        a, b = _write(problems.a, problems.a_places, least), _write(problems.b, problems.b_places, least)
        operation = _OPERATION_CODES[self.notation][problems.operation].reshape(-1, 1)
        if self.notation == "ascii":
            return push_right(np.hstack([a, operation, b, _where(True, "=", problems)]))
        divides = problems.operation == OPERATIONS.index("/")
        brackets = (problems.b < 0).astype(bool) & ~divides
        before = [_where(divides, chr(FRACTION) + "{", problems), a, _where(divides, "}{", problems)]
        between = [_where(~divides, " ", problems), operation, _where(~divides, " ", problems)]
        after = [_where(brackets, "(", problems), b, _where(brackets, ")", problems), _where(divides, "}", problems)]
        return push_right(np.hstack([*before, *between, *after, _where(True, " =", problems)]))

    def targets(self, problems: Problems, answers: Answers) -> Symbols:
        """Workings, where the form has any, and answers, pushed to the left: (n, widest target of these)."""
        written = self.answers(answers)
        if self.workings == "none":
            return written
        return push_left(np.hstack([self._workings(problems), written]))

    def answers(self, answers: Answers) -> Symbols:
        """Answers without end symbol, pushed to the left: (n, widest answer of these)."""
        cells = _write(answers.value, answers.places, self.answer_digits)
        if answers.joint.any():
            joined = answers.joint > 0
            second = _write(answers.second, answers.second_places, 1) * joined.reshape(-1, 1)
            if self.notation == "ascii":
                cells = np.hstack([cells, answers.joint.reshape(-1, 1), second])
            else:
                fraction, remainder = answers.joint == ord("/"), answers.joint == ord("r")
                sign, value = cells[:, :1], cells[:, 1:]
                before = [sign, _where(fraction, chr(FRACTION) + "{", answers), value]
                between = [_where(fraction, "}{", answers), _where(remainder, f" {chr(REMAINDER)} ", answers)]
                cells = np.hstack([*before, *between, second, _where(fraction, "}", answers)])
        return push_left(cells[:, ::-1] if self.answer == "reversed" else cells)

    def read_answer(self, written: str) -> str:
        """The number in a generated text, as a person writes it, or '' where it is none in this form."""
        symbols = self.answer_symbols(written)
        text = "".join(symbols[::-1] if self.answer == "reversed" else symbols)
        if self.notation == "latex":
            if fraction := _LATEX_FRACTION.fullmatch(text):
                return "{}{}/{}".format(*fraction.groups())
            text = text.replace(rf" {TEXTS[REMAINDER]} ", "r") if _LATEX_NUMBER.fullmatch(text) else ""
        if not _NUMBER.fullmatch(text):
            return ""
        sign, whole, rest = _parts(text)
        filled = whole.startswith("0") and self.answer_digits > 1
        if len(whole) < self.answer_digits or (filled and len(whole) > self.answer_digits):
            return ""
        return sign + (whole.lstrip("0").rjust(1, "0") if self.answer_digits > 1 else whole) + rest

    def answer_symbols(self, written: str) -> list[str]:
        """The symbols of a generated text that are its answer; a special token counts as one symbol.

        With workings, the answer is what follows their end; it is empty where they never end.
        """
        if self.workings != "none":
            written = written.partition(WORKINGS_END)[2]
        return _SYMBOL.findall(written)

    def as_read(self, token: str) -> str:
        """The text of one token of an answer, its symbols in reading order."""
        symbols = _SYMBOL.findall(token)
        return "".join(symbols[::-1] if self.answer == "reversed" else symbols)

    def workings_of(self, written: str) -> str:
        """The workings in a generated text with their end; '' where they never end."""
        workings, end, _ = written.partition(WORKINGS_END)
        return workings + end if end else ""

    def spell(self, answer: str) -> list[str]:
        """The symbols of an answer, given as a person writes it, in the order of generation."""
        sign, whole, rest = _parts(answer)
        text = sign + whole.zfill(self.answer_digits) + rest
        if self.notation == "latex":
            if rest.startswith("/"):
                text = rf"{sign}\frac{{{whole}}}{{{rest[1:]}}}"
            text = text.replace("r", rf" {TEXTS[REMAINDER]} ") if "r" in rest else text
        symbols = _SYMBOL.findall(text)
        return symbols[::-1] if self.answer == "reversed" else symbols

    def _workings(self, problems: Problems) -> Symbols:
        multiplies = problems.operation == OPERATIONS.index("*")
        digits, carried, used = by_columns(problems)
        columns = np.empty((*digits.shape, 3), dtype=np.uint8)
        columns[:, :, 0] = ord(",")
        columns[:, :1, 0] = 0
        columns[:, :, 1] = digits + ord("0")
        columns[:, :, 2] = carried + ord("0")
        columns *= (used & ~multiplies.reshape(-1, 1))[:, :, np.newaxis]
        parts = [columns.reshape(len(problems), 3 * digits.shape[1])]
        if multiplies.any():
            parts += self._product_rows(problems, multiplies)
        return np.hstack([*parts, _where(True, WORKINGS_END, problems)])

    def _product_rows(self, problems: Problems, multiplies: NDArray[np.bool_]) -> list[Symbols]:
        a, b = (np.where(multiplies, abs(mantissa), 0) for mantissa in (problems.a, problems.b))
        count = digit_count(b)
        digits_of_b = digit_matrix(b, int(count.max()))[:, ::-1].astype(a.dtype)
        parts = []
        for place in range(digits_of_b.shape[1]):
            shown = multiplies & (place < count)
            row = _write(a * digits_of_b[:, place] * 10**place, np.zeros(len(a), np.int64), 1)
            if place:
                parts.append(_where(shown, ",", problems))
            parts.append((row[:, ::-1] if self.answer == "reversed" else row) * shown.reshape(-1, 1))
        return parts


def _where(rows: NDArray[np.bool_] | bool, text: str, columns: Columns) -> Symbols:
    """The codes of a text in the rows given, nothing in others: (n, symbols of the text)."""
    codes = np.array([ord(symbol) for symbol in text], dtype=np.uint8)
    return np.broadcast_to(rows, len(columns)).reshape(-1, 1) * codes


def _parts(answer: str) -> tuple[str, str, str]:
    """'-12.5r1' -> '-', '12', '.5r1': sign, integer part of the first number, all the rest."""
    unsigned = answer.removeprefix("-")
    whole = re.split(r"[./r]", unsigned, maxsplit=1)[0]
    return answer[: len(answer) - len(unsigned)], whole, unsigned[len(whole) :]


def as_codes(text: str) -> Symbols:
    """A text as one row of codes, symbols without a code left out: (1, symbols)."""
    found = [_CODES[symbol] for symbol in _SYMBOL.findall(text) if symbol in _CODES]
    return np.array([found], dtype=np.uint8)


def push_right(cells: Cells) -> Cells:
    """Each row without its gaps, against the right edge; as wide as the longest row."""
    return push_left(cells[:, ::-1])[:, ::-1]


def push_left(cells: Cells) -> Cells:
    """Each row without its gaps, against the left edge; as wide as the longest row."""
    present = cells != 0
    count = present.sum(axis=1)
    places = np.arange(count.max(initial=0)) < count.reshape(-1, 1)
    filled = np.zeros(places.shape, dtype=cells.dtype)
    filled[places] = cells[present]  # both masks have as many places a row, read row by row
    return filled


def _write(mantissa: Integers, places: NDArray[np.int64], least_digits: int) -> Symbols:
    """Decimals as cells [sign][integer digits][point][decimals], 0 in the cells that a number does not use."""
    most_places = int(places.max(initial=0))
    magnitude = abs(mantissa)
    if most_places:
        magnitude = magnitude * powers_of_ten(most_places - places, mantissa.dtype)
    integer_width = max(len(str(magnitude.max(initial=0))) - most_places, least_digits, 1)
    digits = digit_matrix(magnitude, integer_width + most_places)
    shown = np.empty(digits.shape, dtype=bool)
    integers = shown[:, :integer_width]
    np.logical_or.accumulate(digits[:, :integer_width] > 0, axis=1, out=integers)
    integers[:, integer_width - least_digits :] = True
    shown[:, integer_width:] = np.arange(most_places) < places.reshape(-1, 1)
    cells = np.zeros((len(mantissa), 1 + digits.shape[1] + bool(most_places)), dtype=np.uint8)
    cells[:, 0] = (mantissa < 0) * np.uint8(ord("-"))
    codes = (digits + np.uint8(ord("0"))) * shown
    cells[:, 1 : integer_width + 1] = codes[:, :integer_width]
    if most_places:
        cells[:, integer_width + 1] = (places > 0) * np.uint8(ord("."))
        cells[:, integer_width + 2 :] = codes[:, integer_width:]
    return cells
