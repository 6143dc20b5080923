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

from bench.datasets.expressions import as_problems, read_expression
from bench.datasets.problems import NO_PROBLEMS, SIGNS, Division
from bench.datasets.strata import Stratum, dtype_for
from bench.datasets.suites import load_suite
from bench.datasets.writing.encoding import Encoded, Encoding
from bench.datasets.writing.forms import TEXTS, Form
from bench.datasets.writing.tokenizers import (
    BOS,
    EOS,
    MASK,
    PAD,
    SPECIAL,
    TOKENIZERS,
    BytePair,
    Characters,
    DigitChunks,
)

RULES = ("exact", "rounded", "fraction", "remainder")
ALPHABET = "0123456789+-*/=.r"
GOLDEN_PAIRS = (" (", " +", r" \times", ") ", " (-", " + ", " + (-", r" \times ")


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
        assert len(tokens) <= len(text)
        assert not set(tokens.tolist()) & {BOS, EOS, MASK}


@given(st.lists(st.text(ALPHABET, max_size=30), min_size=1, max_size=6))
def test_digit_chunks_are_cut_from_the_left(texts: list[str]) -> None:
    tokenizer = DigitChunks(ALPHABET)
    for text, ids in zip(texts, tokenizer.encode(rows_of(texts)), strict=True):
        assert [tokenizer.vocabulary[token] for token in ids if token] == re.findall(r"\d{1,3}|\D", text)


@given(texts=st.lists(st.text(ALPHABET + ",:", max_size=30), min_size=1, max_size=6))
def test_byte_pairs_round_trip_whatever_they_learnt_from(texts: list[str]) -> None:
    tokenizer = BytePair(ALPHABET + ",:", [rows_of(["123+-45=", "123*-45=", "1.23/-4=", "123:123"] * 9)], 40)
    assert tokenizer.vocabulary[:4] == SPECIAL
    assert len(set(tokenizer.vocabulary)) == len(tokenizer.vocabulary)
    assert {"123", "45"} < set(tokenizer.vocabulary)
    for text, ids in zip(texts, tokenizer.encode(rows_of(texts)), strict=True):
        tokens = ids[ids != PAD]
        assert tokenizer.decode([*tokens, EOS, 5]) == text
        assert len(tokens) <= len(text)
        assert not set(tokens.tolist()) & {BOS, EOS, MASK}
        alone = [token for token in map(tokenizer.vocabulary.__getitem__, tokens) if set(token) & set("=,:")]
        assert set(alone) <= set("=,:")


def test_byte_pairs_are_learnt_the_same_every_time(twins: Any) -> None:
    """Golden: another version of the package that learns otherwise is another tokenizer, and changes results."""
    form = {"notation": "latex", "answer": "plain", "tokenizer": "byte-pair", "vocabulary": 64}
    tokenizers = [twins.suite(operations=["+", "*"], form=form).encoding.tokenizer for _ in range(2)]
    assert tokenizers[0].file == tokenizers[1].file
    assert tokenizers[0].vocabulary == tokenizers[1].vocabulary
    assert tokenizers[0].vocabulary[:29] == (*SPECIAL, *" ()+-0123456789=", r"\times", *GOLDEN_PAIRS)
    assert len(tokenizers[0].vocabulary) == 64
    assert [tokenizers[0].vocabulary[token] for token in tokenizers[0].digit_ids] == list("0123456789")


def test_byte_pairs_see_no_problem_of_test_or_validation(twins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(BytePair, "__init__", lambda self, alphabet, texts, size: seen.extend(map(read, texts[0])))
    suite = twins.suite(digits=["1x1"], signs=["++"], form={"tokenizer": "byte-pair", "vocabulary": 64})
    suite._make_tokenizer("")
    assert len(seen) == 20_000
    assert {twins.split((text[0], "+", text[2])) for text in seen} == {"train"}


def read(row: Any) -> str:
    return "".join(TEXTS[code] for code in row if code)


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
        assert encoding.tokenize(expected_answer) == answer[:length].tolist()
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
                tokenizer = DigitChunks if signs == "-+" else Characters
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
        assert_encoded(twins, Encoding([stratum], division, Form("plain"), Characters), texts, division)


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
        encoding = Encoding(strata, division, Form(), Characters)
        texts = [text for stratum in strata for text in extremes(twins, stratum, division)]
        assert_encoded(twins, encoding, texts, division)


@pytest.mark.parametrize("rule", RULES)
def test_a_hundred_digits(twins: Any, rule: Any) -> None:
    division = Division(rule, 20)
    strata = [Stratum(operation, a, b, "-+", 20) for operation in "+-*/" for a, b in ((100, 100), (100, 1), (1, 100))]
    for tokenizer in TOKENIZERS:
        encoding = Encoding(strata, division, Form("reversed", "padded", 100), TOKENIZERS[tokenizer])
        texts = [text for stratum in strata for text in extremes(twins, stratum, division)]
        assert_encoded(twins, encoding, texts, division, object)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize(
    ("answer", "operands"),
    [
        *(("plain", "plain"), ("reversed", "padded")),
        *(pytest.param(*pair, marks=pytest.mark.torture) for pair in (("plain", "padded"), ("reversed", "plain"))),
    ],
)
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


def test_symbols_decide_whatever_tokens_they_are_written_in(twins: Any) -> None:
    """`495` is one token of a target, and three of whoever writes digit by digit."""
    encoding = twins.suite(digits=["3x3"], form={"answer": "plain", "tokenizer": "digit-chunks"}).encoding
    encoded = encoding.encode(twins.columns([("128", "+", "367")] * 3))
    vocabulary = encoding.tokenizer.vocabulary
    rows = np.zeros_like(encoded.answer)
    for row, tokens in enumerate((["4", "9", "5", "<eos>"], ["4", "9", "6", "<eos>"], ["4", "9", "5", "4", "9"])):
        rows[row, : len(tokens)] = [vocabulary.index(token) for token in tokens]
    assert encoded.right(rows).tolist() == [True, False, False]
    assert encoded.right(encoded.answer).all()


@pytest.mark.parametrize("tokenizer", ["characters", "digit-chunks", "byte-pair"])
@pytest.mark.parametrize("notation", ["ascii", "latex"])
@pytest.mark.parametrize("workings", ["none", "scratchpad", "scratchpad-sums"])
@pytest.mark.parametrize("digits", ["plain", "padded"])
def test_every_form_holds_every_problem(
    twins: Any, monkeypatch: pytest.MonkeyPatch, notation: str, workings: str, digits: str, tokenizer: str
) -> None:
    """At widths that the longest one fills; what is decoded is what the form wrote (`test_forms` reads that)."""
    monkeypatch.setattr("bench.datasets.suites.TEXTS_TO_LEARN_FROM", 200)
    for rule in ("rounded", "exact", "fraction", "remainder"):
        if digits == "padded" and rule in ("fraction", "remainder"):
            continue
        suite = twins.suite(
            operations=["+", "-", "*", "/"],
            digits=["1x1", "2x1"],
            signs=["+-", "--"],
            places=[0, 1],
            division={"rule": rule, "places": 2},
            form={
                **{"answer": "plain", "operands": digits, "answer_digits": digits, "notation": notation},
                **{"workings": workings, "tokenizer": tokenizer},
                **({"vocabulary": 80} if tokenizer == "byte-pair" else {}),
            },
            evaluation={"extra_digits": ["1x3"]},
        )
        encoding, form = suite.encoding, suite.encoding.form
        texts = [text for s in suite.strata((*suite.digits, "1x3")) for text in extremes(twins, s, suite.rule)]
        problems = twins.columns(texts, np.int64)
        encoded = encoding.encode(problems)
        targets = form.targets(problems, suite.rule)
        for row, (prompt, target) in enumerate(zip(form.prompts(problems), targets, strict=True)):
            assert encoding.tokenizer.decode(encoded.prompt[row][encoded.prompt[row] > 0]) == read(prompt)
            assert encoding.tokenizer.decode(encoded.answer[row]) == read(target)
            assert form.read_answer(read(target)) == twins.answer(texts[row], suite.rule.rule, 2)
        assert encoded.right(encoded.answer).all()
        if tokenizer == "characters":
            assert np.count_nonzero(encoded.prompt, axis=1).max() == encoding.prompt_width
            if workings == "none":  # of the others `test_workings` tries all problems
                assert np.count_nonzero(encoded.answer, axis=1).max() >= encoding.answer_width - 2


@pytest.mark.parametrize(
    "form",
    [
        Form("plain", notation="latex"),
        Form("reversed", workings="scratchpad"),
        Form("plain", "padded", 4, 9, "latex", "scratchpad"),
        Form("plain", workings="scratchpad-sums"),
    ],
    ids=str,
)
def test_widths_of_every_form_hold_the_longest_problem(twins: Any, form: Form) -> None:
    """Each stratum alone. Products of the largest operands and sums with a last carry fill all of it."""
    asked = [("+", "exact"), ("-", "exact"), ("*", "exact")]
    asked += [("/", rule) for rule in RULES]
    for (operation, rule), a, b, signs, places in product(asked, (1, 2, 3), (1, 2), SIGNS, (0, 1)):
        division = Division(rule, 2)  # type: ignore[arg-type]
        stratum = Stratum(operation, a, b, signs, places)
        texts = extremes(twins, stratum, division)
        if not texts:
            continue
        encoding, problems = Encoding([stratum], division, form, Characters), twins.columns(texts, np.int64)
        encoded, targets = encoding.encode(problems), form.targets(problems, division)
        for row, target in zip(encoded.answer, targets, strict=True):
            assert encoding.tokenizer.decode(row) == read(target)
        if operation != "/":
            assert encoded.prompt.all(axis=1).any()
        if operation == "*" or (operation != "/" and a == b):
            assert encoded.answer.all(axis=1).any()


def test_an_answer_behind_workings_is_right_by_itself(twins: Any) -> None:
    form = Form("plain", workings="scratchpad")
    encoding = Encoding([Stratum("+", 2, 2, "++", 0)], Division(), form, Characters)
    encoded = encoding.encode(twins.columns([("58", "+", "67")] * 7, np.int64))

    def ids(text: str, end: bool = True) -> list[int]:
        tokens = [encoding.tokenizer.vocabulary.index(symbol) for symbol in text] + [EOS] * end
        return tokens + [PAD] * (encoding.answer_width - len(tokens))

    generated = ["51,21:125", "50,11:125", ":125", "51,21:115", "51,21,125", "5:125:125"]
    rows = np.array([*map(ids, generated), ids("51,21:125", end=False)])
    assert encoded.right(rows).tolist() == [True, True, True, False, False, False, False]
    assert encoded.rows(slice(1, 3)).right(rows[1:3]).tolist() == [True, True]
    plain = Encoding([Stratum("+", 2, 2, "++", 0)], Division(), Form(), Characters).encode(
        twins.columns([("58", "+", "67")], np.int64)
    )
    assert plain.right(plain.answer).tolist() == [True]
    assert plain.right(np.roll(plain.answer, 1)).tolist() == [False]


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
    encoding = Encoding(strata, Division(rule, 2), Form(), Characters)
    assert encoding.tokenizer.vocabulary == SPECIAL + tuple(alphabet)


def test_alphabet_of_latex() -> None:
    form = Form(notation="latex", workings="scratchpad")
    strata = [Stratum(operation, 1, 1, signs, 0) for operation in "-*/" for signs in ("+-", "++")]
    encoding = Encoding(strata, Division("remainder", 2), form, Characters)
    commands = [*"0123456789-", r"\times", r"\frac", *"{}=", r"\mathrm{r}", *" (),:"]
    assert encoding.tokenizer.vocabulary == (*SPECIAL, *commands)
    assert not set("()") & set(Encoding(strata[4:], Division(), form, Characters).tokenizer.vocabulary)


def test_widths_of_quick(twins: Any) -> None:
    suite = twins.suite(operations=["+", "-", "*", "/"], digits=["1x1", "1x2", "2x1", "2x2"])
    assert (suite.encoding.prompt_width, suite.encoding.answer_width) == (len("-12*-34="), len("-99.25") + 1)
    # -99 / 4 = -24.75: the longest answer leaves just the end token.
    assert_encoded(twins, suite.encoding, [("-99", "/", "4"), ("-99", "*", "-99"), ("0", "+", "0")], suite.rule)


def test_rows_and_tokens(twins: Any) -> None:
    encoding = Encoding([Stratum("+", 2, 2, "++", 0)], Division(), Form(), Characters)
    encoded = encoding.encode(twins.columns([("1", "+", "2"), ("99", "+", "99")], np.int64))
    assert encoded.tokens.tolist() == [len("1+2=") + len("3") + 1, len("99+99=") + len("198") + 1]
    second = encoded.rows(slice(1, 2))
    assert second.prompt.tolist() == encoded.prompt[1:].tolist()
    assert second.answer.tolist() == encoded.answer[1:].tolist()


def test_no_problems_are_encoded_at_full_width() -> None:
    encoding = Encoding([Stratum("+", 2, 2, "++", 0)], Division(), Form(), Characters)
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


FORMS: dict[str, dict[str, Any]] = {
    "latex": {"notation": "latex", "answer": "plain"},
    "scratchpad": {"workings": "scratchpad", "tokenizer": "digit-chunks"},
    "padded": {"operands": "padded", "answer_digits": "padded"},
    "byte-pair": {"notation": "latex", "workings": "scratchpad", "tokenizer": "byte-pair", "vocabulary": 48},
}


@pytest.mark.parametrize("form", FORMS)
def test_problems_from_elsewhere_are_written_in_every_form_as_those_of_the_suite(form: str, twins: Any) -> None:
    """Theirs come in columns of unbounded integers, and what a model is shown is read back as the same problem."""
    suite = twins.suite(operations=["+", "-", "*"], digits=["1x1", "2x1"], places=[0, 1], form=FORMS[form])
    problems, encoding = suite.evaluation_set("test").problems, suite.encoding
    encoded = encoding.encode(problems)
    texts = [encoding.tokenizer.decode(row[row != PAD]) for row in encoded.prompt]
    same = as_problems([read_expression(text) for text in texts])
    assert [same.texts(row) for row in range(len(same))] == [problems.texts(row) for row in range(len(problems))]
    again = encoding.encode(same)
    assert np.array_equal(again.prompt, encoded.prompt)
    assert np.array_equal(again.answer, encoded.answer)
    assert set(encoding.unwritable(same)) == {""}
    strange = as_problems([read_expression(text) for text in ("6/4", "9" * 40 + "+1")])
    quotient, long = encoding.unwritable(strange)
    unknown = r"{ } \frac" if "latex" in FORMS[form].values() else "/"
    assert quotient == f"has a prompt with symbols that are not in the alphabet: {unknown}"
    assert long.startswith("has a prompt of ")


def test_workings_may_be_too_wide_though_prompt_and_answer_fit(twins: Any) -> None:
    suite = twins.suite(operations=["*"], digits=["3x1"], signs=["++"], form={"workings": "scratchpad"})
    reasons = suite.encoding.unwritable(as_problems([read_expression("345*2"), read_expression("2*345")]))
    assert reasons == ["", f"has an answer with workings of {len('01,08,006:096')} tokens, and the widest is 9"]
