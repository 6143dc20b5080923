"""BERT: the masked encoder of 2018, with layer norms after each part and after the embedding, GELU and biases.

Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", 2018.
`masked-encoder` has the same code and the parts that came later; here they stay as they were.
"""

from dataclasses import dataclass
from typing import ClassVar

from bench.architectures.masked_encoder import MaskedEncoder, MaskedEncoderConfig
from bench.architectures.registry import register


@dataclass(frozen=True, kw_only=True)
class BERTConfig(MaskedEncoderConfig):
    search: ClassVar = {"heads": (2, 4, 8)}
    published: ClassVar = {}
    faithful: ClassVar = ("norm", "activation", "subnorm", "bias", "norm_first", "positions")

    norm_first: bool = False


@register
class BERT(MaskedEncoder):
    name = "bert"
    paper = "Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding, 2018"
    stacked: ClassVar = {"*.qkv.weight": 3}
    Config: ClassVar = BERTConfig
