"""Looped transformer: the same few blocks pass over the sequence again and again, the input added before each pass.

Yang et al., "Looped Transformers are Better at Learning Learning Algorithms", 2023: state_0 = 0 and state_n+1 =
blocks(state_n + input), so that a pass can always look at the problem anew; the last state is read out. That weights
are shared over depth comes from Dehghani et al., "Universal Transformers", 2018; Giannou et al., "Looped Transformers
as Programmable Computers", 2023, showed what such a loop can compute. Blocks, positions and head are those of
`transformer`: with one pass it is that model. The authors' code has that model's last norm inside the loop; here it
stands behind the last pass, and blocks start as those of a transformer as deep as all passes: that learns twice as much
(`docs/log.md`).

B batch, S symbols read, D width
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from bench.architectures.attention import Cache, Rotation
from bench.architectures.registry import register
from bench.architectures.transformer import Transformer, TransformerConfig


@dataclass(frozen=True, kw_only=True)
class LoopedConfig(TransformerConfig):
    search: ClassVar = {"passes": (2, 4, 8), "heads": (2, 4, 8)}

    layers: int = 1
    """blocks of one pass"""
    passes: int = 4
    """times that the blocks pass over the sequence"""
    width: int = 88
    """D, a multiple of `heads`"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.passes < 1:
            raise ValueError(f"passes {self.passes}: must be at least 1")

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
    Config = LoopedConfig
    debug: ClassVar = {"layers": 1, "passes": 3, "heads": 2, "width": 12}

    def _run_blocks(
        self, x_BSD: Tensor, mask: Tensor, wanted: int, rotation: Rotation | None, caches: list[Cache] | None
    ) -> tuple[Tensor, list[Cache]]:
        input_BSD, kept = x_BSD, []
        layers, passes = self.config.layers, self.config.passes
        for number in range(passes):
            cache = None if caches is None else caches[number * layers : (number + 1) * layers]
            rows = wanted if number == passes - 1 else x_BSD.shape[1]
            x_BSD = x_BSD if number == 0 else x_BSD + input_BSD
            x_BSD, longer = super()._run_blocks(x_BSD, mask, rows, rotation, cache)
            kept += longer
        return x_BSD, kept
