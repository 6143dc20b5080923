"""`run`: train, evaluate, print the tables."""

from typing import Annotated

from cyclopts import Parameter

from bench.cli.options import RunOptions


def run_command(options: RunOptions, *, retry_failed: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Train architectures under one budget and print the tables.

    The same command again continues an interrupted run and skips what is done. Into an explicit --out, more
    architectures and seeds may be added.

    Parameters
    ----------
    retry_failed
        Run cells again that failed.
    """
    import shlex
    import sys

    from bench.cli.output import console
    from bench.engine import Interrupted, run_plan
    from bench.errors import UserError
    from bench.plan import resolve
    from bench.progress import ProgressView
    from bench.results.comparable import NotComparable
    from bench.results.contents import contents
    from bench.results.files import BadFile
    from bench.results.report import write_report
    from bench.results.runs import open_run
    from bench.results.terminal import print_report
    from bench.rundir import prepare

    plan = resolve(options)
    directory = options.out or plan.directory
    prepare(plan, directory, "python -m bench " + shlex.join(sys.argv[1:]))
    screen = console()
    cells = len(plan.entries) * len(plan.seeds)
    screen.print(
        f"{plan.suite.name}: {len(plan.entries)} architectures x {len(plan.seeds)} seeds, {plan.budget} each; "
        f"folder {directory}",
        highlight=False,
        soft_wrap=True,
    )
    try:
        with ProgressView(screen, cells) as view:
            finished = run_plan(plan, directory, view, retry_failed)
        report = contents([open_run(directory)])
        write_report(report, ("html", "md"), directory)
        print_report(report, screen)
    except Interrupted:
        print("bench: interrupted; finished cells are kept, and the same command continues", file=sys.stderr)
        return 130
    except (BadFile, NotComparable) as error:
        raise UserError(str(error)) from None
    return 0 if all(record.done for record in finished) else 1
