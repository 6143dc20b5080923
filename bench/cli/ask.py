"""`ask`: one expression, asked of each trained model of a run."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def ask_command(
    run: Path,
    expression: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    arch: str | None = None,
    seed: str | None = None,
    plugin: str | None = None,
    json: bool = False,
) -> None:
    """One answer from each trained model of a run, beside the right one.

    Right is an answer whose every symbol is right, whatever the workings before it. Confidence is the product of the
    probabilities of all symbols that a model wrote, workings and end token among them. A masked encoder has no such
    product: there it is the pseudo-likelihood, each symbol masked alone.

    Parameters
    ----------
    run
        Folder of the run.
    expression
        One operation on two numbers: "-12 * 7", "\\frac{12}{5}", "What is 3 plus 4?".
    arch
        Architectures of the run, separated by commas. Default: all.
    seed
        Seeds of the run (0 or 0,4), or all. Default: of each architecture the lowest that is finished.
    plugin
        Module(s) that register architectures of the run.
    json
        One JSON document on standard output: a list of answers.
    """
    from dataclasses import asdict

    from bench.asking.expression import ask, read_problem
    from bench.asking.models import trained_models
    from bench.cli.output import console, print_json
    from bench.planning.amounts import parse_chosen_seeds, parse_names
    from bench.planning.options import load_plugins
    from bench.results.report.tables.replies import reply_table
    from bench.results.report.terminal import print_tables

    names = None if arch is None else parse_names(arch, "--arch")
    seeds = "lowest" if seed is None else parse_chosen_seeds(seed)
    load_plugins(plugin)
    problem = read_problem(expression)
    models = trained_models(run, names, seeds)
    ask(models, problem)  # the first answer in a process pays for waking the machine, which says nothing of the model
    replies = ask(models, problem)
    if json:
        print_json([asdict(reply) for reply in replies])
        return
    print_tables(console(), [], [reply_table(replies)])
