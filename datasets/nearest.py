"""Nearest neighbours: for each problem the training example whose prompt differs from it in the fewest symbols."""

import numpy as np
from numpy.typing import NDArray

from bench.datasets.drawing.stream import BLOCK, ProblemStream
from bench.datasets.problems import NO_PROBLEMS, Problems
from bench.datasets.split import distinct
from bench.datasets.writing.cells import Symbols
from bench.datasets.writing.forms import Form

MOST_EXAMPLES = 2**22
"""Examples that are searched for distinct ones, about 4.2 million."""

_BLOCKS_AT_ONCE = 128
_KNOWN_AT_ONCE, _ASKED_AT_ONCE = 8192, 512  # their product is what a core's cache holds


def first_distinct(stream: ProblemStream, n: int) -> Problems:
    """The first n distinct problems of a stream, in its order.

    There are fewer where the stream has fewer, or where its first 4.2 million examples hold fewer: in a suite with
    little more than n problems the last ones come up too rarely.
    """
    most = n if stream.distinct_problems is None else min(n, stream.distinct_problems)
    problems = NO_PROBLEMS
    for start in range(0, MOST_EXAMPLES // BLOCK, _BLOCKS_AT_ONCE):
        blocks = [stream.block(number) for number in range(start, start + _BLOCKS_AT_ONCE)]
        problems = distinct(Problems.join([problems, *blocks])).rows(slice(most))
        if len(problems) == most:
            break
    return problems


def nearest(asked: Problems, known: Problems, form: Form) -> NDArray[np.int64]:
    """The place in `known` of the problem whose prompt differs from that of each one asked in fewest symbols: (n,).

    The earliest of them on ties. Prompts are padded on the left to one width: from `7*8=`, `17*8=` differs in one
    symbol and `7*18=` in two.
    """
    prompts = form.prompts(Problems.join([asked, known]))
    return nearest_rows(prompts[: len(asked)], prompts[len(asked) :])


def nearest_rows(asked: Symbols, known: Symbols) -> NDArray[np.int64]:
    """For each row of `asked`, (n, width), the row of `known`, (m, width), that differs in fewest cells: (n,).

    Equal cells are counted by a matrix product of the rows written as zeros and ones, a column for each symbol at each
    place. A last column settles ties: it takes the row's number off a count that goes in steps larger than any row
    number of a block. Every sum is a whole number below 2**24, so float32 is exact and every machine agrees.
    """
    width, starts = asked.shape[1], range(0, len(asked), _ASKED_AT_ONCE)
    assert width * _KNOWN_AT_ONCE < 2**24
    present = np.array([(place, symbol) for place in range(width) for symbol in np.unique(asked[:, place])])
    places, symbols = present.reshape(-1, 2).T
    wanted = np.ones((len(asked), len(present) + 1), np.float32)
    wanted[:, :-1] = asked[:, places] == symbols
    position, most_equal = np.zeros(len(asked), np.int64), np.full(len(asked), -1)
    for first in range(0, len(known), _KNOWN_AT_ONCE):
        block = known[first : first + _KNOWN_AT_ONCE]
        held = np.empty((len(block), len(present) + 1), np.float32)
        held[:, :-1] = (block[:, places] == symbols) * np.float32(_KNOWN_AT_ONCE)
        held[:, -1] = -np.arange(len(block))
        best = [(wanted[start : start + _ASKED_AT_ONCE] @ held.T).max(axis=1) for start in starts]
        score = np.concatenate(best).astype(np.int64)
        equal = -(-score // _KNOWN_AT_ONCE)  # rounded up: the row's number was taken off
        closer = equal > most_equal
        position[closer] = (first + equal * _KNOWN_AT_ONCE - score)[closer]
        most_equal[closer] = equal[closer]
    return position
