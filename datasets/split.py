"""The split of problems into train, validation and test: a fixed rule, the same for every suite.

A hash of the canonical magnitudes decides, so that sign variants (5 + 3, -5 + 3), commuted pairs (3 + 5), sums and the
differences that reduce to them (5 - -3), other text forms and trailing zeros all fall into the same split.
"""

import numpy as np
from numpy.typing import NDArray

from bench.datasets.decimals import Integers
from bench.datasets.problems import OPERATIONS, Problems

SPLITS = ("train", "validation", "test")
_SHARE_OF_TEN = np.array([0] * 8 + [1, 2])  # 80 %, 10 %, 10 %
_LIMB_BITS = 32
_FAMILY = np.array([0, 0, 1, 2], dtype=np.uint64)  # + and - share one key


def mix(state: NDArray[np.uint64], word: NDArray[np.uint64] | np.uint64) -> NDArray[np.uint64]:
    """Fold a 64-bit word into a 64-bit state: the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    x = (state ^ word) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return mixed


def mix_integer(state: NDArray[np.uint64], magnitude: Integers) -> NDArray[np.uint64]:
    """Fold non-negative integers of any size in, 32 bits at a time: int64 and object columns give the same."""
    rest = magnitude
    while True:
        limb = (rest & (2**_LIMB_BITS - 1)).astype(np.uint64)
        mixed = mix(state, limb)
        state = mixed if rest is magnitude else np.where((rest > 0).astype(bool), mixed, state)
        rest = rest >> _LIMB_BITS
        if not (rest > 0).any():
            return state


def _operand_key(mantissa: Integers, places: NDArray[np.int64]) -> NDArray[np.uint64]:
    return mix_integer(mix(np.zeros(len(mantissa), np.uint64), places.astype(np.uint64)), abs(mantissa))


def split_of(problems: Problems) -> NDArray[np.int64]:
    """The split of each problem, as an index into `SPLITS`: (n,)."""
    a, b = _operand_key(problems.a, problems.a_places), _operand_key(problems.b, problems.b_places)
    ordered = problems.operation == OPERATIONS.index("/")
    first, second = np.where(ordered, a, np.minimum(a, b)), np.where(ordered, b, np.maximum(a, b))
    key = mix(mix(_FAMILY[problems.operation], first), second)
    chosen: NDArray[np.int64] = _SHARE_OF_TEN[(key >> np.uint64(32)) % np.uint64(10)]
    return chosen


def fingerprint(problems: Problems) -> NDArray[np.uint64]:
    """A 64-bit hash of each problem, from its operation and signed operands: (n,). Data hashes are made of them."""
    state = mix(np.zeros(len(problems), np.uint64), problems.operation.astype(np.uint64))
    for mantissa, places in ((problems.a, problems.a_places), (problems.b, problems.b_places)):
        sign_and_places = places.astype(np.uint64) * np.uint64(2) + (mantissa < 0).astype(np.uint64)
        state = mix_integer(mix(state, sign_and_places), abs(mantissa))
    return state


def distinct(problems: Problems) -> Problems:
    """The problems in their order, each only where it stands first."""
    _, first = np.unique(fingerprint(problems), return_index=True)
    return problems.rows(np.sort(first))
