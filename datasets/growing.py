"""Suites whose numbers grow: all that `reach` asks about n digits is a suite of its own, made by the rule below.

- One operation on numbers without signs and decimals. Training and test problems have 1x1, 2x2, ... nxn digits, as
  many of each; of a division the dividend has twice as many digits as the divisor: 2x1, 4x2, ... 2nxn.
- 200 test problems of each pattern, as many for validation, or all there are.
- Answers are reversed, as in the suites of the project, and may have workings. Quotients are exact to two places.
"""

from bench.datasets.problems import OPERATIONS
from bench.datasets.writing.workings import Workings

NAMES = dict(zip(OPERATIONS, ("sums", "differences", "products", "quotients"), strict=True))
"""Operation -> what its answers are called."""
PROBLEMS = 200
"""Test problems of each pattern."""


def pattern_of(operation: str, digits: int) -> str:
    """The digits of both operands, as suites write them: `3x3`, or `6x3` of a division."""
    return f"{2 * digits if operation == '/' else digits}x{digits}"


def growing_suite(operation: str, digits: int, workings: Workings, budget: str, parameters: int) -> str:
    """The TOML file of the suite of so many digits at most. budget, parameters: its defaults."""
    patterns = ", ".join(f'"{pattern_of(operation, some)}"' for some in range(1, digits + 1))
    ways = "" if workings == "none" else f", workings {workings}"
    return f"""\
name = "reach-{NAMES[operation]}-{digits}"
version = 1
summary = "{NAMES[operation]} of 1 to {digits} digits, without signs{ways}: one step of reach"
operations = ["{operation}"]
digits = [{patterns}]
signs = ["++"]

[form]
workings = "{workings}"

[evaluation]
per_stratum = {PROBLEMS}

[defaults]
budget = "{budget}"
parameters = {parameters}
"""
