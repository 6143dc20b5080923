"""The summary of a report, the cells without a result, and the summary in short, best first."""

from collections.abc import Callable

from bench.results.records.record import Record
from bench.results.report.table import (
    ARCHITECTURE,
    Column,
    Note,
    Table,
    Value,
    number_value,
    share_value,
)
from bench.results.report.tables.notes import (
    DIVERGED_NOTE,
    SHARED_NOTE,
    UNSEEN_NOTE,
    estimate_notes,
    label,
    mark_notes,
)
from bench.results.statistics.scores import Scores

SCORES_NOTE = Note(
    "Exact match counts the answers whose every symbol is right. The mean over strata weighs every stratum alike: one "
    "operation, digit pattern, pair of signs and number of decimal places. Digits right counts digits at their place."
)
COSTS_NOTE = Note(
    "Times, rates and memory are medians over seeds. FLOPs count matrix products only, forward and backward. decode/s "
    "counts the problems answered a second. The decoding state is what a model keeps in memory while it answers one "
    "problem."
)
BASELINES_NOTE = Note(
    "The calculator is right by definition. `nearest` answers as the one among the first 100,000 distinct training "
    "examples whose prompt differs in fewest symbols. Neither is a model: they bound every figure from above and below."
)
IN_SHORT = {
    "exact_match": "exact match %",
    "train_seconds": "training, seconds",
    "examples_per_second": "training examples a second",
    "peak_memory": "peak memory, MB",
}
"""Column of the summary -> what the short one calls it."""


def summary(scores: Scores) -> Table:
    """One row an architecture. Scores are across seeds; times, rates and memory are medians over seeds."""
    n = scores.asked("all", "all") if scores.records else None
    columns = [
        ARCHITECTURE,
        Column("exact_match", "exact match %" + (f" (n = {n:,})" if n is not None else "")),
        Column("mean_over_strata", "mean over strata %"),
        Column("digits_right", "digits right %"),
        Column("seeds", "seeds"),
        Column("parameters", "parameters"),
        Column("examples", "examples"),
        Column("flops", "FLOPs"),
        Column("train_seconds", "train s"),
        Column("tokens_per_second", "tokens/s"),
        Column("examples_per_second", "examples/s"),
        Column("decode_per_second", "decode/s"),
        Column("peak_memory", "peak MB"),
        Column("decoding_state", "decoding state, bytes"),
        Column("weight_bits", "bits/weight"),
    ]
    rows, estimates, unseen = {}, [], False
    for name, planned in scores.planned.items():
        done = len(scores.of(name))
        seeds = Value(str(done) if done == len(planned) else f"{done} of {len(planned)}", value=done)
        rows[name] = {"architecture": Value(label(scores, name)), "seeds": seeds}
        if done:
            rows[name] |= _costs(scores, name)
    for name in scores.baseline_names:
        asked = scores.baselines.loc[scores.baselines["architecture"] == name, "seed"].nunique()
        rows[name] = {"architecture": Value(name), "seeds": number_value(asked)}
    for name in [*scores.architectures, *scores.baseline_names]:
        whole = scores.all_unseen(name)
        right, strata = scores.share_right(name, "all", "all", whole), scores.mean_over_strata(name)
        rows[name] |= {"exact_match": share_value(right, n, whole), "mean_over_strata": share_value(strata, n)}
        estimates += [right, strata]
        if name in scores.architectures:
            digits = scores.digits_right(name)
            rows[name]["digits_right"] = share_value(digits, n)
            estimates.append(digits)
        unseen |= whole
    notes = [
        *estimate_notes(estimates),
        *([UNSEEN_NOTE] if unseen else []),
        SCORES_NOTE,
        COSTS_NOTE,
        *([SHARED_NOTE] if not all(record.exclusive for record in scores.records) else []),
        *([BASELINES_NOTE] if scores.baseline_names else []),
        *mark_notes(scores, scores.architectures),
    ]
    return Table(key="summary", title="Summary", columns=columns, rows=rows, notes=notes)


def _costs(scores: Scores, name: str) -> dict[str, Value]:
    """What an architecture with a finished cell used, by column."""
    shared = not all(record.exclusive for record in scores.of(name))

    def cost(figure: Callable[[Record], float | None], decimals: int = 0, timed: bool = False) -> Value:
        return number_value(scores.median(name, figure), decimals, shared=timed and shared)

    return {
        "parameters": parameters_value(scores.of(name)[0]),
        "examples": cost(lambda record: record.examples),
        "flops": number_value(scores.median(name, lambda record: record.flops), power=True),
        "train_seconds": cost(lambda record: record.train_seconds, decimals=1, timed=True),
        "tokens_per_second": cost(lambda record: record.tokens_per_second, timed=True),
        "examples_per_second": cost(lambda record: record.examples_per_second, timed=True),
        "decode_per_second": cost(lambda record: record.decode_problems_per_second, timed=True),
        "peak_memory": cost(lambda record: record.peak_memory_mb, decimals=1),
        "decoding_state": cost(lambda record: record.state_bytes),
        "weight_bits": cost(lambda record: record.weight_bits, decimals=1),
    }


def parameters_value(record: Record) -> Value:
    text = f"{record.parameters:,}"
    if record.active_parameters != record.parameters:
        text += f" ({record.active_parameters:,} active)"
    return Value(text, value=record.parameters)


def summary_in_short(scores: Scores) -> Table:
    """The architectures with a finished cell, by exact match, the best first; of the summary the columns `IN_SHORT`."""
    whole = summary(scores)
    best_first = sorted(scores.architectures, key=lambda name: -scores.share_right(name, "all", "all").mean)
    return Table(
        key="summary-in-short",
        title="Summary, the best first",
        columns=[ARCHITECTURE, *(Column(key, title) for key, title in IN_SHORT.items())],
        rows={name: {key: whole.rows[name][key] for key in ("architecture", *IN_SHORT)} for name in best_first},
        notes=whole.noted("interval", "no interval", "shared"),
    )


def unfinished(scores: Scores) -> Table | None:
    """The cells that have no result, and why."""
    if not scores.unfinished:
        return None
    return Table(
        key="unfinished",
        title="Cells without a result",
        columns=[Column(key, key, left=True) for key in ("cell", "status", "reason")],
        rows={
            f"{name} seed {seed}": {
                "cell": Value(f"{name} seed {seed}"),
                "status": Value(status),
                "reason": Value(reason),
            }
            for name, seed, status, reason in scores.unfinished
        },
        notes=[DIVERGED_NOTE] if scores.diverged else [],
    )
