"""What the oracles of architectures share: distances, rows without pads, and whether two models are born alike.

A answer columns, V vocabulary
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.architectures import Batch

Build = Callable[..., Any]
"""The fixtures `build` and `build_stirred`."""
Problems = Callable[..., Batch]
"""The fixture `problems`."""
TIGHT = 1e-10
"""Equal in float64 but for the order of sums."""


def distance(a: Tensor, b: Tensor) -> float:
    """Largest difference; what is compared is of size 1 to 100."""
    assert a.shape == b.shape
    return float((a - b).detach().abs().max())


def bare_rows(batch: Batch, pad: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Each row's prompt without pads, and its answer."""
    for prompt, answer in zip(batch.prompt, batch.answer, strict=True):
        yield prompt[prompt != pad], answer


def row_by_row(model: Any, batch: Batch, reference: Callable[[Tensor], Tensor]) -> Tensor:
    """(B, A, V) logits of a reference, (S,) symbols -> (S, V), which reads each row of prompt and answer without pads;
    0 behind the end token, where nothing is asked.
    """
    rows = []
    for prompt, answer in bare_rows(batch, model.spec.pad):
        written = answer[answer != model.spec.pad]
        logits = reference(torch.cat([prompt, written[:-1]]))[len(prompt) - 1 :]
        rows.append(F.pad(logits, (0, 0, 0, len(answer) - len(written))))
    return torch.stack(rows)


def asked_logits(model: Any, batch: Batch) -> Tensor:
    """(B, A, V) logits of the model, 0 behind the end token."""
    logits: Tensor = model.logits(batch.prompt, batch.answer)
    return logits.masked_fill((batch.answer == model.spec.pad)[..., None], 0.0)


def assert_born_alike(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor], small: float = 0.0) -> None:
    """Each of our parameters is drawn with the reference's mean and standard deviation, or is the constant that it is
    there. small: differences that mean nothing.
    """
    for name, weight in ours.items():
        spread = theirs[name].std().item()
        assert weight.std().item() == pytest.approx(spread, rel=0.1, abs=small), name
        assert weight.mean().item() == pytest.approx(theirs[name].mean().item(), abs=0.1 * spread + small), name
