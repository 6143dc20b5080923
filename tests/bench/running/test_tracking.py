"""Trackers: what they are told arrives, and nothing that they do or suffer reaches the run."""

import json
import os
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from calling import call

from bench.planning.decide import decide
from bench.planning.options import RunOptions
from bench.results.records.plan import Plan
from bench.results.records.record import Record
from bench.results.records.run import open_run
from bench.running import tracking
from bench.running.tracking import TrackerProcess, tracked


class View:
    """Keeps what a watcher is told."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def start(self, architecture: str, seed: int) -> None:
        self.seen.append(("start", architecture, seed))

    def event(self, architecture: str, seed: int, event: dict[str, Any]) -> None:
        self.seen.append((event["kind"], architecture, seed))

    def finish(self, record: Record) -> None:
        self.seen.append(("finish", record.architecture, record.seed))

    def leave(self, architecture: str, seed: int) -> None:
        self.seen.append(("leave", architecture, seed))


@pytest.fixture(scope="module")
def plan(tiny_path: Path) -> Plan:
    options = RunOptions(arch="lstm,masked-encoder", suite=str(tiny_path), seeds="2", threads=1)
    return decide(options, command="test")


@pytest.fixture(scope="module")
def records(trained_run: Path) -> dict[tuple[str, int], Record]:
    return {(record.architecture, record.seed): record for record in open_run(trained_run).records}


def point(examples: int) -> dict[str, Any]:
    """A row of a learning curve; the share that is right says which."""
    return {
        "kind": "validation",
        "share": examples / 600,
        "examples": examples,
        "tokens": 7 * examples,
        "steps": examples // 32,
        "flops": 9 * examples,
        "train_seconds": examples / 200,
        "learning_rate": 0.5,
        "train_loss": 100 / examples,
        "correct": examples,
        "total": 1000,
    }


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """The address of a server on this machine that stands for the world, and the list of those who called."""
    server = socket.create_server(("127.0.0.1", 0))
    callers: list[str] = []

    def listen() -> None:
        while True:
            try:
                connection, address = server.accept()
            except OSError:
                return
            callers.append(str(address))
            connection.close()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}", callers
    server.close()


def test_trackers_show_curves_and_final_figures_and_stay_on_this_machine(
    plan: Plan,
    records: dict[tuple[str, int], Record],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    elsewhere: tuple[str, list[str]],
) -> None:
    world, callers = elsewhere
    for name, value in {
        "TRACKIO_SPACE_ID": "me/space",
        "TRACKIO_SERVER_URL": f"{world}?write_token=x",
        "TRACKIO_WRITE_TOKEN": "x",
        "TRACKIO_WEBHOOK_URL": world,
        "TRACKIO_DIR": str(tmp_path / "theirs"),
        "HF_TOKEN": "hf_stub",
        "HF_ENDPOINT": world,
        "HF_HUB_OFFLINE": "0",
        "HTTPS_PROXY": world,
        "HTTP_PROXY": world,
    }.items():
        monkeypatch.setenv(name, value)
    view = View()
    with tracked(view, ("tensorboard", "trackio"), plan, tmp_path) as watcher:  # two cells at once, one interrupted
        for architecture in ("lstm", "masked-encoder"):
            watcher.start(architecture, 0)
        for examples in (100, 200, 300):
            watcher.event("lstm", 0, point(examples))
            watcher.event("masked-encoder", 0, point(2 * examples))
        watcher.event("lstm", 0, {"kind": "step", "share": 0.5, "loss": 1.0, "rate": 9.0})
        watcher.finish(records["masked-encoder", 0])
    kinds = [kind for kind, *_ in view.seen]
    assert kinds == ["start"] * 2 + ["validation"] * 6 + ["step", "finish"]
    with tracked(view, ("tensorboard", "trackio"), plan, tmp_path) as watcher:  # gone on with from its checkpoint
        watcher.finish(records["masked-encoder", 0])  # done before: nothing is told of it again
        watcher.start("lstm", 0)
        curve = [point(examples) for examples in (100, 200)]
        watcher.event("lstm", 0, {"kind": "resumed", "steps": 6, "share": 1 / 3, "curve": curve})
        for examples in (300, 400):
            watcher.event("lstm", 0, point(examples))
        watcher.finish(records["lstm", 0])

    expected = {
        "lstm-s0": {100: 0.1, 200: 0.2, 300: 0.3, 400: 0.4},
        "masked-encoder-s0": {200: 0.2, 400: 0.4, 600: 0.6},
    }
    final = {f"{name}-s0": records[name, 0].exact_match for name in ("lstm", "masked-encoder")}
    for read in (tensorboard_figures, trackio_figures):
        found = read(tmp_path)
        assert set(found) == set(expected)
        for cell, shares in expected.items():
            assert found[cell]["validation/exact_match"] == pytest.approx(shares)
            assert found[cell]["training/loss"] == pytest.approx({examples: 100 / examples for examples in shares})
            assert found[cell]["speed/examples_per_second"] == pytest.approx(dict.fromkeys(shares, 200))
            assert found[cell]["final/exact_match"] == pytest.approx({600: final[cell]})
            assert found[cell]["final/train_seconds"].keys() == {600}
    settings = {name: json.loads(text) for name, text in trackio_rows(tmp_path, "select run_name, config from configs")}
    assert settings["lstm-s0"]["architecture"] == "lstm"
    assert settings["lstm-s0"]["batch"] == plan.entries["lstm"].training["batch"]
    assert not (tmp_path / "theirs").exists()
    assert callers == []


Figures = dict[str, dict[str, dict[int, float]]]
"""Cell -> figure -> examples -> value."""


def tensorboard_figures(directory: Path) -> Figures:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found: Figures = {}
    for folder in (directory / "tensorboard").iterdir():
        events = EventAccumulator(str(folder))
        events.Reload()
        found[folder.name] = {}
        for tag in events.Tags()["scalars"]:
            points = events.Scalars(tag)
            found[folder.name][tag] = {one.step: one.value for one in points}
            assert len(points) == len(found[folder.name][tag]), f"{tag}: a point twice"
    return found


def trackio_figures(directory: Path) -> Figures:
    found: Figures = {}
    for cell, step, metrics in trackio_rows(directory, "select run_name, step, metrics from metrics"):
        for name, value in json.loads(metrics).items():
            figure = found.setdefault(cell, {}).setdefault(name, {})
            assert step not in figure, f"{name}: a point twice"
            figure[step] = value
    return found


def trackio_rows(directory: Path, question: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(directory / "trackio" / "arithbench.db")
    try:
        return connection.execute(question).fetchall()
    finally:
        connection.close()


@pytest.fixture
def quick_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "END_SECONDS", 0.5)


def test_a_tracker_that_cannot_write_never_reaches_the_run(
    plan: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tensorboard").write_text("in the way")
    view = View()
    with tracked(view, ("tensorboard",), plan, tmp_path) as watcher:
        watcher.start("lstm", 0)
        watcher.event("lstm", 0, point(100))
    assert [kind for kind, *_ in view.seen] == ["start", "validation"]
    err = capsys.readouterr().err
    assert err.startswith("bench: --track tensorboard: FileExistsError: ")
    assert err.endswith("; the run goes on without it\n")
    assert err.count("\n") == 1


def test_a_tracker_that_dies_is_named_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with TrackerProcess("tensorboard", tmp_path / "tensorboard") as tracker:
        tracker.tell({"begin": "lstm-s0", "facts": {}})
        tracker._child._process.kill()
        tracker._child._process.join()
        for examples in range(3):
            tracker.tell({"log": "lstm-s0", "examples": examples, "figures": {"x": 1.0}})
    lines = capsys.readouterr().err.splitlines()
    assert lines[1:] == ["bench: --track tensorboard: its process has ended; the run goes on without it"]


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes cannot be stopped here")
def test_a_tracker_that_hangs_takes_no_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], quick_end: None
) -> None:
    with TrackerProcess("tensorboard", tmp_path / "tensorboard") as tracker:
        assert tracker._child._process.pid is not None
        os.kill(tracker._child._process.pid, signal.SIGSTOP)
        began = time.monotonic()
        for examples in range(10_000):
            tracker.tell({"log": "lstm-s0", "examples": examples, "figures": {"x": 1.0}})
        assert time.monotonic() - began < 1
    assert time.monotonic() - began < 10
    assert not tracker._child._process.is_alive()
    said = capsys.readouterr().err.splitlines()[1:]
    assert len(said) == 1
    assert said[0].endswith("the run goes on without it")


def test_what_cannot_be_tracked_with_is_one_line(
    tmp_path: Path, tiny_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = tracking.importlib.util.find_spec
    monkeypatch.setattr(tracking.importlib.util, "find_spec", lambda name: None if name == "trackio" else find(name))
    command = ("run", "--arch", "lstm", "--suite", str(tiny_path), "--out", str(tmp_path / "run"), "--track")
    for name, says in (("tensorbord", "there are tensorboard, trackio"), ("tensorboard,trackio", "-e '.[trackio]'")):
        status, out, err = call(capsys, monkeypatch, *command, name)
        assert (status, out) == (2, "")
        assert says in err
        assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()
