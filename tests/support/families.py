"""Tiny models with random weights, one of each family that transformers calls a causal language model.

The config that transformers has for a family is shrunk field by field: a field's name says what it sizes, and of a list
with an entry for each layer one layer of each kind is kept. What a family needs beside that is in `PARTICULAR`.
"""

import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

FAMILIES: dict[str, str] = dict(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
"""`model_type` -> the class that transformers builds for it."""
NOT_BUILT = {
    "gemma4_assistant": "it shares keys and values of which no layer of its own makes any",
    "gemma4_unified_assistant": "it shares keys and values of which no layer of its own makes any",
    "gemma3n": "its eyes are a model of the package timm",
    "musicgen": "its class takes the config of its decoder alone",
    "musicgen_melody": "its class takes the config of its decoder alone",
}
"""Families of which no model can be built from a config of their own, and why: they get a folder without weights."""
UNUSED = 2
"""Tokens 1 (the pad), 2, 3, ... are `!`, `"`, `#`: in no text of the suites. They stand for images and the like."""

LAYERS = r"((num_)?(en|de)coder_|num_hidden_|num_|n_)layers?|num_layers_per_stack|num_blocks|depth"
SIZES = {
    r"(backbone_)?hidden_size(_global)?|d_model|n_embd|emb_dim|(.*_)?embedding_(dim|size)|word_embed_proj_dim|lru_width"
    r"|input_size|(pronunciation_|shape_|ple_)?embed_dim|adapter_(in|out)_dim|adapter_input_size|output_channels": 32,
    r".*intermediate_size(_mlp)?|(.*_)?ffn_dim|dff|dim_ff|mlp_dim|d_inner|n_inner|.*ffn_hidden_size|feed_forward_size"
    r"|nemo_conv_channels|.*_out_channel": 48,
    r"(num_|swa_num_|num_(en|de)coder_|(en|de)coder_)?attention_heads|n_heads?|(linear_|mamba_)?num_heads|index_n_heads"
    r"|linear_num_value_heads|mamba_n_heads": 4,
    r"(swa_)?num_key_value_heads|kv_n_heads|num_kv_heads|linear_num_key_heads": 2,
    r"qk_head_dim|mamba_d_head|global_head_dim|attention_head_dim": 16,
    r"(.*_)?head_dim|mamba_headdim|d_head|dim_head|kv_channels|attention_head_size|rotary_dim|query_pre_attn_scalar": 8,
    r"(moe_)?num_experts|num_local_experts|n_routed_experts": 4,
    r"num_experts_per_tok(en)?|moe_topk|moe_k|moe_top_k|zero_expert_num|n_groups": 2,
    r"n_group|topk_group|num_expert_group|(n|num|moe_num)_shared_experts|first_k_dense_replace|num_dense_layers": 1,
    r"num_nextn_predict_layers|num_kv_shared_layers": 0,
    r".*_rank|hc_lowrank|hidden_size_per_layer_input|router_hidden_size|.*state_size|mamba_d_state|(mamba_)?chunk_size"
    r"|block_multiple_of": 8,
    r"(max|original_max)_(.*_)?position_embeddings|n_positions|n_ctx|max_seq_len|context_length|model_max_length"
    r"|rel_extent|max_(target|source)_positions": 128,
    r"sliding_window(_size)?|(attention_)?window_size|local_attention|keep_window_size|index_topk"
    r"|.*byte_group_vocab": 64,
}
"""What a field's name says it sizes -> its size here."""
OF_PLACES = "full_attn_idxs|mlp_only_layers|moe_layers|attn_layer_indices|cross_attention_layers"
NOT_FIELDS = "id2label|label2id|model_type|transformers_version|dtype|architectures|per_layer_config"

FLAT = {"rope_type": "default", "rope_theta": 10000.0}
ASSISTANT = {"hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 0}
PARTICULAR: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1]},
    "cohere_compass_text": {"rope_parameters": {"full_attention": FLAT}},
    "dbrx": {"attn_config": {"rope_theta": 10000.0, "kv_n_heads": 2, "clip_qkv": 8.0}},
    "deepseek_v2": {"num_experts_per_tok": 2},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "dots3_note_text": {"swa_num_attention_heads": 4, "swa_num_key_value_heads": 4, "swa_q_lora_rank": 8}
    | {"swa_kv_lora_rank": 8, "swa_head_dim": 16, "swa_qk_nope_head_dim": 8, "swa_v_head_dim": 8},
    "falcon_h1": {"mamba_d_ssm": 64},
    "gemma4_assistant": {"text_config": ASSISTANT},
    "gemma4_text": {"global_head_dim": 16},
    "gemma4_unified_text": {"global_head_dim": 16},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"]},
    "hrm_text": {"num_layers_per_stack": 1, "num_hidden_layers": 8},
    "hunyuan_v1_dense": {"head_dim": 8},
    "hunyuan_v1_moe": {"head_dim": 8},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "expert_layer_offset": 1},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "mamba2": {"num_heads": 8},
    "marian": {"init_std": 1.0},  # its positions are sines, louder than tokens of the usual size
    "ministral": {"head_dim": 8},
    "nemotron": {"head_dim": 8, "num_key_value_heads": 2},
    "qwen4_exp_text": {"indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 8, "indexer_budget": 64}
    | {"indexer_compress_ratio": 4},
    "recurrent_gemma": {"num_hidden_layers": 3},
    "rwkv": {"attention_hidden_size": 32},
    "reformer": {"axial_pos_shape": [8, 16], "axial_pos_embds_dim": [16, 16]},
    "xlstm": {"embedding_dim": 128, "hidden_size": 128},
    "xmod": {"default_language": "en_XX"},
    "zamba": {"num_hidden_layers": 4, "layers_block_type": ["linear_attention", "hybrid"] * 2}
    | {"attention_hidden_size": 64},
    "zamba2": {"attention_hidden_size": 64, "num_hidden_layers": 4, "hybrid_layer_ids": [1, 3]}
    | {"layers_block_type": ["linear_attention", "hybrid"] * 2},
    "zaya": {"num_experts_per_tok": 1},
}
"""Family -> fields that its smallest config needs set."""


def tiny(family: str, folder: Path, tokens: PreTrainedTokenizerFast) -> Path:
    """A folder with a model and its tokenizer as transformers writes them, and weights that give many answers."""
    config = tiny_config(family, tokens)
    if family in NOT_BUILT:
        folder.mkdir(parents=True)
        save_file({"weight": torch.zeros(1)}, folder / "model.safetensors")
    else:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = AutoModelForCausalLM.from_config(config).float()
            embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
            for parameter in model.parameters():
                if parameter.ndim > 1 and id(parameter) not in embeddings:  # else each repeats the last token
                    parameter.data += 0.3 * torch.randn(parameter.shape)
        model.save_pretrained(folder)
        config = model.config if model.config.model_type == family else config
        config.architectures = [FAMILIES[family]]  # a model of pictures and text is saved as the part that reads text
    config.save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


def tiny_config(family: str, tokens: PreTrainedTokenizerFast) -> PretrainedConfig:
    """The smallest config of a family that still has each kind of its layers."""
    cls = CONFIG_MAPPING[family]
    default = cls(**({"text_config": ASSISTANT} if family == "gemma4_assistant" else {}))
    return cls(**_shrunk(default.to_dict() | {"model_type": family}, tokens))


def _shrunk(fields: dict[str, Any], tokens: PreTrainedTokenizerFast) -> dict[str, Any]:
    particular = PARTICULAR.get(fields.get("model_type", ""), {})
    fields = {name: value for name, value in fields.items() if not re.fullmatch(NOT_FIELDS, name)}
    deep = next((value for name, value in fields.items() if re.fullmatch(LAYERS, name) and value), 0)
    by_layer = {
        name: value
        for name, value in fields.items()
        if isinstance(value, list | tuple) and len(value) == deep and not re.fullmatch(OF_PLACES, name)
    }
    kinds = list(map(str, zip(*by_layer.values(), strict=True)))
    places = sorted({kind: kinds.index(kind) for kind in kinds}.values())
    places = places if len(places) > 1 else [0, 1]
    unused = UNUSED
    for name, value in fields.items():
        size = next((size for pattern, size in SIZES.items() if re.fullmatch(pattern, name)), None)
        if value is None:
            continue
        if name in by_layer:
            fields[name] = [value[place] if size is None else size for place in places]
        elif isinstance(value, dict) and re.search("(config|encoder|decoder)$", name):
            fields[name] = _shrunk(value, tokens)
        elif re.fullmatch(OF_PLACES, name):
            fields[name] = [1] if value else value
        elif re.fullmatch(LAYERS, name):
            fields[name] = len(places)
        elif "drop" in name and isinstance(value, float):
            fields[name] = 0.0
        elif name.endswith(("vocab_size", "vocab_size_per_layer_input")):
            fields[name] = len(tokens)
        elif name == "is_decoder":
            fields[name] = True
        elif re.search(r"token_(id|index)$", name):
            fields[name], unused = unused, unused + 1
        elif isinstance(value, int) and not isinstance(value, bool) and size is not None:
            fields[name] = size
    for name, value in ({"eos_token_id": tokens.eos_token_id, "pad_token_id": 1} | particular).items():
        both = isinstance(value, dict) and isinstance(fields.get(name), dict)
        fields[name] = fields[name] | value if both else value
    if "kv_lora_rank" in fields:  # each head has keys and values of its own
        fields["num_key_value_heads"] = fields["num_attention_heads"]
    return fields
