"""Random numbers that depend on a key and a counter alone, not on what was drawn before.

Philox (Salmon et al. 2011) supplies the words. They are turned into integers here, not by `numpy.random.Generator`,
whose methods may change between numpy versions (NEP 19).
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from bench.datasets.decimals import Integers


def key_of(*parts: object) -> NDArray[np.uint64]:
    """A 128-bit key from anything with a stable text form."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64)


class Counter:
    """A source of uniform integers at one place (`key`, `counter`) of the random stream."""

    def __init__(self, key: NDArray[np.uint64], counter: int = 0) -> None:
        # The counter is the highest of four words: each place has 2**192 words of its own.
        self._bits = np.random.Philox(key=key, counter=np.array([0, 0, 0, counter], dtype=np.uint64))

    def words(self, n: int) -> NDArray[np.uint64]:
        """n independent 64-bit words."""
        words: NDArray[np.uint64] = self._bits.random_raw(n)
        return words

    def below(self, bounds: Integers) -> Integers:
        """One uniform integer in [0, bound) for each bound (>= 1); the bias is at most 2**-32 of its probability."""
        if bounds.dtype != object and int(bounds.max(initial=1)) < 2**32:
            words, factor, half = self.words(len(bounds)), bounds.astype(np.uint64), np.uint64(32)
            carried = ((words & np.uint64(2**32 - 1)) * factor) >> half
            return (((words >> half) * factor + carried) >> half).astype(np.int64)  # floor(word * bound / 2**64)
        # 64 bits more than the largest bound has, so that the remainder's bias is below 2**-64.
        value = np.zeros(len(bounds), dtype=object)
        for _ in range(int(bounds.max(initial=1)).bit_length() // 64 + 2):
            value = value * 2**64 + self.words(len(bounds)).astype(object)
        below: Integers = (value % bounds).astype(bounds.dtype)
        return below

    def shares(self, n: int) -> NDArray[np.float64]:
        """n uniform numbers in [0, 1), multiples of 2**-53."""
        shares: NDArray[np.float64] = (self.words(n) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return shares

    def permutation(self, n: int) -> NDArray[np.int64]:
        """A uniform order of 0 .. n-1."""
        return np.argsort(self.words(n), kind="stable")
