"""LSTM language model: gates decide what a cell keeps, takes in and shows.

Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997; forget gate after Gers, Schmidhuber and Cummins, 2000, its
bias started at 1 as Jozefowicz, Zaremba and Sutskever found best, 2015. `recurrent.py` reads the sequence.

At each symbol x (in higher layers the state below), with matrices W, U and b of its own for each of i, f, o and g:
    i, f, o = sigmoid(W x + U h + b)        g = tanh(W x + U h + b)        c <- f * c + i * g        h <- o * tanh(c)
"""

from typing import ClassVar

from torch import nn

from bench.architectures.base import SequenceSpec
from bench.architectures.recurrent import LSTMCells, Recurrent, RecurrentConfig, open_forget_gates
from bench.architectures.registry import register


@register
class LSTM(Recurrent):
    name = "lstm"
    family = "recurrent"
    year = 1997
    paper = "Hochreiter and Schmidhuber, Long Short-Term Memory, 1997"
    Config = RecurrentConfig
    debug: ClassVar = {"layers": 2, "width": 8}
    stacked: ClassVar = {"cells.weight_ih_l*": 4, "cells.weight_hh_l*": 4}
    cell = LSTMCells

    def __init__(self, config: RecurrentConfig, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        assert isinstance(self.cells, nn.LSTM)
        open_forget_gates(self.cells)
