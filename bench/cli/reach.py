"""`reach`: how many digits each architecture learns under a budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.planning.options import ReachOptions

if TYPE_CHECKING:
    from bench.results.records.record import Record
    from bench.running.progress import ProgressView


def reach_command(options: ReachOptions, *, json: bool = False) -> int:
    """Find the most digits of which each architecture answers 99 % right after training under one budget.

    Digits are doubled until a seed misses 99 %, then the interval is halved. Each trial is a cell of a run, on disk
    like any other: `report` and `verify` take its folder. The same command again continues; --most, --tries and --arch
    may grow. Exit status: 0 all is known, or as much as --most and --tries allow; 130 interrupted.

    Parameters
    ----------
    json
        One JSON document on standard output at the end; progress goes to standard error.
    """
    from bench.child import start_server
    from bench.planning.words import refuse_wrong_words

    refuse_wrong_words(options)
    start_server()  # it imports torch while this process does
    import sys

    from bench.cli.output import console, print_json
    from bench.reaching.search import decide_reach, run_reach
    from bench.results.report.charts.reach import reach_curves
    from bench.results.report.html import write_picture
    from bench.results.report.tables.reach import reach_table
    from bench.results.report.terminal import print_tables
    from bench.running.engine import Interrupted
    from bench.running.progress import ProgressView

    search = decide_reach(options)
    screen = console(errors=json)
    shared = search.shared
    screen.print(
        f"reach of {len(search.names)} architectures: {shared['operation']} with workings {shared['workings']}, "
        f"{shared['budget']} a cell, {shared['seeds']} seeds; folder {search.directory}",
        soft_wrap=True,
    )
    most = len(search.names) * options.seeds * options.tries
    try:
        with ProgressView(screen, most, whole=False) as view:
            watchers: set[str] = set()
            trials = run_reach(search, lambda digits: _Watcher(view, digits, watchers))
    except Interrupted:
        print("bench: interrupted; the same command goes on from the last checkpoints", file=sys.stderr)
        return 130
    table = reach_table(trials, options.seeds)
    if json:
        print_json({"search": shared, "table": {name: _plain(row) for name, row in table.rows.items()}})
    else:
        print_tables(screen, [], [table])
    paths = write_picture(reach_curves(trials), search.directory / "reach")
    screen.print(f"chart:          {', '.join(map(str, paths))}", soft_wrap=True)
    example = search.directory / search.names[0] / "2"
    screen.print(f"every trial:    python -m bench report {example}, and so on", soft_wrap=True)
    return 0


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value.text if value.value is None else value.value for key, value in row.items()} | {
        "reach": row["reach"].text
    }


class _Watcher:
    """Progress of the trials with so many digits; what ended in an earlier round is not shown again."""

    def __init__(self, view: ProgressView, digits: int, ended: set[str]) -> None:
        self._view, self._digits, self._ended = view, digits, ended

    def start(self, architecture: str, seed: int) -> None:
        self._view.begin(self._name(architecture, seed))

    def event(self, architecture: str, seed: int, event: dict[str, Any]) -> None:
        self._view.tell(self._name(architecture, seed), event)

    def finish(self, record: Record) -> None:
        name = self._name(record.architecture, record.seed)
        if name not in self._ended:
            self._ended.add(name)
            right = "" if record.exact_match is None else f", {record.exact_match:.1%} of all {record.total:,} right"
            self._view.end(name, f"{record.status}{right}")

    def leave(self, architecture: str, seed: int) -> None:
        self._view.end(self._name(architecture, seed), "left to another process", ended=False)

    def _name(self, architecture: str, seed: int) -> str:
        return f"{architecture}, {self._digits} digits, seed {seed}"
