import dataclasses

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.architectures import Batch, SequenceSpec, from_scratch, get
from bench.datasets.suites import load_suite
from bench.plan import sequence_spec
from bench.planning.sizing import count_flops, count_optimizer_flops, count_parameters, fit, flop_counter, lay_out

QUICK = sequence_spec(load_suite("quick"))


@pytest.mark.parametrize("target", [30_000, 100_000, 800_000])
@pytest.mark.parametrize("name", list(from_scratch()))
def test_sizes_are_met_within_two_percent(name: str, target: int) -> None:
    cls = get(name)
    config = fit(cls, cls.Config(), QUICK, target)
    built = cls(config, QUICK)
    assert abs(sum(p.numel() for p in built.parameters()) / target - 1) <= 0.02
    assert count_parameters(cls, config, QUICK)[0] == sum(p.numel() for p in built.parameters())


@pytest.mark.parametrize(
    ("name", "layers", "step"),
    [("transformer", 2, 8), ("transformer", 6, 4), ("lstm", 1, 4), ("encoder-decoder", 4, 8), ("lstm", 4, 1)],
)
def test_sizes_are_as_even_as_they_can_be_within_a_percent(name: str, layers: int, step: int) -> None:
    cls = get(name)
    config = fit(cls, dataclasses.replace(cls.Config(), layers=layers), QUICK, 100_000)
    first, second = (getattr(config, field) for field in config.size_fields)
    assert (first % min(step, 4), second % step) == (0, 0)
    assert abs(count_parameters(cls, config, QUICK)[0] / 100_000 - 1) <= 0.01


def test_a_fixed_width_stays_and_the_feedforward_size_makes_up_for_it() -> None:
    cls = get("transformer")
    config = fit(cls, dataclasses.replace(cls.Config(), width=48), QUICK, 100_000, fixed=frozenset({"width"}))
    assert config.width == 48
    assert abs(count_parameters(cls, config, QUICK)[0] / 100_000 - 1) <= 0.02


def transformer_flops(layers: int, width: int, feedforward: int, matrices: int, spec: SequenceSpec) -> int:
    """Multiply-adds twice; the backward pass costs two products for each forward one.

    The last block computes queries' mixing and feed-forward for the answer's columns alone.
    """
    length, answer = spec.prompt_width + spec.answer_width - 1, spec.answer_width

    def block(written: int) -> int:
        attention = length * 6 * width**2 + 4 * written * length * width + written * 2 * width**2
        return attention + written * 2 * matrices * width * feedforward

    return 3 * ((layers - 1) * block(length) + block(answer) + 2 * answer * width * spec.vocabulary)


def lstm_flops(layers: int, width: int, hidden: int, spec: SequenceSpec) -> int:
    length = spec.prompt_width + spec.answer_width - 1
    cells = sum(2 * length * 4 * hidden * ((width if layer == 0 else hidden) + hidden) for layer in range(layers))
    no_gradient = layers * 2 * 4 * hidden**2  # the initial state is constant
    return 3 * (cells + 2 * spec.answer_width * hidden * spec.vocabulary) - no_gradient


def encoder_decoder_flops(encoders: int, decoders: int, width: int, feedforward: int, spec: SequenceSpec) -> int:
    prompt, answer = spec.prompt_width, spec.answer_width
    gated = 6 * width * feedforward
    encoder = prompt * (8 * width**2 + gated) + 4 * prompt**2 * width
    decoder = answer * (8 * width**2 + gated) + 4 * answer**2 * width
    cross = answer * 4 * width**2 + prompt * 4 * width**2 + 4 * answer * prompt * width
    return 3 * (encoders * encoder + decoders * (decoder + cross) + 2 * answer * width * spec.vocabulary)


def test_counted_flops_equal_closed_forms() -> None:
    lstm, both = get("lstm"), get("encoder-decoder")
    for activation, matrices in (("gelu", 2), ("swiglu", 3)):
        config = get("transformer").Config(layers=3, heads=2, width=20, feedforward=33, activation=activation)
        assert count_flops(get("transformer"), config, QUICK) == transformer_flops(3, 20, 33, matrices, QUICK)
    assert count_flops(lstm, lstm.Config(layers=2, width=12, hidden=20), QUICK) == lstm_flops(2, 12, 20, QUICK)
    assert count_flops(both, both.Config(layers=3, heads=2, width=20, feedforward=33), QUICK) == (
        encoder_decoder_flops(2, 1, 20, 33, QUICK)
    )


def test_counted_flops_of_muon_equal_the_closed_form() -> None:
    """Gates are apart, tall matrices lie, and sides are multiples of 8: 20 x 12 counts as 16 x 24, 20 x 20 as 24 x 24.

    Each of four iterations makes two products of r x r and r x c, and one of r x r and r x r.
    """
    cls = get("lstm")
    model = lay_out(cls, cls.Config(layers=2, width=12, hidden=20), QUICK)
    from_symbols, square = (4 * 2 * (2 * r * r * c + r**3) for r, c in ((16, 24), (24, 24)))
    assert count_optimizer_flops(model, "muon") == 4 * (from_symbols + 3 * square) == 4_505_600
    assert count_optimizer_flops(model, "adamw") == count_optimizer_flops(model, "sgd") == 0


def test_the_count_on_cpu_would_miss_the_recurrent_cell() -> None:
    """Why the meta device is used: if this ever fails, the detour can go."""
    cls = get("lstm")
    model = cls(cls.Config(width=12), QUICK)
    batch = Batch(torch.full((1, QUICK.prompt_width), 5), torch.full((1, QUICK.answer_width), 5))
    with FlopCounterMode(display=False) as counter:
        model.loss(batch, torch.Generator()).mean.backward()
    assert counter.get_total_flops() < count_flops(cls, model.config, QUICK) / 5


@pytest.mark.parametrize("groups", [1, 4])
def test_a_convolution_counts_by_its_groups_forward_and_backward(groups: int) -> None:
    with torch.device("meta"):
        convolution = torch.nn.Conv1d(8, 12, 3, groups=groups)
        x = torch.zeros((2, 8, 10), requires_grad=True)
    with flop_counter() as counter:
        convolution(x).sum().backward()
    forward = 2 * 2 * 8 * 12 * 3 * (8 // groups)  # a product and a sum: batch, places, outputs, width, inputs a group
    assert counter.get_total_flops() == 3 * forward
