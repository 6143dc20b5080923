"""May these cells stand side by side in one table, and what was held equal between them."""

from itertools import combinations
from statistics import median

from bench.results.records.record import Record

PARAMETER_TOLERANCE = 0.05
"""Each cell fits its size within 2 %, so that two of one size differ by a little over 4 % at most."""
SHOWN_HASH = 12
"""Hex digits of a hash in a text for people."""


class NotComparable(ValueError):
    """Cells that answered other questions or learnt from other data: a table of both would mislead."""


def check_comparable(records: list[Record]) -> None:
    """Raises NotComparable unless all cells met the same test problems and, seed by seed, the same training problems.

    Streams of other lengths are the same as far as the shorter one goes: one is then a prefix of the other.
    """
    for one, other in combinations(records, 2):
        if (one.suite, one.suite_version) != (other.suite, other.suite_version):
            raise NotComparable(_refusal(one, other, "are of different suites or versions of a suite"))
        if one.test_hash != other.test_hash:
            raise NotComparable(_refusal(one, other, "were tested on different problems (test_hash differs)"))
        if one.seed == other.seed and same_data(one, other) is False:
            raise NotComparable(_refusal(one, other, "were trained on different problems (the data hashes differ)"))


def same_data(one: Record, other: Record) -> bool | None:
    """Whether one training stream is a prefix of the other; None where too short to tell (under 1,024 in common).

    That of a model which was not trained is one of every other.
    """
    if 0 in (one.examples, other.examples):
        return True
    if one.examples == other.examples:
        return one.data_hash == other.data_hash
    blocks = min(len(one.data_chain), len(other.data_chain))
    # The chain hashes everything up to its block, so that the last common entry speaks for all before it.
    return one.data_chain[blocks - 1] == other.data_chain[blocks - 1] if blocks else None


def held_equal(records: list[Record]) -> str:
    """The first line of a report: what was held equal between the finished cells, how closely, and what was not."""
    if not records:
        return "No cell is done yet: there is nothing to compare."
    equal: list[str] = []
    unequal: list[str] = []

    budgets = sorted({record.budget for record in records})
    deviation = max(abs(record.budget_deviation or 0) for record in records)
    (equal if len(budgets) == 1 else unequal).append(
        f"the budget{' was' if len(budgets) == 1 else 's were'} {' and '.join(budgets)} "
        f"(met within {100 * deviation:.2f} %)"
    )

    sizes = [size for record in records if (size := fitted_size(record)) is not None]
    if sizes:
        kind = "active parameters" if any(record.match == "active" for record in records) else "parameters"
        spread = max(sizes) / min(sizes) - 1
        if spread <= PARAMETER_TOLERANCE:
            equal.append(f"{kind} differ by {100 * spread:.1f} % at most")
        else:
            unequal.append(f"{kind} range from {min(sizes):,} to {max(sizes):,}")
    unfitted = sorted({record.architecture for record in records if record.match == "unequal"})
    if unfitted:
        unequal.append(f"the parameters of {', '.join(unfitted)} were not fitted to the number asked")

    by_architecture: dict[str, list[Record]] = {}
    for record in records:
        by_architecture.setdefault(record.architecture, []).append(record)
    seeds = {name: {record.seed for record in some} for name, some in by_architecture.items()}
    unpaired = [pair for pair in combinations(seeds, 2) if not seeds[pair[0]] & seeds[pair[1]]]
    if unpaired:
        unequal.append(f"{' and '.join(unpaired[0])} share no seed, so that their training problems differ")
    if not unpaired or len(unpaired) < len(seeds) * (len(seeds) - 1) // 2:
        equal.append(_data(records))
    equal.append("the test problems were the same")

    for name, field in (("examples", "examples"), ("FLOPs", "all_flops"), ("training seconds", "train_seconds")):
        medians = [median(getattr(record, field) for record in some) for some in by_architecture.values()]
        used = [middle for middle in medians if middle > 0]
        if used and max(used) / min(used) > 1.01:
            unequal.append(f"{name} differ by a factor of up to {max(used) / min(used):.2f}")
    uncounted = sorted({record.architecture for record in records if record.optimizer_flops is None})
    if uncounted and any(record.optimizer_flops is not None for record in records):
        unequal.append(f"the FLOPs of {', '.join(uncounted)} are without those of the optimizer")
    if len(machines := processors(records)) > 1:
        unequal.append(f"times are of {len(machines)} machines: {' and '.join(machines)}")
    line = f"Held equal: {'; '.join(equal)}."
    if unequal:
        line += f" Not equal: {'; '.join(unequal)}."
    chance = sorted({record.device for record in records if not record.machine.get("deterministic", True)})
    return f"{line} Cells on {', '.join(chance)} may end otherwise when run again." if chance else line


def processor_of(record: Record) -> str:
    """The processor that a cell ran on: its name and, where the system says, family, model and stepping."""
    named = (record.machine.get("processor"), record.machine.get("processor_model"))
    return " ".join(str(part) for part in named if part) or "an unknown processor"


def processors(records: list[Record]) -> list[str]:
    """The processors that cells ran on, each once, by name."""
    return sorted({processor_of(record) for record in records})


def fitted_size(record: Record) -> int | None:
    """The count of parameters that was fitted to the size asked; None where neither was."""
    return {"total": record.parameters, "active": record.active_parameters, "unequal": None}[record.match]


def _data(records: list[Record]) -> str:
    pairs = [pair for pair in combinations(records, 2) if pair[0].seed == pair[1].seed]
    text = "the training problems of a seed were the same in the same order"
    if any(one.examples != other.examples for one, other in pairs):
        text += ", as far as the shorter stream goes"
    if any(same_data(one, other) is None for one, other in pairs):
        text += ", which is not proved (fewer than 1,024 in common)"
    return text


def longest_streams(records: list[Record]) -> dict[int, str]:
    """Seed -> data hash of the cell that took most examples: its stream holds those of all others."""
    by_length = sorted((r for r in records if r.data_hash), key=lambda record: record.examples or 0)
    return dict(sorted({record.seed: str(record.data_hash) for record in by_length}.items()))


def _refusal(one: Record, other: Record, why: str) -> str:
    first, second = (f"{record.architecture} seed {record.seed}" for record in (one, other))
    return f"{first} and {second} {why}, so they cannot stand in one table; report them apart"
