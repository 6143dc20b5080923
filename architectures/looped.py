"""Looped transformer: the same few blocks pass over the sequence again and again, the input added before each pass.

Yang et al., "Looped Transformers are Better at Learning Learning Algorithms", 2023: state_0 = 0 and state_n+1 =
blocks(state_n + input), so that a pass can always look at the problem anew; the last state is read out. That weights
are shared over depth comes from Dehghani et al., "Universal Transformers", 2018; Giannou et al., "Looped Transformers
as Programmable Computers", 2023, showed what such a loop can compute. Training reads out the state after each of the
last `supervised` passes and averages their losses, each with the same share, as the authors do; answers are read out of
the last state. Blocks, positions and head are those of `transformer`: with one pass it is that model. The authors' code
has that model's last norm inside the loop; here it stands behind each pass that is read out, and blocks start as those
of a transformer as deep as all passes.

B batch, S symbols read, D width
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from bench.architectures.attention import Cache, Rotation
from bench.architectures.base import Batch, Loss, last_columns, nll_sum_of
from bench.architectures.registry import register
from bench.architectures.transformer import Transformer, TransformerConfig


@dataclass(frozen=True, kw_only=True)
class LoopedConfig(TransformerConfig):
    search: ClassVar = {"passes": (2, 4, 8), **TransformerConfig.search}

    layers: int = 1
    """blocks of one pass"""
    passes: int = 4
    """times that the blocks pass over the sequence"""
    supervised: int | None = None
    """the last so many passes are trained to give the answer; None: all (the paper: the last 15 of 20)"""
    width: int = 88
    """D, a multiple of `heads`"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.passes < 1:
            raise ValueError(f"passes {self.passes}: must be at least 1")
        if self.supervised is not None and not 1 <= self.supervised <= self.passes:
            raise ValueError(f"supervised {self.supervised}: must be from 1 to the {self.passes} passes")

    @property
    def depth(self) -> int:
        return self.passes * self.layers


@register
class Looped(Transformer):
    """Decoding keeps keys and values of each block in each pass."""

    name = "looped"
    family = "transformer decoder"
    year = 2023
    paper = "Yang et al., Looped Transformers are Better at Learning Learning Algorithms, 2023"
    Config: ClassVar = LoopedConfig
    debug: ClassVar = {"layers": 1, "passes": 3, "heads": 2, "width": 12}
    _early: tuple[Tensor, ...] = ()
    """states (B, A, D) after the supervised passes before the last, when `logits` was last called in training"""

    def loss(self, batch: Batch, rng: torch.Generator) -> Loss:
        """That of the last pass; what the mean over all supervised passes adds to it is the auxiliary loss."""
        last = super().loss(batch, rng)
        early, self._early = self._early, ()  # let go: a model that holds on to a graph cannot be copied
        scored_BA = batch.answer != self.spec.pad
        sums = [nll_sum_of(self.head(self.norm(state)), batch.answer, scored_BA) for state in early]
        more = sum((nll_sum - last.nll_sum for nll_sum in sums), torch.zeros_like(last.nll_sum))
        return replace(last, auxiliary=last.auxiliary + more / (len(sums) + 1) / last.count)

    def _run_blocks(
        self,
        x_BSD: Tensor,
        visible_BS: Tensor,
        mask: Tensor,
        wanted: int,
        rotation: Rotation | None,
        caches: list[Cache] | None,
    ) -> tuple[Tensor, list[Cache]]:
        input_BSD, kept, early = x_BSD, [], []
        layers, passes = self.config.layers, self.config.passes
        first = passes - (self.config.supervised or passes)
        for number in range(passes):
            cache = None if caches is None else caches[number * layers : (number + 1) * layers]
            rows = wanted if number == passes - 1 else x_BSD.shape[1]
            x_BSD = x_BSD if number == 0 else x_BSD + input_BSD
            x_BSD, longer = super()._run_blocks(x_BSD, visible_BS, mask, rows, rotation, cache)
            if first <= number < passes - 1:
                early.append(last_columns(x_BSD, wanted))
            kept += longer
        self._early = tuple(early) if self.training else ()
        return x_BSD, kept
