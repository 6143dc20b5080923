"""Reads numbers as people write them, each by a rule; what has two readings is refused with both.

| written                              | read as                                                                      |
|--------------------------------------|------------------------------------------------------------------------------|
| `1234.5`, `.5`                       | the point is the decimal mark                                                |
| `3,5`, `0,125`, `1 234,5`            | a comma that cannot group digits in threes is the decimal mark               |
| `1,234,567`, `1,234.5`, `1 234`      | commas, spaces, apostrophes or underscores group digits in threes            |
| `1.234,5`, `1.234.567`               | points do before a decimal comma, or where there are several                 |
| `1,234`                              | refused: 1234 or 1.234                                                       |
| `1e3`, `2.5E-2`                      | times a power of ten                                                         |
| `twenty-seven`, `six hundred`       | English words, up to 999,999                                                 |
"""

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from bench.datasets.suites import MOST_DIGITS

MOST_PLACES = 20

NUMERAL = r"(?:\d+(?:[ ,.'_]\d+)*|[.,]\d+)\.?(?:e[+-]?\d{1,9}(?!\d))?"
"""What may be a number without a sign, in plain symbols; `readings` says whether it is."""
_SIGN = r"(?:[+-]|(?:negative|minus)\b)\s*"
OPERAND = rf"(?:(?:{_SIGN})?{NUMERAL}|\(\s*(?:{_SIGN})?{NUMERAL}\s*\)|{_SIGN}\(\s*{NUMERAL}\s*\))"
"""The same with a sign or brackets."""
_PARTS = re.compile(rf"\(?\s*(?P<sign>{_SIGN})?\(?\s*(?P<numeral>{NUMERAL})\s*\)?", re.ASCII)

_IN_THREES = r"[1-9]\d{0,2}(?P<by>[ '_MARK])\d{3}(?:(?P=by)\d{3})*"
_POINT = re.compile(rf"(?:\d*|{_IN_THREES.replace('MARK', ',')})(?:\.\d*)?", re.ASCII)
_COMMA = re.compile(rf"(?:\d*|{_IN_THREES.replace('MARK', '.')}),\d+|[1-9]\d{{0,2}}(?:\.\d{{3}}){{2,}}", re.ASCII)

_SYMBOLS = str.maketrans(
    {
        **dict.fromkeys("\u00d7\u00b7\u22c5\u2217\u2219\u2715\u2716\u2a2f", "*"),  # times, dots and asterisk operators
        **dict.fromkeys("\u00f7\u2215\u2044\u2797", "/"),  # division sign, division and fraction slashes
        **dict.fromkeys("\u2212\u2010\u2012\u2013\u2014\u2015\u2796", "-"),  # minus sign, hyphen, dashes
        "\u2795": "+",
        **dict.fromkeys("\u2018\u2019\u02bc\u00b4`", "'"),
        **dict.fromkeys("\u201c\u201d", '"'),
        **dict.fromkeys("$~", " "),
        **dict.fromkeys("\ufe0e\ufe0f", ""),  # say whether the symbol before is drawn as a picture
    }
)
_OTHER_WIDTHS = ("<wide>", "<narrow>", "<small>", "<font>", "<noBreak>")

_ONES = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_TEENS = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_VALUES = {word: value for value, word in enumerate(["zero", *_ONES, *_TEENS])}
_VALUES |= {word: 10 * value for value, word in enumerate(_TENS, start=2)}
_ONE, _TEEN, _TEN = map("|".join, (_ONES, _TEENS, _TENS))
_SMALL = rf"(?:(?:{_TEN})(?:[ -](?:{_ONE}))?|{_TEEN}|{_ONE})"
_HUNDREDS = rf"(?:(?:{_ONE}) hundred(?: (?:and )?{_SMALL})?|{_SMALL})"
_WORDS = re.compile(rf"\b(?:zero|{_HUNDREDS}(?: thousand(?: (?:and )?{_HUNDREDS})?)?)\b")


@dataclass(frozen=True)
class Number:
    """A signed decimal, mantissa / 10**places, with no trailing zero behind the point."""

    mantissa: int
    places: int

    @property
    def value(self) -> Fraction:
        return Fraction(self.mantissa, 10**self.places)


def plain_symbols(text: str) -> str:
    """The text with symbols of other widths and fonts (NFKC), and other signs for an operation, in ASCII.

    Superscripts, `½` and the like stay: NFKC would make other numbers of them.
    """
    widened = text if text.isascii() else "".join(map(_plain_symbol, text))
    return widened.translate(_SYMBOLS)


def words_as_digits(text: str) -> str:
    """The text, in small letters, with digits for the numbers that stand there in English words."""
    return _WORDS.sub(lambda found: str(_value_of(found[0])), text)


def readings(operand: str) -> list[Decimal]:
    """All that an `OPERAND` may say, none where it is no number; the places are those that are shown."""
    parts = _PARTS.fullmatch(operand)
    if parts is None:
        return []
    digits, _, exponent = parts["numeral"].partition("e")
    found = []
    if _POINT.fullmatch(digits):
        found.append(re.sub(r"[ ,'_]", "", digits))
    if _COMMA.fullmatch(digits):
        found.append(re.sub(r"[ .'_]", "", digits).replace(",", "."))
    sign = "-" if (parts["sign"] or "+")[0] in "-nm" else ""
    return [Decimal(f"{sign}{text}e{exponent or 0}") for text in found]


def read_operand(operand: str) -> Number:
    """The number that an `OPERAND` says.

    Raises:
        ValueError: its digits are grouped by no rule, it has two readings, or more than 100 digits before the point or
            20 behind it; the end of a sentence that begins with the text.
    """
    found, shown = readings(operand), operand.strip("() ")[:20]
    if not found:
        raise ValueError(f"has '{shown}', which is no number: digits are grouped in threes, such as 1 234 or 1,234,567")
    if len(found) > 1:
        raise ValueError(f"has '{shown}', which may be {found[0]} or {found[1]}; write it without the comma")
    exponent = found[0].as_tuple().exponent
    assert isinstance(exponent, int)  # it is finite
    digits = "".join(map(str, found[0].as_tuple().digits)).lstrip("0")
    significant = digits.rstrip("0")
    if not significant:
        return Number(0, 0)
    exponent += len(digits) - len(significant)
    if len(significant) + exponent > MOST_DIGITS or -exponent > MOST_PLACES:
        raise ValueError(f"has a number of more than {MOST_DIGITS} digits or {MOST_PLACES} places")
    mantissa = int(significant) * 10 ** max(exponent, 0)
    return Number(-mantissa if found[0].is_signed() else mantissa, max(-exponent, 0))


def _plain_symbol(symbol: str) -> str:
    if symbol.isascii():
        return symbol
    plain = unicodedata.normalize("NFKC", symbol)
    of_other_width = unicodedata.decomposition(symbol).startswith(_OTHER_WIDTHS) and len(plain) == 1
    return plain if of_other_width or plain == " " else symbol


def _value_of(words: str) -> int:
    total = current = 0
    for word in re.findall("[a-z]+", words):
        if word == "thousand":
            total, current = 1000 * current, 0
        elif word == "hundred":
            current *= 100
        else:
            current += _VALUES.get(word, 0)
    return total + current
