"""GPT-2: the transformer decoder of 2019, with layer norms, GELU, biases and learned positions.

Radford et al., "Language Models are Unsupervised Multitask Learners", 2019. The head has its own weights, where GPT-2's
are those of the symbols, and GELU is exact, where GPT-2's is approximated by tanh. `transformer` has the same code and
the parts that came later; here they stay as they were.
"""

from dataclasses import dataclass
from typing import ClassVar

from bench.architectures.parts import Activation, Norm
from bench.architectures.registry import register
from bench.architectures.transformer import Positions, Transformer, TransformerConfig


@dataclass(frozen=True, kw_only=True)
class GPT2Config(TransformerConfig):
    search: ClassVar = {"heads": (2, 4, 8)}
    published: ClassVar = {}
    faithful: ClassVar = ("norm", "activation", "subnorm", "bias", "positions")

    norm: Norm = "layer"
    activation: Activation = "gelu"
    subnorm: bool = False
    bias: bool = True
    positions: Positions = "learned"


@register
class GPT2(Transformer):
    name = "gpt2"
    year = 2019
    paper = "Radford et al., Language Models are Unsupervised Multitask Learners, 2019"
    stacked: ClassVar = {"*.qkv.weight": 3}
    Config: ClassVar = GPT2Config
