"""The architectures of a plan put through the quick half of their contract, before anything trains."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch

from bench import architectures
from bench.architectures import Architecture, Batch
from bench.architectures.contract import broken_promise
from bench.datasets.drawing.stream import Stream
from bench.errors import UserError, reason_of
from bench.numerics import as_in_a_cell
from bench.plan import config_of, sequence_spec, suite_of
from bench.results.records.plan import Plan

PROBLEMS = 4
MOST_PARAMETERS = 10**8
"""Larger models are not tried: that would take longer than a few seconds."""


def refuse_broken(plan: Plan, names: Iterable[str]) -> None:
    """Build each of these architectures once, with throwaway weights, and try what it promises.

    One that comes with its weights is left out: it would be loaded once more, and what it learns to answer is not
    drawn at random. No generator of random numbers is in another state afterwards.

    Raises:
        UserError: one breaks a promise, or fails.
    """
    suite = suite_of(plan)
    encoded = Stream(suite.stream(plan.seeds[0], plan.settings.training_problems), suite.encoding).take(PROBLEMS)
    # A cluster may have the GPUs that this machine has not.
    device = torch.device("cuda" if plan.settings.device == "cuda" and torch.cuda.is_available() else "cpu")
    batch = Batch(*(torch.from_numpy(ids).to(device, torch.long) for ids in (encoded.prompt, encoded.answer)))
    for name in names:
        config = config_of(name, plan.entries[name])
        if not config.size_fields or plan.entries[name].parameters > MOST_PARAMETERS:
            continue
        broken = None
        # In float64 a rounding turns no comparison of two numbers round; some models compute in float32 alone.
        for dtype, tolerance in ((torch.float64, 1e-5), (torch.float32, 1e-2)):
            try:
                with as_in_a_cell(1, device.type), _drawn_in(dtype):
                    model = architectures.get(name)(config, sequence_spec(suite)).to(device).eval()
                    _stir(model)
                    broken = broken_promise(model, batch, tolerance)
                break
            except Exception as error:  # whatever an architecture of somebody else does
                broken = f"cannot run here: {reason_of(error)}"
        if broken is not None:
            raise UserError(f"{name}: {broken}")


@contextmanager
def _drawn_in(dtype: torch.dtype) -> Iterator[None]:
    """A context in which weights have this type, and are the same each time."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.random.fork_rng([]):
            torch.default_generator.manual_seed(0)
            yield
    finally:
        torch.set_default_dtype(before)


@torch.no_grad()
def _stir(model: Architecture) -> None:
    """Move parameters that are born all equal: a head of zeros, say, would hide all that comes before it."""
    for parameter in model.parameters():
        if parameter.numel() > 1 and parameter.min() == parameter.max():
            parameter.add_(0.1 * torch.randn_like(parameter))
