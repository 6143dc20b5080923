"""How a language model that others trained writes: greedily, with what it keeps of the tokens before if that is right.

With a cache decoding is that of transformers itself (`generate`), which knows what each family needs: positions, masks,
its own kind of cache. Some families have none; of some, the logits with it are not those of reading all again, as in
training. They read all again for each token.

B batch, P prompt, S tokens written, W the model's vocabulary
"""

import inspect
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

TRIED = 6
"""Tokens that are written to try a cache."""


@torch.no_grad()
def write(model: Any, prompts: list[list[int]], most: int, ends: Collection[int], cached: bool) -> list[list[int]]:
    """The likeliest token, again and again, until every row has ended or has `most` of them.

    prompts: tokens, of one length. ends: tokens that end an answer; each row ends with the first. cached: with a cache.
    """
    if cached:
        sequences = _generate(model, prompts, most, ends).sequences
    else:
        sequences = _read_again_and_again(model, prompts, most, ends)
    rows = sequences[:, len(prompts[0]) :].tolist()
    stops = (next((place for place, token in enumerate(row) if token in ends), most) for row in rows)
    return [row[: stop + 1] for row, stop in zip(rows, stops, strict=True)]


@torch.no_grad()
def is_cache_right(model: Any, prompts: list[list[int]]) -> bool:
    """Whether the model's logits with its cache are those of reading all tokens again, but for rounding.

    prompts: a handful, of one length. None ends before `TRIED` tokens are written: a model that ends at once would show
    nothing of its cache. Raises whatever the model raises without a cache.
    """
    try:
        found = _generate(model, prompts, TRIED, (), logits=True)
        with_cache_SBW = torch.stack(found.logits)
    except Exception:  # whatever a family without a cache raises
        write(model, prompts, 1, (), cached=False)
        return False
    if next(_tensors(found.get("past_key_values")), None) is None:  # it has read all again
        return False
    read = found.sequences[:, :-1]
    without_SBW = model(input_ids=read, use_cache=False).logits[:, -len(with_cache_SBW) :].transpose(0, 1)
    return _alike(with_cache_SBW, without_SBW)


@torch.no_grad()
def is_causal(model: Any, prompts: list[list[int]]) -> bool:
    """Whether the model's logits of a token do not depend on those behind it, nor on how many those are.

    prompts: tokens, of one length.
    """
    read = torch.tensor(prompts, device=model.device)
    longer, shorter = (model(input_ids=ids, use_cache=False).logits for ids in (read, read[:, :-1]))
    return _alike(longer[:, :-1], shorter)


@torch.no_grad()
def cache_bytes(model: Any, tokens: list[int], ends: Collection[int]) -> int:
    """What the model keeps of these tokens for the next one: in its cache, or as some families do in its modules."""
    before = list(_held_by_modules(model))
    kept = list(_tensors(_generate(model, [tokens], 1, ends).get("past_key_values")))
    kept += [tensor for tensor in _held_by_modules(model) if not any(tensor is other for other in before)]
    return sum(tensor.numel() * tensor.element_size() for tensor in {id(tensor): tensor for tensor in kept}.values())


def _held_by_modules(model: nn.Module) -> Iterator[Tensor]:
    """Tensors that are attributes of modules, and neither parameters nor buffers."""
    for module in model.modules():
        yield from (value for value in vars(module).values() if isinstance(value, Tensor))


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether logits are the same but for rounding."""
    allowed = torch.finfo(one.dtype).eps ** 0.5 * other.abs().max()
    return bool((one - other).abs().max() <= allowed)


def _generate(model: Any, prompts: list[list[int]], most: int, ends: Collection[int], logits: bool = False) -> Any:
    """With the model's cache: `sequences` (B, P + S), and where asked for the `logits` of each step, S of (B, W).

    Without `ends` none ends before it has `most` tokens.
    """
    from transformers import GenerationConfig

    ids = torch.tensor(prompts, device=model.device)
    settings = GenerationConfig(
        max_new_tokens=most,
        do_sample=False,
        eos_token_id=sorted(ends) or None,
        pad_token_id=min(ends, default=0),
        return_dict_in_generate=True,
        output_logits=logits,
    )
    own, model.generation_config = model.generation_config, GenerationConfig()  # may say to repeat, or to sample
    try:
        return model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=settings)
    finally:
        model.generation_config = own


def _read_again_and_again(model: Any, prompts: list[list[int]], most: int, ends: Collection[int]) -> Tensor:
    """Without a cache: (B, P + S)."""
    ids = torch.tensor(prompts, device=model.device)
    stops = torch.tensor(sorted(ends), device=model.device)
    running = torch.ones(len(prompts), dtype=torch.bool, device=model.device)
    fewer = {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}
    while ids.shape[1] < len(prompts[0]) + most and running.any():
        token = model(input_ids=ids, use_cache=False, **fewer).logits[:, -1].argmax(-1)
        ids = torch.cat([ids, token[:, None]], dim=1)
        running = running & ~torch.isin(token, stops)
    return ids


def _tensors(kept: Any) -> Iterator[Tensor]:
    """All tensors of a cache, whatever it is made of."""
    if isinstance(kept, Tensor):
        yield kept
    elif isinstance(kept, Mapping):
        yield from (tensor for value in kept.values() for tensor in _tensors(value))
    elif isinstance(kept, (list, tuple)):
        yield from (tensor for value in kept for tensor in _tensors(value))
    elif type(kept).__module__.startswith("transformers.") and not isinstance(kept, nn.Module):
        yield from _tensors(vars(kept))
