"""Everything that the finished cells of runs scored, read once, and the estimates that tables are made of."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from itertools import combinations, count
from pathlib import Path
from statistics import fmean, median
from typing import Any

import pandas as pd

from bench.results.records.baselines import read_baselines
from bench.results.records.collect import results_frame
from bench.results.records.predictions import PREDICTIONS
from bench.results.records.record import WEIGHTS, Record
from bench.results.records.run import RunFolder
from bench.results.statistics.comparable import check_comparable, processor_of, processors
from bench.results.statistics.estimates import Estimate, estimate, shares_across_seeds
from bench.results.statistics.pretrained import is_pretrained

STRATUM: dict[str, tuple[str, ...]] = {
    **{"all": (), "operation x digits": ("operation", "digits")},
    **{key: (key,) for key in ("operation", "digits", "signs", "places")},
}
"""Slice whose values are sums of strata -> what all strata of a value have in common."""


class Scores:
    """The cells of runs that may be joined (`joining.join_runs` says which), by architecture and seed.

    An architecture that several runs hold under the same settings is one, its seeds taken together; under other
    settings, or where two runs hold a cell that ended otherwise in each, it is several, each with the name of a folder
    behind its own. A cell that two runs hold alike is taken from the folder that comes first by name, so that the order
    of the runs decides nothing. Raises NotComparable where finished cells may not stand side by side, and BadFile.
    """

    def __init__(self, *runs: RunFolder) -> None:
        self.runs = runs
        self.plan = runs[0].plan
        """of the first run: suite and strata are those of all"""
        self.planned: dict[str, list[int]] = {}
        """architecture -> seeds, both in the order of the plans"""
        self._home: dict[tuple[str, int], tuple[RunFolder, Record]] = {}
        self._lacking: dict[tuple[str, int], tuple[str, str]] = {}
        self.differing: list[str] = []
        """what is several for another reason than its settings, and the scores of each run of it, a line each"""
        self._names = {
            (run.directory, architecture): name
            for architecture in dict.fromkeys(name for run in runs for name in run.plan.architectures)
            for name, group in self._named(architecture)
            for run in group
        }
        for run in runs:
            for architecture in run.plan.architectures:
                seeds = self.planned.setdefault(self._names[run.directory, architecture], [])
                seeds += [seed for seed in run.plan.seeds if seed not in seeds]
        for run in sorted(runs, key=_folder):
            self._add(run)
        self.unfinished = [(*cell, *why) for cell, why in self._lacking.items() if cell not in self._home]
        """(architecture, seed, status, reason) of the cells that failed, are broken or, for no reason, not run yet"""
        order = [(name, seed) for name, seeds in self.planned.items() for seed in seeds]
        self._home = {cell: self._home[cell] for cell in order if cell in self._home}
        self.records = [replace(record, architecture=name) for (name, _), (_, record) in self._home.items()]
        """of the finished cells, seed within architecture; `architecture` is the name that tables show"""
        check_comparable(self.records)
        self.predictions = {cell: run.predictions(record) for cell, (run, record) in self._home.items()}
        self.diverged = [
            (name, seed)
            for name, seed, status, _ in self.unfinished
            if status == "diverged" and name in self.architectures
        ]
        """(architecture, seed) of the cells whose training diverged, where other seeds of the architecture ended. They
        count as none right: left out, they would make an unstable architecture look better than it is."""
        if self.diverged:
            self.predictions |= dict.fromkeys(self.diverged, _nothing_right(next(iter(self.predictions.values()))))
        self.results = results_frame(self.predictions)
        """the rows of results.csv"""
        baselines = [read_baselines(run.directory) for run in runs]
        self.baselines = pd.concat(baselines).drop_duplicates(["architecture", "seed", "slice", "value"])
        """rows as in `results` for the baselines, which are no cells; none where no run has ended yet"""
        self._scored = pd.concat([self.results, self.baselines], ignore_index=True)

    def _add(self, run: RunFolder) -> None:
        ended = {(record.architecture, record.seed): record for record in run.records}
        for architecture in run.plan.architectures:
            name = self._names[run.directory, architecture]
            for seed in run.plan.seeds:
                if (name, seed) in self._home:
                    continue
                record = ended.get((architecture, seed))
                if error := run.broken.get((architecture, seed)):
                    self._lacks(name, seed, "broken", str(error))
                elif record is None:
                    self._lacks(name, seed, "not run", "")
                elif not record.done:
                    self._lacks(name, seed, record.status, record.reason)
                else:
                    self._home[name, seed] = run, record

    def _lacks(self, name: str, seed: int, status: str, reason: str) -> None:
        """Of two runs that hold a cell without a result, the first that tried it tells why."""
        if self._lacking.get((name, seed), ("not run", ""))[0] == "not run":
            self._lacking[name, seed] = status, reason

    def _named(self, architecture: str) -> list[tuple[str, list[RunFolder]]]:
        """How tables call an architecture, and of which runs."""
        groups: list[list[RunFolder]] = []
        for run in sorted((run for run in self.runs if architecture in run.plan.architectures), key=_folder):
            settings = settings_of(run, architecture)
            group = next((group for group in groups if settings_of(group[0], architecture) == settings), None)
            if group is None:
                groups.append(group := [])
            group.append(run)
        if len({group[0].plan.entries[architecture].plugin_hash for group in groups}) > 1:
            scored = "; ".join(_scored(run, architecture) for group in groups for run in group)
            self.differing.append(f"{architecture} has a row for each source of its plug-in: {scored}.")
        for group in list(groups):
            if seeds := _ended_otherwise(group, architecture):
                place = groups.index(group)
                groups[place : place + 1] = [[run] for run in group]
                scored = "; ".join(_scored(run, architecture, seeds) for run in group)
                why = "since a cell of one plan and seed ended otherwise"
                self.differing.append(f"{architecture} has a row for each run, {why}: {scored}.")
        if len(groups) == 1:
            return [(architecture, groups[0])]
        ends = _ends([group[0].directory for group in groups])
        return [(f"{architecture} ({end})", group) for end, group in zip(ends, groups, strict=True)]

    @cached_property
    def machines(self) -> dict[str, str]:
        """Processor of a machine -> the mark of times that were measured on it, '' where all are of one."""
        found = processors(self.records)
        return {name: f" #{number}" if len(found) > 1 else "" for number, name in enumerate(found, 1)}

    def machine_marks(self, records: list[Record]) -> str:
        """The marks of figures that come from these cells."""
        return "".join(mark for name, mark in self.machines.items() if name in processors(records))

    @cached_property
    def curves(self) -> dict[tuple[str, int], pd.DataFrame]:
        """(architecture, seed) -> the rows of curve.csv, `flops` those of model and optimizer together."""
        read = {cell: run.curve(record) for cell, (run, record) in self._home.items()}
        return {
            cell: curve.assign(flops=curve["flops"] + curve.get("optimizer_flops", 0)) for cell, curve in read.items()
        }

    @cached_property
    def architectures(self) -> list[str]:
        """Those with a finished cell, in the plan's order."""
        return [name for name in self.planned if self.of(name)]

    @cached_property
    def baseline_names(self) -> list[str]:
        """The baselines that were asked the same problems, by name."""
        return list(dict.fromkeys(self.baselines["architecture"]))

    def of(self, architecture: str) -> list[Record]:
        """The finished cells of an architecture, by seed."""
        return [record for record in self.records if record.architecture == architecture]

    def seeds(self, architecture: str) -> list[int]:
        """The seeds that an architecture is scored over: those of its finished cells, and those that diverged."""
        diverged = [seed for name, seed in self.diverged if name == architecture]
        return sorted([record.seed for record in self.of(architecture)] + diverged)

    def values(self, slice_name: str) -> list[str]:
        """The values of a slice, in the order of results.csv."""
        return list(dict.fromkeys(self.results.loc[self.results["slice"] == slice_name, "value"]))

    def rows(self, slice_name: str, value: str) -> pd.DataFrame:
        """Rows of results.csv, and of the baselines below them, for one value of a slice."""
        return self._by_value.get((slice_name, value), self._scored[:0])

    @cached_property
    def _by_value(self) -> dict[Any, pd.DataFrame]:
        """(slice, value) -> its rows, for `rows`, which is asked for them by the thousand."""
        return dict(iter(self._scored.groupby(["slice", "value"], sort=False)))

    @cached_property
    def right(self) -> dict[tuple[str, int], pd.Series]:
        """(architecture, seed) -> whether each test problem was answered right (1) or not (0), by its item."""
        tested = {cell: predictions[predictions["split"] == "test"] for cell, predictions in self.predictions.items()}
        return {cell: predictions.set_index("item")["right"] for cell, predictions in tested.items()}

    def asked(self, slice_name: str, value: str) -> int:
        """Problems of one value of a slice, per cell: all cells met the same."""
        return int(self.rows(slice_name, value)["total"].iloc[0])

    def share_right(self, name: str, slice_name: str, value: str) -> Estimate:
        """Exact match of an architecture or a baseline on one value of a slice."""
        rows = self.rows(slice_name, value)
        rows = rows[rows["architecture"] == name]
        unseen = self.all_unseen(name, slice_name, value)
        return estimate(rows["correct"].tolist(), rows["total"].tolist(), unseen)

    def mean_over_strata(self, name: str) -> Estimate:
        """Mean of the exact match of every stratum, each counting alike, across seeds."""
        rows = self._scored[(self._scored["slice"] == "stratum") & (self._scored["architecture"] == name)]
        shares = rows["correct"] / rows["total"]
        return shares_across_seeds([fmean(of_seed) for _, of_seed in shares.groupby(rows["seed"], sort=False)])

    def digits_right(self, architecture: str) -> Estimate:
        """Digits of the answers that stand right at their place, over all digits of all answers, across seeds."""
        shares = []
        for seed in self.seeds(architecture):
            predictions = self.predictions[architecture, seed]
            asked = predictions[predictions["split"] == "test"]
            shares.append(float(asked["digits_right"].sum() / asked["answer"].str.count(r"\d").sum()))
        return shares_across_seeds(shares)

    def exhaustive(self, slice_name: str, value: str) -> tuple[int, int]:
        """Strata of one value of a slice: how many are asked whole, of how many; none where it is no sum of strata."""
        if slice_name not in STRATUM:
            return 0, 0
        wanted = dict(zip(STRATUM[slice_name], value.split(" "), strict=False))
        chosen = [
            stratum.exhaustive
            for stratum in self.plan.strata
            if stratum.test and all(str(getattr(stratum, key)) == text for key, text in wanted.items())
        ]
        return sum(chosen), len(chosen)

    def all_unseen(self, name: str, slice_name: str, value: str) -> bool:
        """Whether the test problems of one value of a slice are all there are that an architecture, or a baseline, has
        not met: of a pretrained one nobody knows.
        """
        whole, strata = self.exhaustive(slice_name, value)
        return 0 < whole == strata and not any(map(is_pretrained, self.of(name)))

    def distinct(self, operation: str, digits: str) -> int:
        """Distinct problems of an operation and pattern in the test set, signs left off."""
        asked = next(iter(self.predictions.values()))  # any cell's: all met the same problems
        asked = asked[(asked["split"] == "test") & (asked["op"] == operation) & (asked["digits"] == digits)]
        return len(set(zip(asked["a"].str.lstrip("-"), asked["b"].str.lstrip("-"), strict=True)))

    def median(self, architecture: str, figure: Callable[[Record], float | None]) -> float | None:
        """Median of a figure over the finished cells of an architecture that have it; None where none has."""
        values = [value for record in self.of(architecture) if (value := figure(record)) is not None]
        return median(values) if values else None


def _folder(run: RunFolder) -> str:
    return str(run.directory)


def _finished(run: RunFolder, architecture: str) -> dict[int, Record]:
    """Seed -> finished cell."""
    return {record.seed: record for record in run.records if record.architecture == architecture and record.done}


def _ended_otherwise(runs: list[RunFolder], architecture: str) -> set[int]:
    """The seeds whose cells have other answers or weights in one run than in another."""
    finished = [(run, _finished(run, architecture)) for run in runs]
    return {
        seed
        for (one, mine), (other, theirs) in combinations(finished, 2)
        for seed in mine.keys() & theirs.keys()
        if mine[seed].files.get(WEIGHTS) != theirs[seed].files.get(WEIGHTS)
        # One content has several bytes: not all machines compress alike.
        or (
            mine[seed].files[PREDICTIONS] != theirs[seed].files[PREDICTIONS]
            and not one.predictions(mine[seed]).equals(other.predictions(theirs[seed]))
        )
    }


def _scored(run: RunFolder, architecture: str, seeds: set[int] | None = None) -> str:
    """A run, its machine and its scores, of some seeds or of all."""
    finished = {seed: cell for seed, cell in _finished(run, architecture).items() if seeds is None or seed in seeds}
    machines = " and ".join(dict.fromkeys(map(processor_of, finished.values()))) or "no finished cell"
    scores = [f"seed {seed} {100 * (cell.exact_match or 0):.1f} %" for seed, cell in finished.items()]
    return ", ".join([f"{run.directory} on {machines}", *scores])


def _ends(folders: list[Path]) -> list[str]:
    """The last parts of paths, as many of them as it takes to tell all apart."""
    paths = [folder.resolve().parts for folder in folders]
    parts = next(n for n in count(1) if len({path[-n:] for path in paths}) == len(paths))
    return ["/".join(path[-parts:]) for path in paths]


def _nothing_right(predictions: pd.DataFrame) -> pd.DataFrame:
    """Predictions of a cell that never answers, from those of one that was asked the same."""
    none: dict[str, int | str] = {"prediction": "", "raw": "", "mistake": "end"}
    none |= dict.fromkeys(("ended", "right", "digits_right", "workings_right"), 0)
    return predictions.assign(**{column: value for column, value in none.items() if column in predictions})


def settings_of(run: RunFolder, architecture: str) -> dict[str, Any]:
    """All that decides what a run makes of an architecture, but for the seed."""
    return {"settings": run.plan.settings, "entry": run.plan.entries[architecture]}
