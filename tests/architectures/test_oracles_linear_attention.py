"""Whether the models with a decaying state are what their names say.

RetNet: a twin written from the paper's formulas, in all three forms. Mamba-2 and Gated DeltaNet: the modules of
`transformers`, weights copied over, row by row on sequences without pads.
"""

from typing import Any

import pytest
import torch
from oracles import TIGHT, Build, Problems, asked_logits, distance, row_by_row
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import Mamba2Config, Mamba2ForCausalLM, Qwen3NextConfig
from transformers.models.qwen3_next.modeling_qwen3_next import (
    Qwen3NextGatedDeltaNet,
    Qwen3NextMLP,
    torch_recurrent_gated_delta_rule,
)

from bench.architectures.gated_deltanet import GatedDeltaNet, gated_delta_rule
from bench.architectures.linear_attention import ShortConvolution, StateDecoder, decayed_attention, in_chunks
from bench.architectures.mamba2 import Mamba2
from bench.architectures.retnet import RetNet


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()


# --- parts ------------------------------------------------------------------------------------------------------------


def decayed_attention_by_steps(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, state: Tensor) -> Any:
    out = []
    for step in range(q.shape[2]):
        state = log_decay[:, :, step, None, None].exp() * state + k[:, :, step, :, None] * v[:, :, step, None, :]
        out.append((q[:, :, step, None] @ state)[:, :, 0])
    return torch.stack(out, dim=2), state


@pytest.mark.parametrize("size", [1, 3, 10, 64])
@pytest.mark.parametrize("with_state", [False, True])
def test_decayed_attention_is_the_recurrence(size: int, with_state: bool) -> None:
    q, k, v = draw(2, 3, 10, 4, seed=0), draw(2, 3, 10, 4, seed=1), draw(2, 3, 10, 5, seed=2)
    log_decay = -draw(2, 3, 10, seed=3).exp()
    state = draw(2, 3, 4, 5, seed=4) if with_state else None
    found = in_chunks(decayed_attention, size, (q, k, v, log_decay), state, keep=True)
    start = torch.zeros(2, 3, 4, 5) if state is None else state
    expected = decayed_attention_by_steps(q, k, v, log_decay, start)
    assert distance(found[0], expected[0]) < TIGHT
    assert distance(found[1], expected[1]) < TIGHT
    assert in_chunks(decayed_attention, size, (q, k, v, log_decay), state, keep=False)[1] is None


@pytest.mark.parametrize("size", [1, 3, 10, 64])
@pytest.mark.parametrize(("with_state", "strongest"), [(False, 1.0), (True, 1.0), (True, 2.0)])
@pytest.mark.usefixtures("in_float64")
def test_gated_delta_rule_is_the_recurrence_with_its_gradient(size: int, with_state: bool, strongest: float) -> None:
    q, v = draw(2, 3, 10, 4, seed=0), draw(2, 3, 10, 5, seed=2)
    k = F.normalize(draw(2, 3, 10, 4, seed=1), dim=-1)
    log_decay, strength = -draw(2, 3, 10, seed=3).exp(), strongest * draw(2, 3, 10, seed=4).sigmoid()
    state = draw(2, 3, 4, 5, seed=5) if with_state else None
    parts = (q, k, v, log_decay, strength)
    found = in_chunks(gated_delta_rule, size, parts, state, keep=True)
    theirs = [part.transpose(1, 2) for part in (q * 4**0.5, k, v, log_decay, strength)]  # it divides queries itself
    out, last = torch_recurrent_gated_delta_rule(*theirs, initial_state=state, output_final_state=True)
    assert distance(found[0], out.transpose(1, 2)) < TIGHT
    assert distance(found[1], last) < TIGHT
    weights = draw(2, 3, 10, 5, seed=6).detach()
    gradients = torch.autograd.grad((found[0] * weights).sum(), parts, retain_graph=True)
    expected = torch.autograd.grad((gated_delta_rule_by_steps(*parts, state) * weights).sum(), parts)
    assert max(distance(*pair) for pair in zip(gradients, expected, strict=True)) < TIGHT


def gated_delta_rule_by_steps(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, strength: Tensor, state: Tensor | None
) -> Tensor:
    """The paper's formula; that of `transformers` writes in place, so nothing can be differentiated."""
    memory = torch.zeros(*k.shape[:2], k.shape[3], v.shape[3]) if state is None else state
    out = []
    for step in range(q.shape[2]):
        memory = log_decay[:, :, step, None, None].exp() * memory
        key = k[:, :, step, :, None]
        missing = v[:, :, step, None] - key.mT @ memory
        memory = memory + strength[:, :, step, None, None] * key @ missing
        out.append((q[:, :, step, None] @ memory)[:, :, 0])
    return torch.stack(out, dim=2)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("window", [1, 4])
def test_short_convolution_is_a_grouped_one(bias: bool, window: int) -> None:
    ours = ShortConvolution(6, window, bias)
    theirs = nn.Conv1d(6, 6, window, groups=6, padding=window - 1, bias=bias)
    theirs.load_state_dict(ours.state_dict())
    x = draw(2, 9, 6, seed=0).requires_grad_()
    expected = theirs(x.mT)[:, :, :9].mT
    out, past = ours(x, None)
    assert distance(out, expected) < TIGHT
    assert torch.equal(past, x[:, 10 - window :])
    first, past = ours(x[:, :2], None)
    assert past.shape == (2, window - 1, 6)
    second, past = ours(x[:, 2:], past)
    split = torch.cat([first, second], dim=1)
    assert distance(split, expected) < TIGHT
    assert torch.equal(past, x[:, 10 - window :])

    weights = draw(*expected.shape, seed=1)
    ways = {
        "theirs": torch.autograd.grad((expected * weights).sum(), (x, *theirs.parameters())),
        "whole": torch.autograd.grad((out * weights).sum(), (x, *ours.parameters())),
        "split": torch.autograd.grad((split * weights).sum(), (x, *ours.parameters())),
    }
    for way in ("whole", "split"):
        for found, right in zip(ways[way], ways["theirs"], strict=True):
            assert distance(found, right) < TIGHT


@pytest.mark.parametrize("architecture", [RetNet, Mamba2, GatedDeltaNet])
def test_size_of_chunks_changes_nothing(
    architecture: type[StateDecoder], build_stirred: Build, problems: Problems
) -> None:
    batch = problems(12)
    whole = build_stirred(architecture).logits(batch.prompt, batch.answer)
    for chunk in (1, 4):
        assert distance(build_stirred(architecture, chunk=chunk).logits(batch.prompt, batch.answer), whole) < TIGHT


# --- RetNet -----------------------------------------------------------------------------------------------------------


def retention(x: Tensor, block: Any, heads: int, form: str) -> Tensor:
    """(S, D) -> (S, D), each head by the paper's equations with complex numbers."""
    part = block.retention
    width = x.shape[1]
    key = width // heads
    pairs = torch.arange(key // 2)
    theta = 10000.0 ** -(pairs / (len(pairs) - 1) if len(pairs) > 1 else pairs.double())
    turns = torch.exp(1j * torch.arange(len(x))[:, None] * theta)
    outputs = []
    for head in range(heads):
        rows = slice(head * key, (head + 1) * key)

        def turned(weight: Tensor, rows: slice = rows) -> Tensor:
            whole = x @ weight[rows].T
            return (whole[:, : key // 2] + 1j * whole[:, key // 2 :]) * turns

        q, k = turned(part.query_key.weight[:width]), turned(part.query_key.weight[width:]) / key**0.5
        v = x @ part.value.weight[2 * head * key : 2 * (head + 1) * key].T
        gamma = 1 - 2.0 ** (-5 - head)
        if form == "parallel":
            n = torch.arange(len(x))
            decay = torch.where(n[:, None] >= n, gamma ** (n[:, None] - n).double(), 0.0)
            out = ((q @ k.conj().T).real * decay) @ v
        else:
            state, steps = torch.zeros(key // 2, 2 * key, dtype=q.dtype), []
            for q_n, k_n, v_n in zip(q, k, v, strict=True):
                state = gamma * state + k_n.conj()[:, None] * v_n
                steps.append((q_n @ state).real)
            out = torch.stack(steps)
        mean, variance = out.mean(-1, keepdim=True), out.var(-1, keepdim=True, correction=0)
        outputs.append((out - mean) / (variance + 1e-6).sqrt())
    gate = x @ part.gate.weight.T
    return (gate * gate.sigmoid() * torch.cat(outputs, dim=1)) @ part.out.weight.T


@pytest.mark.parametrize("form", ["parallel", "recurrent"])
@pytest.mark.parametrize(
    "changes", [{}, {"layers": 1, "heads": 3, "width": 18, "feedforward": 11}, {"positions": "learned"}]
)
def test_retnet_is_the_paper(form: str, changes: dict[str, Any], build_stirred: Build, problems: Problems) -> None:
    model = build_stirred(RetNet, **{"positions": "none"} | changes)

    def reference(symbols: Tensor) -> Tensor:
        x = model.symbols.weight[symbols]
        if model.positions is not None:  # the '=', at which logits begin, stands in the prompt's last column
            end = int((symbols == equals).nonzero()[0]) + 1
            x = x + model.positions.weight[model.spec.prompt_width - end :][: len(x)]
        for block in model.blocks:
            x = x + retention(block.norm_1(x), block, model.config.heads, form)
            up, down = block.feedforward.up, block.feedforward.down
            hidden = block.norm_2(x) @ up.weight.T + up.bias
            x = x + F.gelu(hidden) @ down.weight.T + down.bias
        return model.norm(x) @ model.head.weight.T

    batch = problems(24)
    equals = batch.prompt[0, -1]
    assert distance(asked_logits(model, batch), row_by_row(model, batch, reference)) < TIGHT


# --- Mamba-2 ----------------------------------------------------------------------------------------------------------


def mamba2(model: Mamba2) -> Mamba2ForCausalLM:
    """The Mamba-2 of `transformers`, of the same sizes, as it is born."""
    config, spec = model.config, model.spec
    return Mamba2ForCausalLM(
        Mamba2Config(
            num_heads=config.heads,
            head_dim=2 * config.width // config.heads,
            vocab_size=spec.vocabulary,
            hidden_size=config.width,
            state_size=config.state or config.width,
            num_hidden_layers=config.layers,
            conv_kernel=config.window,
            n_groups=1,
            chunk_size=4,
            rescale_prenorm_residual=True,
            pad_token_id=spec.pad,
            bos_token_id=spec.bos,
            eos_token_id=spec.eos,
        )
    ).eval()


def mamba2_weights(model: Mamba2) -> dict[str, Tensor]:
    """The parameters of `model` under the names of `transformers`."""
    weights = {
        "backbone.embeddings.weight": model.symbols.weight,
        "backbone.norm_f.weight": model.norm.weight,
        "lm_head.weight": model.head.weight,
    }
    for number, block in enumerate(model.blocks):
        ours = block.mixer
        inputs = [ours.gate.weight, ours.value.weight, ours.write_read.weight, ours.step.weight]
        for theirs, values in {
            "norm.weight": block.norm.weight,
            "mixer.in_proj.weight": torch.cat(inputs),
            "mixer.dt_bias": ours.step.bias,
            "mixer.conv1d.weight": ours.convolution.weight,
            "mixer.conv1d.bias": ours.convolution.bias,
            "mixer.A_log": ours.log_rate,
            "mixer.D": ours.skip,
            "mixer.norm.weight": ours.norm.weight,
            "mixer.out_proj.weight": ours.out.weight,
        }.items():
            weights[f"backbone.layers.{number}.{theirs}"] = values
    return weights


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("changes", [{}, {"layers": 1, "state": 5, "window": 3}, {"layers": 3, "heads": 1}])
def test_mamba2_is_that_of_transformers(changes: dict[str, Any], build_stirred: Build, problems: Problems) -> None:
    model = build_stirred(Mamba2, **changes)
    reference = mamba2(model)
    reference.load_state_dict(mamba2_weights(model))
    batch = problems(12)
    expected = row_by_row(model, batch, lambda symbols: reference(input_ids=symbols[None], use_cache=False).logits[0])
    assert distance(asked_logits(model, batch), expected) < TIGHT


def test_mamba2_is_born_as_that_of_transformers(build: Build) -> None:
    torch.manual_seed(0)
    model = build(Mamba2, width=96, heads=96, layers=3)
    theirs = mamba2(model).state_dict()
    for name, ours in mamba2_weights(model).items():
        if name.endswith(("out_proj.weight", "conv1d.weight", ".D", "norm.weight")):
            assert ours.std().item() == pytest.approx(theirs[name].std().item(), rel=0.1), name
        elif name.endswith("dt_bias"):
            assert 0.001 <= F.softplus(ours).min() < 0.003
            assert 0.03 < F.softplus(ours).max() <= 0.1
        elif name.endswith("A_log"):  # the authors draw it so; `transformers` counts from 1 up
            assert 1 <= ours.exp().min() < 2
            assert 15 < ours.exp().max() <= 16


# --- Gated DeltaNet ---------------------------------------------------------------------------------------------------


def qwen_layers(model: GatedDeltaNet) -> list[tuple[nn.Module, nn.Module]]:
    """The mixer and feed-forward of Qwen3-Next with the weights of each block of `model`."""
    config = model.config
    key = config.width // config.heads
    qwen = Qwen3NextConfig(
        hidden_size=config.width,
        intermediate_size=config.feedforward or 8 * config.width // 3,
        linear_num_value_heads=config.heads,
        linear_num_key_heads=config.heads,
        linear_key_head_dim=key,
        linear_value_head_dim=2 * key,
        linear_conv_kernel_dim=config.window,
        num_hidden_layers=1,
        layer_types=["linear_attention"],
    )
    layers = []
    for block in model.blocks:
        ours = block.mixer
        by_head = [  # theirs has all four of each head side by side
            values.unflatten(0, (config.heads, -1))
            for values in (*ours.query_key.weight.chunk(2), ours.value.weight, ours.gate.weight)
        ]
        mixer, feedforward = Qwen3NextGatedDeltaNet(qwen, 0), Qwen3NextMLP(qwen)
        mixer.load_state_dict(
            {
                "in_proj_qkvz.weight": torch.cat(by_head, dim=1).flatten(0, 1),
                "in_proj_ba.weight": torch.stack([ours.strength.weight, ours.step.weight], dim=1).flatten(0, 1),
                "conv1d.weight": ours.convolution.weight,
                "dt_bias": ours.step.bias,
                "A_log": ours.log_rate,
                "norm.weight": ours.norm.weight,
                "out_proj.weight": ours.out.weight,
            }
        )
        gate, up = block.feedforward.gate_up.weight.chunk(2)
        feedforward.load_state_dict(
            {"gate_proj.weight": gate, "up_proj.weight": up, "down_proj.weight": block.feedforward.down.weight}
        )
        layers.append((mixer, feedforward))
    return layers


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("changes", [{}, {"layers": 1, "feedforward": 9, "window": 3}, {"layers": 3, "heads": 1}])
def test_gated_deltanet_is_that_of_qwen3_next(
    changes: dict[str, Any], build_stirred: Build, problems: Problems
) -> None:
    model = build_stirred(GatedDeltaNet, **changes)
    layers = qwen_layers(model)

    def reference(symbols: Tensor) -> Tensor:
        x = model.symbols.weight[symbols[None]]
        for block, (mixer, feedforward) in zip(model.blocks, layers, strict=True):
            x = x + mixer(block.norm_1(x))
            x = x + feedforward(block.norm_2(x))
        return (model.norm(x) @ model.head.weight.T)[0]

    batch = problems(12)
    assert distance(asked_logits(model, batch), row_by_row(model, batch, reference)) < TIGHT


def test_negative_eigenvalues_are_strengths_twice_as_large(build_stirred: Build, problems: Problems) -> None:
    """With gates of strength that say nothing all are 1, as those of a gate that is open without them."""
    usual, negative = build_stirred(GatedDeltaNet), build_stirred(GatedDeltaNet, negative_eigenvalues=True)
    batch, seen = problems(12), []
    for model in (usual, negative):
        for block in model.blocks:
            block.mixer.strength.weight.data.zero_()
            block.mixer.strength.register_forward_hook(
                lambda _, __, out, model=model: out + (40.0 if model is usual else 0.0)
            )
        seen.append(model.logits(batch.prompt, batch.answer))
    assert distance(*seen) < TIGHT
