"""The main job, end to end: real runs in child processes, their files, and what may and may not be joined."""

import gzip
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from calling import call, one_by_one
from dying import die
from places import ROOT
from stranger import unknown_plugin

from bench.cli.report import report_command
from bench.cli.run import run_command
from bench.errors import UserError
from bench.locks import holding
from bench.planning.decide import decide
from bench.planning.options import RunOptions
from bench.results.files import write_bytes, write_checked_json
from bench.results.records import record as records
from bench.results.records.collect import collect
from bench.results.records.plan import PLAN, Plan, write_plan
from bench.results.records.run import cell_directory, open_run
from bench.running.cell import LOCK, Job, PlannedCell, run_cell
from bench.running.engine import Interrupted, death, planned_cell, run_plan, run_tasks
from bench.running.run_folder import take_folder

SETTINGS = ("--threads", "1", "--set", "batch=30")
NAMES = ("lstm", "transformer", "encoder-decoder")


class Silent:
    """Watches a run without a word, and remembers which cells were started."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.events: list[str] = []

    def start(self, architecture: str, seed: int) -> None:
        self.started.append(f"{architecture}-s{seed}")

    def event(self, architecture: str, seed: int, event: dict[str, object]) -> None:
        self.events.append(str(event["kind"]))

    def finish(self, record: records.Record) -> None: ...

    def leave(self, architecture: str, seed: int) -> None: ...


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_path: Path) -> tuple[Path, str]:
    """A run of three architectures by the command itself, from a folder of its own, and what it printed."""
    folder = tmp_path_factory.mktemp("run with spaces ü")
    done = command(folder, "run", "--arch", ",".join(NAMES), "--suite", str(tiny_path), "--out", "out", *SETTINGS)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder / "out", done.stdout


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments], cwd=folder, capture_output=True, text=True, env=environment
    )


def plan_of(tiny_path: Path, arch: str = "lstm", command: str = "test", **options: Any) -> Plan:
    settings: dict[str, Any] = {"threads": 1, "set": ("batch=30",)}
    return decide(RunOptions(arch=arch, suite=str(tiny_path), **(settings | options)), command)


def test_every_cell_is_done_with_the_same_data_and_size(finished: tuple[Path, str]) -> None:
    cells = pd.read_csv(finished[0] / "cells.csv")
    assert list(cells["architecture"]) == list(NAMES)
    assert set(cells["status"]) == {"done"}
    assert cells["data_hash"].nunique() == cells["test_hash"].nunique() == 1
    assert (abs(cells["parameters"] / 5000 - 1) <= 0.02).all()
    assert set(cells["examples"]) == {600}
    assert cells["unique_problems"].nunique() == cells["tokens"].nunique() == 1


def test_every_format_and_every_chart_is_written_where_asked(
    finished: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def empty(chart: object, path: Path) -> list[Path]:
        paths = [path.with_name(f"{path.name}.{ending}") for ending in ("svg", "png")]
        for one in paths:
            write_bytes(one, b"")
        return paths

    monkeypatch.setattr(
        "bench.results.report.html._vega", lambda: "\tlet no_break = '\xa0';"
    )  # else a megabyte, and seconds
    monkeypatch.setattr("bench.results.report.html.write_picture", empty)  # test_html.py looks at them
    report_command(finished[0], format="html,latex,csv", out=tmp_path / "out")
    paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [path.name for path in paths[:3]] == ["report.html", "report.tex", "report.csv"]
    assert {path.suffix for path in paths[3:]} == {".svg", ".png"}
    assert set(paths) == {path for path in tmp_path.rglob("*") if path.is_file()}
    report_command(finished[0], format="html")
    assert capsys.readouterr().out == paths[0].read_text(encoding="utf-8")  # for a program: scripts are no words


def test_runs_are_reported_together_where_they_may_be(
    finished: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = tmp_path / "again"
    shutil.copytree(finished[0], again)
    report_command(finished[0], again, format="md")
    text = capsys.readouterr().out
    assert text.count("## Summary") == 1  # the same cells twice are one
    assert text.count("Held equal") == 1


def test_the_run_leaves_the_files_that_are_promised(finished: tuple[Path, str]) -> None:
    directory, out = finished
    assert {path.name for path in directory.glob("[!.]*")} == {  # the others are locks
        *("run.json", "cells", "cells.csv", "results.csv", "baselines.csv", "report.html", "report.md")
    }
    for name in NAMES:
        files = {path.name for path in cell_directory(directory, name, 0).glob("[!.]*")}
        assert files == {"record.json", "curve.csv", "predictions.csv.gz", "model.safetensors"}
    run = open_run(directory)
    for record in run.records:
        records.verify_files(cell_directory(directory, record.architecture, 0), record)
        assert len(run.curve(record)) == 20
        assert record.preset.startswith("quick, ")  # nothing was tuned for this suite...
        assert not record.tuned  # ... and the record says so
    for part in ("exact match %", "right most often", "cells trained for", "with charts:", "python -m bench report"):
        assert part in out


def test_every_figure_can_be_recomputed_from_the_predictions(finished: tuple[Path, str]) -> None:
    directory, _ = finished
    results = pd.read_csv(directory / "results.csv")
    cells = pd.read_csv(directory / "cells.csv").set_index("architecture")
    for name in NAMES:
        with gzip.open(cell_directory(directory, name, 0) / "predictions.csv.gz", "rt") as file:
            predictions = pd.read_csv(file, dtype={"prediction": str, "raw": str, "answer": str})
        test = predictions[predictions["split"] == "test"]
        right = (test["raw"].fillna("") == test["answer"].str[::-1]).astype(int)
        assert (right == test["right"]).all()
        assert (cells.loc[name, "correct"], cells.loc[name, "total"]) == (right.sum(), len(test))
        mine = results[results["architecture"] == name].set_index(["slice", "value"])
        for slice_, columns in (("operation", ["op"]), ("digits", ["digits"]), ("signs", ["signs"])):
            for values, rows in test.groupby(columns):
                row = mine.loc[(slice_, values[0])]
                assert (row["correct"], row["total"]) == (right[rows.index].sum(), len(rows))


def test_the_plan_states_what_was_run(finished: tuple[Path, str]) -> None:
    plan = json.loads((finished[0] / "run.json").read_text())
    assert plan["command"].startswith("python -m bench run --arch lstm,transformer,encoder-decoder")
    assert plan["suite"]["content"]["operations"] == ["+", "-", "/"]
    assert plan["versions"]["torch"].startswith("2.")
    assert sum(stratum["test"] for stratum in plan["strata"]) == pd.read_csv(finished[0] / "cells.csv")["total"][0]


def test_the_same_plan_gives_the_same_bytes(
    finished: tuple[Path, str], tmp_path: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another folder, another choice of architectures, and no process for each cell."""
    monkeypatch.setattr("bench.running.engine.run_tasks", one_by_one)
    plan = plan_of(tiny_path, "lstm,encoder-decoder")
    take_folder(plan, tmp_path / "again")
    run_plan(plan, tmp_path / "again", Silent())
    for name in ("lstm", "encoder-decoder"):
        for file in ("predictions.csv.gz", "model.safetensors"):
            first, second = (cell_directory(d, name, 0) / file for d in (finished[0], tmp_path / "again"))
            assert first.read_bytes() == second.read_bytes()
    first, second = (pd.read_csv(d / "results.csv", dtype=str) for d in (finished[0], tmp_path / "again"))
    pd.testing.assert_frame_equal(
        first[first["architecture"] != "transformer"].reset_index(drop=True), second.reset_index(drop=True)
    )


def test_finished_cells_are_skipped_and_new_ones_added(
    finished: tuple[Path, str], tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.running.engine.run_tasks", one_by_one)
    directory, _ = finished
    before = {path: path.stat().st_mtime_ns for path in directory.glob("cells/*/record.json")}
    plan = plan_of(tiny_path, "lstm", seeds="2")
    take_folder(plan, directory)
    watcher = Silent()
    run_plan(plan, directory, watcher)
    assert watcher.started == ["lstm-s1"]
    assert watcher.events.count("validation") == 20
    assert {path: path.stat().st_mtime_ns for path in before} == before
    run = open_run(directory)
    assert [(r.architecture, r.seed) for r in run.records][:2] == [("lstm", 0), ("lstm", 1)]
    assert run.missing == [("transformer", 1), ("encoder-decoder", 1)]


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ({"budget": "examples=601"}, "budget examples=600, not examples=601"),
        ({"params": "10k"}, "parameters 5000, not 10000"),
        ({"threads": 2}, "threads 1, not 2"),
        ({"training_problems": "50"}, "training problems None, not 50"),
        ({"budget": "examples=601", "threads": 2}, "budget examples=600, not examples=601; threads 1, not 2;"),
        ({"set": ("batch=31",)}, "holds lstm with batch 30, not 31: choose another folder$"),
        ({"set": ("batch=30,lr=0.5",)}, r"lstm with lr 0\.02, not 0\.5: choose"),
    ],
)
def test_any_other_difference_is_refused_by_name(
    finished: tuple[Path, str], tiny_path: Path, options: dict[str, Any], difference: str
) -> None:
    before = (finished[0] / "run.json").read_bytes()
    with pytest.raises(UserError, match=difference):
        take_folder(plan_of(tiny_path, **options), finished[0])
    assert (finished[0] / "run.json").read_bytes() == before


def test_nothing_is_added_to_a_run_without_the_flops_of_its_optimizers(tiny_path: Path, tmp_path: Path) -> None:
    plan = plan_of(tiny_path, "lstm")
    before = plan.entries["lstm"].model_copy(update={"optimizer_flops_per_step": None})
    write_plan(tmp_path, plan.model_copy(update={"entries": {"lstm": before}}))
    for name in ("lstm", "gru"):
        with pytest.raises(UserError, match="holds a run without the FLOPs of its optimizers"):
            take_folder(plan_of(tiny_path, name), tmp_path)


def test_an_edited_suite_is_refused_by_the_keys_that_differ(
    finished: tuple[Path, str], tiny_path: Path, tmp_path: Path
) -> None:
    edited = tmp_path / "tiny.toml"
    edited.write_text(tiny_path.read_text().replace("seen = 5", "seen = 6").replace('"1x1"', '"1x1", "1x2"'))
    says = r"holds a run with suite digits \['1x1'\], not \['1x1', '1x2'\]; suite evaluation seen 5, not 6; only"
    with pytest.raises(UserError, match=says) as caught:
        take_folder(plan_of(edited), finished[0])
    assert "hash" not in str(caught.value)


def test_a_joined_plan_keeps_the_command_that_runs_all_its_cells(tiny_path: Path, tmp_path: Path) -> None:
    take_folder(plan_of(tiny_path, "lstm", "bench run --arch lstm --seeds 2 --out here", seeds="2"), tmp_path)
    command = "bench run --arch=transformer --seeds 4, --out here"
    take_folder(plan_of(tiny_path, "transformer", command, seeds="4,"), tmp_path)
    plan = open_run(tmp_path).plan
    assert plan.command == "bench run --out here --arch lstm,transformer --seeds 0,1,4"
    assert plan == plan_of(tiny_path, "lstm,transformer", plan.command, seeds="0,1,4")
    assert plan.plan_hash == plan.recomputed_hash()
    assert plan.suite.source == str(tiny_path)


def test_a_joined_plan_names_the_commits_of_both(
    tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = [("lstm", "a", False), ("gru", "b", True), ("rnn", "a", False)]
    for name, commit, dirty in states:
        state = {"commit": commit, "dirty": dirty}
        monkeypatch.setattr("bench.machine.git_state", lambda state=state: state)
        take_folder(plan_of(tiny_path, name, f"bench run --arch {name}"), tmp_path)
    assert open_run(tmp_path).plan.git == {"commit": "a and b", "dirty": True}


def test_plans_joined_under_other_settings_keep_both_commands(tiny_path: Path, tmp_path: Path) -> None:
    commands = ["bench run --arch lstm --set lstm.lr=0.01 --out here", "bench run --arch gru --seeds 1 --out here"]
    commands.append("bench run --arch rnn --seeds=3 --threads 1 --out here")
    take_folder(plan_of(tiny_path, "lstm", commands[0], set=("lstm.lr=0.01",)), tmp_path)
    take_folder(plan_of(tiny_path, "gru", commands[1], seeds="1"), tmp_path)
    take_folder(plan_of(tiny_path, "rnn", commands[2], seeds="3"), tmp_path)
    assert open_run(tmp_path).plan.command == (  # all seeds of each, or cells that the tables want were in no command
        "bench run --arch lstm --set lstm.lr=0.01 --out here --seeds 0,1,2 && "
        "bench run --arch gru --out here --seeds 0,1,2 && bench run --arch rnn --threads 1 --out here --seeds 0,1,2"
    )


def test_a_plan_that_run_did_not_write_is_refused(tiny_path: Path, tmp_path: Path) -> None:
    plan = plan_of(tiny_path)
    content = plan.as_json()
    del content["settings"]
    write_checked_json(tmp_path / PLAN, content)
    before = (tmp_path / PLAN).read_bytes()
    with pytest.raises(UserError, match=r"run\.json: has no settings; restore it, or run again into another folder"):
        take_folder(plan, tmp_path)
    assert (tmp_path / PLAN).read_bytes() == before


def test_a_run_ends_by_naming_its_page_and_shows_its_tables_where_that_cannot_be_written(
    finished: tuple[Path, str],
    tmp_path: Path,
    tiny_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished[0], out)
    (out / "report.html").unlink(missing_ok=True)
    options = RunOptions(arch="lstm", suite=str(tiny_path), out=out, threads=1, set=("batch=30",))
    assert run_command(options) == 0
    assert f"with charts:    {out / 'report.html'}" in capsys.readouterr().out

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bench.results.report.write.write_report", full)
    with pytest.raises(OSError, match="No space left"):
        run_command(options)
    assert "exact match %" in capsys.readouterr().out


def test_a_tracker_of_a_finished_run_says_that_it_writes_nothing(
    finished: tuple[Path, str], tmp_path: Path, tiny_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished[0], out)
    options = RunOptions(arch="lstm", suite=str(tiny_path), out=out, threads=1, set=("batch=30",))
    assert run_command(options, track="tensorboard") == 0
    captured = capsys.readouterr()
    assert "--track tensorboard: writes nothing, since all cells have ended\n" in captured.out
    assert "tracked by" not in captured.err
    assert not (out / "tensorboard").exists()


def test_a_damaged_run_is_refused_in_one_line(finished: tuple[Path, str], tmp_path: Path, tiny_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished[0], out)
    (cell_directory(out, "lstm", 0) / "predictions.csv.gz").unlink()
    with pytest.raises(UserError, match="the file is missing"):
        run_command(RunOptions(arch="lstm", suite=str(tiny_path), out=out, threads=1, set=("batch=30",)))


def test_an_interrupt_ends_the_child_at_once_and_only_by_our_hand(tiny_path: Path, tmp_path: Path) -> None:
    kinds: list[str] = []
    since = 0.0

    plan = plan_of(tiny_path, budget="seconds=60")
    cell = planned_cell(plan, "lstm", 0, tmp_path)

    class Endless:
        def begin(self) -> tuple[PlannedCell, Job]:
            return cell, run_cell

        def event(self, event: dict[str, Any]) -> bool:
            nonlocal since
            kinds.append(event["kind"])
            [child] = multiprocessing.active_children()
            if len(kinds) > 1:
                since = time.monotonic()
                raise KeyboardInterrupt
            assert child.pid is not None
            os.kill(child.pid, signal.SIGINT)  # as a terminal does; the child leaves the answer to its parent
            return True

        def end(self, exit_code: int | None, why: str = "") -> None:
            raise AssertionError("it was interrupted")

    with pytest.raises(Interrupted):
        run_tasks([Endless()])
    assert time.monotonic() - since < 1
    assert not multiprocessing.active_children()
    assert not (cell.directory / records.RECORD).exists()


def test_a_cell_that_ends_early_is_done_and_says_why(tiny_path: Path, tmp_path: Path) -> None:
    plan = plan_of(tiny_path, set=("batch=30,lr=1e-9,outer_lr=1e-9",), stop_when_flat=2)
    take_folder(plan, tmp_path)
    run_cell(planned_cell(plan, "lstm", 0, tmp_path), lambda event: None)
    [record] = open_run(tmp_path).records
    assert (record.status, record.reason, record.examples) == ("done", "flat", 90)
    assert record.budget_deviation == 90 / 600 - 1


def test_a_cell_that_diverges_is_a_row_with_its_reason(tiny_path: Path, tmp_path: Path) -> None:
    plan = plan_of(tiny_path, "transformer", set=("optimizer=sgd,lr=100,outer_lr=100,clip=1000000,batch=10",))
    take_folder(plan, tmp_path)
    run_cell(planned_cell(plan, "transformer", 0, tmp_path), lambda event: None)
    collect(tmp_path)
    row = pd.read_csv(tmp_path / "cells.csv").iloc[0]
    assert row["status"] == "diverged"
    assert row["reason"].startswith(("the loss lay above ", "the loss became nan"))  # either has
    assert pd.isna(row["exact_match"])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError("a bug"), "failed"),
        (MemoryError(), "out-of-memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "out-of-memory"),
    ],
)
def test_a_cell_that_raises_is_a_row_with_its_reason(
    error: Exception, status: str, tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    cell = planned_cell(plan_of(tiny_path), "lstm", 0, tmp_path)
    monkeypatch.setattr("bench.running.outcome.train", fail)
    run_cell(cell, lambda event: None)
    record = records.read_record(cell.directory)
    assert record.status == status
    assert record.reason


def test_a_cell_whose_process_dies_is_a_row_with_its_reason(
    tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(tiny_path)
    take_folder(plan, tmp_path)
    monkeypatch.setattr("bench.running.workers.main", die)
    [record] = run_plan(plan, tmp_path, Silent())
    assert (record.status, record.reason) == (
        "out-of-memory",
        "its process was killed (SIGKILL): most likely no memory was left",
    )


def test_a_failed_cell_is_a_row_of_the_tables_and_exit_status_1(
    tiny_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug\nof two lines")

    monkeypatch.setattr("bench.running.engine.run_tasks", one_by_one)
    monkeypatch.setattr("bench.running.outcome.train", fail)
    monkeypatch.setattr("bench.results.report.html._vega", str)
    monkeypatch.chdir(tmp_path)
    arguments = ("run", "--arch", "lstm", "--suite", str(tiny_path), "--out", "out", *SETTINGS)
    status, out, err = call(capsys, monkeypatch, *arguments)
    assert (status, err) == (1, "")
    assert "1 more have no result" not in out
    assert "1 has no result: lstm seed 0 (failed: RuntimeError: a bug of two lines)." in " ".join(out.split())


def test_cells_left_to_another_process_are_missing_and_exit_status_1(
    tiny_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.running.engine.run_tasks", one_by_one)
    monkeypatch.setattr("bench.running.engine.ORPHAN_SECONDS", 0.05)
    monkeypatch.setattr("bench.results.report.html._vega", str)
    monkeypatch.chdir(tmp_path)
    arguments = ("run", "--arch", "lstm", "--suite", str(tiny_path), "--out", "out", "--seeds", "2", *SETTINGS)
    take_folder(plan_of(tiny_path, seeds="2", set=("batch=30",)), Path("out"))
    others = cell_directory(Path("out"), "lstm", 1)
    others.mkdir(parents=True)
    with holding(others / LOCK):
        status, out, err = call(capsys, monkeypatch, *arguments, "--join")
    assert (status, err) == (1, "")
    assert [(record.architecture, record.seed) for record in open_run(Path("out")).records] == [("lstm", 0)]
    assert "1 has no result: lstm seed 1 (not run)." in " ".join(out.split())


def test_a_plug_in_in_bfloat16_runs_into_the_folder_of_its_plan_and_goes_on_there(
    tiny_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.running.engine.run_tasks", one_by_one)
    monkeypatch.setattr("bench.results.report.html._vega", str)
    monkeypatch.chdir(tmp_path)
    written = []
    with unknown_plugin() as plugin:
        arguments = ("run", "--arch", "tiny-gru", "--suite", str(tiny_path), *SETTINGS, "--plugin", plugin)
        for _ in range(2):
            status, out, err = call(capsys, monkeypatch, *arguments, "--precision", "bf16")
            assert (status, err) == (0, "")
            [directory] = Path("runs").glob("tiny-*")
            [record] = open_run(directory).records
            assert (record.architecture, record.precision, record.done) == ("tiny-gru", "bf16", True)
            assert str(directory) in out
            written.append((cell_directory(directory, "tiny-gru", 0) / "record.json").stat().st_mtime_ns)
        verified = call(capsys, monkeypatch, "verify", str(directory), "--plugin", plugin)
    assert written[0] == written[1]
    assert verified[0] == 0, verified[1]


def test_a_death_is_told_by_its_signal() -> None:
    assert death(-signal.SIGKILL)["status"] == "out-of-memory"
    assert death(-signal.SIGABRT) == {"status": "failed", "reason": "its process was ended by SIGABRT"}
