"""The tables of a report: what stands where, in which words. How they look is `report`'s matter.

Every figure comes from `Scores`, that is from records and predictions on disk.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import isinf
from typing import Any

from bench.results.records.record import Record
from bench.results.report.table import NO_VALUE, SHARED, Entry, Table, number_entry, share_entry
from bench.results.statistics.comparable import SHOWN_HASH
from bench.results.statistics.estimates import ALL_EQUAL, ALL_UNSEEN, ONE_SEED, Estimate, shares_across_seeds
from bench.results.statistics.learning import BEYOND, COSTS, LEVELS, RESOLUTION, learning
from bench.results.statistics.scores import Scores

BUDGET_TOLERANCE = 0.01
"""A budget missed by a larger share is marked."""
SHARED_NOTE = f"{SHARED} the machine was shared while this was measured (exclusive = no)."
DIVERGED_NOTE = (
    "A seed that diverged counts as none right in every score of its architecture, and is in no time, rate or memory."
)
BASELINES_NOTE = (
    "calculator: right by definition. nearest: answers as the one among the first 100,000 distinct training examples "
    "whose prompt differs in fewest symbols. Neither is a model: they bound every figure from above and below."
)


def all_tables(scores: Scores) -> list[Table]:
    """The tables of a report, in order. Tables that have nothing to say are left out."""
    tables = [summary(scores), unfinished(scores)]
    if scores.records:
        tables += [by_operation(scores), *by_digits(scores), by_signs(scores), few_problems(scores)]
        tables.append(by_workings(scores))
        tables += [by_places(scores), by_range(scores), seen_digits(scores), how_fast(scores), audit(scores)]
    said: set[str] = set()
    kept = []
    for table in tables:
        if table is not None:
            # What a note explains holds for the tables below it too: once is enough.
            kept.append(replace(table, notes=[note for note in table.notes if note not in said]))
            said.update(table.notes)
    return kept


def summary(scores: Scores) -> Table:
    """Table (a): one row an architecture. Scores are across seeds; times, rates and memory are medians over seeds."""
    columns = [
        "architecture",
        f"exact match %{_n(scores, 'all', 'all')}",
        "mean over strata %",
        "digits right %",
        "seeds",
    ]
    costs = ["parameters", "examples", "FLOPs", "train s", "tokens/s", "examples/s", "decode/s", "peak MB", "state B"]
    costs.append("bits/weight")
    columns += costs
    rows, estimates, shared = [], [], False
    for name, planned in scores.planned.items():
        done = scores.of(name)
        seeds = Entry(text=str(len(planned)) if len(done) == len(planned) else f"{len(done)} of {len(planned)}")
        seeds = replace(seeds, value=len(done))
        if not done:
            rows.append([Entry(text=name), *[Entry(text=NO_VALUE)] * 3, seeds, *[Entry(text=NO_VALUE)] * len(costs)])
            continue
        unseen = scores.all_unseen(name)
        right = scores.share_right(name, "all", "all", unseen)
        shares = [right, scores.mean_over_strata(name), scores.digits_right(name)]
        estimates += shares
        alone = all(record.exclusive for record in done)
        shared |= not alone
        median = partial(scores.median, name)
        rows.append(
            [
                Entry(text=label(done)),
                share_entry(right, scores.asked("all", "all"), unseen),
                *[share_entry(share, scores.asked("all", "all")) for share in shares[1:]],
                seeds,
                _parameters(done[0]),
                number_entry(median(lambda record: record.examples)),
                number_entry(median(lambda record: record.flops), power=True),
                number_entry(median(lambda record: record.train_seconds), alone, decimals=1),
                number_entry(median(lambda record: record.tokens_per_second), alone),
                number_entry(median(lambda record: record.examples_per_second), alone),
                number_entry(median(lambda record: record.decode_problems_per_second), alone),
                number_entry(median(lambda record: record.peak_memory_mb), decimals=1),
                number_entry(median(lambda record: record.state_bytes)),
                number_entry(median(lambda record: record.weight_bits), decimals=1),
            ]
        )
    for name in scores.baseline_names:
        whole = scores.all_unseen(name)
        right, strata = scores.share_right(name, "all", "all", whole), scores.mean_over_strata(name)
        estimates += [right, strata]
        n = scores.asked("all", "all")
        rows.append([Entry(text=name), share_entry(right, n, whole), share_entry(strata, n), Entry(text=NO_VALUE)])
        asked = scores.baselines.loc[scores.baselines["architecture"] == name, "seed"].nunique()
        rows[-1] += [Entry(text=str(asked), value=asked), *[Entry(text=NO_VALUE)] * len(costs)]
    notes = [
        *estimate_notes(estimates),
        "Times, rates and memory: medians over seeds. FLOPs: matrix products only, forward and backward. "
        "state B: bytes that decoding keeps for one problem.",
        *([SHARED_NOTE] if shared else []),
        *([BASELINES_NOTE] if scores.baseline_names else []),
        *marks(scores, scores.architectures),
    ]
    return Table(title="Summary", columns=columns, rows=rows, notes=notes)


def unfinished(scores: Scores) -> Table | None:
    """The cells that have none, and why."""
    if not scores.unfinished:
        return None
    rows = [
        [Entry(text=f"{name} seed {seed}"), Entry(text=status), Entry(text=reason)]
        for name, seed, status, reason in scores.unfinished
    ]
    columns = ["cell", "status", "reason"]
    return Table(
        title="Cells without a result",
        columns=columns,
        rows=rows,
        notes=[DIVERGED_NOTE] if scores.diverged else [],
        left=frozenset({0, 1, 2}),
    )


def by_operation(scores: Scores) -> Table:
    """Table (b): exact match by operation."""
    return _by_value(scores, "Exact match %, by operation", "operation", lambda value: {"operation": value})


def by_signs(scores: Scores) -> Table:
    """Table (d): exact match by the signs of both operands."""
    return _by_value(scores, "Exact match %, by signs of a and b", "signs", lambda value: {"signs": value})


def by_places(scores: Scores) -> Table | None:
    """Exact match by decimal places, where the suite has more than one number of them."""
    if len(scores.values("places")) < 2:
        return None
    return _by_value(scores, "Exact match %, by decimal places", "places", lambda value: {"places": int(value)})


def by_range(scores: Scores) -> Table | None:
    """Exact match inside and beyond the patterns trained on, where the suite tests both."""
    if len(scores.values("range")) < 2:
        return None
    return _by_value(scores, "Exact match %, patterns trained on and beyond", "range")


def by_digits(scores: Scores) -> list[Table]:
    """Tables (c): exact match by digit pattern, one grid an architecture."""
    patterns = scores.values("digits")
    a_digits, b_digits = (sorted({int(pattern.split("x")[side]) for pattern in patterns}) for side in (0, 1))
    tables = []
    # The calculator's grid would say nothing: it is right everywhere.
    for name in [*scores.architectures, *(name for name in scores.baseline_names if name != "calculator")]:
        rows, estimates = [], []
        for a in a_digits:
            row = [Entry(text=str(a))]
            for b in b_digits:
                pattern = f"{a}x{b}"
                if pattern not in patterns:
                    row.append(Entry(text=NO_VALUE))
                    continue
                whole = scores.all_unseen(name, digits=pattern)
                share = scores.share_right(name, "digits", pattern, whole)
                estimates.append(share)
                row.append(share_entry(share, scores.asked("digits", pattern), whole, show_n=True))
            rows.append(row)
        title = f"Exact match %, digits of a (rows) x digits of b (columns): {_label(scores, name)}"
        columns = ["digits of a", *(f"b: {b}" for b in b_digits)]
        tables.append(Table(title=title, columns=columns, rows=rows, notes=estimate_notes(estimates)))
    return tables


def few_problems(scores: Scores) -> Table | None:
    """The patterns with so few distinct problems that a stratum, or all of them, are asked whole.

    Sign variants of one pair of magnitudes count once: they are not independent of each other.
    """
    rows = []
    for value in scores.values("operation x digits"):
        operation, digits = value.split(" ")
        whole, strata = scores.exhaustive(operation=operation, digits=digits)
        if not whole:
            continue
        distinct, asked = scores.distinct(operation, digits), scores.asked("operation x digits", value)
        cover = f"all {distinct:,} of the test split" if whole == strata else f"{whole} of {strata} strata whole"
        rows.append(
            [
                Entry(text=value),
                Entry(text=f"{distinct:,}", value=distinct),
                Entry(text=f"{asked:,}", n=asked),
                Entry(text=cover),
            ]
        )
    if not rows:
        return None
    return Table(
        title="Patterns with few distinct problems",
        columns=["pattern", "distinct", "asked", "what the test set holds"],
        rows=rows,
        notes=[
            "Distinct: pairs of magnitudes. Their sign variants are asked too, and are not independent of each other."
        ],
        left=frozenset({0, 3}),
    )


def by_workings(scores: Scores) -> Table | None:
    """How answers and workings go together, where the suite's answers have workings."""
    if any("workings_right" not in predictions for predictions in scores.predictions.values()):
        return None
    asked, rows, estimates = scores.asked("all", "all"), [], []
    for name in scores.architectures:
        of_seeds: list[list[float]] = []
        for seed in scores.seeds(name):
            predictions = scores.predictions[name, seed]
            of_test = predictions[predictions["split"] == "test"]
            right, workings = of_test["right"] == 1, of_test["workings_right"] == 1
            kinds = (right, workings & right, workings, right & ~workings, workings & ~right)
            of_seeds.append([float(kind.mean()) for kind in kinds])
        shares = [shares_across_seeds(list(of_kind)) for of_kind in zip(*of_seeds, strict=True)]
        estimates += shares
        rows.append([Entry(text=label(scores.of(name))), *(share_entry(share, asked) for share in shares)])
    columns = ["architecture", "answer (exact match)", "answer and workings", "workings"]
    return Table(
        title=f"Answers and their workings, % right (n = {asked:,})",
        columns=[*columns, "answer alone", "workings alone"],
        rows=rows,
        notes=[
            "Exact match looks at the answer, behind the workings. Answer alone: right behind wrong workings.",
            *estimate_notes(estimates),
        ],
    )


def seen_digits(scores: Scores) -> Table | None:
    """Exact match on problems of the training split: who asks for 1 + 1 means those too."""
    values = scores.values("seen digits")
    if not values:
        return None
    names = [*scores.architectures, *scores.baseline_names]
    rows, estimates = [], []
    for value in values:
        asked = scores.asked("seen digits", value)
        shares = [scores.share_right(name, "seen digits", value) for name in names]
        estimates += shares
        cells = [share_entry(share, asked) for share in shares]
        rows.append([Entry(text=value), Entry(text=f"{asked:,}", value=asked), *cells])
    return Table(
        title="Exact match % on problems of the training split (`seen digits`; in no other figure)",
        columns=["digits", "n", *(_label(scores, name) for name in names)],
        rows=rows,
        notes=estimate_notes(estimates),
    )


def how_fast(scores: Scores) -> Table:
    """The share of seeds that solved the suite, and what it took to get 90 and 99 % of validation right."""
    columns = ["architecture", "seeds with 99 % in the end"]
    columns += [f"{cost} to {100 * level:.0f} %" for level in LEVELS for cost in ("examples", "train s", "FLOPs")]
    rows = []
    for name in scores.architectures:
        learnt = learning(scores, name)
        row = [Entry(text=label(scores.of(name)))]
        if learnt.solved is None:
            row.append(Entry(text=NO_VALUE))
        else:
            share = share_entry(learnt.solved)
            solved = round(learnt.solved.mean * learnt.solved.n)
            row.append(replace(share, text=f"{solved} of {learnt.solved.n} {share.text[share.text.index('[') :]}"))
        for level in LEVELS:
            for cost in COSTS:
                reached = learnt.reached[level, cost]
                if isinf(reached):
                    row.append(Entry(text=BEYOND, value=reached))
                else:
                    decimals = 1 if cost == "train_seconds" else 0
                    alone = cost != "train_seconds" or all(record.exclusive for record in scores.of(name))
                    row.append(number_entry(reached, alone, decimals=decimals, power=cost == "flops"))
        rows.append(row)
    notes = ["Seeds that solved it: share in % with its 95 % Wilson interval over seeds.", RESOLUTION]
    if not all(record.exclusive for record in scores.records):
        notes.append(SHARED_NOTE)
    return Table(title="Solved, and how fast", columns=columns, rows=rows, notes=notes)


def audit(scores: Scores) -> Table:
    """What each cell used and met: the proof that the comparison is fair, or where it is not."""
    columns = ["cell", "budget", "missed by", "parameters", "examples", "distinct", "tokens", "steps", "FLOPs"]
    columns += ["train s", "exclusive", "data", "test", "tuned for"]
    rows = []
    for record in scores.records:
        deviation = record.budget_deviation or 0.0
        rows.append(
            [
                Entry(text=f"{record.architecture} seed {record.seed}"),
                Entry(text=record.budget),
                Entry(text=f"{100 * deviation:+.2f} %" if deviation else "0", value=deviation),
                _parameters(record),
                number_entry(record.examples),
                number_entry(record.unique_problems),
                number_entry(record.tokens),
                number_entry(record.steps),
                number_entry(record.flops, power=True),
                number_entry(record.train_seconds, record.exclusive, decimals=1),
                Entry(text="yes" if record.exclusive else "no"),
                Entry(text=str(record.data_hash)[:SHOWN_HASH]),
                Entry(text=str(record.test_hash)[:SHOWN_HASH]),
                Entry(text="this" if record.tuned else record.preset or "nothing"),
            ]
        )
    return Table(
        title="Audit: what each cell used, and on which data",
        columns=columns,
        rows=rows,
        notes=[
            "data, test: the first digits of data_hash and test_hash. Equal data of a seed: the same problems in the "
            "same order. `python -m bench verify RUN` recomputes all of it."
        ],
        left=frozenset({0, 1, 10, 11, 12, 13}),
        detail=True,
    )


def label(done: list[Record]) -> str:
    """An architecture's name as every table shows it, with the marks that its figures need."""
    marks = [" !"] if not all(record.tuned for record in done) else []
    if any(record.match == "unequal" for record in done):
        marks.append(" (unequal)")
    if deviations := [deviation for record in done if (deviation := _missed_budget(record))]:
        marks.append(f" (budget {100 * max(deviations, key=abs):+.1f} %)")
    return done[0].architecture + "".join(marks)


def _label(scores: Scores, name: str) -> str:
    """The label of an architecture, or a baseline's name."""
    return name if name in scores.baseline_names else label(scores.of(name))


def _by_value(
    scores: Scores, title: str, slice_name: str, facts: Callable[[str], dict[str, Any]] | None = None
) -> Table:
    """One row an architecture, one column a value; `facts` of the strata of a value, where it is made of whole ones."""
    values = scores.values(slice_name)
    rows, estimates = [], []
    for name in [*scores.architectures, *scores.baseline_names]:
        unseen = {value: facts is not None and scores.all_unseen(name, **facts(value)) for value in values}
        shares = [scores.share_right(name, slice_name, value, unseen[value]) for value in values]
        estimates += shares
        cells = [
            share_entry(share, scores.asked(slice_name, value), unseen[value])
            for share, value in zip(shares, values, strict=True)
        ]
        rows.append([Entry(text=_label(scores, name)), *cells])
    columns = ["architecture", *(f"{value}{_n(scores, slice_name, value)}" for value in values)]
    return Table(title=title, columns=columns, rows=rows, notes=estimate_notes(estimates))


def _n(scores: Scores, slice_name: str, value: str) -> str:
    return f" (n = {scores.asked(slice_name, value):,})" if scores.records else ""


def _parameters(record: Record) -> Entry:
    text = f"{record.parameters:,}"
    if record.active_parameters != record.parameters:
        text += f" ({record.active_parameters:,} active)"
    return Entry(text=text, value=record.parameters)


def _missed_budget(record: Record) -> float | None:
    """How far off its budget a cell ended, if that is far enough to be marked."""
    deviation = record.budget_deviation
    return deviation if deviation is not None and abs(deviation) > BUDGET_TOLERANCE else None


def marks(scores: Scores, names: Sequence[str]) -> list[str]:
    """What the marks behind the names of architectures mean, where there are any."""
    notes = []
    for name in names:
        done = scores.of(name)
        if not all(record.tuned for record in done):
            presets = sorted({record.preset or "nothing" for record in done})
            notes.append(f"! {name}: not tuned for this (its settings were tuned for: {'; '.join(presets)}).")
        if any(record.match == "unequal" for record in done):
            notes.append(f"unequal: {name} was not fitted to the number of parameters asked.")
        for record in done:
            if deviation := _missed_budget(record):
                why = f", {record.reason}" if record.reason else ""
                missed = f"missed the budget {record.budget} by {100 * deviation:+.1f} %"
                notes.append(f"budget: {name} seed {record.seed} {missed}{why}.")
    return notes


def estimate_notes(estimates: Sequence[Estimate], asked: bool = True) -> list[str]:
    """Which intervals a table shows and which it cannot, in words, once each; `asked`: it shows n."""
    seeds = sorted({estimate.n for estimate in estimates if estimate.unit == "seeds" and estimate.low is not None})
    notes = []
    if seeds:
        counts = " or ".join(map(str, seeds))
        n = " n: problems asked, per seed." if asked else ""
        notes.append(f"Mean over {counts} seeds with a 95 % t interval: the seed is the unit.{n}")
    for note in dict.fromkeys(estimate.note for estimate in estimates):
        if note == ONE_SEED:
            notes.append(
                "One seed, or one set of predictions: 95 % Wilson interval over the problems asked. It says nothing of "
                "other seeds, and is rather too narrow, since sign variants of one problem are not independent."
            )
        elif note == ALL_EQUAL:
            notes.append("No interval where all seeds scored the same.")
        elif note == ALL_UNSEEN:
            notes.append("No interval where one seed was asked all unseen problems there are: nothing was sampled.")
        elif note:
            notes.append(f"{note[0].upper()}{note[1:]} (that takes 3 seeds).")
    return notes
