"""What runs on disk say of a kind of problems, and how far off a held-back seed lies."""

from pathlib import Path
from statistics import fmean

import pandas as pd
import pytest

from bench.results.statistics.evidence import digits_asked, evidence, run_folders

PUBLISHED = Path(__file__).parents[3] / "results" / "published"
QUICK = PUBLISHED / "quick"


def test_the_folders_of_runs_are_found_at_any_depth_each_once() -> None:
    folders = run_folders([QUICK, PUBLISHED, PUBLISHED / "nothing"])
    assert folders[0] == QUICK
    assert PUBLISHED / "forms" / "addition3" in folders
    assert len(set(folders)) == len(folders)


@pytest.mark.parametrize("operations", [["*"], ["+", "-"]])
def test_the_best_come_first_with_the_figures_of_the_tables(operations: list[str]) -> None:
    found = evidence([QUICK], operations, "2x2")
    results = pd.read_csv(QUICK / "results.csv")
    assert [each.right.mean for each in found] == sorted((each.right.mean for each in found), reverse=True)
    assert len(found) == 15
    for each in found:
        rows = results[(results["architecture"] == each.architecture) & (results["slice"] == "operation x digits")]
        rows = rows[rows["value"].isin([f"{operation} 2x2" for operation in operations])]
        of_seeds = rows.groupby("seed")[["correct", "total"]].sum()
        assert each.right.mean == pytest.approx((of_seeds["correct"] / of_seeds["total"]).mean())
        assert (each.seeds, each.asked) == ([0, 1, 2], 400 * len(operations))
        assert each.train_seconds > 10


def test_what_was_not_asked_has_no_evidence() -> None:
    assert evidence([QUICK], ["*"], "3x3") == []
    assert evidence([QUICK / "cells"], ["*"], "2x2") == []
    assert digits_asked([QUICK], ["*"]) == ["1x1", "1x2", "2x1", "2x2"]
    assert "3x3" in digits_asked(run_folders([PUBLISHED]), ["+"])
    assert digits_asked([PUBLISHED / "addition3"], ["+", "/"]) == []


def test_a_held_back_seed_lies_near_the_mean_of_the_others() -> None:
    """`docs/commands.md` states the figure."""
    results = pd.read_csv(QUICK / "results.csv")
    whole = results[results["slice"] == "all"].assign(share=lambda rows: 100 * rows["correct"] / rows["total"])
    off = []
    for _, of_it in whole.groupby("architecture"):
        for seed in of_it["seed"]:
            others = of_it.loc[of_it["seed"] != seed, "share"]
            off.append(abs(float(of_it.loc[of_it["seed"] == seed, "share"].iloc[0]) - fmean(others)))
    assert len(off) == 45
    assert fmean(off) == pytest.approx(1.31, abs=0.01)
