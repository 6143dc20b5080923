"""Simple recurrent network, Elman's: the new state is a squashed sum of the symbol and the old state, without gates.

Elman, "Finding Structure in Time", 1990, with tanh for his logistic function, trained through all time steps where he
stopped the gradient after one. `recurrent.py` reads the sequence.

At each symbol x (in higher layers the state below):        h <- tanh(W x + U h + b)
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from bench.architectures.recurrent import Recurrent, RecurrentConfig
from bench.architectures.registry import register


@dataclass(frozen=True, kw_only=True)
class RNNConfig(RecurrentConfig):
    width: int = 215
    """D, size of the symbol embedding"""


@register
class RNN(Recurrent):
    name = "rnn"
    family = "recurrent"
    year = 1990
    paper = "Elman, Finding Structure in Time, 1990"
    Config = RNNConfig
    debug: ClassVar = {"layers": 2, "width": 16}
    cell = nn.RNN
