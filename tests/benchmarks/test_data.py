"""How fast training examples are made: drawn, written, tokenised and hashed, on one thread.

Left out of a plain test run. `python -m pytest -o addopts= --import-mode=importlib --benchmark-only tests/benchmarks`
shows a table in CPU time; a round is 4,096 examples, which `quick` is to make in 13.6 ms (300,000 a second) or less.
"""

import time
from typing import Any

import pytest

from bench.datasets.encoding import Encoded
from bench.datasets.stream import Stream
from bench.datasets.suites import load_suite

BATCHES, BATCH = 16, 256


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("name", ["quick", "standard"])
def test_training_examples(benchmark: Any, name: str) -> None:
    suite = load_suite(name)
    stream = Stream(suite.stream(0), suite.encoding)

    def some() -> list[Encoded]:
        return [stream.take(BATCH) for _ in range(BATCHES)]

    parts = benchmark.pedantic(some, rounds=40, warmup_rounds=2)
    assert len(parts) == BATCHES
    for part in parts:
        assert part.prompt.shape == (BATCH, suite.encoding.prompt_width)
        assert part.answer.shape == (BATCH, suite.encoding.answer_width)
