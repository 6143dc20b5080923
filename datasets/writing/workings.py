"""How an answer is worked out, as symbols before it: column by column, row by row, or step by step.

After Nye et al., "Show Your Work: Scratchpads for Intermediate Computation with Language Models", 2021. Signs are left
aside, and so are points but for that of a quotient. Numbers stand in the direction of the answer; the examples here are
plain.

- Sums and differences, as the simplified scratchpad of Lee et al., "Teaching Arithmetic to Small Transformers", 2023:
  column by column from the last, the digit written and then the carry or borrow that goes on to the next.
  `128+367=` has `51,90,40:` (8 + 7 is 5, carry 1; 2 + 6 + 1 is 9, carry 0; 1 + 3 is 4), `13-8=` has `51,00:`. `5--3=`
  adds 5 and 3, `3-5=` takes 3 from 5.
- Products: the row of each digit of b, from its last, with its zeros. `67*38=` has `536,2010:`.
  With `scratchpad-sums`, the sum of the rows so far stands behind each row but the first and the last, since all rows
  make the answer. `67*238=` has `536,2010,2546,13400:`.
- Quotients that are exact or rounded, or leave a remainder: long division, from the first digits of a that hold b. Each
  step is what is divided, how many times b goes into it, and how much that takes away; then the next digit is brought
  down to what is left. At the end stands what is left then. `84/7=` has `8,1,7,14,2,14,0:`.
  With `scratchpad-sums`, b added up, twice to nine times, stands before the steps, since what a step takes away is one
  of these: `84/7=` has `14,21,28,35,42,49,56,63,8,1,7,14,2,14,0:`.
  A `.` stands where the quotient's point does. Behind it zeros are brought down, until nothing is left, or there is one
  digit more than the quotient is rounded to: `7/8=` to two places is 0.88, and has `7,0,0.70,8,64,60,7,56,40,5,40,0:`.
  Decimals are divided as whole numbers: `1.5/0.25=` as 150 by 25.
- Fractions: Euclid's algorithm. Each step is how many times the smaller number goes into the larger, what is left, and
  the fraction that all steps so far come to (its convergent, numerator and denominator). The last one is the answer:
  `84/36=` is 7/3, and has `2,12,2,1,3,0,7,3:`.
"""

import re
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.datasets.decimals import Integers, digit_count, digit_matrix
from bench.datasets.problems import OPERATIONS, Division, Problems, aligned_operands, by_columns
from bench.datasets.writing.cells import Symbols, where, write

Workings = Literal["none", "scratchpad", "scratchpad-sums"]
WORKINGS_END = ":"
"""Ends the workings; no other symbol is written like it."""
MULTIPLES = tuple(range(2, 10))
"""How many times the divisor stands before the steps of a long division, with `scratchpad-sums`."""
_SEPARATOR = re.compile("(?=[,.])")
Step = tuple[NDArray[np.bool_], str, Integers]
"""The problems that have it, what stands before it, and a number of each."""


def work_out(problems: Problems, division: Division, workings: Workings, reverse: bool) -> Symbols:
    """Workings with their end: (n, symbols), with gaps. `reverse`: numbers stand with their last digit first."""
    parts = [_columns(problems)]
    steps = _rows(problems, sums=workings == "scratchpad-sums")
    divides = problems.operation == OPERATIONS.index("/")
    if divides.any():
        if division.rule == "fraction":
            steps += _convergents(problems, divides)
        else:
            steps += _long_division(problems, divides, division, sums=workings == "scratchpad-sums")
    for shown, before, number in steps:
        cells = write(np.where(shown, number, 0), np.zeros(len(problems), np.int64), 1)
        parts.append(where(shown, before, problems))
        parts.append((cells[:, ::-1] if reverse else cells) * shown.reshape(-1, 1))
    return np.hstack([*parts, where(True, WORKINGS_END, problems)])


def first_mistake(given: str, right: str, operation: str, division: Division, workings: Workings) -> str:
    """The first part of workings that is not as it should be, and which step it stands in: 'times 2', say.

    The parts: 'column' of a sum, 'row' and 'sum' of a product, 'divided', 'times' and 'taken' of a long division, with
    'multiple' before and 'left' behind them; 'times', 'left', 'numerator' and 'denominator' of a fraction. 'end' where
    nothing but the end is wrong: the workings go on, or never end. '' where all is right. given, right: with their end,
    where they have one.

    >>> first_mistake("8,1,7,14,3,14,0:", "8,1,7,14,2,14,0:", "/", Division(), "scratchpad")
    'times 2'
    >>> first_mistake("536,2100:", "536,2010:", "*", Division(), "scratchpad")
    'row 2'
    >>> first_mistake("51,90,40", "51,90,40:", "+", Division(), "scratchpad")
    'end'
    """
    if given == right:
        return ""
    place = first_wrong_part(given, right)
    if place is None:
        return "end"
    match operation:
        case "*" if workings == "scratchpad-sums" and place > 1:
            return f"sum {place // 2}" if place % 2 == 0 else f"row {(place + 3) // 2}"
        case "*":
            return f"row {place + 1}"
        case "+" | "-":
            return f"column {place + 1}"
        case _ if division.rule == "fraction":
            return f"{('times', 'left', 'numerator', 'denominator')[place % 4]} {place // 4 + 1}"
    if place == len(_SEPARATOR.findall(right)):
        return "left"
    if workings == "scratchpad-sums":
        if place < len(MULTIPLES):
            return f"multiple {MULTIPLES[place]}"
        place -= len(MULTIPLES)
    return f"{('divided', 'times', 'taken')[place % 3]} {place // 3 + 1}"


def first_wrong_part(given: str, right: str) -> int | None:
    """Which part of workings is not as it should be, from 0; None where nothing but their end can be wrong."""
    wanted, found = (_SEPARATOR.split(text.removesuffix(WORKINGS_END)) for text in (right, given))
    return next((place for place, part in enumerate(wanted) if part != "".join(found[place : place + 1])), None)


def _columns(problems: Problems) -> Symbols:
    """Of sums and differences."""
    digits, carried, used = by_columns(problems)
    columns = np.empty((*digits.shape, 3), dtype=np.uint8)
    columns[:, :, 0] = ord(",")
    columns[:, :1, 0] = 0
    columns[:, :, 1] = digits + ord("0")
    columns[:, :, 2] = carried + ord("0")
    adds = problems.operation <= OPERATIONS.index("-")
    columns *= (used & adds.reshape(-1, 1))[:, :, np.newaxis]
    return columns.reshape(len(problems), 3 * digits.shape[1])


def _rows(problems: Problems, sums: bool) -> list[Step]:
    """Of products."""
    multiplies = problems.operation == OPERATIONS.index("*")
    if not multiplies.any():
        return []
    a, b = (np.where(multiplies, abs(mantissa), 0) for mantissa in (problems.a, problems.b))
    count = digit_count(b)
    digits_of_b = digit_matrix(b, int(count.max()))[:, ::-1].astype(a.dtype)
    steps: list[Step] = []
    total = np.zeros_like(a)
    for place in range(digits_of_b.shape[1]):
        row = a * digits_of_b[:, place] * 10**place
        total = total + row
        steps.append((multiplies & (place < count), "," * bool(place), row))
        if sums and place:
            steps.append((multiplies & (place < count - 1), ",", total))
    return steps


def _long_division(problems: Problems, divides: NDArray[np.bool_], division: Division, sums: bool) -> list[Step]:
    """Of quotients. Digits of all problems stand in the same columns, so that the last one is that of the ones."""
    a, b = _whole_operands(problems, divides)
    count = int(digit_count(a).max())
    decimals = 0 if division.rule == "remainder" else division.places + (division.rule == "rounded")
    digits = np.hstack([digit_matrix(a, count), np.zeros((len(a), decimals), np.uint8)]).astype(a.dtype)
    multiples = MULTIPLES if sums else ()
    steps: list[Step] = [(divides, "," * (times > multiples[0]), times * b) for times in multiples]
    begun, left = np.zeros(len(a), dtype=bool), np.zeros_like(a)
    for column in range(count + decimals):
        divided = left * 10 + digits[:, column]
        first = ~begun & ((divided >= b).astype(bool) | (column == count - 1)) & divides
        ended = (left == 0).astype(bool) & (column >= count)
        shown = first | (begun & ~ended)
        begun = begun | first
        times = np.where(shown, divided // b, 0)
        between = "." if column == count else ","
        steps += [(first, "," * sums, divided), (shown & ~first, between, divided), (shown, ",", times)]
        steps.append((shown, ",", times * b))
        left = divided - times * b
    steps.append((divides, ",", left))
    return steps


def _convergents(problems: Problems, divides: NDArray[np.bool_]) -> list[Step]:
    """Of fractions."""
    larger, smaller = _whole_operands(problems, divides)
    before, numerator = np.zeros_like(larger), np.ones_like(larger)
    last, denominator = np.ones_like(larger), np.zeros_like(larger)
    steps: list[Step] = []
    shown = divides
    while shown.any():
        divisor = np.where(shown, smaller, 1)
        times = larger // divisor
        larger, smaller = divisor, np.where(shown, larger - times * divisor, 0)
        before, numerator = numerator, times * numerator + before
        last, denominator = denominator, times * denominator + last
        steps += [(shown, "," * bool(steps), times), (shown, ",", smaller)]
        steps += [(shown, ",", numerator), (shown, ",", denominator)]
        shown = shown & (smaller != 0).astype(bool)
    return steps


def _whole_operands(problems: Problems, divides: NDArray[np.bool_]) -> tuple[Integers, Integers]:
    """The magnitudes of both operands as whole numbers of the same unit; 0 and 1 where nothing is divided."""
    a, b, _ = aligned_operands(problems)
    return np.where(divides, abs(a), 0), np.where(divides, abs(b), 1)
