"""What models with softmax attention share: masks, rotary positions, the cache of decoding, and how weights are drawn.

B batch, S symbols read, T <= S symbols written, C symbols that a cache has room for, D width, E = 3 D, H heads,
K = D / H = 2 R
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.architectures.base import last_columns, map_tensors

Cache = tuple[Tensor, Tensor]
"""A block's keys and values: (B, H, S, K) each while a prompt is read; then (C, H, K, B), see `with_room`, where the
rows of symbols to come are still free."""
LANES = 16
"""Keys that torch's attention handles at a time on a processor; fewer are handled one by one, which takes longer."""
Rotation = tuple[Tensor, Tensor]
"""Cosines and sines of the angles by which rotary positions turn queries and keys, (S, K) each."""


def rotation_at(places_S: Tensor, rates_R: Tensor, like: Tensor) -> Rotation:
    """Cosines and sines in the precision of `like`: the pair of components i and i + R turns by place x rate i."""
    angles_SK = (places_S[:, None] * rates_R).repeat(1, 2)
    return angles_SK.cos().to(like.dtype), angles_SK.sin().to(like.dtype)


def rotary(places_S: Tensor, size: int, like: Tensor) -> Rotation:
    """`rotation_at` for heads of this size, at the rates of RoFormer (Su et al., 2021): 10000^(-i / R)."""
    rates_R = 10000.0 ** (-torch.arange(0, size, 2, device=like.device) / size)
    return rotation_at(places_S, rates_R, like)


def rotate(x_BHSK: Tensor, rotation: Rotation) -> Tensor:
    """Queries or keys turned by the angles of their columns."""
    first, second = x_BHSK.chunk(2, dim=-1)
    cos_SK, sin_SK = rotation
    return (x_BHSK * cos_SK + torch.cat([-second, first], dim=-1) * sin_SK).type_as(x_BHSK)


def causal_mask(visible_BS: Tensor) -> Tensor:
    """(B, S) -> (B, 1, S, S), true where a symbol may look: back, at visible symbols, and at itself.

    A pad that could not look at itself could look nowhere, and the softmax of nothing is nan.
    """
    everything_SS = torch.ones(2 * visible_BS.shape[1:], dtype=torch.bool, device=visible_BS.device)
    itself_SS = torch.eye(visible_BS.shape[1], dtype=torch.bool, device=visible_BS.device)
    return (everything_SS.tril() & visible_BS[:, None, :] | itself_SS)[:, None]


def mask_of_prompt(prompt: Tensor, pad: int, length: int) -> Tensor:
    """(B, P) -> (B, 1, S, S) the `causal_mask` of `length` symbols S, of which the first P are the prompt's."""
    return causal_mask(F.pad(prompt != pad, (0, length - prompt.shape[1]), value=True))


def attend(
    qkv_BSE: Tensor, heads: int, mask_B1TS: Tensor, cache: Cache | None, rotation: Rotation | None, dropout: float
) -> tuple[Tensor, Cache]:
    """Multi-head attention, (B, T, D), and the cache that the next symbol needs.

    Without a `cache` the last T symbols attend to all S, and the cache holds the keys and values of these. With one,
    see `with_room`, S is 1: that symbol attends to those in the cache and to itself, and is written into it.
    qkv: queries, keys and values side by side. dropout: share of attention weights that are dropped.
    """
    if cache is not None:
        return attend_next(qkv_BSE[:, 0], heads, mask_B1TS, cache, rotation), cache
    q_BHSK, k_BHSK, v_BHSK = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in qkv_BSE.chunk(3, dim=-1))
    if rotation is not None:
        q_BHSK, k_BHSK = rotate(q_BHSK, rotation), rotate(k_BHSK, rotation)
    cache = k_BHSK, v_BHSK
    k_BHSK, v_BHSK, mask_B1TS = fill_lanes(k_BHSK, v_BHSK, mask_B1TS)
    q_BHTK = last_columns(q_BHSK, mask_B1TS.shape[2], dim=2)
    mixed_BHTK = F.scaled_dot_product_attention(q_BHTK, k_BHSK, v_BHSK, mask_B1TS, dropout_p=dropout)
    return mixed_BHTK.transpose(1, 2).flatten(-2), cache


def attend_next(qkv_BE: Tensor, heads: int, mask_B11S: Tensor, cache: Cache, rotation: Rotation | None) -> Tensor:
    """Attention of one symbol to the S - 1 in `cache` and to itself, which is written into it: (B, 1, D)."""
    q_BHK, k_BHK, v_BHK = qkv_BE.unflatten(-1, (3, heads, -1)).unbind(1)
    if rotation is not None:
        q_BHK, k_BHK = rotate(q_BHK, rotation), rotate(k_BHK, rotation)
    keys_CHKB, values_CHKB = cache
    last = mask_B11S.shape[3]
    keys_CHKB[last - 1], values_CHKB[last - 1] = k_BHK.permute(1, 2, 0), v_BHK.permute(1, 2, 0)
    q_HKB = (q_BHK * q_BHK.shape[2] ** -0.5).permute(1, 2, 0).contiguous()
    bias_S1B = mask_B11S[:, 0].permute(2, 1, 0).to(q_HKB.dtype).log()  # 0, and -inf where nobody looks
    return attend_one(q_HKB, (keys_CHKB[:last], values_CHKB[:last]), bias_S1B)[:, None]


def attend_one(query_HKB: Tensor, kv_SHKB: Cache, bias_SHB: Tensor) -> Tensor:
    """Attention of one query a problem, (B, D). The query is scaled; the bias may be one for all heads or problems.

    It is spelt out, since a fused kernel costs more for each head of each problem than one query does; and the batch is
    innermost, since that fills the processor's vectors.
    """
    keys_SHKB, values_SHKB = kv_SHKB
    share_SHB = ((keys_SHKB * query_HKB).sum(2) + bias_SHB).softmax(0)
    return (values_SHKB * share_SHB[:, :, None]).sum(0).flatten(0, 1).t()


def fill_lanes(k_BHSK: Tensor, v_BHSK: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Keys, values and their mask, on a processor filled up to `LANES` columns with some that nobody looks at: a step
    of training at 15 symbols takes a tenth less time.
    """
    missing = LANES - k_BHSK.shape[2]
    if missing <= 0 or k_BHSK.device.type != "cpu":
        return k_BHSK, v_BHSK, mask
    below = (0, 0, 0, missing)
    return F.pad(k_BHSK, below), F.pad(v_BHSK, below), F.pad(mask, (0, missing))


def with_room(caches: list[Cache], symbols: int) -> list[Cache]:
    """Caches of what was read, batch innermost, with room for more symbols, written in place: nothing is copied."""

    def batch_last(x_BHSK: Tensor) -> Tensor:
        read = x_BHSK.shape[2]
        x_CHKB = x_BHSK.new_empty(read + symbols, *x_BHSK.shape[1::2], len(x_BHSK))
        x_CHKB[:read] = x_BHSK.permute(2, 1, 3, 0)
        return x_CHKB

    return [(batch_last(keys), batch_last(values)) for keys, values in caches]


def keep_caches(rows: Tensor, caches: list[Cache]) -> list[Cache]:
    """(R,) rows of the batch that go on -> their caches."""
    kept: list[Cache] = map_tensors(lambda tensor: tensor.index_select(-1, rows), caches)
    return kept


def run_blocks(
    blocks: nn.ModuleList, x_BSD: Tensor, mask: Tensor, wanted: int, caches: list[Cache] | None, *further: Any
) -> tuple[Tensor, list[Cache]]:
    """Symbols after those in `caches` -> (B, wanted, D) the last of them after all blocks, and the longer caches.

    A block takes symbols, their mask, its cache and what is given `further`.
    """
    kept = []
    for number, block in enumerate(blocks):
        if number == len(blocks) - 1:  # no later block looks at what the last one writes elsewhere
            mask = mask[:, :, -wanted:]
        x_BSD, cache = block(x_BSD, mask, caches[number] if caches else None, *further)
        kept.append(cache)
    return x_BSD, kept


def draw_normal(module: nn.Module) -> None:
    """Weights of linear layers and embeddings with standard deviation 0.02, biases 0, as GPT-2 and BERT have them."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
