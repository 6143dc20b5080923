"""Parts that several architectures can have, under the same names: norms and the feed-forward part.

Each config says which its paper has. Where a default differs from that, `published` of the config names the paper's.

D width, F feed-forward
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from bench.architectures.base import BlocksConfig, HeadsConfig
from bench.architectures.norms import RMSNorm

Norm = Literal["layer", "rms"]
"""Layer norm (Ba, Kiros and Hinton, 2016), or RMS norm (Zhang and Sennrich, 2019)."""
Activation = Literal["gelu", "geglu", "swiglu", "relu"]
"""GELU (Hendrycks and Gimpel, 2016) and ReLU between two matrices; GEGLU and SwiGLU have a third matrix, whose output
passes GELU or SiLU and gates that of the first (Shazeer, "GLU Variants Improve Transformer", 2020)."""
GATED = ("geglu", "swiglu")
Linear = Callable[[int, int, int], nn.Module]
"""Makes a layer of so many inputs and outputs, and so many matrices of that size, stacked by rows."""


@dataclass(frozen=True, kw_only=True)
class FeedForwardConfig(BlocksConfig):
    """Base of the configs of models whose blocks have a norm and a feed-forward part to choose."""

    hidden_ratio: ClassVar[Fraction] = Fraction(4)
    """F / D where `feedforward` is None and there is no gate; with one it is 2/3 of it, so that the size stays"""
    norm: Norm = "layer"
    """norms before the parts of a block and at the end: `layer` or `rms`"""
    activation: Activation = "gelu"
    """of the feed-forward part: `gelu` or `relu`, or with a gate `geglu` or `swiglu`"""

    @property
    def hidden(self) -> int:
        """F, with or without a number of its own in the config."""
        share = Fraction(2, 3) if self.activation in GATED else Fraction(1)
        return self.feedforward or int(self.hidden_ratio * share * self.width)


@dataclass(frozen=True, kw_only=True)
class AttentionConfig(FeedForwardConfig, HeadsConfig):
    """Base of the configs of models with softmax attention."""

    subnorm: bool = False
    """one more norm before the output matrix of attention and of the feed-forward part (Wang et al., "Foundation
    Transformers", 2022)"""
    bias: bool = True
    """whether inner matrices have biases"""


def make_norm(kind: Norm, size: int, eps: float | None = None) -> nn.Module:
    """A norm over `size` numbers. `eps`: what is added to the variance; None is 1e-5 for `layer`, 1e-6 for `rms`."""
    if kind == "layer":
        return nn.LayerNorm(size, eps=1e-5 if eps is None else eps)
    return RMSNorm(size, eps=1e-6 if eps is None else eps)


def linear(bias: bool) -> Linear:
    """Makes torch's own layers."""
    return lambda inputs, outputs, matrices: nn.Linear(inputs, matrices * outputs, bias=bias)


class FeedForward(nn.Module):
    """One matrix up, or two with a gate, and one down."""

    def __init__(
        self,
        config: FeedForwardConfig,
        make_linear: Linear,
        *,
        subnorm: bool = False,
        eps: float | None = None,
        dropout: float = 0.0,
    ) -> None:
        """`subnorm`: whether there is a norm before the matrix down, with `eps` as in `make_norm`. `dropout`: share of
        its input that is dropped.
        """
        super().__init__()
        hidden, self.activation = config.hidden, config.activation
        if self.activation in GATED:
            self.gate_up = make_linear(config.width, hidden, 2)
        else:
            self.up = make_linear(config.width, hidden, 1)
        self.norm = make_norm(config.norm, hidden, eps) if subnorm else nn.Identity()
        self.drop = nn.Dropout(dropout)
        self.down = make_linear(hidden, config.width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        match self.activation:
            case "gelu":
                hidden = F.gelu(self.up(x))
            case "relu":
                hidden = F.relu(self.up(x))
            case "geglu":
                gate, up = self.gate_up(x).chunk(2, dim=-1)
                hidden = F.gelu(gate, approximate="tanh") * up  # as T5 1.1 has it
            case "swiglu":
                gate, up = self.gate_up(x).chunk(2, dim=-1)
                hidden = F.silu(gate) * up
        out: Tensor = self.down(self.drop(self.norm(hidden)))
        return out
