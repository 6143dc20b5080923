"""Cells on a Ray cluster: two nodes on this machine, on loopback, which lose workers, nodes and the driver."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

from bench.api import cluster_options_of
from bench.errors import UserError
from bench.planning.decide import decide
from bench.planning.options import ClusterOptions, RunOptions, command_of
from bench.results.records.record import RECORD, WEIGHTS
from bench.running import cluster_worker
from bench.running.cell import PlannedCell, Send, Stop
from bench.running.checkpoints import PATTERN
from bench.running.cluster import Demand, demand_of, for_cluster, keep
from bench.running.cluster_worker import disagreement
from bench.running.engine import planned_cell
from bench.running.workers import Children, gpus_of

RAY = ClusterOptions(engine="ray")
SMALL, BIG = {"CPU": 2.0}, {"CPU": 16.0, "GPU": 4.0, "a100": 4.0}
CELLS = ["lstm-s0", "gru-s0", "lstm-s1", "gru-s1"]
LONG = "examples=6000"
"""Long enough for a node to be lost meanwhile."""


# --- what a cell takes


@pytest.mark.parametrize(
    ("options", "threads", "demand"),
    [
        (RAY, 2, Demand(2)),
        (replace(RAY, gpus_per_cell=0.25), 1, Demand(1, 0.25)),
        (replace(RAY, gpus_per_cell=2.0, cell_resources='{"a100": 1}'), 3, Demand(3, 2.0, {"a100": 1.0})),
        (replace(RAY, exclusive=True), 1, Demand(16)),
    ],
)
def test_what_a_cell_takes_of_its_node(options: ClusterOptions, threads: int, demand: Demand) -> None:
    assert demand_of(options, threads, [SMALL, BIG]) == demand


def test_no_two_cells_share_a_node_that_each_has_for_itself() -> None:
    for nodes in ([4, 4], [4, 8], [3, 4, 5], [1, 16]):
        demand = demand_of(replace(RAY, exclusive=True), 1, [{"CPU": float(count)} for count in nodes])
        assert all(count < 2 * demand.cpus for count in nodes)
        assert any(count >= demand.cpus for count in nodes)


@pytest.mark.parametrize(
    ("options", "threads", "line"),
    [
        (RAY, 17, "--threads 17: no node of the cluster has more than 16 CPU; ask for less"),
        (replace(RAY, gpus_per_cell=8.0), 1, "--gpus-per-cell 8: no node of the cluster has more than 4 GPU"),
        (replace(RAY, gpus_per_cell=1.5), 1, "--gpus-per-cell 1.5: expected a share of one GPU, or whole ones"),
        (replace(RAY, gpus_per_cell=-1.0), 1, "--gpus-per-cell -1: expected a share of one GPU"),
        (
            replace(RAY, cell_resources='{"tpu": 1}'),
            1,
            "--cell-resources tpu=1: no node of the cluster has more than 0",
        ),
        (replace(RAY, cell_resources="a100"), 1, "--cell-resources a100: expected JSON such as"),
        (replace(RAY, cell_resources='{"a100": true}'), 1, """--cell-resources {"a100": true}: expected JSON"""),
        (
            replace(RAY, cell_resources='{"GPU": 1}'),
            1,
            """--cell-resources {"GPU": 1}: ask for GPU with --gpus-per-cell""",
        ),
    ],
)
def test_what_no_node_has_is_told_before_anything_trains(options: ClusterOptions, threads: int, line: str) -> None:
    with pytest.raises(UserError) as error:
        demand_of(options, threads, [SMALL, BIG])
    assert str(error.value).startswith(line)


def test_resources_that_no_node_has_together() -> None:
    nodes = [{"CPU": 1.0, "GPU": 1.0}, {"CPU": 8.0}]
    with pytest.raises(UserError, match=r"no node of the cluster has 8 CPU, 1 GPU at once"):
        demand_of(replace(RAY, gpus_per_cell=1.0), 8, nodes)


def test_options_are_meant_for_the_cluster() -> None:
    options = RunOptions(arch="lstm")
    assert for_cluster(options, ClusterOptions()) is options
    assert (for_cluster(options, RAY).device, for_cluster(options, RAY).threads) == ("cpu", 1)
    assert for_cluster(options, replace(RAY, gpus_per_cell=0.5)).device == "cuda"
    assert for_cluster(replace(options, threads=4), RAY).threads == 4
    for wrong, cluster, line in (
        (options, ClusterOptions(address="auto"), "--address: is for --engine ray"),
        (options, ClusterOptions(gpus_per_cell=1), "--gpus-per-cell: is for --engine ray"),
        (replace(options, device="cuda"), RAY, "--device cuda: on a cluster say how many GPUs a cell takes"),
        (replace(options, device="cpu"), replace(RAY, gpus_per_cell=1.0), "--device cpu: on a cluster"),
    ):
        with pytest.raises(UserError) as error:
            for_cluster(wrong, cluster)
        assert str(error.value).startswith(line)


def test_the_command_says_on_which_machines() -> None:
    cluster = cluster_options_of({"engine": "ray", "cell_resources": {"a100": 1}, "exclusive": True})
    command = command_of(RunOptions(arch="lstm"), cluster)
    assert command.endswith("""run --arch lstm --engine ray --cell-resources '{"a100": 1}' --exclusive""")


def test_without_ray_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.running.cluster.importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install -c constraints.txt -e '.\[cluster\]'"):
        for_cluster(RunOptions(arch="lstm"), RAY)


@pytest.mark.parametrize(
    ("visible", "at_once", "taken"),
    [
        (["0", "1", "2", "3"], 4, ["0", "1", "2", "3"]),
        (["0", "1", "2", "3"], 2, ["0", "1"]),
        (["GPU-a", "GPU-b"], 6, ["GPU-a", "GPU-b"]),
        ([], 4, []),
    ],
)
def test_cells_are_spread_over_the_gpus_that_there_are(visible: list[str], at_once: int, taken: list[str]) -> None:
    assert gpus_of(visible, at_once) == taken


def test_a_cell_goes_to_the_gpu_that_has_the_fewest(tiny_path: Path, tmp_path: Path) -> None:
    """Real processes; what they would see is all that is looked at."""
    cell = planned_cell(decide(RunOptions(arch="lstm", suite=str(tiny_path), threads=1), "test"), "lstm", 0, tmp_path)
    with closing(Children(["0", "GPU-b"])) as workers:
        keys = [workers.start(cell, tell_gpu) for _ in range(3)]
        seen = {}
        while len(seen) < 3:
            for key, event in workers.wait():
                if isinstance(event, dict) and "gpu" in event:
                    seen[key] = event["gpu"]
        assert [seen[key] for key in keys] == ["0", "GPU-b", "0"]


def tell_gpu(cell: PlannedCell, send: Send, stop: Stop) -> None:
    send({"kind": "gpu", "gpu": os.environ["CUDA_VISIBLE_DEVICES"]})
    while not stop():  # as long as its place is taken
        time.sleep(0.01)


# --- files and software


def test_files_of_a_job_lie_in_the_folder_of_its_cell(tmp_path: Path) -> None:
    for name in ("../out", str(tmp_path / "out")):
        with pytest.raises(ValueError, match="is no file of a cell"):
            keep(tmp_path / "cell", {name: b""})
    keep(tmp_path / "cell", {RECORD: b"1", "base/config.json": b"2"})
    keep(tmp_path / "cell", {RECORD: b"3"})  # another process was quicker
    assert (tmp_path / "cell" / RECORD).read_bytes() == b"1"
    assert (tmp_path / "cell" / "base" / "config.json").read_bytes() == b"2"


def test_a_worker_of_another_version_trains_nothing(tiny_path: Path, tmp_path: Path) -> None:
    plan = decide(RunOptions(arch="lstm", suite=str(tiny_path), threads=1), "test")

    def refusal(**changes: Any) -> str:
        other = plan.model_copy(update={"settings": plan.settings.model_copy(update=changes)})
        return disagreement(planned_cell(other, "lstm", 0, tmp_path))

    assert refusal() == ""
    assert refusal(torch=plan.settings.torch.split("+")[0] + "+cu130") == ""  # for another device
    assert refusal(version="0.0.1").endswith("and the plan is of 0.0.1; install the same there and here")
    assert "torch" in refusal(torch="2.0.0")
    lost = plan.model_copy(update={"plugins": ["no_such_module"]})
    assert "cannot load the plug-in of lstm" in disagreement(planned_cell(lost, "lstm", 0, tmp_path))


def test_a_worker_knows_the_names_of_files_without_their_modules() -> None:
    assert (cluster_worker.CHECKPOINTS, cluster_worker.RECORD) == (PATTERN, RECORD)
    script = "import sys, bench.running.cluster_worker; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


# --- two nodes


class Nodes:
    """The process of `tests/support/ray_nodes.py`."""

    def __init__(self) -> None:
        script = ROOT / "tests" / "support" / "ray_nodes.py"
        self._process = subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.address = self._said()

    def do(self, what: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        assert self._said() == what

    def close(self) -> None:
        self._process.communicate()

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with closing(Nodes()) as made:
        yield made


@pytest.fixture(scope="module")
def inline(tmp_path_factory: pytest.TempPathFactory, tiny_path: Path) -> Path:
    folder = tmp_path_factory.mktemp("inline")
    assert wait(begin(folder, tiny_path)) == 0
    return folder / "out"


def begin(folder: Path, suite: Path, *more: str, budget: str = LONG) -> subprocess.Popen[str]:
    words = ["run", "--arch", "lstm,gru", "--seeds", "2", "--suite", str(suite), "--out", "out", "--threads", "1"]
    words += ["--set", "batch=20", "--budget", budget, "--json", *more]
    with (folder / "stdout").open("w") as stdout:
        return subprocess.Popen(
            [sys.executable, "-m", "bench", *words],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )


def wait(process: subprocess.Popen[str], for_text: str = "") -> int | None:
    """Read what it says up to a text, or to its end; the exit status then."""
    assert process.stderr is not None
    for line in process.stderr:
        print(line, end="")
        if for_text and for_text in line:
            return None
    process.stderr.close()
    return process.wait()


def equal(mine: Path, other: Path) -> None:
    """To the byte, whatever happened on the way."""
    assert (mine / "results.csv").read_bytes() == (other / "results.csv").read_bytes()
    for cell in CELLS:
        assert (mine / "cells" / cell / WEIGHTS).read_bytes() == (other / "cells" / cell / WEIGHTS).read_bytes()


def test_a_worker_and_a_node_that_are_lost_cost_nothing_but_time(
    nodes: Nodes, inline: Path, tiny_path: Path, tmp_path: Path
) -> None:
    nodes.do("add")
    kept = tmp_path / "checkpoints"
    more = ("--engine", "ray", "--address", nodes.address, "--checkpoint-every", "0.2", "--checkpoint-dir", str(kept))
    run = begin(tmp_path, tiny_path, *more)
    assert wait(run, "[2/4]") is None
    assert wait(run, "25%") is None  # each node has a cell now
    nodes.do("remove")
    assert wait(run, "its worker was lost; tried again, 1 of 3") is None
    assert wait(run, "25%") is None
    for process in workers():  # of the node that is left; where its cell has just ended, of the next one
        os.kill(process, signal.SIGKILL)
    assert wait(run) == 0
    equal(tmp_path / "out", inline)
    json.loads((tmp_path / "stdout").read_text())  # Ray says nothing between
    assert not any(kept.iterdir())


def test_a_driver_that_was_interrupted_and_one_that_was_killed_go_on(
    inline: Path, tiny_path: Path, tmp_path: Path
) -> None:
    """On a Ray of this machine alone, which ends with it."""
    more = ("--engine", "ray", "--checkpoint-dir", str(tmp_path / "kept"))
    run = begin(tmp_path, tiny_path, *more)
    assert wait(run, "25%") is None
    run.send_signal(signal.SIGTERM)  # as a cluster's time limit does; Ctrl-C is answered alike
    assert wait(run) == 130
    assert any((tmp_path / "kept").glob("*/checkpoint-*.safetensors"))
    run = begin(tmp_path, tiny_path, *more)
    assert wait(run, "goes on from step") is None
    assert wait(run, "1 of 4 done") is None
    run.kill()
    run.communicate()
    records = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob(f"cells/*/{RECORD}")}
    assert records
    deadline = time.monotonic() + 30
    while workers() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not workers()
    assert wait(begin(tmp_path, tiny_path, *more)) == 0
    equal(tmp_path / "out", inline)
    assert {path: path.stat().st_mtime_ns for path in records} == records  # nothing is trained twice


def workers() -> list[int]:
    """Processes of Ray that work on a cell."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::work"):
                found.append(int(path.parent.name))
        except OSError:  # it has ended
            continue
    return found


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--address", "nowhere"), "--address nowhere: expected HOST:PORT"),
        (("--address", "127.0.0.1:{free}"), "nobody answers (Connection refused); start it: ray start --head"),
        (("--engine", "inline", "--exclusive"), "--exclusive: is for --engine ray; add that, or leave it out"),
        (("--gpus-per-cell", "99"), "--gpus-per-cell 99: no node of the cluster has more than"),
        (("--join",), "--join: is for --engine inline"),
    ],
)
def test_bad_input_is_one_line(words: tuple[str, ...], line: str, tiny_path: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = str(server.getsockname()[1])
    more = [word.format(free=free) for word in words]
    run = begin(tmp_path, tiny_path, *([] if "--engine" in more else ["--engine", "ray"]), *more)
    _, said = run.communicate()
    assert (run.returncode, said.count("\n")) == (2, 1)
    assert line in said
    assert not (tmp_path / "out" / "cells").exists()
