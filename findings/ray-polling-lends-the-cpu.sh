#!/usr/bin/env bash
# ray 2.60.0: a task that asks `ray.wait(..., timeout=0)` whether something is ready lends its CPU to another task.
#
# Expected: on a Ray of one CPU, tasks of one CPU each run one after another, unless one of them waits for another.
# Seen: so it is for tasks that compute. As soon as they ask without waiting (timeout=0) for an object that is not ready, two
# run at the same time, and every step of both takes twice as long. `ObjectRef.future().done()` asks the same and lends nothing.
# Here: a cell asks now and then whether it is to stop. It does so by futures (bench/running/cluster_worker.py): else three
# cells shared two cores, and each was timed as if it were slower.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check ray==2.60.0
cd "$work" && venv/bin/python - <<'PYTHON'
import os
import sys
import time

# No reports to its makers, and loopback alone.
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
import ray

print("ray", ray.__version__)
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")


@ray.remote(num_cpus=0)
class Present:
    """Who is at work, and how many were at most."""

    def __init__(self):
        self.there, self.most = set(), 0

    def enter(self, name):
        self.there.add(name)
        self.most = max(self.most, len(self.there))

    def leave(self, name):
        self.there.discard(name)

    def answer(self):
        return self.most


@ray.remote(num_cpus=0)
def late():
    time.sleep(60)


@ray.remote(num_cpus=1)
def compute(name, present, how):
    present.enter.remote(name)
    waited_for = late.remote()
    future = waited_for.future()
    end = time.time() + 3
    while time.time() < end:
        if how == "ray.wait":
            ray.wait([waited_for], timeout=0)
        elif how == "future":
            future.done()
        time.sleep(0.01)
    present.leave.remote(name)


found = {}
for how in ("nothing", "future", "ray.wait"):
    present = Present.remote()
    ray.get([compute.remote(name, present, how) for name in range(3)])
    found[how] = ray.get(present.answer.remote())
print(f"most tasks of one CPU at once on one CPU, by what they ask: {found}")
sys.exit(0 if found["nothing"] == found["future"] == 1 < found["ray.wait"] else "changed: polling lends nothing")
PYTHON
