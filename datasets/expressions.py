"""Reads an operation on two numbers, such as `-12 * 7`, from the ways in which people write it.

| way   | examples                                                                                   |
|-------|--------------------------------------------------------------------------------------------|
| plain | `-12 * 7`, `12 x 7`, `12 ÷ 5 = ?`, `5 - (-3)`                                              |
| LaTeX | `-12 \\times 7`, `3 \\cdot 4`, `\\frac{12}{5}`, `\\frac12`, `$-\\frac{1}{2} =$`                 |
| words | `What is 95 plus 45?`, `Subtract 3 from 10.`, `Calculate: five times three`                |

`numerals` has the rules for numbers and symbols. Where examples with their answers come first, the last question
counts.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from bench.datasets.decimals import canonical
from bench.datasets.numerals import NUMERAL, OPERAND, Number, plain_symbols, read_operand, words_as_digits
from bench.datasets.problems import NO_PROBLEMS, OPERATIONS, Problems

MOST_SYMBOLS = 1000
"""Of one expression, from its last question on; the longest numbers and the words around them need fewer."""

_COMMANDS = (  # of LaTeX
    (re.compile(r"\\(?:times|cdot|ast)(?![a-z])"), "*"),
    (re.compile(r"\\(?:div|over)(?![a-z])"), "/"),
    (re.compile(r"\\(?:left|right|q?quad|displaystyle)(?![a-z])|\\[,;:! ()\[\]]"), " "),
    (re.compile(r"\\(?:mathrm|text)\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\{([,.])\}"), r"\1"),
    (re.compile(r"\\[cdt]?frac(?![a-z])\s*(?:\{([^{}]*)\}|(\d))\s*(?:\{([^{}]*)\}|(\d))"), r"(\1\2)/(\3\4)"),
    (re.compile(r"\{"), "("),
    (re.compile(r"\}"), ")"),
)
_ASKED = r"\b(?:q|question|problem|exercise|task|query|prompt|instruction|input|user|human)"
_ANSWERED = r"\b(?:a|answer|solution|result|response|output|assistant)\**:\**"
_QUESTION = re.compile(rf"{_ASKED}\s*\d*\**:\**")
_SOLVED = re.compile(r".*(?:[=?]|\bis|\bequals)\s*[+-]?[\d.,/ ]*\d\.?", re.ASCII)
_BEFORE = re.compile(
    r"(?:please|(?:can|could) you|tell me|what(?:'s|s| is| are| does)|how much (?:is|are)|calculate|compute|evaluate|"
    r"work out|find|solve|simplify|determine|give(?: me)?|(?:the )?(?:value|result|answer) (?:of|to)|answer|"
    r"the following(?: [a-z]+)?|(?:this|the) (?:calculation|equation|exercise|expression|problem|question|task))\b"
    r"\s*(?::|\.(?!\d))?\s*"
)
_AFTER = re.compile(rf"(?:[\s?.,=_:#]|\bplease\b|\bequals?\b|\bequal to\b|\bis\b|{_ANSWERED})+$")
_AROUND = re.compile(r"(?P<quote>\*\*|['\"])(?P<quoted>.*)(?P=quote)|\((?P<inside>(?:[^()]|\([^()]*\))*)\)", re.DOTALL)

_WORDS = {
    **{"plus": "+", "added to": "+", "minus": "-", "take away": "-", "times": "*", "x": "*"},
    **{"multiplied by": "*", "divided by": "/", "over": "/"},
}
_NO_SUM = r"(?!\s*(?:\+|-\s))"
"""Behind x: `3x+4` and `3x - 4` are no products."""
_PHRASES = (
    ("(?:add|add together|put together|sum|(?:the )?sum of|(?:the )?total of) {A} (?:and|to) {B}", "+"),
    ("(?:subtract|take) {B} from {A}", "-"),
    ("{B} (?:less than|subtracted from) {A}", "-"),
    ("(?:multiply|(?:the )?product of) {A} (?:and|by|with) {B}", "*"),
    ("divide {A} by {B}", "/"),
    ("(?:the )?quotient of {A} and {B}", "/"),
)
_KNOWN_WORDS = set(re.findall("[a-z]+", " ".join([*_WORDS, *(phrase for phrase, _ in _PHRASES)])))


def _pattern(phrase: str) -> re.Pattern[str]:
    return re.compile(phrase.replace(" ", r"\s").format(A=f"(?P<a>{OPERAND})", B=f"(?P<b>{OPERAND})"), re.ASCII)


_PATTERNS = (
    *((_pattern(rf"{{A}}\s*{re.escape(op)}\s*{{B}}"), op) for op in OPERATIONS),
    *((_pattern(rf"{{A}}\s*{word}{_NO_SUM if word == 'x' else ''}\s*{{B}}"), op) for word, op in _WORDS.items()),
    *((_pattern(phrase), op) for phrase, op in _PHRASES),
)
_DIFFERENCE = _pattern("(?:the )?(?:difference|distance) (?:between|of) {A} and {B}")
_OPERAND = re.compile(OPERAND, re.ASCII)
_STRANGE = re.compile(r"\\[a-z]+|[a-z]+|\*\*|//|[^\s\d+\-*/().,='\"]", re.ASCII)


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
        ValueError: it is no operation on two numbers, divides by zero, or a number is too long or has two readings; the
            end of a sentence that begins with the text, and names what is not read.
    """
    plain = _bare(_last_question(plain_text(text)))
    for pattern, op in _PATTERNS:
        if found := pattern.fullmatch(plain):
            return operate(read_operand(found["a"]), op, read_operand(found["b"]))
    if found := _DIFFERENCE.fullmatch(plain):
        larger, smaller = sorted(
            (read_operand(found["a"]), read_operand(found["b"])), key=attrgetter("value"), reverse=True
        )
        return operate(larger, "-", smaller)
    raise ValueError(_what_is_not_read(plain))


def read_operation(text: str) -> str:
    """+, -, * or /, from a symbol, a LaTeX command or a word. Raises ValueError where it is none."""
    plain = plain_text(text)
    op = _WORDS.get(plain, plain)
    if len(op) != 1 or op not in OPERATIONS:
        raise ValueError(f"has the operation {text.strip()[:20]!r}, not one of + - * /")
    return op


def read_number(text: str) -> Number:
    """A number, by the rules of `numerals`; it may have brackets around it.

    Raises:
        ValueError: it is none, has two readings, or has more than 100 digits before the point or 20 behind it.
    """
    plain = plain_text(text)
    if not _OPERAND.fullmatch(plain):
        raise ValueError(f"has {text.strip()[:20]!r} where a number must stand")
    return read_operand(plain)


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


def plain_text(text: str) -> str:
    """The text in ASCII symbols, small letters and digits, without LaTeX.

    Its spaces are single ones, which may group digits, or a line break where a tab or a line break stood.

    Raises:
        ValueError: it has more than 1,000 symbols from its last question on.
    """
    plain = plain_symbols(text).lower()
    if len(plain) > MOST_SYMBOLS:
        plain = _last_question(plain)
    if len(plain) > MOST_SYMBOLS:
        raise ValueError(f"has more than {MOST_SYMBOLS:,} symbols")
    for command, symbol in _COMMANDS:
        plain = command.sub(symbol, plain)
    plain = re.sub(r"\s+", lambda space: "\n" if {"\n", "\t"} & set(space[0]) else " ", plain.strip())
    return words_as_digits(plain)


def _last_question(plain: str) -> str:
    """What is asked last, behind `Question:`, or in the last line where all lines before have their answers."""
    *_, start = (0, *(found.end() for found in _QUESTION.finditer(plain)))
    *before, last = plain[start:].strip().split("\n")
    return last if before and all(map(_SOLVED.fullmatch, before)) else plain[start:]


def _bare(plain: str) -> str:
    """The text without what stands around the operation."""
    shorter = ""
    while plain != shorter:
        shorter, plain = plain, _AFTER.sub("", plain).strip()
        if found := _BEFORE.match(plain):
            plain = plain[found.end() :]
        if found := _AROUND.fullmatch(plain):
            plain = (found["quoted"] or found["inside"] or "").strip()
    return plain


def _what_is_not_read(plain: str) -> str:
    """Why a text that is no operation on two numbers is none."""
    none = "is no operation on two numbers, such as -12 * 7"
    if re.search(_ANSWERED, plain):
        return f"{none}: its last question has an answer"
    strange = [found[0] for found in _STRANGE.finditer(plain) if found[0] not in _KNOWN_WORDS]
    if strange:
        symbol = strange[0] if strange[0].isprintable() else ascii(strange[0])[1:-1]
        name = "" if symbol.isascii() and strange[0].isascii() else f" ({unicodedata.name(strange[0], 'no name')})"
        return f"{none}: '{symbol}'{name} is not read"
    before, equals, behind = plain.partition("=")
    if equals:
        return f"{none}: '{behind.strip()}' stands behind ="
    first, *others = re.split(NUMERAL, before, flags=re.ASCII)
    if len(others) > 2:
        return f"has {len(others)} numbers, not two"
    if len(others) < 2:
        return f"{none}: it has {'one' if others else 'no'} number"
    between, last = others
    is_operation = any(pattern.fullmatch(f"1{between}1") for pattern, _ in _PATTERNS)
    left = " ".join((max(first, last, key=len) if is_operation else between).split()) or ascii(before)[1:-1]
    return f"{none}: '{left[:20]}' is not read"
