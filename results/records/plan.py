"""run.json, the plan of a run: everything that is decided before anything trains, a docstring a key.

The models below are the only rules of what a plan may hold. A plan that `run` made and one that was read from a folder,
which may come from anywhere, both pass them.
"""

import hashlib
import json
import reprlib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.results.files import BadFile, read_checked_json, verify_checksum, write_checked_json

SCHEMA_VERSION: Literal[2] = 2
"""Version of run.json and record.json; figures are comparable only within one."""
PLAN = "run.json"
REMEDY = "restore it, or run again into another folder"
MOST = 10**30
"""No count is larger; Python's whole numbers may be, and nothing can be computed with them."""

Item = TypeVar("Item")


def _once_each(items: list[Item]) -> list[Item]:
    if not items or len(set(items)) < len(items):
        raise ValueError("expected one or more, each once")
    return items


Count = Annotated[int, Field(ge=0, le=MOST)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,99}$")]
"""Of an architecture; part of a folder's name."""
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class _Section(BaseModel):
    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class Settings(_Section):
    """What two runs must share to lie in one folder: everything but architectures and seeds."""

    suite: str
    """name of the suite"""
    suite_version: Count
    """version that the suite file states"""
    suite_hash: str
    """hex hash of the suite as it is used"""
    budget: str
    """training of each cell, unit=amount, such as 'examples=300000'"""
    parameters: Count
    """parameters asked of each model"""
    match: Literal["total", "active"]
    """which parameters are held to that; they differ in sparse models only"""
    training_problems: Count | None
    """size of the finite training set; null: endless fresh problems"""
    stop_when_flat: Count | None
    """validations without gain after which a cell ends; null: never"""
    device: str
    """torch device, such as 'cpu' or 'cuda'"""
    precision: Literal["32", "bf16", "16"]
    """of matrix products"""
    threads: Count
    """processor threads of a cell"""
    version: str
    """version of arithbench"""
    torch: str
    """version of torch"""


class PlannedArchitecture(_Section):
    """One architecture of a plan, with all its settings, its size fitted."""

    module: str
    """Python module that defines it"""
    config: dict[str, Any]
    """the architecture's configuration, all fields"""
    training: dict[str, Any]
    """optimizer settings, all fields: optimizer, learning rates, schedule, batch size, ..."""
    parameters: Count
    """trainable parameters of the model, embeddings and head too, tied ones once"""
    active_parameters: Count
    """those of them that one token meets (fewer in sparse models only)"""
    match: Literal["total", "active", "unequal"]
    """which count of parameters was fitted to the size asked; 'unequal': neither"""
    flops_per_example: Count
    """floating-point operations of the matrix products in training on one example, forward and backward"""
    optimizer_flops_per_step: Annotated[Count | None, Field(exclude_if=lambda value: value is None)] = None
    """those of the optimizer in one step; not in plans made before these were counted, whose budgets in FLOPs are of
    the models alone"""
    preset: str
    """suite, size and budget that the settings were tuned for; '' if for none"""
    tuned: bool
    """whether that is what this plan runs"""
    plugin_hash: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    """hex SHA-256 of the source of a plug-in: the module that defines the architecture, and what it imports that lies
    beside it; there only for an architecture of the user's own"""


class PlannedSuite(_Section):
    """The suite of a plan."""

    name: str
    """name of the suite"""
    version: Count
    """version that the suite file states"""
    hash: str
    """hex hash of the suite as it is used"""
    summary: str
    """one line on what it asks"""
    source: str
    """the suite as typed in the command: a name or the path of a file"""
    content: dict[str, Any]
    """the whole suite, all keys of its file, defaults filled in"""


class PlannedStratum(_Section):
    """One stratum of the test set."""

    operation: str
    """+, -, * or /"""
    digits: str
    """digits of a x digits of b, such as '2x1'"""
    signs: str
    """signs of a and b, such as '+-'"""
    places: Count
    """decimal places"""
    test: Count
    """test problems it has"""
    exhaustive: bool
    """whether those are all that exist in the test split"""


class Plan(_Section):
    """run.json without its checksum."""

    schema_version: Annotated[Count, Field(alias="schema", ge=SCHEMA_VERSION, le=SCHEMA_VERSION)] = SCHEMA_VERSION
    """version of the file format"""
    command: str
    """the command that runs all cells of the plan"""
    settings: Settings
    """what all architectures share"""
    plan_hash: str
    """hex SHA-256 of settings, architectures and seeds: all that decides the results"""
    suite: PlannedSuite
    """the suite, whole"""
    architectures: Annotated[list[Name], AfterValidator(_once_each)]
    """names of the architectures, in the order of all tables"""
    entries: dict[Name, PlannedArchitecture]
    """name of each architecture -> its settings"""
    seeds: Annotated[list[Seed], AfterValidator(_once_each)]
    """seeds; a cell is one architecture trained with one seed"""
    budget: str
    """the budget once more, as in the settings"""
    test_hash: str
    """hex hash of the test problems"""
    strata: list[PlannedStratum]
    """strata of the test set"""
    plugins: Annotated[list[str], Field(exclude_if=lambda value: not value)] = []
    """modules that define architectures of the user's own; there only where a run has some"""
    versions: dict[str, str]
    """package -> version, of the process that made the plan"""
    machine: dict[str, Any]
    """processor, memory, operating system, ..., of the same"""
    git: dict[str, Any]
    """commit of the checkout, and whether it had uncommitted changes ('dirty'); empty where the code is no checkout"""

    @model_validator(mode="after")
    def _entry_for_each(self) -> "Plan":
        if set(self.entries) != set(self.architectures):
            raise ValueError("its architectures are not those it has entries of")
        if len({entry.optimizer_flops_per_step is None for entry in self.entries.values()}) > 1:
            raise ValueError("some of its entries have optimizer_flops_per_step, and some do not")
        return self

    @property
    def counts_optimizer(self) -> bool:
        """Whether its FLOPs include those of the optimizer."""
        return all(entry.optimizer_flops_per_step is not None for entry in self.entries.values())

    @property
    def cells(self) -> list[tuple[str, int]]:
        """(architecture, seed), seed within architecture."""
        return [(architecture, seed) for architecture in self.architectures for seed in self.seeds]

    def as_json(self) -> dict[str, Any]:
        """What the file holds, but for its checksum."""
        return self.model_dump(by_alias=True)

    def recomputed_hash(self) -> str:
        """What `plan_hash` should be."""
        entries = {name: entry.model_dump() for name, entry in self.entries.items()}
        return hash_of_plan(self.settings, entries, self.seeds)


def hash_of_plan(settings: Settings, entries: dict[str, Any], seeds: list[int]) -> str:
    """SHA-256 in hex of all that decides the results; `entries`: name -> dump of its `PlannedArchitecture`."""
    content = settings.model_dump() | {"entries": entries, "seeds": seeds}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_plan(run_directory: Path, plan: Plan) -> None:
    """Writes run.json with its own checksum."""
    write_checked_json(run_directory / PLAN, plan.as_json())


def read_plan(run_directory: Path) -> Plan:
    """The plan of a run folder. Raises BadFile where there is none, or it is not what it was."""
    content = read_plan_content(run_directory)
    path = run_directory / PLAN
    return parse_plan(path, verify_checksum(path, content, REMEDY))


def read_plan_content(run_directory: Path) -> dict[str, Any]:
    """What run.json holds, its checksum not compared yet. Raises BadFile where it is no plan of this schema."""
    path = run_directory / PLAN
    if not path.is_file():
        wrong = f"is no run folder: {PLAN} is missing" if run_directory.is_dir() else "there is no such folder"
        raise BadFile(run_directory, wrong, "give the folder that `python -m bench run` named at its end")
    content = read_checked_json(path, REMEDY)
    verify_schema(path, content)
    return content


def parse_plan(path: Path, content: dict[str, Any]) -> Plan:
    """The plan in `content`, which has no checksum any more; `path` names it. Raises BadFile."""
    try:
        return Plan.model_validate(content)
    except ValidationError as error:
        raise BadFile(path, first_mistake(error), REMEDY) from None


def verify_schema(path: Path, content: dict[str, Any]) -> None:
    """Raises BadFile unless `content`, read from `path`, is of this program's schema."""
    if content.get("schema") != SCHEMA_VERSION:
        wrong = f"has schema {content.get('schema')!r}, and this program reads {SCHEMA_VERSION}"
        raise BadFile(path, wrong, "use the version of arithbench that wrote it")


def first_mistake(error: ValidationError) -> str:
    """What is wrong first, as the end of a sentence about a file: "has no settings.threads"."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"has no {where}"
    if first["type"] == "extra_forbidden":
        return f"has an unknown key {where[:100]}"
    message = first["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    given = first["input"]
    return f"has {where} {reprlib.repr(given)} of type {type(given).__name__}: {message}" if where else message
