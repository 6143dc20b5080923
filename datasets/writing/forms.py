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
| workings scratchpad, or -sums    | `-12.5*7=`         | `578:5.78-` |
| notation latex                   | `-12.5 \times 7 =` | `5.78-`     |

LaTeX writes `5 - -3` as `5 - (-3) =`, `-7 / 3` as `\frac{-7}{3} =`, the fraction -7/3 as `-\frac{7}{3}` and the
remainder 2r1 as `2 \mathrm{r} 1`.

Workings stand before the answer and end in `:`, see `workings`.
"""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.datasets.problems import OPERATIONS, Answers, Division, Problems, solve
from bench.datasets.writing.cells import Symbols, push_left, push_right, where, write
from bench.datasets.writing.workings import WORKINGS_END, Workings, work_out

TIMES, FRACTION, REMAINDER = range(128, 131)
TEXTS = tuple(
    {TIMES: r"\times", FRACTION: r"\frac", REMAINDER: r"\mathrm{r}"}.get(code, chr(code)) for code in range(256)
)
"""The text of each code."""
_CODES = {text: code for code, text in enumerate(TEXTS) if code}

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
    `notation`: 'ascii' or 'latex'. `workings`: 'none', or, before the answer, 'scratchpad' or 'scratchpad-sums'.
    """

    answer: Literal["plain", "reversed"] = "reversed"
    operands: Literal["plain", "padded"] = "plain"
    operand_digits: int = 0
    answer_digits: int = 1
    notation: Literal["ascii", "latex"] = "ascii"
    workings: Workings = "none"

    def prompts(self, problems: Problems) -> Symbols:
        """Prompts up to and with the '=', pushed to the right: (n, widest prompt of these problems)."""
        least = self.operand_digits if self.operands == "padded" else 1
        a, b = write(problems.a, problems.a_places, least), write(problems.b, problems.b_places, least)
        operation = _OPERATION_CODES[self.notation][problems.operation].reshape(-1, 1)
        if self.notation == "ascii":
            return push_right(np.hstack([a, operation, b, where(True, "=", problems)]))
        divides = problems.operation == OPERATIONS.index("/")
        brackets = (problems.b < 0).astype(bool) & ~divides
        before = [where(divides, chr(FRACTION) + "{", problems), a, where(divides, "}{", problems)]
        between = [where(~divides, " ", problems), operation, where(~divides, " ", problems)]
        after = [where(brackets, "(", problems), b, where(brackets, ")", problems), where(divides, "}", problems)]
        return push_right(np.hstack([*before, *between, *after, where(True, " =", problems)]))

    def targets(self, problems: Problems, division: Division) -> Symbols:
        """Workings, where the form has any, and answers, pushed to the left: (n, widest target of these).

        Raises ValueError as `problems.solve`.
        """
        written = self.answers(solve(problems, division))
        if self.workings == "none":
            return written
        workings = work_out(problems, division, self.workings, reverse=self.answer == "reversed")
        return push_left(np.hstack([workings, written]))

    def answers(self, answers: Answers) -> Symbols:
        """Answers without end symbol, pushed to the left: (n, widest answer of these)."""
        cells = write(answers.value, answers.places, self.answer_digits)
        if answers.joint.any():
            joined = answers.joint > 0
            second = write(answers.second, answers.second_places, 1) * joined.reshape(-1, 1)
            if self.notation == "ascii":
                cells = np.hstack([cells, answers.joint.reshape(-1, 1), second])
            else:
                fraction, remainder = answers.joint == ord("/"), answers.joint == ord("r")
                sign, value = cells[:, :1], cells[:, 1:]
                before = [sign, where(fraction, chr(FRACTION) + "{", answers), value]
                between = [where(fraction, "}{", answers), where(remainder, f" {chr(REMAINDER)} ", answers)]
                cells = np.hstack([*before, *between, second, where(fraction, "}", answers)])
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


def _parts(answer: str) -> tuple[str, str, str]:
    """'-12.5r1' -> '-', '12', '.5r1': sign, integer part of the first number, all the rest."""
    unsigned = answer.removeprefix("-")
    whole = re.split(r"[./r]", unsigned, maxsplit=1)[0]
    return answer[: len(answer) - len(unsigned)], whole, unsigned[len(whole) :]


def as_codes(text: str) -> Symbols:
    """A text as one row of codes, symbols without a code left out: (1, symbols)."""
    found = [_CODES[symbol] for symbol in _SYMBOL.findall(text) if symbol in _CODES]
    return np.array([found], dtype=np.uint8)
