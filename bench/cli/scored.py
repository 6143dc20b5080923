"""How `eval` and `score` print what became of a file's problems."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.asking.problem_files import Scored
    from bench.datasets.problem_files import Outside
    from bench.datasets.suites import Suite
    from bench.results.report.tables.problem_files import Row


def print_scored(
    path: Path,
    outside: Outside,
    scored: Scored,
    suite: Suite,
    labels: Mapping[str, str],
    *,
    unseen: bool,
    pretrained: Collection[str] = (),
    notes: Sequence[str] = (),
    json: bool,
) -> None:
    """Tables for people, or rows of them for programs. `labels` says how columns call each architecture, `unseen`
    whether they were trained here, `pretrained` which by others first.

    Raises:
        UserError: not one problem is left to score; it says what became of them.
    """
    from dataclasses import asdict, astuple

    from bench.cli.output import console, print_json
    from bench.errors import UserError
    from bench.results.report.tables import problem_files
    from bench.results.report.terminal import print_tables

    where = "example" if outside.layout in ("big-bench", "json") else "line"
    head = _head(path, outside, scored, suite)
    if not scored.predictions:
        first = [*scored.unread, *scored.wrong, *scored.left_out][0]
        raise UserError(f"{head[0]} Nothing is left to score; {where} {first.position}, '{first.text}': {first.reason}")
    wrong_predictions = [] if unseen else scored.wrong_predictions()
    rows = problem_files.outside_rows(scored.predictions)
    if json:
        print_json(
            [
                *(_figures(row) for row in rows),
                *({"table": "wrong prediction"} | asdict(wrong) for wrong in wrong_predictions),
                *({"table": "not read"} | asdict(unused) for unused in scored.unread),
                *({"table": "wrong reference"} | asdict(unused) for unused in scored.wrong),
                *({"table": "cannot be asked"} | asdict(unused) for unused in scored.left_out),
            ]
        )
        return
    tables = problem_files.outside_tables(rows, labels, unseen, pretrained)
    tables += problem_files.wrong_prediction_tables([astuple(wrong) for wrong in wrong_predictions], where)
    unread, left_out, wrong = (list(map(astuple, some)) for some in (scored.unread, scored.left_out, scored.wrong))
    tables += problem_files.unused_tables(unread, left_out, wrong, where)
    print_tables(console(), [*head, *notes], tables)


def _head(path: Path, outside: Outside, scored: Scored, suite: Suite) -> list[str]:
    from bench.datasets.problems import OPERATIONS

    entries = len(outside.problems) + len(outside.unread)
    lists = {"not read": scored.unread, "wrong reference": scored.wrong, "cannot be asked": scored.left_out}
    counts = [f"{what} {len(unused):,}" for what, unused in lists.items()]
    divided = (outside.problems.operation == OPERATIONS.index("/")).any()
    rule = f"; division as in suite {suite.name}: {suite.rule}" if divided else ""
    return [
        f"{path}: {entries:,} problem{'s' if entries != 1 else ''}, layout {outside.layout}: {', '.join(counts)}.",
        f"Answers checked against exact arithmetic{rule}.",
    ]


def _figures(row: Row) -> dict[str, Any]:
    share = {"exact_match": row.share.mean, "low": row.share.low, "high": row.share.high}
    counted = {key: value for key, value in vars(row).items() if key != "share"}
    return {"table": "exact match"} | counted | share | {"interval_over": row.share.unit}
