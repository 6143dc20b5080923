"""The plan of a run: everything that is decided before anything trains."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bench import __version__, architectures, machine
from bench.architectures import Architecture, Config, SequenceSpec
from bench.datasets.drawing.evaluation import EvaluationSet
from bench.datasets.suites import Suite, load_suite
from bench.datasets.writing.tokenizers import BOS, EOS, MASK, PAD
from bench.errors import UserError, suggest
from bench.planning.amounts import Budget, parse_budget, parse_count, parse_names, parse_seeds
from bench.planning.options import RunOptions
from bench.planning.settings import (
    SetFile,
    TrainingSettings,
    apply_settings,
    field_names,
    own_assignments,
    parse_assignments,
    presets,
    read_set_file,
)
from bench.planning.sizing import TOLERANCE, count_flops, count_parameters, fit
from bench.results.records.record import SCHEMA_VERSION

MOST_LAYERS = 64
MOST_OF_A_SETTING = 1024
"""Of a whole number in a config that is neither depth nor width."""

Layer = tuple[Mapping[str, Any], str]
"""Settings, and where they come from, for a message."""


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
    stop_when_flat: int | None
    """validations without gain after which a cell ends; None: never"""
    device: str
    precision: str
    threads: int
    plugins: tuple[str, ...]
    suite_source: str
    """the suite as typed, name or path; for commands that a person goes on with, decides nothing"""
    left_out: tuple[str, ...] = ()
    """architectures that 'all' does not mean here, since they need a setting that nobody made; decides nothing"""
    at_once: int = 1
    """cells that train beside one another; decides nothing but times"""

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
            "stop_when_flat": self.stop_when_flat,
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
            "strata": strata_of(test),
            "versions": machine.versions(),
            "machine": machine.description(),
            "git": machine.git_state(),
        }


def missing_lines(left_out: Iterable[str]) -> list[str]:
    """What to tell of architectures that 'all' left out."""
    return [
        f"--arch all leaves out {name}, which needs "
        + ", ".join(f"--set {name}.{field}=..." for field in architectures.get(name).Config.required)
        for name in left_out
    ]


def strata_of(test: EvaluationSet) -> list[dict[str, Any]]:
    """The strata of a test set, how many problems each has, and whether those are all there are, as in run.json."""
    return [
        {
            "operation": stratum.operation,
            "digits": stratum.digits,
            "signs": stratum.signs,
            "places": stratum.places,
            "test": count,
            "exhaustive": exhaustive,
        }
        for stratum, count, exhaustive in zip(test.strata, test.counts, test.exhaustive, strict=True)
    ]


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
        texts=encoding.tokenizer.vocabulary,
        tokenize=encoding.tokenize,
    )


def resolve(options: RunOptions) -> Plan:
    """Check every option and decide everything.

    Raises:
        UserError: an option is unknown, impossible, or at odds with another.
    """
    plan, classes = frame(options)
    known = list(architectures.all_architectures().values())
    assignments = parse_assignments(options.set)
    for key in assignments:
        name, dot, setting = key.rpartition(".")
        if dot and name not in (names := [cls.name for cls in classes]):
            raise UserError(f"--set {key}: {name} is not among the architectures of this run; {suggest(name, names)}")
        _check_known([setting], [cls for cls in classes if cls.name == name] if dot else classes, "--set")
    file = None
    if options.set_file is not None:
        file = read_set_file(options.set_file)
        for name in file.tables:
            if name not in (names := [cls.name for cls in known]):
                raise UserError(f"{file.source} [{name}]: no architecture has that name; {suggest(name, names)}")
            _check_known(file.tables[name], [architectures.get(name)], f"{file.source} [{name}]")
        if not any(cls.name in file.tables for cls in classes):
            raise UserError(f"{file.source}: has no table for {', '.join(cls.name for cls in classes)}")
    entries = tuple(
        _planned(plan, cls, file, own_assignments(assignments, cls.name), options.unequal) for cls in classes
    )
    return dataclasses.replace(plan, entries=entries)


def frame(options: RunOptions) -> tuple[Plan, list[type[Architecture]]]:
    """The plan but for its entries, which are left empty, and the architectures asked for.

    Raises:
        UserError: an option is unknown, impossible, or at odds with another.
    """
    plugins = parse_names(options.plugin, "--plugin") if options.plugin is not None else ()
    try:
        for module in plugins:
            architectures.load_plugin(module)
        suite = load_suite(options.suite)
        known = architectures.all_architectures()
        left_out = _needing_more(options) if options.arch == "all" else ()
        everything = tuple(name for name in known if name not in left_out)
        names = everything if options.arch == "all" else parse_names(options.arch, "--arch")
        classes = [architectures.get(name) for name in names]
    except ValueError as error:
        raise UserError(str(error)) from None
    device = _device(options.device)
    if options.precision == "16" and device == "cpu":
        raise UserError("--precision 16: half precision needs a GPU; take 32 or bf16 on the CPU")
    if options.stop_when_flat is not None and options.stop_when_flat < 1:
        raise UserError(f"--stop-when-flat {options.stop_when_flat}: expected a number of validations from 1 on")
    seeds = tuple(range(suite.defaults.seeds)) if options.seeds is None else parse_seeds(options.seeds)
    budget = default_budget(suite) if options.budget is None else parse_budget(options.budget)
    if not budget.amount and (drawn := [cls.name for cls in classes if cls.Config.size_fields]):
        raise UserError(f"--budget {budget}: {drawn[0]} starts from random weights, and knows nothing without training")
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
    _check_known(suite.defaults.settings, list(known.values()), f"suite {suite.name}: settings")
    threads, at_once = _shared_out(options, alone=device != "cpu" or budget.unit == "seconds")
    plan = Plan(
        suite=suite,
        entries=(),
        seeds=seeds,
        budget=budget,
        parameters=parameters,
        match=options.match,
        training_problems=limit,
        stop_when_flat=options.stop_when_flat,
        device=device,
        precision=options.precision,
        threads=threads,
        plugins=plugins,
        suite_source=options.suite,
        left_out=left_out,
        at_once=at_once,
    )
    return plan, classes


def _needing_more(options: RunOptions) -> tuple[str, ...]:
    """Architectures with a required setting that the options do not make."""
    made = parse_assignments(options.set)
    tables = {} if options.set_file is None else read_set_file(options.set_file).tables
    return tuple(
        name
        for name, cls in architectures.all_architectures().items()
        if set(cls.Config.required) - own_assignments(made, name).keys() - tables.get(name, {}).keys()
    )


def default_budget(suite: Suite) -> Budget:
    """What a run of the suite gets where its command does not say otherwise."""
    return parse_budget(suite.defaults.budget, f"suite {suite.name}: defaults.budget")


def _planned(
    plan: Plan, cls: type[Architecture], file: SetFile | None, assignments: dict[str, str], unequal: bool
) -> Entry:
    """One architecture under the options: its preset, what the suite asks of all, the file, then `--set`."""
    layers: list[Layer] = []
    preset = nearest_preset(cls.name, plan.suite.name, plan.parameters, plan.budget)
    for source in (preset, file):
        table = {} if source is None else source.tables.get(cls.name, {})
        layers.append((table, f"{source.source} [{cls.name}]" if source else ""))
    base, asked = layers
    _check_known(base[0], [cls], base[1])
    entry = entry_of(plan, cls, base, [asked], assignments, unequal)
    if asked[0] and file is not None and file.tuned is not None:
        tuned, alone = file.tuned, True
    elif preset is not None and preset.tuned is not None:
        tuned, alone = preset.tuned, not asked[0]
    else:
        return entry
    meant = tuned.is_for(plan.settings(), dense=entry.active_parameters == entry.parameters)
    changed = any(key in (*field_names(cls.Config), *field_names(TrainingSettings)) for key in assignments)
    return dataclasses.replace(entry, preset=tuned.text, tuned=meant and alone and not changed)


def entry_of(
    plan: Plan,
    cls: type[Architecture],
    base: Layer,
    asked: list[Layer],
    assignments: dict[str, str],
    unequal: bool = False,
) -> Entry:
    """One architecture of a plan, tuned for nothing, its size fitted.

    Later settings win: the defaults of its class, `base`, what the suite asks of all, `asked`, `assignments` (`--set`).
    Size fields that any but `base` sets stay as they are.

    Raises:
        UserError: a value is impossible, or the size cannot be met and need not be `unequal`.
    """
    layers = [(plan.suite.defaults.settings, f"suite {plan.suite.name}: settings"), *asked]
    if plan.budget.unit == "steps":  # a step is the same number of examples for all
        layers.append(({"batch": plan.suite.defaults.batch}, f"suite {plan.suite.name}: defaults.batch"))
    layers.append((assignments, "--set"))
    config = cls.Config()
    for values, source in [base, *layers]:
        own = {key: value for key, value in values.items() if key in field_names(cls.Config)}
        config = apply_settings(config, own, source)
    training = TrainingSettings()
    for values, source in [(config.training, cls.name), base, *layers]:
        mine = {key: value for key, value in values.items() if key in field_names(TrainingSettings)}
        training = apply_settings(training, mine, source)
    for name in cls.Config.required:
        if not getattr(config, name):
            raise UserError(f"{cls.name}: needs a {name}; give one by --set {cls.name}.{name}=...")
    _check_buildable(cls.name, config)
    fixed = frozenset(name for name in config.size_fields if any(name in values for values, _ in layers))
    spec = sequence_spec(plan.suite)
    try:
        config = config.settled()
        config = fit(cls, config, spec, plan.parameters, plan.match, fixed)
        total, active = count_parameters(cls, config, spec)
        flops_per_example = count_flops(cls, config, spec)
    except (ValueError, AssertionError, RuntimeError) as error:
        raise UserError(f"{cls.name}: {error}") from None
    except Exception as error:  # a mistake in an architecture, most likely in a plug-in
        raise UserError(f"{cls.name}: {type(error).__name__}: {error}") from error
    held = active if plan.match == "active" else total
    met = bool(config.size_fields) and abs(held / plan.parameters - 1) <= TOLERANCE
    if config.size_fields and not met and not unequal:
        raise UserError(
            f"{cls.name}: {plan.parameters:,} parameters cannot be met within {TOLERANCE:.0%}; the nearest is {held:,} "
            f"(ask for that with --params, or run it unequal with --unequal)"
        )
    return Entry(
        name=cls.name,
        config=config,
        training=training,
        parameters=total,
        active_parameters=active,
        match=plan.match if met else "unequal",
        flops_per_example=flops_per_example,
        preset="",
        tuned=False,
    )


def _check_buildable(name: str, config: Config) -> None:
    """Raises UserError for a model that would take minutes to lay out, dozens of times, before its size is known."""
    most = {field: MOST_OF_A_SETTING for field in field_names(type(config)) if field not in config.size_fields}
    most |= {config.depth_field: MOST_LAYERS, "depth": MOST_LAYERS}  # which differ in a looped model
    for field, limit in most.items():
        value = getattr(config, field, None)
        if isinstance(value, int) and value > limit:
            raise UserError(f"{name}: {field} {value:,}: at most {limit:,}")


def nearest_preset(architecture: str, suite: str, parameters: int, budget: Budget) -> SetFile | None:
    """The preset for this suite, else for the suite that `run` takes by default, which has all operations, else any; of
    several the one nearest in size, of equals the one for this budget.
    """

    def distance(preset: SetFile) -> tuple[bool, bool, float, bool]:
        tuned = preset.tuned
        assert tuned is not None, f"{preset.source} has no table [tuned]"
        elsewhere = tuned.suite != suite, tuned.suite != RunOptions.suite
        return *elsewhere, abs(tuned.parameters / parameters - 1), tuned.budget != str(budget)

    return min((preset for preset in presets() if architecture in preset.tables), key=distance, default=None)


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


def _shared_out(options: RunOptions, alone: bool) -> tuple[int, int]:
    """Threads of a cell, and cells at once.

    Small models gain little from a second thread, so that cells side by side are done sooner; and with one thread each,
    what they learn does not depend on how many cores a machine has. `alone`: a neighbour would change what a cell
    learns, or has nothing to compute with.
    """
    cores = machine.cores()
    for name, asked in (("--threads", options.threads), ("--cells-at-once", options.cells_at_once)):
        if asked is not None and not 1 <= asked <= 1024:
            raise UserError(f"{name} {asked}: expected 1 to 1024; this machine has {cores} cores")
    at_once = options.cells_at_once
    if at_once is None:
        at_once = 1 if alone else max(1, cores // (options.threads or 1))
    return options.threads or max(1, cores // at_once), at_once
