"""One cell, run in this process: what its seed decides, and what its figures leave out."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import architectures
from bench.asking.models import load_model
from bench.datasets.drawing.stream import Stream
from bench.datasets.suites import Suite
from bench.datasets.writing.encoding import Encoded
from bench.plan import config_of, sequence_spec, suite_of
from bench.planning.amounts import parse_budget
from bench.planning.decide import decide
from bench.planning.options import RunOptions
from bench.planning.settings import TrainingSettings
from bench.planning.sizing import count_parameters
from bench.results.records.collect import CELL_COLUMNS
from bench.results.records.curves import read_curve
from bench.results.records.plan import Plan
from bench.results.records.record import RECORD, Record, read_record
from bench.running import evaluation, outcome, training
from bench.running.cell import PlannedCell, run_cell
from bench.running.evaluation import Answered


@pytest.fixture
def plan(tiny_path: Path) -> Plan:
    return decide(RunOptions(arch="lstm", suite=str(tiny_path), threads=1, set=("batch=30",)), command="test")


def cell(plan: Plan, folder: Path, seed: int = 0) -> PlannedCell:
    return PlannedCell(plan, plan.architectures[0], seed, folder)


def run_here(plan: Plan, folder: Path) -> Record:
    run_cell(cell(plan, folder), lambda event: None)
    return read_record(folder)


def test_the_seed_decides_the_weights_that_a_model_is_born_with(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seeded before it is built, whatever was random before, and born as its own class says: nobody redoes that."""
    born: list[dict[str, torch.Tensor]] = []

    def train(model: torch.nn.Module, *_: Any, **__: Any) -> None:
        born.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        raise training.Diverged("far off")

    monkeypatch.setattr(outcome, "train", train)
    for number, seed in enumerate((0, 0, 1)):
        torch.manual_seed(100 + number)
        run_cell(cell(plan, tmp_path / str(number), seed), lambda event: None)
    torch.manual_seed(0)
    config = config_of("lstm", plan.entries["lstm"])
    expected = architectures.get("lstm")(config, sequence_spec(suite_of(plan))).state_dict()
    for name, tensor in expected.items():
        assert torch.equal(born[0][name], tensor)
        assert torch.equal(born[1][name], tensor)
    assert any(not torch.equal(born[2][name], tensor) for name, tensor in expected.items())


def test_a_problem_is_written_in_training_as_in_evaluation(
    plan: Plan, tiny: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One symbol more or less at the boundary of prompt and answer would move every figure of an architecture."""
    seen: dict[str, list[Encoded]] = {"training": [], "evaluation": []}

    def train(model: torch.nn.Module, stream: Stream, *_: Any, **__: Any) -> None:
        seen["training"].append(stream.take(20_000))  # nearly all of the few training problems
        raise training.Diverged("far off")

    monkeypatch.setattr(outcome, "train", train)
    run_cell(cell(plan, tmp_path / "training"), lambda event: None)
    monkeypatch.undo()
    original = evaluation.answer

    def answer(model: Any, problems: Encoded, *arguments: Any) -> Answered:
        seen["evaluation"].append(problems)
        return original(model, problems, *arguments)

    monkeypatch.setattr(outcome, "answer", answer)
    run_cell(cell(plan, tmp_path / "evaluation"), lambda event: None)
    known = set(rows_of(seen["training"][0]))
    asked = rows_of(seen["evaluation"][-1])
    of_training = asked[len(tiny.evaluation_set("test")) :]
    assert len(of_training) == len(tiny.evaluation_set("seen"))
    assert set(of_training) <= known
    assert not set(asked[: -len(of_training)]) & known
    for problems in (*seen["training"], *seen["evaluation"]):
        assert (problems.prompt[:, -1] == tiny.encoding.tokenizer.vocabulary.index("=")).all()


def rows_of(problems: Encoded) -> list[tuple[bytes, bytes]]:
    return [
        (prompt.tobytes(), answer.tobytes()) for prompt, answer in zip(problems.prompt, problems.answer, strict=True)
    ]


def test_training_time_and_rates_leave_validation_out(tiny: Suite) -> None:
    """Twenty validations of 50 ms each are no second of training, and slow no step down."""
    cls = architectures.get("lstm")
    model = cls(cls.Config(layers=1, width=8, hidden=8), sequence_spec(tiny))
    asked = []

    def validate() -> tuple[int, int]:
        time.sleep(0.05)
        asked.append(1)
        return 0, 1

    started = time.perf_counter()
    trained = training.train(
        model,
        Stream(tiny.stream(0), tiny.encoding),
        parse_budget("examples=320"),
        TrainingSettings(batch=16),
        seed=0,
        flops_per_example=1,
        optimizer_flops_per_step=1,
        device=torch.device("cpu"),
        precision="32",
        stop_when_flat=None,
        validate=validate,
        send=lambda event: None,
    )
    wall_seconds = time.perf_counter() - started
    assert len(asked) == 20
    assert trained.train_seconds <= wall_seconds - 20 * 0.05
    assert sum(16 / rate for rate in trained.rates) == pytest.approx(trained.train_seconds)


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Numbers of parameters are counted anew, for a class that is changed in place."""
    count_parameters.cache_clear()
    yield
    count_parameters.cache_clear()


@pytest.mark.usefixtures("forgotten")
def test_tied_weights_are_kept_and_read_again(tmp_path: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """safetensors refuses tensors that share memory, and each checkpoint and the trained model are written by it."""
    cls = architectures.get("transformer")
    build = cls.__init__

    def tied(self: Any, *arguments: Any) -> None:
        build(self, *arguments)
        self.head.weight = self.symbols.weight

    monkeypatch.setattr(cls, "__init__", tied)
    options = RunOptions(arch="transformer", suite=str(tiny_path), threads=1, set=("batch=30",))
    tied_plan = decide(options, command="test")
    record = run_here(tied_plan, tmp_path)
    assert (record.status, record.reason) == ("done", "")
    model = load_model(tmp_path, record, suite_of(tied_plan))
    assert model.get_parameter("head.weight") is model.get_parameter("symbols.weight")
    assert record.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_a_plan_made_before_optimizers_were_counted_is_carried_out_as_it_was(tiny_path: Path, tmp_path: Path) -> None:
    """Its budget of FLOPs is the model's alone, and no file of the cell has the new key or column."""
    options = RunOptions(arch="lstm", suite=str(tiny_path), threads=1, set=("batch=30",), budget="flops=100M")
    made = decide(options, command="test")
    entry = made.entries["lstm"].model_copy(update={"optimizer_flops_per_step": None})
    assert "optimizer_flops_per_step" not in entry.model_dump()
    before = made.model_copy(update={"entries": {"lstm": entry}})
    record = run_here(before, tmp_path)
    assert (record.examples, record.optimizer_flops) == (-(-(10**8) // entry.flops_per_example), None)
    assert "optimizer_flops" not in json.loads((tmp_path / RECORD).read_text())
    assert "optimizer_flops" not in read_curve(tmp_path)
    assert cell(before, tmp_path).digest != cell(made, tmp_path).digest


def test_every_figure_that_is_promised_is_measured(plan: Plan, tmp_path: Path) -> None:
    record = run_here(plan, tmp_path)
    empty = [name for name in CELL_COLUMNS if getattr(record, name) is None]
    assert empty == ([] if Path("/proc/self/status").exists() else ["peak_memory_mb"])
    for name in ("train_seconds", "tokens_per_second", "examples_per_second", "decode_problems_per_second"):
        assert getattr(record, name) > 0, name
    assert record.wall_seconds is not None
    assert record.train_seconds is not None
    assert 0 < record.train_seconds <= record.wall_seconds
