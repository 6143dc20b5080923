"""The seam between bench and every architecture: answer-aligned logits.

B batch, P prompt width, A answer width, V vocabulary

Prompts are padded on the left and answers on the right, so in each row the answer starts at the same column:
`[pad pad 3 + 4 =][7 eos pad]`. An architecture says how likely each symbol is in each answer column; how it gets there
(one sequence, two, a recurrence, a canvas) nobody else knows.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class SequenceSpec:
    """All that an architecture ever knows of the data."""

    vocabulary: int
    """V, special tokens included"""
    prompt_width: int
    answer_width: int
    pad: int
    bos: int
    eos: int
    mask: int
    digits: tuple[int, ...]
    """ids of the single digits 0 .. 9"""
    reversed: bool
    """whether answers start with their least significant digit"""


@dataclass(frozen=True)
class Batch:
    """Token ids: `prompt` (B, P) padded on the left, `answer` (B, A) with its end token, padded on the right."""

    prompt: Tensor
    answer: Tensor


@dataclass(frozen=True)
class Loss:
    """Sums and counts, never means: `nll_sum` () in nats, over `count` () scored symbols, and `auxiliary` () to add
    to the mean (a load-balance loss, say).
    """

    nll_sum: Tensor
    count: Tensor
    auxiliary: Tensor

    @property
    def mean(self) -> Tensor:
        """What training minimises: () mean negative log-likelihood a symbol, plus the auxiliary loss."""
        return self.nll_sum / self.count + self.auxiliary


@dataclass(frozen=True, kw_only=True)
class Config:
    """Base of all configs: frozen, keyword-only, a docstring under each field.

    The two fields that `size_fields` names decide how many parameters a model has: the first moves it in large steps,
    the second in small ones. The second is None where it follows from the first.
    """

    size_fields: ClassVar[tuple[str, str]]

    @property
    def size_step(self) -> int:
        """What the first size field must be a multiple of."""
        return 1


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Settings found by a search on validation data, and what they were tuned for."""

    suite: str
    parameters: int
    budget: str
    config: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)


class Architecture(nn.Module, ABC):
    """A model of answers given prompts. `Config` is its settings' class, `presets` the tuned ones."""

    name: ClassVar[str]
    """as typed after `--arch`"""
    family: ClassVar[str]
    year: ClassVar[int]
    paper: ClassVar[str]
    Config: ClassVar[type[Config]]
    presets: ClassVar[tuple[Preset, ...]] = ()
    debug: ClassVar[dict[str, Any]]
    """config values of a model of about a thousand parameters, for tests"""
    stacked: ClassVar[dict[str, int]] = {}
    """parameters that stack several matrices by rows, such as the gates of a recurrent cell: a pattern of their names
    (`*` is any text), and how many matrices"""

    def __init__(self, config: Any, spec: SequenceSpec) -> None:
        super().__init__()
        self.config, self.spec = config, spec

    @abstractmethod
    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        """(B, P), (B, A) -> (B, A, V); logits[b, a] scores answer[b, a]."""

    @abstractmethod
    def loss(self, batch: Batch, rng: torch.Generator) -> Loss:
        """The training loss of a batch; all randomness (dropout, masks) comes from `rng`."""

    @abstractmethod
    def generate(self, prompt: Tensor, width: int) -> Tensor:
        """(B, P) -> (B, width) greedy answers: symbols, the end token, then pads."""

    def parameter_groups(self) -> Iterator[tuple[str, nn.Parameter, bool, int]]:
        """Every parameter as (name, parameter, is an inner matrix, matrices stacked in it).

        Inner matrices are weight-decayed and may be given to an optimiser for matrices; norms, biases, embeddings and
        the head are neither.
        """
        outer = {id(p) for m in self.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
        outer |= {id(p) for p in self.head_parameters()}
        for name, parameter in self.named_parameters():
            inner = parameter.ndim == 2 and id(parameter) not in outer
            count = next((n for pattern, n in self.stacked.items() if fnmatchcase(name, pattern)), 1)
            yield name, parameter, inner, count if inner else 1

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of the output layer; by default those of a module called `head`."""
        head = getattr(self, "head", None)
        if isinstance(head, nn.Module):
            yield from head.parameters()

    @contextmanager
    def seeded(self, rng: torch.Generator) -> Iterator[None]:
        """A context in which torch's global generators are forks seeded from `rng`, so that dropout repeats."""
        seed = int(torch.randint(2**62, (), generator=rng))
        device = next(self.parameters()).device  # that one alone: forking all would wake every GPU of the machine
        with torch.random.fork_rng([] if device.type in ("cpu", "meta") else [device]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed formats a stack trace for CUDA's sake
            if device.type in ("cuda", "mps"):
                getattr(torch, device.type).manual_seed(seed)
            yield

    @property
    def weight_bits(self) -> float:
        """Bits that one stored weight takes, on average."""
        sizes = [(p.numel(), 8 * p.element_size()) for p in self.parameters()]
        return sum(n * bits for n, bits in sizes) / sum(n for n, _ in sizes)

    def state_bytes(self, prompt: Tensor) -> int:
        """Bytes that decoding keeps for one problem, (1, P), when its answer is at full width; by default none."""
        return 0

    def active_parameters(self) -> int:
        """Parameters that one symbol meets; fewer than all only in sparse models."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


class Autoregressive(Architecture):
    """Writes the answer symbol by symbol: answer column a depends on the prompt and on answer[:, :a] only."""

    def loss(self, batch: Batch, rng: torch.Generator) -> Loss:
        with self.seeded(rng):
            logits_BAV = self.logits(batch.prompt, batch.answer)
        scored = batch.answer != self.spec.pad
        at_least_float32 = torch.promote_types(logits_BAV.dtype, torch.float32)
        nll_sum = F.cross_entropy(
            logits_BAV.flatten(0, 1).to(at_least_float32),
            batch.answer.flatten(),
            ignore_index=self.spec.pad,
            reduction="sum",
        )
        return Loss(nll_sum, scored.sum(), self.auxiliary_loss(nll_sum))

    def auxiliary_loss(self, like: Tensor) -> Tensor:
        """() what the last call of `logits` adds to the mean loss; by default nothing."""
        return torch.zeros_like(like)

    def begin(self, prompt: Tensor, width: int) -> tuple[Tensor, Any]:
        """(B, P) -> logits (B, V) of the first answer symbol, and a state for `advance`.

        By default the state is the answer so far and each step runs `logits` again; a class with a cache or a
        recurrent state overrides both methods.
        """
        answer = prompt.new_full((len(prompt), width), self.spec.pad)
        return self.logits(prompt, answer)[:, 0], (prompt, answer, 0)

    def advance(self, symbol: Tensor, state: Any) -> tuple[Tensor, Any]:
        """(B,) the symbol just written -> logits (B, V) of the next, and the new state."""
        prompt, answer, column = state
        answer = answer.clone()
        answer[:, column] = symbol
        return self.logits(prompt, answer)[:, column + 1], (prompt, answer, column + 1)

    @torch.no_grad()
    def state_bytes(self, prompt: Tensor) -> int:
        _, state = self.begin(prompt, self.spec.answer_width)
        for _ in range(self.spec.answer_width - 1):
            _, state = self.advance(prompt[:, -1], state)
        return _tensor_bytes(state)

    @torch.no_grad()
    def generate(self, prompt: Tensor, width: int) -> Tensor:
        answer = prompt.new_full((len(prompt), width), self.spec.pad)
        logits_BV, state = self.begin(prompt, width)
        running = torch.ones(len(prompt), dtype=torch.bool, device=prompt.device)
        for column in range(width):
            symbol = torch.where(running, logits_BV.argmax(-1), self.spec.pad)
            answer[:, column] = symbol
            running = running & (symbol != self.spec.eos)
            if column + 1 == width or not running.any():
                break
            logits_BV, state = self.advance(symbol, state)
        return answer


def _tensor_bytes(state: Any) -> int:
    """Bytes of all tensors in nested tuples, lists and dictionaries."""
    if isinstance(state, Tensor):
        return state.numel() * state.element_size()
    if isinstance(state, dict):
        return sum(map(_tensor_bytes, state.values()))
    return sum(map(_tensor_bytes, state)) if isinstance(state, list | tuple) else 0
