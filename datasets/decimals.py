"""Columns of exact decimals: a signed integer mantissa and a count of decimal places, value = mantissa / 10**places.

Mantissas are numpy arrays of dtype int64 where every intermediate result fits 18 digits, and of dtype object (Python's
unbounded integers) beyond. The functions here give the same values for both; int64 is faster.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[Any]  # int64, or object for more than 18 digits
INT64_DIGITS = 18  # 10**18 < 2**63
_LIMB = 10**9
_POWERS = np.array([10**k for k in range(INT64_DIGITS + 1)], dtype=np.int64)
_OBJECT_POWERS = np.array([10**k for k in range(400)], dtype=object)


def integer_dtype(digits: int) -> np.dtype[Any]:
    """The dtype whose integers hold `digits` decimal digits: int64 up to 18, else object."""
    return np.dtype(np.int64) if digits <= INT64_DIGITS else np.dtype(object)


def powers_of_ten(exponents: Integers, dtype: np.dtype[Any]) -> Integers:
    """10**exponent for each element, as `dtype`."""
    powers: Integers = (_POWERS if dtype == np.int64 else _OBJECT_POWERS)[np.asarray(exponents, dtype=np.int64)]
    return powers


def canonical(mantissa: Integers, places: Integers) -> tuple[Integers, Integers]:
    """The same values without trailing zeros after the point; (1200, 3) -> (12, 1), (0, 2) -> (0, 0)."""
    mantissa, places = mantissa.copy(), places.copy()
    for _ in range(int(places.max(initial=0))):
        shorten = (places > 0) & (mantissa % 10 == 0)
        if not shorten.any():
            break
        mantissa[shorten] //= 10
        places[shorten] -= 1
    return mantissa, places


def digit_count(magnitude: Integers) -> NDArray[np.int64]:
    """Decimal digits of each non-negative integer; 0 has one."""
    count = np.ones(len(magnitude), dtype=np.int64)
    rest = magnitude // 10
    while (more := (rest > 0).astype(bool)).any():
        count += more
        rest = rest // 10
    return count


def digit_matrix(magnitude: Integers, width: int) -> NDArray[np.uint8]:
    """Digits of each non-negative integer, (n,) -> (n, width), most significant first, zeros in front."""
    digits = np.zeros((len(magnitude), width), dtype=np.uint8)
    rest, column = magnitude, width
    while column > 0:  # nine digits at a time, so that most work is done in int64 for unbounded integers too
        limb = (rest % _LIMB).astype(np.int64)
        rest = rest // _LIMB
        for _ in range(min(9, column)):
            column -= 1
            limb, digits[:, column] = np.divmod(limb, 10)
    return digits


def write_decimal(mantissa: int, places: int) -> str:
    """One decimal as a person writes it: (-125, 1) -> '-12.5', (5, 2) -> '0.05'."""
    digits = str(abs(mantissa)).rjust(places + 1, "0")
    point = len(digits) - places
    return ("-" if mantissa < 0 else "") + digits[:point] + ("." + digits[point:] if places else "")
