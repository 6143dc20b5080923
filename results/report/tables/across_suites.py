"""What architectures do over many suites: the interquartile mean of their scores."""

from collections.abc import Sequence

from bench.results.report.table import Entry, Table, share_entry
from bench.results.statistics.estimates import BOOTSTRAP, FEWEST_TASKS, interquartile_mean
from bench.results.statistics.scores import Scores

TITLE = "Interquartile mean over suites"


def by_suite(groups: Sequence[Scores]) -> dict[str, Scores]:
    """Name of a suite -> the first group that ran on it, so that each suite counts once."""
    found: dict[str, Scores] = {}
    for scores in groups:
        found.setdefault(scores.plan.suite.name, scores)
    return found


def across_suites(groups: Sequence[Scores]) -> Table | None:
    """One row an architecture, and one a baseline, that was asked all the suites; None with fewer than 5 suites, or
    where none was.
    """
    suites = by_suite(groups)
    if len(suites) < FEWEST_TASKS:
        return None
    scored = {suite: scores.rows("all", "all") for suite, scores in suites.items()}
    names = dict.fromkeys(name for rows in scored.values() for name in rows["architecture"])
    table, notes = [], []
    for name in names:
        asked = [rows[rows["architecture"] == name] for rows in scored.values()]
        if any(rows.empty for rows in asked):
            continue
        middle = interquartile_mean([list(rows["correct"] / rows["total"]) for rows in asked])
        seeds = sorted({len(rows) for rows in asked})
        seeds_text = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
        table.append([Entry(text=name), share_entry(middle), Entry(text=seeds_text, value=seeds[0])])
        notes.append(middle.note)
    if not table:
        return None
    listed = ", ".join(suites)
    explained = (
        f"Mean of the middle half of all scores, one a seed of each of {len(suites)} suites ({listed}), with the 95 % "
        f"interval of a bootstrap stratified by suite (Agarwal et al. 2021)."
    )
    others = [f"{note[0].upper()}{note[1:]}." for note in dict.fromkeys(notes) if note != BOOTSTRAP]
    return Table(
        title=TITLE, columns=["architecture", "exact match %", "seeds a suite"], rows=table, notes=[explained, *others]
    )
