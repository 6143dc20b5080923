"""A cell as `verify` sees it: what it claims, on disk, and what its plan implies."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
import torch

from bench import architectures
from bench.architectures import Architecture, Config
from bench.asking.models import as_in_its_cell, config_in, load_model
from bench.datasets.writing.encoding import Encoded
from bench.plan import sequence_spec
from bench.planning.sizing import count_optimizer_flops, lay_out
from bench.results.files import BadFile
from bench.results.records.curves import read_curve
from bench.results.records.plan import PlannedArchitecture
from bench.results.records.predictions import read_predictions
from bench.results.records.record import WEIGHTS, Record
from bench.results.statistics.comparable import SHOWN_HASH
from bench.running.evaluation import Answered, answer
from bench.verifying.expected import Expected


class Wrong(Exception):
    """A check failed. Its text is one line: what is unfair, the figure found, the figure recomputed."""


class NotPublished(Exception):
    """A check needs the weights, and the run was published without those of the cell."""


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
    """Runs one check: `function` returns what it found, or raises Wrong or NotPublished.

    Whatever else it raises comes from a file that says something impossible, and fails the check too.
    """
    try:
        return Check(check=check, cell=cell, ok=True, detail=function())
    except NotPublished:
        return Check(check=check, cell=cell, ok=None, detail=f"not published: the cell comes without {WEIGHTS}")
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
    planned: PlannedArchitecture
    """of its architecture, in run.json"""
    expected: Expected
    published: bool = True
    """whether it comes with weights"""
    model_at: Path | None = None
    """where the model lies that a pretrained one was trained from, if not where the plan says"""

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
    def config(self) -> Config:
        """What its model is built from. Raises Wrong where `model_at` is the place of another."""
        try:
            return config_in(self.directory, self.record, self.model_at)
        except ValueError as error:
            raise Wrong(str(error)) from None

    @cached_property
    def size(self) -> tuple[int, int, int]:
        """Parameters, active parameters, and FLOPs an example, of the model that its config describes."""
        return self.expected.size(self.record.architecture, self.config)

    @cached_property
    def optimizer_flops_per_step(self) -> int | None:
        """FLOPs of the optimizer that its settings name, a step; None where the plan does not count them."""
        if self.planned.optimizer_flops_per_step is None:
            return None
        cls, spec = architectures.get(self.record.architecture), sequence_spec(self.expected.suite)
        return count_optimizer_flops(lay_out(cls, self.config, spec), self.record.training["optimizer"])

    @cached_property
    def predictions(self) -> pd.DataFrame:
        return read_predictions(self.directory)

    @cached_property
    def curve(self) -> pd.DataFrame:
        return read_curve(self.directory)

    @cached_property
    def model(self) -> Architecture:
        """The model that the record's config describes, with the weights of the folder.

        Raises:
            BadFile: the weights are none, or not of this model.
            NotPublished: it comes without weights.
        """
        if not self.published:
            raise NotPublished
        return load_model(self.directory, self.record, self.expected.suite, self.model_at)

    @cached_property
    def answered(self) -> Answered:
        """What that model answers to test and `seen` problems."""
        return ask(self, self.model, self.expected.asked)

    @cached_property
    def validated(self) -> Answered:
        """What it answers to the validation problems."""
        return ask(self, self.model, self.expected.validation_items)


def ask(cell: Cell, model: Architecture, problems: Encoded) -> Answered:
    """What a model answers under the conditions of the cell."""
    with as_in_its_cell(cell.record) as precision:
        return answer(model, problems, torch.device("cpu"), precision)


def problem_of(frame: pd.DataFrame, row: int) -> str:
    """A problem as messages name it."""
    return f"{frame['a'][row]} {frame['op'][row]} {frame['b'][row]}"


def and_more(rows: list[int]) -> str:
    """The end of a message that names the first of some rows."""
    return f", and {len(rows) - 1:,} more" if len(rows) > 1 else ""


def short(digest: str | None) -> str:
    return str(digest)[:SHOWN_HASH]
