"""Transformer decoder, the GPT line: causal self-attention over prompt and answer as one sequence.

Radford et al., "Language Models are Unsupervised Multitask Learners" (GPT-2), 2019: pre-norm blocks, learned positions,
GELU, weights drawn with standard deviation 0.02 and residual outputs scaled by 1 / sqrt(2 layers).

B batch, T = P + A - 1 symbols, D width, H heads, K = D / H, F feed-forward, V vocabulary
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.architectures.base import Autoregressive, Config, SequenceSpec
from bench.architectures.registry import register


@dataclass(frozen=True, kw_only=True)
class TransformerConfig(Config):
    size_fields: ClassVar = ("width", "feedforward")

    layers: int = 2
    """blocks"""
    heads: int = 4
    """attention heads in each block"""
    width: int = 64
    """D, a multiple of `heads`"""
    feedforward: int | None = None
    """F; None is 4 x width"""
    dropout: float = 0.0
    """share of activations dropped after the embedding, in attention and at the end of each residual branch"""

    @property
    def size_step(self) -> int:
        return self.heads


class Attention(nn.Module):
    """Causal multi-head self-attention."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.heads, self.dropout = config.heads, config.dropout
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)

    def forward(self, x_BTD: Tensor, mask_B1TS: Tensor, cache: tuple[Tensor, Tensor] | None = None) -> Any:
        """Attends to `cache` (keys and values of earlier symbols) and itself; returns output and the longer cache."""
        q_BHTK, k_BHTK, v_BHTK = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x_BTD).chunk(3, dim=-1)
        )
        if cache is not None:
            k_BHTK, v_BHTK = torch.cat([cache[0], k_BHTK], dim=2), torch.cat([cache[1], v_BHTK], dim=2)
        mixed_BHTK = F.scaled_dot_product_attention(
            q_BHTK, k_BHTK, v_BHTK, mask_B1TS, dropout_p=self.dropout if self.training else 0.0
        )
        return self.out(mixed_BHTK.transpose(1, 2).flatten(-2)), (k_BHTK, v_BHTK)


class Block(nn.Module):
    """Pre-norm attention, then pre-norm feed-forward, each added to the residual stream."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        feedforward = config.feedforward or 4 * config.width
        self.norm_1 = nn.LayerNorm(config.width)
        self.attention = Attention(config)
        self.norm_2 = nn.LayerNorm(config.width)
        self.up = nn.Linear(config.width, feedforward)
        self.down = nn.Linear(feedforward, config.width)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x_BTD: Tensor, mask_B1TS: Tensor, cache: tuple[Tensor, Tensor] | None = None) -> Any:
        mixed_BTD, cache = self.attention(self.norm_1(x_BTD), mask_B1TS, cache)
        x_BTD = x_BTD + self.drop(mixed_BTD)
        hidden_BTF = F.gelu(self.up(self.norm_2(x_BTD)), approximate="tanh")
        return x_BTD + self.drop(self.down(hidden_BTF)), cache


@register
class Transformer(Autoregressive):
    """Positions count from the '=' (column index, since prompts end there), so padding does not move them."""

    name = "transformer"
    family = "transformer decoder"
    year = 2019
    paper = "Radford et al., Language Models are Unsupervised Multitask Learners, 2019"
    Config = TransformerConfig
    debug: ClassVar = {"layers": 2, "heads": 2, "width": 8}
    stacked: ClassVar = {"qkv.weight": 3}

    def __init__(self, config: TransformerConfig, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        self.symbols = nn.Embedding(spec.vocabulary, config.width)
        self.positions = nn.Embedding(spec.prompt_width + spec.answer_width - 1, config.width)
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, spec.vocabulary, bias=False)
        self.apply(self._initialise)
        for block in self.blocks:
            for linear in (block.attention.out, block.down):
                nn.init.normal_(linear.weight, std=0.02 / math.sqrt(2 * config.layers))

    @staticmethod
    def _initialise(module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        symbols_BT = torch.cat([prompt, answer[:, :-1]], dim=1)
        x_BTD, _ = self._run(symbols_BT, self._mask(prompt, symbols_BT.shape[1]), prompt.shape[1], 0)
        return self.head(self.norm(x_BTD[:, prompt.shape[1] - 1 :]))

    def begin(self, prompt: Tensor, width: int) -> tuple[Tensor, Any]:
        x_BTD, caches = self._run(prompt, self._mask(prompt, prompt.shape[1]), prompt.shape[1], 0)
        return self.head(self.norm(x_BTD[:, -1])), (prompt, caches)

    def advance(self, symbol: Tensor, state: Any) -> tuple[Tensor, Any]:
        prompt, caches = state
        past = caches[0][0].shape[2]
        mask_B1TS = self._mask(prompt, past + 1)[:, :, -1:]
        x_BTD, caches = self._run(symbol[:, None], mask_B1TS, prompt.shape[1], past, caches)
        return self.head(self.norm(x_BTD[:, -1])), (prompt, caches)

    def _mask(self, prompt: Tensor, length: int) -> Tensor:
        """(B, P) -> (B, 1, T, T), true where a symbol may look: back, and not at pads of the prompt.

        Each pad looks at itself: a row that may look nowhere would make the softmax nan.
        """
        causal_TT = torch.ones(length, length, dtype=torch.bool, device=prompt.device).tril()
        visible_BT = F.pad(prompt != self.spec.pad, (0, length - prompt.shape[1]), value=True)
        itself_TT = torch.eye(length, dtype=torch.bool, device=prompt.device)
        return (causal_TT & visible_BT[:, None, :] | itself_TT)[:, None]

    def _run(self, symbols_BT: Tensor, mask: Tensor, prompt_width: int, past: int, caches: Any = None) -> Any:
        first = self.spec.prompt_width - prompt_width + past
        places = torch.arange(first, first + symbols_BT.shape[1], device=symbols_BT.device)
        x_BTD = self.drop(self.symbols(symbols_BT) + self.positions(places))
        kept = []
        for number, block in enumerate(self.blocks):
            x_BTD, cache = block(x_BTD, mask, None if caches is None else caches[number])
            kept.append(cache)
        return x_BTD, kept
