"""What several tables share: the marks of an architecture, shares of right answers, and the notes that these need."""

from collections.abc import Sequence

from bench.results.records.record import Record
from bench.results.report.table import SHARED, Note, Value, share_value
from bench.results.statistics.estimates import ALL_EQUAL, ALL_UNSEEN, FEWEST_SEEDS, ONE_SEED, Estimate
from bench.results.statistics.scores import Scores

BUDGET_TOLERANCE = 0.01
"""A budget missed by a larger share is marked."""
SHARED_NOTE = Note(
    f"{SHARED} marks what was measured while other work shared the machine (exclusive = no): it means little.", "shared"
)
DIVERGED_NOTE = Note(
    "A seed that diverged counts as none right in every score of its architecture. Times, rates and memory leave it "
    "out."
)
UNSEEN_NOTE = Note(f"`{ALL_UNSEEN}`: the test set holds all problems of this kind that the test split has.")
ESTIMATE_NOTES = {
    ONE_SEED: Note(
        "Of one seed, or one set of predictions, the interval is a 95 % Wilson interval over the problems asked. It "
        "says nothing of other seeds. It is rather too narrow, since sign variants of one problem are not independent.",
        "interval",
    ),
    ALL_EQUAL: Note("There is no interval where all seeds scored the same.", "no interval"),
    ALL_UNSEEN: Note(
        "There is no interval where one seed was asked all unseen problems: nothing was sampled.", "no interval"
    ),
}
"""`note` of an estimate -> what a table says."""


def time_notes(scores: Scores) -> list[Note]:
    """The notes that a table of times needs."""
    notes = [] if all(record.exclusive for record in scores.records) else [SHARED_NOTE]
    if len(scores.machines) > 1:
        named = "; ".join(f"{mark.strip()} {name}" for name, mark in scores.machines.items())
        notes.append(Note(f"Times are of {len(scores.machines)} machines, marked behind each: {named}.", "machines"))
    return notes


class Shares:
    """The shares that one table shows, and the notes that these need."""

    def __init__(self) -> None:
        self.estimates: list[Estimate] = []
        self.unseen = False

    def show(self, share: Estimate, n: int | None = None, whole: bool = False, show_n: bool = False) -> Value:
        """As `share_value`."""
        self.estimates.append(share)
        self.unseen |= whole
        return share_value(share, n, whole, show_n)

    def right(self, scores: Scores, name: str, slice_name: str, value: str, show_n: bool = False) -> Value:
        """Exact match of an architecture or a baseline on one value of a slice."""
        whole = scores.all_unseen(name, slice_name, value)
        return self.show(scores.share_right(name, slice_name, value), scores.asked(slice_name, value), whole, show_n)

    def notes(self) -> list[Note]:
        return [*estimate_notes(self.estimates), *([UNSEEN_NOTE] if self.unseen else [])]


def label(scores: Scores, name: str) -> str:
    """A name as every table shows it: an architecture's with the marks that its figures need, a baseline's as it is."""
    done = scores.of(name)
    marks = [" !"] if not all(record.tuned for record in done) else []
    if any(record.match == "unequal" for record in done):
        marks.append(" (unequal)")
    if deviations := [deviation for record in done if (deviation := _missed_budget(record))]:
        marks.append(f" (budget {100 * max(deviations, key=abs):+.1f} %)")
    return name + "".join(marks)


def mark_notes(scores: Scores, names: Sequence[str]) -> list[Note]:
    """What the marks behind the names of architectures mean, where there are any."""
    notes = []
    for name in names:
        done = scores.of(name)
        if not all(record.tuned for record in done):
            presets = sorted({record.preset or "nothing" for record in done})
            text = f"! {name} was not tuned for this (its settings were tuned for: {'; '.join(presets)})."
            notes.append(Note(text, "not tuned"))
        if any(record.match == "unequal" for record in done):
            notes.append(Note(f"unequal: {name} was not fitted to the number of parameters asked."))
        for record in done:
            if deviation := _missed_budget(record):
                why = f", {record.reason}" if record.reason else ""
                missed = f"missed the budget {record.budget} by {100 * deviation:+.1f} %"
                notes.append(Note(f"budget: {name} seed {record.seed} {missed}{why}."))
    return notes


def estimate_notes(estimates: Sequence[Estimate], asked: bool = True) -> list[Note]:
    """Which intervals a table shows and which it cannot, in words, once each; `asked`: it shows n."""
    seeds = sorted({estimate.n for estimate in estimates if estimate.unit == "seeds" and estimate.low is not None})
    notes = []
    if seeds:
        counts = " or ".join(map(str, seeds))
        text = f"Figures are means over {counts} seeds with a 95 % t interval, in which the seed is the unit."
        text += " n is the number of problems asked, per seed." if asked else ""
        notes.append(Note(text, "interval"))
    for found, n in dict.fromkeys((estimate.note, estimate.n) for estimate in estimates if estimate.note):
        few = f"There is no interval over {n} seed{'s' if n > 1 else ''}: that takes {FEWEST_SEEDS}."
        notes.append(ESTIMATE_NOTES.get(found, Note(few, "no interval")))
    return list(dict.fromkeys(notes))


def _missed_budget(record: Record) -> float | None:
    """How far off its budget a cell ended, if that is far enough to be marked."""
    deviation = record.budget_deviation
    return deviation if deviation is not None and abs(deviation) > BUDGET_TOLERANCE else None
