"""Text forms: how a problem and its answer are written, symbol by symbol.

Everything is rendered as matrices of symbol codes (uint8, 0 where nothing stands), prompts pushed to the right and
answers to the left, so that whole columns of problems are written at once. A code is the ASCII code of its symbol.

`-12.5 * 7 = -87.5` in the forms there are:

| operands | answer   | prompt      | target  |
|----------|----------|-------------|---------|
| plain    | plain    | `-12.5*7=`  | `-87.5` |
| plain    | reversed | `-12.5*7=`  | `5.78-` |
| padded   | reversed | `-12.5*07=` | `5.78-` |
"""

import re
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.datasets.decimals import Integers, digit_matrix, powers_of_ten
from bench.datasets.problems import OPERATIONS, Answers, Problems

Symbols = NDArray[np.uint8]  # (n, width) codes, 0 where nothing stands
Cells = TypeVar("Cells", NDArray[np.uint8], NDArray[np.int64])  # symbols or token ids, 0 where nothing stands

_OPERATION_CODES = np.frombuffer(OPERATIONS.encode(), dtype=np.uint8)
_NUMBER = re.compile(r"-?\d+(\.\d+)?([/r]-?\d+(\.\d+)?)?", re.ASCII)


@dataclass(frozen=True)
class Form:
    """How a suite writes problems.

    `answer`: 'plain', or 'reversed': the whole answer string from its last symbol to its first, so that the least
    significant digit comes first and the sign last. `operands`: 'plain', or 'padded': the integer part of each operand
    filled with zeros to `operand_digits`.
    """

    answer: Literal["plain", "reversed"] = "reversed"
    operands: Literal["plain", "padded"] = "plain"
    operand_digits: int = 0

    def prompts(self, problems: Problems) -> Symbols:
        """Prompts up to and with the '=', pushed to the right: (n, widest prompt of these problems)."""
        least = self.operand_digits if self.operands == "padded" else 1
        n = len(problems)
        return push_right(
            np.hstack(
                [
                    _write(problems.a, problems.a_places, least),
                    _OPERATION_CODES[problems.operation].reshape(n, 1),
                    _write(problems.b, problems.b_places, least),
                    np.full((n, 1), ord("="), np.uint8),
                ]
            )
        )

    def answers(self, answers: Answers) -> Symbols:
        """Answers without end symbol, pushed to the left: (n, widest answer of these)."""
        cells = _write(answers.value, answers.places, 1)
        if answers.joint.any():
            joined = (answers.joint > 0).reshape(-1, 1)
            second = _write(answers.second, answers.second_places, 1) * joined
            cells = np.hstack([cells, answers.joint.reshape(-1, 1), second.astype(np.uint8)])
        return push_left(cells[:, ::-1] if self.answer == "reversed" else cells)

    def read_answer(self, written: str) -> str:
        """The number in a generated answer, as a person writes it, or '' where it is none."""
        text = written[::-1] if self.answer == "reversed" else written
        return text if _NUMBER.fullmatch(text) else ""


def push_right(cells: Cells) -> Cells:
    """Each row without its gaps, against the right edge; as wide as the longest row."""
    present = cells != 0
    count = present.sum(axis=1)
    width = int(count.max(initial=0))
    return _fill(cells, present, np.arange(width) >= (width - count).reshape(-1, 1))


def push_left(cells: Cells) -> Cells:
    """Each row without its gaps, against the left edge; as wide as the longest row."""
    present = cells != 0
    count = present.sum(axis=1)
    width = int(count.max(initial=0))
    return _fill(cells, present, np.arange(width) < count.reshape(-1, 1))


def _fill(cells: Cells, present: NDArray[np.bool_], places: NDArray[np.bool_]) -> Cells:
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
