"""The command `reach`, with cells that train for a moment."""

import json
from pathlib import Path

import pytest
from calling import call, one_by_one

from bench.results.files import write_checked_json
from bench.results.records.run import open_run
from bench.results.statistics.reach import read_trials

WORDS = ("reach", "--operation", "+", "--params", "20k", "--threads", "1")
SHORT = (*WORDS, "--budget", "examples=64", "--most", "4")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.running.engine.run_tasks", one_by_one)
    monkeypatch.setattr("bench.child.start_server", lambda: None)
    monkeypatch.setattr("bench.reaching.search._at_once", lambda options: 1)
    return tmp_path


def tried(folder: Path) -> list[tuple[str, int, int]]:
    return [(trial.architecture, trial.digits, trial.seed) for trial in read_trials(folder)]


def test_what_misses_ends_with_its_first_seed_and_is_a_run_like_any_other(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, err = call(capsys, monkeypatch, *SHORT, "--arch", "lstm,gru", "--out", "found")
    assert (status, err) == (0, "")
    assert tried(here / "found") == [("gru", 2, 0), ("lstm", 2, 0)]
    rows = [line.split() for line in out.splitlines() if line.startswith(("lstm", "gru"))]
    assert [row[:4] for row in rows] == [["gru", "below", "2", "1"], ["lstm", "below", "2", "1"]]
    assert {path.name for path in (here / "found").glob("reach.*")} == {"reach.json", "reach.svg", "reach.png"}
    run = open_run(here / "found" / "gru" / "2")
    assert (run.plan.suite.name, run.plan.seeds, run.plan.budget) == ("reach-sums-2", [0], "examples=64")
    assert "--suite found/suites/sums-2.toml" in run.plan.command
    assert call(capsys, monkeypatch, "verify", "found/gru/2")[0] == 0


def test_what_reaches_goes_on_with_all_seeds_and_a_second_call_trains_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.results.statistics.reach.LEVEL", 0.0)
    words = (*SHORT, "--arch", "lstm", "--seeds", "2", "--out", "found")
    status, out, _ = call(capsys, monkeypatch, *words, "--tries", "1")
    assert (status, tried(here / "found")) == (0, [("lstm", 2, 0), ("lstm", 2, 1)])
    assert "at least 2" in out
    status, out, _ = call(capsys, monkeypatch, *words, "--json")
    table = json.loads(out)["table"]["lstm"]
    assert (status, table["reach"], table["cells"]) == (0, "at least 4", 4)
    before = {path: path.stat().st_mtime_ns for path in (here / "found").glob("*/*/cells/*/record.json")}
    assert call(capsys, monkeypatch, *words)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_an_interrupted_search_goes_on(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(tasks: object, *_: object) -> None:
        raise KeyboardInterrupt

    words = (*SHORT, "--arch", "lstm", "--out", "found")
    with monkeypatch.context() as patch:
        patch.setattr("bench.running.engine.run_tasks", interrupted)
        assert call(capsys, patch, *words)[0] == 130
    assert tried(here / "found") == []
    assert call(capsys, monkeypatch, *words)[0] == 0
    assert tried(here / "found") == [("lstm", 2, 0)]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("--arch lstm --most 1", "--most 1: expected 2 to 100"),
        ("--arch lstm --tries 0", "--tries 0: expected 1 to 100"),
        ("--arch lstm --seeds 0", "--seeds 0: expected 1 to 100"),
        ("--arch pretrained", "--arch pretrained: reach trains models that start from random weights"),
        ("--arch lsmt", "unknown architecture 'lsmt'; did you mean 'lstm'?"),
        ("--arch lstm --budget=epochs=3", "--budget 'epochs=3': expected one of examples=N"),
        ("--arch lstm --out other", "--out other: is there and holds no reach.json"),
        ("--arch lstm --out found", "--out found: holds a search with operation *, not +; only architectures and"),
        ("--arch lstm --out broken", "broken/reach.json"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    words: str, line: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "other").mkdir()
    (here / "other" / "notes.txt").write_text("mine")
    shared = {"operation": "*", "workings": "none", "budget": "examples=64", "parameters": 20_000, "seeds": 3}
    write_checked_json(here / "found" / "reach.json", shared)
    write_checked_json(here / "broken" / "reach.json", shared)
    text = (here / "broken" / "reach.json").read_text()
    (here / "broken" / "reach.json").write_text(text.replace("20000", "70000"))
    before = sorted(here.rglob("*"))
    budget = () if "--budget" in words else ("--budget", "examples=64")
    status, out, err = call(capsys, monkeypatch, *WORDS, *budget, *words.split())
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"bench: {line}")
    assert sorted(here.rglob("*")) == before
