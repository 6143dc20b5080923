#!/usr/bin/env bash
# transformers 5.23.0: of what AutoModelForCausalLM gives, XLNet and XLM look ahead.
#
# Expected: what a causal language model says of a token does not depend on the tokens behind it.
# Seen: with default configs the logits of the first five tokens change when the sixth is another one. Trained on prompts with
# their answers, such a model reads the answer that it is to give. GPT-2, beside them, does not change by a bit.
# Here: every model is tried, and refused by its family's name if it looks ahead (architectures/pretrained.py).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0
cd "$work" && venv/bin/python - <<'PYTHON'
import sys

import torch
import transformers

transformers.logging.set_verbosity_error()
torch.manual_seed(0)
print("torch", torch.__version__, "transformers", transformers.__version__)


def stirred(model):
    """Far from where its weights are born, so that answers vary."""
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim == 2:
                weights += 0.3 * torch.randn(weights.shape)
    return model.eval()


auto = transformers.AutoModelForCausalLM
configs = {
    "gpt2": transformers.GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=2),
    "xlnet": transformers.XLNetConfig(vocab_size=50, d_model=32, n_layer=2, n_head=2, d_inner=48),
    "xlm": transformers.XLMConfig(vocab_size=50, emb_dim=32, n_layers=2, n_heads=2),
}
text = torch.randint(3, 49, (8, 6))
other = torch.cat([text[:, :-1], text[:, -1:] + 1], dim=1)
changes = {}
for family, config in configs.items():
    model = stirred(auto.from_config(config))
    with torch.no_grad():
        changes[family] = (model(text).logits[:, :-1] - model(other).logits[:, :-1]).abs().max().item()
print({family: round(change, 3) for family, change in changes.items()})
sys.exit(0 if changes["gpt2"] < 1e-4 < 0.01 < min(changes["xlnet"], changes["xlm"]) else "changed: none looks ahead")
PYTHON
