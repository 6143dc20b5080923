"""The tables over several runs: the interquartile mean of many suites, and short ones with a row for each run."""

from collections.abc import Sequence

from bench.results.report.table import Column, Note, Table, Value, figures, number_value, share_value, words
from bench.results.report.tables.learning import by_learning, reached_key
from bench.results.report.tables.notes import Shares, estimate_notes
from bench.results.report.tables.summary import summary
from bench.results.statistics.comparison import SOLVED
from bench.results.statistics.estimates import FEWEST_TASKS, interquartile_mean
from bench.results.statistics.scores import Scores

LEARNT = ("solved", reached_key("examples", SOLVED))
"""Columns of learning that the table by suite has."""
FROM_SUMMARY = ("architecture", "exact_match", "train_seconds")
"""Columns of the summary that the table by run has."""


def one_a_suite(groups: Sequence[Scores]) -> dict[str, Scores]:
    """Name of a suite -> the first group that ran on it, so that each suite counts once."""
    found: dict[str, Scores] = {}
    for scores in groups:
        found.setdefault(scores.plan.suite.name, scores)
    return found


def across_suites(groups: Sequence[Scores]) -> Table | None:
    """One row an architecture or baseline that was asked all the suites; None with fewer than 5, or where none was."""
    suites = one_a_suite(groups)
    if len(suites) < FEWEST_TASKS:
        return None
    scored = {suite: scores.rows("all", "all") for suite, scores in suites.items()}
    rows, without_interval = {}, []
    for name in dict.fromkeys(name for of_suite in scored.values() for name in of_suite["architecture"]):
        asked = [of_suite[of_suite["architecture"] == name] for of_suite in scored.values()]
        if any(of_suite.empty for of_suite in asked):
            continue
        middle = interquartile_mean([list(of_suite["correct"] / of_suite["total"]) for of_suite in asked])
        seeds = sorted({len(of_suite) for of_suite in asked})
        seeds_text = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
        rows[name] = {"architecture": Value(name), "exact match %": share_value(middle)}
        rows[name]["seeds a suite"] = Value(seeds_text, value=seeds[0])
        if middle.low is None:
            without_interval.append(middle)
    if not rows:
        return None
    explained = (
        f"Each figure is the mean of the middle half of all scores, one a seed of each of {len(suites)} suites "
        f"({', '.join(suites)}), with the 95 % interval of a bootstrap stratified by suite (Agarwal et al. 2021)."
    )
    columns, notes = figures("exact match %", "seeds a suite"), [Note(explained), *estimate_notes(without_interval)]
    title = "Interquartile mean over suites"
    return Table(key="across-suites", title=title, columns=[*words("architecture"), *columns], rows=rows, notes=notes)


def by_suite(groups: Sequence[Scores]) -> Table:
    """A row for each suite and architecture: exact match, and how it was learnt."""
    rows, notes, learnt = {}, [], []
    for scores in groups:
        suite, scored, learning = scores.plan.suite.name, summary(scores), by_learning(scores, all_levels=True)
        learnt = [learning.column(key) for key in LEARNT]
        for name, row in learning.rows.items():
            right = scored.rows[name]["exact_match"]
            shown = {key: row[key] for key in ("architecture", *LEARNT)}
            rows[f"{suite}, {name}"] = shown | {"suite": Value(suite), "exact_match": right, "n": number_value(right.n)}
        notes += [*scored.noted("interval", "no interval", "not tuned"), *learning.noted("solved", "reached")]
    columns = [*words("suite", "architecture"), Column("exact_match", "exact match %"), *figures("n"), *learnt]
    return Table(key="by-suite", title="By suite", columns=columns, rows=rows, notes=list(dict.fromkeys(notes)))


def by_run(scores: Scores) -> Table:
    """A row for each architecture of each run, of one suite: exact match, by digit pattern too, and time."""
    scored, shares, rows, patterns = summary(scores), Shares(), {}, scores.values("digits")
    # The calculator's row would say nothing: it is right everywhere.
    for name in [*scores.architectures, *(name for name in scores.baseline_names if name != "calculator")]:
        rows[name] = {key: value for key, value in scored.rows[name].items() if key in FROM_SUMMARY}
        rows[name] |= {pattern: shares.show(scores.share_right(name, "digits", pattern)) for pattern in patterns}
    of_patterns = [Column(pattern, f"{pattern} % (n = {scores.asked('digits', pattern):,})") for pattern in patterns]
    columns = [*words("architecture"), scored.column("exact_match"), *of_patterns, scored.column("train_seconds")]
    notes = list(dict.fromkeys([*scored.noted("interval", "shared", "machines"), *shares.notes()]))
    return Table(key="by-run", title="By run", columns=columns, rows=rows, notes=notes)
