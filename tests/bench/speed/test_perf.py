"""What `perf` computes from its clocks and probes, on tiny work; no test looks at how fast anything is."""

import dataclasses
import json
import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.__main__ import main
from bench.numerics import as_in_a_cell, deterministic
from bench.planning.decide import decide
from bench.planning.options import RunOptions
from bench.planning.sizing import count_flops, count_parameters
from bench.results.records.plan import Plan
from bench.speed import contenders, perf, probes
from bench.timing import quartiles


@pytest.fixture(scope="module")
def plan(tiny_path: Path) -> Plan:
    options = RunOptions(arch="lstm,transformer", suite=str(tiny_path), params="5k", device="cpu", threads=1)
    return decide(options, command="test")


@pytest.fixture(scope="module")
def setting(plan: Plan) -> contenders.Setting:
    return dataclasses.replace(contenders.setting_of(plan, 4), problems=3, alone=2)


def silent(_: str) -> None: ...


def test_problems_are_full_and_without_special_symbols(setting: contenders.Setting) -> None:
    examples = contenders.random_problems(setting.spec, 500)
    assert examples.prompt.shape == (500, 10)
    assert examples.answer.shape == (500, 6)
    assert (examples.tokens == setting.tokens).all()
    assert examples.prompt.min() == 4
    assert examples.prompt.max() == setting.spec.vocabulary - 1
    assert (contenders.random_problems(setting.spec, 500).prompt == examples.prompt).all()


def test_answers_are_at_full_width_for_no_symbol_ends_them(plan: Plan, setting: contenders.Setting) -> None:
    problems = contenders.random_problems(setting.decoded_spec, 20)
    for design in contenders.own_designs(plan):
        model = design.cls(design.config, setting.decoded_spec)
        written = model.generate(torch.from_numpy(problems.prompt), contenders.DECODED_WIDTH)
        with torch.no_grad():
            assert torch.equal(model.logits(torch.from_numpy(problems.prompt), written).argmax(-1), written)


def test_a_training_step_moves_the_model_and_its_flops_are_those_of_sizing(
    plan: Plan, setting: contenders.Setting
) -> None:
    for design in contenders.own_designs(plan):
        contender = design.build(setting)
        first = float(contender.train())
        for _ in range(10):
            last = float(contender.train())
        assert last < first
        assert contender.flops == 4 * count_flops(design.cls, design.config, setting.spec)
        assert contender.parameters == count_parameters(design.cls, design.config, setting.spec)[0]


def test_quartiles() -> None:
    assert quartiles([5, 1, 4, 2, 3]) == (2, 3, 4)
    assert perf.figures("rate", [5, 1, 4, 2, 3]) == {"rate": 3, "rate_quartiles": [2, 4]}
    assert perf.figures("rate", []) == {"rate": None, "rate_quartiles": None}


class Stub:
    """A contender whose clock is set by hand."""

    device, parameters, optimizer = torch.device("cpu"), 7, "adamw"
    numerics = nullcontext

    def __init__(self, decodes: bool, flops: int) -> None:
        self.decodes, self.flops, self.steps = decodes, flops, 0

    def train(self) -> Tensor:
        self.steps += 1
        return torch.zeros(())

    def decode(self, problems: Any) -> None: ...


def test_shares_and_ratios_are_taken_within_a_round(
    setting: contenders.Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine halves its speed round by round; shares and ratios don't move, and warm-up is left out."""
    stubs: dict[str, Any] = {"ours": Stub(True, 400), "theirs": Stub(False, 100)}
    clock = {"round": -perf.WARMUP_ROUNDS}  # the first counted one is number 1

    def seconds(job: Callable[[], Any], _: torch.device) -> float:
        job()
        slow = 2.0 ** clock["round"]
        return slow * (8 if job == stubs["theirs"].train else 2)

    def told(_: str) -> None:
        clock["round"] += 1

    monkeypatch.setattr(perf, "timed", seconds)
    monkeypatch.setattr(perf, "MatrixProbe", lambda *_: SimpleNamespace(rate=lambda: 1000 / 2.0 ** clock["round"]))
    monkeypatch.setattr(perf, "CopyProbe", lambda *_: SimpleNamespace(rate=lambda: 50.0))
    measured = perf.measure(stubs, setting, 3, told)
    assert stubs["ours"].steps == 3 + perf.WARMUP_ROUNDS
    assert measured.samples["ours"].train_seconds == [4, 8, 16]
    assert measured.samples["ours"].shares == pytest.approx([0.2] * 3)  # 400 in 2 s, where the probe does 1000 a second
    assert len(measured.bytes_per_second) == 3
    ours, theirs = perf.rows(
        stubs,
        {"ours": "", "theirs": "ours"},
        measured,
        setting,
        {"ours": 1.5, "theirs": None},
        dict.fromkeys(stubs, 50),
    )
    assert ours["share_of_peak"] == pytest.approx(0.2)
    assert ours["flops_per_token"] == 400 / (4 * 16)
    assert ours["flops_per_byte"] == 8
    assert ours["peak_memory_mb"] == 1.5
    assert ours["train_tokens_per_second"] == 16 * ours["train_examples_per_second"]
    assert ours["decode_problems_per_second"] == pytest.approx(3 / 2 * ours["decode_alone_per_second"])
    found = {ratio["of"]: ratio["ratio"] for ratio in ours["ratios"]}
    assert found == pytest.approx({"train, a token": 4, "train, a FLOP": 16})
    assert theirs["decode_problems_per_second"] is None
    assert theirs["ratios"] == []


def test_bytes_moved_are_what_is_read_and_written() -> None:
    one, other = torch.ones(1000), torch.ones(1000)
    assert probes.bytes_moved(lambda: one + other) == 3 * 4000
    assert probes.bytes_moved(lambda: one.add_(other)) == 3 * 4000
    assert probes.bytes_moved(lambda: one.view(10, 100)) == 0
    scalar = torch.zeros(1)
    assert probes.bytes_moved(lambda: scalar.expand(1000) + other) == 4 + 2 * 4000  # as often as it is stored


def test_torch_is_put_back_as_it_was(setting: contenders.Setting) -> None:
    def state() -> tuple[Any, ...]:
        options: Any = torch.utils.deterministic
        tf32, deterministic = torch.backends.cudnn.allow_tf32, torch.are_deterministic_algorithms_enabled()
        return torch.get_num_threads(), tf32, deterministic, options.fill_uninitialized_memory

    before = state()
    with as_in_a_cell(2, setting.device), deterministic(False):
        assert torch.get_num_threads() == 2
        assert not torch.backends.cudnn.allow_tf32
    assert state() == before


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="read from Linux's /proc")
def test_peak_memory_is_that_of_the_model_in_a_process_of_its_own(plan: Plan, setting: contenders.Setting) -> None:
    design = contenders.own_designs(plan)[1]
    large = dataclasses.replace(setting, batch=4096)
    peak = perf.peak_memory_mb(design, large)
    assert peak is not None
    # What backward needs of each block at least: its inputs, queries, keys, values, and the feed-forward twice.
    kept = design.config.layers * (1 + 3 + 2 * 4) * design.config.width * 4096 * 15 * 4 / 1e6
    assert 0.5 * kept < peak < 5 * kept


@pytest.fixture
def tiny_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little to decode, and no process for memory."""
    of = contenders.setting_of
    monkeypatch.setattr(
        contenders, "setting_of", lambda *arguments: dataclasses.replace(of(*arguments), problems=4, alone=1)
    )
    monkeypatch.setattr(perf, "peak_memory_mb", lambda *_: 12.5)


def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["bench", "perf", *line.split()])
    if hasattr(os, "getloadavg"):
        monkeypatch.setattr(os, "getloadavg", lambda: (0.1, 0.1, 0.1))
    with pytest.raises(SystemExit) as exit_:
        main()
    captured = capsys.readouterr()
    return int(exit_.value.code or 0), captured.out, captured.err


TINY = "--params 5k --batch 4 --rounds 2 --threads 1 --device cpu"


@pytest.mark.usefixtures("tiny_work")
def test_json_and_files_have_what_is_promised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contenders, "installed", lambda peer: peer.module == "torch")
    line = f"--arch lstm,transformer --peers --json --out {tmp_path / 'out'} {TINY}"
    status, out, err = call(capsys, monkeypatch, line)
    assert (status, err) == (0, "")
    rows = json.loads(out)
    assert json.loads((tmp_path / "out" / "perf.json").read_text()) == rows
    assert (tmp_path / "out" / "roofline.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "out" / "roofline.svg").read_text()
    names = ["lstm", "transformer", "nn.LSTM", "nn.TransformerEncoder", "x-transformers", "GPT-2 (transformers)"]
    assert [row["architecture"] for row in rows] == names
    assert all(set(row) == set(rows[0]) for row in rows)
    for row in rows[:2]:
        for key in (
            "parameters",
            "train_tokens_per_second",
            "train_examples_per_second",
            "decode_problems_per_second",
            "peak_memory_mb",
            "share_of_peak",
        ):
            assert row[key] > 0
        assert row["counterpart"] is None
    assert {row["optimizer"] for row in rows[:4]} == {"adamw"}
    assert {ratio["to"] for ratio in rows[1]["ratios"]} == {"nn.TransformerEncoder"}
    assert rows[2]["decode_problems_per_second"] is None
    for row in rows[4:]:
        assert "pip install -c constraints.txt -e '.[peers]'" in row["left_out"]
        assert row["train_tokens_per_second"] is None


@pytest.mark.usefixtures("tiny_work")
def test_more_threads_than_cores_are_a_warning(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.machine.cores", lambda: 2)
    monkeypatch.setattr(perf, "speeds", lambda *_: [])
    status, out, err = call(capsys, monkeypatch, f"--arch lstm --json {TINY.replace('threads 1', 'threads 64')}")
    assert (status, json.loads(out)) == (0, [])
    assert err == "bench: 64 threads share 2 cores; times may be longer than on a machine of its own\n"


@pytest.mark.usefixtures("tiny_work")
def test_the_tables_name_every_figure_and_whoever_is_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contenders, "installed", lambda peer: peer.module == "torch")

    def broken(*_: object) -> int:
        raise RuntimeError("no such\noperator")

    monkeypatch.setattr("bench.speed.peers.TorchEncoder.loss", broken)
    status, out, _ = call(
        capsys, monkeypatch, f"--arch lstm,transformer,bitnet --peers --set lstm.optimizer=muon {TINY}"
    )
    assert status == 0
    assert "ours by adamw, muon, with clipping" in " ".join(out.split())
    for part in ("tokens/s", "decode/s alone", "peak MB", "FLOPs/token", "share of peak %", "12.5", "GFLOP/s"):
        assert part in out
    assert "nn.TransformerEncoder is left out: cannot run here: RuntimeError: no such operator." in out
    assert "GPT-2 (transformers) is left out: transformers is not installed here" in out
    assert "bitnet" in out.split("Side by side")[1]


@pytest.mark.usefixtures("tiny_work")
def test_a_peer_whose_package_is_broken_is_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ImportError("built for another version")

    monkeypatch.setattr(contenders, "installed", lambda peer: peer.module == "torch")
    monkeypatch.setattr(contenders, "fit_peer", broken)
    status, out, _ = call(capsys, monkeypatch, f"--arch lstm --peers {TINY}")
    assert status == 0
    assert "nn.LSTM is left out: cannot run here: ImportError: built for another version." in out


@pytest.mark.usefixtures("tiny_work")
def test_ours_that_cannot_run_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(contenders, "build_optimizers", broken)
    assert call(capsys, monkeypatch, f"--arch lstm {TINY}") == (2, "", "bench: lstm: cannot run here: no memory left\n")
