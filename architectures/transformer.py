"""Transformer decoder: causal self-attention over prompt and answer as one sequence.

Radford et al., "Language Models are Unsupervised Multitask Learners" (GPT-2), 2019: pre-norm blocks of attention and
feed-forward, layer norms, GELU, biases, learned positions; weights with standard deviation 0.02, residual outputs
scaled by 1 / sqrt(2 layers). The head has its own weights, where GPT-2's are those of the symbols, and GELU is exact,
where GPT-2's is approximated by tanh. Parts that came later can be chosen: RMS norms and no biases (Touvron et al.,
"LLaMA", 2023), SwiGLU (Shazeer, "GLU Variants Improve Transformer", 2020), one more norm before each output matrix
(Wang et al., "Foundation Transformers", 2022). They led at a sixth of the budget of `quick`, and lost two points at the
whole (`docs/log.md`).

`positions` chooses how it knows where a symbol stands:
- `learned`: a vector for each column, counted from the '=' (GPT-2, 2019).
- `rotary`: queries and keys turned by angles that grow with the column, so that attention sees distances alone (Su et
  al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021).
- `none`: nothing but the causal mask (Kazemnejad et al., "The Impact of Positional Encoding on Length Generalization in
  Transformers", 2023).
- `abacus`: a vector for each digit's place within its run of digits, moved by a random offset in training (McLeish et
  al., "Transformers Can Do Arithmetic with the Right Embeddings", 2024).

B batch, S = P + A - 1 symbols read, T <= S symbols written, D width, H heads, K = D / H, F feed-forward, V vocabulary
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.architectures.attention import (
    Cache,
    Rotation,
    attend,
    draw_normal,
    keep_caches,
    mask_of_prompt,
    rotary,
    run_blocks,
    with_room,
)
from bench.architectures.base import Autoregressive, SequenceSpec, last_columns
from bench.architectures.parts import AttentionConfig, FeedForward, Linear, linear, make_norm
from bench.architectures.registry import register

Positions = Literal["learned", "rotary", "none", "abacus"]


@dataclass(frozen=True, kw_only=True)
class TransformerConfig(AttentionConfig):
    search: ClassVar = {
        "heads": (2, 4, 8),
        "norm": ("layer", "rms"),
        "activation": ("gelu", "swiglu"),
        "subnorm": (False, True),
        "positions": ("learned", "rotary", "none", "abacus"),
    }

    positions: Positions = "learned"
    """how symbols know where they stand: `learned`, `rotary`, `none` or `abacus`"""
    offsets: int = 8
    """abacus alone: training draws the place of a number's first digit from 1 to this for each batch, so that numbers
    may have `offsets` - 1 digits more than those trained on; 1 draws nothing (the paper: 100)"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.offsets < 1:
            raise ValueError(f"offsets {self.offsets}: must be at least 1")

    @property
    def size_step(self) -> int:
        return 2 * self.heads if self.positions == "rotary" else self.heads


class Attention(nn.Module):
    """Causal multi-head self-attention of the last T symbols to all, where the mask has T rows."""

    def __init__(self, config: AttentionConfig, make_linear: Linear, eps: float | None = None) -> None:
        super().__init__()
        self.heads, self.dropout = config.heads, config.dropout
        self.qkv = make_linear(config.width, config.width, 3)
        self.norm = make_norm(config.norm, config.width, eps) if config.subnorm else nn.Identity()
        self.out = make_linear(config.width, config.width, 1)

    def forward(
        self, x_BSD: Tensor, mask_B1TS: Tensor, cache: Cache | None, rotation: Rotation | None = None
    ) -> tuple[Tensor, Cache]:
        """Symbols after those in `cache` -> (B, T, D), and the longer cache."""
        dropout = self.dropout if self.training else 0.0
        mixed_BTD, cache = attend(self.qkv(x_BSD), self.heads, mask_B1TS, cache, rotation, dropout)
        return self.out(self.norm(mixed_BTD)), cache


class Block(nn.Module):
    """Pre-norm attention, then pre-norm feed-forward, each added to the residual stream."""

    def __init__(
        self,
        config: AttentionConfig,
        make_linear: Linear | None = None,
        *,
        eps: float | None = None,
        inner_dropout: float = 0.0,
    ) -> None:
        """`make_linear` makes the matrices; None: torch's own. `eps`: see `make_norm`. `inner_dropout`: share of the
        feed-forward part's hidden numbers that is dropped.
        """
        super().__init__()
        make_linear = make_linear or linear(config.bias)
        self.norm_1 = make_norm(config.norm, config.width, eps)
        self.attention = Attention(config, make_linear, eps)
        self.norm_2 = make_norm(config.norm, config.width, eps)
        self.feedforward = FeedForward(config, make_linear, subnorm=config.subnorm, eps=eps, dropout=inner_dropout)
        self.drop = nn.Dropout(config.dropout)

    def forward(
        self, x_BSD: Tensor, mask_B1TS: Tensor, cache: Cache | None, rotation: Rotation | None = None
    ) -> tuple[Tensor, Cache]:
        """As `Attention`: reads S symbols and writes the last T."""
        mixed_BTD, cache = self.attention(self.norm_1(x_BSD), mask_B1TS, cache, rotation)
        x_BTD = last_columns(x_BSD, mask_B1TS.shape[2]) + self.drop(mixed_BTD)
        return x_BTD + self.drop(self.feedforward(self.norm_2(x_BTD))), cache


@register
class Transformer(Autoregressive):
    """Columns count from the '=' (column index, since prompts end there), so padding does not move them."""

    name = "transformer"
    family = "transformer decoder"
    year = 2019
    paper = "Radford et al., Language Models are Unsupervised Multitask Learners, 2019"
    Config: ClassVar = TransformerConfig
    debug: ClassVar = {"layers": 2, "heads": 2, "width": 8}
    stacked: ClassVar = {"*.qkv.weight": 3, "*.gate_up.weight": 2}
    is_digit: Tensor

    def __init__(self, config: TransformerConfig, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        if config.positions == "abacus" and any(text.isdigit() and len(text) > 1 for text in spec.texts):
            raise ValueError("positions abacus: a digit needs a token of its own, as tokenizer 'characters' gives it")
        self.symbols = nn.Embedding(spec.vocabulary, config.width)
        rows = {
            "learned": spec.prompt_width + spec.answer_width - 1,
            "abacus": max(spec.prompt_width, spec.answer_width) + config.offsets,
        }.get(config.positions)
        self.positions = None if rows is None else nn.Embedding(rows, config.width)
        is_digit_V = torch.zeros(spec.vocabulary, dtype=torch.bool)
        is_digit_V[list(spec.digits)] = True
        self.register_buffer("is_digit", is_digit_V, persistent=False)
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(self.make_block(number) for number in range(config.layers))
        self.norm = make_norm(config.norm, config.width)
        self.head = nn.Linear(config.width, spec.vocabulary, bias=False)
        self.draw()

    def make_block(self, number: int) -> nn.Module:
        """The block of this number, from 0."""
        return Block(self.config)

    def draw(self) -> None:
        """All weights normal, as GPT-2's: those of the residual outputs smaller by the root of their number, two a
        block.
        """
        self.apply(draw_normal)
        for name, parameter in self.named_parameters():
            if name.endswith((".out.weight", ".down.weight")):
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * self.config.depth))

    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        symbols_BS = torch.cat([prompt, answer[:, :-1]], dim=1)
        mask_B1SS = mask_of_prompt(prompt, self.spec.pad, symbols_BS.shape[1])
        return self._run(symbols_BS, self._places(prompt, answer[:, :-1]), mask_B1SS, answer.shape[1])[0]

    def begin(self, prompt: Tensor, width: int) -> tuple[Tensor, Any]:
        written = prompt[:, :0]
        mask_B1PP = mask_of_prompt(prompt, self.spec.pad, prompt.shape[1])
        logits_B1V, caches = self._run(prompt, self._places(prompt, written), mask_B1PP, 1)
        return logits_B1V[:, 0], (prompt, written, with_room(caches, width - 1))

    def advance(self, symbol: Tensor, state: Any) -> tuple[Tensor, Any]:
        prompt, written, caches = state
        written = torch.cat([written, symbol[:, None]], dim=1)
        places = self._places(prompt, written)[..., -1:]
        mask_B11S = F.pad(prompt != self.spec.pad, (0, written.shape[1]), value=True)[:, None, None]
        logits_B1V, caches = self._run(symbol[:, None], places, mask_B11S, 1, caches)
        return logits_B1V[:, 0], (prompt, written, caches)

    def keep(self, rows: Tensor, state: Any) -> Any:
        prompt, written, caches = state
        return prompt[rows], written[rows], keep_caches(rows, caches)

    def _places(self, prompt: Tensor, written: Tensor) -> Tensor:
        """Prompt (B, P) and the answer's symbols so far (B, N) -> place of each: its column, (P + N,), or with abacus
        that within its number, (B, P + N).

        In prompts the last digit of a run has place 1; in answers the first one has, since it is not known yet how
        long the run will be. So a place means the same in both where answers are reversed, as in the paper.
        """
        if self.config.positions == "abacus":
            from_last_BP = place_in_number(self.is_digit[prompt].flip(1)).flip(1)
            places_BS = torch.cat([from_last_BP, place_in_number(self.is_digit[written])], dim=1)
            offset = int(torch.randint(self.config.offsets, (), device="cpu")) if self.training else 0
            return torch.where(places_BS > 0, places_BS + offset, 0)
        first = self.spec.prompt_width - prompt.shape[1]  # so that the '=' has the same place in prompts of all widths
        return torch.arange(first, first + prompt.shape[1] + written.shape[1], device=prompt.device)

    def _run(
        self, symbols_BS: Tensor, places: Tensor, mask: Tensor, wanted: int, caches: list[Cache] | None = None
    ) -> tuple[Tensor, list[Cache]]:
        """Symbols and places, after those in `caches` -> logits (B, wanted, V) at the last, and the longer caches."""
        x_BSD = self.symbols(symbols_BS)
        if self.positions is not None:
            x_BSD = x_BSD + self.positions(places)
        rotation = None
        if self.config.positions == "rotary":
            rotation = rotary(places, self.config.width // self.config.heads, x_BSD)
        visible_BS = symbols_BS != self.spec.pad
        x_BTD, caches = self._run_blocks(self.drop(x_BSD), visible_BS, mask, wanted, rotation, caches)
        return self.head(self.norm(x_BTD)), caches

    def _run_blocks(
        self,
        x_BSD: Tensor,
        visible_BS: Tensor,
        mask: Tensor,
        wanted: int,
        rotation: Rotation | None,
        caches: list[Cache] | None,
    ) -> tuple[Tensor, list[Cache]]:
        """Embedded symbols, and which are no pads -> (B, wanted, D) the last after all blocks; longer caches."""
        return run_blocks(self.blocks, x_BSD, mask, wanted, caches, rotation)


def place_in_number(is_digit_BS: Tensor) -> Tensor:
    """(B, S) -> (B, S) 1, 2, 3, ... along each run of digits, 0 elsewhere."""
    columns_S = torch.arange(1, is_digit_BS.shape[1] + 1, device=is_digit_BS.device)
    before_BS = columns_S.masked_fill(is_digit_BS, 0).cummax(dim=1).values  # the nearest column that has no digit
    return columns_S - before_BS
