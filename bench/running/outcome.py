"""The outcome of a cell or a trial: a model is trained and asked, and its figures go into a record or to the search."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
import safetensors.torch
import torch

from bench import architectures, machine
from bench.architectures import Architecture
from bench.datasets.drawing.evaluation import EvaluationSet
from bench.datasets.drawing.stream import Stream
from bench.datasets.suites import Suite
from bench.errors import reason_of
from bench.numerics import as_in_a_cell, repeats
from bench.plan import config_of, sequence_spec, suite_of, training_of
from bench.planning.amounts import parse_budget
from bench.plugins import check_plugin
from bench.results.files import sha256_of, write_bytes, write_text
from bench.results.records.curves import write_curve
from bench.results.records.plan import SCHEMA_VERSION
from bench.results.records.predictions import write_predictions
from bench.results.records.record import RECORD, WEIGHTS, Record, had_the_machine, write_record
from bench.running.cell import ERROR, PlannedCell, Send, Stop
from bench.running.checkpoints import PATTERN, Checkpoint, newest_checkpoint, ready_to_save, write_checkpoint
from bench.running.evaluation import Answered, answer, predictions, state_bytes
from bench.running.training import Checkpointing, Diverged, Stopped, Trained, train


def outcome_of(
    job: Callable[[PlannedCell, Send, Stop], dict[str, Any]], cell: PlannedCell, send: Send, stop: Stop
) -> dict[str, Any]:
    """What `job` returns, or status and reason of its failure; a bug's traceback goes into `ERROR`.

    Raises:
        Stopped: it was asked to.
    """
    try:
        with as_in_a_cell(cell.plan.settings.threads, cell.plan.settings.device):
            return job(cell, send, stop)
    except Stopped:
        raise
    except Diverged as error:
        return {"status": "diverged", "reason": str(error)}
    except (MemoryError, torch.OutOfMemoryError) as error:
        return {"status": "out-of-memory", "reason": reason_of(error)}
    except Exception as error:
        write_text(cell.directory / ERROR, traceback.format_exc())
        out_of_memory = "can't allocate memory" in str(error)  # what torch's CPU allocator raises, as RuntimeError
        return {"status": "out-of-memory" if out_of_memory else "failed", "reason": reason_of(error)}


def write_outcome(cell: PlannedCell, outcome: dict[str, Any]) -> None:
    """Write the record of a cell; figures that `outcome` lacks are None."""
    settings, directory = cell.plan.settings, cell.directory
    content: dict[str, Any] = dict.fromkeys(field.name for field in fields(Record))
    planned = settings.model_dump() | cell.planned.model_dump()
    content |= {name: value for name, value in planned.items() if name in content}
    content |= {
        "schema": SCHEMA_VERSION,
        "architecture": cell.architecture,
        "seed": cell.seed,
        "reason": "",
        "exclusive": False,
        "data_chain": [],
        "versions": machine.versions(),
        "machine": machine.description() | {"deterministic": repeats(settings.device)},
        "files": {
            path.relative_to(directory).as_posix(): sha256_of(path)
            for path in sorted(directory.rglob("[!.]*"))
            if path.is_file() and path.name != RECORD and not path.match(PATTERN)
        },
    }
    write_record(directory, Record(**(content | outcome)))


@dataclass(frozen=True)
class _Learnt:
    """A trained model, and how its training went."""

    suite: Suite
    device: torch.device
    model: Architecture
    stream: Stream
    trained: Trained
    validation: EvaluationSet
    validated: Answered
    """to all validation problems, at the end"""
    cost: _Cost


@dataclass(frozen=True)
class _Cost:
    """What training took, validation on the way with it, in all the processes that had a part in it."""

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    """processor seconds, all threads together"""
    cell_beside: bool | None = False
    """another cell ran meanwhile; None where the system cannot tell"""
    peak_memory_mb: float | None = 0.0
    """above what stood before the model was built; None where the system does not say"""

    def __add__(self, more: _Cost) -> _Cost:
        unknown = None in (self.cell_beside, more.cell_beside)
        peaks = (self.peak_memory_mb, more.peak_memory_mb)
        return _Cost(
            wall_seconds=self.wall_seconds + more.wall_seconds,
            cpu_seconds=self.cpu_seconds + more.cpu_seconds,
            cell_beside=self.cell_beside or more.cell_beside or (None if unknown else False),
            peak_memory_mb=None if None in peaks else max(peak for peak in peaks if peak is not None),
        )


def _learn(cell: PlannedCell, send: Send, stop: Stop, kept_in: Path | None) -> _Learnt:
    """Train on the training problems; ask the validation problems. Nobody has made a test problem when it returns.

    Training goes on from the newest checkpoint in the folder `kept_in`, and its own are kept there; None keeps none.
    """
    settings, planned = cell.plan.settings, cell.planned
    device = torch.device(settings.device)
    for module in cell.plan.plugins:
        architectures.load_plugin(module)
    suite = suite_of(cell.plan)
    cls = architectures.get(cell.architecture)
    check_plugin(cls, planned.plugin_hash)
    encoding, spec = suite.encoding, sequence_spec(suite)
    validation = suite.evaluation_set("validation")
    validation_items = encoding.encode(validation.problems)
    sample = encoding.encode(validation.problems.rows(validation.sample(cls.curve_problems, suite.key)))
    stream = Stream(suite.stream(cell.seed, settings.training_problems), encoding)

    memory = machine.PeakMemory(settings.device)  # without what preparing the data took
    torch.manual_seed(cell.seed)  # before the model is built: initialisation is part of what a seed decides
    model = cls(config_of(cell.architecture, planned), spec).to(device).train()

    def validate() -> tuple[int, int]:
        right = answer(model, sample, device, settings.precision).right
        return int(right.sum()), len(right)

    before, cost_before = None, _Cost()
    if kept_in is not None:
        before, broken = newest_checkpoint(kept_in, cell.digest)
        for error in broken:
            send({"kind": "warning", "text": str(error)})
        if before is not None:
            cost_before = _Cost(**before.facts["cost"])
            steps, share = before.facts["trained"]["steps"], before.facts["share"]
            send({"kind": "resumed", "steps": steps, "share": share, "curve": before.facts["trained"]["curve"]})

    with machine.CellsBeside() as beside:
        clock, processor = time.perf_counter(), time.process_time()

        def cost() -> _Cost:
            return cost_before + _Cost(
                wall_seconds=time.perf_counter() - clock,
                cpu_seconds=time.process_time() - processor,
                cell_beside=beside.seen(),
                peak_memory_mb=memory.mb(),
            )

        def save(checkpoint: Checkpoint, step: int) -> None:
            assert kept_in is not None
            facts = checkpoint.facts | {"cost": asdict(cost())}
            write_checkpoint(kept_in, cell.digest, step, replace(checkpoint, facts=facts))

        trained = train(
            model,
            stream,
            parse_budget(settings.budget),
            training_of(planned),
            seed=cell.seed,
            flops_per_example=planned.flops_per_example,
            optimizer_flops_per_step=planned.optimizer_flops_per_step or 0,
            device=device,
            precision=settings.precision,
            stop_when_flat=settings.stop_when_flat,
            validate=validate,
            send=send,
            checkpointing=Checkpointing(
                resume=before, save=None if kept_in is None else save, every_seconds=cell.checkpoint_seconds, stop=stop
            ),
        )
        total = cost()
    send({"kind": "evaluation"})
    return _Learnt(
        suite=suite,
        device=device,
        model=model,
        stream=stream,
        trained=trained,
        validation=validation,
        validated=answer(model, validation_items, device, settings.precision),
        cost=total,
    )


def train_and_validate(cell: PlannedCell, send: Send, stop: Stop) -> dict[str, Any]:
    """The outcome of a trial: its score on validation, and what it cost."""
    learnt = _learn(cell, send, stop, kept_in=None)
    return {
        "status": "done",
        "reason": "",
        "correct": int(learnt.validated.right.sum()),
        "total": len(learnt.validation),
        "examples": learnt.trained.examples,
        "flops": learnt.trained.flops,
        "train_seconds": learnt.trained.train_seconds,
    }


def train_and_evaluate(cell: PlannedCell, send: Send, stop: Stop) -> dict[str, Any]:
    """The outcome of a cell: the figures of its record that its plan does not give. Test problems are asked once."""
    directory, settings = cell.directory, cell.plan.settings
    learnt = _learn(cell, send, stop, kept_in=directory)
    suite, device, model, stream, trained = learnt.suite, learnt.device, learnt.model, learnt.stream, learnt.trained
    test, seen = suite.evaluation_set("test"), suite.evaluation_set("seen")
    asked = suite.encoding.encode(type(test.problems).join([test.problems, seen.problems]))
    answered = answer(model, asked, device, settings.precision)

    write_predictions(directory, predictions(suite, test, seen, answered))
    counted, curve = cell.plan.counts_optimizer, pd.DataFrame(trained.curve)
    write_curve(directory, curve if counted else curve.drop(columns="optimizer_flops"))
    weights = safetensors.torch.save(ready_to_save(model.state_dict()))
    write_bytes(directory / WEIGHTS, weights)  # on the disk before the record that vouches for it
    model.write_beside(directory)
    low, middle, high = trained.rate_quartiles() if trained.steps else (None, None, None)
    correct = int(answered.right[: len(test)].sum())
    return {
        "status": "done",
        "reason": "flat" if trained.flat else "",
        "examples": trained.examples,
        "unique_problems": stream.unique_problems,
        "tokens": trained.tokens,
        "steps": trained.steps,
        "flops": trained.flops,
        "optimizer_flops": trained.optimizer_flops if counted else None,
        "train_seconds": trained.train_seconds,
        "tokens_per_second": None if middle is None else middle * trained.tokens / trained.examples,
        "examples_per_second": middle,
        "examples_per_second_quartiles": None if middle is None else [low, high],
        "decode_problems_per_second": len(answered.right) / answered.seconds,
        "state_bytes": state_bytes(model, asked, device, settings.precision),
        "weight_bits": model.weight_bits,
        **asdict(learnt.cost),
        "exclusive": had_the_machine(
            device=device.type,
            threads=settings.threads,
            cores=machine.cores(),
            wall_seconds=learnt.cost.wall_seconds,
            cpu_seconds=learnt.cost.cpu_seconds,
            cell_beside=learnt.cost.cell_beside,
        ),
        "data_hash": stream.data_hash,
        "data_chain": stream.chain,
        "test_hash": test.hash,
        "validation_hash": learnt.validation.hash,
        "correct": correct,
        "total": len(test),
        "exact_match": correct / len(test),
        "validation_correct": int(learnt.validated.right.sum()),
        "validation_total": len(learnt.validation),
    }
