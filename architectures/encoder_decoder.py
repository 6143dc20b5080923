"""Encoder-decoder transformer, the T5 line: the prompt is encoded once, the answer decoded with cross-attention.

Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", 2020, in the form of
T5 1.1 (Shazeer, "GLU Variants Improve Transformer", 2020): RMS norms before each sublayer, no biases, relative position
biases shared by all layers of a stack, GELU-gated feed-forward, untied head: the defaults. T5 leaves 1 / sqrt(K) out of
attention and starts its queries smaller by that factor; here it stands in attention, and queries start as large as
keys. That is the same function from the start on, but T5's optimiser, Adafactor, made steps in proportion to each
matrix, and those used here make equally large ones.

B batch, P prompt, A answer, S keys' length, D width, H heads, K = D / H, F feed-forward, V vocabulary
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.architectures.attention import attend_one, with_room
from bench.architectures.base import Autoregressive, SequenceSpec, map_tensors
from bench.architectures.parts import Activation, AttentionConfig, FeedForward, Norm, linear, make_norm
from bench.architectures.registry import register

KeysValues = tuple[Tensor, Tensor]
"""Of all symbols that may be attended to, (B, H, S, K) each; while answers are written, (S, H, K, B)."""


@dataclass(frozen=True, kw_only=True)
class EncoderDecoderConfig(AttentionConfig):
    search: ClassVar = {
        "heads": (2, 4, 8),
        "norm": ("layer", "rms"),
        "activation": ("gelu", "geglu", "swiglu"),
        "subnorm": (False, True),
        "positions": ("relative", "learned"),
    }
    hidden_ratio: ClassVar = Fraction(15, 4)

    layers: int = 2
    """blocks, of which the encoder has half, rounded up, and the decoder the rest; at least 2"""
    width: int = 60
    """D, a multiple of `heads`"""
    feedforward: int | None = None
    """F; None is 5/2 x width, as in T5 1.1 XL, rounded down, and 15/4 x width without a gate"""
    dropout: float = 0.0
    """share of activations dropped after the embedding, in attention, feed-forward and each residual branch"""
    norm: Norm = "rms"
    activation: Activation = "geglu"
    bias: bool = False
    positions: Literal["relative", "learned"] = "relative"
    """how symbols know where they stand: `relative`, by biases of attention, or `learned`, by a vector for each column,
    counted from the '=', that is added to its symbol"""
    buckets: int = 32
    """buckets of relative distance, each with one bias a head; at least 4"""
    furthest: int = 128
    """distance from which on all share the last bucket; more than half of `buckets`"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers < 2:
            raise ValueError(f"layers {self.layers}: an encoder-decoder needs at least 2, one for each side")
        if self.buckets < 4:
            raise ValueError(f"buckets {self.buckets}: there must be at least 4")
        if self.furthest <= self.buckets // 2:
            raise ValueError(f"furthest {self.furthest}: must be more than half of buckets {self.buckets}")


class RelativeBias(nn.Module):
    """One bias a head for each bucket of key distance: exact up to a point, then logarithmic to `furthest`."""

    def __init__(self, config: EncoderDecoderConfig, both_ways: bool) -> None:
        super().__init__()
        self.buckets, self.furthest, self.both_ways = config.buckets, config.furthest, both_ways
        self.bias = nn.Embedding(config.buckets, config.heads)

    def forward(self, queries: Tensor, keys: int) -> Tensor:
        """Positions of the queries (T,), number of keys S -> (1, H, T, S)."""
        distance_TS = torch.arange(keys, device=queries.device) - queries[:, None]
        bias_TSH: Tensor = self.bias(self.bucket(distance_TS))
        return bias_TSH.permute(2, 0, 1)[None]

    def bucket(self, distance: Tensor) -> Tensor:
        """Key position minus query position -> bucket number, elementwise."""
        buckets, first = self.buckets, torch.zeros_like(distance)
        if self.both_ways:
            buckets //= 2
            first = (distance > 0).long() * buckets
            distance = distance.abs()
        else:
            distance = (-distance).clamp(min=0)
        exact = buckets // 2
        # In float32 whatever the model's precision, as in the reference, so that buckets never move.
        ratio = torch.log(distance.clamp(min=1).float() / exact) / math.log(self.furthest / exact)
        far = (exact + (ratio * (buckets - exact)).long()).clamp(max=buckets - 1)
        return first + torch.where(distance < exact, distance, far)


class Attention(nn.Module):
    """Multi-head attention; `bias` carries positions and mask."""

    def __init__(self, config: EncoderDecoderConfig) -> None:
        super().__init__()
        self.heads, self.dropout = config.heads, config.dropout
        self.query = nn.Linear(config.width, config.width, bias=config.bias)
        self.key = nn.Linear(config.width, config.width, bias=config.bias)
        self.value = nn.Linear(config.width, config.width, bias=config.bias)
        self.norm = make_norm(config.norm, config.width) if config.subnorm else nn.Identity()
        self.out = nn.Linear(config.width, config.width, bias=config.bias)

    def keys_and_values(self, x_BSD: Tensor) -> KeysValues:
        return self._split(self.key(x_BSD)), self._split(self.value(x_BSD))

    def forward(self, x_BTD: Tensor, kv: KeysValues, bias_BHTS: Tensor) -> Tensor:
        mixed_BHTK = F.scaled_dot_product_attention(
            self._split(self.query(x_BTD)), *kv, bias_BHTS, dropout_p=self.dropout if self.training else 0.0
        )
        out_BTD: Tensor = self.out(self.norm(mixed_BHTK.transpose(1, 2).flatten(-2)))
        return out_BTD

    def attend_one(self, x_BD: Tensor, kv: KeysValues, bias_SHB: Tensor) -> Tensor:
        """As `forward` for one query a problem, with keys and values in (S, H, K, B): (B, D) -> (B, D)."""
        query_1HKB = self.batch_last(self.query, x_BD) * (x_BD.shape[1] // self.heads) ** -0.5
        out_BD: Tensor = self.out(self.norm(attend_one(query_1HKB, kv, bias_SHB)))
        return out_BD

    def batch_last(self, linear: nn.Linear, x_BD: Tensor) -> Tensor:
        """(B, D) -> (1, H, K, B), what a linear layer makes of it, the batch last."""
        out_DB = linear.weight @ x_BD.t()
        if linear.bias is not None:
            out_DB = out_DB + linear.bias[:, None]
        return out_DB.view(1, self.heads, -1, len(x_BD))

    def _split(self, x_BTD: Tensor) -> Tensor:
        """(B, T, D) -> (B, H, T, K)."""
        return x_BTD.view(*x_BTD.shape[:2], self.heads, -1).transpose(1, 2)


def make_feedforward(config: EncoderDecoderConfig) -> FeedForward:
    return FeedForward(config, linear(config.bias), subnorm=config.subnorm, dropout=config.dropout)


class EncoderBlock(nn.Module):
    """Pre-norm self-attention, then pre-norm feed-forward, each added to the residual stream."""

    def __init__(self, config: EncoderDecoderConfig) -> None:
        super().__init__()
        self.norm_1, self.attention = make_norm(config.norm, config.width), Attention(config)
        self.norm_2, self.feedforward = make_norm(config.norm, config.width), make_feedforward(config)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x_BPD: Tensor, bias_BHPP: Tensor) -> Tensor:
        normed_BPD = self.norm_1(x_BPD)
        x_BPD = x_BPD + self.drop(self.attention(normed_BPD, self.attention.keys_and_values(normed_BPD), bias_BHPP))
        out_BPD: Tensor = x_BPD + self.drop(self.feedforward(self.norm_2(x_BPD)))
        return out_BPD


class DecoderBlock(nn.Module):
    """As `EncoderBlock`, causal, with attention to the encoded prompt in between."""

    def __init__(self, config: EncoderDecoderConfig) -> None:
        super().__init__()
        self.norm_1, self.attention = make_norm(config.norm, config.width), Attention(config)
        self.norm_2, self.cross = make_norm(config.norm, config.width), Attention(config)
        self.norm_3, self.feedforward = make_norm(config.norm, config.width), make_feedforward(config)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x_BAD: Tensor, bias_1HAA: Tensor, memory_kv: KeysValues, pads_B11P: Tensor) -> Tensor:
        normed_BAD = self.norm_1(x_BAD)
        x_BAD = x_BAD + self.drop(self.attention(normed_BAD, self.attention.keys_and_values(normed_BAD), bias_1HAA))
        x_BAD = x_BAD + self.drop(self.cross(self.norm_2(x_BAD), memory_kv, pads_B11P))
        out_BAD: Tensor = x_BAD + self.drop(self.feedforward(self.norm_3(x_BAD)))
        return out_BAD

    def step(
        self, x_BD: Tensor, bias_SH1: Tensor, memory_kv: KeysValues, pads_P1B: Tensor, cache: KeysValues
    ) -> tuple[Tensor, KeysValues]:
        """As `forward` for the next symbol alone; also the longer cache."""
        normed_BD, attention = self.norm_1(x_BD), self.attention
        key, value = (attention.batch_last(linear, normed_BD) for linear in (attention.key, attention.value))
        cache = torch.cat([cache[0], key]), torch.cat([cache[1], value])
        x_BD = x_BD + self.attention.attend_one(normed_BD, cache, bias_SH1)
        x_BD = x_BD + self.cross.attend_one(self.norm_2(x_BD), memory_kv, pads_P1B)
        return x_BD + self.feedforward(self.norm_3(x_BD)), cache


@register
class EncoderDecoder(Autoregressive):
    """Distances or columns from the '=' are all it knows of places, so left padding moves nothing; pads are masked."""

    name = "encoder-decoder"
    family = "transformer encoder-decoder"
    kind = "encoder-decoder"
    year = 2020
    paper = "Raffel et al., Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer, 2020"
    Config: ClassVar = EncoderDecoderConfig
    debug: ClassVar = {"layers": 3, "heads": 2, "width": 8}
    stacked: ClassVar = {"*.gate_up.weight": 2}

    def __init__(self, config: EncoderDecoderConfig, spec: SequenceSpec) -> None:
        super().__init__(config, spec)
        encoders = (config.layers + 1) // 2
        self.symbols = nn.Embedding(spec.vocabulary, config.width)
        self.drop = nn.Dropout(config.dropout)
        learned = config.positions == "learned"
        rows = spec.prompt_width + spec.answer_width
        self.positions = nn.Embedding(rows, config.width) if learned else None
        self.encoder_bias = None if learned else RelativeBias(config, both_ways=True)
        self.encoder = nn.ModuleList(EncoderBlock(config) for _ in range(encoders))
        self.encoder_norm = make_norm(config.norm, config.width)
        self.decoder_bias = None if learned else RelativeBias(config, both_ways=False)
        self.decoder = nn.ModuleList(DecoderBlock(config) for _ in range(config.layers - encoders))
        self.decoder_norm = make_norm(config.norm, config.width)
        self.head = nn.Linear(config.width, spec.vocabulary, bias=False)
        self._initialise()

    def _initialise(self) -> None:
        """The reference's standard deviations: 1 for symbols and learned positions, 1 / sqrt(fan-in) for matrices, 1 /
        sqrt(D) for relative biases. The head is drawn as other matrices are; transformers draws an untied one with 1.
        """
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=1.0)
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=module.in_features**-0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for relative in (self.encoder_bias, self.decoder_bias):
            if relative is not None:
                nn.init.normal_(relative.bias.weight, std=self.config.width**-0.5)

    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        memory_kv, pads_B11P = self._encode(prompt)
        symbols_BA = torch.cat([answer.new_full((len(answer), 1), self.spec.bos), answer[:, :-1]], dim=1)
        places_A = torch.arange(symbols_BA.shape[1], device=symbols_BA.device)
        x_BAD = self.drop(self._embed(symbols_BA, places_A + self.spec.prompt_width))
        ahead_AA = places_A > places_A[:, None]
        bias_1HAA = self._bias(self.decoder_bias, places_A, len(places_A), x_BAD)
        bias_1HAA = bias_1HAA.masked_fill(ahead_AA, torch.finfo(x_BAD.dtype).min)
        for block, kv in zip(self.decoder, memory_kv, strict=True):
            x_BAD = block(x_BAD, bias_1HAA, kv, pads_B11P)
        logits_BAV: Tensor = self.head(self.drop(self.decoder_norm(x_BAD)))
        return logits_BAV

    def begin(self, prompt: Tensor, width: int) -> tuple[Tensor, Any]:
        memory_kv, pads_B11P = self._encode(prompt)
        memory_kv = with_room(memory_kv, 0)
        pads_P1B = pads_B11P[:, 0].permute(2, 1, 0).contiguous()
        nothing = [(keys[:0], values[:0]) for keys, values in memory_kv]
        return self.advance(prompt.new_full((len(prompt),), self.spec.bos), (memory_kv, pads_P1B, nothing))

    def advance(self, symbol: Tensor, state: Any) -> tuple[Tensor, Any]:
        memory_kv, pads_P1B, caches = state
        past = len(caches[0][0])
        place_1 = torch.tensor([past], device=symbol.device)
        x_BD = self._embed(symbol, place_1 + self.spec.prompt_width)
        bias_SH1 = self._bias(self.decoder_bias, place_1, past + 1, x_BD).permute(3, 1, 2, 0)[..., 0]
        kept = []
        blocks = cast(Iterable[DecoderBlock], self.decoder)
        for block, kv, cache in zip(blocks, memory_kv, caches, strict=True):
            x_BD, cache = block.step(x_BD, bias_SH1, kv, pads_P1B, cache)
            kept.append(cache)
        return self.head(self.decoder_norm(x_BD)), (memory_kv, pads_P1B, kept)

    def keep(self, rows: Tensor, state: Any) -> Any:
        return map_tensors(lambda tensor: tensor.index_select(-1, rows), state)

    def _embed(self, symbols: Tensor, places: Tensor) -> Tensor:
        """Symbols, and their places counted from the prompt's first column -> (..., D)."""
        x: Tensor = self.symbols(symbols)
        return x if self.positions is None else x + self.positions(places)

    def _bias(self, relative: nn.Module | None, queries: Tensor, keys: int, like: Tensor) -> Tensor:
        """(1, H, T, S) what is added to the scores of attention for distances, (1, 1, T, S) zeros with `learned`."""
        return like.new_zeros(1, 1, len(queries), keys) if relative is None else relative(queries, keys)

    def _encode(self, prompt: Tensor) -> tuple[list[KeysValues], Tensor]:
        """Prompt -> keys and values for each decoder block's cross-attention, and the bias that hides pads."""
        places_P = torch.arange(prompt.shape[1], device=prompt.device)
        x_BPD = self.drop(self._embed(prompt, places_P + self.spec.prompt_width - prompt.shape[1]))
        hidden = torch.finfo(x_BPD.dtype).min
        pads_B11P = (prompt == self.spec.pad)[:, None, None].to(x_BPD.dtype) * hidden
        bias_BHPP = self._bias(self.encoder_bias, places_P, len(places_P), x_BPD) + pads_B11P
        for block in self.encoder:
            x_BPD = block(x_BPD, bias_BHPP)
        memory_BPD = self.drop(self.encoder_norm(x_BPD))
        blocks = cast(Iterable[DecoderBlock], self.decoder)
        return [block.cross.keys_and_values(memory_BPD) for block in blocks], pads_B11P
