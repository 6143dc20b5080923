"""Tiers: letters that architectures share where they cannot be told apart, and how many seeds would tell more."""

import math
from collections.abc import Collection, Mapping, Sequence
from string import ascii_lowercase

import scipy

from bench.results.statistics.comparison import SIGNIFICANCE, Comparison
from bench.results.statistics.estimates import FEWEST_SEEDS

POWER = 0.8
"""Chance that so many seeds tell two architectures apart."""
MOST_SEEDS = 1000


def letters(names: Sequence[str], differing: Collection[tuple[str, str]]) -> dict[str, str]:
    """Name -> its letters: two names share one exactly where they are no `differing` pair.

    A compact letter display by insertion and absorption (Piepho, "An Algorithm for a Letter-Based Representation of
    All-Pairwise Comparisons", 2004). `names` come the best first, and so do the letters. Raises ValueError where a pair
    names somebody else.
    """
    if strangers := {name for pair in differing for name in pair} - set(names):
        raise ValueError(f"pairs name {', '.join(sorted(strangers))}, whom the names lack")
    place = {name: number for number, name in enumerate(names)}
    groups = [frozenset(names)] if names else []
    for pair in differing:
        both = [group for group in groups if group.issuperset(pair)]
        groups = [group for group in groups if group not in both]
        for part in (group - {name} for group in both for name in pair):
            if not any(part <= group for group in groups):
                groups = [group for group in groups if not group <= part]
                groups.append(part)
    groups.sort(key=lambda group: sorted(place[name] for name in group))
    return {name: "".join(_letter(number) for number, group in enumerate(groups) if name in group) for name in names}


def tiers(budgets: Mapping[str, Sequence[str]], differing: Collection[tuple[str, str]]) -> dict[str, str]:
    """Architecture -> its letters among those of its budget; budgets share none, since they are not compared.

    `budgets`: their architectures, the best first. None has letters where there is nothing to compare.
    """
    found: dict[str, str] = {}
    for names in budgets.values():
        if len(names) > 1:
            own = [pair for pair in differing if set(pair) <= set(names)]
            used = {letter for one in found.values() for letter in one}
            own_letters = letters(names, own)
            order = sorted({letter for one in own_letters.values() for letter in one})
            renamed = {letter: _letter(len(used) + number) for number, letter in enumerate(order)}
            found |= {name: "".join(renamed[letter] for letter in one) for name, one in own_letters.items()}
    return found


def seeds_to_tell(comparisons: Sequence[Comparison], difference: float, pairs: int) -> int | None:
    """Seeds of each architecture that tell apart two whose true shares right lie `difference` (0 to 1) apart.

    They do with a chance of 80 % by paired t tests, each at 0.05 divided by the `pairs` that are asked about, which is
    Holm's hardest step; the spread of paired differences is pooled over `comparisons`. None where none has an interval,
    or 1,000 seeds are not enough.
    """
    spreads = [row.error**2 * row.difference.n for pair in comparisons if (row := pair.rows[0]).error is not None]
    if not spreads:
        return None
    spread = math.sqrt(sum(spreads) / len(spreads))
    level = SIGNIFICANCE / pairs
    for seeds in range(FEWEST_SEEDS, MOST_SEEDS + 1):
        bound = scipy.stats.t.isf(level / 2, seeds - 1)
        if scipy.stats.nct.sf(bound, seeds - 1, difference * math.sqrt(seeds) / spread) >= POWER:
            return seeds
    return None


def _letter(number: int) -> str:
    """a to z, and from the 27th on A to Z; what follows is one letter too."""
    ordered = ascii_lowercase + ascii_lowercase.upper()
    return ordered[number] if number < len(ordered) else chr(0x3B1 + number - len(ordered))
