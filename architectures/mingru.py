"""minGRU language model: a GRU whose gate and candidate see the symbol alone, so that all states follow by one scan.

Feng et al., "Were RNNs All We Needed?", 2024. A block is a short causal convolution, minGRU and a feed-forward, each
after a norm and added to the residual stream. At each symbol x:
    z = sigmoid(W x + b)      n = g(V x + c)      h <- (1 - z) * h + z * n      g(y) = y + 1/2 if y >= 0 else sigmoid(y)

The paper computes h by sums of logarithms, for which g keeps candidates positive, since its scan (Heinsen, "Efficient
Parallelization of a Ubiquitous Sequential Computation", 2023) would divide by products of 1 - z that vanish. The scan
here multiplies and never divides, so the same states come without logarithms, which are slow on CPUs: on these it goes
from symbol to symbol, elsewhere it doubles its reach in each of log2 S rounds (Hillis and Steele, "Data Parallel
Algorithms", 1986).

B batch, S symbols read, T <= S symbols written, D width, H = expansion x D hidden, W window, F feed-forward
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bench.architectures.base import SequenceSpec, last_columns
from bench.architectures.linear_attention import ShortConvolution, StateDecoder, StatePositions
from bench.architectures.parts import FeedForward, FeedForwardConfig, linear, make_norm
from bench.architectures.registry import register

State = tuple[Tensor, Tensor]
"""A block's last inputs of the convolution, (B, W - 1, D), and its hidden state, (B, 1, H)."""


@dataclass(frozen=True, kw_only=True)
class MinGRUConfig(FeedForwardConfig):
    search: ClassVar = {
        "expansion": (1, 2),
        "positions": ("none", "learned"),
        "norm": ("layer", "rms"),
        "activation": ("gelu", "swiglu"),
    }

    layers: int = 3
    """blocks"""
    width: int = 48
    """D, size of the residual stream"""
    expansion: int = 2
    """hidden states are this many times as large as `width`"""
    positions: StatePositions = "none"
    """what is added to symbols: `none`, or `learned` vectors of their columns"""
    window: int = 4
    """symbols that the convolution sees, the present one included"""
    feedforward: int | None = None
    """F; None is 4 x width, with a gate 8/3 x width"""
    dropout: float = 0.0
    """share of activations dropped after the embedding and at the end of each residual branch"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window < 1:
            raise ValueError(f"window {self.window}: must be at least 1, the present symbol")
        if self.expansion < 1:
            raise ValueError(f"expansion {self.expansion}: must be at least 1")


def scan(decay: Tensor, update: Tensor) -> Tensor:
    """(B, S, H) each -> (B, S, H) states h[s] = decay[s] * h[s - 1] + update[s], after h = 0."""
    states: Tensor = _Scanned.apply(decay, update)  # type: ignore[no-untyped-call]
    return states


class _Scanned(torch.autograd.Function):
    """With its gradient by hand, which is such a scan itself, from the last symbol to the first."""

    @staticmethod
    def forward(ctx: Any, decay: Tensor, update: Tensor) -> Tensor:
        states = _states(decay[:, 1:], update)
        ctx.save_for_backward(decay, states)
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        decay, states = ctx.saved_tensors
        [gradient] = gradients
        to_update = _states(decay[:, 1:].flip(1), gradient.flip(1)).flip(1)
        to_decay = torch.zeros_like(decay)  # that of the first symbol decays nothing
        torch.mul(to_update[:, 1:], states[:, :-1], out=to_decay[:, 1:])
        return to_decay, to_update


def _states(decay: Tensor, update: Tensor) -> Tensor:
    """(B, S - 1, H), (B, S, H) -> (B, S, H) the states; `decay` is that from each symbol to the next."""
    return one_by_one(decay, update) if update.device.type == "cpu" else all_at_once(decay, update)


def one_by_one(decay: Tensor, update: Tensor) -> Tensor:
    """As `_states`, in S - 1 steps."""
    states = update.clone()
    for place in range(1, states.shape[1]):
        states[:, place].addcmul_(decay[:, place - 1], states[:, place - 1])
    return states


def all_at_once(decay: Tensor, update: Tensor) -> Tensor:
    """As `_states`, in rounds that double the reach r: what the last r updates leave of a state becomes what the last
    2 r leave.
    """
    states, reach = update, 1
    while reach < states.shape[1]:
        reached = torch.addcmul(states[:, reach:], decay, states[:, :-reach])
        states = torch.cat([states[:, :reach], reached], dim=1)
        decay = decay[:, reach:] * decay[:, :-reach]  # over 2 r symbols, from column 2 r on
        reach *= 2
    return states


class MinGRU(nn.Module):
    """The recurrence, with matrices into and out of its hidden size."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gates = nn.Linear(width, 2 * hidden)
        self.out = nn.Linear(hidden, width)

    def forward(
        self, x_BSD: Tensor, visible_BS1: Tensor, wanted: int, last_B1H: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Symbols after the state `last_B1H`, and which are no pads -> (B, T, D) the wanted last, and the new state."""
        gate_BSH, candidate_BSH = self.gates(x_BSD).to(x_BSD.dtype).chunk(2, dim=-1)
        decay_BSH = torch.sigmoid(-gate_BSH)
        positive_BSH = torch.where(candidate_BSH >= 0, candidate_BSH + 0.5, candidate_BSH.sigmoid())
        update_BSH = torch.sigmoid(gate_BSH) * positive_BSH * visible_BS1
        if last_B1H is not None:
            first_B1H = torch.addcmul(update_BSH[:, :1], decay_BSH[:, :1], last_B1H)
            update_BSH = torch.cat([first_B1H, update_BSH[:, 1:]], dim=1)
        hidden_BSH = scan(decay_BSH, update_BSH)
        return self.out(last_columns(hidden_BSH, wanted)), hidden_BSH[:, -1:]


class Block(nn.Module):
    """Convolution, minGRU and feed-forward, each after a norm and added to the residual stream."""

    def __init__(self, config: MinGRUConfig) -> None:
        super().__init__()
        self.norm_1 = make_norm(config.norm, config.width)
        self.convolution = ShortConvolution(config.width, config.window, bias=True)
        self.norm_2 = make_norm(config.norm, config.width)
        self.mingru = MinGRU(config.width, config.expansion * config.width)
        self.norm_3 = make_norm(config.norm, config.width)
        self.feedforward = FeedForward(config, linear(bias=True))
        self.drop = nn.Dropout(config.dropout)

    def forward(
        self, x_BSD: Tensor, visible_BS1: Tensor, wanted: int, state: State | None, keep: bool
    ) -> tuple[Tensor, State]:
        """As `StateDecoder` says; the state costs nothing, so it is there even where none is to be kept."""
        past, last = (None, None) if state is None else state
        mixed_BSD, past = self.convolution(self.norm_1(x_BSD) * visible_BS1, past)
        x_BSD = x_BSD + self.drop(mixed_BSD)
        out_BTD, last = self.mingru(self.norm_2(x_BSD), visible_BS1, wanted, last)
        x_BTD = last_columns(x_BSD, wanted) + self.drop(out_BTD)
        return x_BTD + self.drop(self.feedforward(self.norm_3(x_BTD))), (past, last)


@register
class MinGRULanguageModel(StateDecoder):
    """Pads come first and update nothing: the state is empty at the first symbol."""

    name = "mingru"
    family = "recurrent, linear"
    year = 2024
    paper = "Feng et al., Were RNNs All We Needed?, 2024"
    Config = MinGRUConfig
    debug: ClassVar = {"layers": 2, "width": 6}
    stacked: ClassVar = {"*.gates.weight": 2, "*.gate_up.weight": 2}

    def __init__(self, config: MinGRUConfig, spec: SequenceSpec) -> None:
        super().__init__(config, spec, Block, make_norm(config.norm, config.width), bias=True)
