"""`report`: tables and charts of runs, computed from their files."""

from pathlib import Path

FORMATS = ("text", "html", "md", "csv", "latex")


def report_command(
    run: Path,
    /,
    *runs: Path,
    format: str = "text",
    tables: str | None = None,
    out: Path | None = None,
    json: bool = False,
) -> int:
    """The tables and charts of one or several runs, computed from their files.

    Several runs are joined where their problems and versions agree, and shown one after another where not. A cell with
    a broken file is named and left out. Exit status: 0 no cell is broken, 1 one is.

    Parameters
    ----------
    run
        Folder of a run.
    runs
        Folders of more runs.
    format
        text, html, md, csv, latex, or several separated by commas.
    tables
        Keys of the tables to show, separated by commas, such as summary,operation; a wrong one lists all. Default: all.
    out
        Folder to write report.txt, report.html, ... into; with html every chart too, as SVG and PNG. Default: print.
    json
        One JSON document on standard output, with the unrounded numbers: in place of --format and --out.
    """
    import os
    from contextlib import suppress

    from bench.cli.output import console, name_broken, print_json
    from bench.errors import UserError, suggest, user_errors
    from bench.locks import TABLES_LOCK, Held, holding
    from bench.planning.amounts import parse_names
    from bench.results.records.collect import collect
    from bench.results.records.run import open_run
    from bench.results.report.contents import chosen, contents
    from bench.results.report.terminal import print_report
    from bench.results.report.write import document, render, write_report

    formats = parse_names(format, "--format")
    for name in formats:
        if name not in FORMATS:
            raise UserError(f"--format '{name}': unknown; {suggest(name, list(FORMATS))}")
    if json and (out is not None or formats != ("text",)):
        raise UserError("--json prints a document of its own; leave --format and --out away")
    with user_errors():
        opened = [open_run(path) for path in (run, *runs)]
        status = name_broken(opened)
        for one in opened:
            if not one.records:
                wrong = "no cell of this run can be used" if one.broken else "no cell of this run has ended yet"
                raise UserError(f"{one.directory}: {wrong}; run it first")
            if not one.broken and os.access(one.directory, os.W_OK):
                # A run that one may only read has tables too, and one that another process works on will have them.
                with suppress(Held, OSError), holding(one.directory / TABLES_LOCK):
                    collect(one.directory)
        report = contents(opened)
        if tables is not None:
            report = chosen(report, parse_names(tables, "--tables"))
        if json:
            print_json(document(report))
        elif out is None and formats == ("text",):
            print_report(report, console())
        elif out is None:
            for name in formats:
                print(render(report, name), end="")
        else:
            paths = write_report(report, list(formats), out)
            if "html" in formats:
                from bench.results.report.html import write_pictures

                paths += write_pictures(report, out)
            for path in paths:
                print(path)
    return status
