"""Transformer on LSTM features: attention blocks over the states of one LSTM layer, which replaces positions.

Ahle, "Learning Arithmetic with Sequence Models" (github.com/thomasahle/arithmetic-transformer), 2023, kind
`transformer-lstm`: the best of its comparison of LSTM and transformers by position encoding. As there, blocks are
pre-norm with ReLU and a feed-forward size of 2 x width, and matrices are born as in torch's own modules. A head gives
the logits, and the LSTM's forget gates start open, as in `lstm`.

B batch, S = P + A - 1 symbols read, T <= S symbols written, D width, H heads, K = D / H, F feed-forward, V vocabulary
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.architectures.attention import Cache, keep_caches, mask_of_prompt, run_blocks, with_room
from bench.architectures.base import Autoregressive, SequenceSpec
from bench.architectures.parts import Activation, AttentionConfig, make_norm
from bench.architectures.recurrent import LSTMCells, keep_cell_states, open_forget_gates, roll_left, select_columns
from bench.architectures.registry import register
from bench.architectures.transformer import Block


@dataclass(frozen=True, kw_only=True)
class TransformerLSTMConfig(AttentionConfig):
    search: ClassVar = {
        "heads": (2, 4, 8),
        "norm": ("layer", "rms"),
        "activation": ("relu", "gelu", "swiglu"),
        "subnorm": (False, True),
    }
    hidden_ratio: ClassVar = Fraction(2)

    layers: int = 3
    """the LSTM and the blocks on top of it; at least 2"""
    feedforward: int | None = None
    """F; None is 2 x width, with a gate 4/3 x width"""
    activation: Activation = "relu"
    dropout: float = 0.0
    """share of activations dropped in attention, within the feed-forward and at the end of each residual branch"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers < 2:
            raise ValueError(f"layers {self.layers}: must be at least 2, the LSTM and a block that attends")


@register
class TransformerLSTM(Autoregressive):
    """The LSTM never meets a pad: rows are rolled left for it, and its states are rolled back for attention."""

    name = "transformer-lstm"
    family = "hybrid of LSTM and transformer"
    year = 2023
    paper = "Ahle, Learning Arithmetic with Sequence Models, 2023"
    Config: ClassVar = TransformerLSTMConfig
    debug: ClassVar = {"layers": 3, "heads": 2, "width": 8}
    stacked: ClassVar = {"cells.weight_*": 4, "*.qkv.weight": 3, "*.gate_up.weight": 2}

    def __init__(self, config: TransformerLSTMConfig, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        self.symbols = nn.Embedding(spec.vocabulary, config.width)
        self.cells = LSTMCells(config.width, config.width, batch_first=True)
        self.blocks = nn.ModuleList(Block(config, inner_dropout=config.dropout) for _ in range(config.layers - 1))
        self.norm = make_norm(config.norm, config.width)
        self.head = nn.Linear(config.width, spec.vocabulary)
        open_forget_gates(self.cells)
        for name, parameter in self.blocks.named_parameters():
            if name.endswith("qkv.weight"):
                nn.init.xavier_uniform_(parameter)
            elif name.endswith(("qkv.bias", "out.bias")):
                nn.init.zeros_(parameter)

    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        pads_B1 = (prompt == self.spec.pad).sum(dim=1, keepdim=True)
        rolled_BS = roll_left(torch.cat([prompt, answer[:, :-1]], dim=1), pads_B1)
        states_BSD, _ = self.cells(self.symbols(rolled_BS))
        mask_B1SS = mask_of_prompt(prompt, self.spec.pad, rolled_BS.shape[1])
        return self._attend(_roll_right(states_BSD, pads_B1), mask_B1SS, answer.shape[1])[0]

    def begin(self, prompt: Tensor, width: int) -> tuple[Tensor, Any]:
        pads_B1 = (prompt == self.spec.pad).sum(dim=1, keepdim=True)
        lengths_B = prompt.shape[1] - pads_B1[:, 0]
        packed = nn.utils.rnn.pack_padded_sequence(
            self.symbols(roll_left(prompt, pads_B1)), lengths_B.cpu(), batch_first=True, enforce_sorted=False
        )
        packed_states, state = self.cells(packed)
        states_BPD, _ = nn.utils.rnn.pad_packed_sequence(packed_states, batch_first=True, total_length=prompt.shape[1])
        mask_B1PP = mask_of_prompt(prompt, self.spec.pad, prompt.shape[1])
        logits_B1V, caches = self._attend(_roll_right(states_BPD, pads_B1), mask_B1PP, 1)
        return logits_B1V[:, 0], (prompt != self.spec.pad, state, with_room(caches, width - 1))

    def advance(self, symbol: Tensor, state: Any) -> tuple[Tensor, Any]:
        visible_BS, lstm_state, caches = state
        x_B1D, lstm_state = self.cells(self.symbols(symbol[:, None]), lstm_state)
        visible_BS = F.pad(visible_BS, (0, 1), value=True)
        logits_B1V, caches = self._attend(x_B1D, visible_BS[:, None, None], 1, caches)
        return logits_B1V[:, 0], (visible_BS, lstm_state, caches)

    def keep(self, rows: Tensor, state: Any) -> Any:
        visible_BS, lstm_state, caches = state
        return visible_BS[rows], keep_cell_states(rows, lstm_state), keep_caches(rows, caches)

    def _attend(
        self, x_BSD: Tensor, mask: Tensor, wanted: int, caches: list[Cache] | None = None
    ) -> tuple[Tensor, list[Cache]]:
        """The LSTM's states after those in `caches` -> logits (B, wanted, V) at the last of them; longer caches."""
        x_BSD = x_BSD.to(self.head.weight.dtype)  # in reduced precision too, what the blocks add to is exact
        x_BTD, caches = run_blocks(self.blocks, x_BSD, mask, wanted, caches)
        return self.head(self.norm(x_BTD)), caches


def _roll_right(states: Tensor, pads: Tensor) -> Tensor:
    """(B, S, D), each row with `pads` (B, 1) pads behind -> (B, S, D), the pads in front again."""
    columns_S = torch.arange(states.shape[1], device=states.device)
    return select_columns(states, (columns_S - pads) % states.shape[1])
