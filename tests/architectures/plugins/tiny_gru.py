"""A plug-in as a stranger would write one: a GRU language model that knows only the public names.

Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014.

B batch, D width, H hidden, V vocabulary
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from bench.architectures import Autoregressive, Config, SequenceSpec, register


@dataclass(frozen=True, kw_only=True)
class TinyGRUConfig(Config):
    size_fields: ClassVar = ("width", "hidden")

    width: int = 32
    """D, size of the symbol embedding"""
    hidden: int | None = None
    """H, size of the state; None is `width`"""


@register
class TinyGRU(Autoregressive):
    """Reads symbol by symbol; a pad leaves the state as it is."""

    name = "tiny-gru"
    family = "recurrent"
    year = 2014
    paper = "Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, 2014"
    Config = TinyGRUConfig
    debug: ClassVar = {"width": 12}
    stacked: ClassVar = {"cell.weight_*": 3}

    def __init__(self, config: TinyGRUConfig, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        hidden = config.hidden or config.width
        self.symbols = nn.Embedding(spec.vocabulary, config.width)
        self.cell = nn.GRUCell(config.width, hidden)
        self.head = nn.Linear(hidden, spec.vocabulary)

    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        state_BH = self.head.weight.new_zeros(len(prompt), self.cell.hidden_size)
        for symbol_B in prompt.unbind(1):
            read_BH = self.cell(self.symbols(symbol_B), state_BH)
            state_BH = torch.where(symbol_B[:, None] == self.spec.pad, state_BH, read_BH)
        states = [state_BH]
        for symbol_B in answer[:, :-1].unbind(1):
            states.append(self.cell(self.symbols(symbol_B), states[-1]))
        return self.head(torch.stack(states, dim=1))
