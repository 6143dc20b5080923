"""Suite files: the shipped ones load and read well; others are refused in one line that names file, key and rule."""

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest

from bench.datasets.shipped import SUITES, suite_names
from bench.datasets.suites import Suite, load_suite, suite_of_content
from bench.datasets.writing.tokenizers import BytePair

GOOD: dict[str, Any] = {
    "name": "mine",
    "version": 1,
    "summary": "sums and quotients",
    "operations": ["+", "/"],
    "digits": ["1x1", "2x1"],
    "signs": ["++", "-+"],
    "places": [0, 1],
    "division": {"rule": "rounded", "places": 2},
    "form": {
        "answer": "reversed",
        "operands": "plain",
        "answer_digits": "plain",
        "notation": "latex",
        "workings": "none",
        "tokenizer": "byte-pair",
        "vocabulary": 99,
    },
    "evaluation": {"per_stratum": 10, "seen": 2, "extra_digits": ["3x3"]},
    "defaults": {
        "budget": "examples=1k",
        "parameters": 1000,
        "seeds": 2,
        "batch": 64,
        "training_problems": 500,
        "settings": {"layers": 2, "lr": 0.01, "norm": "rms", "tied": True},
    },
}


def toml(value: Any) -> str:
    """A value in TOML; tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return (
        json.dumps(value).lower()
        if isinstance(value, bool)
        else {"nan": "nan", "inf": "inf"}.get(str(value), json.dumps(value))
    )


def document(content: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(key)} = {toml(value)}\n" for key, value in content.items())


def changed(where: str, value: Any) -> dict[str, Any]:
    """GOOD with one key set, as 'division.rule', or left out where the value is None."""
    content = copy.deepcopy(GOOD)
    *path, last = where.split(".")
    section = content
    for key in path:
        section = section[key]
    section.pop(last, None)
    if value is not None:
        section[last] = value
    return content


@pytest.fixture(autouse=True)
def few_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokenizers learn in a hundredth of the time."""
    monkeypatch.setattr("bench.datasets.suites.TEXTS_TO_LEARN_FROM", 200)


@pytest.fixture
def load(tmp_path: Path) -> Any:
    """Loads a suite from its content or text."""
    path = tmp_path / "mine.toml"

    def load(content: dict[str, Any] | str | bytes) -> Suite:
        text = document(content) if isinstance(content, dict) else content
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        suite_of_content.cache_clear()  # so that what a test changes beside the content counts
        return load_suite(str(path))

    return load


def refusal(load: Any, content: Any) -> str:
    """What is said of an impossible suite, after the name of the file."""
    with pytest.raises(ValueError, match=r"suite file '.*mine\.toml'") as caught:
        load(content)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message.partition("mine.toml'")[2].removeprefix(":").strip()


# --- the shipped suites -----------------------------------------------------------------------------------------------

STRATA = {
    **{"addition2": 16, "addition3": 1, "addition3-padded": 1, "addition3-plain": 1, "addition3-scratchpad": 1},
    **{"large": 432, "latex": 64, "longer": 32, "products3": 36, "products3-sums": 36, "standard": 432},
    **{"quick": 64, "quick-scratchpad": 64, "quick-sums": 64},
}


def test_names() -> None:
    assert suite_names() == sorted(STRATA)


@pytest.mark.parametrize(("name", "strata"), STRATA.items())
def test_shipped_suites(name: str, strata: int) -> None:
    suite = load_suite(name)
    assert suite.name == name
    assert len(suite.strata()) == len(set(suite.strata())) == strata
    text = (SUITES / f"{name}.toml").read_text()
    assert len(text.splitlines()) <= 40
    assert max(map(len, text.splitlines())) <= 120
    assert 0 < len(suite.summary) < 120
    block = suite.stream(0).block(0)
    encoded = suite.encoding.encode(block)
    assert encoded.prompt.shape == (len(block), suite.encoding.prompt_width)


def test_large_asks_what_standard_asks() -> None:
    standard, large = load_suite("standard"), load_suite("large")
    assert standard.key == large.key
    assert standard.hash != large.hash


def test_content_survives(load: Any) -> None:
    assert load(GOOD).model_dump(mode="json") == GOOD


def test_defaults(load: Any) -> None:
    least = {key: GOOD[key] for key in ("name", "version", "summary", "operations", "digits")}
    suite = load({**least, "defaults": {"budget": "examples=1k", "parameters": 1000}})
    assert (suite.signs, suite.places) == (("++", "+-", "-+", "--"), (0,))
    assert (suite.division.rule, suite.division.places) == ("exact", 2)
    assert (suite.form.answer, suite.form.operands, suite.form.tokenizer) == ("reversed", "plain", "characters")
    assert (suite.evaluation.per_stratum, suite.evaluation.seen, suite.evaluation.extra_digits) == (100, 20, ())
    assert (suite.defaults.seeds, suite.defaults.batch, suite.defaults.training_problems) == (3, 256, None)


def test_padded_answers_are_one_number(load: Any) -> None:
    content = changed("form.answer_digits", "padded") | {"division": {"rule": "fraction"}}
    assert refusal(load, content) == "form.answer_digits 'padded' fits one number, not those of division 'fraction'"


def test_the_missing_package_is_named(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BytePair, "PACKAGE", "no_such_package")
    assert refusal(load, GOOD).startswith("form: tokenizer 'byte-pair' needs the package tokenizers, which is not")


def test_forms_of_addition3_ask_the_same_problems() -> None:
    """So that their study compares forms and nothing else."""
    names = [name for name in suite_names() if name.startswith("addition3")]
    suites = [load_suite(name) for name in names]
    assert len(suites) == 4
    assert len({suite.key for suite in suites}) == 1
    assert len({suite.evaluation_set("test").hash for suite in suites}) == 1
    assert all(suite.defaults == suites[0].defaults for suite in suites)


def test_hashes_that_runs_and_presets_state_never_change() -> None:
    """Settings that came later are in a hash only where they are used."""
    assert load_suite("quick").hash == "f785d227e15d30571b4201ac5093c5672b274127f31f4740ec7f2659e915be69"


def test_what_a_tokenizer_learnt_is_in_the_hash(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = {load(GOOD).hash, load(GOOD).hash}
    monkeypatch.setattr("bench.datasets.suites.TEXTS_TO_LEARN_FROM", 50)
    assert load(GOOD).hash not in hashes
    assert len(hashes) == 1


def test_strata_stand_in_order(load: Any) -> None:
    suite = load(changed("operations", ["/", "+"]))
    assert [str(s) for s in suite.strata()[:5]] == [
        "+ 1x1 ++ 0",
        "+ 1x1 ++ 1",
        "+ 1x1 -+ 0",
        "+ 1x1 -+ 1",
        "+ 2x1 ++ 0",
    ]
    assert [s.operation for s in suite.strata()] == ["+"] * 8 + ["/"] * 8
    assert {s.digits for s in suite.strata(("3x3",))} == {"3x3"}


@pytest.mark.parametrize(
    ("where", "value"),
    [("operations", ["+"]), ("digits", ["1x1"]), ("signs", ["++"]), ("places", [0]), ("division.places", 3)],
)
def test_keys_name_the_problems(load: Any, where: str, value: Any) -> None:
    changes = changed(where, value)
    assert load(changes).key != load(GOOD).key
    assert load(changes).hash != load(GOOD).hash


@pytest.mark.parametrize(
    ("where", "value"),
    [("name", "other"), ("form.answer", "plain"), ("evaluation.seen", 3), ("defaults.batch", 3), ("summary", "else")],
)
def test_keys_name_nothing_but_the_problems(load: Any, where: str, value: Any) -> None:
    changes = changed(where, value)
    assert load(changes).key == load(GOOD).key
    assert load(changes).hash != load(GOOD).hash


# --- what is refused --------------------------------------------------------------------------------------------------


def test_an_amount_may_be_written_with_an_exponent(load: Any) -> None:
    written, plain = load(changed("defaults.parameters", 1e5)), load(changed("defaults.parameters", 100_000))
    assert isinstance(written.defaults.parameters, int)
    assert written.hash == plain.hash


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("sings", ["++"], "unknown key 'sings'; did you mean 'signs'?"),
        ("division.rul", "exact", "unknown key 'division.rul'; did you mean 'rule'?"),
        ("form.answr", "plain", "unknown key 'form.answr'; did you mean 'answer'?"),
        ("defaults.zzz", 1, "unknown key 'defaults.zzz'; known: budget, parameters, seeds, batch, "),
        ("with\nbreak", 1, "unknown key 'with break'; known: name, "),
        ("version", None, "version is missing; an example: version = 1"),
        (
            "defaults",
            None,
            'defaults is missing; an example: [defaults] with budget = "examples=50k" and parameters = ',
        ),
        ("defaults.budget", None, 'defaults.budget is missing; an example: budget = "examples=50k"'),
        ("defaults.parameters", 1.5e3 + 0.5, "defaults.parameters: Input should be a valid integer (given: 1500.5)"),
        ("name", "Mine", "name: String should match pattern"),
        ("name", 3, "name: Input should be a valid string (given: 3)"),
        ("version", True, "version: Input should be a valid integer (given: True)"),
        ("version", 0, "version: Input should be greater than or equal to 1 (given: 0)"),
        ("version", "1", "version: Input should be a valid integer (given: '1')"),
        ("operations", [], "operations: Tuple should have at least 1 item"),
        ("operations", "+", "operations: Input should be a valid array (given: '+')"),
        ("operations", ["+", "%"], "operations.1: Input should be '+', '-', '*' or '/' (given: '%')"),
        ("operations", ["+", "/", "+"], "operations: + stands there twice"),
        ("digits", ["1x1", "1x1"], "digits: 1x1 stands there twice"),
        ("digits", ["0x1"], "digits.0: String should match pattern"),
        ("digits", ["1x01"], "digits.0: String should match pattern"),
        ("digits", ["1x1x1"], "digits.0: String should match pattern"),
        ("digits", ["2x٣"], "digits.0: String should match pattern"),
        ("digits", [11], "digits.0: Input should be a valid string (given: 11)"),
        ("digits", ["101x1"], "digits '101x1': at most 100 digits an operand"),
        ("evaluation.extra_digits", ["1x999"], "digits '1x999': at most 100 digits an operand"),
        ("evaluation.extra_digits", ["2x1"], "evaluation.extra_digits: 2x1 is trained on, so not extra"),
        ("evaluation.extra_digits", ["3x1", "3x1"], "evaluation.extra_digits: 3x1 stands there twice"),
        ("evaluation.per_stratum", 0, "evaluation.per_stratum: Input should be greater than or equal to 1"),
        ("evaluation.seen", -1, "evaluation.seen: Input should be greater than or equal to 0 (given: -1)"),
        ("signs", ["+"], "signs.0: Input should be '++', '+-', '-+' or '--' (given: '+')"),
        ("places", [-1], "places.0: Input should be greater than or equal to 0 (given: -1)"),
        ("places", [21], "places.0: Input should be less than or equal to 20 (given: 21)"),
        ("places", [0.0], "places.0: Input should be a valid integer (given: 0.0)"),
        ("places", [1, 1], "places: 1 stands there twice"),
        ("division", 3, "division: Input should be an object (given: 3)"),
        ("division.rule", "round", "division.rule: Input should be 'exact', 'fraction', 'rounded' or 'remainder'"),
        ("division.places", -1, "division.places: Input should be greater than or equal to 0"),
        ("form.tokenizer", "bpe", "form.tokenizer: Input should be 'characters', 'digit-chunks' or 'byte-pair' (given"),
        (
            "form.tokenizer",
            "characters",
            "form: tokenizer 'byte-pair' needs vocabulary, such as 256, and no other takes",
        ),
        ("form.vocabulary", None, "form: tokenizer 'byte-pair' needs vocabulary, such as 256, and no other takes it"),
        ("form.vocabulary", 21, "form.vocabulary 21: single symbols alone are 22 tokens"),
        ("form.vocabulary", 10**6, "form.vocabulary: Input should be less than or equal to 65536"),
        ("form.notation", "tex", "form.notation: Input should be 'ascii' or 'latex' (given: 'tex')"),
        ("form.notatoin", "latex", "unknown key 'form.notatoin'; did you mean 'notation'?"),
        (
            "form.workings",
            "sums",
            "form.workings: Input should be 'none', 'scratchpad' or 'scratchpad-sums' (given: 'sums')",
        ),
        ("defaults.parameters", 0, "defaults.parameters: Input should be greater than or equal to 1 (given: 0)"),
        ("defaults.training_problems", 0, "defaults.training_problems: Input should be greater than or equal to 1"),
        ("defaults.settings", {"lr": [1]}, "defaults.settings.lr"),
        ("defaults.settings", {"lr": float("nan")}, "defaults.settings.lr"),
    ],
)
def test_impossible_values(load: Any, where: str, value: Any, said: str) -> None:
    assert refusal(load, changed(where, value)).startswith(said)


def test_remainders_need_divisions(load: Any) -> None:
    content = changed("operations", ["+"]) | {"division": {"rule": "remainder"}}
    assert refusal(load, content) == "division.rule 'remainder' needs '/' among the operations"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", 'name is missing; an example: name = "mine"'),
        ("name = ", "is not valid TOML: Invalid value"),
        ("name = 'a'\nname = 'b'", "is not valid TOML: Cannot overwrite a value"),
        ("name = 1979-05-27", "dates and times have no place in a suite"),
        (b"name = '\xff'", "cannot be read: it is not UTF-8 text"),
        ("name = " + "9" * 5000, "is not valid TOML: "),
        ("name = " + "[" * 5000 + "]" * 5000, "is not valid TOML: "),
        ("name = " + "[" * 300 + "]" * 300, ""),
    ],
    ids=range(8),
)
def test_files_that_are_no_suites(load: Any, content: str | bytes, said: str) -> None:
    assert refusal(load, content).startswith(said)


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text((SUITES / "quick.toml").read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert load_suite(str(path)) == load_suite("quick")


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^suite file '.*none.toml' cannot be read: No such file or directory$"):
        load_suite(str(tmp_path / "none.toml"))
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(ValueError, match=r"^suite file '.*folder.toml' cannot be read: Is a directory$"):
        load_suite(str(tmp_path / "folder.toml"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("qick", "unknown suite 'qick'; did you mean 'quick'?"),
        ("", "unknown suite ''; there are addition2, addition3, addition3-padded, "),
        ("/tmp", "unknown suite '/tmp'; there are addition2, addition3"),
        ("../suites/quick", "unknown suite '../suites/quick'"),
    ],
)
def test_unknown_names(name: str, said: str) -> None:
    with pytest.raises(ValueError, match="unknown suite") as caught:
        load_suite(name)
    assert str(caught.value).startswith(said)


VALUES: list[Any] = [
    *(0, 1, -1, 2, 3, 21, 101, 10**30, 0.5, 1e300, float("nan"), float("inf"), True, False, "", "+", "exact", "1x1"),
    *("100x100", "2x3", "x", "rounded", "remainder", "fraction", "padded", "\n", "\x00", "é", "-+", []),
    *(["+"], ["/"], ["1x1"], ["2x2", "7x100"], [0], [20], [0, 3], [[]], ["--"], {}, {"a": 1}, {"rule": "exact"}),
]


def mutated(generator: random.Random) -> dict[str, Any]:
    """GOOD with one to three keys changed, dropped, doubled or made up."""
    content = copy.deepcopy(GOOD)
    for _ in range(generator.randint(1, 3)):
        section = content
        key = generator.choice(list(section))
        while isinstance(section[key], dict) and section[key] and generator.random() < 0.8:
            section = section[key]
            key = generator.choice(list(section))
        match generator.randrange(6):
            case 0:
                del section[key]
            case 1 if isinstance(section[key], list) and section[key]:
                section[key].append(generator.choice([*section[key], *VALUES]))
            case 2:
                section[generator.choice([key + "s", key[1:], key.upper(), "a b", "é", "new\nline"])] = (
                    generator.choice(VALUES)
                )
            case _:
                section[key] = generator.choice(VALUES)
        if not content or not section:
            break
    return content


def test_any_file_loads_or_is_refused_in_one_line(load: Any) -> None:
    generator = random.Random(20)
    loaded, refused = [], []
    for _ in range(300):
        try:
            loaded.append(load(mutated(generator)))
        except ValueError as error:
            refused.append(str(error))
    assert [line for line in refused if "mine.toml" not in line or "\n" in line] == []
    assert min(len(loaded), len(set(refused))) > 25
    for suite in loaded:
        assert suite.strata()
        assert suite.encoding.answer_width > 1
        assert len(suite.key) == len(suite.hash) == 64


def test_a_copy_works_out_anew_what_the_suite_has_worked_out() -> None:
    quick = load_suite("quick")
    hashed, encoding = quick.hash, quick.encoding
    other = quick.model_copy(update={"form": quick.form.model_copy(update={"tokenizer": "digit-chunks"})})
    assert other.hash != hashed
    assert "521" in other.encoding.tokenizer.vocabulary
    assert load_suite("quick").encoding is encoding, "the same content is the same object"
