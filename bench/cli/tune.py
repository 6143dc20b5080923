"""`tune`: an equal search for the settings of each architecture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.planning.options import INLINE, ClusterOptions, TuneOptions

if TYPE_CHECKING:
    from bench.running.progress import ProgressView
    from bench.tuning.search import Search
    from bench.tuning.trials import Trial


def tune_command(
    options: TuneOptions,
    cluster: ClusterOptions = INLINE,
) -> int:
    """Search settings for each architecture: as many trials, one space, one budget, scored on validation.

    The same command again continues an interrupted search. Into a folder, more architectures, finalists and seeds of
    finals may be added, and more trials as long as it has no finals (--finalists 0).
    """
    from bench.child import start_server
    from bench.planning.words import refuse_wrong_words

    refuse_wrong_words(options)
    if cluster.engine == "inline":
        start_server()  # it imports torch while this process does
    import shlex
    import sys
    from contextlib import nullcontext
    from dataclasses import replace

    from bench.cli.output import console
    from bench.planning.amounts import parse_budget
    from bench.planning.decide import cells_at_once, left_out
    from bench.results.records.search import BEST, TRIALS
    from bench.running.cluster import MOST_AT_ONCE, connected, for_cluster
    from bench.running.engine import Interrupted
    from bench.running.progress import ProgressView
    from bench.running.workers import children
    from bench.tuning.folder import take_folder
    from bench.tuning.search import decide_search, run_options, run_search
    from bench.tuning.trials import ranked

    elsewhere = cluster.engine == "ray"
    meant = for_cluster(run_options(options), cluster)
    options = replace(options, device=meant.device, threads=meant.threads)
    search = decide_search(options, "python -m bench " + shlex.join(sys.argv[1:]), elsewhere)
    shared = search.shared
    for name in left_out(run_options(options)):
        print(f"bench: --arch all leaves out {name}, which does not start from random weights", file=sys.stderr)
    directory = options.out or search.directory
    take_folder(search, directory)
    screen = console()
    screen.print(
        f"{shared.suite.name}: {len(search.classes)} architectures x {search.trials} trials, "
        f"{shared.settings.budget} each, then {search.finalists} with {search.for_budget} and "
        f"{search.final_seeds} seeds; folder {directory}",
        soft_wrap=True,
    )
    try:
        if elsewhere:
            at_once = options.cells_at_once or MOST_AT_ONCE
        else:
            at_once = cells_at_once(meant, shared.settings.device, parse_budget(shared.settings.budget))
        trials = search.trials + search.finalists * search.final_seeds
        # How many trials are to come is not known: some designs have fewer, and those that ended are kept.
        threads, device = shared.settings.threads, shared.settings.device
        with (
            connected(cluster, threads) if elsewhere else nullcontext(children(device, at_once)) as workers,
            ProgressView(screen, len(search.classes) * trials, whole=False) as view,
        ):
            found = run_search(search, directory, _Watcher(view, screen.is_terminal), at_once, workers)
    except Interrupted:
        print("bench: interrupted; finished trials are kept, and the same command continues", file=sys.stderr)
        return 130
    _print_summary(search, found, directory)
    screen.print(f"files:          {directory / TRIALS}, {directory / BEST}", soft_wrap=True)
    screen.print(
        f"take them:      python -m bench run {shlex.join(_run_words(options, search, directory))}", soft_wrap=True
    )
    return 0 if all(ranked(trials) for trials in found.values()) else 1


def _run_words(options: TuneOptions, search: Search, directory: Path) -> list[str]:
    """The options of a run that the settings are tuned for."""
    from bench.results.records.search import BEST

    words = ["--arch", options.arch, "--suite", options.suite, "--set-file", str(directory / BEST)]
    words += ["--budget", str(search.for_budget), "--params", str(search.shared.settings.parameters)]
    for name in ("match", "training_problems", "precision", "device", "threads", "plugin"):
        if (value := getattr(options, name)) != getattr(TuneOptions, name):
            words += [f"--{name.replace('_', '-')}", str(value)]
    return words


class _Watcher:
    """A bar a trial in a terminal, a line a trial everywhere."""

    def __init__(self, view: ProgressView, live: bool) -> None:
        self._view, self._live = view, live

    def start(self, architecture: str, stage: str, number: int, seed: int) -> None:
        self._view.begin(_name(architecture, stage, number, seed))

    def event(self, architecture: str, stage: str, number: int, seed: int, event: dict[str, Any]) -> None:
        if self._live:
            self._view.tell(_name(architecture, stage, number, seed), event)

    def finish(self, trial: Trial) -> None:
        tail = trial.state if trial.score is None else f"{trial.state}, {trial.score:.1%} of {trial.total:,} right"
        tail += f" ({trial.reason})" if trial.reason else ""
        name = _name(trial.architecture, trial.stage, trial.number, trial.seed)
        self._view.end(name, f"{tail}: {_pairs(trial.settings)}")


def _name(architecture: str, stage: str, number: int, seed: int) -> str:
    return f"{architecture}, " + (f"trial {number}" if stage == "search" else f"final {number}, seed {seed}")


def _print_summary(search: Search, found: dict[str, list[Trial]], directory: Path) -> None:
    from bench.cli.output import console, print_listing
    from bench.results.records.search import read_search
    from bench.results.report.tables.search import search as table_of
    from bench.results.report.terminal import print_tables
    from bench.tuning.trials import FEWEST_FOR_IMPORTANCES, best_of, importances

    screen = console()
    print_tables(screen, [], [table_of(read_search(directory))])
    mattered = {cls.name: importances(search.spaces[cls.name], found[cls.name]) for cls in search.classes}
    names = list(dict.fromkeys(name for shares in mattered.values() for name in shares or ()))
    shown = {name: shares for name, shares in mattered.items() if shares is not None}
    shares_of = [
        {"setting": name, **{arch: _share(shares.get(name)) for arch, shares in shown.items()}} for name in names
    ]
    print_listing(
        "What mattered",
        shares_of,
        empty=f"fewer than {FEWEST_FOR_IMPORTANCES} trials of each, or too much alike, to say",
    )
    if shown:
        screen.print("Share of each setting in what sets the better half of the trials apart (PED-ANOVA, 2023).\n")
    for cls in search.classes:
        best = best_of(found[cls.name], cls.Config.depth_field)
        if best is None:
            text = "no trial was done, so there are no settings"
        elif not best.score:
            text = f"no trial had a right answer, so that the shallowest is kept: {_pairs(best.settings)}"
        else:
            text = f"{best.score:.1%} with {_pairs(best.settings)}"
        screen.print(f"{cls.name}: {text}", soft_wrap=True)


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _pairs(settings: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in settings.items())
