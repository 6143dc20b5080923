"""`run`: train, evaluate, print the tables."""

from typing import Annotated

from cyclopts import Parameter

from bench.planning.options import RunOptions


def run_command(
    options: RunOptions,
    *,
    retry_failed: Annotated[bool, Parameter(negative="")] = False,
    checkpoint_every: float | None = None,
    join: Annotated[bool, Parameter(negative="")] = False,
    track: str | None = None,
) -> int:
    """Train architectures under one budget and print the tables.

    The same command again continues an interrupted run and skips what is done. Into an explicit --out, more
    architectures and seeds may be added.

    Parameters
    ----------
    retry_failed
        Run cells again that failed.
    checkpoint_every
        Seconds of training between two checkpoints, from which an interrupted cell goes on. Default: 20, or more where
        they would take over 2 % of the time.
    join
        Work beside another process on the same folder, on cells that it does not work on.
    track
        Show curves and figures while the run goes on, in a folder of the run: tensorboard, trackio, or both.
    """
    import shlex
    import sys

    from bench.cli.output import console
    from bench.errors import UserError
    from bench.planning.amounts import parse_budget, parse_names
    from bench.planning.decide import cells_at_once, decide, default_directory, left_out_lines
    from bench.results.records.files import BadFile
    from bench.results.records.run import open_run
    from bench.results.report.contents import contents
    from bench.results.report.terminal import print_report
    from bench.results.report.write import write_report
    from bench.results.statistics.comparable import NotComparable
    from bench.running.engine import Interrupted, run_plan
    from bench.running.progress import ProgressView
    from bench.running.run_folder import occupied
    from bench.running.tracking import check_trackers, tracked

    if checkpoint_every is not None and not 0 <= checkpoint_every < float("inf"):
        raise UserError(f"--checkpoint-every {checkpoint_every}: expected seconds from 0 on")
    trackers = () if track is None else parse_names(track, "--track")
    check_trackers(trackers)
    plan = decide(options, "python -m bench " + shlex.join(sys.argv[1:]))
    directory = options.out or default_directory(plan)
    screen = console()
    cells = len(plan.cells)
    about = f"{plan.suite.name}: {len(plan.entries)} architectures x {len(plan.seeds)} seeds, {plan.budget} each"
    try:
        with (
            occupied(plan, directory, join),
            ProgressView(screen, cells) as view,
            tracked(view, trackers, plan, directory) as watcher,
        ):
            for line in [f"{about}; folder {directory}", *left_out_lines(options)]:
                screen.print(line, soft_wrap=True)
            finished = run_plan(
                plan,
                directory,
                watcher,
                retry_failed=retry_failed,
                at_once=cells_at_once(options, plan.settings.device, parse_budget(plan.budget)),
                checkpoint_seconds=checkpoint_every,
            )
        report = contents([open_run(directory)])
        try:
            write_report(report, ("html", "md"), directory)
        finally:  # the disk may be full
            print_report(report, screen)
    except Interrupted:
        print("bench: interrupted; the same command goes on from the last checkpoints", file=sys.stderr)
        return 130
    except (BadFile, NotComparable) as error:
        raise UserError(str(error)) from None
    return 0 if len(finished) == cells and all(record.done for record in finished) else 1
