"""What a cell claims, compared with what is recomputed: one function a check, in the order of `CHECKS`.

A checksum tells what was damaged, not what was forged: whoever edits a file can write its checksum anew. So everything
that follows from the suite, the seed and the settings is made again, and the model whose weights lie in the folder is
asked again. Times, memory and the way to the last point of the learning curve are testimony: here they are only held
against each other, and training again (`verify --rerun`) is what tests them.
"""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from bench.amounts import Budget, parse_budget
from bench.architectures import Architecture
from bench.checkpoints import PATTERN as CHECKPOINTS
from bench.datasets.encoding import Encoded
from bench.evaluation import Answered, answer, digits_right
from bench.expected import Expected, TrainingData
from bench.optimizers import schedule_factor
from bench.plan import sequence_spec
from bench.results.comparable import SHOWN_HASH
from bench.results.curves import read_curve
from bench.results.files import BadFile
from bench.results.predictions import PREDICTIONS, read_predictions
from bench.results.records import BUDGET_UNITS, RECORD, Record, had_the_machine, verify_files
from bench.settings import TrainingSettings, tuned_for
from bench.sizing import TOLERANCE
from bench.trained import WEIGHTS, as_in_its_cell, load_model
from bench.training import CURVE_POINTS, WARMUP_STEPS

MOST_OTHER_ANSWERS = 0.02
"""Share of answers that may come out otherwise on another machine at all; every single one must be near a tie."""
ROUNDING = {"32": 1e-5, "bf16": 1e-2, "16": 2e-3}
"""Precision -> relative noise on the weights that moves logits about as far as the rounding of another machine does."""
NOISE_TRIALS = 16

MOST_EXCESS = 10.0
"""Standard errors by which test answers may be better than validation answers to the same strata.

Up to eight problems share one pair of magnitudes (signs, the order of operands) and may be learnt together, which makes
the true standard error up to sqrt(8) times as wide: 10 are then still 3.5.
"""


class Wrong(Exception):
    """A check failed. Its text is one line: what is unfair, the figure found, the figure recomputed."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """The outcome of one check."""

    check: str
    """what was checked"""
    cell: str
    """such as 'lstm-s0'; '' where it is of the whole run"""
    ok: bool | None
    """None: a note; there was nothing to decide"""
    detail: str
    """what was found, in one line"""


def outcome(check: str, cell: str, function: Callable[[], str]) -> Check:
    """Runs one check: `function` returns what it found, or raises Wrong.

    Whatever else it raises comes from a file that says something impossible, and fails the check too.
    """
    try:
        return Check(check=check, cell=cell, ok=True, detail=function())
    except (Wrong, BadFile) as error:
        detail = str(error)
    except Exception as error:
        detail = f"cannot be recomputed from what the files say: {type(error).__name__}: {error}"
    return Check(check=check, cell=cell, ok=False, detail=" ".join(detail.split()))


@dataclass(frozen=True)
class Cell:
    """One cell on disk, and what its plan says of it."""

    directory: Path
    record: Record
    entry: dict[str, Any]
    """of its architecture, in run.json"""
    expected: Expected

    @property
    def name(self) -> str:
        return f"{self.record.architecture}-s{self.record.seed}"

    @property
    def examples(self) -> int:
        assert self.record.examples is not None  # no record of a finished cell lacks it, nor the next two
        return self.record.examples

    @property
    def steps(self) -> int:
        assert self.record.steps is not None
        return self.record.steps

    @property
    def train_seconds(self) -> float:
        assert self.record.train_seconds is not None
        return self.record.train_seconds

    @cached_property
    def predictions(self) -> pd.DataFrame:
        return read_predictions(self.directory)

    @cached_property
    def curve(self) -> pd.DataFrame:
        return read_curve(self.directory)

    @cached_property
    def model(self) -> Architecture:
        """The model that the record's config describes, with the weights of the folder. Raises BadFile."""
        return load_model(self.directory, self.record, self.expected.suite)

    @cached_property
    def answered(self) -> Answered:
        """What that model answers to test and `seen` problems."""
        return _answer(self, self.model, self.expected.asked)

    @cached_property
    def validated(self) -> Answered:
        """What it answers to the validation problems."""
        return _answer(self, self.model, self.expected.validation_items)


def _answer(cell: Cell, model: Architecture, problems: Encoded) -> Answered:
    with as_in_its_cell(cell.record) as precision:
        return answer(model, problems, torch.device("cpu"), precision)


# --- the checks: each returns what it found, or raises Wrong ----------------------------------------------------------


def files(cell: Cell) -> str:
    """The files of the cell are those that the record has the SHA-256 of."""
    verify_files(cell.directory, cell.record)
    names = {path.name for path in cell.directory.glob("[!.]*") if path.is_file() and not path.match(CHECKPOINTS)}
    if unknown := sorted(names - cell.record.files.keys() - {RECORD}):
        raise Wrong(f"the record does not list {', '.join(unknown)}")
    return f"SHA-256 of {', '.join(sorted(cell.record.files)) or 'no file'}"


def settings(cell: Cell) -> str:
    """The cell was run under the plan's settings."""
    record, plan, suite = cell.record, cell.expected.settings, cell.expected.suite
    planned = {name: cell.entry[name] for name in ("config", "training", "match", "preset", "tuned")}
    planned |= {name: plan[name] for name in ("budget", "device", "precision", "threads")}
    planned |= {"suite": suite.name, "suite_version": suite.version, "suite_hash": suite.hash}
    for name, value in planned.items():
        found = getattr(record, name)
        if found != value:
            raise Wrong(f"other settings than planned: {name} is {found}, in run.json {value}")
    asked = tuned_for(suite.name, plan["parameters"], plan["budget"])
    if record.tuned and record.preset != asked:
        raise Wrong(f"marked as tuned for this, but its settings were tuned for {record.preset or 'nothing'}")
    return "as planned" + ("" if record.tuned else "; not tuned for this")


def parameters(cell: Cell) -> str:
    """The model has as many parameters as stated and as asked."""
    record, plan = cell.record, cell.expected.settings
    total, active, _ = cell.expected.size(record.architecture, record.config)
    if (record.parameters, record.active_parameters) != (total, active):
        more = "more" if total > (record.parameters or 0) else "other"
        raise Wrong(
            f"{more} parameters than stated: the record says {record.parameters:,} ({record.active_parameters:,} "
            f"active), a model of its config has {total:,} ({active:,} active)"
        )
    asked = plan["parameters"]
    deviation = (active if plan["match"] == "active" else total) / asked - 1
    if record.match == "unequal":
        return f"{total:,}, {deviation:+.1%} of the {asked:,} asked, marked unequal"
    if record.match != plan["match"]:
        raise Wrong(f"match is {record.match}, in run.json {plan['match']}")
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
    flops_per_example = cell.expected.size(record.architecture, record.config)[2]
    if record.flops != cell.examples * flops_per_example:
        raise Wrong(
            f"FLOPs: the record says {record.flops:,}, {cell.examples:,} examples of {flops_per_example:,} FLOPs are "
            f"{cell.examples * flops_per_example:,}"
        )
    used = float(getattr(record, BUDGET_UNITS[asked.unit]))
    spec = sequence_spec(cell.expected.suite)
    most_over: dict[str, float] = {
        "flops": flops_per_example - 1,
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
    return f"{used:,.0f} {asked.unit} of {asked.amount:,}, {cell.steps:,} steps, {record.flops:.3g} FLOPs"


def _require_flat(cell: Cell, asked: Budget, used: float) -> None:
    validations = cell.expected.settings["stop_when_flat"]
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
            f"other data: the data hash is {_short(record.data_hash)}, that of the first {cell.examples:,} training "
            f"problems of seed {record.seed} is {_short(made.data_hash)}"
        )
    if record.data_chain != made.chain:
        raise Wrong("wrong hash: the chain of hashes is not that of the seed's training problems, though its end is")
    for name, value in (("unique_problems", made.unique_problems), ("tokens", int(made.tokens[-1:].sum()))):
        if getattr(record, name) != value:
            raise Wrong(f"{name}: the record says {getattr(record, name):,}, the seed's training problems {value:,}")
    return f"{cell.examples:,} problems of seed {record.seed}, data hash {_short(made.data_hash)}"


def _made(cell: Cell) -> TrainingData:
    """The training data of the cell, made again; a record of more than its budget allows is not believed so far."""
    record = cell.record
    asked = parse_budget(record.budget, "budget")
    flops_per_example = cell.expected.size(record.architecture, record.config)[2]
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
            f"wrong hash: the validation hash is {_short(record.validation_hash)}, that of the suite's validation "
            f"problems {_short(expected.validation.hash)}"
        )
    excess = excess_on_test(expected, cell.answered.right[: len(expected.test)], cell.validated.right)
    if excess > MOST_EXCESS:
        raise Wrong(
            f"peeking at the test split: its weights answer test problems better than validation problems of the same "
            f"strata by {excess:.0f} standard errors ({cell.answered.right[: len(expected.test)].mean():.1%} against "
            f"{cell.validated.right.mean():.1%}); more than {MOST_EXCESS:.0f} is no chance"
        )
    return f"trained on the training split alone; test against validation {excess:+.1f} standard errors"


def excess_on_test(expected: Expected, test_right: NDArray[np.bool_], validation_right: NDArray[np.bool_]) -> float:
    """How much better test answers are than validation answers, in standard errors, stratum by stratum.

    The statistic of Mantel and Haenszel (1959): in each stratum of both sets, right test answers less those expected
    if right and wrong were dealt out at random between the two.
    """
    test, validation = expected.test, expected.validation
    difference = variance = 0.0
    of_validation = {str(stratum): place for place, stratum in enumerate(validation.strata)}
    for place, stratum in enumerate(test.strata):
        if str(stratum) not in of_validation:
            continue
        one = test_right[test.stratum == place]
        other = validation_right[validation.stratum == of_validation[str(stratum)]]
        n, right = len(one) + len(other), int(one.sum() + other.sum())
        difference += float(one.sum()) - len(one) * right / n
        variance += len(one) * len(other) * right * (n - right) / (n * n * max(n - 1, 1))
    return difference / math.sqrt(variance) if variance else 0.0


ITEM_COLUMNS = (
    *("item", "split", "a", "op", "b", "answer", "digits", "signs", "places", "carries", "answer_length", "range"),
)
"""Columns of the predictions that say what was asked; the others say what was answered."""


def questions(cell: Cell) -> str:
    """The test problems are those of the suite, each in its place with its exact answer."""
    record, test = cell.record, cell.expected.test
    if record.test_hash != test.hash:
        raise Wrong(
            f"other test set: the test hash is {_short(record.test_hash)}, that of the suite's test problems "
            f"{_short(test.hash)}"
        )
    asked, found = cell.expected.all_right, cell.predictions
    if len(found) != len(asked):
        raise Wrong(f"other test set: {len(found):,} problems were asked, the suite has {len(asked):,}")
    for column in ITEM_COLUMNS:
        differs = ~((found[column] == asked[column]).fillna(False) | (found[column].isna() & asked[column].isna()))
        if differs.any():
            row = int(np.flatnonzero(differs.to_numpy(dtype=bool))[0])
            raise Wrong(
                f"other test set: problem {row} has {column} {found[column][row]!s}, the suite's problem "
                f"{_problem(asked, row)} has {asked[column][row]!s}"
            )
    return f"{len(test):,} test problems, test hash {_short(test.hash)}, and {len(cell.expected.seen):,} `seen` ones"


def answers(cell: Cell) -> str:
    """Right or wrong follows from the symbols generated, and the record's counts from that."""
    record, found, asked = cell.record, cell.predictions, cell.expected.all_right
    form = cell.expected.suite.encoding.form
    given, wanted = ([form.answer_symbols(raw) for raw in frame["raw"]] for frame in (found, asked))
    same = (pd.Series([g == w for g, w in zip(given, wanted, strict=True)]) & (found["ended"] == 1)).astype("int64")
    if cell.expected.suite.form.tokenizer != "characters":
        # The right symbols in other tokens than the target's are no exact match; the symbols alone cannot tell.
        same = same & found["right"]
    expected: dict[str, pd.Series[Any]] = {
        "right": same,
        "prediction": pd.Series([form.read_answer(raw) for raw in found["raw"]], dtype="str"),
        "digits_right": pd.Series(
            [digits_right(form, *row) for row in zip(asked["answer"], found["raw"], strict=True)], dtype="int64"
        ),
    }
    if form.workings != "none":
        pairs = zip(found["raw"], asked["raw"], strict=True)
        of_workings = [int(form.workings_of(raw) == form.workings_of(target)) for raw, target in pairs]
        expected["workings_right"] = pd.Series(of_workings, dtype="int64")
    if ("workings_right" in found) != ("workings_right" in expected):
        has, have = ("a", "no workings") if "workings_right" in found else ("no", "workings")
        raise Wrong(f"{PREDICTIONS} has {has} column workings_right, and the suite's answers have {have}")
    for column, values in expected.items():
        if differing := np.flatnonzero((found[column] != values).to_numpy(dtype=bool)).tolist():
            row = differing[0]
            raise Wrong(
                f"edited prediction: {column} of {_problem(asked, row)} is {found[column][row]!s}, by the symbols "
                f"generated ({found['raw'][row]!s}) it is {values[row]!s}{_others(differing)}"
            )
    right = found.loc[found["split"] == "test", "right"]
    if (record.correct, record.total) != (int(right.sum()), len(right)):
        raise Wrong(
            f"the record says {record.correct} right of {record.total}, the predictions are {int(right.sum())} right "
            f"of {len(right)}"
        )
    return f"{record.correct:,} right of {record.total:,}, each by the symbols generated"


def weights(cell: Cell) -> str:
    """The weights are those of the model described, and answer what the predictions say."""
    record, model = cell.record, cell.model
    if not all(torch.isfinite(tensor).all() for tensor in model.state_dict().values()):
        raise Wrong(f"{WEIGHTS} holds numbers that are not finite")
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if count != record.parameters:
        more = "more" if count > (record.parameters or 0) else "other"
        raise Wrong(f"{more} parameters than stated: {WEIGHTS} holds {count:,}, the record says {record.parameters:,}")
    state_bytes = model.state_bytes(torch.from_numpy(cell.expected.asked.prompt[:1]))
    for name, value in (("state_bytes", state_bytes), ("weight_bits", model.weight_bits)):
        if getattr(record, name) != value:
            raise Wrong(f"{name}: the record says {getattr(record, name)}, the model has {value}")
    return f"{count:,} parameters, {model.weight_bits:g} bits each"


def answers_again(cell: Cell) -> str:
    """The model, asked again, answers what the predictions say.

    On another machine sums may be rounded otherwise, and an answer may flip whose best two symbols are all but equal.
    Such a one is told from an edited one by trying: it comes up too where the weights are shaken by as little as
    rounding does. So every answer that differs must be one of those, on any machine.
    """
    found, again = cell.predictions, cell.expected.frame(cell.answered)
    if len(found) != len(again):
        raise Wrong(f"edited predictions: {len(found):,} rows, the model was asked {len(again):,} problems")
    differs = (found["raw"] != again["raw"]) | (found["ended"] != again["ended"]) | (found["right"] != again["right"])
    rows = np.flatnonzero(differs.to_numpy(dtype=bool))
    if len(rows) <= MOST_OTHER_ANSWERS * len(found):
        problems = cell.expected.asked.rows(rows)
        close = np.zeros(len(rows), dtype=bool)
        decode = cell.expected.suite.encoding.tokenizer.decode
        for shaken in _shaken(cell, problems) if len(rows) else ():
            close |= [decode(ids) == raw for ids, raw in zip(shaken.ids, found["raw"].iloc[rows], strict=True)]
        unexplained = rows[~close].tolist()
    else:
        unexplained = rows.tolist()
    if unexplained:
        row = unexplained[0]
        raise Wrong(
            f"edited prediction: {_problem(again, row)} is answered '{found['raw'][row]}' in the predictions, and "
            f"'{again['raw'][row]}' by the model in {WEIGHTS} (as generated){_others(unexplained)}"
        )
    record, validated = cell.record, cell.validated
    right = int(validated.right.sum())
    if record.validation_total != len(validated.right) or record.validation_correct is None:
        raise Wrong(f"{record.validation_total} validation problems were asked, the suite has {len(validated.right):,}")
    if abs(record.validation_correct - right) > _unsure(cell, record.validation_correct != right):
        raise Wrong(
            f"edited figure: the record says {record.validation_correct:,} validation problems right, the model in "
            f"{WEIGHTS} answers {right:,}"
        )
    equal = "all equal" if not len(rows) else f"all equal but {len(rows)}, whose best symbols are a tie"
    return f"{len(found):,} answers given again by the model in {WEIGHTS}: {equal}; validation {right:,} right"


def _shaken(cell: Cell, problems: Encoded) -> Iterator[Answered]:
    """Answers of the model under noise as large as rounding, time after time."""
    generator = torch.Generator().manual_seed(0)
    size = ROUNDING[cell.record.precision]
    for _ in range(NOISE_TRIALS):
        model = copy.deepcopy(cell.model)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1 + size * torch.randn(parameter.shape, generator=generator))
        yield _answer(cell, model, problems)


def _unsure(cell: Cell, needed: bool) -> int:
    """Validation problems whose answer turns from right to wrong, or back, under noise as large as rounding."""
    if not needed:
        return 0
    problems = cell.expected.validation_items
    changed = [shaken.right != cell.validated.right for shaken in _shaken(cell, problems)]
    return int(np.logical_or.reduce(changed).sum())


def learning_curve(cell: Cell) -> str:
    """Each row stands where the budget says, with the counts of the stream and the rate of the schedule."""
    record, curve, made = cell.record, cell.curve, _made(cell)
    if not len(curve):
        raise Wrong("the learning curve has no rows")
    flops_per_example = cell.expected.size(record.architecture, record.config)[2]
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
    for name, values in counted.items():
        if (curve[name].to_numpy() != values).any():
            raise Wrong(f"{name} of its rows are not those of steps of {batch} examples")
    asked = parse_budget(record.budget, "budget")
    # Under seconds the clock decides, and nobody can tell what it showed at each step.
    if asked.unit != "seconds" and cell.steps:
        amounts = {"examples": ends, "steps": np.arange(1, cell.steps + 1), "tokens": made.tokens[ends - 1]}
        amounts["flops"] = ends * flops_per_example
        _require_schedule(cell, amounts[asked.unit] / asked.amount)
    sample = cell.expected.validation_sample(cell.record.architecture)
    if (curve["total"] != len(sample)).any() or not curve["correct"].between(0, len(sample)).all():
        raise Wrong(f"its rows do not count right answers of the {len(sample):,} validation problems of the sample")
    right = int(cell.validated.right[sample].sum())
    end = int(curve["correct"].iloc[-1])
    if abs(end - right) > _unsure(cell, end != right):
        raise Wrong(f"edited figure: it ends at {end} right, the model in {WEIGHTS} answers {right} of those problems")
    return f"{len(curve)} rows, the last one as the weights answer: {end:,} of {len(sample):,} right"


def _require_schedule(cell: Cell, used: NDArray[np.float64]) -> None:
    """`used`: share of the budget after each step. Raises Wrong where rows are not at its even points, or have another
    learning rate than the schedule.
    """
    before = np.concatenate([[0.0], used[:-1]])
    point = np.floor(used * CURVE_POINTS + 1e-9) > np.floor(before * CURVE_POINTS + 1e-9)
    point[-1] = True
    steps = np.flatnonzero(point) + 1
    if cell.curve["steps"].tolist() != steps.tolist():
        raise Wrong(f"its rows are not at the {CURVE_POINTS} even points of the budget")
    training = TrainingSettings(**cell.record.training)
    for row, step in enumerate(steps):
        start, end = float(before[step - 1]), float(used[step - 1])
        # As in training: the rise counts the step itself, the fall does not.
        share = min(end, training.warmup) if start < training.warmup else start
        rate = training.lr * schedule_factor(share, training)
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


CHECKS: dict[str, Callable[[Cell], str]] = {
    "files": files,
    "settings": settings,
    "parameters": parameters,
    "budget": budget,
    "training data": training_data,
    "no peeking": no_peeking,
    "test set": questions,
    "answers": answers,
    "weights": weights,
    "answers again": answers_again,
    "learning curve": learning_curve,
    "times": times,
}
"""What is checked of every finished cell."""


def audit(cell: Cell) -> Iterator[Check]:
    """All checks of a cell; a failed cell has fewer, since it claims less."""
    checks = CHECKS if cell.record.done else {name: CHECKS[name] for name in ("files", "settings")}
    for name, function in checks.items():
        yield outcome(name, cell.name, partial(function, cell))


def _problem(frame: pd.DataFrame, row: int) -> str:
    return f"{frame['a'][row]} {frame['op'][row]} {frame['b'][row]}"


def _others(rows: list[int]) -> str:
    return f", and {len(rows) - 1:,} more" if len(rows) > 1 else ""


def _short(digest: str | None) -> str:
    return str(digest)[:SHOWN_HASH]
