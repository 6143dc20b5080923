"""arithbench: which neural architecture learns arithmetic best for a given budget.

The harness lives here; the other rooms are imported under this roof as `bench.architectures`, `bench.datasets` and
`bench.results`. A bare `import datasets` never appears in this project: that name belongs to another, widely
installed package.
"""

__version__ = "0.2.0"
