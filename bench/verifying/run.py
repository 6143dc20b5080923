"""All checks of `verify`: what a run claims, compared with what is made again from its folder alone, on any machine.

A checksum shows what was damaged, not what was forged: whoever edits a file can write its checksum anew. So everything
that follows from the suite, the seed and the settings is made again, and the model whose weights lie in the folder is
asked again. Times, memory and the points of the learning curve before the last cannot be made again: here they are only
compared with each other, and training again (`verify --rerun`) is what tests them.
"""

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import stdev
from typing import Any

import pandas as pd

from bench import architectures, machine
from bench.datasets.shipped import suite_names
from bench.datasets.suites import load_suite
from bench.errors import UserError, user_errors
from bench.planning.amounts import parse_budget
from bench.planning.decide import strata_of
from bench.plugins import check_plugin, plugin_hash
from bench.results.files import BadFile, verify_checksum
from bench.results.records.baselines import BASELINES
from bench.results.records.collect import CELLS, RESULTS, cells_frame, results_frame
from bench.results.records.plan import PLAN, REMEDY, Plan, parse_plan, read_plan_content
from bench.results.records.predictions import PREDICTIONS
from bench.results.records.record import RECORD, WEIGHTS, Record, read_record, verify_files
from bench.results.records.run import cell_directory
from bench.running.baselines import baseline_frame
from bench.running.cell import Job, PlannedCell, run_cell
from bench.running.checkpoints import PATTERN as CHECKPOINTS
from bench.running.engine import run_tasks
from bench.verifying import answers, training
from bench.verifying.cell import Cell, Check, Wrong, outcome, short
from bench.verifying.expected import Expected

LEAST_TOLERANCE = 0.05
"""Exact match may differ by so much between two trainings under other conditions, or by three standard deviations
across the run's own seeds if that is more: rounding alone sets training on another course, as another seed does.
"""


def verify_run(directory: Path, rerun: int, plugins: tuple[str, ...], model_at: Path | None = None) -> Iterator[Check]:
    """All checks of a run, one by one as they are done; nothing is written into its folder.

    `rerun` finished cells, chosen by lot, are trained again. `plugins` are modules with architectures of the run: those
    that its plan names are not imported unasked, since a run may come from anywhere. `model_at` is where the model lies
    that a pretrained one was trained from, if not where the plan says.

    Raises:
        UserError: the folder is no run, is of another version, or has fewer cells than `rerun`.
    """
    with user_errors(BadFile):
        content = read_plan_content(directory)
    if rerun > (there := sum(map(_done, directory.glob(f"cells/*/{RECORD}")))):
        raise UserError(f"--rerun {rerun}: {directory} has {there} finished cells; ask for no more")
    yield outcome(PLAN, "", lambda: _checksum(directory / PLAN, content))
    content.pop("checksum", None)
    try:
        plan = parse_plan(directory / PLAN, content)
    except BadFile as error:
        yield Check(check="plan", cell="", ok=False, detail=f"{error}; nothing more can be checked")
        return
    yield outcome("plan", "", lambda: _plan_hash(plan))
    try:
        expected = Expected(plan)
    except ValueError as error:
        detail = f"the suite in {PLAN} is none, and nothing more can be checked: {error}"
        yield Check(check="suite", cell="", ok=False, detail=" ".join(detail.split()))
        return
    yield outcome("suite", "", lambda: _suite(plan, expected))
    yield from _seeds(plan)
    yield outcome("cells", "", lambda: _folders(directory, plan))

    published = _published(directory, plan)
    cells: list[Cell] = []
    unreadable: set[tuple[str, int]] = set()
    for architecture in plan.architectures:
        for seed in plan.seeds:
            name, folder = f"{architecture}-s{seed}", cell_directory(directory, architecture, seed)
            if not (folder / RECORD).exists():
                yield Check(
                    check="record", cell=name, ok=None, detail="not run yet, or not to its end: it has no record"
                )
                continue
            record, check = _read_record(folder, architecture, seed)
            yield check
            if record is None:
                unreadable.add((architecture, seed))
                continue
            if (check_of_plugin := _plugin(name, record)) is not None:
                yield check_of_plugin
                if check_of_plugin.ok is False:  # whatever it answers says nothing of the run
                    unreadable.add((architecture, seed))
                    continue
            cells.append(Cell(folder, record, plan.entries[architecture], expected, name in published, model_at))
            yield from audit(cells[-1])
            if not record.done:
                yield Check(check="status", cell=name, ok=None, detail=f"{record.status}: {record.reason}")
            yield from _conditions(cells[-1])
    yield from _tables(directory, plan, expected, cells, unreadable)
    done = [cell for cell in cells if cell.record.done]
    if rerun > len(done):
        detail = f"{len(done)} of the cells are done and can be read, {rerun} were asked for"
        yield Check(check="trained again", cell="", ok=False, detail=detail)
        return
    for cell in random.SystemRandom().sample(done, rerun):  # nobody can know beforehand which ones
        yield from _train_again(cell, plan, done, plugins, model_at)


def _published(directory: Path, plan: Plan) -> set[str]:
    """Names of the cells whose weights must be there: all, unless the run was published without those of any, or with
    those of the lowest finished seed of each architecture alone.
    """
    done = [
        [f"{name}-s{seed}" for seed in sorted(plan.seeds) if _done(cell_directory(directory, name, seed) / RECORD)]
        for name in plan.architectures
    ]
    there, lowest = (
        {path.parent.name for path in directory.glob(f"cells/*/{WEIGHTS}")},
        {names[0] for names in done if names},
    )
    return there if not there or there == lowest else {name for names in done for name in names}


def _done(record: Path) -> bool:
    """Whether a cell ended well, if its record is not broken."""
    with suppress(BadFile):
        return read_record(record.parent).done
    return False


# --- the plan ---------------------------------------------------------------------------------------------------------


def _checksum(path: Path, content: dict[str, Any]) -> str:
    verify_checksum(path, content, REMEDY)
    return "its checksum is right"


def _plan_hash(plan: Plan) -> str:
    made = plan.recomputed_hash()
    if plan.plan_hash != made:
        raise Wrong(f"wrong hash: the plan hash is {short(plan.plan_hash)}, recomputed {short(made)}")
    if plan.budget != plan.settings.budget:
        raise Wrong(f"budget is {plan.budget}, in its settings {plan.settings.budget}")
    return f"hash {short(made)}"


def _suite(plan: Plan, expected: Expected) -> str:
    stated, suite, test = plan.suite, expected.suite, expected.test
    if {stated.hash, plan.settings.suite_hash} != {suite.hash}:
        raise Wrong(f"wrong hash: the suite hash is {short(stated.hash)}, that of its content {short(suite.hash)}")
    for name, version in ((stated.name, stated.version), (plan.settings.suite, plan.settings.suite_version)):
        if (name, version) != (suite.name, suite.version):
            raise Wrong(f"called {name} {version}, its content is {suite.name} {suite.version}")
    if plan.test_hash != test.hash:
        raise Wrong(
            f"other test set: the test hash is {short(plan.test_hash)}, that of the suite's test problems "
            f"{short(test.hash)}"
        )
    if stated.summary != suite.summary:
        raise Wrong(f"its summary is '{stated.summary}', that of its content '{suite.summary}'")
    if plan.strata != strata_of(test):
        raise Wrong("its strata, or how many problems they have, are not those of its content")
    shown = f"{suite.name} {suite.version}, hash {short(suite.hash)}"
    if suite.name not in suite_names():
        return f"{shown}: no suite of the project, so that its content is for the reader to judge"
    genuine = load_suite(suite.name)
    if genuine.version != suite.version:
        return f"{shown}: this program has version {genuine.version}"
    if genuine.hash != suite.hash:
        raise Wrong(
            f"not the genuine suite: {suite.name} {suite.version} has hash {short(genuine.hash)} in this program, "
            f"{short(suite.hash)} in the run"
        )
    return f"{shown}: the project's own"


def _seeds(plan: Plan) -> Iterator[Check]:
    """Whoever runs ten seeds and shows the best three has other ones than the first three."""
    if sorted(plan.seeds) != list(range(len(plan.seeds))):
        shown = ", ".join(map(str, plan.seeds))
        yield Check(
            check="seeds", cell="", ok=None, detail=f"the seeds are {shown}: ask why not the first ones from 0 on"
        )


# --- cells ------------------------------------------------------------------------------------------------------------


def files(cell: Cell) -> str:
    """The files of the cell are those that the record has the SHA-256 of."""
    listed = [name for name in cell.record.files if cell.published or name != WEIGHTS]
    verify_files(cell.directory, cell.record, listed)
    paths = [path for path in cell.directory.rglob("[!.]*") if path.is_file() and not path.match(CHECKPOINTS)]
    names = {path.relative_to(cell.directory).as_posix() for path in paths}
    if unknown := sorted(names - cell.record.files.keys() - {RECORD}):
        raise Wrong(f"the record does not list {', '.join(unknown)}")
    return f"SHA-256 of {', '.join(sorted(listed)) or 'no file'}"


CHECKS: dict[str, Callable[[Cell], str]] = {
    "files": files,
    "settings": training.settings,
    "parameters": training.parameters,
    "budget": training.budget,
    "training data": training.training_data,
    "no peeking": training.no_peeking,
    "test set": answers.questions,
    "answers": answers.answers,
    "weights": answers.weights,
    "answers again": answers.answers_again,
    "learning curve": training.learning_curve,
    "times": training.times,
}
"""What is checked of every finished cell."""


def audit(cell: Cell) -> Iterator[Check]:
    """All checks of a cell; a failed cell has fewer, since it claims less."""
    checks = CHECKS if cell.record.done else {name: CHECKS[name] for name in ("files", "settings")}
    for name, function in checks.items():
        yield outcome(name, cell.name, partial(function, cell))


def _folders(directory: Path, plan: Plan) -> str:
    planned = {cell_directory(directory, name, seed) for name in plan.architectures for seed in plan.seeds}
    there = {path.parent for path in directory.glob(f"cells/*/{RECORD}")}
    if strangers := sorted(path.name for path in there - planned):
        raise Wrong(f"cells that are not in the plan: {', '.join(strangers)}")
    return f"{len(there)} of the {len(planned)} planned have a record"


def _read_record(folder: Path, architecture: str, seed: int) -> tuple[Record | None, Check]:
    found: list[Record] = []

    def read() -> str:
        record = read_record(folder)
        if (record.architecture, record.seed) != (architecture, seed):
            raise Wrong(f"{folder / RECORD}: is of {record.architecture}, seed {record.seed}: in another cell's folder")
        if architecture not in architectures.all_architectures():  # the rest needs its class
            raise Wrong(f"architecture '{architecture}' is unknown here; name its module with --plugin")
        found.append(record)
        return "its checksum is right"

    check = outcome("record", f"{architecture}-s{seed}", read)
    return (found[0] if found else None), check


def _plugin(name: str, record: Record) -> Check | None:
    """Whether the plug-in of a cell is the one of the run; None where an architecture is the project's own."""
    cls = architectures.get(record.architecture)
    if record.plugin_hash is None:
        unknown = "its source is not recorded, so that nobody knows whether it is the one of the run"
        return Check(check="plug-in", cell=name, ok=None, detail=unknown) if plugin_hash(cls) else None

    def same() -> str:
        try:
            check_plugin(cls, record.plugin_hash)
        except ValueError as error:
            raise Wrong(str(error)) from None
        return f"its source has SHA-256 {short(record.plugin_hash)}, as in the run"

    return outcome("plug-in", name, same)


def _conditions(cell: Cell) -> Iterator[Check]:
    """A note of how this machine and its software differ from those of the record."""
    if differences := _differences(cell.record):
        yield Check(check="versions", cell=cell.name, ok=None, detail=f"made under other conditions: {differences}")


def _differences(record: Record) -> str:
    here = machine.versions() | {key: str(value) for key, value in machine.description().items()}
    there = record.versions | {key: str(value) for key, value in record.machine.items()}
    for name in machine.RECORDED_IF_USED:  # imported here for another cell
        if name not in there:
            here.pop(name, None)
    return ", ".join(f"{key} {there.get(key)}, here {value}" for key, value in here.items() if there.get(key) != value)


# --- tables -----------------------------------------------------------------------------------------------------------


def _tables(
    directory: Path, plan: Plan, expected: Expected, cells: list[Cell], unreadable: set[tuple[str, int]]
) -> Iterator[Check]:
    """cells.csv, results.csv and baselines.csv, against what the records and predictions give."""

    def scored() -> pd.DataFrame:
        return results_frame({(c.record.architecture, c.record.seed): c.predictions for c in cells if c.record.done})

    if cells or (directory / CELLS).exists():  # else nothing has ended yet
        records = [cell.record for cell in cells]
        yield outcome(CELLS, "", lambda: _table(directory / CELLS, cells_frame(plan, records), unreadable))
    if cells or (directory / RESULTS).exists():
        yield outcome(RESULTS, "", lambda: _table(directory / RESULTS, scored(), unreadable))
    if not (directory / BASELINES).exists():
        yield Check(check=BASELINES, cell="", ok=None, detail="is not there yet: it is written at the end of a run")
        return

    def of_baselines() -> str:
        seeds = plan.seeds
        if len(cells) < len(plan.architectures) * len(seeds):  # those of added seeds are written at the end of a run
            there = set(pd.read_csv(directory / BASELINES, usecols=["seed"])["seed"])
            seeds = [seed for seed in seeds if seed in there]
        frame = baseline_frame(expected.suite, seeds, plan.settings.training_problems)
        return _table(directory / BASELINES, frame, set())

    yield outcome(BASELINES, "", of_baselines)


def _table(path: Path, expected: pd.DataFrame, unreadable: set[tuple[str, int]]) -> str:
    """Compares a file with a frame, line by line; lines of cells that cannot be read are left out."""
    if not path.is_file():
        raise Wrong(f"{path}: the file is missing; `python -m bench report` writes it")
    made = expected.to_csv(index=False, lineterminator="\n").splitlines()
    left_out = tuple(f"{architecture},{seed}," for architecture, seed in unreadable)
    found = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(left_out or "\n")]
    there = set(_cells_of(found))
    if absent := [cell for cell in _cells_of(made) if cell not in there]:
        command = "run" if path.name == BASELINES else "report"
        raise Wrong(f"{path.name} has no row of {', '.join(absent)}; `python -m bench {command}` writes it anew")
    for number, (one, other) in enumerate(zip(found, made, strict=False)):
        if one != other:
            raise Wrong(f"edited figure: {path.name} has '{one}', recomputed '{other}' (row {number})")
    if len(found) != len(made):
        raise Wrong(f"{path.name} has {len(found) - 1:,} rows, recomputed {len(made) - 1:,}")
    return f"{len(made) - 1:,} rows, recomputed"


def _cells_of(lines: list[str]) -> list[str]:
    """'lstm seed 0' and so on, of which a table has rows, in its order."""
    return list(dict.fromkeys(" seed ".join(line.split(",", 2)[:2]) for line in lines[1:]))


# --- training again ---------------------------------------------------------------------------------------------------


@dataclass
class _Alone:
    """One cell, whatever it reports."""

    cell: PlannedCell

    def begin(self) -> tuple[PlannedCell, Job]:
        return self.cell, run_cell

    def event(self, event: dict[str, Any]) -> bool:
        return True

    def end(self, exit_code: int | None, why: str = "") -> None:
        pass  # its record tells


def _train_again(
    cell: Cell, plan: Plan, done: list[Cell], plugins: tuple[str, ...], model_at: Path | None
) -> Iterator[Check]:
    """Trains a cell again, in a folder of its own that is thrown away, and compares data, answers and weights."""
    record, entries = cell.record, dict(plan.entries)
    if model_at is not None and "model" in cell.planned.config:
        moved = cell.planned.config | {"model": str(model_at)}
        entries[record.architecture] = cell.planned.model_copy(update={"config": moved})
    mine = plan.model_copy(update={"plugins": list(plugins), "entries": entries})
    with tempfile.TemporaryDirectory() as folder:
        run_tasks([_Alone(PlannedCell(mine, record.architecture, record.seed, Path(folder)))])
        again = read_record(Path(folder)) if (Path(folder) / RECORD).exists() else None
    if again is None or not again.done:
        reason = again.reason if again else "its process ended without a record"
        yield Check(check="trained again", cell=cell.name, ok=False, detail=f"done in the run, not here: {reason}")
        return
    yield outcome("trained again", cell.name, lambda: _compare(cell, again, done))


def _compare(cell: Cell, again: Record, done: list[Cell]) -> str:
    record = cell.record
    by_the_clock = parse_budget(record.budget, "budget").unit == "seconds"
    names = ["test_hash", "validation_hash", "parameters"]
    for name in names if by_the_clock else [*names, "data_hash", "flops", "optimizer_flops"]:
        if getattr(record, name) != getattr(again, name):
            raise Wrong(f"{name} is {getattr(record, name)} in the run, {getattr(again, name)} trained again")
    assert record.exact_match is not None
    assert again.exact_match is not None
    shown = f"exact match {100 * record.exact_match:.1f} % in the run, {100 * again.exact_match:.1f} % trained again"
    shown += f"; {record.train_seconds:.1f} s and {again.train_seconds:.1f} s"
    equal = all(record.files.get(name) == again.files[name] for name in (PREDICTIONS, WEIGHTS))
    if equal:
        return f"the same answers and weights to the last byte; {shown}"
    differences = _differences(record)
    by_chance = not record.machine.get("deterministic", True)
    if not (differences or by_the_clock or by_chance):
        raise Wrong(f"other weights or answers, though machine, threads and versions are the same; {shown}")
    scores = [c.record.exact_match for c in done if c.record.architecture == record.architecture]
    spread = stdev(score for score in scores if score is not None) if len(scores) > 1 else 0.0
    tolerance = max(LEAST_TOLERANCE, 3 * spread)
    clock, chance = "the clock decides how far a budget of seconds goes", "its device gives other bits each time"
    why = differences or (chance if by_chance else clock)
    text = f"not the same bytes ({why}); {shown}, and {100 * tolerance:.0f} points are allowed"
    if abs(record.exact_match - again.exact_match) > tolerance:
        raise Wrong(text)
    return text
