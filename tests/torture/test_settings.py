"""Settings are strict: random command lines and suite files are answered in time, by a plan or by one line.

A few hundred by default, 10,000 with `-m torture`. Sizes that are possible but take long to measure are left out.
"""

import shlex
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.cli import COMMANDS
from bench.datasets.shipped import SUITES

Call = Callable[..., Any]

TRAINING = ("run", "tune", "perf")
"""Commands that train where nothing is wrong."""
USUAL_SECONDS, MOST_SECONDS = 1.0, 60.0
"""Of the processor, for one command: the median of them, and the slowest: a crowded machine lets one take many times
as long as it does alone."""

NAMES = ("lstm", "transformer", "switch", "bitnet", "lsmt", "Lstm", "all,all", "", ",", "lstm,lstm", "é", "../lstm")
COUNTS = (
    "1",
    "7",
    "5k",
    "8000",
    "0",
    "-1",
    "1.5",
    "1e3",
    "1_000",
    "0x10",
    "5K",
    "9" * 30,
    "10t",
    "",
    "nan",
    "five",
    " 5k ",
    "٣",
)
SETTINGS = (
    *("lr", "outer_lr", "batch", "warmup", "schedule", "optimizer", "weight_decay", "clip", "layers", "heads", "width"),
    *(
        "hidden",
        "feedforward",
        "dropout",
        "positions",
        "experts",
        "capacity",
        "offsets",
        "Lr",
        "leyers",
        "",
        "__class__",
    ),
)
VALUES = (
    *(
        "1",
        "2",
        "3",
        "8",
        "0",
        "-1",
        "0.5",
        "1e-3",
        "1e400",
        "100000",
        "1e9",
        "9" * 30,
        "nan",
        "inf",
        "true",
        "none",
        "",
    ),
    *("linear", "adamw", "muon", "rotary", "rotray", "a=b", "[1]", "'", "1 2", "\x00", "é"),
)
FLAGS: dict[str, st.SearchStrategy[str]] = {
    "--seeds": st.sampled_from(
        ("1", "3", "0,", "4,", "0,4", "0", "-1", "1,1", ",", "", "x", "9" * 12, "2147483648,", "1.0")
    ),
    "--budget": st.builds(
        "{}{}{}".format,
        st.sampled_from(("examples", "steps", "tokens", "flops", "seconds", "epochs", "Examples", "")),
        st.sampled_from(("=", "=", "=", "", ":", "==")),
        st.sampled_from(COUNTS),
    ),
    "--params": st.sampled_from(COUNTS),
    "--match": st.sampled_from(("total", "active", "both", "")),
    "--training-problems": st.sampled_from(COUNTS),
    "--device": st.sampled_from(("cpu", "cuda", "mps", "auto", "gpu", "")),
    "--precision": st.sampled_from(("32", "bf16", "16", "8", "")),
    "--threads": st.sampled_from(("1", "0", "-1", "9999", "two", "")),
    "--stop-when-flat": st.sampled_from(("1", "0", "-3", "x", "9" * 30)),
    "--set": st.lists(
        st.builds("{}={}".format, st.sampled_from(SETTINGS), st.sampled_from(VALUES)), min_size=1, max_size=3
    ).map(",".join),
    "--set-file": st.sampled_from(("tuned.toml", "nowhere.toml", ".", "")),
    "--out": st.sampled_from(("new", "full", "full/other", "a b/é", "")),
    "--plugin": st.sampled_from(("os", "no_such_module", "bench", "", ".", "a..b", "os,os")),
    "--unequal": st.just(""),
    "--sedes": st.just("3"),
    "--no-unequal": st.just(""),
}


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """Options of `check`, in part wrong."""
    words = ["--arch", draw(st.one_of(st.sampled_from(NAMES[:3]), st.sampled_from(NAMES)))]
    words += ["--suite", draw(st.one_of(st.just("tiny.toml"), st.sampled_from(("tiny", "quik", "bad.toml", "", "."))))]
    for flag in draw(st.lists(st.sampled_from(sorted(FLAGS)), max_size=4)):
        value = draw(FLAGS[flag])
        words += (
            [flag]
            if value == "" and flag.endswith("unequal")
            else draw(st.sampled_from(([flag, value], [f"{flag}={value}"])))
        )
    if draw(st.integers(0, 9)) == 0:
        words.insert(draw(st.integers(0, len(words))), draw(st.one_of(st.text(max_size=8), st.just("--help"))))
    return words


KEYS: dict[str, st.SearchStrategy[object]] = {
    "name": st.sampled_from(("other", "Other", "", 3, "a/b")),
    "version": st.sampled_from((1, 0, -1, 1.0, True, "1", 2**70)),
    "summary": st.sampled_from(("words", "", 3, "two\nlines")),
    "operations": st.sampled_from((["+"], ["/", "-"], [], ["+", "+"], ["^"], "+", [1], ["*", "/"])),
    "digits": st.sampled_from(
        (["1x1"], ["2x2", "1x2"], ["9x9"], ["100x100"], ["101x1"], ["0x1"], ["1X1"], ["1x1"] * 2, [], 3)
    ),
    "signs": st.sampled_from((["++"], ["+-", "--"], ["+"], [], ["++", "++"], "++")),
    "places": st.sampled_from(([0], [0, 1], [20], [21], [-1], [0.0], [True], [], 2)),
    "division": st.sampled_from(
        (
            {"rule": "exact"},
            {"rule": "rounded", "places": 3},
            {"rule": "remainder"},
            {"rule": "fraction"},
            {"places": 21},
            {"rul": "exact"},
            3,
        )
    ),
    "form": st.sampled_from(
        (
            {"answer": "plain"},
            {"operands": "padded"},
            {"tokenizer": "digit-chunks"},
            {"tokeniser": "characters"},
            {"answer": "up"},
            {},
        )
    ),
    "evaluation": st.sampled_from(
        (
            {"per_stratum": 3, "seen": 0},
            {"per_stratum": 0},
            {"per_stratum": 10**5},
            {"per_stratum": 2000},
            {"extra_digits": ["3x3"]},
            {"extra_digits": ["1x1"]},
            {"perstratum": 3},
        )
    ),
    "defaults": st.sampled_from(
        (
            {"budget": "examples=300", "parameters": 5000},
            {"budget": "examples", "parameters": 5000},
            {"budget": "examples=300"},
            {"budget": "steps=3", "parameters": 5000, "batch": 0},
            {"budget": "steps=3", "parameters": 5000, "settings": {"layers": 2}},
            {"budget": "steps=3", "parameters": 5000, "settings": {"leyers": 2}},
            {"budget": "steps=3", "parameters": 5000, "settings": {"layers": 10**9}},
            {"budget": "steps=3", "parameters": 5000, "training_problems": 10**9},
        )
    ),
    "digit": st.just(["1x1"]),
    "é": st.just(1),
}
GOOD_DEFAULTS: dict[str, object] = {"budget": "examples=300", "parameters": 5000, "seeds": 1}
GOOD: dict[str, object] = {
    **{"name": "tiny", "version": 1, "summary": "words", "operations": ["+"], "digits": ["1x1"], "signs": ["++", "--"]},
    **{"evaluation": {"per_stratum": 3, "seen": 1}, "defaults": GOOD_DEFAULTS},
}


def suite_text(content: dict[str, object]) -> str:
    return "".join(f"{_key(key)} = {_toml(value)}\n" for key, value in content.items())


@st.composite
def suite_texts(draw: st.DrawFn) -> str:
    """A suite file: some keys other than they should be, or characters lost and won."""
    content = {**GOOD, **{key: draw(KEYS[key]) for key in draw(st.lists(st.sampled_from(sorted(KEYS)), max_size=3))}}
    for key in draw(st.lists(st.sampled_from(sorted(content)), max_size=1)):
        if draw(st.booleans()):
            del content[key]
    text = suite_text(content)
    if draw(st.integers(0, 3)) == 0:
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.text(max_size=3)) + text[place + draw(st.integers(0, 3)) :]
    return text


def _key(key: str) -> str:
    return key if key.isascii() else f'"{key}"'


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\n", "\\n") + '"'
    return str(value).lower()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with what the command lines name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.running.estimate.MOST_SECONDS", 0.0)  # two passes are enough to measure nothing by
    monkeypatch.setattr("bench.choosing.PUBLISHED", tmp_path / "published")  # whose models `demo` would serve for ever
    text = "".join(f"{key} = {_toml(value)}\n" for key, value in GOOD.items())
    (tmp_path / "tiny.toml").write_text(text, encoding="utf-8")
    (tmp_path / "bad.toml").write_bytes(b"\xff\x00[")
    (tmp_path / "tuned.toml").write_text("[lstm]\nlr = 0.01\n", encoding="utf-8")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "other").write_text("something else", encoding="utf-8")
    return tmp_path


def answered(call: Call, *words: str) -> float:
    """Asserts that a command ends with a plan, or with one line and status 2; a traceback fails in `call`. `choose` may
    also end with status 1: it has no answer.

    Returns its processor seconds.
    """
    started = time.process_time()
    status, out, err = call(*words)
    seconds = time.process_time() - started
    line = shlex.join(words)
    assert status in ((0, 1, 2) if words[0] == "choose" else (0, 2)), line
    if status == 2:
        assert out == "", line
        assert err.startswith("bench: "), line
        assert err.count("\n") == 1, line
    assert seconds < MOST_SECONDS, f"{seconds:.1f} s: {line}"
    return seconds


def in_time(seconds: list[float]) -> None:
    usual = median(seconds)
    print(f"{len(seconds):,} commands: median {1000 * usual:.0f} ms, slowest {max(seconds):.1f} s")
    assert usual < USUAL_SECONDS


def check_command_lines(folder: Path, call: Call, number: int) -> None:
    seconds: list[float] = []
    before = sorted(folder.rglob("*"))

    @settings(max_examples=number)
    @example(["--arch", "lstm", "--suite", "tiny.toml", "--set", "layers=100000"])
    @example(["--arch", "switch", "--suite", "tiny.toml", "--unequal", "--set", "experts=1000000000"])
    @example(["--arch", "looped", "--suite", "tiny.toml", "--unequal", "--set", "passes=1000"])
    @example(["--arch", "retnet", "--suite", "tiny.toml", "--unequal", "--set", "chunk=1000000000"])
    @example(["--arch", "lstm", "--suite", "tiny.toml", "--params", "9G"])
    @given(command_lines())
    def answers(words: list[str]) -> None:
        seconds.append(answered(call, "check", *words))

    answers()
    in_time(seconds)
    assert sorted(folder.rglob("*")) == before


def check_suites(folder: Path, call: Call, number: int) -> None:
    seconds: list[float] = []

    many = {**GOOD, "digits": ["9x9"], "defaults": {**GOOD_DEFAULTS, "training_problems": 10**9}}

    @settings(max_examples=number)
    @example(suite_text(many))
    @given(suite_texts())
    def answers(text: str) -> None:
        (folder / "tiny.toml").write_text(text, encoding="utf-8", newline="")
        seconds.append(answered(call, "check", "--arch", "lstm", "--suite", "tiny.toml", "--threads", "1"))

    answers()
    in_time(seconds)


def check_other_commands(folder: Path, call: Call, number: int) -> None:
    seconds: list[float] = []
    words = st.one_of(
        st.sampled_from(
            ("--help", "--json", "--arch", "lstm", "--suite", "tiny.toml", "--n", "3", "-1", "full", "runs")
        ),
        st.sampled_from(
            ("--format", "html,txt", "--out", "--rerun", "--split", "test", "--csv", "--trials", "0", "--")
        ),
        st.text(max_size=5),
    )

    @settings(max_examples=number)
    @given(st.sampled_from([name for name in COMMANDS if name not in TRAINING]), st.lists(words, max_size=4))
    def answers(command: str, rest: list[str]) -> None:
        seconds.append(answered(call, command, *rest))

    answers()
    in_time(seconds)


SOME = {check_command_lines: 100, check_suites: 40, check_other_commands: 100}


@pytest.mark.parametrize(
    ("check", "number"),
    [
        *(pytest.param(check, number, id=f"{number}-{check.__name__}") for check, number in SOME.items()),
        *(pytest.param(check, 10_000, id=check.__name__, marks=pytest.mark.torture) for check in SOME),
    ],
)
def test_whatever_is_typed_is_answered_in_one_line(
    check: Callable[[Path, Call, int], None], number: int, folder: Path, call: Call
) -> None:
    check(folder, call, number)


@pytest.mark.parametrize("path", sorted(SUITES.glob("*.toml")), ids=lambda path: path.stem)
def test_a_misspelt_key_of_a_suite_is_refused_with_what_was_meant(path: Path, folder: Path, call: Call) -> None:
    (folder / "own.toml").write_text(path.read_text(encoding="utf-8").replace("summary", "sumary"), encoding="utf-8")
    status, _, err = call("check", "--arch", "lstm", "--suite", "own.toml")
    assert status == 2
    assert "unknown key 'sumary'; did you mean 'summary'?" in err
