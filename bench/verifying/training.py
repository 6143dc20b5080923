"""Checks of how a cell was trained: its settings, size, budget, data, learning curve and times."""

import math
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.plan import sequence_spec
from bench.planning.amounts import Budget, parse_budget
from bench.planning.settings import TrainingSettings, tuned_for
from bench.planning.sizing import TOLERANCE
from bench.results.records.record import BUDGET_UNITS, WEIGHTS, had_the_machine
from bench.running.optimizers import factor_of_step
from bench.running.training import CURVE_POINTS, WARMUP_STEPS
from bench.verifying.answers import MOST_EXCESS, excess_on_test, unsure
from bench.verifying.cell import Cell, Wrong, short
from bench.verifying.expected import TrainingData


def settings(cell: Cell) -> str:
    """The cell was run under the plan's settings."""
    record, plan, suite = cell.record, cell.expected.settings, cell.expected.suite
    decided = ("config", "training", "match", "preset", "tuned", "plugin_hash")
    planned = {name: getattr(cell.planned, name) for name in decided}
    planned |= {name: getattr(plan, name) for name in ("budget", "device", "precision", "threads")}
    planned |= {"suite": suite.name, "suite_version": suite.version, "suite_hash": suite.hash}
    for name, value in planned.items():
        found = getattr(record, name)
        if found != value:
            raise Wrong(f"other settings than planned: {name} is {found}, in run.json {value}")
    asked = tuned_for(suite.name, plan.parameters, plan.budget)
    if record.tuned and record.preset != asked:
        raise Wrong(f"marked as tuned for this, but its settings were tuned for {record.preset or 'nothing'}")
    return "as planned" + ("" if record.tuned else "; not tuned for this")


def parameters(cell: Cell) -> str:
    """The model has as many parameters as stated and as asked."""
    record, plan = cell.record, cell.expected.settings
    total, active, _ = cell.size
    if (record.parameters, record.active_parameters) != (total, active):
        more = "more" if total > (record.parameters or 0) else "other"
        raise Wrong(
            f"{more} parameters than stated: the record says {record.parameters:,} ({record.active_parameters:,} "
            f"active), a model of its config has {total:,} ({active:,} active)"
        )
    asked = plan.parameters
    deviation = (active if plan.match == "active" else total) / asked - 1
    if record.match == "unequal":
        return f"{total:,}, {deviation:+.1%} of the {asked:,} asked, marked unequal"
    if record.match != plan.match:
        raise Wrong(f"match is {record.match}, in run.json {plan.match}")
    if abs(deviation) > TOLERANCE:
        raise Wrong(
            f"{'more' if deviation > 0 else 'fewer'} parameters than asked: {total:,} ({active:,} active), which is "
            f"{deviation:+.1%} of {asked:,}; {TOLERANCE:.0%} are allowed where a cell is not marked unequal"
        )
    return f"{total:,}, {deviation:+.1%} of the {asked:,} asked"


def budget(cell: Cell) -> str:
    """The budget was met within one example, and examples, steps and FLOPs agree."""
    record = cell.record
    asked, batch = parse_budget(record.budget, "budget"), record.training["batch"]
    if cell.steps != -(-cell.examples // batch):
        raise Wrong(f"steps: {cell.steps:,} steps of {batch} examples are not {cell.examples:,} examples")
    flops_per_example = cell.size[2]
    if record.flops != cell.examples * flops_per_example:
        raise Wrong(
            f"FLOPs: the record says {record.flops:,}, {cell.examples:,} examples of {flops_per_example:,} FLOPs are "
            f"{cell.examples * flops_per_example:,}"
        )
    per_step = cell.optimizer_flops_per_step
    updates = None if per_step is None else cell.steps * per_step
    if record.optimizer_flops != updates:
        raise Wrong(
            f"FLOPs of the optimizer: the record says {record.optimizer_flops}, {cell.steps:,} steps of {per_step} "
            f"FLOPs are {updates}"
        )
    used = float(getattr(record, BUDGET_UNITS[asked.unit]))
    alone = cell.examples % batch == 1 % batch  # the last example had a step of its own
    spec = sequence_spec(cell.expected.suite)
    most_over: dict[str, float] = {
        "flops": flops_per_example + alone * (per_step or 0) - 1,
        "tokens": spec.prompt_width + spec.answer_width - 1,
        # A step that began in time is finished: 1 %, or five steps of mean length.
        "seconds": max(0.01 * asked.amount, 5 * used / max(cell.steps, 1)),
    }
    if used > asked.amount + most_over.get(asked.unit, 0):
        raise Wrong(f"more training than the budget: {used:,.0f} {asked.unit} of {asked.amount:,}")
    if record.reason == "flat":
        _require_flat(cell, asked, used)
    elif used < asked.amount:
        raise Wrong(f"less training than the budget: {used:,.0f} {asked.unit} of {asked.amount:,}")
    return f"{used:,.0f} {asked.unit} of {asked.amount:,}, {cell.steps:,} steps, {record.all_flops:.3g} FLOPs"


def _require_flat(cell: Cell, asked: Budget, used: float) -> None:
    validations = cell.expected.settings.stop_when_flat
    if validations is None:
        raise Wrong("ended early as 'flat', though the plan has no --stop-when-flat")
    right = cell.curve["correct"].to_numpy()
    if used >= asked.amount or len(right) <= validations or right[-validations:].max() > right[:-validations].max():
        raise Wrong(f"ended as 'flat', but its learning curve still gained in the last {validations} validations")


def training_data(cell: Cell) -> str:
    """The stream of the seed, made again, has the record's hashes and counts."""
    record = cell.record
    made = _made(cell)
    if record.data_hash != made.data_hash:
        raise Wrong(
            f"other data: the data hash is {short(record.data_hash)}, that of the first {cell.examples:,} training "
            f"problems of seed {record.seed} is {short(made.data_hash)}"
        )
    if record.data_chain != made.chain:
        raise Wrong("wrong hash: the chain of hashes is not that of the seed's training problems, though its end is")
    for name, value in (("unique_problems", made.unique_problems), ("tokens", int(made.tokens[-1:].sum()))):
        if getattr(record, name) != value:
            raise Wrong(f"{name}: the record says {getattr(record, name):,}, the seed's training problems {value:,}")
    return f"{cell.examples:,} problems of seed {record.seed}, data hash {short(made.data_hash)}"


def _made(cell: Cell) -> TrainingData:
    """The training data of the cell, made again. Raises Wrong where its budget does not buy so many examples."""
    record = cell.record
    asked = parse_budget(record.budget, "budget")
    flops_per_example = cell.size[2]
    batch = record.training["batch"]
    most = {
        "examples": asked.amount,
        "tokens": asked.amount,
        "flops": asked.amount // flops_per_example + 1,
        "steps": asked.amount * batch,
    }.get(asked.unit, cell.examples)
    if not min(1, asked.amount) <= cell.examples <= most:
        raise Wrong(f"{cell.examples:,} examples are not what a budget of {record.budget} buys")
    return cell.expected.training_data(record.seed, cell.examples)


def no_peeking(cell: Cell) -> str:
    """No test or validation problem was trained on, and no test problem chose anything."""
    record, expected = cell.record, cell.expected
    made = _made(cell)
    if made.other_splits:
        raise Wrong(f"peeking: {made.other_splits:,} of the training problems are not of the training split")
    if record.data_hash != made.data_hash:
        for split in ("test", "validation"):
            if record.data_hash == expected.hash_of_split(split, record.seed, cell.examples):
                raise Wrong(f"peeking at the {split} split: it was trained on {split} problems (by its data hash)")
    if record.validation_hash == expected.test.hash:
        raise Wrong("peeking at the test split: the validation problems of the record are the test problems")
    if record.validation_hash != expected.validation.hash:
        raise Wrong(
            f"wrong hash: the validation hash is {short(record.validation_hash)}, that of the suite's validation "
            f"problems {short(expected.validation.hash)}"
        )
    excess = excess_on_test(expected, cell.answered.right[: len(expected.test)], cell.validated.right)
    if excess > MOST_EXCESS:
        raise Wrong(
            f"peeking at the test split: its weights answer test problems better than validation problems of the same "
            f"strata by {excess:.0f} standard errors ({cell.answered.right[: len(expected.test)].mean():.1%} against "
            f"{cell.validated.right.mean():.1%}); more than {MOST_EXCESS:.0f} is no chance"
        )
    return f"trained on the training split alone; test against validation {excess:+.1f} standard errors"


def learning_curve(cell: Cell) -> str:
    """Each row stands where the budget says, with the counts of the stream and the rate of the schedule."""
    record, curve, made = cell.record, cell.curve, _made(cell)
    if not len(curve):
        raise Wrong("the learning curve has no rows")
    flops_per_example, per_step = cell.size[2], cell.optimizer_flops_per_step
    batch = record.training["batch"]
    ends = np.minimum(np.arange(1, cell.steps + 1) * batch, cell.examples)
    last: dict[str, Any] = asdict(record)
    for name in ("examples", "tokens", "steps", "flops", "train_seconds"):
        if curve[name].iloc[-1] != last[name]:
            raise Wrong(f"{name} ends at {curve[name].iloc[-1]:,}, the record says {last[name]:,}")
        if (curve[name].diff().dropna() <= 0).any():
            raise Wrong(f"{name} does not rise from row to row")
    if not curve["steps"].between(min(1, cell.steps), cell.steps).all():
        raise Wrong("it has rows of steps that were never made")
    # Without training there is one row, of nothing.
    stops = ends[curve["steps"].to_numpy() - 1] if cell.steps else np.zeros(len(curve), dtype=np.int64)
    tokens = made.tokens[stops - 1] if cell.steps else stops
    counted = {"examples": stops, "tokens": tokens, "flops": stops * flops_per_example}
    if per_step is not None:
        counted["optimizer_flops"] = curve["steps"].to_numpy() * per_step
    elif "optimizer_flops" in curve:
        raise Wrong("it counts the FLOPs of the optimizer, which the plan does not")
    for name, values in counted.items():
        if (curve[name].to_numpy() != values).any():
            raise Wrong(f"{name} of its rows are not those of steps of {batch} examples")
    asked = parse_budget(record.budget, "budget")
    # Under seconds the clock decides, and nobody can tell what it showed at each step.
    if asked.unit != "seconds" and cell.steps:
        steps = np.arange(1, cell.steps + 1)
        amounts = {"examples": ends, "steps": steps, "tokens": made.tokens[ends - 1]}
        amounts["flops"] = ends * flops_per_example + steps * (per_step or 0)
        _require_schedule(cell, amounts[asked.unit] / asked.amount)
    sample = cell.expected.validation_sample(cell.record.architecture)
    if (curve["total"] != len(sample)).any() or not curve["correct"].between(0, len(sample)).all():
        raise Wrong(f"its rows do not count right answers of the {len(sample):,} validation problems of the sample")
    right = int(cell.validated.right[sample].sum())
    end = int(curve["correct"].iloc[-1])
    if abs(end - right) > unsure(cell, end != right):
        raise Wrong(f"edited figure: it ends at {end} right, the model in {WEIGHTS} answers {right} of those problems")
    return f"{len(curve)} rows, the last one as the weights answer: {end:,} of {len(sample):,} right"


def _require_schedule(cell: Cell, used: NDArray[np.float64]) -> None:
    """`used`: the budget's share after each step. Raises Wrong for rows off its even points or the schedule's rates."""
    before = np.concatenate([[0.0], used[:-1]])
    point = np.floor(used * CURVE_POINTS + 1e-9) > np.floor(before * CURVE_POINTS + 1e-9)
    point[-1] = True
    steps = np.flatnonzero(point) + 1
    if cell.curve["steps"].tolist() != steps.tolist():
        raise Wrong(f"its rows are not at the {CURVE_POINTS} even points of the budget")
    training = TrainingSettings(**cell.record.training)
    for row, step in enumerate(steps):
        start, end = float(before[step - 1]), float(used[step - 1])
        rate = training.lr * factor_of_step(start, end, training)
        if not math.isclose(cell.curve["learning_rate"][row], rate, rel_tol=1e-9, abs_tol=1e-15):
            raise Wrong(
                f"other learning rate than the schedule's: {cell.curve['learning_rate'][row]:g} at step {step:,}, "
                f"where {training.schedule} from {training.lr:g} gives {rate:g}"
            )


def times(cell: Cell) -> str:
    """Times agree with each other, and a shared machine is marked as one."""
    record = cell.record
    if record.wall_seconds is None or record.cpu_seconds is None:
        raise Wrong("the record has no wall and processor seconds of training")
    cores = record.machine["cores"]
    if min(cell.train_seconds if cell.steps else 1, record.wall_seconds, record.cpu_seconds) <= 0:
        raise Wrong("a time of the record is not positive")
    if cell.train_seconds > record.wall_seconds:
        raise Wrong(f"{cell.train_seconds:.2f} s of training do not fit in {record.wall_seconds:.2f} s on the wall")
    if record.cpu_seconds > 1.05 * record.wall_seconds * cores:
        raise Wrong(
            f"{record.cpu_seconds:.2f} processor seconds do not fit in {record.wall_seconds:.2f} s of {cores} cores"
        )
    alone = had_the_machine(
        device=record.device,
        threads=record.threads,
        cores=cores,
        wall_seconds=record.wall_seconds,
        cpu_seconds=record.cpu_seconds,
        cell_beside=record.cell_beside,
    )
    figures = (
        f"{record.cpu_seconds:.1f} processor seconds in {record.wall_seconds:.1f} s on {record.threads} "
        f"thread{'' if record.threads == 1 else 's'}"
        f"{', another cell beside it' if record.cell_beside else ''}"
    )
    if record.exclusive and not alone:
        raise Wrong(f"shared-machine time: marked as measured on a machine of its own, but {figures}")
    if record.exclusive != alone:
        raise Wrong(f"marked as measured on a shared machine, but {figures}")
    if cell.steps:
        _require_rates(cell)
    return f"{cell.train_seconds:.1f} s, {'exclusive' if alone else 'shared machine'}: {figures}"


def _require_rates(cell: Cell) -> None:
    """Raises Wrong where the rates of a record cannot be those of steps that took its seconds."""
    record = cell.record
    if record.examples_per_second is None or record.examples_per_second_quartiles is None or record.tokens is None:
        raise Wrong("the record has no examples per second")
    low, high = record.examples_per_second_quartiles
    if not 0 < low <= record.examples_per_second <= high:
        raise Wrong(f"examples per second: the median {record.examples_per_second:,.0f} is not between its quartiles")
    tokens_per_second = record.examples_per_second * record.tokens / cell.examples
    if not math.isclose(record.tokens_per_second or 0.0, tokens_per_second, rel_tol=1e-9):
        raise Wrong(
            f"tokens per second: the record says {record.tokens_per_second}, by its examples per second "
            f"{tokens_per_second}"
        )
    # A quarter of the steps went no faster than each quartile: so many seconds they took at least.
    steps = cell.steps - WARMUP_STEPS - 4  # the last batch may be a short one, and a slow one
    least = steps * record.training["batch"] / 4 * (1 / low + 1 / record.examples_per_second + 1 / high)
    if cell.train_seconds < 0.99 * least:
        raise Wrong(
            f"training seconds: {cell.train_seconds:.2f} s are too few for steps at the record's own examples per "
            f"second, at least {least:.2f} s"
        )
