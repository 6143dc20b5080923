#!/usr/bin/env bash
# torch 2.13.0: FlopCounterMode counts 0 in nn.LSTM, in fused attention and in grouped products on a CPU.
#
# Expected: the matrix products in them are counted, as those of `q @ k.mT` and of nn.GRU are.
# Seen: nn.LSTM, scaled_dot_product_attention and grouped_mm count 0 on the CPU, without a warning; nn.GRU counts. On the meta
# device the same LSTM counts. A budget of FLOPs by this counter would let an LSTM train without end.
# Here: counted on the meta device (bench/planning/sizing.py), and mixtures of experts with plain products.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cd "$work" && venv/bin/python - <<'PYTHON'
import sys

import torch
from torch.utils.flop_counter import FlopCounterMode


def flops(call):
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


x, q = torch.randn(4, 10, 16), torch.randn(1, 2, 64, 16)
a, b = torch.randn(32, 16, dtype=torch.bfloat16), torch.randn(4, 16, 8, dtype=torch.bfloat16)
ends = torch.tensor([8, 16, 24, 32], dtype=torch.int32)
with torch.device("meta"):
    undrawn = torch.nn.LSTM(16, 32, batch_first=True)
seen = {
    "nn.LSTM, cpu": flops(lambda: torch.nn.LSTM(16, 32, batch_first=True)(x)),
    "fused attention, cpu": flops(lambda: torch.nn.functional.scaled_dot_product_attention(q, q, q)),
    "grouped_mm, cpu": flops(lambda: torch.nn.functional.grouped_mm(a, b, offs=ends)),
    "nn.GRU, cpu": flops(lambda: torch.nn.GRU(16, 32, batch_first=True)(x)),
    "nn.LSTM, meta": flops(lambda: undrawn(x.to("meta"))),
    "q @ k.mT, cpu": flops(lambda: q @ q.mT),
}
print("torch", torch.__version__, seen)
sys.exit(0 if [count == 0 for count in seen.values()] == [True] * 3 + [False] * 3 else "changed: other counts")
PYTHON
