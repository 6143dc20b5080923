"""`report`: the tables of a run, computed from its files."""

from pathlib import Path

FORMATS = ("text", "md", "csv")


def report_command(run: Path, /, *, format: str = "text", out: Path | None = None) -> None:
    """The tables of a run, computed from its files.

    Parameters
    ----------
    run
        Folder of the run.
    format
        text, md, csv, or several separated by commas.
    out
        Folder to write report.txt, report.md, report.csv into. Default: print.
    """
    import os

    from bench.amounts import parse_names
    from bench.cli.output import console
    from bench.errors import UserError
    from bench.results import report
    from bench.results.collect import collect
    from bench.results.runs import open_run
    from bench.settings import suggest

    formats = parse_names(format, "--format")
    for name in formats:
        if name not in FORMATS:
            raise UserError(f"--format '{name}': unknown; {suggest(name, list(FORMATS))}")
    try:
        opened = open_run(run)
        if not opened.records:
            raise UserError(f"{run}: no cell of this run has ended yet; run it first")
        if os.access(run, os.W_OK):  # a run that one may only read has tables too
            collect(run)
        if out is None and formats == ("text",):
            report.print_report(opened, console())
        elif out is None:
            for name in formats:
                print(report.render(opened, name), end="")
        else:
            for path in report.write_report(opened, list(formats), out):
                print(path)
    except ValueError as error:
        raise UserError(str(error)) from None
