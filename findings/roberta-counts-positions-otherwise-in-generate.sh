#!/usr/bin/env bash
# transformers 5.23.0: a RoBERTa decoder writes from other positions than it was trained on.
#
# Expected: the first token that `generate(use_cache=False)` writes is the likeliest of `model(input_ids)`.
# Seen: without `position_ids` the model counts from `pad_token_id + 1`, as its paper's code does, and `generate` hands over 0, 1,
# 2, ... to every class whose `forward` takes positions. Of 100 prompts most get another token. The same holds for camembert,
# xlm-roberta, xlm-roberta-xl, data2vec-text and roberta-prelayernorm. Nothing warns.
# Here: where the cache of `generate` changes logits, plain forward passes write (architectures/pretrained_decoding.py).
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


model = stirred(
    transformers.RobertaForCausalLM(
        transformers.RobertaConfig(
            vocab_size=50,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=48,
            max_position_embeddings=64,
            is_decoder=True,
            pad_token_id=1,
        )
    )
)
prompts = torch.randint(3, 50, (100, 6))
written = model.generate(
    prompts,
    attention_mask=torch.ones_like(prompts),
    max_new_tokens=1,
    do_sample=False,
    use_cache=False,
    return_dict_in_generate=True,
    output_logits=True,
)
with torch.no_grad():
    as_trained = model(prompts).logits[:, -1]
    from_zero = model(prompts, position_ids=torch.arange(6)[None]).logits[:, -1]
others = int((written.sequences[:, -1] != as_trained.argmax(-1)).sum())
same = torch.equal(written.logits[0], from_zero)
print(f"other first tokens: {others} of 100; logits of generate are those of positions from 0: {same}")
sys.exit(0 if others > 50 and same else "changed: generate counts positions as forward does")
PYTHON
