"""Texts as matrices of symbol codes, a row a problem: writing them side by side, and pushing them together."""

from collections.abc import Sized
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.datasets.decimals import Integers, digit_matrix, powers_of_ten

Symbols = NDArray[np.uint8]  # (n, width) codes, 0 where nothing stands
Cells = TypeVar("Cells", NDArray[np.uint8], NDArray[np.int64])  # symbols or token ids, 0 where nothing stands


def where(rows: NDArray[np.bool_] | bool, text: str, columns: Sized) -> Symbols:
    """The codes of a text in the rows given, nothing in others: (n, symbols of the text)."""
    codes = np.array([ord(symbol) for symbol in text], dtype=np.uint8)
    return np.broadcast_to(rows, len(columns)).reshape(-1, 1) * codes


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


def write(mantissa: Integers, places: NDArray[np.int64], least_digits: int) -> Symbols:
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
