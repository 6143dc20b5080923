"""Sequence to sequence with attention: an LSTM reads the prompt, another writes the answer and looks back at it.

Sutskever, Vinyals and Le, "Sequence to Sequence Learning with Neural Networks", 2014: the decoder starts from the
encoder's last state, layer by layer. Bahdanau, Cho and Bengio, "Neural Machine Translation by Jointly Learning to Align
and Translate", 2014, added attention; here in the form of Luong, Pham and Manning, "Effective Approaches to
Attention-based Neural Machine Translation", 2015: global, "general" scores, without input feeding, so that the decoder
reads the whole answer in one fused call. The encoder reads one way, as theirs, unless `bidirectional` says that half of
it reads back, as Bahdanau's does. Forget gates start open, as in `lstm`.

For decoder state s and encoder states m of the prompt's symbols:
    attention = softmax(s W m)        context = sum of attention * m        output = tanh(U [context, s])

B batch, P prompt, A answer, D width, H hidden, L layers, V vocabulary
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.architectures.base import Autoregressive, SequenceSpec
from bench.architectures.recurrent import (
    LSTMCells,
    RecurrentConfig,
    keep_cell_states,
    open_forget_gates,
    select_columns,
)
from bench.architectures.registry import register

LSTMState = tuple[Tensor, Tensor]
"""Hidden and cell state of all layers, (L, B, H) each."""


@dataclass(frozen=True, kw_only=True)
class LSTMSeq2SeqConfig(RecurrentConfig):
    search: ClassVar = {"bidirectional": (False, True)}

    layers: int = 1
    """cells on top of each other, in the encoder and as many in the decoder"""
    width: int = 72
    """D, size of the symbol embedding"""
    bidirectional: bool = False
    """whether half of the encoder's cells, rounded down, read from the last symbol to the first, as Bahdanau's do"""


class Encoder(nn.Module):
    """LSTM layers that pads on the left leave untouched, so that one fused call reads all rows.

    A pad gives zeros, and biases are weights of a flag that is 1 at symbols and 0 at pads: until the first symbol, a
    cell sees zeros alone, and a state of zero stays zero. Columns of a matrix, they are decayed and updated with it,
    unlike those of other architectures; apart from it they gain nothing (`docs/log.md`). With both directions the
    hidden size is divided among them, and those that read backwards are given the symbols of each row reversed.
    """

    def __init__(self, config: LSTMSeq2SeqConfig) -> None:
        super().__init__()
        hidden = config.hidden or config.width
        sizes = [config.width] + [hidden] * (config.layers - 1)
        backwards = hidden // 2 if config.bidirectional else 0
        self.layers = self._cells(sizes, hidden - backwards)
        self.backwards = self._cells(sizes, backwards) if backwards else None
        self.drop = nn.Dropout(config.dropout)

    def _cells(self, sizes: list[int], hidden: int) -> nn.ModuleList:
        """A layer of cells for each size of its input, with forget gates open."""
        layers = nn.ModuleList(LSTMCells(size + 1, hidden, bias=False, batch_first=True) for size in sizes)
        for name, weight in layers.named_parameters():
            if name.endswith("weight_ih_l0"):
                nn.init.ones_(weight[hidden : 2 * hidden, -1])  # rows H to 2H are the forget gate's
        return layers

    def forward(self, x_BPD: Tensor, is_symbol_BP: Tensor) -> tuple[Tensor, LSTMState]:
        """Returns the last layer's states at all columns (B, P, H), and those of all layers after they have read."""
        flag_BP1 = is_symbol_BP[:, :, None].to(x_BPD.dtype)
        reversed_BP = reverse_symbols(is_symbol_BP) if self.backwards is not None else None
        x, last = x_BPD * flag_BP1, []
        for number, cells in enumerate(self.layers):
            given = torch.cat([self.drop(x) if number else x, flag_BP1], dim=-1)
            x, state = cells(given)
            if self.backwards is not None and reversed_BP is not None:
                back, back_state = self.backwards[number](select_columns(given, reversed_BP))
                x = torch.cat([x, select_columns(back, reversed_BP)], dim=-1)
                state = tuple(torch.cat(parts, dim=-1) for parts in zip(state, back_state, strict=True))
            last.append(state)
        hidden_LBH, cell_LBH = (torch.cat(part) for part in zip(*last, strict=True))
        return x, (hidden_LBH, cell_LBH)


def reverse_symbols(is_symbol_BP: Tensor) -> Tensor:
    """Where each row's symbols are -> (B, P) the columns in which they come reversed behind the same pads."""
    columns_P = torch.arange(is_symbol_BP.shape[1], device=is_symbol_BP.device)
    pads_B1 = (~is_symbol_BP).sum(dim=1, keepdim=True)
    return torch.where(is_symbol_BP, len(columns_P) - 1 + pads_B1 - columns_P, columns_P)


class Attention(nn.Module):
    """Luong's: the decoder's state, and what it finds in the prompt's, to one vector."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.key = nn.Linear(hidden, hidden, bias=False)
        self.out = nn.Linear(2 * hidden, hidden, bias=False)

    def forward(self, state_BAH: Tensor, key_BPH: Tensor, memory_BPH: Tensor, is_symbol_BP: Tensor) -> Tensor:
        """Returns (B, A, H)."""
        context_BAH = F.scaled_dot_product_attention(state_BAH, key_BPH, memory_BPH, is_symbol_BP[:, None], scale=1.0)
        out_BAH: Tensor = self.out(torch.cat([context_BAH, state_BAH], dim=-1)).tanh()
        return out_BAH


@register
class LSTMSeq2Seq(Autoregressive):
    """The prompt is read from its first symbol to its last (Sutskever's reversed it; attention makes up for that)."""

    name = "lstm-seq2seq"
    family = "recurrent encoder-decoder"
    kind = "encoder-decoder"
    year = 2014
    paper = "Sutskever, Vinyals and Le, Sequence to Sequence Learning with Neural Networks, 2014"
    Config = LSTMSeq2SeqConfig
    debug: ClassVar = {"layers": 2, "width": 8}
    stacked: ClassVar = {"encoder.*.weight_*": 4, "decoder.weight_*": 4}

    def __init__(self, config: LSTMSeq2SeqConfig, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        hidden = config.hidden or config.width
        self.symbols = nn.Embedding(spec.vocabulary, config.width)
        self.encoder = Encoder(config)
        between = config.dropout if config.layers > 1 else 0.0  # torch warns of dropout between the layers of one
        self.decoder = LSTMCells(config.width, hidden, config.layers, batch_first=True, dropout=between)
        self.attention = Attention(hidden)
        self.drop = nn.Dropout(config.dropout)
        self.head = nn.Linear(hidden, spec.vocabulary)
        open_forget_gates(self.decoder)

    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        first_B1 = answer.new_full((len(answer), 1), self.spec.bos)
        return self._decode(torch.cat([first_B1, answer[:, :-1]], dim=1), *self._encode(prompt))[0]

    def begin(self, prompt: Tensor, width: int) -> tuple[Tensor, Any]:
        return self.advance(prompt.new_full((len(prompt),), self.spec.bos), self._encode(prompt))

    def advance(self, symbol: Tensor, state: Any) -> tuple[Tensor, Any]:
        memory, decoder_state = state
        logits_B1V, decoder_state = self._decode(symbol[:, None], memory, decoder_state)
        return logits_B1V[:, 0], (memory, decoder_state)

    def keep(self, rows: Tensor, state: Any) -> Any:
        memory, decoder_state = state
        return super().keep(rows, memory), keep_cell_states(rows, decoder_state)

    def _encode(self, prompt: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], LSTMState]:
        """Prompt -> its keys (B, P, H), its states (B, P, H) and where its symbols are (B, P); the decoder's state."""
        is_symbol_BP = prompt != self.spec.pad
        memory_BPH, last = self.encoder(self.drop(self.symbols(prompt)), is_symbol_BP)
        return (self.attention.key(memory_BPH), memory_BPH, is_symbol_BP), last

    def _decode(
        self, symbols_BA: Tensor, memory: tuple[Tensor, Tensor, Tensor], state: LSTMState
    ) -> tuple[Tensor, LSTMState]:
        """Symbols after those that `state` has seen -> logits (B, A, V) of what follows each, and the new state."""
        state_BAH, state = self.decoder(self.drop(self.symbols(symbols_BA)), state)
        return self.head(self.drop(self.attention(state_BAH, *memory))), state
