"""Mamba-2: a state-space model that chooses, symbol by symbol, what to write into its state and how fast to forget.

Dao and Gu, "Transformers are SSMs: Generalized Models and Efficient Algorithms Through Structured State Space Duality",
2024. A step's length dt (softplus, one a head) decides both: state = exp(-dt exp(A)) state + dt B x, out = C state +
D x, after a short convolution over x, B and C; the result is gated, normalised and mixed. B and C are shared by all
heads (one group), x is twice as wide as the model, and there is no feed-forward, all as in the paper. In training it
runs in the dual form, as attention without softmax. Weights are drawn as in the authors' code; the head has its own,
where theirs are those of the symbols.

B batch, S symbols read, T <= S symbols written, D width, I = 2 D inner, H heads, V = I / H value of a head, N state
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.architectures.base import Config, SequenceSpec, last_columns
from bench.architectures.linear_attention import (
    ShortConvolution,
    StateDecoder,
    StatePositions,
    decayed_attention,
    in_chunks,
)
from bench.architectures.norms import RMSNorm
from bench.architectures.registry import register

LARGEST_STATE = 128
"""That of the paper's models."""
State = tuple[Tensor, Tensor | None]
"""What the convolution saw last, (B, W - 1, I + 2 N), and what each head keeps, (B, H, N, V)."""


@dataclass(frozen=True, kw_only=True)
class Mamba2Config(Config):
    size_fields: ClassVar = ("width", "state")
    search: ClassVar = {"heads": (2, 4, 8), "positions": ("none", "learned")}

    layers: int = 4
    """blocks"""
    heads: int = 4
    """heads in each block, each with its own decay"""
    width: int = 52
    """D; 2 x width must be a multiple of `heads`"""
    state: int | None = None
    """N, vectors of size I / H that a head keeps; None is `width`, at most 128 as in the paper"""
    window: int = 4
    """W, symbols that the convolution sees"""
    dropout: float = 0.0
    """share of activations dropped after the embedding and at the end of each residual branch"""
    positions: StatePositions = "none"
    """what is added to symbols: `none`, or `learned` vectors of their columns"""
    chunk: int = 64
    """symbols that are read at once; more are read in chunks, with a state passed on between them"""

    @property
    def size_step(self) -> int:
        return self.heads // math.gcd(self.heads, 2)


class Mixer(nn.Module):
    """Convolution, state-space model, gate, norm."""

    def __init__(self, config: Mamba2Config) -> None:
        super().__init__()
        self.heads, self.chunk = config.heads, config.chunk
        self.inner, self.state = 2 * config.width, config.state or min(config.width, LARGEST_STATE)
        # One matrix in the authors' code; here each is its own, since Muon updates a matrix as a whole.
        self.gate = nn.Linear(config.width, self.inner, bias=False)
        self.value = nn.Linear(config.width, self.inner, bias=False)
        self.write_read = nn.Linear(config.width, 2 * self.state, bias=False)
        self.step = nn.Linear(config.width, config.heads)
        self.convolution = ShortConvolution(self.inner + 2 * self.state, config.window, bias=True)
        self.log_rate = nn.Parameter(torch.empty(config.heads).uniform_(1, 16).log())
        self.skip = nn.Parameter(torch.ones(config.heads))
        self.norm = RMSNorm(self.inner, eps=1e-5)
        self.out = nn.Linear(self.inner, config.width, bias=False)
        draw_step_lengths(self.step.bias)
        with torch.no_grad():
            self.out.weight /= math.sqrt(config.layers)

    def forward(
        self, x_BSD: Tensor, visible_BS1: Tensor, wanted: int, state: State | None, keep: bool
    ) -> tuple[Tensor, State]:
        """As a block of `StateDecoder`. The convolution sees zeros at pads, and their steps are of length 0."""
        past, kept_BHNV = (None, None) if state is None else state
        joined = torch.cat([self.value.weight, self.write_read.weight])  # cheaper than to join what they give
        mixed_BSN, past = self.convolution(F.linear(x_BSD * visible_BS1, joined), past)
        value_BSI, write_BSN, read_BSN = F.silu(mixed_BSN).split([self.inner, self.state, self.state], dim=-1)
        value_BHSV = value_BSI.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        step_BHS = (F.softplus(self.step(x_BSD)) * visible_BS1).mT
        log_decay_BHS = -self.log_rate.exp()[:, None] * step_BHS
        parts = (read_BSN[:, None], write_BSN[:, None], value_BHSV * step_BHS[..., None], log_decay_BHS)
        out_BHSV, kept_BHNV = in_chunks(decayed_attention, self.chunk, parts, kept_BHNV, keep)
        # Not `last_columns`, with which the same gradient has other last bits (docs/log.md).
        out_BHTV = torch.addcmul(out_BHSV, value_BHSV, self.skip[:, None, None])[:, :, -wanted:]
        gated_BTI = out_BHTV.transpose(1, 2).flatten(-2) * F.silu(self.gate(last_columns(x_BSD, wanted)))
        return self.out(self.norm(gated_BTI)), (past, kept_BHNV)


def draw_step_lengths(bias_H: Tensor) -> None:
    """Biases whose softplus, the length of a step, is drawn from 0.001 to 0.1, evenly on the logarithm."""
    with torch.no_grad():
        length_H = torch.empty_like(bias_H).uniform_(math.log(0.001), math.log(0.1)).exp()
        bias_H.copy_(length_H + (-(-length_H).expm1()).log())


class Block(nn.Module):
    """Pre-norm mixer, added to the residual stream."""

    def __init__(self, config: Mamba2Config) -> None:
        super().__init__()
        self.norm = RMSNorm(config.width, eps=1e-5)
        self.mixer = Mixer(config)
        self.drop = nn.Dropout(config.dropout)

    def forward(
        self, x_BSD: Tensor, visible_BS1: Tensor, wanted: int, state: State | None, keep: bool
    ) -> tuple[Tensor, State]:
        mixed_BTD, state = self.mixer(self.norm(x_BSD), visible_BS1, wanted, state, keep)
        return last_columns(x_BSD, wanted) + self.drop(mixed_BTD), state


@register
class Mamba2(StateDecoder):
    """Places count from the '=', so left padding moves nothing. Decoding keeps a state of fixed size."""

    name = "mamba2"
    family = "state space"
    year = 2024
    paper = "Dao and Gu, Transformers are SSMs, 2024"
    Config = Mamba2Config
    debug: ClassVar = {"layers": 2, "heads": 4, "width": 8}
    stacked: ClassVar = {"*.write_read.weight": 2}

    def __init__(self, config: Mamba2Config, spec: SequenceSpec) -> None:
        super().__init__(config, spec, Block, RMSNorm(config.width, eps=1e-5))
        for outer in (self.symbols, self.positions, self.head):
            if outer is not None:
                nn.init.normal_(outer.weight, std=0.02)
