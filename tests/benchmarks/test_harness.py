"""What the harness costs around the work: one whole cell of `quick`, from the moment its process has imported torch.

    python -m pytest -o addopts= --import-mode=importlib --benchmark-only -s tests/benchmarks/test_harness.py

Beside the seconds of the cell, `extra_info` says how much of them was training steps, and how much answering: the
validations and the test. The rest is the harness: data that are prepared, progress, checkpoints, curves, hashes, files.
"""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from bench import machine
from bench.planning.decide import decide
from bench.planning.options import RunOptions
from bench.running import evaluation
from bench.running.cell import PlannedCell, run_cell


@pytest.mark.benchmark(group="harness")
@pytest.mark.parametrize("architecture", ["lstm", "transformer"])
def test_cell_of_quick(
    benchmark: Any,
    architecture: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = RunOptions(arch=architecture, device="cpu", threads=machine.cores(), seeds="0,")
    cell = PlannedCell(decide(options, command="test"), architecture, 0, tmp_path)
    spent = {"answering": 0.0}
    answer = evaluation.answer

    def watched(*args: Any) -> evaluation.Answered:
        started = time.perf_counter()
        try:
            return answer(*args)
        finally:
            spent["answering"] += time.perf_counter() - started

    monkeypatch.setattr("bench.running.outcome.answer", watched)
    benchmark.pedantic(run_cell, (cell, lambda event: json.dumps(event)), rounds=1)
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["status"] == "done"
    whole, training = benchmark.stats.stats.max, record["train_seconds"]
    share = 1 - (training + spent["answering"]) / whole
    benchmark.extra_info |= {"training": training, "answering": spent["answering"], "harness_share": share}
    with capsys.disabled():
        print(
            f"\n{architecture}: {whole:.1f} s, of which training {training:.1f}, answering {spent['answering']:.1f}, "
            f"the harness {share:.1%}"
        )
