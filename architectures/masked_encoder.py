"""Masked encoder, the BERT line: attention in both directions over the prompt and a canvas that is filled in.

Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", 2018: norms after
each sublayer and after the embedding, learned positions, one vector for each of the two segments (prompt and canvas),
GELU, and a head of a hidden layer and the symbols' own vectors; no [CLS] and no [SEP], since columns separate segments.
It answers in a few passes by mask-predict, see `MaskedInfilling`.

B batch, P prompt, A answer, S = P + A columns read, T <= S columns written, D width, H heads, K = D / H,
F feed-forward, V vocabulary
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.architectures.attention import draw_normal, fill_lanes
from bench.architectures.base import HeadsConfig, SequenceSpec, last_columns
from bench.architectures.infilling import MaskedInfilling, MaskedInfillingConfig
from bench.architectures.registry import register

EPSILON = 1e-12
"""BERT's addend in all norms."""


@dataclass(frozen=True, kw_only=True)
class MaskedEncoderConfig(HeadsConfig, MaskedInfillingConfig):
    """The settings of models with heads, and `passes`."""


class Attention(nn.Module):
    """Multi-head self-attention of the last T columns to all."""

    def __init__(self, config: MaskedEncoderConfig) -> None:
        super().__init__()
        self.heads, self.dropout = config.heads, config.dropout
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)

    def forward(self, x_BSD: Tensor, visible_B11S: Tensor, wanted: int) -> Tensor:
        q_BHSK, k_BHSK, v_BHSK = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x_BSD).chunk(3, dim=-1)
        )
        k_BHSK, v_BHSK, visible_B11S = fill_lanes(k_BHSK, v_BHSK, visible_B11S)
        mixed_BHTK = F.scaled_dot_product_attention(
            last_columns(q_BHSK, wanted, dim=2),
            k_BHSK,
            v_BHSK,
            visible_B11S,
            dropout_p=self.dropout if self.training else 0.0,
        )
        out_BTD: Tensor = self.out(mixed_BHTK.transpose(1, 2).flatten(-2))
        return out_BTD


class Block(nn.Module):
    """Attention, then feed-forward, each added to its input and then normalised."""

    def __init__(self, config: MaskedEncoderConfig) -> None:
        super().__init__()
        feedforward = config.feedforward or 4 * config.width
        self.attention = Attention(config)
        self.norm_1 = nn.LayerNorm(config.width, eps=EPSILON)
        self.up = nn.Linear(config.width, feedforward)
        self.down = nn.Linear(feedforward, config.width)
        self.norm_2 = nn.LayerNorm(config.width, eps=EPSILON)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x_BSD: Tensor, visible_B11S: Tensor, wanted: int) -> Tensor:
        mixed_BTD = self.attention(x_BSD, visible_B11S, wanted)
        x_BTD = self.norm_1(last_columns(x_BSD, wanted) + self.drop(mixed_BTD))
        hidden_BTF = F.gelu(self.up(x_BTD))
        out_BTD: Tensor = self.norm_2(x_BTD + self.drop(self.down(hidden_BTF)))
        return out_BTD


@register
class MaskedEncoder(MaskedInfilling):
    """Columns count from the '=', so padding does not move them; a prompt's pads are hidden, a canvas's are symbols."""

    name = "masked-encoder"
    family = "transformer encoder"
    year = 2018
    paper = "Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding, 2018"
    Config = MaskedEncoderConfig
    debug: ClassVar = {"layers": 2, "heads": 2, "width": 8}
    stacked: ClassVar = {"*.qkv.weight": 3}

    def __init__(self, config: MaskedEncoderConfig, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        self.symbols = nn.Embedding(spec.vocabulary, config.width)
        self.positions = nn.Embedding(spec.prompt_width + spec.answer_width, config.width)
        self.segments = nn.Embedding(2, config.width)
        self.norm = nn.LayerNorm(config.width, eps=EPSILON)
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.transform = nn.Linear(config.width, config.width)
        self.transform_norm = nn.LayerNorm(config.width, eps=EPSILON)
        self.bias = nn.Parameter(torch.zeros(spec.vocabulary))
        self.apply(draw_normal)

    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        symbols_BS = torch.cat([prompt, answer], dim=1)
        columns_S = torch.arange(symbols_BS.shape[1], device=prompt.device)
        places_S = columns_S + self.spec.prompt_width - prompt.shape[1]
        segments_S = (columns_S >= prompt.shape[1]).long()
        x_BSD = self.symbols(symbols_BS) + self.positions(places_S) + self.segments(segments_S)
        x_BSD = self.drop(self.norm(x_BSD))
        visible_BS = F.pad(prompt != self.spec.pad, (0, answer.shape[1]), value=True)
        for number, block in enumerate(self.blocks):
            wanted = answer.shape[1] if number == len(self.blocks) - 1 else x_BSD.shape[1]  # no later block reads more
            x_BSD = block(x_BSD, visible_BS[:, None, None], wanted)
        hidden_BAD = self.transform_norm(F.gelu(self.transform(x_BSD)))
        return F.linear(hidden_BAD, self.symbols.weight, self.bias)
