"""`eval`: the trained models of a run, asked problems from elsewhere."""

from pathlib import Path
from typing import Literal

from bench.cli.parameters import ArchsOfRun, JsonRows, ModelAt, PluginOfRun, RunDirectory


def eval_command(
    run: RunDirectory,
    /,
    *,
    data: Path,
    layout: Literal["csv", "json-lines", "json", "big-bench", "mathematics", "lines"] | None = None,
    arch: ArchsOfRun = None,
    seed: str = "all",
    plugin: PluginOfRun = None,
    model_at: ModelAt = None,
    json: JsonRows = False,
) -> None:
    """Ask the trained models of a run the problems of a file, and print the tables.

    The figure to quote is that of the test split: problems that, by the rule of magnitudes, no model was trained on.
    What cannot be read or asked is counted and listed. Nothing is written.

    Parameters
    ----------
    data
        File of problems, in one of the layouts below; may be gzipped.
    layout
        csv (columns a, op, b, answer; or question, answer), json-lines (such as GPT-3's: context, completion), json (a
        list of such objects), big-bench (examples: input, target_scores), mathematics (a line a question, the next its
        answer) or lines (12+7=19). Default: told by its content.
    seed
        Seeds of the run (0 or 0,4), or all.
    """
    from bench.asking.models import trained_models
    from bench.asking.problem_files import evaluate
    from bench.cli.scored import print_scored
    from bench.datasets.problem_files import read_outside
    from bench.errors import UserError
    from bench.planning.amounts import parse_chosen_seeds, parse_names
    from bench.plugins import load_plugins
    from bench.results.statistics.pretrained import is_pretrained

    names = None if arch is None else parse_names(arch, "--arch")
    seeds = parse_chosen_seeds(seed)
    load_plugins(plugin)
    try:
        outside = read_outside(data, layout)
    except ValueError as error:
        raise UserError(f"--data {error}") from None
    models = trained_models(run, names, seeds, model_at)
    scored = evaluate(outside, models)
    labels = {}
    for name in dict.fromkeys(model.architecture for model in models):
        there = [model.seed for model in models if model.architecture == name]
        labels[name] = f"{name}, {len(there)} seeds" if len(there) > 1 else f"{name} seed {there[0]}"
    pretrained = dict.fromkeys(model.architecture for model in models if is_pretrained(model.record))
    print_scored(data, outside, scored, models[0].suite, labels, unseen=True, pretrained=pretrained, json=json)
