"""What is wrong with a command by its words alone: told before torch is imported, which takes seconds."""

import re
import sys
from importlib.metadata import entry_points
from pathlib import Path

from bench.datasets.shipped import suite_path
from bench.errors import UserError, suggest, user_errors
from bench.planning.amounts import parse_budget, parse_count, parse_names, parse_seeds
from bench.planning.options import ReachOptions, RunOptions, TuneOptions

ARCHITECTURES = Path(__file__).parents[1] / "architectures"
ENTRY_POINTS = "arithbench.architectures"
REGISTRY = "bench.architectures.registry"
"""Where it has been imported, this process may know more architectures than those that come with the project."""
_NAME = re.compile(r'^    name = "([a-z0-9-]+)"$', re.MULTILINE)


def refuse_wrong_words(options: RunOptions | TuneOptions | ReachOptions) -> None:
    """Raise UserError for a name or an amount that cannot be; planning checks these again, and all others."""
    names = parse_names(options.arch, "--arch")
    strangers = options.plugin is not None or REGISTRY in sys.modules or entry_points(group=ENTRY_POINTS)
    if names != ("all",) and not strangers:
        known = shipped_architectures()
        for name in names:
            if name not in known:
                raise UserError(f"unknown architecture '{name}'; {suggest(name, known)}")
    if options.budget is not None:
        parse_budget(options.budget)
    if options.params is not None:
        parse_count(options.params, "--params")
    if isinstance(options, ReachOptions):
        return
    with user_errors():
        suite_path(options.suite)
    if options.training_problems is not None:
        parse_count(options.training_problems, "--training-problems")
    if isinstance(options, RunOptions) and options.seeds is not None:
        parse_seeds(options.seeds)


def shipped_architectures() -> list[str]:
    """Names of the architectures that come with the project, read from their source: importing one imports torch."""
    return sorted(
        name for path in ARCHITECTURES.glob("*.py") for name in _NAME.findall(path.read_text(encoding="utf-8"))
    )
