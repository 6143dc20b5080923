"""`ask`: one expression, asked of each trained model of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from bench.asking import Reply
    from bench.results.entries import Table


def ask_command(
    run: Path,
    expression: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    arch: str | None = None,
    seed: str | None = None,
    plugin: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
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

    from bench.amounts import parse_chosen_seeds, parse_names
    from bench.asking import ask, read_problem
    from bench.cli.output import console, print_json
    from bench.results.terminal import print_tables
    from bench.trained import trained_models

    names = None if arch is None else parse_names(arch, "--arch")
    seeds = "lowest" if seed is None else parse_chosen_seeds(seed)
    plugins = parse_names(plugin, "--plugin") if plugin is not None else ()
    problem = read_problem(expression)
    models = trained_models(run, names, seeds, plugins)
    ask(models, problem)  # the first answer in a process pays for waking the machine, which says nothing of the model
    replies = ask(models, problem)
    if json:
        print_json([asdict(reply) for reply in replies])
        return
    print_tables(console(), [], [_table(replies)])


def _table(replies: list[Reply]) -> Table:
    from bench.results.entries import NO_VALUE, Entry, Table, number_entry

    asked = next(reply for reply in replies if not reply.reason)
    workings = asked.workings_probability is not None
    met = list(dict.fromkeys(reply.architecture for reply in replies if not reply.unseen))
    seen = "no model was trained on it" if not met else "it may have been trained on"
    if met and any(reply.unseen for reply in replies):  # whoever was pretrained
        seen = f"{', '.join(met)} may have met it before, no other model was trained on it"
    beyond = " but beyond the suite's patterns" if asked.unseen and asked.split == "train" else ""
    rows = []
    for reply in replies:
        answer = reply.answer or f"no number: {reply.raw.removeprefix(reply.workings) or 'nothing'}"
        figures = [reply.confidence and 100 * reply.confidence, reply.seconds and 1000 * reply.seconds]
        rows.append(
            [
                Entry(text=f"{reply.architecture} seed {reply.seed}"),
                *([Entry(text=reply.workings or NO_VALUE)] if workings else []),
                Entry(text=f"cannot be asked: it {reply.reason}" if reply.reason else answer),
                Entry(text=NO_VALUE if reply.reason else "right" if reply.right else "wrong"),
                *(number_entry(figure, decimals=1) for figure in figures),
            ]
        )
    return Table(
        title=f"{asked.expression} = {asked.expected}   ({asked.split} split{beyond}: {seen})",
        columns=["model", *(["workings"] if workings else []), "answer", "", "confidence %", "ms"],
        rows=rows,
        left=frozenset(range(3 + workings)),
    )
