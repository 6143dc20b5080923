"""Everything that the finished cells of a run scored, read once, and the estimates that tables are made of."""

from collections.abc import Callable
from functools import cached_property
from statistics import fmean, median
from typing import Any

import pandas as pd

from bench.results.collect import results_frame
from bench.results.comparable import check_comparable
from bench.results.records import Record
from bench.results.runs import Run
from bench.results.statistics import Estimate, estimate, shares_across_seeds


class Scores:
    """The finished cells of one run. Raises NotComparable where they may not stand side by side, and BadFile."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.records = [record for record in run.records if record.done]
        check_comparable(self.records)
        self.predictions = {(record.architecture, record.seed): run.predictions(record) for record in self.records}
        self.results = results_frame(self.predictions)
        """the rows of results.csv"""

    @property
    def planned(self) -> list[str]:
        """All architectures of the plan, in its order."""
        return list(self.run.plan["architectures"])

    @cached_property
    def architectures(self) -> list[str]:
        """Those with a finished cell, in the plan's order."""
        return [name for name in self.planned if self.of(name)]

    def of(self, architecture: str) -> list[Record]:
        """The finished cells of an architecture, by seed."""
        return [record for record in self.records if record.architecture == architecture]

    def values(self, slice_name: str) -> list[str]:
        """The values of a slice, in the order of results.csv."""
        return list(dict.fromkeys(self.results.loc[self.results["slice"] == slice_name, "value"]))

    def rows(self, slice_name: str, value: str) -> pd.DataFrame:
        """Rows of results.csv for one value of a slice."""
        return self.results[(self.results["slice"] == slice_name) & (self.results["value"] == value)]

    def asked(self, slice_name: str, value: str) -> int:
        """Problems of one value of a slice, per cell: all cells met the same."""
        return int(self.rows(slice_name, value)["total"].iloc[0])

    def share_right(self, architecture: str, slice_name: str, value: str, exhaustive: bool = False) -> Estimate:
        """Exact match of an architecture on one value of a slice."""
        rows = self.rows(slice_name, value)
        rows = rows[rows["architecture"] == architecture]
        return estimate(rows["correct"].tolist(), rows["total"].tolist(), exhaustive)

    def mean_over_strata(self, architecture: str) -> Estimate:
        """Mean of the exact match of every stratum, each counting alike, across seeds."""
        rows = self.results[(self.results["slice"] == "stratum") & (self.results["architecture"] == architecture)]
        shares = rows["correct"] / rows["total"]
        return shares_across_seeds([fmean(shares[rows["seed"] == record.seed]) for record in self.of(architecture)])

    def digits_right(self, architecture: str) -> Estimate:
        """Digits of the answers that stand right at their place, over all digits of all answers, across seeds."""
        shares = []
        for record in self.of(architecture):
            predictions = self.predictions[architecture, record.seed]
            asked = predictions[predictions["split"] == "test"]
            shares.append(float(asked["digits_right"].sum() / asked["answer"].str.count(r"\d").sum()))
        return shares_across_seeds(shares)

    def exhaustive(self, **facts: Any) -> tuple[int, int]:
        """Strata with these facts (operation, digits, signs, places): how many are asked whole, of how many."""
        chosen = [
            bool(stratum["exhaustive"])
            for stratum in self.run.plan["strata"]
            if stratum["test"] and all(stratum[key] == fact for key, fact in facts.items())
        ]
        return sum(chosen), len(chosen)

    def all_unseen(self, **facts: Any) -> bool:
        """Whether the test problems with these facts are all that exist in the test split."""
        whole, strata = self.exhaustive(**facts)
        return 0 < whole == strata

    def distinct(self, operation: str, digits: str) -> int:
        """Distinct problems of an operation and pattern in the test set, signs left off."""
        asked = next(iter(self.predictions.values()))  # any cell's: all met the same problems
        asked = asked[(asked["split"] == "test") & (asked["op"] == operation) & (asked["digits"] == digits)]
        return len(set(zip(asked["a"].str.lstrip("-"), asked["b"].str.lstrip("-"), strict=True)))

    def median(self, architecture: str, figure: Callable[[Record], float | None]) -> float | None:
        """Median of a figure over the finished cells of an architecture that have it; None where none has."""
        values = [value for record in self.of(architecture) if (value := figure(record)) is not None]
        return median(values) if values else None
