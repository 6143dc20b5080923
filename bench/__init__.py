"""arithbench: which neural architecture learns arithmetic best for a given budget.

In Python: `bench.run`, `bench.load`, `bench.choose`, `bench.suites()`, `bench.architectures()`; `bench.api` describes
them. The other rooms are imported under this roof as `bench.architectures`, `bench.datasets` and `bench.results`. A
bare `import datasets` never appears in this project: that name belongs to another, widely installed package.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.3.0"

if TYPE_CHECKING:
    from bench.api import Run, load, run, suites
    from bench.choosing import choose
    from bench.errors import UserError

__all__ = ["Run", "UserError", "choose", "load", "run", "suites"]
_ELSEWHERE = {"UserError": "bench.errors", "choose": "bench.choosing"}
"""Where those are that `bench.api` has not."""


def __getattr__(name: str) -> Any:
    """What `__all__` promises, imported when it is asked for: torch and pandas take seconds."""
    if name in __all__:
        return getattr(importlib.import_module(_ELSEWHERE.get(name, "bench.api")), name)
    if name == "architectures":
        return importlib.import_module("bench.architectures")
    raise AttributeError(f"module 'bench' has no attribute '{name}'")
