"""What recurrent language models share: they read prompt and answer as one sequence, and a state predicts each symbol.

Left padding never reaches a cell: each row is rolled left so that its pads fall behind, all rows are read at once, and
the answer's columns are gathered back.

B batch, T = P + A - 1 symbols, D width, H hidden, V vocabulary
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bench.architectures.base import Autoregressive, Config, SequenceSpec, map_tensors


def roll_left(symbols: Tensor, pads: Tensor) -> Tensor:
    """(B, T) symbols, each row with `pads` (B, 1) pads in front -> (B, T), its pads behind."""
    columns_T = torch.arange(symbols.shape[1], device=symbols.device)
    return symbols.gather(1, (columns_T + pads) % symbols.shape[1])


def select_columns(states: Tensor, columns: Tensor) -> Tensor:
    """(B, T, H) and the wanted columns of each row (B, A) -> (B, A, H)."""
    return states.gather(1, columns[:, :, None].expand(-1, -1, states.shape[2]))


def keep_cell_states(rows: Tensor, state: Any) -> Any:
    """(R,) rows of the batch that go on -> their state of torch's recurrent cells, one or two tensors (L, B, H)."""
    return map_tensors(lambda tensor: tensor.index_select(1, rows), state)


class LSTMCells(nn.LSTM):
    """torch's LSTM, in float32 where bfloat16 is asked of a processor that lacks it: the kernel does not run there."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        if torch.is_autocast_enabled("cpu") and self.weight_ih_l0.device.type == "cpu" and not _bfloat16_runs():
            with torch.autocast("cpu", enabled=False):
                return super().forward(map_tensors(Tensor.float, input), map_tensors(Tensor.float, hx))
        return super().forward(input, hx)


@cache
def _bfloat16_runs() -> bool:
    """Whether torch's LSTM runs in bfloat16 on this processor: tried once."""
    with torch.random.fork_rng(devices=[]), torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        try:
            nn.LSTM(1, 1, dtype=torch.float32)(torch.zeros(1, 1, 1, dtype=torch.float32))
        except RuntimeError:
            return False
    return True


def open_forget_gates(cells: nn.LSTM) -> None:
    """Start all forget gates with a bias of 1, as Jozefowicz, Zaremba and Sutskever found best, 2015."""
    hidden = cells.hidden_size
    for layer in range(cells.num_layers):
        with torch.no_grad():  # torch adds two biases; rows H to 2H are the forget gate's
            getattr(cells, f"bias_ih_l{layer}")[hidden : 2 * hidden] = 1.0
            getattr(cells, f"bias_hh_l{layer}")[hidden : 2 * hidden] = 0.0


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig(Config):
    size_fields: ClassVar = ("width", "hidden")

    layers: int = 1
    """cells on top of each other"""
    width: int = 109
    """D, size of the symbol embedding"""
    hidden: int | None = None
    """H, size of the hidden state; None is `width`"""
    dropout: float = 0.0
    """share of activations dropped after the embedding, between layers and before the head"""


class Recurrent(Autoregressive):
    """A language model around one of torch's fused recurrent cells, `cell`."""

    cell: ClassVar[type[nn.RNN] | type[nn.GRU] | type[nn.LSTM]]

    def __init__(self, config: RecurrentConfig, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        hidden = config.hidden or config.width
        self.symbols = nn.Embedding(spec.vocabulary, config.width)
        between = config.dropout if config.layers > 1 else 0.0  # torch warns of dropout between the layers of one
        self.cells = self.cell(config.width, hidden, config.layers, batch_first=True, dropout=between)
        self.drop = nn.Dropout(config.dropout)
        self.head = nn.Linear(hidden, spec.vocabulary)

    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        pads_B1 = (prompt == self.spec.pad).sum(dim=1, keepdim=True)
        rolled_BT = roll_left(torch.cat([prompt, answer[:, :-1]], dim=1), pads_B1)
        state_BTH, _ = self.cells(self.drop(self.symbols(rolled_BT)))
        before_A = torch.arange(prompt.shape[1] - 1, rolled_BT.shape[1], device=prompt.device)
        logits_BAV: Tensor = self.head(self.drop(select_columns(state_BTH, before_A - pads_B1)))
        return logits_BAV

    def begin(self, prompt: Tensor, width: int) -> tuple[Tensor, Any]:
        pads_B1 = (prompt == self.spec.pad).sum(dim=1, keepdim=True)
        lengths_B = prompt.shape[1] - pads_B1[:, 0]
        packed = nn.utils.rnn.pack_padded_sequence(
            self.symbols(roll_left(prompt, pads_B1)), lengths_B.cpu(), batch_first=True, enforce_sorted=False
        )
        _, state = self.cells(packed)
        hidden_LBH = state[0] if isinstance(state, tuple) else state  # an LSTM's state is two tensors
        return self.head(hidden_LBH[-1]), state

    def advance(self, symbol: Tensor, state: Any) -> tuple[Tensor, Any]:
        out_B1H, state = self.cells(self.symbols(symbol[:, None]), state)
        return self.head(out_B1H[:, 0]), state

    def keep(self, rows: Tensor, state: Any) -> Any:
        return keep_cell_states(rows, state)
