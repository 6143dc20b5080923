"""`verify`: recompute whatever can be recomputed of a run, from its folder alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.cli.parameters import ModelAt, PluginOfRun, RunDirectory

if TYPE_CHECKING:
    from bench.verifying.cell import Check

MOST_NAMED = 10
"""Failed checks that the last line names; each has a line of its own above."""


def verify_command(
    run: RunDirectory, /, *, rerun: int = 0, json: bool = False, plugin: PluginOfRun = None, model_at: ModelAt = None
) -> int:
    """Check a run without trusting it: recompute whatever can be recomputed, from its folder alone.

    Hashes of the training and test problems, parameters, FLOPs, every answer (by the weights that lie in the folder),
    every figure of cells.csv, results.csv and baselines.csv. What cannot be: times, memory, and the learning curve but
    for its end; where a run was published without weights of
    some cells, what needs them is noted as not published. report.html and
    report.md are not looked at: `report` makes them anew. Nothing is written into the folder. Exit status: 0 all checks
    passed, 1 one failed.

    Parameters
    ----------
    rerun
        Train so many of its cells again, chosen by lot, and compare.
    json
        One JSON document on standard output: the checks.
    """
    from dataclasses import asdict

    from bench.cli.output import console, print_json
    from bench.errors import UserError
    from bench.plugins import load_plugins
    from bench.verifying.run import verify_run

    if rerun < 0:
        raise UserError(f"--rerun {rerun}: expected a number of cells from 0 on")
    plugins = load_plugins(plugin)
    target = console()
    checks = []
    for check in verify_run(run, rerun, plugins, model_at):
        checks.append(check)
        if not json:
            target.print(_line(check), soft_wrap=True)
    if json:
        print_json([asdict(check) for check in checks])
    else:
        target.print(_summary(checks), soft_wrap=True)
    return int(any(check.ok is False for check in checks))


def _line(check: Check) -> str:
    word = {True: "ok", False: "FAILED", None: "note"}[check.ok]
    return f"{word:<6}  {check.cell or 'run'}  {check.check}: {check.detail}"


def _summary(checks: list[Check]) -> str:
    decided = [check for check in checks if check.ok is not None]
    failed = [check for check in decided if not check.ok]
    if not failed:
        missing = sum(check.check == "record" and check.ok is None for check in checks)
        lacking = f" Planned cells without a record: {missing}." if missing else ""
        if without := sum(check.check == "weights" and check.ok is None for check in checks):
            of_all = sum(check.check == "weights" for check in checks)
            lacking += (
                f" Not published: the weights of {without} of {of_all} cells, whose answers were not given again."
            )
        return (
            f"All {len(decided)} checks passed.{lacking} Times, memory and the way to the end of each learning curve "
            f"were not measured again: they are the maker's word."
        )
    names = ", ".join(f"{check.cell or 'run'} {check.check}" for check in failed[:MOST_NAMED])
    more = f" and {len(failed) - MOST_NAMED} more" if len(failed) > MOST_NAMED else ""
    return f"{len(failed)} of {len(decided)} checks failed: {names}{more}."
