"""Whether the transformer's positions, and its looped form, are what their names say.

Rotary: the GPT-NeoX of `transformers`, which is GPT-2 with rotary positions. The loop: written out.
"""

import dataclasses
from typing import Any

import pytest
import torch
from oracles import TIGHT, Build, Problems, asked_logits, distance, row_by_row
from torch import Tensor
from torch.nn import functional as F
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from bench.architectures import Batch, SequenceSpec
from bench.architectures.attention import mask_of_prompt
from bench.architectures.looped import Looped
from bench.architectures.transformer import Transformer

# --- rotary, none -----------------------------------------------------------------------------------------------------


def neox_logits(model: Transformer, batch: Batch) -> Tensor:
    """What GPT-NeoX with the weights of `model` says."""
    config, spec = model.config, model.spec
    reference = GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=spec.vocabulary,
            hidden_size=config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            intermediate_size=config.feedforward or 4 * config.width,
            hidden_act="gelu",
            layer_norm_eps=1e-5,
            use_parallel_residual=False,
            tie_word_embeddings=False,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 1.0},
            attn_implementation="eager",
        )
    ).eval()
    weights = {
        "gpt_neox.embed_in.weight": model.symbols.weight,
        "gpt_neox.final_layer_norm.weight": model.norm.weight,
        "gpt_neox.final_layer_norm.bias": model.norm.bias,
        "lm_head.weight": model.head.weight,
    }
    for number, block in enumerate(model.blocks):
        for theirs, ours in (
            ("input_layernorm", block.norm_1),
            ("attention.query_key_value", block.attention.qkv),
            ("attention.dense", block.attention.out),
            ("post_attention_layernorm", block.norm_2),
            ("mlp.dense_h_to_4h", block.feedforward.up),
            ("mlp.dense_4h_to_h", block.feedforward.down),
        ):
            for part, values in ours.named_parameters():
                if ours is block.attention.qkv:  # theirs has the three of each head side by side
                    values = values.unflatten(0, (3, config.heads, -1)).transpose(0, 1).flatten(0, 2)
                weights[f"gpt_neox.layers.{number}.{theirs}.{part}"] = values
    reference.load_state_dict(weights)
    # Without pads, where its softmax is nan.
    return row_by_row(model, batch, lambda symbols: reference(input_ids=symbols[None], use_cache=False).logits[0])


@pytest.mark.parametrize("changes", [{}, {"layers": 1}, {"layers": 3, "heads": 1, "width": 12}])
def test_rotary_is_gpt_neox(changes: dict[str, Any], build_stirred: Build, problems: Problems) -> None:
    model = build_stirred(Transformer, positions="rotary", **changes)
    batch = problems(24)
    assert distance(asked_logits(model, batch), neox_logits(model, batch)) < 1e-4  # its angles: float32


def test_no_positions_are_learned_ones_of_zero(build_stirred: Build, problems: Problems) -> None:
    model, reference = build_stirred(Transformer, positions="none"), build_stirred(Transformer)
    zeros = torch.zeros_like(reference.positions.weight)
    reference.load_state_dict({**model.state_dict(), "positions.weight": zeros})
    batch = problems(24)
    assert torch.equal(model.logits(batch.prompt, batch.answer), reference.logits(batch.prompt, batch.answer))


# --- abacus -----------------------------------------------------------------------------------------------------------


def test_abacus_counts_places_from_the_least_significant_digit(build: Build, spec: SequenceSpec) -> None:
    model = build(Transformer, positions="abacus")
    ids = dict(zip("0123456789+-*/=.", range(min(spec.digits), spec.vocabulary), strict=True))
    prompt = torch.tensor([[spec.pad] + [ids[symbol] for symbol in "-123*4="]])
    answer = torch.tensor([[ids[symbol] for symbol in "52.194-"]])  # -491.25 reversed
    assert model._places(prompt, answer).tolist() == [[0, 0, 3, 2, 1, 0, 1, 0, 1, 2, 0, 1, 2, 3, 0]]


def test_abacus_adds_the_vector_of_each_place(build_stirred: Build, problems: Problems, spec: SequenceSpec) -> None:
    model, without = build_stirred(Transformer, positions="abacus"), build_stirred(Transformer, positions="none")
    without.load_state_dict({name: value for name, value in model.state_dict().items() if name != "positions.weight"})
    batch = problems(24)

    def input_of(symbols: Tensor, places: Tensor) -> Tensor:
        return model.symbols.weight[symbols] + model.positions.weight[places]

    symbols = torch.cat([batch.prompt, batch.answer[:, :-1]], dim=1)
    x = input_of(symbols, model._places(batch.prompt, batch.answer[:, :-1]))
    mask = mask_of_prompt(batch.prompt, model.spec.pad, symbols.shape[1])
    expected = without.head(
        without.norm(without._run_blocks(x, symbols != spec.pad, mask, spec.answer_width, None, None)[0])
    )
    assert distance(model.logits(batch.prompt, batch.answer), expected) < TIGHT


def test_abacus_moves_all_places_by_one_random_offset_in_training(
    build: Build, problems: Problems, spec: SequenceSpec
) -> None:
    model = build(Transformer, positions="abacus", offsets=3)
    batch = problems(24)
    places = model._places(batch.prompt, batch.answer)
    moves = set()
    for seed in range(20):
        with model.seeded(torch.Generator().manual_seed(seed)):
            moved = model.train()._places(batch.prompt, batch.answer)
        moves.add(tuple((moved - places)[places > 0].unique().tolist()))
        assert (moved[places == 0] == 0).all()
    assert moves == {(0,), (1,), (2,)}
    assert torch.equal(model.eval()._places(batch.prompt, batch.answer), places)


def test_abacus_has_a_vector_for_the_longest_number_at_the_largest_offset(build: Build, spec: SequenceSpec) -> None:
    model = build(Transformer, positions="abacus", offsets=3).train()
    digits = torch.full((1, spec.prompt_width), spec.digits[1])
    for seed in range(10):
        loss = model.loss(Batch(digits, digits[:, : spec.answer_width]), torch.Generator().manual_seed(seed))
        assert loss.mean.isfinite()


def test_abacus_learns_from_all_its_vectors_but_the_unreachable(build: Build, problems: Problems) -> None:
    """A number longer than any trained on meets vectors that offsets have trained."""
    model = build(Transformer, positions="abacus", offsets=8).train()
    for seed in range(40):
        model.loss(problems(24), torch.Generator().manual_seed(seed)).mean.backward()
    trained = model.positions.weight.grad.abs().sum(dim=1) > 0
    assert trained[: 3 + 8].all()  # answers here have runs of up to 4 digits


# --- looped -----------------------------------------------------------------------------------------------------------


def test_one_pass_is_the_transformer(build_stirred: Build, problems: Problems) -> None:
    model, reference = build_stirred(Looped, layers=2, passes=1), build_stirred(Transformer, layers=2, width=12)
    reference.load_state_dict(model.state_dict())
    batch = problems(24)
    assert torch.equal(model.logits(batch.prompt, batch.answer), reference.logits(batch.prompt, batch.answer))


@pytest.mark.parametrize("layers", [1, 2])
def test_passes_are_a_written_out_loop(
    layers: int, build_stirred: Build, problems: Problems, spec: SequenceSpec
) -> None:
    model = build_stirred(Looped, layers=layers, passes=3)
    batch = problems(24)
    symbols = torch.cat([batch.prompt, batch.answer[:, :-1]], dim=1)
    visible = F.pad(batch.prompt != spec.pad, (0, spec.answer_width - 1), value=True)
    length = symbols.shape[1]
    mask = (torch.ones(length, length).tril().bool() & visible[:, None] | torch.eye(length).bool())[:, None]
    problem = model.symbols.weight[symbols] + model.positions.weight[:length]
    state = torch.zeros_like(problem)
    for _ in range(3):
        state = state + problem
        for block in model.blocks:
            state, _ = block(state, mask, None)
    expected = model.head(model.norm(state))[:, spec.prompt_width - 1 :]
    assert distance(model.logits(batch.prompt, batch.answer), expected) < TIGHT


@pytest.mark.parametrize(("supervised", "first"), [(None, 0), (3, 0), (2, 1), (1, 2)])
def test_the_loss_is_the_mean_over_the_supervised_passes(
    supervised: int | None, first: int, build_stirred: Build, problems: Problems, spec: SequenceSpec
) -> None:
    """Each pass as the last of a model with fewer, all of them with the same share."""
    model, batch = build_stirred(Looped, passes=3, supervised=supervised).train(), problems(24)
    losses = []
    for passes in (1, 2, 3):
        fewer = build_stirred(Looped, passes=passes)
        fewer.load_state_dict(model.state_dict())
        logits = fewer.logits(batch.prompt, batch.answer).flatten(0, 1)
        losses.append(F.cross_entropy(logits, batch.answer.flatten(), ignore_index=spec.pad))
    found = model.loss(batch, torch.Generator())
    expected = torch.stack(losses[first:]).mean()
    assert distance(found.mean, expected) < TIGHT
    assert distance(found.nll_sum / found.count, losses[-1]) < TIGHT


def test_looped_is_born_as_a_transformer_of_its_depth(build: Build) -> None:
    looped, deep = build(Looped, width=96, passes=4), build(Transformer, width=96, layers=4)
    found, expected = (
        looped.blocks[0].feedforward.down.weight.std().item(),
        deep.blocks[0].feedforward.down.weight.std().item(),
    )
    assert found == pytest.approx(expected, rel=0.05)


def test_abacus_is_refused_where_a_token_holds_several_digits(spec: SequenceSpec) -> None:
    several = dataclasses.replace(spec, texts=("12",) * spec.vocabulary)
    with pytest.raises(ValueError, match=r"^positions abacus: a digit needs a token of its own"):
        Transformer(Transformer.Config(positions="abacus", width=8, heads=2), several)
