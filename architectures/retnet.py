"""RetNet: a transformer decoder whose attention is retention, which decays with distance and has no softmax.

Sun et al., "Retentive Network: A Successor to Transformer for Large Language Models", 2023: each head turns queries and
keys by the angle of their column, as xPos does, and forgets at a rate of its own, 1 - 2^(-5 - head); values, gate and
feed-forward are twice as wide as the model; each head is normalised by itself, gated by SiLU (swish) and mixed; layer
norms and GELU. Weights are drawn as the authors do after DeepNet (Xavier, gains 2^-2.5 and 2^-1). The paper's divisions
of scores by their sums are left out: they keep numbers small in half precision, and the norm of each head undoes them
but for what it adds to the variance (1e-6): at birth, where values are small, outputs differ by 1.1 % and gradients by
8.9 %. The paper has no positions but the rotation; `learned` ones beside it gain ten points at a sixth of the budget of
`quick` and one at the whole (`docs/log.md`).

B batch, S symbols read, T <= S symbols written, D width, F feed-forward, H heads, K = D / H key, V = 2 K value
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.architectures.attention import rotate, rotation_at
from bench.architectures.base import HeadsConfig, SequenceSpec, last_columns
from bench.architectures.linear_attention import StateDecoder, StatePositions, decayed_attention, in_chunks
from bench.architectures.parts import FeedForward, FeedForwardConfig, linear, make_norm
from bench.architectures.registry import register

State = tuple[int, Tensor | None]
"""Symbols read so far, pads included, and what each head keeps of them, (B, H, K, V)."""


@dataclass(frozen=True, kw_only=True)
class RetNetConfig(FeedForwardConfig, HeadsConfig):
    search: ClassVar = {
        "heads": (2, 4, 8),
        "positions": ("none", "learned"),
        "norm": ("layer", "rms"),
        "activation": ("gelu", "swiglu"),
    }
    published: ClassVar = {"positions": "none"}
    hidden_ratio: ClassVar = Fraction(2)

    layers: int = 3
    """blocks"""
    heads: int = 4
    """retention heads in each block, each with its own decay"""
    width: int = 48
    """D, a multiple of 2 x `heads`"""
    feedforward: int | None = None
    """F; None is 2 x width, with a gate 4/3 x width"""
    dropout: float = 0.0
    """share of activations dropped after the embedding and at the end of each residual branch"""
    positions: StatePositions = "learned"
    """what is added to symbols beside the rotation of retention: `none`, or `learned` vectors of their columns"""
    chunk: int = 64
    """symbols that are read at once; more are read in chunks, with a state passed on between them"""

    @property
    def size_step(self) -> int:
        return 2 * self.heads


class Retention(nn.Module):
    """Multi-scale retention, gated."""

    log_decay: Tensor

    def __init__(self, config: RetNetConfig) -> None:
        super().__init__()
        self.heads, self.chunk = config.heads, config.chunk
        self.query_key = nn.Linear(config.width, 2 * config.width, bias=False)
        self.value = nn.Linear(config.width, 2 * config.width, bias=False)
        self.gate = nn.Linear(config.width, 2 * config.width, bias=False)
        self.out = nn.Linear(2 * config.width, config.width, bias=False)
        decay_H = 1 - 2.0 ** (-5 - torch.arange(config.heads, dtype=torch.get_default_dtype()))
        self.register_buffer("log_decay", decay_H.log(), persistent=False)
        for part in (*self.query_key.weight.chunk(2), self.value.weight, self.gate.weight):
            nn.init.xavier_uniform_(part, gain=2**-2.5)
        nn.init.xavier_uniform_(self.out.weight, gain=2**-1)

    def forward(
        self, x_BSD: Tensor, visible_BS1: Tensor, wanted: int, state: State | None, keep: bool
    ) -> tuple[Tensor, State]:
        """As a block of `StateDecoder`; pads have keys of 0."""
        first, kept_BHKV = (0, None) if state is None else state
        end = first + x_BSD.shape[1]
        q_BSD, k_BSD = self.query_key(x_BSD).chunk(2, dim=-1)
        k_BSD = k_BSD * visible_BS1
        key = k_BSD.shape[-1] // self.heads
        # The authors' rates: from 1 to 1 / 10000, both ends included.
        rates_R = 10000.0 ** -torch.linspace(0, 1, key // 2, device=x_BSD.device)
        rotation = rotation_at(torch.arange(first, end, device=x_BSD.device), rates_R, x_BSD)
        q_BHSK, k_BHSK = rotate(self._split(q_BSD), rotation), rotate(self._split(k_BSD), rotation) * key**-0.5
        log_decay_1HS = self.log_decay[None, :, None].expand(1, -1, x_BSD.shape[1])
        parts = (q_BHSK, k_BHSK, self._split(self.value(x_BSD)), log_decay_1HS)
        mixed_BHSV, kept_BHKV = in_chunks(decayed_attention, self.chunk, parts, kept_BHKV, keep)
        mixed_BHTV = F.layer_norm(last_columns(mixed_BHSV, wanted, dim=2), mixed_BHSV.shape[-1:], eps=1e-6)
        gate_BTG = F.silu(self.gate(last_columns(x_BSD, wanted)))
        return self.out(mixed_BHTV.transpose(1, 2).flatten(-2) * gate_BTG), (end, kept_BHKV)

    def _split(self, x_BSD: Tensor) -> Tensor:
        """(B, S, H x K) -> (B, H, S, K)."""
        return x_BSD.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Block(nn.Module):
    """Pre-norm retention, then pre-norm feed-forward, each added to the residual stream."""

    def __init__(self, config: RetNetConfig) -> None:
        super().__init__()
        self.norm_1 = make_norm(config.norm, config.width)
        self.retention = Retention(config)
        self.norm_2 = make_norm(config.norm, config.width)
        self.feedforward = FeedForward(config, linear(bias=True))
        self.drop = nn.Dropout(config.dropout)

    def forward(
        self, x_BSD: Tensor, visible_BS1: Tensor, wanted: int, state: State | None, keep: bool
    ) -> tuple[Tensor, State]:
        mixed_BTD, state = self.retention(self.norm_1(x_BSD), visible_BS1, wanted, state, keep)
        x_BTD = last_columns(x_BSD, wanted) + self.drop(mixed_BTD)
        return x_BTD + self.drop(self.feedforward(self.norm_2(x_BTD))), state


@register
class RetNet(StateDecoder):
    """Places count from the '=', so left padding moves nothing. Decoding keeps a state of fixed size."""

    name = "retnet"
    family = "linear attention"
    year = 2023
    paper = "Sun et al., Retentive Network: A Successor to Transformer for Large Language Models, 2023"
    Config = RetNetConfig
    debug: ClassVar = {"layers": 2, "heads": 2, "width": 8}
    stacked: ClassVar = {"*.query_key.weight": 2, "*.gate_up.weight": 2}

    def __init__(self, config: RetNetConfig, spec: SequenceSpec) -> None:
        # Symbols and positions keep torch's standard deviation of 1.
        super().__init__(config, spec, Block, make_norm(config.norm, config.width))
        nn.init.normal_(self.head.weight, std=1 / math.sqrt(config.width))
