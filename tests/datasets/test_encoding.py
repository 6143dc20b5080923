"""Tokenizers and encodings: every problem that can be asked round-trips, at widths that hold the longest."""

import re
from fractions import Fraction
from itertools import product
from math import gcd
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.datasets.encoding import Encoded, Encoding
from bench.datasets.expressions import as_problems, read_expression
from bench.datasets.forms import Form
from bench.datasets.problems import NO_PROBLEMS, SIGNS, Division
from bench.datasets.strata import Stratum, dtype_for
from bench.datasets.suites import load_suite
from bench.datasets.tokenizers import BOS, EOS, MASK, PAD, SPECIAL, TOKENIZERS, DigitChunks

RULES = ("exact", "rounded", "fraction", "remainder")
ALPHABET = "0123456789+-*/=.r"


# --- tokenizers -------------------------------------------------------------------------------------------------------


def rows_of(texts: list[str]) -> Any:
    """Symbols with gaps, as forms make them."""
    width = max(map(len, texts))
    return np.array([list(text.ljust(width, "\0").encode()) for text in texts], dtype=np.uint8)


@pytest.mark.parametrize("name", TOKENIZERS)
@given(texts=st.lists(st.text(ALPHABET, max_size=30), min_size=1, max_size=6))
def test_texts_round_trip(name: str, texts: list[str]) -> None:
    tokenizer = TOKENIZERS[name](ALPHABET)
    for text, ids in zip(texts, tokenizer.encode(rows_of(texts)), strict=True):
        tokens = ids[ids != PAD]
        assert tokenizer.decode([*tokens, EOS, 5]) == text
        assert len(tokens) <= tokenizer.widest(len(text))
        assert not set(tokens.tolist()) & {BOS, EOS, MASK}


@given(st.lists(st.text(ALPHABET, max_size=30), min_size=1, max_size=6))
def test_digit_chunks_are_cut_from_the_left(texts: list[str]) -> None:
    tokenizer = DigitChunks(ALPHABET)
    for text, ids in zip(texts, tokenizer.encode(rows_of(texts)), strict=True):
        assert [tokenizer.vocabulary[token] for token in ids if token] == re.findall(r"\d{1,3}|\D", text)


def test_worked_tokens() -> None:
    def tokens(name: str, text: str) -> list[str]:
        tokenizer = TOKENIZERS[name](ALPHABET)
        return [tokenizer.vocabulary[token] for token in tokenizer.encode(rows_of([text]))[0] if token]

    assert tokens("characters", "-12*7=") == ["-", "1", "2", "*", "7", "="]
    assert tokens("digit-chunks", "1234+56=") == ["123", "4", "+", "56", "="]
    assert tokens("digit-chunks", "0.05=") == ["0", ".", "05", "="]


@pytest.mark.parametrize("name", TOKENIZERS)
def test_vocabulary(name: str) -> None:
    tokenizer = TOKENIZERS[name](ALPHABET)
    assert tokenizer.vocabulary[:4] == SPECIAL
    assert (PAD, BOS, EOS, MASK) == (0, 1, 2, 3)
    assert len(set(tokenizer.vocabulary)) == len(tokenizer.vocabulary) == {"characters": 21, "digit-chunks": 1121}[name]
    assert [tokenizer.vocabulary[token] for token in tokenizer.digit_ids] == list("0123456789")


def test_special_tokens_are_seen_in_what_was_generated() -> None:
    tokenizer = TOKENIZERS["characters"](ALPHABET)
    assert tokenizer.decode([tokenizer.digit_ids[4], MASK, PAD, EOS, tokenizer.digit_ids[2]]) == "4<mask><pad>"
    assert Form("plain").read_answer("4<mask><pad>") == ""


# --- problems as arrays -----------------------------------------------------------------------------------------------


def written(twins: Any, texts: tuple[str, str, str], form: Form, division: Division) -> tuple[str, str]:
    """Prompt and answer in plain Python."""

    def operand(text: str) -> str:
        whole, point, decimals = text.lstrip("-").partition(".")
        width = form.operand_digits if form.operands == "padded" else 1
        return "-" * text.startswith("-") + whole.rjust(width, "0") + point + decimals

    answer = twins.answer(texts, division.rule, division.places)
    return f"{operand(texts[0])}{texts[1]}{operand(texts[2])}=", answer[::-1] if form.answer == "reversed" else answer


def assert_encoded(twins: Any, encoding: Encoding, texts: list[Any], division: Division, dtype: Any = np.int64) -> None:
    """Every problem stands in its row as plain Python writes it, padded as promised."""
    encoded = encoding.encode(twins.columns(texts, dtype))
    n = len(texts)
    assert encoded.prompt.shape == (n, encoding.prompt_width)
    assert encoded.answer.shape == (n, encoding.answer_width)
    ends = encoding.tokenizer.vocabulary.index("=")
    assert (encoded.prompt[:, -1] == ends).all()
    decode, read = encoding.tokenizer.decode, encoding.form.read_answer
    for problem, prompt, answer, tokens in zip(texts, encoded.prompt, encoded.answer, encoded.tokens, strict=True):
        expected_prompt, expected_answer = written(twins, problem, encoding.form, division)
        used = np.count_nonzero(prompt)
        assert decode(prompt[len(prompt) - used :]) == expected_prompt
        length = np.flatnonzero(answer == EOS)[0]
        assert decode(answer) == expected_answer
        assert not answer[length + 1 :].any()
        assert tokens == used + length + 1
        assert read(decode(answer)) == twins.answer(problem, division.rule, division.places)


def extremes(twins: Any, stratum: Stratum, division: Division) -> list[tuple[str, str, str]]:
    """Problems of a stratum whose operands are its smallest, largest, roundest and most crooked."""
    unit, exact = 10**stratum.places, stratum.operation == "/" and division.rule == "exact"
    some_a, some_b = (
        sorted({m for m in (first, first + 1, end - 1, end - 2, end // 3, unit, end - unit) if first <= m < end})
        for first, end in (stratum.a_range, stratum.b_range)
    )
    found = []
    for a, b in product(some_a, some_b):
        if exact:
            step = b // gcd(b, 10**division.places)
            a = a // step * step  # the next dividend below that comes out even
        if a >= stratum.a_range[0] and (unit == 1 or a % 10 or b % 10):
            x, y = (
                twins.plain(Fraction(-m if s == "-" else m, unit)) for m, s in zip((a, b), stratum.signs, strict=True)
            )
            found.append((x, stratum.operation, y))
    return found


@pytest.mark.parametrize(
    ("operation", "rule"), [("+", "exact"), ("-", "exact"), ("*", "exact"), *(("/", rule) for rule in RULES)]
)
def test_widths_hold_the_longest_problem(twins: Any, operation: str, rule: Any) -> None:
    """Each stratum alone, so that no other lends it width or symbols."""
    tried = 0
    for a, b, signs, places in product((1, 2, 3), (1, 2, 3), SIGNS, (0, 1, 3)):
        stratum = Stratum(operation, a, b, signs, places)
        for kept in (0, 1, 3) if operation == "/" and rule in ("exact", "rounded") else (2,):
            division = Division(rule, kept)
            texts = extremes(twins, stratum, division)
            tried += len(texts)
            if texts:
                form = Form("reversed", "padded" if signs == "--" else "plain", 4)
                tokenizer = "digit-chunks" if signs == "-+" else "characters"
                encoding = Encoding([stratum], division, form, tokenizer)
                assert_encoded(twins, encoding, texts, division)
                if operation != "/" and a == b:  # and no wider than the longest
                    assert encoding.answer_width == max(len(twins.answer(text, rule, kept)) for text in texts) + 1
    assert tried > 500


@pytest.mark.parametrize("rule", RULES)
def test_widths_hold_all_problems_of_small_strata(twins: Any, rule: Any) -> None:
    """One digit by one with a place each, and two by one: every problem there is."""
    for operation, (a, b, places) in product("+-*/" if rule == "exact" else "/", ((1, 1, 1), (2, 1, 0))):
        division = Division(rule, 1)
        stratum = Stratum(operation, a, b, "-+", places)
        problems = stratum.all_problems(division, np.dtype(np.int64))
        some = np.random.default_rng(3).permutation(len(problems))[:900]
        texts = [problems.texts(row) for row in some]
        assert_encoded(twins, Encoding([stratum], division, Form("plain"), "characters"), texts, division)


@pytest.mark.parametrize(
    ("operations", "rule"), [*(("+-*/", rule) for rule in RULES), ("+", "exact"), ("*", "exact"), ("/", "rounded")]
)
def test_int64_columns_are_written_without_overflow(twins: Any, operations: str, rule: Any) -> None:
    """At the widest shapes that `dtype_for` still gives to int64, with all operations side by side in one column."""

    def small(a: int, b: int, places: int, kept: int) -> bool:
        strata = [Stratum(operation, a, b, "--", p) for operation in operations for p in (0, places)]
        return dtype_for(strata, Division(rule, kept)) == np.int64

    shapes = product((1, 4, 9, 17), (1, 4, 9, 17), range(9), (0, 2, 5, 8) if "/" in operations else (0,))
    widest = [shape for shape in shapes if small(*shape) and not small(shape[0], shape[1], shape[2] + 1, shape[3])]
    assert len(widest) >= 4
    for a, b, places, kept in widest:
        division = Division(rule, kept)
        strata = [Stratum(operation, a, b, "--", p) for operation in operations for p in {0, places}]
        encoding = Encoding(strata, division, Form(), "characters")
        texts = [text for stratum in strata for text in extremes(twins, stratum, division)]
        assert_encoded(twins, encoding, texts, division)


@pytest.mark.parametrize("rule", RULES)
def test_a_hundred_digits(twins: Any, rule: Any) -> None:
    division = Division(rule, 20)
    strata = [Stratum(operation, a, b, "-+", 20) for operation in "+-*/" for a, b in ((100, 100), (100, 1), (1, 100))]
    for tokenizer in TOKENIZERS:
        encoding = Encoding(strata, division, Form("reversed", "padded", 100), tokenizer)
        texts = [text for stratum in strata for text in extremes(twins, stratum, division)]
        assert_encoded(twins, encoding, texts, division, object)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("operands", ["plain", "padded"])
@pytest.mark.parametrize("answer", ["plain", "reversed"])
@pytest.mark.parametrize("rule", RULES)
def test_every_form_of_a_suite(twins: Any, rule: Any, answer: str, operands: str, tokenizer: str) -> None:
    suite = twins.suite(
        operations=["+", "-", "*", "/"],
        digits=["1x1", "2x1"],
        signs=["+-", "--"],
        places=[0, 2],
        division={"rule": rule, "places": 3},
        form={"answer": answer, "operands": operands, "tokenizer": tokenizer},
        evaluation={"extra_digits": ["4x4"]},
    )
    assert suite.encoding.form.operand_digits == 4  # the longest that is ever asked, not that is trained on
    texts = [text for s in suite.strata((*suite.digits, "4x4")) for text in extremes(twins, s, suite.rule)]
    assert_encoded(twins, suite.encoding, texts, suite.rule)


@pytest.mark.parametrize(
    ("strata", "rule", "alphabet"),
    [
        ([Stratum("+", 1, 1, "++", 0)], "exact", "0123456789+-="),
        ([Stratum("+", 1, 1, "++", 0), Stratum("*", 1, 1, "++", 1)], "exact", "0123456789+-*=."),
        ([Stratum("/", 1, 1, "++", 0)], "exact", "0123456789-/=."),
        ([Stratum("/", 1, 1, "++", 0)], "fraction", "0123456789-/="),
        ([Stratum("/", 1, 1, "++", 0)], "remainder", "0123456789-/=r"),
        ([Stratum("*", 1, 1, "++", 0)], "remainder", "0123456789-*="),
    ],
)
def test_alphabet_holds_what_can_stand_there(strata: list[Stratum], rule: Any, alphabet: str) -> None:
    encoding = Encoding(strata, Division(rule, 2), Form(), "characters")
    assert encoding.tokenizer.vocabulary == SPECIAL + tuple(alphabet)


def test_widths_of_quick(twins: Any) -> None:
    suite = twins.suite(operations=["+", "-", "*", "/"], digits=["1x1", "1x2", "2x1", "2x2"])
    assert (suite.encoding.prompt_width, suite.encoding.answer_width) == (len("-12*-34="), len("-99.25") + 1)
    # -99 / 4 = -24.75: the longest answer leaves just the end token.
    assert_encoded(twins, suite.encoding, [("-99", "/", "4"), ("-99", "*", "-99"), ("0", "+", "0")], suite.rule)


def test_rows_and_tokens(twins: Any) -> None:
    encoding = Encoding([Stratum("+", 2, 2, "++", 0)], Division(), Form(), "characters")
    encoded = encoding.encode(twins.columns([("1", "+", "2"), ("99", "+", "99")], np.int64))
    assert encoded.tokens.tolist() == [len("1+2=") + len("3") + 1, len("99+99=") + len("198") + 1]
    second = encoded.rows(slice(1, 2))
    assert second.prompt.tolist() == encoded.prompt[1:].tolist()
    assert second.answer.tolist() == encoded.answer[1:].tolist()


def test_no_problems_are_encoded_at_full_width() -> None:
    encoding = Encoding([Stratum("+", 2, 2, "++", 0)], Division(), Form(), "characters")
    encoded = encoding.encode(NO_PROBLEMS)
    assert isinstance(encoded, Encoded)
    assert encoded.prompt.shape == (0, encoding.prompt_width)
    assert encoded.answer.shape == (0, encoding.answer_width)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("suite", ["quick", "longer"])
def test_what_cannot_be_written_says_why_and_all_else_can_be(suite: str, tokenizer: str) -> None:
    chosen = load_suite(suite)
    chosen = chosen.model_copy(update={"form": chosen.form.model_copy(update={"tokenizer": tokenizer})})
    problems = chosen.evaluation_set("test").problems
    assert set(chosen.encoding.unwritable(problems)) == {""}
    strange = as_problems([read_expression(text) for text in ("1.5+1", "7/3", "9" * 20 + "+1", "99*99", "-99*99")])
    reasons = chosen.encoding.unwritable(strange)
    if suite == "longer":  # + and - without decimals, prompts of 18 symbols
        assert reasons[0] == "has a prompt with symbols that are not in the alphabet: ."
        assert reasons[1] == "has a prompt with symbols that are not in the alphabet: /"
        assert reasons[3] == reasons[4] == "has a prompt with symbols that are not in the alphabet: *"
    else:
        assert reasons[1] == "has a quotient of more than 2 places (division: exact, to 2 places at most)"
        assert reasons[0] == reasons[3] == reasons[4] == ""
    if tokenizer == "characters":
        width = chosen.encoding.prompt_width
        assert reasons[2] == f"has a prompt of 23 tokens, and the widest is {width}"


def test_an_answer_may_be_too_wide_though_its_prompt_fits() -> None:
    suite = load_suite("longer")
    problem = as_problems([read_expression("9" * 15 + "+1")])
    assert suite.encoding.unwritable(problem) == ["has an answer of 16 tokens, and the widest is 9"]
