"""The table of learning: the share of seeds that solved the suite, and what it took to get 90 and 99 % right."""

from dataclasses import replace
from math import isinf

from bench.results.report.table import NO_VALUE, Column, Note, Table, Value, number_value, share_value, words
from bench.results.report.tables.notes import label, time_notes
from bench.results.statistics.learning import COSTS, LEVELS, Learning, learning
from bench.results.statistics.scores import Scores

LABELS = {"examples": "examples", "train_seconds": "train s", "flops": "FLOPs"}
BEYOND = "beyond the budget"
"""How a median of infinity reads."""
SOLVED_NOTE = Note("The share of seeds that solved it is in %, with its 95 % Wilson interval over seeds.", "solved")
REACHED_NOTE = Note(
    "`to 90 %` and `to 99 %` count what was used up to the first validation with that share right or more; there are "
    "20 validations, at even points of the budget. Figures are medians over all seeds, where a miss counts as beyond "
    "the budget. A point on a curve is not what a smaller budget gives: the schedule had not ended.",
    "reached",
)


def by_learning(scores: Scores, all_levels: bool = False) -> Table:
    """One row an architecture. A level that none reached has no columns, but a note, unless `all_levels` are wanted."""
    of_each = {name: learning(scores, name) for name in scores.architectures}
    levels = [
        level
        for level in LEVELS
        if all_levels or not all(isinf(one.reached[level, COSTS[0]]) for one in of_each.values())
    ]
    columns = [*words("architecture"), Column("solved", "seeds with 99 % in the end")]
    columns += [
        Column(reached_key(cost, level), f"{LABELS[cost]} to {100 * level:.0f} %") for level in levels for cost in COSTS
    ]
    rows = {}
    for name, learnt in of_each.items():
        shared, machines = (
            not all(record.exclusive for record in scores.of(name)),
            scores.machine_marks(scores.of(name)),
        )
        rows[name] = {"architecture": Value(label(scores, name)), "solved": _solved(learnt)}
        for (level, cost), reached in learnt.reached.items():
            if level not in levels:
                continue
            timed = cost == "train_seconds"
            rows[name][reached_key(cost, level)] = (
                Value(BEYOND, value=reached)
                if isinf(reached)
                else number_value(reached, int(timed), cost == "flops", timed and shared, machines if timed else "")
            )
    notes = [SOLVED_NOTE, *([REACHED_NOTE] if levels else []), *time_notes(scores)]
    if missed := [f"{100 * level:.0f} %" for level in LEVELS if level not in levels]:
        notes.insert(1, Note(f"None reached {' or '.join(missed)} within the budget (median over seeds)."))
    return Table(key="learning", title="Solved, and how fast", columns=columns, rows=rows, notes=notes)


def reached_key(cost: str, level: float) -> str:
    """The key of the column that says how much of a cost, of `COSTS`, it took to a level, of `LEVELS`."""
    return f"{cost} to {level}"


def _solved(learnt: Learning) -> Value:
    if learnt.solved is None:
        return Value(NO_VALUE)
    share, seeds = share_value(learnt.solved), learnt.solved.n
    return replace(share, text=f"{round(learnt.solved.mean * seeds)} of {seeds} [{share.low:.1f}, {share.high:.1f}]")
