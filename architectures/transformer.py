"""Transformer decoder, the GPT line: causal self-attention over prompt and answer as one sequence.

Radford et al., "Language Models are Unsupervised Multitask Learners" (GPT-2), 2019: pre-norm blocks, learned positions,
GELU, weights drawn with standard deviation 0.02 and residual outputs scaled by 1 / sqrt(2 layers). The head has its own
weights, where GPT-2's are those of the symbols.

B batch, S = P + A - 1 symbols read, T <= S symbols written, D width, H heads, K = D / H, F feed-forward, V vocabulary
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.architectures.base import Autoregressive, Config, Preset, SequenceSpec
from bench.architectures.registry import register

Cache = tuple[Tensor, Tensor]
"""A block's keys and values of earlier symbols, (B, H, S, K) each."""


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
    """Causal multi-head self-attention: all symbols are looked at, the last T look, T being the rows of the mask."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        if config.width % config.heads:
            raise ValueError(f"width {config.width}: must be a multiple of heads {config.heads}")
        self.heads, self.dropout = config.heads, config.dropout
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)

    def forward(self, x_BSD: Tensor, mask_B1TS: Tensor, cache: Cache | None) -> tuple[Tensor, Cache]:
        """Symbols after those in `cache` -> (B, T, D), and the longer cache."""
        q_BHSK, k_BHSK, v_BHSK = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x_BSD).chunk(3, dim=-1)
        )
        if cache is not None:
            k_BHSK, v_BHSK = torch.cat([cache[0], k_BHSK], dim=2), torch.cat([cache[1], v_BHSK], dim=2)
        q_BHTK = q_BHSK[:, :, -mask_B1TS.shape[2] :]
        mixed_BHTK = F.scaled_dot_product_attention(
            q_BHTK, k_BHSK, v_BHSK, mask_B1TS, dropout_p=self.dropout if self.training else 0.0
        )
        return self.out(mixed_BHTK.transpose(1, 2).flatten(-2)), (k_BHSK, v_BHSK)


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

    def forward(self, x_BSD: Tensor, mask_B1TS: Tensor, cache: Cache | None) -> tuple[Tensor, Cache]:
        """As `Attention`: reads S symbols and writes the last T."""
        mixed_BTD, cache = self.attention(self.norm_1(x_BSD), mask_B1TS, cache)
        x_BTD = x_BSD[:, -mask_B1TS.shape[2] :] + self.drop(mixed_BTD)
        hidden_BTF = F.gelu(self.up(self.norm_2(x_BTD)))
        return x_BTD + self.drop(self.down(hidden_BTF)), cache


@register
class Transformer(Autoregressive):
    """Positions count from the '=' (column index, since prompts end there), so padding does not move them."""

    name = "transformer"
    family = "transformer decoder"
    year = 2019
    paper = "Radford et al., Language Models are Unsupervised Multitask Learners, 2019"
    Config = TransformerConfig
    presets = (
        Preset(
            suite="quick",
            parameters=100_000,
            budget="examples=300000",
            config={"layers": 3, "heads": 4},
            training={"optimizer": "muon", "lr": 0.02, "batch": 128},
        ),
    )
    debug: ClassVar = {"layers": 2, "heads": 2, "width": 8}
    stacked: ClassVar = {"*.qkv.weight": 3}

    def __init__(self, config: TransformerConfig, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        self.symbols = nn.Embedding(spec.vocabulary, config.width)
        self.positions = nn.Embedding(spec.prompt_width + spec.answer_width - 1, config.width)
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, spec.vocabulary, bias=False)
        self.apply(self._initialise)
        for name, parameter in self.named_parameters():
            if name.endswith((".out.weight", ".down.weight")):
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * config.layers))

    @staticmethod
    def _initialise(module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        symbols_BS = torch.cat([prompt, answer[:, :-1]], dim=1)
        mask_B1SS = self._mask(prompt, symbols_BS.shape[1])
        return self._run(symbols_BS, self._first_place(prompt), mask_B1SS, answer.shape[1])[0]

    def begin(self, prompt: Tensor, width: int) -> tuple[Tensor, Any]:
        logits_B1V, caches = self._run(prompt, self._first_place(prompt), self._mask(prompt, prompt.shape[1]), 1)
        return logits_B1V[:, 0], (prompt, caches)

    def advance(self, symbol: Tensor, state: Any) -> tuple[Tensor, Any]:
        prompt, caches = state
        past = caches[0][0].shape[2]
        mask_B11S = self._mask(prompt, past + 1)[:, :, -1:]
        logits_B1V, caches = self._run(symbol[:, None], self._first_place(prompt) + past, mask_B11S, 1, caches)
        return logits_B1V[:, 0], (prompt, caches)

    def _first_place(self, prompt: Tensor) -> int:
        """Position of the prompt's first column: that of the '=' is the same in prompts of all widths."""
        return self.spec.prompt_width - prompt.shape[1]

    def _mask(self, prompt: Tensor, length: int) -> Tensor:
        """(B, P) -> (B, 1, S, S), true where a symbol may look: back, and not at pads of the prompt.

        Each pad looks at itself: a row that may look nowhere would make the softmax nan.
        """
        causal_SS = torch.ones(length, length, dtype=torch.bool, device=prompt.device).tril()
        visible_BS = F.pad(prompt != self.spec.pad, (0, length - prompt.shape[1]), value=True)
        itself_SS = torch.eye(length, dtype=torch.bool, device=prompt.device)
        return (causal_SS & visible_BS[:, None, :] | itself_SS)[:, None]

    def _run(
        self, symbols_BS: Tensor, first: int, mask: Tensor, wanted: int, caches: list[Cache] | None = None
    ) -> tuple[Tensor, list[Cache]]:
        """Symbols from position `first` on, after those in `caches` -> logits (B, wanted, V) at the last of them, and
        the longer caches.
        """
        places_S = torch.arange(first, first + symbols_BS.shape[1], device=symbols_BS.device)
        x_BSD = self.drop(self.symbols(symbols_BS) + self.positions(places_S))
        kept = []
        for number, block in enumerate(self.blocks):
            if number == len(self.blocks) - 1:  # no later block looks at what the last one writes elsewhere
                mask = mask[:, :, -wanted:]
            x_BSD, cache = block(x_BSD, mask, None if caches is None else caches[number])
            kept.append(cache)
        return self.head(self.norm(x_BSD)), kept
