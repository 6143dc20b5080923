"""The space of a search: common settings, an architecture's own options, and the fixed design of the first trials."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bench.architectures import Architecture, Config
from bench.errors import UserError, suggest
from bench.planning.amounts import parse_budget
from bench.planning.decide import Shared
from bench.planning.settings import TrainingSettings

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

DEPTHS = (1, 6)
"""Fewest and most layers; for some architectures only a part of this range is possible."""
BATCHES = (32, 64, 128, 256)
"""Choices of the batch size."""
USUAL_LR = {"muon": 0.02, "adamw": 0.008, "sgd": 0.05}
"""What `lr` of the space is a multiple of: one range then suits all optimisers, and is one dimension to the sampler."""
DEPTH = "depth"
DESIGN: tuple[dict[str, Any], ...] = (
    {},
    {"batch": 64, DEPTH: 3},
    {"batch": 32, DEPTH: 2},
    {"batch": 32, DEPTH: 4, "lr": 0.5},
    {"batch": 64, DEPTH: 1},
    {"batch": 32, DEPTH: 6, "weight_decay": 0.2, "lr": 0.5},
    {"batch": 64, DEPTH: 3, "optimizer": "adamw"},
    {"batch": 32, DEPTH: 2, "optimizer": "adamw", "lr": 0.5},
    {"batch": 64, DEPTH: 5, "weight_decay": 0.05},
)
"""What the first trials change of the defaults: `lr` is a multiple of the usual one, and depth keeps its range. Of a
dozen random trials in eight dimensions most would be wasted (`docs/log.md`)."""
OWN_AT = 1
"""The trial of `DESIGN` with which each own option is tried by itself."""
OWN_OPTIONS = 6
"""Most options that an architecture may have of its own."""
EDGE = 0.05
"""A number this near to the end of its range, as a share of the range (of its logarithm), stands at the edge."""


def search_space(shared: Shared, cls: type[Architecture]) -> dict[str, BaseDistribution]:
    """The space of an architecture: the common settings, except those that the suite fixes, and its own options.

    Raises:
        UserError: depth or own options are not as `Config` asks, or no depth meets the size.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    own, depth = cls.Config.search, cls.Config.depth_field
    defaults = asdict(cls.Config())
    if depth not in defaults and depth != Config.depth_field:
        raise UserError(f"{cls.name}: `depth_field` of its config is '{depth}'; {suggest(depth, list(defaults))}")
    wrong = [name for name, choices in own.items() if name not in defaults or defaults[name] not in choices]
    wrong += [name for name in own if name in (depth, *cls.Config.size_fields)]
    if wrong or len(own) > OWN_OPTIONS:
        raise UserError(
            f"{cls.name}: `search` of its config holds {', '.join(wrong or own)}; expected at most {OWN_OPTIONS} "
            f"fields, neither depth nor size, each with choices that hold its default"
        )
    least, most = _depths(shared, cls)
    space: dict[str, BaseDistribution] = {
        "optimizer": CategoricalDistribution(("muon", "adamw")),
        "lr": FloatDistribution(1 / 4, 2, log=True),
        "outer_lr": FloatDistribution(0.002, 0.016, log=True),
        "batch": CategoricalDistribution(BATCHES),
        "warmup": FloatDistribution(0, 0.1),
        "weight_decay": FloatDistribution(0.02, 0.5, log=True),
        **({depth: IntDistribution(least, most)} if depth in defaults else {}),
        **{name: CategoricalDistribution(choices) for name, choices in own.items()},
    }
    settled = shared.suite.defaults.settings.keys() | (
        {"batch"} if parse_budget(shared.settings.budget).unit == "steps" else set()
    )
    return {name: distribution for name, distribution in space.items() if name not in settled}


def _depths(shared: Shared, cls: type[Architecture]) -> tuple[int, int]:
    """The least and the greatest depth at which a model meets the size. Raises UserError where none does."""
    possible, why = [], ""
    depth = cls.Config.depth_field
    for layers in range(DEPTHS[0], DEPTHS[1] + 1):
        # Where the suite fixes the depth, or there is none, all turns are alike.
        values = {} if depth in shared.suite.defaults.settings else {depth: layers}
        try:
            shared.architecture(cls, values, f"{depth} {layers}")
        except UserError as error:
            why = str(error)
        else:
            possible.append(layers)
    if not possible:
        raise UserError(why)
    return min(possible), max(possible)


def design(space: dict[str, BaseDistribution], cls: type[Architecture]) -> list[dict[str, Any]]:
    """The first trials of an architecture, as the sampler sees them, each once.

    First the defaults of training and architecture with the changes of `DESIGN`, then each own option by itself, with
    its first choice other than the default.
    """
    from optuna.distributions import IntDistribution

    depth = cls.Config.depth_field
    defaults = asdict(cls.Config()) | asdict(TrainingSettings()) | {"lr": 1.0}
    common = [{depth if name == DEPTH else name: value for name, value in changes.items()} for changes in DESIGN]
    others = {
        name: next((choice for choice in choices if choice != defaults[name]), defaults[name])
        for name, choices in cls.Config.search.items()
    }
    possible = space.get(depth)  # None where the suite fixes the depth
    found: list[dict[str, Any]] = []
    for changes in [*common, *(common[OWN_AT] | {name: other} for name, other in others.items())]:
        values = defaults | changes
        if isinstance(possible, IntDistribution):
            values[depth] = min(max(values[depth], possible.low), possible.high)
        trial = {name: values[name] for name in space}
        if trial not in found:  # where the suite fixes some settings
            found.append(trial)
    return found


def settings_of(shared: Shared, params: dict[str, Any]) -> dict[str, Any]:
    """The settings of a trial: those sampled, rounded to three digits, with `lr` as an absolute rate."""
    values = dict(params)
    if "lr" in values:
        optimizer = values.get("optimizer", shared.suite.defaults.settings.get("optimizer", TrainingSettings.optimizer))
        values["lr"] *= USUAL_LR[optimizer]
    return {name: float(f"{value:.3g}") if isinstance(value, float) else value for name, value in values.items()}


def as_plain(space: dict[str, BaseDistribution]) -> dict[str, dict[str, Any]]:
    """A space as tune.json has it: setting -> its choices, or its low, high, log and step."""
    from optuna.distributions import distribution_to_json

    return {name: json.loads(distribution_to_json(values))["attributes"] for name, values in space.items()}


def lies_within(narrow: dict[str, dict[str, Any]], wide: dict[str, dict[str, Any]]) -> bool:
    """Whether a plain space has the same settings as another, and no value that the other lacks."""

    def within(one: dict[str, Any], other: dict[str, Any]) -> bool:
        if "choices" in one:
            return set(one["choices"]) <= set(other.get("choices", ()))
        alike = all(one[key] == other.get(key, "other") for key in ("log", "step"))
        return alike and bool(other["low"] <= one["low"] <= one["high"] <= other["high"])

    return narrow.keys() == wide.keys() and all(within(narrow[name], wide[name]) for name in narrow)


def ordered(choices: Sequence[Any]) -> bool:
    """Whether choices have an order, as numbers do."""
    return all(isinstance(choice, int | float) and not isinstance(choice, bool) for choice in choices)


def at_edge(params: dict[str, Any], space: dict[str, dict[str, Any]]) -> list[str]:
    """The settings of a trial that stand at an edge of its plain space, where wider ones might be better."""

    def stands(value: Any, choices: list[Any] | None = None, **range_: Any) -> bool:
        if choices is not None:
            return ordered(choices) and value in (min(choices), max(choices))
        ends = (range_["low"], range_["high"], value)
        low, high, place = map(math.log, ends) if range_["log"] else ends
        margin = EDGE * (high - low) if range_["step"] is None else 0
        return not low + margin < place < high - margin

    return [name for name, values in space.items() if stands(params[name], **values)]
