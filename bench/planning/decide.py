"""The plan of a run: everything that is decided before anything trains."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from bench import __version__, architectures, machine
from bench.architectures import Architecture, Config
from bench.datasets.drawing.evaluation import EvaluationSet
from bench.datasets.suites import Suite, load_suite
from bench.errors import UserError, suggest, user_errors
from bench.plan import sequence_spec
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
from bench.planning.sizing import TOLERANCE, count_flops, count_optimizer_flops, fit, lay_out, parameters_of
from bench.plugins import load_plugins, plugin_hash
from bench.results.records.plan import Plan, PlannedArchitecture, PlannedStratum, PlannedSuite, Settings, hash_of_plan

MOST_LAYERS = 64
MOST_OF_A_SETTING = 1024
"""The largest whole number that a setting of an architecture may be, where it is neither depth nor size."""

Layer = tuple[Mapping[str, Any], str]
"""Settings, and where they come from, for a message."""


@dataclasses.dataclass(frozen=True)
class Shared:
    """What options decide for all architectures alike: a plan before its architectures."""

    settings: Settings
    suite: Suite
    test: EvaluationSet
    """its test problems: large suites take seconds to make them"""
    source: str
    """the suite as typed, a name or a path"""
    seeds: list[int]
    classes: list[type[Architecture]]
    plugins: list[str]

    def plan(self, entries: dict[str, PlannedArchitecture], command: str) -> Plan:
        """The plan of these architectures, which `command` carries out."""
        suite = self.suite
        planned = {name: entry.model_dump() for name, entry in entries.items()}
        return Plan(
            command=command,
            settings=self.settings,
            plan_hash=hash_of_plan(self.settings, planned, self.seeds),
            suite=PlannedSuite(
                name=suite.name,
                version=suite.version,
                hash=suite.hash,
                summary=suite.summary,
                source=self.source,
                content=suite.model_dump(mode="json"),
            ),
            architectures=list(entries),
            entries=entries,
            seeds=self.seeds,
            budget=self.settings.budget,
            test_hash=self.test.hash,
            strata=strata_of(self.test),
            plugins=self.plugins,
            versions=machine.versions(),
            machine=machine.description(),
            git=machine.git_state(),
        )

    def architecture(self, cls: type[Architecture], values: Mapping[str, Any], source: str) -> PlannedArchitecture:
        """An architecture with these settings in place of its defaults. Raises UserError as `planned_architecture`."""
        return planned_architecture(self.settings, self.suite, cls, ({}, ""), [(values, source)], {})


def default_directory(plan: Plan) -> Path:
    """Where a run goes when the command does not say: runs/SUITE-HASH."""
    return Path("runs") / f"{plan.suite.name}-{plan.plan_hash[:10]}"


def strata_of(test: EvaluationSet) -> list[PlannedStratum]:
    """The strata of a test set, how many problems each has, and whether those are all there are."""
    return [
        PlannedStratum(
            operation=stratum.operation,
            digits=stratum.digits,
            signs=stratum.signs,
            places=stratum.places,
            test=count,
            exhaustive=exhaustive,
        )
        for stratum, count, exhaustive in zip(test.strata, test.counts, test.exhaustive, strict=True)
    ]


def decide(options: RunOptions, command: str, elsewhere: bool = False) -> Plan:
    """Check every option and decide everything; `command` is what the user typed. `elsewhere`: other machines train.

    Raises:
        UserError: an option is unknown, impossible, or at odds with another.
    """
    shared = decide_shared(options, elsewhere)
    classes, names = shared.classes, [cls.name for cls in shared.classes]
    assignments = parse_assignments(options.set)
    for key in assignments:
        name, dot, setting = key.rpartition(".")
        if dot and name not in names:
            raise UserError(f"--set {key}: {name} is not among the architectures of this run; {suggest(name, names)}")
        _check_known([setting], [cls for cls in classes if cls.name == name] if dot else classes, "--set")
    file = None
    if options.set_file is not None:
        file = read_set_file(options.set_file)
        known = list(architectures.all_architectures())
        for name in file.tables:
            if name not in known:
                raise UserError(f"{file.source} [{name}]: no architecture has that name; {suggest(name, known)}")
            _check_known(file.tables[name], [architectures.get(name)], f"{file.source} [{name}]")
        if not any(name in file.tables for name in names):
            raise UserError(f"{file.source}: has no table for {', '.join(names)}")
    entries = {
        cls.name: _planned(shared, cls, file, own_assignments(assignments, cls.name), options.unequal)
        for cls in classes
    }
    return shared.plan(entries, command)


def decide_shared(options: RunOptions, elsewhere: bool = False) -> Shared:
    """What the options decide for all architectures alike. `elsewhere`: other machines train.

    Raises:
        UserError: an option is unknown, impossible, or at odds with another.
    """
    plugins = load_plugins(options.plugin)
    with user_errors():
        suite = load_suite(options.suite)
        known = architectures.all_architectures()
        left = left_out(options)
        everything = tuple(name for name in known if name not in left)
        names = everything if options.arch == "all" else parse_names(options.arch, "--arch")
        classes = [architectures.get(name) for name in names]
    device = options.device if elsewhere else device_called(options.device)
    if options.precision == "16" and device == "cpu":
        raise UserError("--precision 16: half precision needs a GPU; take 32 or bf16 on the CPU")
    if options.stop_when_flat is not None and options.stop_when_flat < 1:
        raise UserError(f"--stop-when-flat {options.stop_when_flat}: expected a number of validations from 1 on")
    seeds = tuple(range(suite.defaults.seeds)) if options.seeds is None else parse_seeds(options.seeds)
    usual = suite.defaults.budget, f"suite {suite.name}: defaults.budget"
    budget = parse_budget(*usual) if options.budget is None else parse_budget(options.budget)
    if not budget.amount and (drawn := [cls.name for cls in classes if cls.Config.size_fields]):
        raise UserError(f"--budget {budget}: {drawn[0]} starts from random weights, and knows nothing without training")
    parameters = suite.defaults.parameters if options.params is None else parse_count(options.params, "--params")
    limit = suite.defaults.training_problems
    if options.training_problems is not None:
        limit = parse_count(options.training_problems, "--training-problems")
    with user_errors():
        suite.stream(seeds[0], limit)
        test = suite.evaluation_set("test")
        for split, problems in (("validation", suite.evaluation_set("validation")), ("test", test)):
            if not len(problems):
                raise ValueError(f"suite '{suite.name}' has no {split} problem")
    _check_known(suite.defaults.settings, list(known.values()), f"suite {suite.name}: settings")
    settings = Settings(
        suite=suite.name,
        suite_version=suite.version,
        suite_hash=suite.hash,
        budget=str(budget),
        parameters=parameters,
        match=options.match,
        training_problems=limit,
        stop_when_flat=options.stop_when_flat,
        device=device,
        precision=options.precision,
        threads=options.threads or max(1, machine.cores() // cells_at_once(options, device, budget)),
        version=__version__,
        torch=torch.__version__,
    )
    return Shared(settings, suite, test, options.suite, list(seeds), classes, list(plugins))


def left_out(options: RunOptions) -> tuple[str, ...]:
    """Architectures that 'all' does not mean here: a setting that they require is not among the options."""
    if options.arch != "all":
        return ()
    made = parse_assignments(options.set)
    tables = {} if options.set_file is None else read_set_file(options.set_file).tables
    return tuple(
        name
        for name, cls in architectures.all_architectures().items()
        if set(cls.Config.required) - own_assignments(made, name).keys() - tables.get(name, {}).keys()
    )


def left_out_lines(options: RunOptions) -> list[str]:
    """What a user reads of the architectures that 'all' leaves out."""
    return [
        f"--arch all leaves out {name}, which needs "
        + ", ".join(f"--set {name}.{field}=..." for field in architectures.get(name).Config.required)
        for name in left_out(options)
    ]


def _planned(
    shared: Shared, cls: type[Architecture], file: SetFile | None, assignments: dict[str, str], unequal: bool
) -> PlannedArchitecture:
    """One architecture under the options: its preset, what the suite asks of all, the file, then `--set`."""
    settings = shared.settings
    preset = nearest_preset(cls.name, settings.suite, settings.parameters, settings.budget)
    base, asked = (
        (source.tables.get(cls.name, {}), f"{source.source} [{cls.name}]") if source else ({}, "")
        for source in (preset, file)
    )
    _check_known(base[0], [cls], base[1])
    planned = planned_architecture(settings, shared.suite, cls, base, [asked], assignments, unequal)
    if asked[0] and file is not None and file.tuned is not None:
        tuned, alone = file.tuned, True
    elif preset is not None and preset.tuned is not None:
        tuned, alone = preset.tuned, not asked[0]
    else:
        return planned
    meant = tuned.is_for(settings, dense=planned.active_parameters == planned.parameters)
    changed = any(key in (*field_names(cls.Config), *field_names(TrainingSettings)) for key in assignments)
    return planned.model_copy(update={"preset": tuned.text, "tuned": meant and alone and not changed})


def planned_architecture(
    settings: Settings,
    suite: Suite,
    cls: type[Architecture],
    base: Layer,
    asked: Sequence[Layer],
    assignments: dict[str, str],
    unequal: bool = False,
) -> PlannedArchitecture:
    """One architecture of a plan, tuned for nothing, its size fitted.

    Later settings win: the defaults of its class, `base`, what the suite asks of all, `asked`, `assignments` (`--set`).
    Size fields that any but `base` sets stay as they are.

    Raises:
        UserError: a value is impossible, or the size cannot be met and need not be `unequal`.
    """
    layers = [(suite.defaults.settings, f"suite {suite.name}: settings"), *asked]
    if parse_budget(settings.budget).unit == "steps":  # a step is the same number of examples for all
        layers.append(({"batch": suite.defaults.batch}, f"suite {suite.name}: defaults.batch"))
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
    spec = sequence_spec(suite)
    try:
        config = config.settled()
        config = fit(cls, config, spec, settings.parameters, settings.match, fixed)
        model = lay_out(cls, config, spec)
        total, active = parameters_of(model)
        flops_per_example = count_flops(cls, config, spec)
        optimizer_flops_per_step = count_optimizer_flops(model, training.optimizer)
    except (ValueError, AssertionError, RuntimeError) as error:
        raise UserError(f"{cls.name}: {error}") from None
    except Exception as error:  # a mistake in an architecture, most likely in a plug-in
        raise UserError(f"{cls.name}: {type(error).__name__}: {error}") from error
    held = active if settings.match == "active" else total
    met = bool(config.size_fields) and abs(held / settings.parameters - 1) <= TOLERANCE
    if config.size_fields and not met and not unequal:
        raise UserError(
            f"{cls.name}: {settings.parameters:,} parameters cannot be met within {TOLERANCE:.0%}; the nearest is "
            f"{held:,} (ask for that with --params, or run it unequal with --unequal)"
        )
    return PlannedArchitecture(
        module=cls.__module__,
        config=dataclasses.asdict(config),
        training=dataclasses.asdict(training),
        parameters=total,
        active_parameters=active,
        match=settings.match if met else "unequal",
        flops_per_example=flops_per_example,
        optimizer_flops_per_step=optimizer_flops_per_step,
        preset="",
        tuned=False,
        plugin_hash=plugin_hash(cls),
    )


def _check_buildable(name: str, config: Config) -> None:
    """Raises UserError for a model that would take minutes to lay out, dozens of times, before its size is known."""
    most = {field: MOST_OF_A_SETTING for field in field_names(type(config)) if field not in config.size_fields}
    most |= {config.depth_field: MOST_LAYERS, "depth": MOST_LAYERS}  # which differ in a looped model
    for field, limit in most.items():
        value = getattr(config, field, None)
        if isinstance(value, int) and value > limit:
            raise UserError(f"{name}: {field} {value:,}: at most {limit:,}")


def nearest_preset(architecture: str, suite: str, parameters: int, budget: str) -> SetFile | None:
    """The preset for this suite, else for the suite that `run` takes by default, which has all operations, else any; of
    several the one nearest in size, of equals the one for this budget.
    """

    def distance(preset: SetFile) -> tuple[bool, bool, float, bool]:
        tuned = preset.tuned
        assert tuned is not None, f"{preset.source} has no table [tuned]"
        elsewhere = tuned.suite != suite, tuned.suite != RunOptions.suite
        return *elsewhere, abs(tuned.parameters / parameters - 1), tuned.budget != budget

    return min((preset for preset in presets() if architecture in preset.tables), key=distance, default=None)


def _check_known(values: Iterable[str], classes: list[type[Architecture]], source: str) -> None:
    """Raises UserError for a key that is a setting of none of the classes."""
    known = set(field_names(TrainingSettings)).union(*(field_names(cls.Config) for cls in classes))
    for key in values:
        if key not in known:
            raise UserError(f"{source} {key}: unknown; {suggest(key, sorted(known))}")


def device_called(name: str) -> str:
    """The device that `--device` means; `auto` is the best there is. Raises UserError where torch finds none."""
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if available[device])
    if not available[name]:
        raise UserError(f"--device {name}: this machine has none that torch can use; take --device cpu")
    return name


def cells_at_once(options: RunOptions, device: str, budget: Budget) -> int:
    """How many cells train beside one another; decides nothing but times, and the threads of a cell.

    Small models gain little from a second thread, so that cells side by side end sooner; and with one thread each, what
    they learn does not depend on how many cores a machine has. Under a budget of seconds a neighbour would change what
    a cell learns, and a GPU has nothing for it to compute with.
    """
    cores = machine.cores()
    for name, asked in (("--threads", options.threads), ("--cells-at-once", options.cells_at_once)):
        if asked is not None and not 1 <= asked <= 1024:
            raise UserError(f"{name} {asked}: expected 1 to 1024; this machine has {cores} cores")
    if options.cells_at_once is not None:
        return options.cells_at_once
    alone = device != "cpu" or budget.unit == "seconds"
    return 1 if alone else max(1, cores // (options.threads or 1))
