"""BitNet b1.58: a transformer decoder whose inner matrices are ternary and whose activations have 8 bits.

Ma et al., "The Era of 1-bit LLMs: All Large Language Models are in 1.58 Bits", 2024: each weight is used as -1, 0 or 1
times the mean absolute value of its matrix (absmean), each symbol's activations as integers up to 127 times a scale of
their own (absmax). Gradients pass the rounding as if it were not there (straight-through), to weights kept in full.
The rest is LLaMA's, as in the paper: RMS norms, SiLU-gated feed-forward, rotary positions, no biases; and, as in the
BitNet of Wang et al., 2023, one more norm before each output matrix (SubLN). Embedding and head are not rounded.
`positions` may be learned instead, as in `transformer`: at a dozen symbols that separates what rotary positions cost
from what ternary weights cost.

B batch, S symbols read, T <= S symbols written, D width, H heads, K = D / H, F feed-forward, V vocabulary
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.architectures.attention import Cache, CachedDecoder, Rotation, attend, rotary, run_blocks
from bench.architectures.base import HeadsConfig, SequenceSpec, last_columns
from bench.architectures.norms import RMSNorm
from bench.architectures.registry import register

SMALLEST = 1e-5
"""Least scale, so that zeros stay zeros."""
Positions = Literal["rotary", "learned"]


@dataclass(frozen=True, kw_only=True)
class BitNetConfig(HeadsConfig):
    search: ClassVar = {"heads": (2, 4, 8), "positions": get_args(Positions)}

    width: int = 64
    """D, a multiple of 2 x `heads`"""
    feedforward: int | None = None
    """F; None is 8/3 x width, as in LLaMA, rounded down"""
    positions: Positions = "rotary"
    """how the model knows where a symbol stands"""

    def __post_init__(self) -> None:
        if self.positions not in get_args(Positions):
            raise ValueError(f"positions '{self.positions}': must be one of {', '.join(get_args(Positions))}")

    @property
    def size_step(self) -> int:
        return 2 * self.heads


def straight_through(exact: Tensor, rounded: Tensor) -> Tensor:
    """`rounded`, which has no gradient of its own, with that of `exact`: what is added is exactly 0."""
    return rounded + (exact - exact.detach())


def ternary(weight_MOI: Tensor) -> Tensor:
    """M matrices -> each with values of -1, 0 and 1, times its mean absolute value."""
    exact = weight_MOI.detach()
    scale_M11 = exact.abs().mean(dim=(1, 2), keepdim=True).clamp(min=SMALLEST)
    return straight_through(weight_MOI, (exact / scale_M11).round().clamp(-1, 1) * scale_M11)


def in_8_bits(x: Tensor) -> Tensor:
    """(..., D) -> each row as whole numbers from -127 to 127, times a scale."""
    exact = x.detach()
    steps = 127 / exact.abs().amax(dim=-1, keepdim=True).clamp(min=SMALLEST)
    return straight_through(x, (exact * steps).round() / steps)


class BitLinear(nn.Module):
    """Several matrices, stacked by rows, that are all given the same input."""

    def __init__(self, inputs: int, outputs: int, matrices: int = 1) -> None:
        super().__init__()
        self.matrices = matrices
        self.weight = nn.Parameter(torch.empty(matrices * outputs, inputs))

    def used(self) -> Tensor:
        """(M x O, I) the weights as they are used."""
        return ternary(self.weight.unflatten(0, (self.matrices, -1))).flatten(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(..., I) -> (..., M x O)."""
        return F.linear(in_8_bits(x), self.used())


class Attention(nn.Module):
    """Causal multi-head self-attention of the last T symbols to all, where the mask has T rows."""

    def __init__(self, config: BitNetConfig) -> None:
        super().__init__()
        self.heads, self.dropout = config.heads, config.dropout
        self.qkv = BitLinear(config.width, config.width, matrices=3)
        self.norm = RMSNorm(config.width, eps=1e-6)
        self.out = BitLinear(config.width, config.width)

    def forward(
        self, x_BSD: Tensor, mask_B1TS: Tensor, cache: Cache | None, rotation: Rotation | None
    ) -> tuple[Tensor, Cache]:
        """Symbols after those in `cache` -> (B, T, D), and the longer cache."""
        dropout = self.dropout if self.training else 0.0
        mixed_BTD, cache = attend(self.qkv(x_BSD), self.heads, mask_B1TS, cache, rotation, dropout)
        return self.out(self.norm(mixed_BTD)), cache


class FeedForward(nn.Module):
    """SiLU-gated linear unit."""

    def __init__(self, config: BitNetConfig) -> None:
        super().__init__()
        feedforward = config.feedforward or 8 * config.width // 3
        self.gate_up = BitLinear(config.width, feedforward, matrices=2)
        self.norm = RMSNorm(feedforward, eps=1e-6)
        self.down = BitLinear(feedforward, config.width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        gate_BTF, up_BTF = self.gate_up(x_BTD).chunk(2, dim=-1)
        out_BTD: Tensor = self.down(self.norm(F.silu(gate_BTF) * up_BTF))
        return out_BTD


class Block(nn.Module):
    """Pre-norm attention, then pre-norm feed-forward, each added to the residual stream."""

    def __init__(self, config: BitNetConfig) -> None:
        super().__init__()
        self.norm_1, self.attention = RMSNorm(config.width, eps=1e-6), Attention(config)
        self.norm_2, self.feedforward = RMSNorm(config.width, eps=1e-6), FeedForward(config)
        self.drop = nn.Dropout(config.dropout)

    def forward(
        self, x_BSD: Tensor, mask_B1TS: Tensor, cache: Cache | None, rotation: Rotation | None
    ) -> tuple[Tensor, Cache]:
        """As `Attention`: reads S symbols and writes the last T."""
        mixed_BTD, cache = self.attention(self.norm_1(x_BSD), mask_B1TS, cache, rotation)
        x_BTD = last_columns(x_BSD, mask_B1TS.shape[2]) + self.drop(mixed_BTD)
        return x_BTD + self.drop(self.feedforward(self.norm_2(x_BTD))), cache


@register
class BitNet(CachedDecoder):
    name = "bitnet"
    family = "quantised transformer decoder"
    year = 2024
    paper = "Ma et al., The Era of 1-bit LLMs: All Large Language Models are in 1.58 Bits, 2024"
    Config = BitNetConfig
    debug: ClassVar = {"layers": 2, "heads": 2, "width": 8}
    stacked: ClassVar = {"*.qkv.weight": 3, "*.gate_up.weight": 2}

    def __init__(self, config: BitNetConfig, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        self.symbols = nn.Embedding(spec.vocabulary, config.width)
        places = spec.prompt_width + spec.answer_width - 1
        self.positions = nn.Embedding(places, config.width) if config.positions == "learned" else None
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.width, eps=1e-6)
        self.head = nn.Linear(config.width, spec.vocabulary, bias=False)
        for module in self.modules():
            if isinstance(module, BitLinear | nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)

    def read(
        self, symbols_BS: Tensor, places_S: Tensor, visible_BS: Tensor, mask: Tensor, wanted: int, caches: list[Cache]
    ) -> tuple[Tensor, list[Cache]]:
        x_BSD, rotation = self.symbols(symbols_BS), None
        if self.positions is None:
            rotation = rotary(places_S, self.config.width // self.config.heads, x_BSD)
        else:
            x_BSD = x_BSD + self.positions(places_S)
        x_BTD, caches = run_blocks(self.blocks, self.drop(x_BSD), mask, wanted, caches, rotation)
        return self.head(self.norm(x_BTD)), caches

    @property
    def weight_bits(self) -> float:
        """With log2(3) bits for each ternary weight; the one scale of each matrix is left out."""
        bits, count = 0.0, 0
        rounded = {id(module.weight) for module in self.modules() if isinstance(module, BitLinear)}
        for parameter in self.parameters():
            bits += parameter.numel() * (math.log2(3) if id(parameter) in rounded else 8 * parameter.element_size())
            count += parameter.numel()
        return bits / count
