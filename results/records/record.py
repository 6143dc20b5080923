"""The record: one JSON sheet a cell (architecture x seed) that states what was run, how, and the outcome."""

from collections.abc import Iterable
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PlainValidator, ValidationError
from pydantic.dataclasses import dataclass

from bench.results.files import BadFile, read_checked_json, sha256_of, verify_checksum, write_checked_json
from bench.results.records.plan import MOST, first_mistake, verify_schema

RECORD = "record.json"
WEIGHTS = "model.safetensors"

BUDGET_UNITS = {
    "examples": "examples",
    "steps": "steps",
    "tokens": "tokens",
    "flops": "all_flops",
    "seconds": "train_seconds",
}
"""Unit of a budget -> field or property of the record that says how much of it was used."""

EXCLUSIVE_SHARE = 0.9
"""Processor seconds below this share of wall seconds x threads: somebody else had the machine."""

NEEDED_WHEN_DONE = (
    *("parameters", "active_parameters", "examples", "tokens", "steps", "flops", "train_seconds"),
    *("data_hash", "test_hash", "correct", "total", "exact_match"),
)
"""Fields without which a cell can neither be scored nor compared."""
POSITIVE_WHEN_DONE = ("parameters", "active_parameters", "examples", "tokens", "steps")
"""Fields that are counts of what a finished cell cannot have none of, unless its budget is none."""
UNTRAINED = "examples=0"
"""The budget of a pretrained model that is asked as it comes."""


def _figure(value: Any) -> float:
    """Whole or not, it stays as it is, so that a record is written back to the byte."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < MOST:
        raise ValueError("expected a finite number")
    return value


Count = Annotated[int, Field(ge=-MOST, le=MOST)]
Figure = Annotated[float, PlainValidator(_figure)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(strict=True, use_attribute_docstrings=True))
class Record:
    """All that is known of one cell. A figure that a cell does not have (it failed, or nobody measured) is None.

    Raises pydantic's ValidationError, a ValueError, where a value has the wrong type, a figure is missing from a `done`
    cell, or figures contradict.
    """

    schema: Count
    """`SCHEMA_VERSION` of the program that wrote it"""
    architecture: str
    """registered name"""
    seed: Count
    """seed of initialisation, data order and dropout"""
    status: Literal["done", "diverged", "out-of-memory", "failed"]
    """how the cell ended"""
    reason: str
    """one line on why it ended so; '' when done in full, 'flat' when stopped early by --stop-when-flat"""

    suite: str
    """name of the suite"""
    suite_version: Count
    """version the suite file states"""
    suite_hash: str
    """hex hash of the suite as it was used"""
    budget: str
    """unit=amount, such as 'examples=300000'; units as in `BUDGET_UNITS`"""
    config: dict[str, Any]
    """the architecture's configuration, all fields"""
    training: dict[str, Any]
    """optimizer settings as used: optimizer, learning rate, schedule, batch size, ..."""
    preset: str
    """suite, size and budget that the preset was tuned for; '' if for none"""
    tuned: bool
    """this cell is what its preset was tuned for"""
    match: Literal["total", "active", "unequal"]
    """which count of parameters was fitted to the size asked; 'unequal': neither"""

    parameters: Count | None
    """trainable parameters, embeddings and head too, tied ones once"""
    active_parameters: Count | None
    """those of them that one token meets (fewer in sparse models only)"""
    examples: Count | None
    """problems looked at in training, repeats counted"""
    unique_problems: Count | None
    """distinct problems among them"""
    tokens: Count | None
    """symbols of prompts and answers trained on, end tokens counted, pads not"""
    steps: Count | None
    """optimizer steps"""
    flops: Count | None
    """floating-point operations of the model's matrix products in training, forward and backward"""
    train_seconds: Figure | None
    """wall seconds of training with its data, less evaluation and compilation"""
    wall_seconds: Figure | None
    """wall seconds from before the first step to after the last, validation on the way included"""
    cpu_seconds: Figure | None
    """processor seconds of the cell's process meanwhile, all its threads together"""
    cell_beside: bool | None
    """another cell of the same user ran on the machine meanwhile; None where the system cannot tell"""
    tokens_per_second: Figure | None
    """in training: `examples_per_second` times the mean tokens of an example"""
    examples_per_second: Figure | None
    """in training, median over the steps after warm-up"""
    examples_per_second_quartiles: list[Figure] | None
    """first and third quartile of the same"""
    decode_problems_per_second: Figure | None
    """problems answered a second by greedy generation at the end"""
    peak_memory_mb: Figure | None
    """peak memory of the cell's process above what stood before the model was built, in MB (10^6 bytes)"""
    state_bytes: Count | None
    """bytes that generation keeps for one problem (recurrent state, or cached keys and values) when its answer is at
    full width; its prompt is as wide as the suite's widest, but for `pretrained`, which reads a prompt's own tokens"""
    weight_bits: Figure | None
    """bits a weight, mean over all parameters as used for an answer (32 for float32)"""
    device: str
    """torch device, such as 'cpu' or 'cuda'"""
    precision: str
    """'32', 'bf16' or '16'"""
    threads: Count
    """CPU threads given to the cell"""
    exclusive: bool
    """the cell had its share of the machine to itself (`had_the_machine`); if not, its times mean little"""

    data_hash: str | None
    """hex, chained over the training problems to the last example"""
    data_chain: list[str]
    """the same chain at the end of each full block of 1,024 problems"""
    test_hash: str | None
    """hex hash of the test problems"""
    validation_hash: str | None
    """hex hash of the validation problems"""
    correct: Count | None
    """test problems answered exactly, without `seen digits`"""
    total: Count | None
    """test problems asked, without `seen digits`"""
    exact_match: Figure | None
    """correct / total"""
    validation_correct: Count | None
    """validation problems answered exactly at the end of training"""
    validation_total: Count | None
    """validation problems asked"""

    versions: dict[str, str]
    """package -> version"""
    machine: dict[str, Any]
    """processor, memory, operating system, ...; `deterministic`: whether the device gives the same bits each time"""
    files: dict[str, str]
    """name -> SHA-256 in hex of each other file in the cell's folder"""
    plugin_hash: str | None = None
    """hex SHA-256 of the source of a plug-in, as in run.json; there only for an architecture of the user's own"""
    optimizer_flops: Count | None = None
    """floating-point operations of the optimizer's matrix products (Muon alone has some); not in records written before
    these were counted"""

    def __post_init__(self) -> None:
        unit, _, amount = self.budget.partition("=")
        if self.budget != UNTRAINED and (unit not in BUDGET_UNITS or not _is_positive(amount)):
            raise ValueError(f"budget is {self.budget!r}, not UNIT=NUMBER with a unit of {', '.join(BUDGET_UNITS)}")
        if "\n" in self.reason:
            raise ValueError(f"reason is {self.reason!r}, not one line")
        if self.status == "done":
            missing = [name for name in NEEDED_WHEN_DONE if getattr(self, name) is None]
            if missing:
                raise ValueError(f"status is 'done', but there is no value for {', '.join(missing)}")
            positive = ("parameters", "active_parameters") if self.budget == UNTRAINED else POSITIVE_WHEN_DONE
            if impossible := [name for name in positive if getattr(self, name) <= 0]:
                raise ValueError(f"status is 'done', but {impossible[0]} is {getattr(self, impossible[0])}")
        if self.correct is not None and self.total is not None:
            if not 0 <= self.correct <= self.total or self.total == 0:
                raise ValueError(f"correct is {self.correct} of total {self.total}")
            if self.exact_match != self.correct / self.total:
                raise ValueError(f"exact_match is {self.exact_match}, not {self.correct} / {self.total}")

    @property
    def done(self) -> bool:
        return self.status == "done"

    @property
    def all_flops(self) -> int | None:
        """`flops` and `optimizer_flops` together; None where the cell has none."""
        return None if self.flops is None else self.flops + (self.optimizer_flops or 0)

    @property
    def budget_deviation(self) -> float | None:
        """Share by which the cell used more (+) or less (-) than its budget; None where the use is not known."""
        unit, _, amount = self.budget.partition("=")
        used = getattr(self, BUDGET_UNITS[unit])
        if self.budget == UNTRAINED:
            return 0.0 if used == 0 else float("inf")
        return None if used is None else float(used / float(amount) - 1)


def had_the_machine(
    *, device: str, threads: int, cores: int, wall_seconds: float, cpu_seconds: float, cell_beside: bool | None
) -> bool:
    """Whether a cell had its share of the machine to itself: no cell beside it, and its threads were kept busy."""
    # A GPU takes one thread to feed it; more threads than cores can never all be busy.
    busy_threads = min(threads, cores) if device == "cpu" else 1
    return not cell_beside and cpu_seconds >= EXCLUSIVE_SHARE * wall_seconds * busy_threads


LATER = {field.name: field.default for field in fields(Record) if field.default is not MISSING}
"""Keys that older records lack -> their default; they are written only where they are something else."""


def write_record(cell_directory: Path, record: Record) -> None:
    """Writes record.json. Raises ValueError where a finished record stands already: that is never overwritten."""
    path = cell_directory / RECORD
    if path.exists() and read_record(cell_directory).done:
        raise ValueError(f"{path}: this cell is done, and a finished record is never overwritten; use another folder")
    content = {name: value for name, value in asdict(record).items() if name not in LATER or value != LATER[name]}
    write_checked_json(path, content)


def read_record(cell_directory: Path) -> Record:
    """The record of a cell, with schema, keys, types and checksum verified. Raises BadFile."""
    path = cell_directory / RECORD
    content = read_checked_json(path)
    verify_schema(path, content)
    known = {field.name for field in fields(Record)} | {"checksum"}
    if unknown := sorted(content.keys() - known):
        raise BadFile(path, f"has unknown keys: {', '.join(unknown)}")
    if missing := sorted(known - LATER.keys() - content.keys()):
        raise BadFile(path, f"lacks keys: {', '.join(missing)}")
    content = verify_checksum(path, content)
    try:
        return Record(**content)
    except ValidationError as error:
        raise BadFile(path, first_mistake(error)) from None


def verify_files(cell_directory: Path, record: Record, names: Iterable[str] | None = None) -> None:
    """Compares files of a cell (all that the record lists, or those of `names`) with their SHA-256. Raises BadFile."""
    for name in record.files if names is None else names:
        path = cell_directory / name
        if name not in record.files:
            raise BadFile(cell_directory / RECORD, f"does not list the file {name}")
        if not path.is_file():
            raise BadFile(path, "the file is missing, though the cell's record lists it")
        try:
            found = sha256_of(path)
        except OSError as error:
            raise BadFile(path, f"cannot be read ({error.strerror})") from None
        if found != record.files[name]:
            raise BadFile(path, "was changed after the run (its SHA-256 is not the one in the record)")


def _is_positive(number: str) -> bool:
    try:
        return 0 < float(number) < float("inf")
    except ValueError:
        return False
