"""Counted FLOPs of the looped transformer and of the architectures with a decaying state equal their closed forms."""

import pytest

from bench.architectures import get
from bench.datasets.suites import load_suite
from bench.plan import sequence_spec
from bench.planning.sizing import count_flops

QUICK = sequence_spec(load_suite("quick"))
READ, ANSWER = QUICK.prompt_width + QUICK.answer_width - 1, QUICK.answer_width


def training(block: list[int], width: int) -> int:
    """Of blocks' and head's products; the backward pass costs two for each forward one."""
    return 3 * (sum(block) + 2 * ANSWER * width * QUICK.vocabulary)


@pytest.mark.parametrize(("layers", "passes"), [(1, 1), (1, 4), (2, 3)])
def test_each_pass_of_a_loop_counts(layers: int, passes: int) -> None:
    width, feedforward = 20, 33

    def block(written: int) -> int:
        attention = READ * 6 * width**2 + 4 * written * READ * width + written * 2 * width**2
        return attention + written * 4 * width * feedforward

    # The last block of a pass that is no last one has all columns to write, since the next pass reads them.
    blocks = [block(READ)] * (layers * passes - 1) + [block(ANSWER)]
    cls = get("looped")
    config = cls.Config(layers=layers, passes=passes, heads=2, width=width, feedforward=feedforward)
    early_heads = 3 * (passes - 1) * 2 * ANSWER * width * QUICK.vocabulary  # passes before the last are trained too
    assert count_flops(cls, config, QUICK) == training(blocks, width) + early_heads


def test_retnet() -> None:
    width, feedforward = 24, 33

    def block(written: int) -> int:
        scores_and_mixing = 2 * READ**2 * width + 2 * READ**2 * 2 * width
        return READ * 8 * width**2 + scores_and_mixing + written * (8 * width**2 + 4 * width * feedforward)

    cls = get("retnet")
    config = cls.Config(layers=3, heads=2, width=width, feedforward=feedforward)
    assert count_flops(cls, config, QUICK) == training([block(READ)] * 2 + [block(ANSWER)], width)


def test_mamba2() -> None:
    width, state, heads = 20, 7, 4

    def block(written: int) -> int:
        inputs = READ * 2 * width * (2 * width + 2 * state + heads)
        scores_and_mixing = 2 * READ**2 * state + heads * 2 * READ**2 * (2 * width // heads)  # all heads share scores
        return inputs + scores_and_mixing + written * 8 * width**2

    cls = get("mamba2")
    config = cls.Config(layers=3, heads=heads, width=width, state=state)
    assert count_flops(cls, config, QUICK) == training([block(READ)] * 2 + [block(ANSWER)], width)


def test_gated_deltanet() -> None:
    width, feedforward, heads = 20, 33, 4

    def block(written: int) -> int:
        inputs = READ * 2 * width * (4 * width + 2 * heads)
        system_scores_and_mixing = 2 * READ**2 * width + 2 * READ**2 * width + 2 * READ**2 * 2 * width
        return inputs + system_scores_and_mixing + written * (8 * width**2 + 6 * width * feedforward)

    cls = get("gated-deltanet")
    config = cls.Config(layers=3, heads=heads, width=width, feedforward=feedforward)
    gradients_of_systems = 3 * 2 * READ**2 * 2 * width  # solved by substitution, which is no matrix product
    expected = training([block(READ)] * 2 + [block(ANSWER)], width) + gradients_of_systems
    assert count_flops(cls, config, QUICK) == expected
