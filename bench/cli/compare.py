"""`compare`: two architectures, slice by slice, with what can be told and what cannot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from bench.results.report.table import Entry, Table
    from bench.results.statistics.comparison import Comparison
    from bench.results.statistics.scores import Scores


def compare_command(run: Path, /, *runs: Path, arch: str, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Compare two architectures of a run, slice by slice, over the seeds that both have.

    A cell with a broken file is named and left out. Exit status: 0 no cell of the runs is broken, 1 one is.

    Parameters
    ----------
    run
        Folder of the run.
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
    from bench.errors import UserError, suggest
    from bench.planning.amounts import parse_names
    from bench.results.records.run import open_run
    from bench.results.report.terminal import print_tables
    from bench.results.statistics.comparable import held_equal
    from bench.results.statistics.comparison import TRAINED_MODELS, compare
    from bench.results.statistics.joining import join_runs

    names = parse_names(arch, "--arch")
    if len(names) != 2:
        raise UserError(f"--arch '{arch}': expected two architectures, such as lstm,transformer")
    try:
        opened = [open_run(path) for path in (run, *runs)]
        status = name_broken(opened)
        groups, reasons = join_runs(opened)
        known = list(dict.fromkeys(name for group in groups for name in group.planned))
        for name in names:
            if name not in known:
                raise UserError(f"--arch '{name}': not in {_listed(run, *runs)}; {suggest(name, known)}")
        holding = [group for group in groups if set(names) <= set(group.planned)]
        if not holding:
            raise UserError(f"{' and '.join(names)} cannot be compared: {'; '.join(reasons)}")
        scores = next((group for group in holding if set(names) <= set(group.architectures)), holding[0])
        for reason in reasons:
            print(f"bench: {reason}", file=sys.stderr)
        if len(groups) > 1:
            print(f"bench: compared is what {_listed(*(one.directory for one in scores.runs))} hold", file=sys.stderr)
        comparison = compare(scores, *names)
    except ValueError as error:
        raise UserError(str(error)) from None
    if json:
        pair = {"architectures": list(names)}
        rows = [{"table": "across seeds"} | pair | asdict(row) for row in comparison.rows]
        models = [{"table": TRAINED_MODELS} | pair | asdict(models) for models in comparison.mcnemar]
        print_json([*rows, *models])
        return status
    target = console()
    records = [record for record in scores.records if record.architecture in names]
    tables = [_differences(scores, comparison), *([_models(scores, comparison)] if comparison.mcnemar else [])]
    print_tables(target, [held_equal(records)], tables)
    for sentence in comparison.sentences:
        target.print(sentence)
    return status


def _differences(scores: Scores, comparison: Comparison) -> Table:
    """A row a value of a slice. Where any row is all-or-nothing, the solved shares lead."""
    from bench.results.report.table import NO_VALUE, Entry, Table, share_entry
    from bench.results.report.tables.run import DIVERGED_NOTE, label, marks

    labels = [label(scores.of(name)) for name in (comparison.one, comparison.other)]
    leads = any(row.all_or_nothing for row in comparison.rows)
    flips = any(row.sign_flip is not None for row in comparison.rows)
    columns = ["problems", "n", *([f"{name} solved %" for name in labels] if leads else [])]
    columns += [*(f"{name} %" for name in labels), "difference, points", "verdict"]
    columns += ["p (paired t)", *(["p (sign flip)"] if flips else []), "p (Holm)"]
    rows = []
    for row in comparison.rows:
        cells = [Entry(text=_name(row.slice, row.value)), Entry(text=f"{row.asked:,}", value=row.asked)]
        if leads:
            for share in (row.solved_one, row.solved_other):
                shown = share if row.all_or_nothing else None
                cells.append(Entry(text=NO_VALUE) if shown is None else share_entry(shown))
        cells += [share_entry(share, row.asked) for share in (row.one, row.other, row.difference)]
        cells.append(Entry(text=row.verdict))
        cells += [_p_entry(row.p), *([_p_entry(row.sign_flip)] if flips else []), _p_entry(row.holm)]
        rows.append(cells)
    seeds = ", ".join(map(str, comparison.seeds))
    notes = [
        f"Paired by seed: {seeds}. Intervals are 95 % t intervals across seeds, and speak of this test set.",
        "Verdict on `all`: its interval. On every other row: p < 0.05 by Holm over all rows, since some of so many "
        "intervals miss zero by chance.",
    ]
    if leads:
        notes.append(
            "Solved: share of seeds with 99 % right (`all`: on validation), Wilson interval over seeds; shown where "
            "some seeds of an architecture learnt and others did not. No t interval holds there: the sign flip decides."
        )
    if comparison.left_out:
        left_out = ", ".join(f"{name} seed {seed}" for name, seed in comparison.left_out)
        notes.append(f"Left out, since the other has no finished cell of that seed: {left_out}.")
    if diverged := [
        f"{name} seed {seed}" for name, seed in scores.diverged if name in (comparison.one, comparison.other)
    ]:
        notes.append(f"{DIVERGED_NOTE} Here: {', '.join(diverged)}.")
    title = f"Exact match, {comparison.one} minus {comparison.other}"
    notes += marks(scores, [comparison.one, comparison.other])
    return Table(title=title, columns=columns, rows=rows, notes=notes, left=frozenset({0, columns.index("verdict")}))


def _models(scores: Scores, comparison: Comparison) -> Table:
    """Model against model: exact McNemar, a row a seed."""
    from bench.results.report.table import Entry, Table
    from bench.results.statistics.comparison import TRAINED_MODELS

    rows = [
        [
            Entry(text=str(pair.seed), value=pair.seed),
            Entry(text=f"{pair.only_one_right:,}", value=pair.only_one_right),
            Entry(text=f"{pair.only_other_right:,}", value=pair.only_other_right),
            _p_entry(pair.p),
        ]
        for pair in comparison.mcnemar
    ]
    return Table(
        title=f"{TRAINED_MODELS.capitalize()}: exact McNemar on the same {scores.asked('all', 'all'):,} problems",
        columns=["seed", f"only {comparison.one} right", f"only {comparison.other} right", "p"],
        rows=rows,
        notes=[
            "It speaks of the two models of a seed, never of architectures: one architecture under two seeds is "
            "'different' by it in about half of all cases or more."
        ],
    )


def _listed(*runs: Path) -> str:
    return ", ".join(map(str, runs))


def _name(slice_name: str, value: str) -> str:
    """How a row is called: `all`, `operation +`, `* 2x2`."""
    return value if slice_name in ("all", "operation x digits") else f"{slice_name} {value}"


def _p_entry(p: float | None) -> Entry:
    from bench.results.report.table import NO_VALUE, Entry

    if p is None:
        return Entry(text=NO_VALUE)
    return Entry(text="< 0.001" if p < 0.001 else f"{p:.3f}", value=p)
