"""Amounts as people type them: `300k` examples, a budget of `tokens=2M`, a list of seeds."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeVar, get_args

from bench.errors import UserError

Unit = Literal["examples", "steps", "tokens", "flops", "seconds"]
Item = TypeVar("Item")
UNITS: tuple[Unit, ...] = get_args(Unit)
_SUFFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9, "t": 10**12}
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_AMOUNT = re.compile(r"([0-9][0-9_]*(?:\.[0-9]+)?(?:e\+?[0-9]{1,2})?)([a-z]*)", re.IGNORECASE | re.ASCII)
_MOST = 2**63 - 1
"""What tables of results can hold."""
_MOST_SEEDS = 10_000


def parse_count(text: str, what: str) -> int:
    """A positive whole number with an optional suffix: '300k' -> 300000, '1.5M' -> 1500000, '1e11', '1_000'.

    Raises:
        UserError: the text is no such number.
    """
    value = _amount(text, _SUFFIXES)
    if value is None:
        such = f"such as 5000, 300k, 1.5M or 1e6, and at most {_MOST:.1e}"
        raise UserError(f"{what} '{text}': expected a whole number from 1 on, {such}")
    return value


def parse_seconds(text: str, what: str) -> int:
    """Whole seconds, which take the suffixes of `parse_count` too, but for m: '90', '10min' -> 600, '1.5h' -> 5400.

    Raises:
        UserError: the text is no such time, or has an m, which may mean minutes or millions.
    """
    if (millions := _amount(text, {"m": 10**6})) is not None:
        minutes = text.strip()[:-1] + "min"
        raise UserError(f"{what} '{text}': minutes or millions? Write {minutes} or {millions}")
    value = _amount(text, {key: size for key, size in _SUFFIXES.items() if key != "m"} | _SECONDS)
    if value is None:
        raise UserError(f"{what} '{text}': expected whole seconds from 1 on, such as 90, 90s, 10min, 1.5h or 2d")
    return value


def _amount(text: str, suffixes: dict[str, int]) -> int | None:
    """The number in a text, times what its suffix stands for; None where that is no whole number from 1 on."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None or match[2].lower() not in suffixes:
        return None
    value = Decimal(match[1].replace("_", "")) * suffixes[match[2].lower()]  # never a float: 16.1 * 1000 is none
    return int(value) if 1 <= value <= _MOST and value == int(value) else None


@dataclass(frozen=True)
class Budget:
    """How much training each cell gets, the same for every architecture; examples=0 trains nothing."""

    unit: Unit
    amount: int

    def __str__(self) -> str:
        return f"{self.unit}={self.amount}"

    def examples(self, batch: int, flops: int, optimizer_flops: int, tokens: float | None = None) -> float | None:
        """Examples that it buys; None where unknown.

        batch: examples of a step; flops, tokens: of an example; optimizer_flops: of a step.
        """
        match self.unit:
            case "examples":
                return self.amount
            case "steps":
                return self.amount * batch
            case "flops":
                return self.amount / (flops + optimizer_flops / batch)
            case "tokens" if tokens is not None:
                return self.amount / tokens
        return None


def parse_budget(text: str, what: str = "--budget") -> Budget:
    """'examples=300k' -> Budget('examples', 300000), 'seconds=10min' -> Budget('seconds', 600).

    Raises:
        UserError: the unit is unknown or the amount is none of it: see `parse_count`, `parse_seconds`; 'examples=0' is.
    """
    unit, equals, amount = text.partition("=")
    if (unit, amount) == ("examples", "0"):
        return Budget("examples", 0)
    if not equals or unit not in UNITS:
        raise UserError(f"{what} '{text}': expected one of {', '.join(u + '=N' for u in UNITS)}")
    parse = parse_seconds if unit == "seconds" else parse_count
    return Budget(unit, parse(amount, f"{what} {unit}"))


def parse_seeds(text: str) -> tuple[int, ...]:
    """'3' -> (0, 1, 2): a count; '0,4,7' or '4,' -> a list, which has a comma.

    Raises:
        UserError: nothing, a negative number, or a seed twice.
    """
    try:
        seeds = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise UserError(f"--seeds '{text}': expected a count such as 3, or a list with a comma such as 0,4,7") from None
    if "," not in text:
        if seeds and seeds[0] > _MOST_SEEDS:
            raise UserError(f"--seeds '{text}': expected at most {_MOST_SEEDS:,} seeds (seed {text} alone is {text},)")
        seeds = list(range(seeds[0])) if seeds else []
    if not seeds or min(seeds) < 0 or max(seeds) >= 2**31:
        raise UserError(f"--seeds '{text}': expected at least one seed of 0 to 2147483647 (seed 0 alone is written 0,)")
    return tuple(_no_twins(seeds, "--seeds", text))


def seed_list(seeds: Iterable[int]) -> str:
    """Seeds as `parse_seeds` takes them: '0,4,7', or '4,' where it is one."""
    listed = list(seeds)
    return ",".join(map(str, listed)) + ("," if len(listed) == 1 else "")


def parse_chosen_seeds(text: str) -> tuple[int, ...] | Literal["all"]:
    """'4' -> (4,), '0,4' -> (0, 4), 'all': seeds of a run that is there, as `--seed` names them.

    Raises:
        UserError: something is no seed, or is named twice.
    """
    if text.strip() == "all":
        return "all"
    try:
        return tuple(map(int, parse_names(text, "--seed")))
    except ValueError:
        raise UserError(f"--seed '{text}': expected seeds such as 0 or 0,4, or all") from None


MOST_WORKERS = 100_000


def parse_worker_counts(text: str | None) -> tuple[int, ...]:
    """'1,8,64' -> (1, 8, 64); none where there is no text. Raises UserError where one is no number of workers."""
    if text is None:
        return ()
    try:
        counts = tuple(map(int, parse_names(text, "--workers")))
    except ValueError:
        counts = (0,)
    if not all(1 <= count <= MOST_WORKERS for count in counts):
        raise UserError(f"--workers {text}: expected numbers of workers such as 1,8,64, {MOST_WORKERS:,} at most")
    return counts


def parse_names(text: str, flag: str) -> tuple[str, ...]:
    """'lstm,transformer' -> ('lstm', 'transformer'). Raises UserError where there is no name, or one is there twice."""
    names = [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        raise UserError(f"{flag} '{text}': expected at least one name")
    return tuple(_no_twins(names, flag, text))


def _no_twins(items: list[Item], flag: str, text: str) -> list[Item]:
    for item in items:
        if items.count(item) > 1:
            raise UserError(f"{flag} '{text}': {item} stands there twice")
    return items


def short_time(seconds: float) -> str:
    """45 -> '45 s', 600 -> '10 min', 20000 -> '6 h', 665000 -> '8 days'; for people."""
    for name, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {name}"
    return f"{seconds:,.0f} s"


def short_count(value: float) -> str:
    """300000 -> '300k', 100276 -> '100.3k', 2.7e12 -> '2.7T'; for tables read by people."""
    for suffix, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.4g}{suffix}"
    return f"{value:.4g}"
