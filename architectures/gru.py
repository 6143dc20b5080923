"""GRU language model: an LSTM's gates without its cell; one gate decides between the old state and the new.

Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation", 2014, in
the form that libraries run: the reset gate r comes after the product with the state. `recurrent.py` reads the sequence.

At each symbol x (in higher layers the state below), with matrices W, U and biases of its own for each of r, z and n:
    r, z = sigmoid(W x + U h + b)        n = tanh(W x + b + r * (U h + c))        h <- (1 - z) * n + z * h
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from bench.architectures.recurrent import Recurrent, RecurrentConfig
from bench.architectures.registry import register


@dataclass(frozen=True, kw_only=True)
class GRUConfig(RecurrentConfig):
    width: int = 126
    """D, size of the symbol embedding"""


@register
class GRU(Recurrent):
    name = "gru"
    family = "recurrent"
    year = 2014
    paper = "Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, 2014"
    Config = GRUConfig
    debug: ClassVar = {"layers": 2, "width": 8}
    stacked: ClassVar = {"cells.weight_ih_l*": 3, "cells.weight_hh_l*": 3}
    cell = nn.GRU
