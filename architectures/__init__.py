"""The architectures, one a file. These modules import torch and each other, and nothing of data, budgets or results.

To add one: write its file beside these and import it here.
"""

import sys
from types import ModuleType

import pandas as pd

from bench.architectures import (  # noqa: F401 - importing one registers it
    bitnet,
    encoder_decoder,
    gated_deltanet,
    gru,
    looped,
    lstm,
    lstm_seq2seq,
    mamba2,
    masked_encoder,
    mingru,
    pretrained,
    retnet,
    rnn,
    switch,
    transformer,
    transformer_lstm,
)
from bench.architectures.base import Architecture, Autoregressive, Batch, Config, Loss, SequenceSpec
from bench.architectures.infilling import MaskedInfilling, MaskedInfillingConfig
from bench.architectures.registry import all_architectures, described, from_scratch, get, load_plugin, register

__all__ = [
    "Architecture",
    "Autoregressive",
    "Batch",
    "Config",
    "Loss",
    "MaskedInfilling",
    "MaskedInfillingConfig",
    "SequenceSpec",
    "all_architectures",
    "described",
    "from_scratch",
    "get",
    "load_plugin",
    "register",
]


class _Package(ModuleType):
    def __call__(self) -> pd.DataFrame:
        """`bench.architectures()`: a row an architecture, with its family, year and paper."""
        return pd.DataFrame(described())


sys.modules[__name__].__class__ = _Package
