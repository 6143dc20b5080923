"""Reads an operation on two numbers, such as `-12 * 7`, from the ways in which people write it.

| way   | examples                                                                         |
|-------|----------------------------------------------------------------------------------|
| plain | `-12 * 7`, `12 ÷ 5 =`, `5 - (-3)`, `1,234 + 5`                                   |
| LaTeX | `-12 \\times 7`, `3 \\cdot 4`, `12 \\div 5`, `\\frac{12}{5}`, `$-\\frac{1}{2} =$`     |
| words | `What is 95 plus 45?`, `Subtract 3 from 10.`, `What is the product of 3 and -4?` |
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import attrgetter

import numpy as np

from bench.datasets.decimals import canonical
from bench.datasets.problems import NO_PROBLEMS, OPERATIONS, Problems
from bench.datasets.suites import MOST_DIGITS

MOST_PLACES = 20
MOST_SYMBOLS = 1000
"""Of one expression; the longest numbers and the words around them need fewer."""

_UNSIGNED = r"(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)"
_SIGN = r"[+-]\s*"
_OPERAND = rf"(?:(?:{_SIGN})?{_UNSIGNED}|\(\s*(?:{_SIGN})?{_UNSIGNED}\s*\)|{_SIGN}\(\s*{_UNSIGNED}\s*\))"
_A, _B = rf"(?P<a>{_OPERAND})", rf"(?P<b>{_OPERAND})"

_SYMBOLS: dict[str, str | int | None] = {
    **dict.fromkeys("\u00d7\u00b7\u22c5\u2217", "*"),  # multiplication sign, middle dot, dot and asterisk operators
    **dict.fromkeys("\u00f7\u2215", "/"),  # division sign, division slash
    **dict.fromkeys("\u2212\u2013", "-"),  # minus sign, en dash
    **dict.fromkeys("$~", " "),
}
_COMMANDS = (  # of LaTeX
    (re.compile(r"\\(?:times|cdot)(?![a-zA-Z])"), "*"),
    (re.compile(r"\\div(?![a-zA-Z])"), "/"),
    (re.compile(r"\\(?:left|right|q?quad)(?![a-zA-Z])|\\[,;:! ()\[\]]"), " "),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r"(\1)/(\2)"),
    (re.compile(r"\{"), "("),
    (re.compile(r"\}"), ")"),
)
_BEFORE = re.compile(r"(?:q|question):\s*|(?:what is|what's|how much is|calculate|compute|evaluate|work out|find)\s+")
_AFTER = re.compile(r"(?:[\s?.=]|\ba:|\banswer:)+$")

_WORDS = {"plus": "+", "minus": "-", "take away": "-", "times": "*", "multiplied by": "*", "divided by": "/"}
_PHRASES = (
    (rf"(?:add|add together|put together|sum|(?:the )?sum of|(?:the )?total of) {_A} (?:and|to) {_B}", "+"),
    (rf"subtract {_B} from {_A}", "-"),
    (rf"{_B} less than {_A}", "-"),
    (rf"(?:multiply|(?:the )?product of) {_A} (?:and|by) {_B}", "*"),
    (rf"divide {_A} by {_B}", "/"),
)
_PATTERNS = (
    *((re.compile(rf"{_A}\s*{re.escape(op)}\s*{_B}", re.ASCII), op) for op in OPERATIONS),
    *((re.compile(rf"{_A} {word} {_B}", re.ASCII), op) for word, op in _WORDS.items()),
    *((re.compile(phrase, re.ASCII), op) for phrase, op in _PHRASES),
)
_DIFFERENCE = re.compile(rf"(?:the )?(?:difference|distance) between {_A} and {_B}", re.ASCII)
_NUMBER = re.compile(_OPERAND, re.ASCII)
_FRACTION = re.compile(rf"{_A}(?:\s*/\s*{_B})?", re.ASCII)


@dataclass(frozen=True)
class Number:
    """A signed decimal, mantissa / 10**places, with no trailing zero behind the point."""

    mantissa: int
    places: int

    @property
    def value(self) -> Fraction:
        return Fraction(self.mantissa, 10**self.places)


@dataclass(frozen=True)
class Expression:
    """`op` is one of + - * /."""

    a: Number
    op: str
    b: Number


def operate(a: Number, op: str, b: Number) -> Expression:
    """The expression of these parts. Raises ValueError where it divides by zero."""
    if op == "/" and not b.mantissa:
        raise ValueError("divides by zero")
    return Expression(a, op, b)


def read_expression(text: str) -> Expression:
    """The operation that a text asks for. The difference between two numbers is the larger less the smaller.

    Raises:
        ValueError: it is no operation on two numbers, divides by zero, or a number is too long; the end of a sentence
            that begins with the text.
    """
    plain = _plain(text)
    for pattern, op in _PATTERNS:
        if found := pattern.fullmatch(plain):
            return operate(read_number(found["a"]), op, read_number(found["b"]))
    if found := _DIFFERENCE.fullmatch(plain):
        larger, smaller = sorted(
            (read_number(found["a"]), read_number(found["b"])), key=attrgetter("value"), reverse=True
        )
        return operate(larger, "-", smaller)
    numbers = len(re.findall(_UNSIGNED, plain, re.ASCII))
    if numbers > 2:
        raise ValueError(f"has {numbers} numbers, not two")
    raise ValueError("is no operation on two numbers, such as -12 * 7")


def read_operation(text: str) -> str:
    """+, -, * or /, from a symbol, a LaTeX command or a word. Raises ValueError where it is none."""
    plain = _plain(text)
    op = _WORDS.get(plain, plain)
    if len(op) != 1 or op not in OPERATIONS:
        raise ValueError(f"has the operation {text.strip()[:20]!r}, not one of + - * /")
    return op


def read_number(text: str) -> Number:
    """A decimal, which may have brackets around it, a + before it, or commas between its thousands.

    Raises:
        ValueError: it is none, or has more than 100 digits before the point or 20 behind it.
    """
    plain = _plain(text, ending=False)
    if not _NUMBER.fullmatch(plain):
        raise ValueError(f"has {text.strip()[:20]!r} where a number must stand")
    digits = re.sub(r"[^0-9.]", "", plain)
    whole, _, decimals = digits.partition(".")
    whole, decimals = whole.lstrip("0"), decimals.rstrip("0")
    if len(whole) > MOST_DIGITS or len(decimals) > MOST_PLACES:
        raise ValueError(f"has a number of more than {MOST_DIGITS} digits or {MOST_PLACES} places")
    mantissa = int(whole + decimals or "0")
    return Number(-mantissa if "-" in plain else mantissa, len(decimals))


def read_value(text: str) -> Fraction | None:
    """The value of an answer, a decimal or a fraction such as `-7/2` or `\\frac{7}{2}`; None where it is neither."""
    try:
        found = _FRACTION.fullmatch(_plain(text))
        if found is None:
            return None
        a, b = read_number(found["a"]).value, read_number(found["b"] or "1").value
    except ValueError:
        return None
    return a / b if b else None


def as_problems(expressions: Sequence[Expression]) -> Problems:
    """The expressions in columns of unbounded integers."""
    if not expressions:
        return NO_PROBLEMS
    a, b = [e.a for e in expressions], [e.b for e in expressions]
    return Problems(
        np.array([OPERATIONS.index(e.op) for e in expressions], dtype=np.uint8),
        *(
            column
            for numbers in (a, b)
            for column in canonical(
                np.array([number.mantissa for number in numbers], dtype=object),
                np.array([number.places for number in numbers], dtype=np.int64),
            )
        ),
    )


def _plain(text: str, ending: bool = True) -> str:
    """The text in ASCII symbols and small letters, without what stands around the operation."""
    if len(text) > MOST_SYMBOLS:
        raise ValueError(f"has more than {MOST_SYMBOLS:,} symbols")
    plain = text.translate(str.maketrans(_SYMBOLS))
    for command, symbol in _COMMANDS:
        plain = command.sub(symbol, plain)
    plain = " ".join(plain.lower().split())
    plain = plain[max(plain.rfind("q:"), 0) :]  # the last question, where examples stand before it
    while found := _BEFORE.match(plain):
        plain = plain[found.end() :]
    return _AFTER.sub("", plain).strip() if ending else plain
