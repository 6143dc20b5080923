"""What holds for every test: one thread, no network, no luck.

Set before anything imports torch, and inherited by the child processes that tests start. One thread, since the order of
a floating-point sum depends on the number of threads, and models of test size gain nothing from a second.
"""

import os

import pytest
from hypothesis import settings

os.environ |= {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    # Some oracles in transformers carry @torch.compile: ten seconds and a C++ compiler for nothing.
    "TORCHDYNAMO_DISABLE": "1",
}
os.environ.pop("COLUMNS", None)  # xdist sets it, and text is as wide as it says

# The same examples every time, and no deadline: timings on shared machines vary by a factor of five.
settings.register_profile("arithbench", derandomize=True, deadline=None, database=None)
settings.load_profile("arithbench")

LONGEST_FIRST = (
    *("running/test_resume", "running/test_pretrained", "architectures/test_pretrained", "tuning/test_tune"),
    *("running/test_run", "torture/test_broken_files", "sharing/test_exporting", "architectures/test_contract"),
    *("verifying/test_verify", "test_docs", "test_api"),
)
"""Test files that take longest: begun last, they would leave one of two processes without work at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return next((n for n, file in enumerate(LONGEST_FIRST) if file in item.nodeid), len(LONGEST_FIRST))

    items.sort(key=place)
