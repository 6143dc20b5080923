"""Training settings: one set for all architectures, and how `--set key=value` and `--set-file` reach them."""

import dataclasses
import functools
import tomllib
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from bench.errors import UserError, suggest
from bench.results.records.plan import Settings

PRESETS = Path(__file__).parent / "presets"


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How a model is trained. Presets choose these by validation; `--set` overrides them."""

    optimizer: Literal["muon", "adamw", "sgd"] = "muon"
    """what updates the inner matrices; AdamW (or plain SGD) updates norms, biases, embeddings and head"""
    lr: float = 0.02
    """peak learning rate of the inner matrices"""
    outer_lr: float = 0.006
    """peak learning rate of all other parameters"""
    batch: int = 128
    """examples a step"""
    warmup: float = 0.02
    """share of the budget over which the learning rates rise from 0"""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """how the learning rates fall to 0 over the rest of the budget"""
    weight_decay: float = 0.1
    """of the inner matrices, times their learning rate; decoupled, but for sgd, whose momentum spreads it over steps"""
    clip: float = 1.0
    """largest norm of the whole gradient"""

    def __post_init__(self) -> None:
        rules = {
            "lr": (0 < self.lr <= 100, "above 0 and at most 100"),
            "outer_lr": (0 < self.outer_lr <= 100, "above 0 and at most 100"),
            "batch": (1 <= self.batch <= 2**20, f"from 1 to {2**20}"),
            "warmup": (0 <= self.warmup <= 0.9, "from 0 to 0.9, a share of the budget"),
            "weight_decay": (0 <= self.weight_decay <= 10, "from 0 to 10"),
            "clip": (0 < self.clip <= 1e6, "above 0 and at most 1000000"),
        }
        for name, (kept, rule) in rules.items():
            if not kept:
                raise ValueError(f"{name} {getattr(self, name)}: must be {rule}")


def own_assignments(assignments: dict[str, str], architecture: str) -> dict[str, str]:
    """Those for an architecture: keys that are for all which have them, then `NAME.key` for the one of that name.

    {'lr': '3e-3', 'lstm.lr': '1e-2', 'gru.lr': '5e-3'} is {'lr': '1e-2'} for lstm.
    """
    shared = {key: value for key, value in assignments.items() if "." not in key}
    prefix = f"{architecture}."
    return shared | {key[len(prefix) :]: value for key, value in assignments.items() if key.startswith(prefix)}


def parse_assignments(texts: tuple[str, ...]) -> dict[str, str]:
    """('lr=3e-3', 'layers=3,lstm.width=40') -> {'lr': '3e-3', 'layers': '3', 'lstm.width': '40'}.

    Raises:
        UserError: something is no key=value, or a key is set twice.
    """
    settings: dict[str, str] = {}
    for part in (part for text in texts for part in text.split(",")):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not (key and equals and value):
            raise UserError(f"--set '{part}': expected key=value, such as lr=3e-3")
        if key in settings:
            raise UserError(f"--set {key}: set twice, to {settings[key]} and {value}")
        settings[key] = value
    return settings


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """The table [tuned] of a settings file: what the settings were searched for, and how."""

    suite: str
    suite_hash: str
    parameters: int
    match: str
    budget: str
    """of a run; the trials had less"""
    training_problems: int | None = None
    """size of the finite training set; None, and no such line in the file, is endless"""
    precision: str
    trials: int
    """of each architecture, all counted: the pruned and the failed too"""
    trial_budget: str
    finalists: int | None = None
    """how many of the best trials were trained once more, at `budget`; None, and no such line, is none"""
    final_seeds: int | None = None
    """how many seeds each of these had; None, and no such line, is one, or none where there are no finalists"""

    @property
    def text(self) -> str:
        """What the settings were tuned for, as records and tables say it."""
        return tuned_for(self.suite, self.parameters, self.budget)

    def is_for(self, settings: Settings, dense: bool) -> bool:
        """Whether that is what a plan with these settings runs; all parameters of a `dense` model are active."""
        names = ("suite", "suite_hash", "parameters", "budget", "training_problems", "precision")
        return all(getattr(self, name) == getattr(settings, name) for name in names) and (
            dense or self.match == settings.match
        )


def tuned_for(suite: str, parameters: int, budget: str) -> str:
    """How records and tables say what settings were tuned for: 'quick, 100,000 parameters, examples=300000'."""
    return f"{suite}, {parameters:,} parameters, {budget}"


@dataclass(frozen=True)
class SetFile:
    """A file of settings, a table an architecture, such as `tune` writes."""

    source: str
    """names it in messages"""
    tables: dict[str, dict[str, Any]]
    """architecture -> setting -> value, as the file has them"""
    tuned: Tuned | None
    """None in a file by hand, which was tuned for nothing"""


def read_set_file(path: Path, source: str = "") -> SetFile:
    """The tables of a TOML file; whether they fit their architectures is not checked. Messages name it by `source`,
    or as the option that takes it.

    Raises:
        UserError: it cannot be read, is no TOML, holds more than tables, or a [tuned] that `tune` never wrote.
    """
    source = source or f"--set-file {path}"
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"{source}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and TOMLDecodeError both are
        raise UserError(f"{source}: is not valid TOML: {error}") from None
    for name, table in content.items():
        if not isinstance(table, dict):
            raise UserError(f"{source} {name}: stands in no table; put it below the name of an architecture: [lstm]")
    header = content.pop("tuned", None)
    if header is None:
        return SetFile(source, content, None)
    hints = typing.get_type_hints(Tuned)
    for key in header:
        if key not in hints:
            raise UserError(f"{source} [tuned] {key}: unknown; {suggest(key, list(hints))}")
    if missing := sorted(hints.keys() - header.keys() - {"training_problems", "finalists", "final_seeds"}):
        raise UserError(f"{source} [tuned]: lacks {', '.join(missing)}; restore it, or leave out [tuned] altogether")
    values = {key: _convert(value, hints[key], f"{source} [tuned] {key}") for key, value in header.items()}
    return SetFile(source, content, Tuned(**values))


@functools.cache
def presets() -> tuple[SetFile, ...]:
    """The settings that the project ships: files that `tune` wrote, one a search."""
    return tuple(read_set_file(path, f"preset {path.stem}") for path in sorted(PRESETS.glob("*.toml")))


def apply_settings(defaults: Any, values: dict[str, Any], source: str) -> Any:
    """A copy of a dataclass instance with some fields replaced; texts are converted to the fields' types.

    Raises:
        UserError: an unknown field, or a value that is not of its type or breaks the dataclass's rules.
    """
    hints = typing.get_type_hints(type(defaults))
    changes = {}
    for key, value in values.items():
        if key not in field_names(type(defaults)):
            raise UserError(f"{source} {key}: unknown; {suggest(key, field_names(type(defaults)))}")
        changes[key] = _convert(value, hints[key], f"{source} {key}")
    try:
        return dataclasses.replace(defaults, **changes)
    except ValueError as error:
        raise UserError(f"{source}: {error}") from None


def field_names(cls: type) -> list[str]:
    """Names of a dataclass's fields."""
    return [field.name for field in dataclasses.fields(cls)]


def _convert(value: Any, hint: Any, what: str) -> Any:
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise UserError(f"{what} '{value}': expected one of {', '.join(map(str, get_args(hint)))}")
        return value
    if get_origin(hint) in (types.UnionType, typing.Union):
        if value is None or value == "none":
            return None
        hint = next(arg for arg in get_args(hint) if arg is not type(None))
    try:
        if isinstance(value, bool) and hint is not bool:  # true is 1 for Python, but nobody means that
            raise ValueError
        if hint is bool:
            return {"true": True, "false": False}[str(value).lower()]
        converted = hint(value)
        if hint is int and float(value) != converted:
            raise ValueError
        if hint is float and not abs(converted) < float("inf"):
            raise ValueError
    except (ValueError, KeyError, TypeError, OverflowError):
        names = {int: "a whole number", float: "a finite number", bool: "true or false"}
        raise UserError(f"{what} '{value}': expected {names.get(hint, hint.__name__)}") from None
    if hint is int and converted < 1:
        raise UserError(f"{what} '{value}': expected a whole number from 1 on")
    return converted
