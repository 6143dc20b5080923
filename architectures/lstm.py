"""LSTM language model: prompt and answer read as one sequence, the next symbol predicted from the hidden state.

Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997; forget gate after Gers, Schmidhuber and Cummins, 2000, its
bias started at 1 as Jozefowicz, Zaremba and Sutskever found best, 2015.

B batch, T = P + A - 1 symbols, D width, H hidden, V vocabulary
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bench.architectures.base import Autoregressive, Config, Preset, SequenceSpec
from bench.architectures.registry import register


@dataclass(frozen=True, kw_only=True)
class LSTMConfig(Config):
    size_fields: ClassVar = ("width", "hidden")

    layers: int = 1
    """cells on top of each other"""
    width: int = 109
    """D, size of the symbol embedding"""
    hidden: int | None = None
    """H, size of the hidden state; None is `width`"""
    dropout: float = 0.0
    """share of activations dropped after the embedding, between layers and before the head"""


@register
class LSTM(Autoregressive):
    """Left padding never reaches the cell: each row is rolled left so that its pads fall behind, one fused call reads
    all rows, and the answer's columns are gathered back.
    """

    name = "lstm"
    family = "recurrent"
    year = 1997
    paper = "Hochreiter and Schmidhuber, Long Short-Term Memory, 1997"
    Config = LSTMConfig
    presets = (
        Preset(
            suite="quick",
            parameters=100_000,
            budget="examples=300000",
            config={"layers": 2},
            training={"optimizer": "muon", "lr": 0.02, "batch": 64},
        ),
    )
    debug: ClassVar = {"layers": 2, "width": 8}
    stacked: ClassVar = {"cells.weight_ih_l*": 4, "cells.weight_hh_l*": 4}

    def __init__(self, config: LSTMConfig, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        hidden = config.hidden or config.width
        self.symbols = nn.Embedding(spec.vocabulary, config.width)
        between = config.dropout if config.layers > 1 else 0.0  # torch warns of dropout between the layers of one
        self.cells = nn.LSTM(config.width, hidden, config.layers, batch_first=True, dropout=between)
        self.drop = nn.Dropout(config.dropout)
        self.head = nn.Linear(hidden, spec.vocabulary)
        for layer in range(config.layers):
            with torch.no_grad():  # torch adds two biases; rows H to 2H are the forget gate's
                getattr(self.cells, f"bias_ih_l{layer}")[hidden : 2 * hidden] = 1.0
                getattr(self.cells, f"bias_hh_l{layer}")[hidden : 2 * hidden] = 0.0

    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        symbols_BT = torch.cat([prompt, answer[:, :-1]], dim=1)
        pads_B1 = (prompt == self.spec.pad).sum(dim=1, keepdim=True)
        columns_T = torch.arange(symbols_BT.shape[1], device=prompt.device)
        rolled_BT = symbols_BT.gather(1, (columns_T + pads_B1) % symbols_BT.shape[1])
        state_BTH, _ = self.cells(self.drop(self.symbols(rolled_BT)))
        answers_BA = columns_T[prompt.shape[1] - 1 :] - pads_B1  # where the symbol before each answer column was read
        state_BAH = state_BTH.gather(1, answers_BA[:, :, None].expand(-1, -1, state_BTH.shape[2]))
        logits_BAV: Tensor = self.head(self.drop(state_BAH))
        return logits_BAV

    def begin(self, prompt: Tensor, width: int) -> tuple[Tensor, Any]:
        pads_B1 = (prompt == self.spec.pad).sum(dim=1, keepdim=True)
        columns_P = torch.arange(prompt.shape[1], device=prompt.device)
        rolled_BP = prompt.gather(1, (columns_P + pads_B1) % prompt.shape[1])
        lengths_B = prompt.shape[1] - pads_B1[:, 0]
        packed = nn.utils.rnn.pack_padded_sequence(
            self.symbols(rolled_BP), lengths_B.cpu(), batch_first=True, enforce_sorted=False
        )
        _, state = self.cells(packed)
        return self.head(state[0][-1]), state

    def advance(self, symbol: Tensor, state: Any) -> tuple[Tensor, Any]:
        out_B1H, state = self.cells(self.symbols(symbol[:, None]), state)
        return self.head(out_B1H[:, 0]), state
