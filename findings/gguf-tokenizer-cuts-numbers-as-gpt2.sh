#!/usr/bin/env bash
# transformers 5.23.0: the tokenizer of a GGUF file cuts numbers as GPT-2 does where the file says otherwise.
#
# Expected: a file that names the pre-tokenizer `smollm` (each digit alone) or `falcon` (three at most) gives a tokenizer that cuts
# so, as llama.cpp does; a name that is not supported is refused or warned of.
# Seen: only names of its own table are looked at. With these two, and with a name that nobody knows, `1234567` is one token if
# the vocabulary has it, as GPT-2's rule allows; with `qwen2`, which is in the table, it is seven. Nothing warns.
# Here: digits are cut as the file says, and a name that is not known is stated in `check`, tables and card.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0 tokenizers==0.23.3 gguf==0.19.0 accelerate==1.15.0
cd "$work" && venv/bin/python - <<'PYTHON'
import sys
from pathlib import Path

import transformers
from gguf import GGUFWriter, TokenType
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

transformers.logging.set_verbosity_error()
base = Tokenizer(models.BPE())
base.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
alphabet = pre_tokenizers.ByteLevel.alphabet()
trainer = trainers.BpeTrainer(special_tokens=["<end>"], initial_alphabet=alphabet, show_progress=False)
base.train_from_iterator(["1234567"] * 9, trainer)
vocabulary = base.get_vocab()
import json

merges = [" ".join(pair) for pair in json.loads(base.to_str())["model"]["merges"]]
tokens = {}
for pre in ("smollm", "falcon", "no-such-name", "qwen2"):
    path = Path(f"{pre}.gguf")
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(16)
    writer.add_block_count(1)
    writer.add_feed_forward_length(16)
    writer.add_head_count(2)
    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(sorted(vocabulary, key=vocabulary.__getitem__))
    writer.add_token_types([TokenType.CONTROL] + [TokenType.NORMAL] * (len(vocabulary) - 1))
    writer.add_token_merges(merges)
    writer.add_eos_token_id(0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    tokens[pre] = transformers.AutoTokenizer.from_pretrained(".", gguf_file=path.name).tokenize("1234567")
print("transformers", transformers.__version__, tokens)
sys.exit(0 if [len(found) for found in tokens.values()] == [1, 1, 1, 7] else "changed: other tokens")
PYTHON
