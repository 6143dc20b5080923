"""How fast training examples are made: drawn, written, tokenised and hashed, on one thread.

Left out of a plain test run. `python -m pytest -o addopts= --import-mode=importlib --benchmark-only tests/benchmarks`
shows a table in CPU time; a round is 4,096 examples. `quick` is to make them in 13.6 ms (300,000 a second) or less, and
in 4.1 ms (1,000,000) once it has all its problems as token ids, which is when it has taken as many as there are.
"""

import time
from typing import Any

import pytest

from bench.datasets.drawing.stream import BLOCK, Stream
from bench.datasets.suites import load_suite
from bench.datasets.writing.encoding import Encoded

BATCHES, BATCH = 16, 256


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize(("name", "encoded"), [("quick", False), ("quick", True), ("standard", False)])
def test_training_examples(benchmark: Any, name: str, encoded: bool) -> None:
    suite = load_suite(name)
    problems = suite.stream(0)
    stream = Stream(problems, suite.encoding)
    if encoded:
        assert problems.pool is not None
        stream.take(len(problems.pool) + BLOCK)

    def some() -> list[Encoded]:
        return [stream.take(BATCH) for _ in range(BATCHES)]

    parts = benchmark.pedantic(some, rounds=20, warmup_rounds=2)
    assert len(parts) == BATCHES
    for part in parts:
        assert part.prompt.shape == (BATCH, suite.encoding.prompt_width)
        assert part.answer.shape == (BATCH, suite.encoding.answer_width)
