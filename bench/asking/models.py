"""The trained models of a run, loaded from its folder: for whoever asks them, serves them or hands them on."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from bench import architectures, machine
from bench.architectures import Architecture, Config
from bench.datasets.problems import Problems
from bench.datasets.suites import Suite
from bench.errors import UserError, suggest, user_errors
from bench.numerics import as_in_a_cell
from bench.plan import sequence_spec, suite_of
from bench.plugins import check_plugin
from bench.results.files import CELL_REMEDY, BadFile
from bench.results.records.plan import PLAN
from bench.results.records.record import RECORD, WEIGHTS, Record, verify_files
from bench.results.records.run import RunFolder, cell_directory, open_run
from bench.running.evaluation import Answered, answer
from bench.running.training import autocast

ELSEWHERE = (
    "what it was trained from must be where its command said: go to the folder that the run was made in, or say where "
    "it lies by --model-at"
)

Seeds = Literal["all", "lowest"] | tuple[int, ...]
"""Which seeds of each architecture: all finished ones, the lowest finished one, or these."""


@dataclass(frozen=True)
class TrainedModel:
    """One trained model, on the CPU and ready to answer."""

    record: Record
    suite: Suite
    """that it was trained on"""
    model: Architecture

    @property
    def architecture(self) -> str:
        return self.record.architecture

    @property
    def seed(self) -> int:
        return self.record.seed

    def answer(self, problems: Problems) -> Answered:
        """Greedy answers to problems that its suite can write (`Encoding.unwritable`), computed as in its cell."""
        with as_in_its_cell(self.record) as precision:
            return answer(self.model, self.suite.encoding.encode(problems), torch.device("cpu"), precision)

    def likelihoods(self, problems: Problems, ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """How probable the model holds each symbol of answers, (n, A) ids -> (n, A); see `Architecture.likelihoods`."""
        prompt = torch.from_numpy(self.suite.encoding.encode(problems).prompt)
        with as_in_its_cell(self.record) as precision, torch.no_grad(), autocast(torch.device("cpu"), precision):
            return self.model.likelihoods(prompt, torch.from_numpy(ids)).double().numpy()


def trained_models(
    directory: Path, names: tuple[str, ...] | None = None, seeds: Seeds = "all", model_at: Path | None = None
) -> list[TrainedModel]:
    """The finished models of a run, in the order of its plan: of `names` (None is all architectures) and `seeds`.

    Weights are those that the records have the SHA-256 of. Modules that a plan names are not imported, since a run may
    come from anywhere: whoever trusts them has called `load_plugins`. `model_at` is where the model lies that a
    pretrained one was trained from, if not where the record says.

    Raises:
        UserError: the folder is no run, a file of it is missing or broken, or there is no such model.
    """
    with user_errors():
        run = open_run(directory)
        suite = _suite(run)
        chosen = _chosen(run, names, seeds)
        if model_at is not None and not any("model" in record.config for record in chosen):
            raise UserError(f"--model-at {model_at}: no model that was asked of {directory} was trained from another")
        cells = [(record, cell_directory(directory, record.architecture, record.seed)) for record in chosen]
        return [TrainedModel(record, suite, load_model(cell, record, suite, model_at)) for record, cell in cells]


def load_model(cell: Path, record: Record, suite: Suite, model_at: Path | None = None) -> Architecture:
    """The model that a record's config describes, with the weights in the folder of its cell, in evaluation mode.

    Raises:
        BadFile: weights or config are none, or not of one another.
        ValueError: as `config_in`.
    """
    path = cell / WEIGHTS
    try:
        weights = load_file(path)
    except FileNotFoundError:  # said of a file that may not be read, too
        raise BadFile(path, "may not be read" if path.exists() else "the file is missing") from None
    except Exception as error:
        raise BadFile(path, f"is no file of weights ({error})") from None
    config = config_in(cell, record, model_at)
    cls, spec = architectures.get(record.architecture), sequence_spec(suite)
    try:
        with torch.device("meta"):  # nothing is allocated for a model whose weights are not there
            described = {name: tuple(tensor.shape) for name, tensor in cls(config, spec).state_dict().items()}
    except Exception as error:
        raise _builds_nothing(cell, cls, error) from None
    there = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if there != described:
        names = there.keys() | described.keys()
        differing = min(name for name in names if there.get(name) != described.get(name))
        more = sum(map(math.prod, there.values())) > sum(map(math.prod, described.values()))
        wrong = (
            f"{'more' if more else 'other'} parameters: it has {differing} of shape {there.get(differing)}, the model "
            f"of the record's config {described.get(differing)}"
        )
        raise BadFile(path, wrong)
    model = cls(config, spec)
    model.load_state_dict(weights)
    return model.eval()


def config_in(cell: Path, record: Record, model_at: Path | None = None) -> Config:
    """The config that the model of a cell is built from.

    Raises:
        BadFile: the record has none.
        ValueError: there is no architecture of that name, its plug-in is not the one of the run, or another model than
            that of the run lies at `model_at`.
    """
    try:
        cls = architectures.get(record.architecture)
    except ValueError as error:
        raise ValueError(f"{cell}: {error}; an architecture of your own: name its module with --plugin") from None
    check_plugin(cls, record.plugin_hash)
    try:
        config = cls.Config(**record.config)
    except Exception as error:
        raise _builds_nothing(cell, cls, error) from None
    return config.in_cell(cell, model_at)


def _builds_nothing(cell: Path, cls: type[Architecture], error: Exception) -> BadFile:
    remedy = ELSEWHERE if cls.Config.required else CELL_REMEDY
    return BadFile(cell / RECORD, f"its config builds no model ({type(error).__name__}: {error})", remedy)


@contextmanager
def as_in_its_cell(record: Record) -> Iterator[str]:
    """A context in which the CPU computes as in the cell of a record; gives the precision to take.

    With its threads as far as there are cores: the order of sums depends on them.
    """
    with as_in_a_cell(min(record.threads, machine.cores()), "cpu"):
        yield "32" if record.precision == "16" else record.precision  # half precision is for GPUs


def _suite(run: RunFolder) -> Suite:
    """The suite that a plan holds. Raises BadFile."""
    path, remedy = run.directory / PLAN, "restore it, or run again into another folder"
    try:
        suite = suite_of(run.plan)
    except ValueError as error:
        raise BadFile(path, f"holds no suite ({error})", remedy) from None
    if suite.hash != run.plan.suite.hash:
        raise BadFile(path, "the suite in it is not the one of its hash", remedy)
    return suite


def _chosen(run: RunFolder, names: tuple[str, ...] | None, seeds: Seeds) -> list[Record]:
    """The records of the models asked for, their weights verified. Raises BadFile and UserError."""
    planned = run.plan.architectures
    for name in names or ():
        if name not in planned:
            raise UserError(f"--arch '{name}': not in {run.directory}; {suggest(name, planned)}")
    chosen: list[Record] = []
    for name in names or planned:
        finished = {record.seed: record for record in run.records if record.architecture == name and record.done}
        there = sorted({*finished, *(seed for architecture, seed in run.broken if architecture == name)})
        wanted = seeds if isinstance(seeds, tuple) else there[:1] if seeds == "lowest" else there
        if names is not None and not there:
            raise UserError(f"--arch '{name}': no cell of it in {run.directory} has finished; run it to its end first")
        for seed in sorted(wanted):
            if (name, seed) in run.broken:  # another seed in its place would be a choice
                raise run.broken[name, seed]
            if seed not in finished:
                seen = ", ".join(map(str, there)) or "none"
                raise UserError(f"--seed {seed}: {name} of {run.directory} has finished seeds {seen}")
            chosen.append(finished[seed])
    if not chosen:
        raise UserError(f"{run.directory}: no cell of this run has finished yet; run it first")
    for record in chosen:
        needed = [name for name in record.files if name == WEIGHTS or "/" in name]  # all that builds the model
        verify_files(cell_directory(run.directory, record.architecture, record.seed), record, {WEIGHTS, *needed})
    return chosen
