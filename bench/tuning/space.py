"""The space of a search: common settings, an architecture's own options, and the fixed design of the first trials."""

from __future__ import annotations

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
BATCHES = (64, 128, 256)
"""Choices of the batch size. A step of a smaller one takes nearly as long: its time would buy far fewer examples."""
USUAL_LR = {"muon": 0.02, "adamw": 0.008, "sgd": 0.05}
"""What `lr` of the space is a multiple of: one range then suits all optimisers, and is one dimension to the sampler."""
DEPTH, OWN = "depth", "own"
DESIGN: tuple[dict[str, Any], ...] = (
    {},
    {"batch": 64, DEPTH: 3},
    {"batch": 64, DEPTH: 4, "lr": 0.5},
    {"batch": 64, DEPTH: 1},
    {"batch": 64, DEPTH: 2, "weight_decay": 0.2, OWN: 0},
    {"batch": 64, DEPTH: 6, "weight_decay": 0.2, "lr": 0.5},
    {"batch": 64, DEPTH: 3, "optimizer": "adamw"},
    {"batch": 64, DEPTH: 4, "weight_decay": 0.05, OWN: 1},
)
"""What the first trials change of the defaults: `lr` is a multiple of the usual one, depth keeps its range, and OWN
is the number of an own option, which takes its first choice other than the default. Of a dozen random trials in
eight dimensions most would be wasted (`docs/log.md`)."""
OWN_OPTIONS = 2
"""Most options that an architecture may have of its own."""


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


def designed(number: int, space: dict[str, BaseDistribution], cls: type[Architecture]) -> dict[str, Any]:
    """A trial of the design: defaults of training and architecture with its changes, as the sampler sees them."""
    from optuna.distributions import IntDistribution

    depth = cls.Config.depth_field
    changes = {depth if name == DEPTH else name: value for name, value in DESIGN[number].items() if name != OWN}
    values = asdict(cls.Config()) | asdict(TrainingSettings()) | {"lr": 1.0} | changes
    possible = space.get(depth)  # None where the suite fixes the depth
    if isinstance(possible, IntDistribution):
        values[depth] = min(max(values[depth], possible.low), possible.high)
    if (place := DESIGN[number].get(OWN, OWN_OPTIONS)) < len(cls.Config.search):
        name, choices = list(cls.Config.search.items())[place]
        values[name] = next((choice for choice in choices if choice != values[name]), values[name])
    return {name: values[name] for name in space}


def settings_of(shared: Shared, params: dict[str, Any]) -> dict[str, Any]:
    """The settings of a trial: those sampled, rounded to three digits, with `lr` as an absolute rate."""
    values = dict(params)
    if "lr" in values:
        optimizer = values.get("optimizer", shared.suite.defaults.settings.get("optimizer", TrainingSettings.optimizer))
        values["lr"] *= USUAL_LR[optimizer]
    return {name: float(f"{value:.3g}") if isinstance(value, float) else value for name, value in values.items()}
