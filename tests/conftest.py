"""What holds for every test: one thread, no network, no luck.

Set before anything imports torch, and inherited by the child processes that tests start. One thread, since the order of
a floating-point sum depends on the number of threads, and models of test size gain nothing from a second.
"""

import os

from hypothesis import settings

os.environ |= {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    # Some oracles in transformers carry @torch.compile: ten seconds and a C++ compiler for nothing.
    "TORCHDYNAMO_DISABLE": "1",
}

# The same examples every time, and no deadline: timings on shared machines vary by a factor of five.
settings.register_profile("arithbench", derandomize=True, deadline=None, database=None)
settings.load_profile("arithbench")
