"""Whether each model is what its name says: equal to an implementation that others wrote, weights copied over.

`nn.LSTM` row by row on sequences without pads, and the GPT-2 and T5 of `transformers`.
"""

from typing import Any

import pytest
import torch
from oracles import TIGHT, Build, Problems, asked_logits, assert_born_alike, distance, row_by_row
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, T5Config, T5ForConditionalGeneration
from transformers.models.t5.modeling_t5 import T5Attention

from bench.architectures import Batch
from bench.architectures.encoder_decoder import EncoderDecoder, EncoderDecoderConfig, RelativeBias
from bench.architectures.lstm import LSTM
from bench.architectures.transformer import Transformer

# --- LSTM -------------------------------------------------------------------------------------------------------------


def lstm_logits(model: LSTM, batch: Batch) -> Tensor:
    """What `nn.LSTM` with the weights of `model` says, row by row on sequences without pads."""
    config = model.config
    reference = nn.LSTM(config.width, config.hidden or config.width, config.layers)
    reference.load_state_dict(model.cells.state_dict())
    drop = torch.sin if model.training else nn.Identity()

    def logits(symbols: Tensor) -> Tensor:
        states, _ = reference(drop(model.symbols.weight[symbols]))
        return drop(states) @ model.head.weight.T + model.head.bias

    return row_by_row(model, batch, logits)


@pytest.mark.parametrize("changes", [{}, {"layers": 1}, {"layers": 3, "hidden": 11}])
def test_lstm_is_torch_lstm(changes: dict[str, Any], build_stirred: Build, problems: Problems) -> None:
    model = build_stirred(LSTM, **changes)
    batch = problems(24)
    assert distance(asked_logits(model, batch), lstm_logits(model, batch)) < TIGHT


@pytest.mark.usefixtures("sine_for_dropout")
def test_lstm_drops_where_it_says(build_stirred: Build, problems: Problems) -> None:
    model = build_stirred(LSTM, layers=1, dropout=0.3).train()
    batch = problems(24)
    assert distance(asked_logits(model, batch), lstm_logits(model, batch)) < TIGHT
    assert build_stirred(LSTM, layers=2, dropout=0.3).cells.dropout == 0.3


def test_lstm_is_born_with_an_open_forget_gate(build: Build) -> None:
    model = build(LSTM, layers=1)
    for weight in (model.cells.weight_ih_l0, model.cells.weight_hh_l0):
        nn.init.zeros_(weight)
    nothing, hidden = torch.zeros(1, 1, model.config.width), torch.zeros(1, 1, model.config.width)
    kept = [model.cells(nothing, (hidden, cell))[1][1] for cell in (hidden, hidden + 1)]
    assert distance(kept[1] - kept[0], torch.sigmoid(hidden + 1)) < TIGHT


# --- GPT-2 ------------------------------------------------------------------------------------------------------------


def gpt2(model: Transformer) -> GPT2LMHeadModel:
    """The GPT-2 of `transformers`, of the same sizes, as it is born."""
    config, spec = model.config, model.spec
    reference = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=spec.vocabulary,
            n_positions=spec.prompt_width + spec.answer_width - 1,
            n_embd=config.width,
            n_layer=config.layers,
            n_head=config.heads,
            n_inner=config.feedforward or 4 * config.width,
            activation_function="gelu",
            **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), config.dropout),
            tie_word_embeddings=False,
            bos_token_id=spec.bos,
            eos_token_id=spec.eos,
            pad_token_id=spec.pad,
            attn_implementation="eager",
        )
    )
    return reference.train(model.training)


def gpt2_weights(model: Transformer) -> dict[str, Tensor]:
    """The parameters of `model` under the names and in the shapes of GPT-2."""
    weights = {
        "transformer.wte.weight": model.symbols.weight,
        "transformer.wpe.weight": model.positions.weight,
        "transformer.ln_f.weight": model.norm.weight,
        "transformer.ln_f.bias": model.norm.bias,
        "lm_head.weight": model.head.weight,
    }
    for number, block in enumerate(model.blocks):
        for theirs, ours in (
            ("ln_1", block.norm_1),
            ("attn.c_attn", block.attention.qkv),
            ("attn.c_proj", block.attention.out),
            ("ln_2", block.norm_2),
            ("mlp.c_fc", block.feedforward.up),
            ("mlp.c_proj", block.feedforward.down),
        ):
            weights[f"transformer.h.{number}.{theirs}.weight"] = ours.weight.T if ours.weight.ndim == 2 else ours.weight
            weights[f"transformer.h.{number}.{theirs}.bias"] = ours.bias
    return weights


def gpt2_logits(model: Transformer, batch: Batch) -> Tensor:
    """What GPT-2 with the weights of `model` says."""
    reference, spec = gpt2(model), model.spec
    reference.load_state_dict(gpt2_weights(model))
    symbols = torch.cat([batch.prompt, batch.answer[:, :-1]], dim=1)
    seen = torch.ones_like(symbols)
    seen[:, : spec.prompt_width] = batch.prompt != spec.pad
    places = torch.arange(symbols.shape[1]).expand_as(symbols)
    output = reference(input_ids=symbols, attention_mask=seen, position_ids=places, use_cache=False)
    return output.logits[:, spec.prompt_width - 1 :]


@pytest.mark.parametrize("changes", [{}, {"layers": 1}, {"layers": 3, "heads": 4, "feedforward": 13}])
def test_transformer_is_gpt2(changes: dict[str, Any], build_stirred: Build, problems: Problems) -> None:
    model = build_stirred(Transformer, **changes)
    batch = problems(24)
    assert distance(model.logits(batch.prompt, batch.answer), gpt2_logits(model, batch)) < TIGHT


@pytest.mark.usefixtures("sine_for_dropout")
def test_transformer_drops_where_gpt2_does(build_stirred: Build, problems: Problems) -> None:
    model = build_stirred(Transformer, dropout=0.3).train()
    batch = problems(24)
    logits = model.logits(batch.prompt, batch.answer)
    assert distance(logits, gpt2_logits(model, batch)) < TIGHT
    assert distance(logits, model.eval().logits(batch.prompt, batch.answer)) > 0.1


def test_transformer_is_born_as_gpt2(build: Build) -> None:
    torch.manual_seed(0)
    model = build(Transformer, width=96, layers=3)
    assert_born_alike(gpt2_weights(model), gpt2(model).state_dict())


# --- T5 ---------------------------------------------------------------------------------------------------------------


def t5(model: EncoderDecoder) -> T5ForConditionalGeneration:
    """The T5 1.1 of `transformers`, of the same sizes, as it is born."""
    config, spec = model.config, model.spec
    reference = T5ForConditionalGeneration(
        T5Config(
            vocab_size=spec.vocabulary,
            d_model=config.width,
            d_kv=config.width // config.heads,
            d_ff=config.feedforward or 5 * config.width // 2,
            num_layers=len(model.encoder),
            num_decoder_layers=len(model.decoder),
            num_heads=config.heads,
            relative_attention_num_buckets=config.buckets,
            relative_attention_max_distance=config.furthest,
            dropout_rate=config.dropout,
            feed_forward_proj="gated-gelu",
            tie_word_embeddings=False,
            pad_token_id=spec.pad,
            eos_token_id=spec.eos,
            decoder_start_token_id=spec.bos,
            attn_implementation="eager",
        )
    )
    reference.lm_head.weight = nn.Parameter(torch.empty_like(model.head.weight))  # transformers 5 ties it all the same
    return reference.train(model.training)


def t5_weights(model: EncoderDecoder) -> dict[str, Tensor]:
    """The parameters of `model` under the names of T5."""
    weights = {
        "shared.weight": model.symbols.weight,
        "encoder.embed_tokens.weight": model.symbols.weight,
        "decoder.embed_tokens.weight": model.symbols.weight,
        "encoder.final_layer_norm.weight": model.encoder_norm.weight,
        "decoder.final_layer_norm.weight": model.decoder_norm.weight,
        "lm_head.weight": model.head.weight,
    }
    for side in ("encoder", "decoder"):
        attention_bias = getattr(model, f"{side}_bias").bias.weight
        weights[f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = attention_bias
        for number, block in enumerate(getattr(model, side)):
            attentions = {"SelfAttention": block.attention}
            if side == "decoder":
                attentions["EncDecAttention"] = block.cross
            for layer, (theirs, ours) in enumerate(attentions.items()):
                for part in ("query", "key", "value", "out"):
                    name = f"{side}.block.{number}.layer.{layer}.{theirs}.{'o' if part == 'out' else part[0]}.weight"
                    weights[name] = getattr(ours, part).weight
                    if part == "query":  # ours are divided in attention, theirs are smaller from the start
                        weights[name] = weights[name] * (len(weights[name]) // ours.heads) ** -0.5
            gate, up = block.feedforward.gate_up.weight.chunk(2)
            for theirs, values in (("wi_0", gate), ("wi_1", up), ("wo", block.feedforward.down.weight)):
                name = f"{side}.block.{number}.layer.{len(attentions)}.DenseReluDense.{theirs}.weight"
                weights[name] = values
            for layer in range(len(attentions) + 1):
                norm = getattr(block, f"norm_{layer + 1}")
                weights[f"{side}.block.{number}.layer.{layer}.layer_norm.weight"] = norm.weight
    return weights


def t5_logits(model: EncoderDecoder, batch: Batch) -> Tensor:
    """What T5 with the weights of `model` says."""
    reference, spec = t5(model), model.spec
    reference.load_state_dict(t5_weights(model))
    first = torch.full((len(batch.answer), 1), spec.bos)
    return reference(
        input_ids=batch.prompt,
        attention_mask=(batch.prompt != spec.pad).long(),
        decoder_input_ids=torch.cat([first, batch.answer[:, :-1]], dim=1),
        use_cache=False,
    ).logits


@pytest.fixture
def exact_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The norm of T5 in `transformers` squares in float32 whatever it is given; here in the precision of the rest."""

    def forward(self: Any, x: Tensor) -> Tensor:
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))

    monkeypatch.setattr("transformers.models.t5.modeling_t5.T5LayerNorm.forward", forward)


def test_encoder_decoder_is_t5(build_stirred: Build, problems: Problems) -> None:
    model = build_stirred(EncoderDecoder)
    batch = problems(24)
    assert distance(model.logits(batch.prompt, batch.answer), t5_logits(model, batch)) < 1e-4


@pytest.mark.usefixtures("exact_norm")
@pytest.mark.parametrize(
    "changes", [{}, {"layers": 2}, {"layers": 4, "heads": 4, "feedforward": 13}, {"buckets": 4, "furthest": 5}]
)
def test_encoder_decoder_is_t5_to_the_last_digit(
    changes: dict[str, Any], build_stirred: Build, problems: Problems
) -> None:
    model = build_stirred(EncoderDecoder, **changes)
    batch = problems(24)
    assert distance(model.logits(batch.prompt, batch.answer), t5_logits(model, batch)) < TIGHT


@pytest.mark.usefixtures("exact_norm", "sine_for_dropout")
def test_encoder_decoder_drops_where_t5_does(build_stirred: Build, problems: Problems) -> None:
    model = build_stirred(EncoderDecoder, layers=4, dropout=0.3).train()
    batch = problems(24)
    logits = model.logits(batch.prompt, batch.answer)
    assert distance(logits, t5_logits(model, batch)) < TIGHT
    assert distance(logits, model.eval().logits(batch.prompt, batch.answer)) > 0.1


@pytest.mark.parametrize("both_ways", [True, False])
@pytest.mark.parametrize(("buckets", "furthest"), [(32, 128), (16, 40), (10, 21), (4, 5)])
def test_buckets_are_those_of_t5(both_ways: bool, buckets: int, furthest: int) -> None:
    distances = torch.arange(-300, 301)
    bias = RelativeBias(EncoderDecoderConfig(buckets=buckets, furthest=furthest), both_ways)
    expected = T5Attention._relative_position_bucket(distances, both_ways, buckets, furthest)
    assert torch.equal(bias.bucket(distances), expected)


def test_encoder_decoder_is_born_as_t5(build: Build) -> None:
    torch.manual_seed(0)
    model = build(EncoderDecoder, width=96, layers=5, heads=24)
    weights = t5_weights(model)
    head = weights.pop("lm_head.weight")  # the reference's is tied, whatever its config says
    assert_born_alike(weights, t5(model).state_dict())
    assert head.std().item() == pytest.approx(96**-0.5, rel=0.1)
