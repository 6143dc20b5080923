"""FLOPs of masked encoder, switch and BitNet against closed forms, and sizes by active parameters."""

import pytest

from bench.architectures import get
from bench.datasets.suites import load_suite
from bench.plan import sequence_spec
from bench.planning.sizing import count_flops, count_parameters, fit

QUICK = sequence_spec(load_suite("quick"))
PROMPT, ANSWER, VOCABULARY = QUICK.prompt_width, QUICK.answer_width, QUICK.vocabulary


def block_flops(read: int, written: int, width: int, feedforward: int) -> int:
    """Forward: `read` columns are looked at by the last `written`, whose feed-forward has `feedforward` weights."""
    attention = read * 6 * width**2 + 4 * written * read * width + written * 2 * width**2
    return attention + 2 * written * feedforward


def test_masked_encoder_reads_prompt_and_canvas() -> None:
    cls = get("masked-encoder")
    config = cls.Config(layers=3, heads=2, width=20, feedforward=33)
    read, feedforward = PROMPT + ANSWER, 2 * 20 * 33
    forward = 2 * block_flops(read, read, 20, feedforward) + block_flops(read, ANSWER, 20, feedforward)
    head = 2 * ANSWER * (20**2 + 20 * VOCABULARY)
    assert count_flops(cls, config, QUICK) == 3 * (forward + head)


def test_bitnet_costs_what_it_would_without_rounding() -> None:
    cls = get("bitnet")
    config = cls.Config(layers=3, heads=2, width=20, feedforward=33)
    read, feedforward = PROMPT + ANSWER - 1, 3 * 20 * 33
    forward = 2 * block_flops(read, read, 20, feedforward) + block_flops(read, ANSWER, 20, feedforward)
    assert count_flops(cls, config, QUICK) == 3 * (forward + 2 * ANSWER * 20 * VOCABULARY)


@pytest.mark.parametrize("experts", [1, 2, 8])
def test_each_symbol_pays_for_one_expert_and_the_router(experts: int) -> None:
    """That real symbols cost as much is tested beside the architecture."""
    cls = get("switch")
    config = cls.Config(layers=3, heads=2, width=20, feedforward=33, experts=experts, activation="swiglu")
    read, dense = PROMPT + ANSWER - 1, 3 * 20 * 33
    forward = (
        block_flops(read, read, 20, dense)
        + block_flops(read, read, 20, dense + 20 * experts)
        + block_flops(read, ANSWER, 20, dense)
    )
    assert count_flops(cls, config, QUICK) == 3 * (forward + 2 * ANSWER * 20 * VOCABULARY)


def test_a_sparse_model_can_be_sized_by_what_a_symbol_meets() -> None:
    cls = get("switch")
    config = fit(cls, cls.Config(), QUICK, 100_000, match="active")
    total, active = count_parameters(cls, config, QUICK)
    assert abs(active / 100_000 - 1) <= 0.02
    assert total > 1.5 * active
