#!/usr/bin/env bash
# torch 2.13.0: torch.use_deterministic_algorithms(True) imports the compiler, and so does the first optimizer.
#
# Expected: a switch is set, in no time.
# Seen: it imports torch._inductor, torch._dynamo and sympy, which takes as long as a good part of `import torch`, in every process
# that wants the same bits twice. The first torch.optim object imports torch._dynamo too: nobody who trains is spared.
# Here: cells are forked from a process that has imported them once (bench/child.py).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cd "$work" && venv/bin/python - <<'PYTHON'
import sys
import time

started = time.perf_counter()
import torch

imported = time.perf_counter()
compiler = ("torch._inductor", "torch._dynamo", "sympy")
before = [name for name in compiler if name in sys.modules]
torch.use_deterministic_algorithms(True)
switched = time.perf_counter()
after = [name for name in compiler if name in sys.modules]
print("torch", torch.__version__, f"import torch {imported - started:.1f} s, the switch {switched - imported:.1f} s")
print("modules before:", before, "after:", after)
sys.exit(0 if not before and after == list(compiler) else "changed: the switch imports something else")
PYTHON
