"""What a report holds in every form: the runs in parts that may each stand in one table, with words and tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from bench.results.records.run import RunFolder
from bench.results.report.table import Note, Table
from bench.results.report.tables import slices
from bench.results.report.tables.cells import audit, unfinished
from bench.results.report.tables.errors import ErrorShares, error_shares, error_tables
from bench.results.report.tables.learning import by_learning
from bench.results.report.tables.several_runs import across_suites
from bench.results.report.tables.summary import summary
from bench.results.statistics.comparable import held_equal
from bench.results.statistics.comparison import Comparison
from bench.results.statistics.conclusion import all_pairs, conclusion, tiers_of
from bench.results.statistics.joining import join_runs
from bench.results.statistics.pretrained import about_pretrained
from bench.results.statistics.scores import Scores

ACROSS = "Across suites"
"""The heading of what is of all parts."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Runs whose cells stand side by side."""

    title: str
    """the suite and the folders"""
    scores: Scores
    comparisons: list[Comparison]
    """every two architectures, the better one first"""
    errors: ErrorShares
    """how often each architecture errs in which way"""
    tiers: dict[str, str]
    """architecture -> its letters; two share one where they cannot be told apart"""
    opening: list[str]
    """what differs between runs, what was held equal, what was learnt elsewhere, the suite, and the verdict"""
    verdict: list[str]
    """the outcome in words, the most important first"""
    tables: list[Table]


@dataclass(frozen=True, kw_only=True)
class Contents:
    parts: list[Part]
    warnings: list[str]
    """why there is more than one part, a line each"""
    across: list[Table]
    """over all parts: none with few suites"""


def contents(runs: list[RunFolder]) -> Contents:
    """Reads runs into a report. Raises NotComparable where cells of one run may not stand side by side, and BadFile."""
    groups, warnings = join_runs(runs)
    across = across_suites(groups)
    return Contents(
        parts=[_part(scores) for scores in groups], warnings=warnings, across=[] if across is None else [across]
    )


def chosen(report: Contents, keys: Sequence[str]) -> Contents:
    """The report with the tables of these keys alone. Raises ValueError on a key that none of its tables has."""
    tables = [table for part in report.parts for table in part.tables] + report.across
    known = list(dict.fromkeys(table.key for table in tables))
    for key in keys:
        if key not in known:
            raise ValueError(f"no table of this report is called '{key}'; there are {', '.join(known)}")
    parts = [replace(part, tables=[table for table in part.tables if table.key in keys]) for part in report.parts]
    return replace(report, parts=parts, across=[table for table in report.across if table.key in keys])


def all_tables(scores: Scores, tiers: Mapping[str, str] = MappingProxyType({})) -> list[Table]:
    """The tables of a report but for those of errors, in order. Tables that have nothing to say are left out.

    `tiers`: what `tiers_of` found.
    """
    tables = [summary(scores, tiers), unfinished(scores)]
    if scores.records:
        tables += [slices.by_slice(scores, "operation"), *slices.by_digits(scores), slices.by_slice(scores, "signs")]
        tables += [slices.few_problems(scores), slices.by_workings(scores), slices.by_mistake(scores)]
        tables += [
            slices.by_slice(scores, "places"),
            slices.by_slice(scores, "range"),
            slices.on_training_problems(scores),
        ]
        tables += [by_learning(scores), audit(scores)]
    seen: set[Note] = set()
    kept = []
    for table in tables:
        if table is not None:
            # What a note explains holds for the tables below it too: once is enough.
            kept.append(replace(table, notes=[note for note in table.notes if note not in seen]))
            seen.update(table.notes)
    return kept


def _part(scores: Scores) -> Part:
    suite = scores.plan.suite
    comparisons, errors = all_pairs(scores), error_shares(scores)
    tiers, verdict = tiers_of(scores, comparisons), conclusion(scores, comparisons)
    return Part(
        title=f"{suite.name}: {', '.join(str(run.directory) for run in scores.runs)}",
        scores=scores,
        comparisons=comparisons,
        errors=errors,
        tiers=tiers,
        opening=[
            *scores.differing,
            held_equal(scores.records),
            *about_pretrained(scores.records),
            f"Suite {suite.name}, version {suite.version}: {suite.summary}",
            *verdict,
        ],
        verdict=verdict,
        tables=[*all_tables(scores, tiers), *error_tables(scores, errors)],
    )
