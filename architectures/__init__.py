"""One file, one architecture. This room knows torch and itself; nothing of data, budgets or results.

To add one: write its file beside these and import it here.
"""

from bench.architectures import encoder_decoder, lstm, transformer  # noqa: F401 - importing one registers it
from bench.architectures.base import Architecture, Autoregressive, Batch, Config, Loss, Preset, SequenceSpec
from bench.architectures.registry import all_architectures, get, load_plugin, register

__all__ = [
    "Architecture",
    "Autoregressive",
    "Batch",
    "Config",
    "Loss",
    "Preset",
    "SequenceSpec",
    "all_architectures",
    "get",
    "load_plugin",
    "register",
]
