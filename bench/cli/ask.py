"""`ask`: one expression, asked of each trained model of a run."""

from typing import Annotated

from cyclopts import Parameter

from bench.cli.parameters import ArchsOfRun, ModelAt, PluginOfRun, RunDirectory, SeedsOfRun


def ask_command(
    run: RunDirectory,
    /,
    *expression: Annotated[str, Parameter(allow_leading_hyphen=True)],
    arch: ArchsOfRun = None,
    seed: SeedsOfRun = None,
    plugin: PluginOfRun = None,
    model_at: ModelAt = None,
    json: bool = False,
) -> None:
    """One answer from each trained model of a run, beside the right one.

    Right is an answer whose every symbol is right, whatever the workings before it. Confidence is the product of the
    probabilities of all symbols that a model wrote, workings and end token among them. A masked encoder has no such
    product: there it is the pseudo-likelihood, each symbol masked alone.

    Parameters
    ----------
    expression
        One operation on two numbers: "-12 * 7", "\\frac{12}{5}", "What is 3 plus 4?".
    json
        One JSON document on standard output: a list of answers.
    """
    from dataclasses import asdict

    from bench.asking.expression import ask, read_problem
    from bench.asking.models import trained_models
    from bench.cli.output import console, print_json
    from bench.datasets.problem_files import shown
    from bench.errors import UserError
    from bench.planning.amounts import parse_chosen_seeds, parse_names
    from bench.plugins import load_plugins
    from bench.results.report.tables.replies import reply_table
    from bench.results.report.terminal import print_tables

    if len(expression) != 1:
        given = f'"{shown(" ".join(expression))}"' if expression else 'such as "-12 * 7"'
        raise UserError(f"EXPRESSION is one argument: put the expression in quotes, {given}")
    names = None if arch is None else parse_names(arch, "--arch")
    seeds = "lowest" if seed is None else parse_chosen_seeds(seed)
    load_plugins(plugin)
    problem = read_problem(expression[0])
    models = trained_models(run, names, seeds, model_at)
    ask(models, problem)  # the first answer in a process pays for waking the machine, which says nothing of the model
    replies = ask(models, problem)
    if json:
        print_json([asdict(reply) for reply in replies])
        return
    print_tables(console(), [], [reply_table(replies)])
