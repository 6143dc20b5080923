"""The quick half of what every architecture promises: each function finds what breaks one promise.

`broken_promise` tries them all, and says in one line what is wrong. The long half stands in the tests.

B batch, P prompt width, A answer width, V vocabulary
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.architectures.base import Architecture, Autoregressive, Batch, check_logits
from bench.architectures.infilling import MaskedInfilling

MOST_COLUMNS = 4
"""Answer columns that `broken_promise` tries, the first and the last among them."""


def broken_promise(model: Architecture, batch: Batch, tolerance: float) -> str | None:
    """The first promise that a model breaks on a batch, and the likely cause; None where it keeps all.

    tolerance: largest difference of two logits that are to be equal, as a share of the largest logit. The model must be
    in eval mode; it is left in train mode, with gradients.
    """
    return next(_broken_promises(model, batch, tolerance), None)


def _broken_promises(model: Architecture, batch: Batch, tolerance: float) -> Iterator[str]:
    if norm := next((m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)), None):
        yield (
            f"it has a {type(norm).__name__}, a norm over the batch: logits of one problem would change with the other "
            f"problems (take LayerNorm or RMSNorm)"
        )
    if isinstance(model, Autoregressive | MaskedInfilling):  # another one has no logits
        with torch.no_grad():
            logits_BAV = model.logits(batch.prompt, batch.answer)
        check_logits(logits_BAV, batch, model.spec)
        if not logits_BAV.isfinite().all():
            yield "its logits are not finite: a division by 0, or a mask that leaves a symbol nothing to see"
        with torch.no_grad():
            again_BAV = model.logits(batch.prompt, batch.answer)
        if _differ(again_BAV, logits_BAV, tolerance):
            yield (
                "its logits of the same batch are others the second time: something is drawn at random, or kept, "
                "outside training (F.dropout without training=self.training)"
            )
        if rows_that_see_others(model, batch, [0], tolerance):
            yield (
                "its logits of one problem change with the other problems of the batch: a layer mixes rows "
                "(batch_first=False, a norm over the batch)"
            )
        some = sorted({round(n * (batch.answer.shape[1] - 1) / (MOST_COLUMNS - 1)) for n in range(MOST_COLUMNS)})
        if isinstance(model, Autoregressive) and (found := columns_that_see_ahead(model, batch, some, tolerance)):
            yield (
                f"its logits of answer column {found[0]} change with the symbols from that column on, which they are "
                f"to predict: a shift by one is missing, or a layer reads both ways (bidirectional, no causal mask)"
            )
        shortest = int((batch.prompt != model.spec.pad).sum(dim=1).argmin())
        if rows_that_see_padding(model, batch, [shortest], tolerance):
            yield (
                "its logits change with the padding left of a prompt: pads must leave states, attention and positions "
                "as they are"
            )
    model.train()
    loss = model.loss(batch, torch.Generator().manual_seed(0)).mean
    if not loss.isfinite():
        yield f"its loss is {loss.item()}: a logarithm of 0, or a division by 0"
    loss.backward()
    sparse = model.active_parameters() < sum(p.numel() for p in model.parameters() if p.requires_grad)
    if names := parameters_without_gradient(model, zero_too=not sparse):  # no symbol may have come to an expert
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield f"no gradient reaches {names[0]}{more}: `loss` does not use it, or a detach() or no_grad() cuts it off"


@torch.no_grad()
def columns_that_see_ahead(model: Autoregressive, batch: Batch, columns: Iterable[int], tolerance: float) -> list[int]:
    """Those answer columns whose logits, or those of a column before, change with the symbols from there on."""
    digits = torch.tensor(model.spec.digits, device=batch.answer.device)
    rows, columns_N = len(batch.prompt), torch.tensor(list(columns), device=batch.answer.device)
    row_N = torch.arange(len(columns_N), device=batch.answer.device) % rows
    prompt_NP, places_A = batch.prompt[row_N], torch.arange(batch.answer.shape[1], device=batch.answer.device)
    answer_NA = digits[(places_A + row_N[:, None]) % len(digits)]
    other_NA = digits[(places_A + row_N[:, None] + 1) % len(digits)]
    changed_NA = torch.where(places_A < columns_N[:, None], answer_NA, other_NA)
    logits_NAV, changed_NAV = model.logits(prompt_NP, answer_NA), model.logits(prompt_NP, changed_NA)
    return [
        int(column)
        for number, column in enumerate(columns_N)
        if _differ(changed_NAV[number, : column + 1], logits_NAV[number, : column + 1], tolerance)
    ]


@torch.no_grad()
def rows_that_see_others(
    model: Autoregressive | MaskedInfilling, batch: Batch, rows: Iterable[int], tolerance: float
) -> list[int]:
    """Those problems whose logits are others when they are asked alone."""
    logits_BAV = model.logits(batch.prompt, batch.answer)
    alone = {row: model.logits(batch.prompt[[row]], batch.answer[[row]])[0] for row in rows}
    return [row for row, logits_AV in alone.items() if _differ(logits_AV, logits_BAV[row], tolerance)]


@torch.no_grad()
def rows_that_see_padding(
    model: Autoregressive | MaskedInfilling, batch: Batch, rows: Iterable[int], tolerance: float
) -> list[int]:
    """Those problems whose logits are others with no pad to the left of the prompt, or with one."""
    found = []
    for row in rows:
        answer_1A, prompt_P = batch.answer[[row]], batch.prompt[row]
        bare_1P = prompt_P[prompt_P != model.spec.pad][None]
        shorter = [bare_1P, F.pad(bare_1P, (1, 0), value=model.spec.pad)]
        logits_AV = model.logits(prompt_P[None], answer_1A)[0]
        others = [model.logits(ids, answer_1A)[0] for ids in shorter if ids.shape[1] <= len(prompt_P)]
        if any(_differ(other_AV, logits_AV, tolerance) for other_AV in others):
            found.append(row)
    return found


def parameters_without_gradient(model: Architecture, zero_too: bool = True) -> list[str]:
    """Names of the trained parameters that have none; `zero_too`: or one that is zero everywhere."""
    return [
        name
        for name, p in model.named_parameters()
        if p.requires_grad and (p.grad is None or (zero_too and not p.grad.abs().max() > 1e-12))
    ]


def _differ(found: Tensor, expected: Tensor, tolerance: float) -> bool:
    return bool((found - expected).abs().max() > tolerance * expected.abs().max().clamp(min=1.0))
