"""The plan of a run: everything that is decided before anything trains."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bench import __version__, architectures, machine
from bench.amounts import Budget, parse_budget, parse_count, parse_names, parse_seeds
from bench.architectures import Architecture, Config, Preset, SequenceSpec
from bench.cli.options import RunOptions
from bench.datasets.suites import Suite, load_suite
from bench.datasets.tokenizers import BOS, EOS, MASK, PAD
from bench.errors import UserError
from bench.results.records import SCHEMA_VERSION
from bench.settings import TrainingSettings, apply_settings, field_names, parse_assignments, suggest
from bench.sizing import TOLERANCE, count_flops, count_parameters, fit


@dataclass(frozen=True)
class Entry:
    """One architecture of a plan, fully resolved."""

    name: str
    config: Config
    training: TrainingSettings
    parameters: int
    active_parameters: int
    match: str
    """'total' or 'active': what was held to the size asked; 'unequal' where it was not met"""
    flops_per_example: int
    preset: str
    """what the settings were tuned for, or ''"""
    tuned: bool
    """whether that is what this plan runs"""

    @property
    def cls(self) -> type[Architecture]:
        return architectures.get(self.name)

    def as_json(self) -> dict[str, Any]:
        return {
            "config": dataclasses.asdict(self.config),
            "training": dataclasses.asdict(self.training),
            "parameters": self.parameters,
            "active_parameters": self.active_parameters,
            "match": self.match,
            "flops_per_example": self.flops_per_example,
            "preset": self.preset,
            "tuned": self.tuned,
        }


@dataclass(frozen=True)
class Plan:
    """A resolved run. Everything that decides its results is here, and nothing else does."""

    suite: Suite
    entries: tuple[Entry, ...]
    seeds: tuple[int, ...]
    budget: Budget
    parameters: int
    match: str
    training_problems: int | None
    device: str
    precision: str
    threads: int
    plugins: tuple[str, ...]

    def settings(self) -> dict[str, Any]:
        """What two runs must share to lie in one folder: all but architectures and seeds."""
        return {
            "suite": self.suite.name,
            "suite_version": self.suite.version,
            "suite_hash": self.suite.hash,
            "budget": str(self.budget),
            "parameters": self.parameters,
            "match": self.match,
            "training_problems": self.training_problems,
            "device": self.device,
            "precision": self.precision,
            "threads": self.threads,
            "plugins": list(self.plugins),
        }

    @property
    def hash(self) -> str:
        """SHA-256 of all that decides the results."""
        content = self.settings() | {
            "entries": {entry.name: entry.as_json() for entry in self.entries},
            "seeds": list(self.seeds),
            "version": __version__,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def directory(self) -> Path:
        """Where the run goes when the command does not say: runs/SUITE-HASH."""
        return Path("runs") / f"{self.suite.name}-{self.hash[:10]}"

    def as_json(self, command: str) -> dict[str, Any]:
        """The content of run.json."""
        test = self.suite.evaluation_set("test")
        return {
            "schema": SCHEMA_VERSION,
            "command": command,
            "settings": self.settings(),
            "plan_hash": self.hash,
            "suite": {
                "name": self.suite.name,
                "version": self.suite.version,
                "hash": self.suite.hash,
                "summary": self.suite.summary,
                "content": self.suite.model_dump(mode="json"),
            },
            "architectures": [entry.name for entry in self.entries],
            "entries": {entry.name: entry.as_json() for entry in self.entries},
            "seeds": list(self.seeds),
            "budget": str(self.budget),
            "test_hash": test.hash,
            "strata": [
                {
                    "operation": stratum.operation,
                    "digits": stratum.digits,
                    "signs": stratum.signs,
                    "places": stratum.places,
                    "test": count,
                    "exhaustive": exhaustive,
                }
                for stratum, count, exhaustive in zip(test.strata, test.counts, test.exhaustive, strict=True)
            ],
            "versions": machine.versions(),
            "machine": machine.description(),
            "git": machine.git_state(),
        }


def sequence_spec(suite: Suite) -> SequenceSpec:
    """What an architecture is told of a suite."""
    encoding = suite.encoding
    return SequenceSpec(
        vocabulary=len(encoding.tokenizer.vocabulary),
        prompt_width=encoding.prompt_width,
        answer_width=encoding.answer_width,
        pad=PAD,
        bos=BOS,
        eos=EOS,
        mask=MASK,
        digits=encoding.tokenizer.digit_ids,
        reversed=suite.form.answer == "reversed",
    )


def resolve(options: RunOptions) -> Plan:
    """Check every option and decide everything.

    Raises:
        UserError: an option is unknown, impossible, or at odds with another.
    """
    plugins = parse_names(options.plugin, "--plugin") if options.plugin else ()
    try:
        for module in plugins:
            architectures.load_plugin(module)
        suite = load_suite(options.suite)
        known = architectures.all_architectures()
        names = tuple(known) if options.arch == "all" else parse_names(options.arch, "--arch")
        classes = [architectures.get(name) for name in names]
    except ValueError as error:
        raise UserError(str(error)) from None
    device = _device(options.device)
    if options.precision == "16" and device == "cpu":
        raise UserError("--precision 16: half precision needs a GPU; take 32 or bf16 on the CPU")
    seeds = tuple(range(suite.defaults.seeds)) if options.seeds is None else parse_seeds(options.seeds)
    budget = parse_budget(options.budget or suite.defaults.budget)
    parameters = parse_count(options.params, "--params") if options.params else suite.defaults.parameters
    limit = suite.defaults.training_problems
    if options.training_problems:
        limit = parse_count(options.training_problems, "--training-problems")
    try:
        suite.stream(seeds[0], limit)
        for split in ("validation", "test"):
            if not len(suite.evaluation_set(split)):
                raise ValueError(f"suite '{suite.name}' has no {split} problem")
    except ValueError as error:
        raise UserError(str(error)) from None
    assignments = parse_assignments(options.set)
    _check_known(assignments, classes)
    spec = sequence_spec(suite)
    entries = tuple(
        _entry(cls, spec, suite, budget, parameters, options.match, assignments, options.unequal) for cls in classes
    )
    return Plan(
        suite=suite,
        entries=entries,
        seeds=seeds,
        budget=budget,
        parameters=parameters,
        match=options.match,
        training_problems=limit,
        device=device,
        precision=options.precision,
        threads=_threads(options.threads),
        plugins=plugins,
    )


def _entry(
    cls: type[Architecture],
    spec: SequenceSpec,
    suite: Suite,
    budget: Budget,
    parameters: int,
    match: str,
    assignments: dict[str, str],
    unequal: bool,
) -> Entry:
    preset = _nearest_preset(cls, suite, parameters)
    training = TrainingSettings()
    config = cls.Config()
    common: dict[str, Any] = dict(suite.defaults.settings)
    # Later ones win: the preset, what the suite asks of all, the command line.
    for values, source in (
        ((preset.config | preset.training) if preset else {}, f"preset of {cls.name}"),
        (common, f"suite {suite.name}: settings"),
        (assignments, "--set"),
    ):
        mine = {key: value for key, value in values.items() if key in field_names(type(training))}
        training = apply_settings(training, mine, source)
        own = {key: value for key, value in values.items() if key in field_names(cls.Config)}
        config = apply_settings(config, own, source)
    if budget.unit == "steps" and "batch" not in assignments:
        training = dataclasses.replace(training, batch=suite.defaults.batch)
    fixed = frozenset(name for name in config.size_fields if name in assignments)
    try:
        config = fit(cls, config, spec, parameters, match, fixed)
        total, active = count_parameters(cls, config, spec)
    except (ValueError, AssertionError, RuntimeError) as error:
        raise UserError(f"{cls.name}: {error}") from None
    held = active if match == "active" else total
    met = abs(held / parameters - 1) <= TOLERANCE
    if not met and not unequal:
        raise UserError(
            f"{cls.name}: {parameters:,} parameters cannot be met within {TOLERANCE:.0%}; the nearest is {held:,} "
            f"(ask for that with --params, or run it unequal with --unequal)"
        )
    meant = preset is not None and (preset.suite, preset.parameters, preset.budget) == (
        suite.name,
        parameters,
        str(budget),
    )
    return Entry(
        name=cls.name,
        config=config,
        training=training,
        parameters=total,
        active_parameters=active,
        match=match if met else "unequal",
        flops_per_example=count_flops(cls, config, spec),
        preset=f"{preset.suite}, {preset.parameters:,} parameters, {preset.budget}" if preset else "",
        tuned=meant and not assignments,
    )


def _nearest_preset(cls: type[Architecture], suite: Suite, parameters: int) -> Preset | None:
    """The preset for this suite whose size is nearest, else the nearest of any suite."""

    def distance(preset: Preset) -> tuple[bool, float]:
        return preset.suite != suite.name, abs(preset.parameters / parameters - 1)

    return min(cls.presets, key=distance, default=None)


def _check_known(assignments: dict[str, str], classes: list[type[Architecture]]) -> None:
    known = set(field_names(TrainingSettings)).union(*(field_names(cls.Config) for cls in classes))
    for key in assignments:
        if key not in known:
            raise UserError(f"--set {key}: unknown; {suggest(key, sorted(known))}")


def _device(name: str) -> str:
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if available[device])
    if not available[name]:
        raise UserError(f"--device {name}: this machine has none that torch can use; take --device cpu")
    return name


def _threads(asked: int | None) -> int:
    cores = machine.cores()
    if asked is None:
        return cores
    if not 1 <= asked <= 1024:
        raise UserError(f"--threads {asked}: expected 1 to 1024; this machine has {cores} cores")
    return asked
