"""arithbench from Python: train, load, read, compare and ask, in a notebook or a script.

`import bench` gives `bench.run`, `bench.load`, `bench.suites` and `bench.architectures`, and `bench.choose`
(`bench.choosing`); the command line calls the same functions. Whatever a user did wrong is raised as `bench.UserError`,
one line each.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, get_type_hints

import pandas as pd
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from bench.asking.expression import ask, read_problem
from bench.asking.models import trained_models
from bench.child import start_server
from bench.datasets.suites import described
from bench.errors import UserError, suggest, user_errors
from bench.planning.amounts import parse_budget, seed_list
from bench.planning.contract import refuse_broken
from bench.planning.decide import cells_at_once, decide, default_directory, left_out_lines
from bench.planning.options import RunOptions, command_of
from bench.results.records.collect import cells_frame, results_frame, stacked
from bench.results.records.plan import Plan, first_mistake
from bench.results.records.record import RECORD, Record
from bench.results.records.run import cell_directory, open_run
from bench.results.report.contents import contents
from bench.results.report.terminal import text
from bench.results.report.write import FILE_NAMES, write_report
from bench.results.statistics.comparison import Comparison, compare
from bench.results.statistics.scores import Scores
from bench.running.engine import Interrupted, run_plan
from bench.running.progress import ProgressView
from bench.running.run_folder import occupied
from bench.running.tracking import check_trackers, tracked


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
    chosen = options_of({"arch": arch, "suite": suite} | options)
    try:
        directory, _ = carry_out(chosen, command_of(chosen), Console(quiet=quiet, highlight=False, markup=False))
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
    *,
    retry_failed: bool = False,
    checkpoint_seconds: float | None = None,
    join: bool = False,
    trackers: tuple[str, ...] = (),
) -> tuple[Path, bool]:
    """Decide, train and evaluate; the run's folder, and whether all of its cells are done.

    command: what does the same in a terminal; run.json keeps it. screen: where progress goes.

    Raises:
        UserError: an option cannot be, an architecture breaks its contract, or the folder holds another run.
        Interrupted: by the user; what is done is kept.
    """
    check_trackers(trackers)
    start_server()  # it imports torch while this process plans
    plan = decide(options, command)
    directory = options.out or default_directory(plan)
    left = [cell for cell in plan.cells if retry_failed or not (cell_directory(directory, *cell) / RECORD).exists()]
    refuse_broken(plan, dict.fromkeys(name for name, _ in left))
    about = f"{plan.suite.name}: {len(plan.entries)} architectures x {len(plan.seeds)} seeds, {plan.budget} each"
    with (
        occupied(plan, directory, join),
        ProgressView(screen, len(plan.cells), len(plan.cells) - len(left)) as view,
        tracked(view, trackers if left else (), plan, directory) as watcher,
    ):
        for line in [f"{about}; folder {directory}", *left_out_lines(options)]:
            screen.print(line, soft_wrap=True)
        if trackers and not left:
            screen.print(f"--track {','.join(trackers)}: writes nothing, since all cells have ended", soft_wrap=True)
        finished = run_plan(
            plan,
            directory,
            watcher,
            retry_failed=retry_failed,
            at_once=cells_at_once(options, plan.settings.device, parse_budget(plan.budget)),
            checkpoint_seconds=checkpoint_seconds,
        )
    return directory, len(finished) == len(plan.cells) and all(record.done for record in finished)


def options_of(values: dict[str, Any]) -> RunOptions:
    """The options of `run` from Python's values. Raises UserError where one is unknown or of another kind."""
    hints = get_type_hints(RunOptions)
    for name in values:
        if name not in hints:
            raise UserError(f"{name}: no option of run has that name; {suggest(name, list(hints))}")
    typed = {name: _as_typed(name, value, hints[name]) for name, value in values.items()}
    try:
        return TypeAdapter(RunOptions).validate_python(typed)
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
