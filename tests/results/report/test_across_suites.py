"""The table over many suites, from run folders to every format."""

from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import pandas as pd
import pytest

from bench.results.records.plan import Plan, write_plan
from bench.results.records.record import Record
from bench.results.records.run import RunFolder, open_run
from bench.results.report.contents import ACROSS, contents
from bench.results.report.write import FILE_NAMES, render

SHARES = {"lstm": [0.1, 0.2, 0.4, 0.5, 0.9], "transformer": [0.5, 0.6, 0.6, 0.7, 1.0]}
"""Exact match on each suite; with seed 1 one problem in ten more, or all."""


@pytest.fixture
def runs(
    tmp_path: Path,
    make_plan: Callable[..., Plan],
    write_cell: Callable[..., Record],
    predictions: pd.DataFrame,
) -> list[RunFolder]:
    """Runs on five suites; `gru` ran on the first alone."""
    made, asked = [], predictions["split"] == "test"
    for number in range(5):
        suite = {"name": f"s{number}", "version": 1, "hash": str(number) * 64, "summary": "For tests."}
        folder = tmp_path / suite["name"]
        shares = {name: of_suites[number] for name, of_suites in SHARES.items()} | ({"gru": 0.3} if number == 0 else {})
        write_plan(folder, make_plan(suite=suite, architectures=list(shares), seeds=[0, 1, 2]))
        for name, share in shares.items():
            for seed in (0, 1, 2):
                count = round(_of_seed(share, seed) * asked.sum())
                answers = predictions.assign(right=(asked & (asked.cumsum() <= count)).astype(int), digits_right=0)
                facts = {"suite": suite["name"], "suite_hash": suite["hash"], "data_hash": f"d{seed}"}
                write_cell(folder, answers, architecture=name, seed=seed, **facts)
        made.append(open_run(folder))
    return made


def _of_seed(share: float, seed: int) -> float:
    return min(share + 0.1 * (seed == 1), 1.0)


def test_the_middle_half_of_all_scores_of_whoever_was_asked_all_suites(runs: list[RunFolder]) -> None:
    [table] = contents(runs).across
    assert table.key == "across-suites"
    assert list(table.rows) == list(SHARES)
    for name, row in table.rows.items():
        scores = sorted(_of_seed(share, seed) for share in SHARES[name] for seed in (0, 1, 2))
        right = row["exact match %"]
        assert right.value is not None
        assert right.low is not None
        assert right.high is not None
        assert abs(right.value - 100 * fmean(scores[3:12])) < 0.5  # of 15 scores; shares are of whole problems
        assert right.low < right.value < right.high
        assert row["seeds a suite"].text == "3"
    assert "one a seed of each of 5 suites (s0, s1, " in table.notes[0].text


def test_every_format_has_it_with_five_suites_and_none_with_four(runs: list[RunFolder]) -> None:
    report, few = contents(runs), contents(runs[:4])
    assert few.across == []
    for format in FILE_NAMES:
        shown = render(report, format)
        assert report.across[0].title in shown
        assert ACROSS in shown or format == "latex"
        assert report.across[0].title not in render(few, format)
