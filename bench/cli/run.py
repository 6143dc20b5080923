"""`run`: train, evaluate, say how it ended."""

from bench.planning.options import INLINE, ClusterOptions, RunOptions


def run_command(
    options: RunOptions,
    cluster: ClusterOptions = INLINE,
    *,
    retry_failed: bool = False,
    checkpoint_every: float | None = None,
    join: bool = False,
    track: str | None = None,
    quiet: bool = False,
    json: bool = False,
) -> int:
    """Train architectures under one budget, and say which is right most often.

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
    quiet
        Print nothing but what goes wrong.
    json
        One JSON document on standard output at the end, as `report --json` prints it; progress goes to standard error.
    """
    from bench.child import start_server
    from bench.planning.words import refuse_wrong_words

    refuse_wrong_words(options)
    if cluster.engine == "inline":
        start_server()  # it imports torch while this process does
    import shlex
    import sys

    from bench.api import carry_out
    from bench.cli.output import console, print_json
    from bench.errors import UserError
    from bench.planning.amounts import parse_names
    from bench.results.files import BadFile
    from bench.results.records.run import open_run
    from bench.results.report.contents import contents
    from bench.results.report.terminal import print_ending
    from bench.results.report.write import document, write_report
    from bench.results.statistics.comparable import NotComparable
    from bench.running.engine import Interrupted

    if checkpoint_every is not None and not 0 <= checkpoint_every < float("inf"):
        raise UserError(f"--checkpoint-every {checkpoint_every}: expected seconds from 0 on")
    if quiet and json:
        raise UserError("--quiet and --json: choose one, since --json prints a document")
    screen = console(errors=json, quiet=quiet)
    try:
        directory, complete = carry_out(
            options,
            "python -m bench " + shlex.join(sys.argv[1:]),
            screen,
            cluster,
            retry_failed=retry_failed,
            checkpoint_seconds=checkpoint_every,
            join=join,
            trackers=() if track is None else parse_names(track, "--track"),
        )
        report = contents([open_run(directory)])
        try:
            write_report(report, ("html", "md"), directory)
        finally:  # the disk may be full
            if json:
                print_json(document(report))
            else:
                print_ending(report, screen)
    except Interrupted:
        print("bench: interrupted; the same command goes on from the last checkpoints", file=sys.stderr)
        return 130
    except (BadFile, NotComparable) as error:
        raise UserError(str(error)) from None
    return 0 if complete else 1
