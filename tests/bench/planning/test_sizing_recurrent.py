"""FLOPs of recurrent models and their hybrids against closed forms: multiply-adds twice, backward is two forwards."""

from typing import Any

import pytest

from bench.architectures import get
from bench.datasets.suites import load_suite
from bench.plan import sequence_spec
from bench.planning.sizing import count_flops

QUICK = sequence_spec(load_suite("quick"))
P, A, V = QUICK.prompt_width, QUICK.answer_width, QUICK.vocabulary
S = P + A - 1


def cells(gates: int, layers: int, width: int, hidden: int, length: int, starts_at_zero: bool = True) -> int:
    """A start at zero is a constant: no gradient goes there."""
    inputs = [width] + [hidden] * (layers - 1)
    products = sum(2 * length * gates * hidden * (size + hidden) for size in inputs)
    return 3 * products - starts_at_zero * layers * 2 * gates * hidden**2


def seq2seq(layers: int, width: int, hidden: int) -> int:
    encoder = sum(cells(4, 1, size + 1, hidden, P) for size in [width] + [hidden] * (layers - 1))
    decoder = cells(4, layers, width, hidden, A, starts_at_zero=False)
    attention = P * 2 * hidden**2 + 4 * A * P * hidden + A * 4 * hidden**2
    return encoder + decoder + 3 * (attention + 2 * A * hidden * V)


def transformer_lstm(layers: int, width: int, feedforward: int) -> int:
    def block(written: int) -> int:
        attention = S * 6 * width**2 + 4 * written * S * width + written * 2 * width**2
        return attention + written * 4 * width * feedforward

    blocks = (layers - 2) * block(S) + block(A)
    return cells(4, 1, width, width, S) + 3 * (blocks + 2 * A * width * V)


def mingru(layers: int, width: int, hidden: int, feedforward: int) -> int:
    def block(written: int) -> int:
        return S * 4 * width * hidden + written * (2 * hidden * width + 4 * width * feedforward)

    return 3 * ((layers - 1) * block(S) + block(A) + 2 * A * width * V)


@pytest.mark.parametrize(
    ("name", "config", "expected"),
    [
        ("rnn", {"layers": 2, "width": 12, "hidden": 20}, cells(1, 2, 12, 20, S) + 6 * A * 20 * V),
        ("gru", {"layers": 2, "width": 12, "hidden": 20}, cells(3, 2, 12, 20, S) + 6 * A * 20 * V),
        ("lstm-seq2seq", {"layers": 2, "width": 12, "hidden": 20}, seq2seq(2, 12, 20)),
        ("transformer-lstm", {"layers": 4, "heads": 2, "width": 20, "feedforward": 33}, transformer_lstm(4, 20, 33)),
        ("mingru", {"layers": 3, "width": 10, "expansion": 2, "feedforward": 33}, mingru(3, 10, 20, 33)),
    ],
)
def test_counted_flops_equal_closed_forms(name: str, config: dict[str, Any], expected: int) -> None:
    cls = get(name)
    assert count_flops(cls, cls.Config(**config), QUICK) == expected
