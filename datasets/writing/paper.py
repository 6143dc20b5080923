"""Workings as a person writes them on paper, digit under digit; those of a model too, however wrong they are.

`67*38=2546`, `84/7=12` and `84/36=7/3`:

      67        84 : 7        84 = 2 * 36 + 12    2/1
    * 38         7            36 = 3 * 12 + 0     7/3
    ----        --
     536        14
    2010        14
    ----        --
    2546         0
"""

import re
from dataclasses import dataclass

from bench.datasets.problems import Division
from bench.datasets.writing.workings import MULTIPLES, WORKINGS_END

_SEPARATOR = re.compile("[,.]")


@dataclass(frozen=True)
class Line:
    """A line on paper."""

    text: str
    parts: tuple[int, ...] = ()
    """numbers of the parts of the workings that stand in it, from 0; a part is what stands between separators"""


def on_paper(texts: tuple[str, str, str], answer: str, workings: str, division: Division, reverse: bool) -> list[Line]:
    """The lines of a problem, given as a person writes it, with an answer and its workings.

    workings: as in the text of an answer, with or without their end. reverse: numbers in them stand with their last
    digit first. Workings of another form than the problem asks for are one line, as they are.
    """
    parts = _SEPARATOR.split(workings.rstrip(WORKINGS_END))
    as_they_are = [Line(workings, tuple(range(len(parts))))]
    if not all(part.isascii() and part.isdigit() for part in parts):
        return as_they_are
    numbers = [part[::-1] if reverse else part for part in parts]
    a, b, places = _whole_operands(texts)
    match texts[1]:
        case "*":
            one, other = (str(int(re.sub("[-.]", "", text))) for text in texts[::2])
            return _product(one, other, numbers, answer)
        case "/" if division.rule == "fraction":
            return _euclid(a, b, numbers) if len(parts) % 4 == 0 else as_they_are
        case "/":
            # Steps of three and what is left, behind the multiples of the divisor or not: their numbers tell which.
            steps = len(parts) - len(MULTIPLES) * (len(parts) % 3 == 0)
            return _long_division(str(a), str(b), numbers, answer, steps) if steps % 3 == 1 < steps else as_they_are
    adds = (texts[0].startswith("-") == texts[2].startswith("-")) == (texts[1] == "+")
    return _sum(a, b, places, adds, parts, answer) if {len(part) for part in parts} == {2} else as_they_are


def _sum(a: int, b: int, places: int, adds: bool, columns: list[str], answer: str) -> list[Line]:
    """Carries or borrows over both numbers, of which the larger stands first in a difference, and what comes out."""
    one, other = (a, b) if adds else (max(a, b), min(a, b))
    carried = [column[1] for column in columns]
    digits = "".join(column[0] for column in reversed(columns))
    if adds and carried[-1] != "0":
        digits = carried[-1] + digits
    digits = digits.lstrip("0").rjust(places + 1, "0")
    width = max(len(digits), len(str(max(a, b))), places + 1)

    def with_point(row: str, point: str = ".") -> str:
        row = row.rjust(width)
        return row[: width - places] + (point + row[width - places :] if places else "")

    above = with_point("".join(" " if carry == "0" else carry for carry in carried[-2::-1]) + " ", " ")
    one_row, other_row, result = map(with_point, (str(one).zfill(places + 1), str(other).zfill(places + 1), digits))
    whole = tuple(range(len(columns)))
    return [
        *([Line(f"  {above}", whole)] if above.strip() else []),
        Line(f"  {one_row}"),
        Line(f"{'+' if adds else '-'} {other_row}"),
        Line("-" * (len(result) + 2)),
        Line(f" {'-' if answer.startswith('-') else ' '}{result}", whole),
    ]


def _product(a: str, b: str, numbers: list[str], answer: str) -> list[Line]:
    """Both factors, the rows, the sums of rows where there are any, and the answer."""
    sums = len(numbers) == 2 * len(b) - 2 and len(b) > 2
    width = max(map(len, (a, f"* {b}", answer, *numbers)))
    rule = Line("-" * width)
    lines = [Line(a.rjust(width)), Line(f"* {b}".rjust(width)), rule]
    for place, number in enumerate(numbers):
        lines += [rule] if sums and place > 1 and place % 2 == 0 else []
        lines.append(Line(number.rjust(width), (place,)))
    return lines if [answer] == numbers else [*lines, rule, Line(answer.rjust(width))]


def _long_division(a: str, b: str, numbers: list[str], answer: str, count: int) -> list[Line]:
    """The quotient's digits behind the operands; below, what each step divides and takes away, and what is left. Above
    it the multiples of the divisor, where they stand before the last `count` numbers.
    """
    before_steps = len(numbers) - count
    above, numbers = numbers[:before_steps], numbers[before_steps:]
    steps = [numbers[start : start + 3] for start in range(0, len(numbers) - 1, 3)]
    first = len(steps[0][0])
    before = len(a) - first + 1
    times = [step[1] for step in steps]
    quotient = "".join(times[:before]) + ("." + "".join(times[before:]) if len(times) > before else "")
    said = "" if quotient == answer else f"  ({answer})"

    def line(text: str, *parts: int) -> Line:
        return Line(text, tuple(before_steps + part for part in parts))

    lines = [Line(f"{b}: {' '.join(above)}", tuple(range(before_steps)))] if above else []
    lines.append(line(f"{a} : {b} = {quotient}{said}", 0, *range(1, len(numbers) - 1, 3)))
    for number, (divided, _, taken) in enumerate(steps):
        if number:
            lines.append(line(divided.rjust(first + number), 3 * number))
        lines.append(line(taken.rjust(first + number), 3 * number + 2))
        lines.append(Line(("-" * max(len(divided), len(taken))).rjust(first + number)))
    return [*lines, line(numbers[-1].rjust(first + len(steps) - 1), len(numbers) - 1)]


def _euclid(a: int, b: int, numbers: list[str]) -> list[Line]:
    """Each step as an equation, and the fraction that all steps so far come to."""
    equations, fractions = [], []
    larger, smaller = str(a), str(b)
    for start in range(0, len(numbers), 4):
        times, left, numerator, denominator = numbers[start : start + 4]
        equations.append(f"{larger} = {times} * {smaller} + {left}")
        fractions.append(f"{numerator}/{denominator}")
        larger, smaller = smaller, left
    width = max(map(len, equations))
    pairs = enumerate(zip(equations, fractions, strict=True))
    return [
        Line(f"{equation.ljust(width)}    {fraction}", tuple(range(4 * step, 4 * step + 4)))
        for step, (equation, fraction) in pairs
    ]


def _whole_operands(texts: tuple[str, str, str]) -> tuple[int, int, int]:
    """The magnitudes of both operands as whole numbers of the same unit, and the decimal places of that."""
    places = [len(text.partition(".")[2]) for text in texts[::2]]
    a, b = (
        int(re.sub("[-.]", "", text)) * 10 ** (max(places) - own) for text, own in zip(texts[::2], places, strict=True)
    )
    return a, b, max(places)


def in_latex(lines: list[Line]) -> str:
    r"""The same as an `array` in which each symbol has a column of its own; lines of `-` become rules."""
    width = max(len(line.text) for line in lines)
    rows = []
    for line in lines:
        if set(line.text.strip()) == {"-"}:
            first = len(line.text) - len(line.text.lstrip())
            rows.append(rf"\cline{{{first + 1}-{len(line.text)}}}")
        else:
            cells = (symbol.replace("*", r"\times").strip() for symbol in line.text.ljust(width))
            rows.append(" & ".join(cells) + r" \\")
    return "\n".join([rf"\begin{{array}}{{*{{{width}}}{{c@{{}}}}}}", *rows, r"\end{array}"])
