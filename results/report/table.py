"""What tables are made of, entry by entry, and how a figure reads. ("Cell" is taken: architecture x seed.)"""

from dataclasses import dataclass, field

from bench.results.statistics.estimates import ALL_UNSEEN, Estimate

NO_VALUE = "-"
SHARED = "~"
"""Before a time that was measured on a shared machine."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry: its text, and the numbers behind it where there are (shares in percent), unrounded."""

    text: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    """problems asked, per seed"""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table. The first entry of a row names it; every row has as many as there are columns."""

    title: str
    columns: list[str]
    rows: list[list[Entry]]
    notes: list[str] = field(default_factory=list)
    left: frozenset[int] = frozenset({0})
    """columns aligned left; the others, figures, are aligned right"""
    detail: bool = False
    """for whoever looks closer: not shown at the end of a run"""


def share_entry(share: Estimate, n: int | None = None, whole: bool = False, show_n: bool = False) -> Entry:
    """A share in percent, such as `83.1 [80.2, 86.0]`."""
    mean, low, high = (None if figure is None else 100 * figure for figure in (share.mean, share.low, share.high))
    # z: a difference that rounds to zero has no sign
    text = f"{mean:z.1f}" if low is None else f"{mean:z.1f} [{low:z.1f}, {high:z.1f}]"
    if whole:
        text += f" {ALL_UNSEEN}" + (f", n = {n:,}" if show_n else "")
    elif show_n:
        text += f" n = {n:,}"
    return Entry(text=text, value=mean, low=low, high=high, n=n)


def number_entry(value: float | None, alone: bool = True, decimals: int = 0, power: bool = False) -> Entry:
    if value is None:
        return Entry(text=NO_VALUE)
    text = f"{value:,.{decimals}f}"
    if power:
        mantissa, exponent = f"{value:.2e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    return Entry(text=text if alone else SHARED + text, value=value)
