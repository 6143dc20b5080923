"""Gated DeltaNet: linear attention whose state forgets by a gate and corrects, rather than adds to, what it holds.

Yang, Kautz and Hatamizadeh, "Gated Delta Networks: Improving Mamba2 with Delta Rule", 2024. With keys of length 1,
state S, decay a and strength b of a head: S_t = a_t S_t-1 + b_t k_t (v_t - a_t S_t-1' k_t)', out_t = S_t' q_t, so that
with b = 1 the value under a key is replaced. Queries, keys and values pass a short convolution and SiLU; a comes from a
step's length as in Mamba-2; each head's output is normalised and gated; a SwiGLU feed-forward follows. Values are twice
as wide as keys, as in the paper, whose keys are 3/4 as wide as the model, where these are as wide as it: the matrices
of a mixer have 8 D² weights, where those of the authors' code have 6 D².

In training all symbols of a chunk are read at once: their corrections u depend on each other by a triangular system,
(1 + L) u = b (v - decayed S' k) with L_ij = b_i decay_ij k_i' k_j for j < i (the UT transform of Yang et al.,
"Parallelizing Linear Transformers with the Delta Rule over Sequence Length", 2024), and u takes the place of the values
in linear attention. Solving it is no matrix product and not among the FLOPs counted; its gradient takes one that is.

B batch, S symbols read, T <= S symbols written, C <= S symbols of a chunk, D width, H heads, K = D / H key and V = 2 K
value of a head, F feed-forward
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.architectures.base import HeadsConfig, SequenceSpec, last_columns
from bench.architectures.linear_attention import (
    ShortConvolution,
    StateDecoder,
    StatePositions,
    decay_between,
    decayed_attention,
    in_chunks,
)
from bench.architectures.mamba2 import draw_step_lengths
from bench.architectures.norms import RMSNorm, unit
from bench.architectures.parts import Activation, FeedForward, FeedForwardConfig, Norm, linear, make_norm
from bench.architectures.registry import register

State = tuple[Tensor, Tensor | None]
"""What the convolution saw last, (B, W - 1, 4 D), and what each head keeps, (B, H, K, V)."""


@dataclass(frozen=True, kw_only=True)
class GatedDeltaNetConfig(FeedForwardConfig, HeadsConfig):
    search: ClassVar = {
        "heads": (2, 4, 8),
        "positions": ("none", "learned"),
        "norm": ("layer", "rms"),
        "activation": ("gelu", "swiglu"),
        "negative_eigenvalues": (False, True),
    }

    layers: int = 3
    """blocks"""
    heads: int = 4
    """heads in each block, each with its own decay and strength"""
    width: int = 44
    """D, a multiple of `heads`"""
    feedforward: int | None = None
    """F; None is 8/3 x width, rounded down, and 4 x width without a gate"""
    window: int = 4
    """W, symbols that the convolution sees"""
    dropout: float = 0.0
    """share of activations dropped after the embedding and at the end of each residual branch"""
    norm: Norm = "rms"
    activation: Activation = "swiglu"
    positions: StatePositions = "none"
    """what is added to symbols: `none`, or `learned` vectors of their columns"""
    negative_eigenvalues: bool = False
    """whether strengths go from 0 to 2, not to 1, so that a state's eigenvalues may be negative (Grazzi et al.,
    "Unlocking State-Tracking in Linear RNNs Through Negative Eigenvalues", 2024)"""
    chunk: int = 64
    """symbols that are read at once; more are read in chunks, with a state passed on between them"""


def gated_delta_rule(
    q_BHCK: Tensor,
    k_BHCK: Tensor,
    v_BHCV: Tensor,
    log_decay_BHC: Tensor,
    strength_BHC: Tensor,
    state_BHKV: Tensor | None,
    keep: bool,
) -> tuple[Tensor, Tensor | None]:
    """One chunk, after what `state` holds (None: nothing) -> (B, H, C, V), and the state after it if `keep`."""
    strong_k_BHCK = k_BHCK * strength_BHC[..., None]
    u_BHCV = v_BHCV * strength_BHC[..., None]
    if state_BHKV is not None:
        u_BHCV = u_BHCV - (strong_k_BHCK * log_decay_BHC.cumsum(-1).exp()[..., None]) @ state_BHKV
    between_BHCC = decay_between(log_decay_BHC)
    system_BHCC = strong_k_BHCK @ k_BHCK.mT * between_BHCC
    u_BHCV = torch.linalg.solve_triangular(  # reads what is below the diagonal, and takes the diagonal for ones
        system_BHCC, u_BHCV.type_as(system_BHCC), upper=False, unitriangular=True
    )
    return decayed_attention(q_BHCK, k_BHCK, u_BHCV, log_decay_BHC, state_BHKV, keep, between_BHCC)


class Mixer(nn.Module):
    """Convolution, gated delta rule, norm, gate."""

    def __init__(self, config: GatedDeltaNetConfig) -> None:
        super().__init__()
        self.heads, self.chunk = config.heads, config.chunk
        self.strongest = 2.0 if config.negative_eigenvalues else 1.0
        self.query_key = nn.Linear(config.width, 2 * config.width, bias=False)
        self.value = nn.Linear(config.width, 2 * config.width, bias=False)
        self.gate = nn.Linear(config.width, 2 * config.width, bias=False)
        self.strength = nn.Linear(config.width, config.heads, bias=False)
        self.step = nn.Linear(config.width, config.heads)
        self.convolution = ShortConvolution(4 * config.width, config.window, bias=False)
        self.log_rate = nn.Parameter(torch.empty(config.heads).uniform_(0.01, 16).log())
        self.norm = RMSNorm(2 * config.width // config.heads, eps=1e-6)
        self.out = nn.Linear(2 * config.width, config.width, bias=False)

    def forward(
        self, x_BSD: Tensor, visible_BS1: Tensor, wanted: int, state: State | None, keep: bool
    ) -> tuple[Tensor, State]:
        """As a block of `StateDecoder`. The convolution sees and gives zeros at pads, so keys and values are 0."""
        past, kept_BHKV = (None, None) if state is None else state
        joined = torch.cat([self.query_key.weight, self.value.weight])  # cheaper than to join what they give
        mixed_BSN, past = self.convolution(F.linear(x_BSD * visible_BS1, joined), past)
        query_key_BSN, value_BSN = F.silu(mixed_BSN).chunk(2, dim=-1)
        q_BHSK, k_BHSK = unit(query_key_BSN.unflatten(-1, (2 * self.heads, -1))).transpose(1, 2).chunk(2, dim=1)
        v_BHSV = value_BSN.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        log_decay_BHS = -self.log_rate.exp()[:, None] * F.softplus(self.step(x_BSD)).mT
        strength_BHS = self.strongest * self.strength(x_BSD).sigmoid().mT
        parts = (q_BHSK * q_BHSK.shape[-1] ** -0.5, k_BHSK, v_BHSV, log_decay_BHS, strength_BHS)
        out_BHSV, kept_BHKV = in_chunks(gated_delta_rule, self.chunk, parts, kept_BHKV, keep)
        out_BHTV = self.norm(last_columns(out_BHSV, wanted, dim=2).type_as(self.norm.weight))
        gate_BTG = F.silu(self.gate(last_columns(x_BSD, wanted)))
        return self.out(out_BHTV.transpose(1, 2).flatten(-2) * gate_BTG), (past, kept_BHKV)


class Block(nn.Module):
    """Pre-norm mixer, then pre-norm feed-forward, each added to the residual stream."""

    def __init__(self, config: GatedDeltaNetConfig) -> None:
        super().__init__()
        self.norm_1 = make_norm(config.norm, config.width)
        self.mixer = Mixer(config)
        self.norm_2 = make_norm(config.norm, config.width)
        self.feedforward = FeedForward(config, linear(bias=False))
        self.drop = nn.Dropout(config.dropout)

    def forward(
        self, x_BSD: Tensor, visible_BS1: Tensor, wanted: int, state: State | None, keep: bool
    ) -> tuple[Tensor, State]:
        mixed_BTD, state = self.mixer(self.norm_1(x_BSD), visible_BS1, wanted, state, keep)
        x_BTD = last_columns(x_BSD, wanted) + self.drop(mixed_BTD)
        return x_BTD + self.drop(self.feedforward(self.norm_2(x_BTD))), state


@register
class GatedDeltaNet(StateDecoder):
    """Places count from the '=', so left padding moves nothing. Decoding keeps a state of fixed size."""

    name = "gated-deltanet"
    family = "linear attention"
    year = 2024
    paper = "Yang, Kautz and Hatamizadeh, Gated Delta Networks: Improving Mamba2 with Delta Rule, 2024"
    Config = GatedDeltaNetConfig
    debug: ClassVar = {"layers": 2, "heads": 2, "width": 8}
    stacked: ClassVar = {"*.query_key.weight": 2, "*.gate_up.weight": 2}

    def __init__(self, config: GatedDeltaNetConfig, spec: SequenceSpec) -> None:
        super().__init__(config, spec, Block, make_norm(config.norm, config.width))
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, Mixer):
                draw_step_lengths(module.step.bias)
