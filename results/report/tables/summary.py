"""The summary of a report, one row an architecture, and the same in short."""

from collections.abc import Mapping
from operator import attrgetter
from types import MappingProxyType

from bench.results.records.record import Record
from bench.results.report.table import Column, Note, Table, Value, figures, number_value, words
from bench.results.report.tables.notes import Shares, estimate_notes, label, mark_notes, time_notes
from bench.results.statistics.scores import Scores

SCORES_NOTE = Note(
    "Exact match counts the answers whose every symbol is right. The mean over strata weighs every stratum alike: one "
    "operation, digit pattern, pair of signs and number of decimal places. Digits right counts digits at their place."
)
COSTS_NOTE = (
    "Times, rates and memory are medians over seeds. FLOPs count matrix products only, {counted}. decode/s counts the "
    "problems answered a second. The decoding state is what a model keeps in memory while it answers one problem."
)
TIER_NOTE = Note(
    "Two architectures share a letter of their tiers where they cannot be told apart: p is 0.05 or more after Holm "
    "over all pairs. Those with an `a` cannot be told from the best.",
    "tier",
)
BASELINES_NOTE = Note(
    "The calculator is right by definition. `nearest` answers as the one among the first 100,000 distinct training "
    "examples whose prompt differs in fewest symbols. Neither is a model: they bound every figure from above and below."
)
COSTS = {
    "examples": ("examples", 0),
    "all_flops": ("FLOPs", 0),
    "train_seconds": ("train s", 1),
    "tokens_per_second": ("tokens/s", 0),
    "examples_per_second": ("examples/s", 0),
    "decode_problems_per_second": ("decode/s", 0),
    "peak_memory_mb": ("peak MB", 1),
    "state_bytes": ("decoding state, bytes", 0),
    "weight_bits": ("bits/weight", 1),
}
"""Field of a record, and key of its column -> label, decimals."""
TIMED = ("train_seconds", "tokens_per_second", "examples_per_second", "decode_problems_per_second")
"""Those that mean little where the machine was shared."""
IN_SHORT = {
    "train_seconds": "training, seconds",
    "examples_per_second": "training examples a second",
    "peak_memory_mb": "peak memory, MB",
}
"""Column of the summary -> what the short one calls it; that of exact match has the same name in both."""


def summary(scores: Scores, tiers: Mapping[str, str] = MappingProxyType({})) -> Table:
    """One row an architecture, the one that is right most often first. Scores are across seeds; times, rates and memory
    are medians over seeds. `tiers`: architecture -> its letters, as `tiers_of` gives them.
    """
    n = scores.asked("all", "all") if scores.records else None
    rows, shares = {}, Shares()
    for name in best_first(scores):
        planned = scores.planned[name]
        done = len(scores.of(name))
        seeds = Value(str(done) if done == len(planned) else f"{done} of {len(planned)}", value=done)
        rows[name] = {"architecture": Value(label(scores, name)), "seeds": seeds}
        rows[name] |= _costs(scores, name) if done else {}
        rows[name] |= {"tier": Value(tiers[name])} if name in tiers else {}
    for name in scores.baseline_names:
        asked = scores.baselines.loc[scores.baselines["architecture"] == name, "seed"].nunique()
        rows[name] = {"architecture": Value(name), "seeds": number_value(asked)}
    for name in [*scores.architectures, *scores.baseline_names]:
        rows[name]["exact_match"] = shares.right(scores, name, "all", "all")
        rows[name]["mean over strata %"] = shares.show(scores.mean_over_strata(name), n)
        if name in scores.architectures:
            rows[name]["digits right %"] = shares.show(scores.digits_right(name), n)
    notes = [
        *shares.notes(),
        *([TIER_NOTE] if tiers else []),
        SCORES_NOTE,
        Note(COSTS_NOTE.format(counted=_counted(scores))),
        *time_notes(scores),
        *([BASELINES_NOTE] if scores.baseline_names else []),
        *mark_notes(scores, scores.architectures),
    ]
    exact_match = Column("exact_match", "exact match %" + (f" (n = {n:,})" if n is not None else ""))
    columns = [
        *words("architecture"),
        exact_match,
        *(words("tier") if tiers else []),
        *figures("mean over strata %", "digits right %", "seeds", "parameters"),
    ]
    columns += [Column(field, title) for field, (title, _) in COSTS.items()]
    return Table(key="summary", title="Summary", columns=columns, rows=rows, notes=notes)


def best_first(scores: Scores) -> list[str]:
    """All architectures: by exact match, the best first, and last those of which no seed has ended."""
    right = {name: scores.share_right(name, "all", "all").mean for name in scores.architectures}
    return sorted(scores.planned, key=lambda name: -right.get(name, -1.0))


def _costs(scores: Scores, name: str) -> dict[str, Value]:
    """What an architecture with a finished cell used, by column."""
    shared, machines = not all(record.exclusive for record in scores.of(name)), scores.machine_marks(scores.of(name))
    costs = {"parameters": parameters_value(scores.of(name)[0])}
    for field, (_, decimals) in COSTS.items():
        median = scores.median(name, attrgetter(field))
        timed, power = field in TIMED, field == "all_flops"
        costs[field] = number_value(median, decimals, power, shared and timed, machines if timed else "")
    return costs


def _counted(scores: Scores) -> str:
    """The matrix products that FLOPs count."""
    if all(record.optimizer_flops is None for record in scores.records):
        return "forward and backward"
    return "forward, backward and the optimizer's"


def parameters_value(record: Record) -> Value:
    text = f"{record.parameters:,}"
    if record.active_parameters != record.parameters:
        text += f" ({record.active_parameters:,} active)"
    return Value(text, value=record.parameters)


def ending(scores: Scores, tiers: Mapping[str, str]) -> Table:
    """What the end of a run shows of the summary, with the problems of one kind that are answered least often right."""
    whole = summary(scores, tiers)
    hardest = _hardest(scores)
    columns = [*words("architecture"), whole.column("exact_match"), *([whole.column("tier")] if tiers else [])]
    columns += (
        [Column("hardest", f"{hardest} % (n = {scores.asked('operation x digits', hardest):,})")] if hardest else []
    )
    columns += [whole.column(key) for key in ("train_seconds", "peak_memory_mb")]
    rows = {}
    for name, row in whole.rows.items():
        rows[name] = {column.key: row[column.key] for column in columns if column.key in row}
        if hardest and (name in scores.architectures or name in scores.baseline_names):
            rows[name]["hardest"] = Shares().right(scores, name, "operation x digits", hardest)
    return Table(key="ending", title="", columns=columns, rows=rows)


def _hardest(scores: Scores) -> str | None:
    """The operation and digits that all architectures together answer least often right; None where there is one."""
    kinds = scores.values("operation x digits") if scores.architectures else []
    right = {
        kind: sum(scores.share_right(name, "operation x digits", kind).mean for name in scores.architectures)
        for kind in kinds
    }
    return min(right, key=lambda kind: right[kind]) if len(right) > 1 else None


def summary_in_short(scores: Scores, tiers: Mapping[str, str]) -> Table:
    """The architectures with a finished cell; of the summary few columns."""
    whole = summary(scores, tiers)
    right = [scores.share_right(name, "all", "all") for name in scores.architectures]
    columns = [*words("architecture"), whole.column("exact_match"), *([whole.column("tier")] if tiers else [])]
    columns += [Column(key, title) for key, title in IN_SHORT.items()]
    rows = {
        name: {column.key: row[column.key] for column in columns if column.key in row}
        for name, row in whole.rows.items()
        if name in scores.architectures
    }
    notes = [*estimate_notes(right, asked=False), *whole.noted("tier", "shared", "machines")]
    return Table(key="summary-in-short", title="Summary, the best first", columns=columns, rows=rows, notes=notes)
