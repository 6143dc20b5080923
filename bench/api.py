"""arithbench from Python: train, load, read, compare and ask, in a notebook or a script.

`import bench` gives `bench.run`, `bench.load`, `bench.suites` and `bench.architectures`, and `bench.choose`
(`bench.choosing`); the command line calls the same functions. Whatever a user did wrong is raised as `bench.UserError`,
one line each.
"""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import pandas as pd
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from bench.asking.expression import ask, read_problem
from bench.asking.models import trained_models
from bench.child import start_server
from bench.datasets.suites import described
from bench.errors import UserError, suggest, user_errors
from bench.planning.amounts import parse_budget, seed_list, short_time
from bench.planning.contract import refuse_broken
from bench.planning.decide import cells_at_once, decide, default_directory, left_out_lines
from bench.planning.options import INLINE, ClusterOptions, RunOptions, command_of
from bench.planning.settings import field_names
from bench.results.records.collect import cells_frame, results_frame, stacked
from bench.results.records.plan import Plan, first_mistake
from bench.results.records.record import RECORD, Record
from bench.results.records.run import cell_directory, open_run
from bench.results.report.contents import contents
from bench.results.report.terminal import text
from bench.results.report.write import FILE_NAMES, write_report
from bench.results.statistics.comparison import Comparison, compare
from bench.results.statistics.scores import Scores
from bench.running.cluster import MOST_AT_ONCE, Cluster, connected, for_cluster, foresee
from bench.running.engine import Interrupted, run_plan
from bench.running.progress import ProgressView
from bench.running.run_folder import occupied
from bench.running.tracking import check_trackers, tracked
from bench.running.workers import children

Options = TypeVar("Options", RunOptions, ClusterOptions)


class Run:
    """A run on disk: what each cell learnt and answered, as pandas frames whose columns are named as in the files.

    Raises `UserError` where a file is missing, or is not the one that was written.
    """

    def __init__(self, directory: str | Path) -> None:
        with user_errors():
            self._folder = open_run(Path(directory))
            for broken in self._folder.broken.values():
                raise broken
        self.directory = self._folder.directory
        self.plan: Plan = self._folder.plan
        """run.json: everything that was decided before anything trained"""

    def __repr__(self) -> str:
        done = sum(record.done for record in self._folder.records)
        return f"<Run {self.directory}: {done} of {len(self.plan.cells)} cells done>"

    @cached_property
    def cells(self) -> pd.DataFrame:
        """A row a cell (architecture x seed) that ended: sizes, times, scores; the columns of cells.csv."""
        return cells_frame(self.plan, self._folder.records).convert_dtypes()

    @cached_property
    def results(self) -> pd.DataFrame:
        """A row a cell and slice: right answers of problems asked; the columns of results.csv."""
        return results_frame(self._predictions)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """A row a validation of a cell while it trained; the columns of curve.csv behind architecture and seed."""
        return stacked(self._of_done(self._folder.curve))

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """A row a cell and problem; the columns of predictions.csv.gz behind architecture and seed."""
        return stacked(self._predictions)

    @cached_property
    def _predictions(self) -> dict[tuple[str, int], pd.DataFrame]:
        return self._of_done(self._folder.predictions)

    def _of_done(self, read: Callable[[Record], pd.DataFrame]) -> dict[tuple[str, int], pd.DataFrame]:
        return {(record.architecture, record.seed): read(record) for record in self._folder.records if record.done}

    def compare(self, one: str, other: str) -> Comparison:
        """Two architectures over the seeds that both have: `.frame` has a row a slice, `.sentences` say it in words.

        Raises:
            UserError: one of them has no finished cell, or they have no seed in common.
        """
        with user_errors():
            return compare(Scores(self._folder), one, other)

    def text(self) -> str:
        """All tables, as a terminal shows them."""
        return text(contents([self._folder]))

    def report(self, *formats: str, out: str | Path | None = None) -> list[Path]:
        """Write the tables and charts; the files' paths.

        formats: of text, html, md, csv and latex, html if none is named. out: a folder, that of the run if none.
        """
        for name in formats:
            if name not in FILE_NAMES:
                raise UserError(f"format '{name}': unknown; {suggest(name, list(FILE_NAMES))}")
        report, folder = contents([self._folder]), Path(out or self.directory)
        paths = write_report(report, formats or ("html",), folder)
        if "html" in formats or not formats:
            from bench.results.report.html import write_pictures  # slow to import

            paths += write_pictures(report, folder)
        return paths

    def ask(
        self,
        expression: str,
        arch: Sequence[str] | None = None,
        seeds: Sequence[int] | None = None,
        model_at: str | Path | None = None,
    ) -> pd.DataFrame:
        """One answer of each trained model, beside the right one: a row a model.

        expression: such as "-12*7" or "What is 3 plus 4?". arch: some architectures of the run, all if None. seeds: of
        each architecture, the lowest finished one if None. A module that the plan names is not imported for it, since a
        run may come from anywhere: `bench.architectures.load_plugin` does that. model_at: where the model lies that a
        pretrained one was trained from, if not where its command said.

        Raises:
            UserError: the expression cannot be read or written, or there is no such model.
        """
        names = None if arch is None else tuple([arch] if isinstance(arch, str) else arch)
        place = None if model_at is None else Path(model_at)
        models = trained_models(self.directory, names, "lowest" if seeds is None else tuple(seeds), place)
        return pd.DataFrame([asdict(reply) for reply in ask(models, read_problem(expression))])


def run(arch: str | Sequence[str], suite: str = "quick", *, quiet: bool = False, **options: Any) -> Run:
    """Train architectures under one budget; the same call again continues an interrupted run and skips what is done.

    arch: names, or "all". options: those of the command `run` under their names there (`python -m bench run --help`),
    with Python's values: seeds=3 or [0, 4], budget="examples=300k", set={"lr": 0.01}, out="runs/mine". quiet: print
    nothing. The folder gets the page with charts, report.html.

    Raises:
        UserError: an option is unknown, impossible, or at odds with another, or the folder holds another run.
        KeyboardInterrupt: by the user; what is done is kept.
    """
    machines = {name: options.pop(name) for name in field_names(ClusterOptions) if name in options}
    chosen, cluster = options_of({"arch": arch, "suite": suite} | options), cluster_options_of(machines)
    screen = Console(quiet=quiet, highlight=False, markup=False)
    try:
        directory, _ = carry_out(chosen, command_of(chosen, cluster), screen, cluster)
        write_report(contents([open_run(directory)]), ("html", "md"), directory)
    except Interrupted:
        raise KeyboardInterrupt("what is done is kept; the same call goes on from the last checkpoints") from None
    except ValueError as error:
        raise UserError(str(error)) from None
    return Run(directory)


def load(directory: str | Path) -> Run:
    """A run from its folder. Raises UserError where it is none, or one of its files is not the one that was written."""
    return Run(directory)


def suites() -> pd.DataFrame:
    """The suites that come with the project, a row each."""
    return pd.DataFrame(described())


def carry_out(
    options: RunOptions,
    command: str,
    screen: Console,
    cluster: ClusterOptions = INLINE,
    *,
    retry_failed: bool = False,
    checkpoint_seconds: float | None = None,
    join: bool = False,
    trackers: tuple[str, ...] = (),
) -> tuple[Path, bool]:
    """Decide, train and evaluate; the run's folder, and whether all of its cells are done.

    command: what does the same in a terminal; run.json keeps it. screen: where progress goes. cluster: on which
    machines cells train.

    Raises:
        UserError: an option cannot be, an architecture breaks its contract, or the folder holds another run.
        Interrupted: by the user; what is done is kept.
    """
    check_trackers(trackers)
    elsewhere = cluster.engine == "ray"
    options = for_cluster(options, cluster)
    if elsewhere and join:
        raise UserError("--join: is for --engine inline; one process runs all cells of a cluster")
    if not elsewhere:
        start_server()  # it imports torch while this process plans
    plan = decide(options, command, elsewhere)
    directory = options.out or default_directory(plan)
    left = [cell for cell in plan.cells if retry_failed or not (cell_directory(directory, *cell) / RECORD).exists()]
    refuse_broken(plan, dict.fromkeys(name for name, _ in left))
    about = f"{plan.suite.name}: {len(plan.entries)} architectures x {len(plan.seeds)} seeds, {plan.budget} each"
    at_once = MOST_AT_ONCE if elsewhere else cells_at_once(options, plan.settings.device, parse_budget(plan.budget))
    if elsewhere and options.cells_at_once is not None:
        at_once = options.cells_at_once
    with (
        (
            connected(cluster, plan.settings.threads)
            if elsewhere
            else nullcontext(children(plan.settings.device, at_once))
        ) as workers,
        occupied(plan, directory, join),
        ProgressView(screen, len(plan.cells), len(plan.cells) - len(left)) as view,
        tracked(view, trackers if left else (), plan, directory) as watcher,
    ):
        for line in [f"{about}; folder {directory}", *left_out_lines(options)]:
            screen.print(line, soft_wrap=True)
        foreseen = None
        if isinstance(workers, Cluster) and left and plan.settings.device == "cpu":
            foreseen = foresee(plan, left, min(at_once, max(1, workers.places())))
            foreseen.write(directory)
            of = f"{foreseen.cells} cells on {foreseen.workers} workers, the longest first"
            screen.print(f"about {short_time(foreseen.seconds)}: {of}", soft_wrap=True)
        begun = time.monotonic()
        if trackers and not left:
            screen.print(f"--track {','.join(trackers)}: writes nothing, since all cells have ended", soft_wrap=True)
        finished = run_plan(
            plan,
            directory,
            watcher,
            retry_failed=retry_failed,
            at_once=at_once,
            checkpoint_seconds=checkpoint_seconds,
            workers=workers,
            seconds=None if foreseen is None else foreseen.seconds_of_a_cell,
        )
        if foreseen is not None:
            took = time.monotonic() - begun
            foreseen.write(directory, took)
            screen.print(f"foreseen {short_time(foreseen.seconds)}, took {short_time(took)}", soft_wrap=True)
    return directory, len(finished) == len(plan.cells) and all(record.done for record in finished)


def options_of(values: dict[str, Any]) -> RunOptions:
    """The options of `run` from Python's values. Raises UserError where one is unknown or of another kind."""
    hints = get_type_hints(RunOptions)
    known = [*hints, *field_names(ClusterOptions)]
    for name in values:
        if name not in hints:
            raise UserError(f"{name}: no option of run has that name; {suggest(name, known)}")
    return _validated(RunOptions, {name: _as_typed(name, value, hints[name]) for name, value in values.items()})


def cluster_options_of(values: dict[str, Any]) -> ClusterOptions:
    """The same for those that say on which machines cells train; resources of a cell are a dictionary, or JSON."""
    resources = values.get("cell_resources")
    if isinstance(resources, dict):
        values = values | {"cell_resources": json.dumps(resources)}
    return _validated(ClusterOptions, values)


def _validated(cls: type[Options], values: dict[str, Any]) -> Options:
    try:
        return TypeAdapter(cls).validate_python(values)
    except ValidationError as error:
        raise UserError(f"the options: {first_mistake(error)}") from None


def _as_typed(name: str, value: Any, hint: Any) -> Any:
    """A value as a person types it behind its flag, where the option is a text."""
    if isinstance(value, dict):
        return tuple(f"{key}={each}" for key, each in value.items())
    if hint not in (str, str | None) or value is None:
        return value
    if isinstance(value, list | tuple | range):
        return seed_list(value) if name == "seeds" else ",".join(map(str, value))
    return str(value)
