"""The two baselines of every run: `calculator` is always right, `nearest` copies from the nearest example."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bench.datasets.nearest import first_distinct, nearest
from bench.datasets.problems import Problems
from bench.datasets.suites import Suite
from bench.locks import writing_tables
from bench.plan import suite_of
from bench.results.records.baselines import CALCULATOR, NEAREST, read_baselines, write_baselines
from bench.results.records.collect import results_frame
from bench.results.records.plan import Plan
from bench.results.records.run import open_run
from bench.running.evaluation import Answered, predictions

KNOWN = 100_000
"""Distinct training examples that `nearest` searches, whatever the budget."""


def baseline_frame(suite: Suite, seeds: Sequence[int], training_problems: int | None) -> pd.DataFrame:
    """The rows of baselines.csv: all of `calculator`, then all of `nearest`, seeds from the lowest up.

    `nearest` gives the answer of that one of the seed's first 100,000 distinct training examples whose left-padded
    prompt differs in the fewest symbols, the earliest on ties (see `first_distinct` for suites with fewer examples).
    `training_problems` is that of the plan: the size of a finite training set, or None.
    """
    test, seen = suite.evaluation_set("test"), suite.evaluation_set("seen")
    asked = Problems.join([test.problems, seen.problems])
    encoded = suite.encoding.encode(asked)
    target = encoded.answer
    all_right = predictions(suite, test, seen, Answered(target, np.ones(len(target), np.bool_), seconds=0.0))
    cells = {(CALCULATOR, seed): all_right for seed in sorted(seeds)}
    for seed in sorted(seeds):
        known = first_distinct(suite.stream(seed, training_problems), KNOWN)
        given = suite.encoding.encode(known.rows(nearest(asked, known, suite.encoding.form))).answer
        # Slices need the properties of the problems and `right`, but not the given answers.
        cells[NEAREST, seed] = all_right.assign(right=encoded.right(given).astype(np.int64))
    return results_frame(cells)


def complete_baselines(plan: Plan, directory: Path) -> None:
    """Add the rows of seeds that run.json has and baselines.csv lacks; rows that are there already are kept.

    Raises:
        BadFile: a file of the run is broken.
    """
    missing = set(open_run(directory).plan.seeds) - set(read_baselines(directory)["seed"])
    if not missing:
        return
    # Takes minutes on a large suite.
    more = baseline_frame(suite_of(plan), sorted(missing), plan.settings.training_problems)
    with writing_tables(directory):
        there = read_baselines(directory)
        rows = pd.concat([there, more[~more["seed"].isin(there["seed"])]], ignore_index=True)
        write_baselines(directory, rows.sort_values(["architecture", "seed"], kind="stable", ignore_index=True))
