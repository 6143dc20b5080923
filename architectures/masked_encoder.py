"""Masked encoder: attention in both directions over the prompt and a canvas that is filled in.

Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", 2018: learned
positions, one vector for each of the two segments (prompt and canvas), and a head of a hidden layer and the symbols'
own vectors; no [CLS] and no [SEP], since columns separate segments. Norms stand after attention, after feed-forward and
after the embedding; `norm_first` has them before both and at the end, as in Shoeybi et al., "Megatron-LM", 2019. It
answers in a few passes by mask-predict, see `MaskedInfilling`, where pads are symbols that are scored like others.

B batch, P prompt, A answer, S = P + A columns read, T <= S columns written, D width, H heads, K = D / H,
F feed-forward, V vocabulary
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.architectures.attention import Cache, Rotation, draw_normal, rotary, run_blocks
from bench.architectures.base import SequenceSpec, last_columns
from bench.architectures.infilling import MaskedInfilling, MaskedInfillingConfig
from bench.architectures.parts import AttentionConfig, make_norm
from bench.architectures.registry import register
from bench.architectures.transformer import Block

EPSILON = 1e-12
"""BERT's addend in all norms."""


@dataclass(frozen=True, kw_only=True)
class MaskedEncoderConfig(AttentionConfig, MaskedInfillingConfig):
    search: ClassVar = {
        "heads": (2, 4, 8),
        "norm_first": (False, True),
        "norm": ("layer", "rms"),
        "activation": ("gelu", "swiglu"),
        "subnorm": (False, True),
        "positions": ("learned", "rotary"),
    }

    norm_first: bool = False
    """whether norms stand before attention and feed-forward, or after both are added to their input"""
    positions: Literal["learned", "rotary"] = "learned"
    """how columns know where they stand: `learned` or `rotary`, as in `transformer`"""

    @property
    def size_step(self) -> int:
        return 2 * self.heads if self.positions == "rotary" else self.heads


class PostNormBlock(Block):
    """Attention, then feed-forward, each added to its input and then normalised."""

    def forward(
        self, x_BSD: Tensor, mask_B1TS: Tensor, cache: Cache | None, rotation: Rotation | None = None
    ) -> tuple[Tensor, Cache]:
        """As `Block`."""
        mixed_BTD, cache = self.attention(x_BSD, mask_B1TS, cache, rotation)
        x_BTD = self.norm_1(last_columns(x_BSD, mask_B1TS.shape[2]) + self.drop(mixed_BTD))
        return self.norm_2(x_BTD + self.drop(self.feedforward(x_BTD))), cache


@register
class MaskedEncoder(MaskedInfilling):
    """Columns count from the '=', so padding does not move them; a prompt's pads are hidden, a canvas's are symbols."""

    name = "masked-encoder"
    family = "transformer encoder"
    year = 2018
    paper = "Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding, 2018"
    Config: ClassVar = MaskedEncoderConfig
    debug: ClassVar = {"layers": 2, "heads": 2, "width": 8}
    stacked: ClassVar = {"*.qkv.weight": 3, "*.gate_up.weight": 2}

    def __init__(self, config: MaskedEncoderConfig, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        self.symbols = nn.Embedding(spec.vocabulary, config.width)
        rows = spec.prompt_width + spec.answer_width
        self.positions = nn.Embedding(rows, config.width) if config.positions == "learned" else None
        self.segments = nn.Embedding(2, config.width)
        self.norm = make_norm(config.norm, config.width, EPSILON)
        self.drop = nn.Dropout(config.dropout)
        block = Block if config.norm_first else PostNormBlock
        self.blocks = nn.ModuleList(block(config, eps=EPSILON) for _ in range(config.layers))
        self.transform = nn.Linear(config.width, config.width)
        self.transform_norm = make_norm(config.norm, config.width, EPSILON)
        self.bias = nn.Parameter(torch.zeros(spec.vocabulary))
        self.apply(draw_normal)

    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        symbols_BS = torch.cat([prompt, answer], dim=1)
        columns_S = torch.arange(symbols_BS.shape[1], device=prompt.device)
        places_S = columns_S + self.spec.prompt_width - prompt.shape[1]
        x_BSD = self.symbols(symbols_BS) + self.segments((columns_S >= prompt.shape[1]).long())
        rotation = None
        if self.positions is None:
            rotation = rotary(places_S, self.config.width // self.config.heads, x_BSD)
        else:
            x_BSD = x_BSD + self.positions(places_S)
        x_BSD = self.drop(x_BSD if self.config.norm_first else self.norm(x_BSD))
        visible_BS = F.pad(prompt != self.spec.pad, (0, answer.shape[1]), value=True)
        mask_B1SS = visible_BS[:, None, None].expand(-1, -1, x_BSD.shape[1], -1)
        x_BAD, _ = run_blocks(self.blocks, x_BSD, mask_B1SS, answer.shape[1], None, rotation)
        if self.config.norm_first:
            x_BAD = self.norm(x_BAD)
        hidden_BAD = self.transform_norm(F.gelu(self.transform(x_BAD)))
        return F.linear(hidden_BAD, self.symbols.weight, self.bias)
