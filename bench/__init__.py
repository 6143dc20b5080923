"""arithbench: which neural architecture learns arithmetic best for a given budget.

The harness lives here; the other rooms are imported under this roof as `bench.architectures`, `bench.datasets` and
`bench.results`. A bare `import datasets` never appears in this project: that name belongs to another, widely
installed package.
"""

from pathlib import Path

__version__ = "0.2.0"

# In a checkout the rooms stand beside this folder, not inside it. A wheel maps them into `bench` when it is built, so
# there is nothing to add there.
_root = Path(__file__).resolve().parent.parent
if (_root / "pyproject.toml").is_file() and (_root / "architectures").is_dir():
    __path__.append(str(_root))
