"""The plan of a run: everything that is decided before anything trains."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bench import __version__, architectures, machine
from bench.amounts import Budget, parse_budget, parse_count, parse_names, parse_seeds
from bench.architectures import Architecture, Config, Preset, SequenceSpec
from bench.cli.options import RunOptions
from bench.datasets.suites import Suite, load_suite, suite_names
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
            "module": self.cls.__module__,
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
    """A resolved run. Everything that decides its results is here."""

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
    suite_source: str
    """the suite as typed, name or path; for commands that a person goes on with, decides nothing"""

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
            "version": __version__,
            "torch": torch.__version__,
        }

    @property
    def hash(self) -> str:
        """SHA-256 of all that decides the results."""
        return plan_hash(self.settings(), {entry.name: entry.as_json() for entry in self.entries}, list(self.seeds))

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
                "source": self.suite_source,
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


def plan_hash(settings: dict[str, Any], entries: dict[str, Any], seeds: list[int]) -> str:
    """SHA-256 of a plan's settings, its architectures (name -> `Entry.as_json`) and its seeds."""
    content = settings | {"entries": entries, "seeds": seeds}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


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
    plugins = parse_names(options.plugin, "--plugin") if options.plugin is not None else ()
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
    default = f"suite {suite.name}: defaults.budget"
    budget = parse_budget(suite.defaults.budget, default) if options.budget is None else parse_budget(options.budget)
    parameters = suite.defaults.parameters if options.params is None else parse_count(options.params, "--params")
    limit = suite.defaults.training_problems
    if options.training_problems is not None:
        limit = parse_count(options.training_problems, "--training-problems")
    try:
        suite.stream(seeds[0], limit)
        for split in ("validation", "test"):
            if not len(suite.evaluation_set(split)):
                raise ValueError(f"suite '{suite.name}' has no {split} problem")
    except ValueError as error:
        raise UserError(str(error)) from None
    assignments = parse_assignments(options.set)
    _check_known(assignments, classes, "--set")
    _check_known(suite.defaults.settings, list(known.values()), f"suite {suite.name}: settings")
    usual = _is_genuine(suite) and limit == suite.defaults.training_problems and options.precision == "32"
    spec = sequence_spec(suite)
    entries = tuple(
        _entry(cls, spec, suite, budget, parameters, options.match, assignments, options.unequal, usual)
        for cls in classes
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
        suite_source=options.suite,
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
    usual: bool,
) -> Entry:
    """One architecture under the options; `usual`: data and precision are what presets for this suite mean."""
    preset = _nearest_preset(cls, suite, parameters, budget)
    training = apply_settings(TrainingSettings(), preset.training if preset else {}, f"preset of {cls.name}")
    config = apply_settings(cls.Config(), preset.config if preset else {}, f"preset of {cls.name}")
    common: dict[str, Any] = dict(suite.defaults.settings)
    # Later ones win: the preset, what the suite asks of all, the command line.
    for values, source in ((common, f"suite {suite.name}: settings"), (assignments, "--set")):
        mine = {key: value for key, value in values.items() if key in field_names(type(training))}
        training = apply_settings(training, mine, source)
        own = {key: value for key, value in values.items() if key in field_names(cls.Config)}
        config = apply_settings(config, own, source)
    if budget.unit == "steps" and "batch" not in assignments:
        training = dataclasses.replace(training, batch=suite.defaults.batch)
    fixed = frozenset(name for name in config.size_fields if name in common | assignments)
    try:
        config = fit(cls, config, spec, parameters, match, fixed)
        total, active = count_parameters(cls, config, spec)
        flops_per_example = count_flops(cls, config, spec)
    except (ValueError, AssertionError, RuntimeError) as error:
        raise UserError(f"{cls.name}: {error}") from None
    except Exception as error:  # a mistake in an architecture, most likely in a plug-in
        raise UserError(f"{cls.name}: {type(error).__name__}: {error}") from error
    held = active if match == "active" else total
    met = abs(held / parameters - 1) <= TOLERANCE
    if not met and not unequal:
        raise UserError(
            f"{cls.name}: {parameters:,} parameters cannot be met within {TOLERANCE:.0%}; the nearest is {held:,} "
            f"(ask for that with --params, or run it unequal with --unequal)"
        )
    asked = (suite.name, parameters, str(budget))
    meant = preset is not None and (preset.suite, preset.parameters, preset.budget) == asked
    return Entry(
        name=cls.name,
        config=config,
        training=training,
        parameters=total,
        active_parameters=active,
        match=match if met else "unequal",
        flops_per_example=flops_per_example,
        preset=f"{preset.suite}, {preset.parameters:,} parameters, {preset.budget}" if preset else "",
        tuned=meant and usual and (match == "total" or active == total) and not assignments,
    )


def _nearest_preset(cls: type[Architecture], suite: Suite, parameters: int, budget: Budget) -> Preset | None:
    """The preset for this suite whose size is nearest, else the nearest of any; of equals the one for this budget."""

    def distance(preset: Preset) -> tuple[bool, float, bool]:
        return preset.suite != suite.name, abs(preset.parameters / parameters - 1), preset.budget != str(budget)

    return min(cls.presets, key=distance, default=None)


def _is_genuine(suite: Suite) -> bool:
    """False where a file of the user's own goes by the name of a suite of the project and differs from it."""
    return suite.name not in suite_names() or load_suite(suite.name).hash == suite.hash


def _check_known(values: Iterable[str], classes: list[type[Architecture]], source: str) -> None:
    """Raises UserError for a key that is a setting of none of the classes."""
    known = set(field_names(TrainingSettings)).union(*(field_names(cls.Config) for cls in classes))
    for key in values:
        if key not in known:
            raise UserError(f"{source} {key}: unknown; {suggest(key, sorted(known))}")


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
