"""`compare`: two architectures, slice by slice: where one is right more often, and where the seeds cannot decide."""

from pathlib import Path

from bench.cli.parameters import RunDirectory


def compare_command(run: RunDirectory, /, *runs: Path, arch: str, json: bool = False) -> int:
    """Compare two architectures of a run, slice by slice, over the seeds that both have.

    A cell with a broken file is named and left out. Exit status: 0 no cell of the runs is broken, 1 one is.

    Parameters
    ----------
    runs
        Folders of more runs, to be joined with it.
    arch
        The two architectures, separated by a comma: A,B gives A minus B.
    json
        One JSON document on standard output: the rows of the tables.
    """
    import sys
    from dataclasses import asdict

    from bench.cli.output import console, name_broken, print_json
    from bench.errors import UserError, suggest, user_errors
    from bench.planning.amounts import parse_names
    from bench.results.records.run import open_run
    from bench.results.report.tables.comparison import differences, trained_models
    from bench.results.report.terminal import print_tables
    from bench.results.statistics.comparable import held_equal
    from bench.results.statistics.comparison import TRAINED_MODELS, compare
    from bench.results.statistics.joining import join_runs

    names = parse_names(arch, "--arch")
    if len(names) != 2:
        raise UserError(f"--arch '{arch}': expected two architectures, such as lstm,transformer")
    with user_errors():
        opened = [open_run(path) for path in (run, *runs)]
        status = name_broken(opened)
        groups, reasons = join_runs(opened)
        known = list(dict.fromkeys(name for group in groups for name in group.planned))
        for name in names:
            if several := [each for each in known if each.startswith(f"{name} (")]:
                why = " ".join(line for group in groups for line in group.differing if line.startswith(f"{name} "))
                raise UserError(f"--arch '{name}': name one of {', '.join(several)}{why and f'; {why}'}")
            if name not in known:
                raise UserError(f"--arch '{name}': not in {_listed(run, *runs)}; {suggest(name, known)}")
        holding = [group for group in groups if set(names) <= set(group.planned)]
        if not holding:
            raise UserError(f"{' and '.join(names)} cannot be compared: {'; '.join(reasons)}")
        scores = next((group for group in holding if set(names) <= set(group.architectures)), holding[0])
        for reason in [*reasons, *(scores.differing if json else [])]:
            print(f"bench: {reason}", file=sys.stderr)
        if len(groups) > 1:
            print(f"bench: compared is what {_listed(*(one.directory for one in scores.runs))} hold", file=sys.stderr)
        comparison = compare(scores, *names)
    if json:
        pair = {"architectures": list(names)}
        rows = [{"table": "across seeds"} | pair | asdict(row) for row in comparison.rows]
        models = [{"table": TRAINED_MODELS} | pair | asdict(models) for models in comparison.mcnemar]
        print_json([*rows, *models])
        return status
    target = console()
    records = [record for record in scores.records if record.architecture in names]
    tables = [differences(scores, comparison), *([trained_models(scores, comparison)] if comparison.mcnemar else [])]
    print_tables(target, [*scores.differing, held_equal(records)], tables)
    for sentence in comparison.sentences:
        target.print(sentence)
    return status


def _listed(*runs: Path) -> str:
    return ", ".join(map(str, runs))
