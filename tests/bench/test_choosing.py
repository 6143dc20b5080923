"""The command `choose`: what published and own runs say should be taken."""

import json
from pathlib import Path

import pytest
from calling import call

import bench
from bench.choosing import PUBLISHED, choose


@pytest.fixture(autouse=True)
def seconds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, float]:
    """In place of measured seconds; all others take a minute."""
    found = {"encoder-decoder": 300.0, "transformer-lstm": 400.0}
    monkeypatch.setattr("bench.choosing.training_seconds", lambda plan, name: found.get(name, 60.0))
    monkeypatch.chdir(tmp_path)
    return found


def test_the_best_that_train_in_time_come_first_and_better_ones_are_named() -> None:
    answer = choose("*/", "2x2", minutes=6)
    right = [choice.evidence.right.mean for choice in answer.choices]
    assert (len(right), right) == (3, sorted(right, reverse=True))
    assert all(choice.seconds <= 360 for choice in answer.choices)
    assert answer.too_slow[0].evidence.architecture == "transformer-lstm"
    assert answer.too_slow[0].evidence.right.mean > right[-1]
    first = answer.choices[0].evidence
    assert first.directory == PUBLISHED / "quick-scratchpad"
    command = f"python -m bench run --arch {first.architecture} --suite quick-scratchpad --seeds 1"
    assert answer.choices[0].command == command


def test_readmes_question_has_readmes_answer() -> None:
    answer = choose("*", "3x3", minutes=10)
    sure = [choice.evidence for choice in answer.choices if choice.evidence.right.mean == 1]
    assert "encoder-decoder" in [each.architecture for each in sure]
    assert {each.directory for each in sure} == {PUBLISHED / "products3"}


def test_nothing_is_extrapolated(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, err = call(capsys, monkeypatch, "choose", "--digits", "9x9", "--minutes", "5")
    assert (status, err) == (1, "")
    first, second = out.splitlines()
    assert first.startswith("No run has asked * of 9x9 digits; measured were 1x1, ")
    assert second.endswith("--operation '*' --workings scratchpad --most 9 --budget seconds=300")
    status, out, _ = call(capsys, monkeypatch, "choose", "--digits", "2x2", "--operations", "*/", "--minutes", "0.1")
    assert status == 1
    assert "trains within 0.1 min here" in out
    assert "transformer-lstm" in out


def test_the_document_and_the_frame_have_what_the_table_has(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("choose", "--operations", "+-", "--digits", "2x2")
    status, out, _ = call(capsys, monkeypatch, *words)
    document = json.loads(call(capsys, monkeypatch, *words, "--json")[1])
    answer = bench.choose("+-", "2x2", 10)
    frame = answer.frame.astype(object).where(answer.frame.notna(), None)
    assert (status, len(document["choices"])) == (0, 3)
    assert document["choices"] == frame.to_dict("records")
    for number, choice in enumerate(document["choices"], 1):
        source = f"{choice['run']} ({choice['version']}): {choice['seeds']} seeds, each asked 800 problems"
        assert f"{number}. {choice['command']}\n   from {source}\n" in out
        interval = "" if choice["low"] is None else f" [{100 * choice['low']:.1f}, {100 * choice['high']:.1f}]"
        assert f"{100 * choice['right']:.1f}{interval}" in out


def test_a_busy_machine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for load, said in (("", 0), ("the machine is busy (load average 2.0, and 1 of 2 cores are wanted)", 1)):
        monkeypatch.setattr("bench.machine.disturbed", lambda threads, load=load: load)
        lines = choose("*", "3x3", 10).lines
        assert lines.count(f"Times here are too long: {load}.") == said


def test_own_runs_count_where_their_suite_is_there(trained_run: Path, tiny_path: Path, tmp_path: Path) -> None:
    from bench.results.records.collect import collect

    collect(trained_run)
    found = choose("/", "1x1", 10, [trained_run])
    ours = [choice for choice in found.choices + found.too_slow if choice.evidence.directory == trained_run]
    known = {choice.evidence.architecture: choice.command for choice in ours}
    assert all(str(tiny_path) in command for command in known.values())
    text = tiny_path.read_text(encoding="utf-8")
    try:
        tiny_path.unlink()
        gone = choose("/", "1x1", 10, [trained_run])
        assert all(choice.evidence.directory != trained_run for choice in gone.choices + gone.too_slow)
    finally:
        tiny_path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("--operations x", "--operations 'x': expected some of + - * /, such as '*' or '+-'"),
        ("--digits 3", "--digits '3': expected those of both operands, such as 3x3, 100 at most"),
        ("--digits 0x3", "--digits '0x3': expected those of both operands"),
        ("--minutes 0", "--minutes 0.0: expected more than 0"),
        ("nowhere", "nowhere: there is no such folder"),
    ],
)
def test_bad_input_is_one_line(
    words: str, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, err = call(capsys, monkeypatch, "choose", *words.split())
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"bench: {line}")
