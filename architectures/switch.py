"""Switch transformer: in every second block each symbol is sent to one of several feed-forward experts.

Fedus, Zoph and Shazeer, "Switch Transformers: Scaling to Trillion Parameter Models with Simple and Efficient Sparsity",
2021: a router scores the experts, the best one alone works on the symbol, and its output is weighted with its
probability, through which the router learns. In training each expert takes no more than its share of the batch times
`capacity`, first come, first served: the rest skip the layer. In evaluation nothing is dropped. A loss keeps the load
even, noise on the router's input makes it try others, and the router computes in float32 at least. Attention and all
other blocks, and the parts of experts, are those of `transformer`, where the paper's are T5's with ReLU; experts have
no biases, as in the paper. First weights are drawn as those of `transformer`, not with the paper's variance of 0.1 /
fan-in.

B batch, S symbols read, T <= S symbols written, N of them no pads, D width, F feed-forward, E experts, V vocabulary
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from bench.architectures.attention import Cache, Rotation
from bench.architectures.base import last_columns
from bench.architectures.parts import GATED, FeedForward, linear, make_norm
from bench.architectures.registry import register
from bench.architectures.transformer import Attention, Block, Transformer, TransformerConfig


@dataclass(frozen=True, kw_only=True)
class SwitchConfig(TransformerConfig):
    search: ClassVar = {
        "heads": (2, 4, 8),
        "experts": (2, 4, 8),
        "norm": ("layer", "rms"),
        "activation": ("gelu", "swiglu"),
        "subnorm": (False, True),
        "positions": ("learned", "rotary", "none"),
    }

    published: ClassVar = {"activation": "relu", "positions": "relative"}

    layers: int = 2
    """blocks, of which every second one has experts; at least 2"""
    width: int = 44
    """D, a multiple of `heads`"""
    feedforward: int | None = None
    """F, also that of each expert; None is 4 x width, with a gate 8/3 x width"""
    experts: int = 4
    """E, feed-forward networks in a block that has them"""
    capacity: float | None = 1.25
    """symbols that an expert takes in training, as a multiple of an even share of the batch; None: all that come"""
    balance: float = 0.01
    """weight of the loss that keeps the load even; it is this much for each such block where all is even"""
    jitter: float = 0.01
    """in training the router's input is multiplied by noise from 1 - jitter to 1 + jitter"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers < 2:
            raise ValueError(f"layers {self.layers}: a switch transformer needs at least 2, every second has experts")
        if self.experts < 1:
            raise ValueError(f"experts {self.experts}: must be at least 1")
        if self.capacity is not None and self.capacity <= 0:
            raise ValueError(f"capacity {self.capacity}: must be more than 0")
        if self.balance < 0:
            raise ValueError(f"balance {self.balance}: must be at least 0")
        if not 0 <= self.jitter < 1:
            raise ValueError(f"jitter {self.jitter}: must be at least 0 and less than 1")


class Experts(nn.Module):
    """A router and the experts it chooses from. Pads are sent to none."""

    def __init__(self, config: SwitchConfig) -> None:
        super().__init__()
        self.capacity, self.jitter = config.capacity, config.jitter
        self.router = nn.Linear(config.width, config.experts, bias=False)
        experts = (FeedForward(config, linear(bias=False), subnorm=config.subnorm) for _ in range(config.experts))
        self.experts = nn.ModuleList(experts)

    def forward(self, x_BTD: Tensor, visible_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Returns (B, T, D), zero for a symbol that no expert took, and () how uneven the load is: 1 if it is even."""
        x_XD = x_BTD.flatten(0, 1)
        place_N = visible_BT.flatten().nonzero()[:, 0]
        x_ND = x_XD[place_N]
        probability_NE = self._route(x_ND)
        gate_N, expert_N = probability_NE.max(dim=-1)
        load = expert_N.bincount(minlength=len(self.experts))
        uneven = len(self.experts) * (load / len(place_N) * probability_NE.mean(dim=0)).sum()
        # Stable, so that in each group those who stand first in the batch come first.
        groups = list(expert_N.argsort(stable=True).split(load.tolist()))
        if self.training and self.capacity is not None:
            most = math.ceil(self.capacity * len(place_N) / len(self.experts))
            groups = [group[:most] for group in groups]
        out_MD = torch.cat([expert(x_ND[group]) for expert, group in zip(self.experts, groups, strict=True)])
        taken_M = torch.cat(groups)
        out_MD = out_MD * gate_N[taken_M, None].to(out_MD.dtype)
        out_XD = out_MD.new_zeros(x_XD.shape).index_copy(0, place_N[taken_M], out_MD)
        return out_XD.view_as(x_BTD), uneven

    def _route(self, x_ND: Tensor) -> Tensor:
        """(N, D) -> (N, E) probabilities of the experts."""
        with torch.autocast(x_ND.device.type, enabled=False):
            x_ND = x_ND.to(self.router.weight.dtype)
            if self.training and self.jitter > 0:
                x_ND = x_ND * torch.empty_like(x_ND).uniform_(1 - self.jitter, 1 + self.jitter)
            return torch.softmax(self.router(x_ND), dim=-1)


class SwitchBlock(nn.Module):
    """Pre-norm attention, then pre-norm experts, each added to the residual stream."""

    def __init__(self, config: SwitchConfig) -> None:
        super().__init__()
        self.norm_1 = make_norm(config.norm, config.width)
        self.attention = Attention(config, linear(config.bias))
        self.norm_2 = make_norm(config.norm, config.width)
        self.switch = Experts(config)
        self.drop = nn.Dropout(config.dropout)

    def forward(
        self, x_BSD: Tensor, mask_B1TS: Tensor, visible_BT: Tensor, cache: Cache | None, rotation: Rotation | None
    ) -> tuple[Tensor, Cache, Tensor]:
        """As `Block`, and how uneven the load of the experts is."""
        mixed_BTD, cache = self.attention(self.norm_1(x_BSD), mask_B1TS, cache, rotation)
        x_BTD = last_columns(x_BSD, mask_B1TS.shape[2]) + self.drop(mixed_BTD)
        out_BTD, uneven = self.switch(self.norm_2(x_BTD), visible_BT)
        return x_BTD + self.drop(out_BTD), cache, uneven


@register
class Switch(Transformer):
    name = "switch"
    family = "sparse transformer decoder"
    year = 2021
    paper = (
        "Fedus et al., Switch Transformers: Scaling to Trillion Parameter Models with Simple and Efficient Sparsity, "
        "2021"
    )
    Config: ClassVar = SwitchConfig
    debug: ClassVar = {"layers": 2, "heads": 2, "width": 8, "experts": 2, "capacity": 2.0, "jitter": 0.0}
    _uneven: Tensor | None = None
    """how uneven the loads of all experts were when `logits` was last called"""

    def make_block(self, number: int) -> nn.Module:
        return SwitchBlock(self.config) if number % 2 else Block(self.config)

    def auxiliary_loss(self, like: Tensor) -> Tensor:
        uneven, self._uneven = self._uneven, None  # let go: a model that holds on to a graph cannot be copied
        assert uneven is not None, "`logits` comes first"
        return self.config.balance * uneven

    def _run_blocks(
        self,
        x_BSD: Tensor,
        visible_BS: Tensor,
        mask: Tensor,
        wanted: int,
        rotation: Rotation | None,
        caches: list[Cache] | None,
    ) -> tuple[Tensor, list[Cache]]:
        self._uneven, kept = x_BSD.new_zeros(()), []
        for number, block in enumerate(self.blocks):
            cache = None if caches is None else caches[number]
            if number == len(self.blocks) - 1:  # no later block looks at what the last one writes elsewhere
                mask = mask[:, :, -wanted:]
            if isinstance(block, SwitchBlock):
                x_BSD, cache, uneven = block(x_BSD, mask, visible_BS[:, -mask.shape[2] :], cache, rotation)
                self._uneven = self._uneven + uneven
            else:
                x_BSD, cache = block(x_BSD, mask, cache, rotation)
            kept.append(cache)
        return x_BSD, kept

    def active_parameters(self) -> int:
        """All but those of the experts that are not chosen."""
        idle = sum(p.numel() for block in self._switches() for expert in block.experts[1:] for p in expert.parameters())
        return super().active_parameters() - idle

    def training_flops(self) -> int:
        """As if there were no pads and no expert full; the backward pass costs two products for each forward one."""
        config, spec = self.config, self.spec
        width, answer, matrices = config.width, spec.answer_width, 3 if config.activation in GATED else 2
        length = spec.prompt_width + answer - 1
        flops = 2 * answer * width * spec.vocabulary
        for number in range(config.layers):
            written = answer if number == config.layers - 1 else length
            attention = 6 * length * width**2 + 4 * written * length * width + 2 * written * width**2
            router = 2 * written * width * config.experts if number % 2 else 0
            flops += attention + router + 2 * matrices * written * width * config.hidden
        return int(3 * flops)

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """Those of the routers too: a router scores experts as a head scores symbols, and is no inner matrix."""
        yield from super().head_parameters()
        for switch in self._switches():
            yield from switch.router.parameters()

    def _switches(self) -> Iterator[Experts]:
        for block in self.blocks:
            if isinstance(block, SwitchBlock):
                yield block.switch
