"""What a table is: columns, rows and notes with keys, so that no reader of it needs the words that it prints."""

from dataclasses import KW_ONLY, dataclass, field

from bench.results.statistics.estimates import ALL_UNSEEN, Estimate

NO_VALUE = "-"
SHARED = "~"
"""Before a time that was measured on a shared machine."""


@dataclass(frozen=True)
class Value:
    """One value: its text, and the numbers behind it where there are (shares in percent), unrounded."""

    text: str
    _: KW_ONLY
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    """problems asked, per seed"""
    shared: bool = False
    """measured on a shared machine"""


@dataclass(frozen=True)
class Column:
    key: str
    label: str
    left: bool = False
    """aligned left; figures are aligned right"""


def words(*labels: str) -> list[Column]:
    """Columns of words whose keys are their labels."""
    return [Column(label, label, left=True) for label in labels]


def figures(*labels: str) -> list[Column]:
    """Columns of figures whose keys are their labels."""
    return [Column(label, label) for label in labels]


@dataclass(frozen=True)
class Note:
    text: str
    key: str = ""
    """of the notes that another table may take over"""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table. The first column names the rows."""

    key: str
    title: str
    columns: list[Column]
    rows: dict[str, dict[str, Value]]
    """what a row is about, such as an architecture -> column's key -> value; none where there is nothing to show"""
    notes: list[Note] = field(default_factory=list)
    subject: str = ""
    """the architecture, where each has a table of this key"""
    detail: bool = False
    """for whoever looks closer: not shown at the end of a run"""

    def __post_init__(self) -> None:
        keys = [column.key for column in self.columns]
        if len(set(keys)) < len(keys) or not {key for row in self.rows.values() for key in row} <= set(keys):
            raise ValueError(f"table {self.key}: a column is there twice, or a row has a value of none of {keys}")

    def column(self, key: str) -> Column:
        return next(column for column in self.columns if column.key == key)

    def lines(self) -> list[list[Value]]:
        """The values of every row, in the order of the columns."""
        return [[row.get(column.key, Value(NO_VALUE)) for column in self.columns] for row in self.rows.values()]

    def noted(self, *keys: str) -> list[Note]:
        """The notes with one of these keys."""
        return [note for note in self.notes if note.key in keys]


def share_value(share: Estimate, n: int | None = None, whole: bool = False, show_n: bool = False) -> Value:
    """A share in percent, such as `83.1 [80.2, 86.0]`; `whole`: all problems of its kind that are unseen were asked."""
    mean, low, high = (None if figure is None else 100 * figure for figure in (share.mean, share.low, share.high))
    # z: a difference that rounds to zero has no sign
    text = f"{mean:z.1f}" if low is None else f"{mean:z.1f} [{low:z.1f}, {high:z.1f}]"
    if whole:
        text += f" {ALL_UNSEEN}" + (f", n = {n:,}" if show_n else "")
    elif show_n:
        text += f" n = {n:,}"
    return Value(text, value=mean, low=low, high=high, n=n)


def number_value(
    value: float | None, decimals: int = 0, power: bool = False, shared: bool = False, machines: str = ""
) -> Value:
    """A number, such as `1,234.5`, or where it is a `power` of ten `2.40e12`; `machines`: marks of where it was."""
    if value is None:
        return Value(NO_VALUE)
    text = f"{value:,.{decimals}f}"
    if power:
        mantissa, exponent = f"{value:.2e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    return Value((SHARED if shared else "") + text + machines, value=value, shared=shared)
