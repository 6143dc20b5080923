"""Masked infilling, the other way to write an answer: the model fills in a canvas of masks, all columns at once.

B batch, P prompt width, A answer width, V vocabulary
"""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.architectures.base import (
    Architecture,
    Batch,
    Config,
    Loss,
    check_logits,
    likelihoods_of,
    nll_sum_of,
    probabilities,
)


@dataclass(frozen=True, kw_only=True)
class MaskedInfillingConfig(Config):
    """Base of the configs of `MaskedInfilling`."""

    passes: int = 4
    """k, how many times the model reads the canvas for an answer; more than the answer has columns gain nothing"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.passes < 1:
            raise ValueError(f"passes {self.passes}: must be at least 1")


class MaskedInfilling(Architecture):
    """Fills in a canvas: in `logits`, `answer` holds mask tokens where nothing is known yet, and column a may depend on
    all other columns.

    Pads are symbols like others, masked, scored and written over the full width: pads that the model saw would show how
    long the answer is. Training masks and decoding are those of Ghazvininejad et al., "Mask-Predict: Parallel Decoding
    of Conditional Masked Language Models", 2019; but they predict the length first and try several lengths, and here
    the pads give it. The config is a `MaskedInfillingConfig`.
    """

    kind = "masked"

    @abstractmethod
    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        """(B, P), (B, A) -> (B, A, V); logits[b, a] scores answer[b, a]."""

    def loss(self, batch: Batch, rng: torch.Generator) -> Loss:
        """Each row has a number of its columns masked, drawn from 1 to A, and these alone are scored."""
        rows, width = batch.answer.shape
        masks_B1 = torch.randint(1, width + 1, (rows, 1), generator=rng)
        order_BA = torch.rand(rows, width, generator=rng).argsort(dim=1)
        masked_BA = (order_BA < masks_B1).to(batch.answer.device)
        canvas_BA = batch.answer.masked_fill(masked_BA, self.spec.mask)
        with self.seeded(rng):
            logits_BAV = self.logits(batch.prompt, canvas_BA)
        check_logits(logits_BAV, batch, self.spec)
        nll_sum = nll_sum_of(logits_BAV, batch.answer, masked_BA)
        return Loss(nll_sum, masked_BA.sum(), self.auxiliary_loss(nll_sum))

    def state_bytes(self, prompt: Tensor) -> int:
        """The problem, the canvas, and how likely each symbol on it was."""
        number = next(self.parameters()).element_size()
        return prompt.numel() * prompt.element_size() + self.spec.answer_width * (prompt.element_size() + number)

    @torch.no_grad()
    def likelihoods(self, prompt: Tensor, answer: Tensor) -> Tensor:
        """(B, P), (B, A) -> (B, A) probability of each symbol of an answer where its column alone is masked, given the
        prompt and all other columns.

        A canvas has no order, so that their product is not the probability of the answer. Up to the end token it is its
        pseudo-likelihood (Besag 1975; for masked models Salazar et al., "Masked Language Model Scoring", 2020).
        """
        columns = []
        for column in range(answer.shape[1]):
            canvas_BA = answer.clone()
            canvas_BA[:, column] = self.spec.mask
            columns.append(likelihoods_of(self.logits(prompt, canvas_BA), answer)[:, column])
        return torch.stack(columns, dim=1)

    @torch.no_grad()
    def generate(self, prompt: Tensor, width: int) -> Tensor:
        """Mask-predict: every pass writes all masked columns, then fewer and fewer of the least likely symbols are
        masked again, the earliest of equals first: A (k - t) / k of them, rounded down, after pass t of k.

        The canvas has the width that the model was trained on; `width` is at most that, and what is beyond is cut off.
        """
        columns, passes = self.spec.answer_width, self.config.passes
        canvas_BA = prompt.new_full((len(prompt), columns), self.spec.mask)
        masked_BA = torch.ones_like(canvas_BA, dtype=torch.bool)
        likelihood_BA = torch.zeros_like(canvas_BA, dtype=torch.get_default_dtype())
        for number in range(1, passes + 1):
            best = probabilities(self.logits(prompt, canvas_BA)).max(dim=-1)
            canvas_BA = torch.where(masked_BA, best.indices, canvas_BA)
            likelihood_BA = torch.where(masked_BA, best.values, likelihood_BA)
            again = columns * (passes - number) // passes
            if again == 0:
                break
            rank_BA = likelihood_BA.argsort(dim=1, stable=True).argsort(dim=1)
            masked_BA = rank_BA < again
            canvas_BA = canvas_BA.masked_fill(masked_BA, self.spec.mask)
        is_end_BA = canvas_BA == self.spec.eos
        ended_before_BA = is_end_BA.cumsum(dim=1) > is_end_BA.long()
        return canvas_BA.masked_fill(ended_before_BA, self.spec.pad)[:, :width]
