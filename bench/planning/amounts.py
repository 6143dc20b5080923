"""Amounts as people type them: `300k` examples, a budget of `tokens=2M`, a list of seeds."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeVar, get_args

from bench.errors import UserError

Unit = Literal["examples", "steps", "tokens", "flops", "seconds"]
Item = TypeVar("Item")
UNITS: tuple[Unit, ...] = get_args(Unit)
_SUFFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9, "t": 10**12}
_AMOUNT = re.compile(r"([0-9][0-9_]*(?:\.[0-9]+)?)([kmgbt]?)", re.IGNORECASE)
_MOST = 10**18
_MOST_SEEDS = 10_000


def parse_count(text: str, what: str) -> int:
    """A positive whole number with an optional suffix: '300k' -> 300000, '1.5M' -> 1500000.

    Raises:
        UserError: the text is no such number.
    """
    match = _AMOUNT.fullmatch(text.strip())
    if match:
        value = Decimal(match[1].replace("_", "")) * _SUFFIXES[match[2].lower()]  # never a float: 16.1 * 1000 is none
        if 1 <= value <= _MOST and value == int(value):
            return int(value)
    raise UserError(f"{what} '{text}': expected a whole number from 1 on, such as 5000, 300k or 1.5M")


@dataclass(frozen=True)
class Budget:
    """How much training each cell gets, the same for every architecture; examples=0 trains nothing."""

    unit: Unit
    amount: int

    def __str__(self) -> str:
        return f"{self.unit}={self.amount}"

    def examples(self, batch: int, flops: int, tokens: float | None = None) -> float | None:
        """Examples that it buys, by the examples of a batch, the FLOPs and tokens of an example; None where unknown."""
        match self.unit:
            case "examples":
                return self.amount
            case "steps":
                return self.amount * batch
            case "flops":
                return self.amount / flops
            case "tokens" if tokens is not None:
                return self.amount / tokens
        return None


def parse_budget(text: str, what: str = "--budget") -> Budget:
    """'examples=300k' -> Budget('examples', 300000).

    Raises:
        UserError: the unit is unknown or the amount is no positive whole number, nor 'examples=0'.
    """
    unit, equals, amount = text.partition("=")
    if (unit, amount) == ("examples", "0"):
        return Budget("examples", 0)
    if not equals or unit not in UNITS:
        raise UserError(f"{what} '{text}': expected one of {', '.join(u + '=N' for u in UNITS)}")
    return Budget(unit, parse_count(amount, f"{what} {unit}"))


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


def short_count(value: float) -> str:
    """300000 -> '300k', 100276 -> '100.3k', 2.7e12 -> '2.7T'; for tables read by people."""
    for suffix, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.4g}{suffix}"
    return f"{value:.4g}"
