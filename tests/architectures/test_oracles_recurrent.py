"""Whether recurrent models and their hybrids are what their names say: equal to a slow twin written from the paper's
formulas, or to torch's own modules, row by row on sequences without pads.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from oracles import TIGHT, Build, Problems, asked_logits, assert_born_alike, bare_rows, distance, row_by_row
from torch import Tensor, nn

from bench.architectures import Architecture, Batch, SequenceSpec
from bench.architectures.gru import GRU
from bench.architectures.lstm import LSTM
from bench.architectures.lstm_seq2seq import LSTMSeq2Seq
from bench.architectures.mingru import MinGRU, MinGRULanguageModel, all_at_once, one_by_one, scan
from bench.architectures.recurrent import Recurrent
from bench.architectures.rnn import RNN
from bench.architectures.transformer_lstm import TransformerLSTM

# --- cells ------------------------------------------------------------------------------------------------------------


def rnn_step(x: Tensor, state: tuple[Tensor, ...], w: Tensor, u: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, ...]:
    return (torch.tanh(w @ x + b + u @ state[0] + c),)


def gru_step(x: Tensor, state: tuple[Tensor, ...], w: Tensor, u: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, ...]:
    h = state[0]
    (w_r, w_z, w_n), (u_r, u_z, u_n), (b_r, b_z, b_n), (c_r, c_z, c_n) = (part.chunk(3) for part in (w, u, b, c))
    r = torch.sigmoid(w_r @ x + b_r + u_r @ h + c_r)
    z = torch.sigmoid(w_z @ x + b_z + u_z @ h + c_z)
    n = torch.tanh(w_n @ x + b_n + r * (u_n @ h + c_n))
    return ((1 - z) * n + z * h,)


def lstm_step(x: Tensor, state: tuple[Tensor, ...], w: Tensor, u: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, ...]:
    h, cell = state
    i, f, g, o = (w @ x + b + u @ h + c).chunk(4)
    cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell


def run_layer(step: Callable[..., Any], inputs: Tensor, state: tuple[Tensor, ...], weights: list[Tensor]) -> Any:
    """(T, D) -> states (T, H) symbol by symbol, and the last state."""
    out = []
    for x in inputs:
        state = step(x, state, *weights)
        out.append(state[0])
    return torch.stack(out), state


def layer_weights(cells: nn.RNNBase, layer: int) -> list[Tensor]:
    return [getattr(cells, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]


# --- language models of one cell --------------------------------------------------------------------------------------

STEPS: list[tuple[type[Recurrent], Callable[..., Any], int]] = [
    (RNN, rnn_step, 1),
    (GRU, gru_step, 1),
    (LSTM, lstm_step, 2),
]


@pytest.mark.parametrize("changes", [{}, {"layers": 1}, {"layers": 3, "hidden": 11}])
@pytest.mark.parametrize(("architecture", "step", "parts"), STEPS)
def test_recurrent_model_is_its_formula(
    architecture: type[Recurrent],
    step: Callable[..., Any],
    parts: int,
    changes: dict[str, Any],
    build_stirred: Build,
    problems: Problems,
) -> None:
    model = build_stirred(architecture, **changes)
    batch = problems(8)

    def logits(symbols: Tensor) -> Tensor:
        states = model.symbols.weight[symbols]
        for layer in range(model.config.layers):
            zero = torch.zeros(model.cells.hidden_size)
            states, _ = run_layer(step, states, (zero,) * parts, layer_weights(model.cells, layer))
        return states @ model.head.weight.T + model.head.bias

    assert distance(asked_logits(model, batch), row_by_row(model, batch, logits)) < TIGHT


# --- sequence to sequence ---------------------------------------------------------------------------------------------


def read(cells: nn.LSTM, x: Tensor) -> tuple[Tensor, Any]:
    """What a layer of the encoder makes of symbols without pads: its states, and the last of them."""
    bias = cells.weight_ih_l0[:, -1]
    weights = [cells.weight_ih_l0[:, :-1], cells.weight_hh_l0, bias, torch.zeros_like(bias)]
    return run_layer(lstm_step, x, (torch.zeros(cells.hidden_size),) * 2, weights)


@pytest.mark.parametrize(
    "changes",
    [{}, {"layers": 1}, {"layers": 3, "hidden": 11}, {"bidirectional": True}, {"bidirectional": True, "hidden": 11}],
)
def test_lstm_seq2seq_is_its_formula(changes: dict[str, Any], build_stirred: Build, problems: Problems) -> None:
    model = build_stirred(LSTMSeq2Seq, **changes)
    batch = problems(8)
    rows = []
    for prompt, answer in bare_rows(batch, model.spec.pad):
        memory, last = model.symbols.weight[prompt], []
        for number, cells in enumerate(model.encoder.layers):
            given = memory
            memory, state = read(cells, given)
            if model.config.bidirectional:
                back, back_state = read(model.encoder.backwards[number], given.flip(0))
                memory = torch.cat([memory, back.flip(0)], dim=1)
                state = tuple(torch.cat(parts) for parts in zip(state, back_state, strict=True))
            last.append(state)
        states = model.symbols.weight[torch.cat([torch.tensor([model.spec.bos]), answer[:-1]])]
        for layer, state in enumerate(last):
            states, _ = run_layer(lstm_step, states, state, layer_weights(model.decoder, layer))
        for s in states:
            scores = torch.stack([s @ model.attention.key.weight @ m for m in memory])
            context = sum(share * m for share, m in zip(scores.softmax(0), memory, strict=True))
            output = torch.tanh(model.attention.out.weight @ torch.cat([context, s]))
            rows.append(model.head.weight @ output + model.head.bias)
    expected = torch.stack(rows).view(len(batch.prompt), -1, model.spec.vocabulary)
    assert distance(model.logits(batch.prompt, batch.answer), expected) < TIGHT


def test_lstm_seq2seq_is_born_with_open_forget_gates(build: Build) -> None:
    model = build(LSTMSeq2Seq, layers=2, width=6)
    for cells in model.encoder.layers:
        assert (cells.weight_ih_l0[6:12, -1] == 1).all()
        assert (cells.weight_ih_l0[:6, -1] != 1).all()
    for layer in range(2):
        biases = getattr(model.decoder, f"bias_ih_l{layer}") + getattr(model.decoder, f"bias_hh_l{layer}")
        assert (biases[6:12] == 1).all()


def test_pads_leave_the_encoder_empty(build_stirred: Build, spec: SequenceSpec) -> None:
    """To the last bit, in float32 too: not nearly zero."""
    model = build_stirred(LSTMSeq2Seq, layers=2, bidirectional=True).float()
    prompt = torch.full((3, spec.prompt_width), spec.pad)
    memory, (hidden, cell) = model.encoder(model.symbols(prompt), prompt != spec.pad)
    assert not memory.any()
    assert not hidden.any()
    assert not cell.any()


# --- attention over an LSTM -------------------------------------------------------------------------------------------


def ahle(model: TransformerLSTM) -> tuple[nn.LSTM, nn.TransformerEncoder]:
    """What the source is made of, of the same sizes, as it is born."""
    config = model.config
    block = nn.TransformerEncoderLayer(
        config.width,
        config.heads,
        config.feedforward or 2 * config.width,
        config.dropout,
        norm_first=True,
        batch_first=True,
    )
    encoder = nn.TransformerEncoder(block, config.layers - 1, enable_nested_tensor=False)
    return nn.LSTM(config.width, config.width, batch_first=True), encoder.train(model.training)


def ahle_weights(model: TransformerLSTM) -> dict[str, Tensor]:
    """The parameters of the blocks of `model` under the names of torch's."""
    names = {
        "self_attn.in_proj_": "attention.qkv.",
        "self_attn.out_proj.": "attention.out.",
        "linear1.": "feedforward.up.",
        "linear2.": "feedforward.down.",
        "norm1.": "norm_1.",
        "norm2.": "norm_2.",
    }
    ours = dict(model.blocks.named_parameters())
    return {
        f"layers.{number}.{theirs}{kind}": ours[f"{number}.{name}{kind}"]
        for number in range(len(model.blocks))
        for theirs, name in names.items()
        for kind in ("weight", "bias")
    }


def ahle_logits(model: TransformerLSTM, batch: Batch) -> Tensor:
    cells, encoder = ahle(model)
    cells.load_state_dict(model.cells.state_dict())
    encoder.load_state_dict(ahle_weights(model))

    def logits(symbols: Tensor) -> Tensor:
        states, _ = cells(model.symbols.weight[symbols][None])
        mask = nn.Transformer.generate_square_subsequent_mask(states.shape[1])
        return model.norm(encoder(states, mask, is_causal=False))[0] @ model.head.weight.T + model.head.bias

    return row_by_row(model, batch, logits)


@pytest.mark.parametrize("changes", [{}, {"layers": 2}, {"layers": 4, "heads": 4, "feedforward": 13}])
def test_transformer_lstm_is_that_of_ahle(changes: dict[str, Any], build_stirred: Build, problems: Problems) -> None:
    model = build_stirred(TransformerLSTM, **changes)
    batch = problems(12)
    assert distance(asked_logits(model, batch), ahle_logits(model, batch)) < TIGHT


@pytest.mark.usefixtures("sine_for_dropout")
def test_transformer_lstm_drops_where_ahle_does(build_stirred: Build, problems: Problems) -> None:
    model = build_stirred(TransformerLSTM, dropout=0.3).train()
    batch = problems(12)
    logits = asked_logits(model, batch)
    assert distance(logits, ahle_logits(model, batch)) < TIGHT
    assert distance(logits, asked_logits(model.eval(), batch)) > 0.1


def test_transformer_lstm_is_born_as_that_of_ahle(build: Build) -> None:
    torch.manual_seed(1)
    model = build(TransformerLSTM, width=384)
    cells, encoder = ahle(model)
    assert_born_alike(ahle_weights(model), encoder.state_dict())
    biases = model.cells.bias_ih_l0 + model.cells.bias_hh_l0
    assert (biases[384:768] == 1).all()
    assert model.cells.weight_hh_l0.std().item() == pytest.approx(cells.weight_hh_l0.std().item(), rel=0.1)


# --- minGRU -----------------------------------------------------------------------------------------------------------


def symbol_by_symbol(model: MinGRU, inputs: Tensor) -> Tensor:
    """The paper's recurrence, (S, D) -> (S, D)."""
    w_z, w_h = model.gates.weight.chunk(2)
    b_z, b_h = model.gates.bias.chunk(2)
    h, out = torch.zeros(len(w_z)), []
    for x in inputs:
        z, candidate = torch.sigmoid(w_z @ x + b_z), w_h @ x + b_h
        h = (1 - z) * h + z * torch.tensor([c + 0.5 if c >= 0 else c.sigmoid() for c in candidate])
        out.append(model.out.weight @ h + model.out.bias)
    return torch.stack(out)


def in_log_space(model: MinGRU, inputs: Tensor) -> Tensor:
    """The paper's parallel form for training: Heinsen's scan of logarithms, (S, D) -> (S, D)."""
    softplus = nn.functional.softplus
    gate, candidate = model.gates(inputs).chunk(2, dim=-1)
    log_candidate = torch.where(candidate >= 0, (candidate.relu() + 0.5).log(), -softplus(-candidate))
    log_decays = (-softplus(gate)).cumsum(0)
    log_h = log_decays + (-softplus(-gate) + log_candidate - log_decays).logcumsumexp(0)
    return model.out(log_h.exp())


@pytest.mark.parametrize("twin", [symbol_by_symbol, in_log_space])
@pytest.mark.parametrize("changes", [{}, {"expansion": 1, "window": 1}, {"layers": 1, "window": 9, "feedforward": 13}])
def test_mingru_is_that_of_the_paper(
    changes: dict[str, Any], twin: Callable[[MinGRU, Tensor], Tensor], build_stirred: Build, problems: Problems
) -> None:
    model = build_stirred(MinGRULanguageModel, **changes)
    batch = problems(8)

    def logits(symbols: Tensor) -> Tensor:
        x = model.symbols.weight[symbols]
        for block in model.blocks:
            window, width = model.config.window, model.config.width
            convolution = nn.Conv1d(width, width, window, groups=width, padding=window - 1)
            convolution.weight.copy_(block.convolution.weight)
            convolution.bias.copy_(block.convolution.bias)
            x = x + convolution(block.norm_1(x).T)[:, : len(x)].T
            x = x + twin(block.mingru, block.norm_2(x))
            x = x + block.feedforward.down(nn.functional.gelu(block.feedforward.up(block.norm_3(x))))
        return model.head(model.norm(x))

    with torch.no_grad():
        assert distance(asked_logits(model, batch), row_by_row(model, batch, logits)) < TIGHT


@pytest.mark.parametrize("length", [1, 2, 3, 4, 7, 8, 9, 33])
def test_scan_is_the_recurrence(length: int) -> None:
    rng = torch.Generator().manual_seed(length)
    decay, update = torch.rand(2, length, 5, generator=rng), torch.randn(2, length, 5, generator=rng)
    state, states = torch.zeros(2, 5), []
    for column in range(length):
        state = decay[:, column] * state + update[:, column]
        states.append(state)
    expected = torch.stack(states, dim=1)
    for way in (one_by_one, all_at_once):
        assert distance(way(decay[:, 1:], update), expected) < TIGHT
    inputs = (decay.requires_grad_(), update.requires_grad_())
    assert distance(scan(*inputs), expected) < TIGHT
    assert torch.autograd.gradcheck(scan, inputs)


def test_scan_stands_gates_that_forget_all() -> None:
    """In float32, where products of such decays vanish and a scan that divides by them gives nan."""
    gates = torch.full((1, 40, 3), 30.0, dtype=torch.float32, requires_grad=True)
    states = scan(torch.sigmoid(-gates), torch.sigmoid(gates))
    states.sum().backward()
    assert torch.equal(states, torch.ones_like(states))
    assert gates.grad is not None
    assert gates.grad.isfinite().all()


# --- configs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "changes", "message"),
    [
        (RNN, {"layers": 0}, "num_layers must be greater than zero"),
        (GRU, {"dropout": 1.5}, "1.5"),
        (LSTMSeq2Seq, {"dropout": -0.1}, "-0.1"),
        (TransformerLSTM, {"width": 65}, "width 65: must be a multiple of 4 with 4 heads"),
        (TransformerLSTM, {"layers": 1}, "layers 1: must be at least 2"),
        (MinGRULanguageModel, {"window": 0}, "window 0: must be at least 1"),
        (MinGRULanguageModel, {"expansion": 0}, "expansion 0: must be at least 1"),
    ],
)
def test_impossible_config_is_refused(
    architecture: type[Architecture], changes: dict[str, Any], message: str, spec: SequenceSpec
) -> None:
    with pytest.raises(ValueError, match=message):
        architecture(architecture.Config(**changes), spec)
