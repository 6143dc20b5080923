"""Masked encoder, switch and BitNet against BERT, Switch Transformers and BitNet of `transformers`, weights copied."""

import math
from typing import Any

import pytest
import torch
from oracles import TIGHT, Build, Problems, assert_born_alike, distance
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BitNetConfig,
    BitNetForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MegatronBertConfig,
    MegatronBertForMaskedLM,
)
from transformers import SwitchTransformersConfig as TheirSwitchConfig
from transformers.integrations.bitnet import AutoBitLinear
from transformers.models.switch_transformers.modeling_switch_transformers import SwitchTransformersSparseMLP

from bench.architectures import Batch
from bench.architectures.bitnet import BitLinear, BitNet, in_8_bits
from bench.architectures.masked_encoder import MaskedEncoder
from bench.architectures.switch import Experts, Switch, SwitchConfig
from bench.architectures.transformer import Transformer

LLAMA = {"norm": "rms", "activation": "swiglu", "bias": False, "positions": "rotary"}
"""The parts of a LLaMA."""

# --- BERT -------------------------------------------------------------------------------------------------------------


def bert(model: MaskedEncoder) -> BertForMaskedLM:
    """The BERT of `transformers`, of the same sizes, as it is born."""
    config, spec = model.config, model.spec
    reference = BertForMaskedLM(
        BertConfig(
            vocab_size=spec.vocabulary,
            hidden_size=config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            intermediate_size=config.feedforward or 4 * config.width,
            hidden_dropout_prob=config.dropout,
            attention_probs_dropout_prob=config.dropout,
            max_position_embeddings=spec.prompt_width + spec.answer_width,
            pad_token_id=spec.pad,
            attn_implementation="eager",
        )
    )
    return reference.train(model.training)


def bert_weights(model: MaskedEncoder) -> dict[str, Tensor]:
    """The parameters of `model` under the names of BERT."""
    weights = {
        "bert.embeddings.word_embeddings.weight": model.symbols.weight,
        "bert.embeddings.position_embeddings.weight": model.positions.weight,
        "bert.embeddings.token_type_embeddings.weight": model.segments.weight,
        "cls.predictions.decoder.weight": model.symbols.weight,
        "cls.predictions.decoder.bias": model.bias,
        "cls.predictions.bias": model.bias,
    }
    modules: dict[str, nn.Module] = {
        "bert.embeddings.LayerNorm": model.norm,
        "cls.predictions.transform.dense": model.transform,
        "cls.predictions.transform.LayerNorm": model.transform_norm,
    }
    for number, block in enumerate(model.blocks):
        layer = f"bert.encoder.layer.{number}"
        modules |= {
            f"{layer}.attention.output.dense": block.attention.out,
            f"{layer}.attention.output.LayerNorm": block.norm_1,
            f"{layer}.intermediate.dense": block.feedforward.up,
            f"{layer}.output.dense": block.feedforward.down,
            f"{layer}.output.LayerNorm": block.norm_2,
        }
        for part in ("weight", "bias"):
            three = getattr(block.attention.qkv, part).chunk(3)
            for name, value in zip(("query", "key", "value"), three, strict=True):
                weights[f"{layer}.attention.self.{name}.{part}"] = value
    return weights | {
        f"{name}.{part}": getattr(module, part) for name, module in modules.items() for part in ("weight", "bias")
    }


def bert_logits(model: MaskedEncoder, batch: Batch) -> Tensor:
    """What BERT with the weights of `model` says."""
    reference = bert(model)
    reference.load_state_dict(bert_weights(model))
    return masked_logits(reference, model, batch)


def masked_logits(reference: Any, model: MaskedEncoder, batch: Batch) -> Tensor:
    """What a model of `transformers` says of the same canvas."""
    spec = model.spec
    symbols = torch.cat([batch.prompt, batch.answer], dim=1)
    in_canvas = (torch.arange(symbols.shape[1]) >= spec.prompt_width).expand_as(symbols)
    seen = in_canvas | (symbols != spec.pad)
    output = reference(input_ids=symbols, attention_mask=seen.long(), token_type_ids=in_canvas.long())
    return output.logits[:, spec.prompt_width :]


def canvas(batch: Batch, mask: int) -> Batch:
    """Half of the answers' columns masked."""
    masked = torch.rand(batch.answer.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    return Batch(batch.prompt, batch.answer.masked_fill(masked, mask))


@pytest.mark.parametrize("changes", [{}, {"layers": 1}, {"layers": 3, "heads": 4, "feedforward": 13}])
def test_masked_encoder_is_bert(changes: dict[str, Any], build_stirred: Build, problems: Problems) -> None:
    model = build_stirred(MaskedEncoder, **changes)
    batch = canvas(problems(24), model.spec.mask)
    assert distance(model.logits(batch.prompt, batch.answer), bert_logits(model, batch)) < TIGHT


@pytest.mark.usefixtures("sine_for_dropout")
def test_masked_encoder_drops_where_bert_does(build_stirred: Build, problems: Problems) -> None:
    model = build_stirred(MaskedEncoder, dropout=0.3).train()
    batch = canvas(problems(24), model.spec.mask)
    logits = model.logits(batch.prompt, batch.answer)
    assert distance(logits, bert_logits(model, batch)) < TIGHT
    assert distance(logits, model.eval().logits(batch.prompt, batch.answer)) > 0.1


def test_masked_encoder_is_born_as_bert(build: Build) -> None:
    model = build(MaskedEncoder, width=384, layers=1)
    torch.manual_seed(0)
    assert_born_alike(bert_weights(model), bert(model).state_dict(), small=1e-3)


def megatron_weights(model: MaskedEncoder) -> dict[str, Tensor]:
    """The parameters of `model` under the names of Megatron's MaskedEncoder, which has norms first."""
    weights = bert_weights(model)
    for part in ("weight", "bias"):
        weights[f"bert.encoder.ln.{part}"] = weights.pop(f"bert.embeddings.LayerNorm.{part}")
        for number in range(len(model.blocks)):
            layer = f"bert.encoder.layer.{number}"
            weights[f"{layer}.attention.ln.{part}"] = weights.pop(f"{layer}.attention.output.LayerNorm.{part}")
            weights[f"{layer}.ln.{part}"] = weights.pop(f"{layer}.output.LayerNorm.{part}")
    return weights


@pytest.mark.parametrize("changes", [{}, {"layers": 3, "heads": 4, "feedforward": 13}])
def test_with_norms_first_it_is_that_of_megatron(
    changes: dict[str, Any], build_stirred: Build, problems: Problems
) -> None:
    model = build_stirred(MaskedEncoder, norm_first=True, **changes)
    config = bert(model).config.to_dict()
    reference = MegatronBertForMaskedLM(
        MegatronBertConfig(**{name: config[name] for name in config if name != "model_type"})
    )
    reference.load_state_dict(megatron_weights(model))
    batch = canvas(problems(24), model.spec.mask)
    found = model.logits(batch.prompt, batch.answer)
    assert distance(found, masked_logits(reference.eval(), model, batch)) < TIGHT


# --- Switch Transformers ----------------------------------------------------------------------------------------------


def their_experts(ours: Experts, config: SwitchConfig, capacity: int) -> SwitchTransformersSparseMLP:
    """The same router and experts, of which each takes at most `capacity` symbols of a row."""
    reference = SwitchTransformersSparseMLP(
        TheirSwitchConfig(
            d_model=config.width,
            d_ff=config.feedforward or 4 * config.width,
            num_experts=config.experts,
            expert_capacity=capacity,
            router_jitter_noise=0.0,
            dropout_rate=0.0,
            dense_act_fn="gelu",
        )
    )
    weights = {"router.classifier.weight": ours.router.weight}
    for number, expert in enumerate(ours.experts):
        weights[f"experts.expert_{number}.wi.weight"] = expert.up.weight
        weights[f"experts.expert_{number}.wo.weight"] = expert.down.weight
    reference.load_state_dict(weights)
    return reference


def stirred_experts(capacity: float, jitter: float = 0.0) -> tuple[Experts, SwitchConfig]:
    torch.manual_seed(0)
    paper = {"activation": "gelu", "subnorm": False}
    config = SwitchConfig(width=8, feedforward=12, experts=3, heads=2, capacity=capacity, jitter=jitter, **paper)
    experts = Experts(config)
    for parameter in experts.parameters():
        nn.init.normal_(parameter)
    return experts, config


@pytest.mark.usefixtures("in_float64")
def test_experts_are_those_of_switch_transformers() -> None:
    ours, config = stirred_experts(capacity=0.1)
    x = torch.randn(6, 5, 8)
    everything = torch.ones(6, 5, dtype=torch.bool)
    out, _ = ours.eval()(x, everything)
    assert distance(out, their_experts(ours, config, capacity=30)(x)) < TIGHT


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize(("capacity", "most"), [(0.3, 3), (0.5, 5), (1.0, 10), (1.25, 13), (3.0, 30)])
def test_experts_are_full_when_those_of_switch_transformers_are(capacity: float, most: int) -> None:
    """Theirs fill row by row, ours batch by batch as in the paper: so theirs are given the batch as one row."""
    ours, config = stirred_experts(capacity)
    x = torch.randn(6, 5, 8)
    out, _ = ours.train()(x, torch.ones(6, 5, dtype=torch.bool))
    theirs = their_experts(ours, config, most)(x.reshape(1, 30, 8)).view(6, 5, 8)
    assert distance(out, theirs) < TIGHT
    skipped = (out == 0).all(dim=-1).sum()
    assert skipped > 0 if capacity <= 1 else skipped < 15


def test_experts_never_see_pads() -> None:
    """Neither what they say, nor whom they have room for, nor the balance of loads depends on pads."""
    ours, _ = stirred_experts(capacity=0.5)
    x = torch.randn(6, 5, 8)
    visible = torch.rand(6, 5) < 0.6
    out, uneven = ours.train()(x, visible)
    alone, uneven_alone = ours(x[visible][None], torch.ones(1, int(visible.sum()), dtype=torch.bool))
    assert distance(out[visible], alone[0]) < TIGHT
    assert distance(uneven, uneven_alone) < TIGHT
    assert (out[~visible] == 0).all()


def test_balance_is_that_of_the_paper() -> None:
    """E times the sum over experts of (share of symbols sent there) x (mean probability), before any is full."""
    ours, _ = stirred_experts(capacity=0.2)
    x = torch.randn(6, 5, 8) + 0.5
    with torch.no_grad():
        ours.router.weight[0] += 1
    _, uneven = ours.train()(x, torch.ones(6, 5, dtype=torch.bool))
    probabilities = (x.reshape(30, 8) @ ours.router.weight.T).softmax(-1)
    shares = [(probabilities.argmax(-1) == expert).double().mean() for expert in range(3)]
    expected = 3 * sum(share * probabilities[:, expert].mean() for expert, share in enumerate(shares))
    assert distance(uneven, torch.as_tensor(expected)) < TIGHT
    assert uneven > 1.2
    nn.init.zeros_(ours.router.weight)  # all are as likely, so the balance is 1 wherever the symbols go
    assert ours(x, torch.ones(6, 5, dtype=torch.bool))[1].item() == pytest.approx(1)


def test_the_loss_holds_the_balance_of_each_such_block(build_stirred: Build, problems: Problems) -> None:
    batch = problems(24)
    for layers, least in ((2, 1), (3, 1), (4, 2)):
        model = build_stirred(Switch, layers=layers, balance=0.5)
        found = [model.loss(batch, torch.Generator()).auxiliary.item()]
        model.config = SwitchConfig(**vars(model.config) | {"balance": 1.0})
        found.append(model.loss(batch, torch.Generator()).auxiliary.item())
        assert found[1] == pytest.approx(2 * found[0])
        assert 0.8 * least < found[1] < 2.1 * least


def test_jitter_moves_what_the_router_sees_in_training_alone() -> None:
    quiet, _ = stirred_experts(capacity=3.0)
    noisy, _ = stirred_experts(capacity=3.0, jitter=0.1)
    x = torch.randn(6, 5, 8)
    everything = torch.ones(6, 5, dtype=torch.bool)
    assert torch.equal(noisy.eval()(x, everything)[0], quiet(x, everything)[0])
    drawn = [noisy.train()._route(x.flatten(0, 1)).log() for _ in range(200)]
    exact = quiet._route(x.flatten(0, 1)).log()
    assert not torch.equal(drawn[0], drawn[1])
    assert distance(torch.stack(drawn).mean(dim=0), exact) < 0.1
    nn.init.constant_(noisy.router.weight, 1.0)  # then only the differences of noise are left: none
    assert distance(noisy._route(x.flatten(0, 1)), torch.full((30, 3), 1 / 3)) < TIGHT


def test_the_router_computes_in_float32_under_autocast() -> None:
    ours, _ = stirred_experts(capacity=3.0)
    ours = ours.float().eval()
    x = torch.randn(30, 8, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = ours._route(x)
        coarse = torch.softmax(ours.router(x).float(), dim=-1)
    assert torch.equal(found, torch.softmax(ours.router(x), dim=-1))
    assert not torch.equal(found, coarse)


@pytest.mark.parametrize("changes", [{}, LLAMA | {"subnorm": True}])
@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_switch_with_one_expert_is_the_transformer(
    changes: dict[str, Any], positions: str, build_stirred: Build, problems: Problems
) -> None:
    changes = changes | {"layers": 4, "positions": positions, "bias": False}  # experts have none
    model, dense = build_stirred(Switch, experts=1, **changes), build_stirred(Transformer, **changes)
    weights = {
        name.replace("switch.experts.0", "feedforward"): value
        for name, value in model.state_dict().items()
        if "router" not in name
    }
    dense.load_state_dict(weights)
    batch = problems(24)
    scored = batch.answer != model.spec.pad  # pads behind the end token go to no expert
    ours, theirs = model.logits(batch.prompt, batch.answer), dense.logits(batch.prompt, batch.answer)
    assert distance(ours[scored], theirs[scored]) < TIGHT


def test_switch_drops_in_training_alone(build_stirred: Build, problems: Problems) -> None:
    batch = problems(24)
    full, tight = build_stirred(Switch, capacity=2.0), build_stirred(Switch, capacity=0.1)
    logits = full.logits(batch.prompt, batch.answer)
    assert torch.equal(tight.logits(batch.prompt, batch.answer), logits)
    for whole in (full, build_stirred(Switch, capacity=None)):
        assert torch.equal(whole.train().logits(batch.prompt, batch.answer), logits)
    assert distance(tight.train().logits(batch.prompt, batch.answer), logits) > 0.1


def test_active_parameters_are_those_of_one_expert_a_block(build: Build) -> None:
    for layers in (2, 3, 4):
        one, four = build(Switch, layers=layers, experts=1), build(Switch, layers=layers, experts=4)
        routers = 3 * 8 * (layers // 2)
        assert one.active_parameters() == sum(p.numel() for p in one.parameters())
        assert four.active_parameters() == one.active_parameters() + routers
        expert = 2 * 8 * 32
        assert sum(p.numel() for p in four.parameters()) == four.active_parameters() + 3 * (layers // 2) * expert


@pytest.mark.parametrize(("layers", "activation"), [(2, "swiglu"), (3, "gelu"), (4, "swiglu")])
def test_flops_of_switch_are_those_that_are_counted(
    layers: int, activation: str, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On real symbols, none of them a pad, none dropped; without fused attention, which the counter does not see, nor
    keys that nobody sees.
    """
    monkeypatch.setattr("bench.architectures.attention.LANES", 1)
    model = build(Switch, layers=layers, experts=3, feedforward=13, activation=activation)
    spec = model.spec
    ids = torch.randint(4, spec.vocabulary, (5, spec.prompt_width + spec.answer_width))
    batch = Batch(*ids.split([spec.prompt_width, spec.answer_width], dim=1))
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model.loss(batch, torch.Generator()).mean.backward()
    assert counter.get_total_flops() == 5 * model.training_flops()


# --- BitNet -----------------------------------------------------------------------------------------------------------


def bitnet(model: Transformer) -> BitNetForCausalLM:
    """The BitNet of `transformers` with the weights of `model`, its linear layers rounding as they go if those of the
    model do. Without, it is LLaMA with a norm before each output matrix.
    """
    config, spec = model.config, model.spec
    reference = BitNetForCausalLM(
        BitNetConfig(
            vocab_size=spec.vocabulary,
            hidden_size=config.width,
            intermediate_size=config.feedforward or 8 * config.width // 3,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.heads,
            hidden_act="silu",
            rms_norm_eps=1e-6,
            rope_theta=10000.0,
            attention_dropout=config.dropout,
            pad_token_id=spec.pad,
            tie_word_embeddings=False,
            attn_implementation="eager",
        )
    )
    for name, module in list(reference.model.named_modules()):
        if isinstance(module, nn.Linear) and isinstance(model, BitNet):
            rounding = AutoBitLinear(module.in_features, module.out_features, bias=False, online_quant=True)
            reference.model.set_submodule(name, rounding)
    weights = {
        "model.embed_tokens.weight": model.symbols.weight,
        "model.norm.weight": model.norm.weight,
        "lm_head.weight": model.head.weight,
    }
    for number, block in enumerate(model.blocks):
        weights |= llama_weights(number, block)
        weights[f"model.layers.{number}.self_attn.attn_sub_norm.weight"] = block.attention.norm.weight
        weights[f"model.layers.{number}.mlp.ffn_sub_norm.weight"] = block.feedforward.norm.weight
    reference.load_state_dict(weights)
    return reference.train(model.training)


def llama_weights(number: int, block: Any) -> dict[str, Tensor]:
    """The parameters of a block under the names of LLaMA's."""
    query, key, value = block.attention.qkv.weight.chunk(3)
    gate, up = block.feedforward.gate_up.weight.chunk(2)
    parts = {
        "self_attn.q_proj": query,
        "self_attn.k_proj": key,
        "self_attn.v_proj": value,
        "self_attn.o_proj": block.attention.out.weight,
        "mlp.gate_proj": gate,
        "mlp.up_proj": up,
        "mlp.down_proj": block.feedforward.down.weight,
        "input_layernorm": block.norm_1.weight,
        "post_attention_layernorm": block.norm_2.weight,
    }
    return {f"model.layers.{number}.{name}.weight": value for name, value in parts.items()}


def bitnet_logits(model: Transformer, reference: Any, batch: Batch) -> Tensor:
    symbols = torch.cat([batch.prompt, batch.answer[:, :-1]], dim=1)
    places = torch.arange(symbols.shape[1]).expand_as(symbols)
    seen = (symbols != model.spec.pad).long()
    output = reference(input_ids=symbols, attention_mask=seen, position_ids=places, use_cache=False)
    return output.logits[:, model.spec.prompt_width - 1 :]


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("changes", [{}, {"layers": 1}, {"layers": 3, "width": 16, "heads": 4, "feedforward": 13}])
def test_bitnet_is_bitnet(changes: dict[str, Any], build_stirred: Build, problems: Problems) -> None:
    """Its gradients too: they pass the rounding as theirs do."""
    model = build_stirred(BitNet, positions="rotary", **changes)
    batch = problems(24)
    reference = bitnet(model)
    ours, theirs = model.logits(batch.prompt, batch.answer), bitnet_logits(model, reference, batch)
    scored = batch.answer != model.spec.pad  # a pad that nobody asks about looks at nothing, here and there differently
    assert distance(ours[scored], theirs[scored]) < TIGHT
    ours[scored].square().mean().backward()
    theirs[scored].square().mean().backward()
    for number, block in enumerate(model.blocks):
        their_block = reference.model.layers[number]
        parts = [their_block.self_attn.q_proj, their_block.self_attn.k_proj, their_block.self_attn.v_proj]
        assert distance(block.attention.qkv.weight.grad, torch.cat([part.weight.grad for part in parts])) < TIGHT
        assert distance(block.feedforward.down.weight.grad, their_block.mlp.down_proj.weight.grad) < TIGHT
        assert distance(block.feedforward.norm.weight.grad, their_block.mlp.ffn_sub_norm.weight.grad) < TIGHT


@pytest.mark.usefixtures("in_float64")
def test_bitnet_with_learned_positions(build_stirred: Build, problems: Problems) -> None:
    """Decoding equals the whole sequence, padding is invisible, and with positions of zero it is BitNet not turned."""
    model, batch = build_stirred(BitNet, positions="learned"), problems(24)
    spec = model.spec
    answers = model.generate(batch.prompt, spec.answer_width)
    best = model.logits(batch.prompt, answers).argmax(dim=-1)
    ended_before = (answers == spec.eos).cumsum(dim=1) - (answers == spec.eos).long()
    assert torch.equal(answers, best.masked_fill(ended_before > 0, spec.pad))
    logits = model.logits(batch.prompt, batch.answer)
    for row, prompt in enumerate(batch.prompt):
        bare = prompt[prompt != spec.pad][None]
        assert distance(model.logits(bare, batch.answer[row][None])[0], logits[row]) < TIGHT
    model.positions.weight.data.zero_()
    reference, scored = bitnet(model), batch.answer != spec.pad
    reference.model.rotary_emb.inv_freq.zero_()  # no angle at any place
    unturned = model.logits(batch.prompt, batch.answer)
    assert distance(unturned[scored], bitnet_logits(model, reference, batch)[scored]) < TIGHT
    assert distance(unturned, logits) > 0.01


def test_weights_are_used_as_minus_one_zero_or_one_times_a_scale(build_stirred: Build) -> None:
    for module in build_stirred(BitNet).modules():
        if isinstance(module, BitLinear):
            for kept, used in zip(
                module.weight.chunk(module.matrices), module.used().chunk(module.matrices), strict=True
            ):
                scale = kept.abs().mean()
                assert set((used / scale).round(decimals=12).unique().tolist()) == {-1.0, 0.0, 1.0}
                assert ((used == 0) == (kept.abs() < scale / 2)).all()
                assert (used * kept >= 0).all()


def test_activations_are_whole_numbers_of_8_bits_times_a_scale_a_row() -> None:
    torch.manual_seed(0)
    x = torch.randn(5, 3, 8) * torch.tensor([1e-3, 1.0, 1e3])[:, None]
    levels = in_8_bits(x) * 127 / x.abs().amax(dim=-1, keepdim=True)
    assert distance(levels, levels.round()) < TIGHT
    assert (levels.round().abs().amax(dim=-1) == 127).all()
    assert distance(levels / 127, x / x.abs().amax(dim=-1, keepdim=True)) <= 0.5 / 127 + TIGHT
    assert (in_8_bits(torch.zeros(2, 4)) == 0).all()


def test_weight_bits_count_ternary_weights_as_log2_of_3(build: Build) -> None:
    model = build(BitNet, width=16, feedforward=24, positions="rotary").float()
    spec = model.spec
    inner = 2 * (4 * 16 * 16 + 3 * 16 * 24)
    full = 2 * spec.vocabulary * 16 + 2 * (3 * 16 + 24) + 16
    assert model.weight_bits == pytest.approx((inner * math.log2(3) + full * 32) / (inner + full))
    assert build(Transformer).float().weight_bits == 32


# --- LLaMA ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("changes", [{}, {"layers": 3, "width": 16, "heads": 4, "feedforward": 13}])
def test_transformer_is_bitnet_that_does_not_round(
    changes: dict[str, Any], build_stirred: Build, problems: Problems
) -> None:
    model = build_stirred(Transformer, subnorm=True, **LLAMA, **changes)
    batch = problems(24)
    found, expected = model.logits(batch.prompt, batch.answer), bitnet_logits(model, bitnet(model), batch)
    scored = batch.answer != model.spec.pad
    assert distance(found[scored], expected[scored]) < TIGHT


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("changes", [{}, {"layers": 3, "width": 16, "heads": 4, "feedforward": 13}])
def test_transformer_without_norms_before_output_matrices_is_llama(
    changes: dict[str, Any], build_stirred: Build, problems: Problems
) -> None:
    model = build_stirred(Transformer, **LLAMA, **changes)
    config, spec = model.config, model.spec
    reference = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=spec.vocabulary,
            hidden_size=config.width,
            intermediate_size=config.hidden,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.heads,
            rms_norm_eps=1e-6,
            pad_token_id=spec.pad,
            tie_word_embeddings=False,
            attn_implementation="eager",
        )
    ).eval()
    weights = {
        "model.embed_tokens.weight": model.symbols.weight,
        "model.norm.weight": model.norm.weight,
        "lm_head.weight": model.head.weight,
    }
    for number, block in enumerate(model.blocks):
        weights |= llama_weights(number, block)
    reference.load_state_dict(weights)
    batch = problems(24)
    found, expected = model.logits(batch.prompt, batch.answer), bitnet_logits(model, reference, batch)
    scored = batch.answer != spec.pad
    assert distance(found[scored], expected[scored]) < TIGHT
