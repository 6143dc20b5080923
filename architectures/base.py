"""The classes that every architecture inherits, with loss and decoding: a model gives logits for each answer column.

B batch, P prompt width, A answer width, V vocabulary

Prompts are padded on the left and answers on the right, so that in each row the answer starts at the same column:
`[pad pad 3 + 4 =][7 eos pad]`. An architecture says how likely each symbol is in each answer column; how it gets there
(by one sequence, two, a recurrence, a canvas) is known to no other module.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, get_args, get_origin, get_type_hints

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Kind = Literal["decoder", "encoder-decoder", "masked"]
LEAST_ENDED = 1 / 4
"""Share of a batch whose answers must have ended before these leave it: the state of the others is then copied."""


@dataclass(frozen=True, kw_only=True)
class SequenceSpec:
    """All that an architecture knows of the data."""

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
    texts: tuple[str, ...] = ()
    """V, the text of each id, for an architecture with a tokenizer of its own; those of special tokens mean nothing"""
    tokenize: Callable[[str], list[int]] | None = None
    """gives the ids of a text of such symbols"""


@dataclass(frozen=True)
class Batch:
    """Token ids: `prompt` (B, P) padded on the left, `answer` (B, A) with its end token, padded on the right."""

    prompt: Tensor
    answer: Tensor


@dataclass(frozen=True)
class Loss:
    """`nll_sum` () is the sum of the negative log-likelihoods, in nats, of `count` () scored symbols; `auxiliary` () is
    added to their mean (a load-balance loss, say).
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
    """Base of all configs, which are frozen and keyword-only and have a docstring under each field.

    The two fields that `size_fields` names decide how many parameters a model has: the first moves their number in
    large steps, the second in small ones. The second is None where it follows from the first. A model that comes with
    its weights names none: its size is given.
    """

    size_fields: ClassVar[tuple[str, ...]]
    required: ClassVar[tuple[str, ...]] = ()
    """fields that a user must set, since they have no default"""
    depth_field: ClassVar[str] = "layers"
    """the field that says how deep a model is, which `tune` searches for every architecture that has one"""
    search: ClassVar[dict[str, tuple[Any, ...]]] = {}
    """what `tune` searches for this architecture alone: at most six fields, neither depth nor size, and their choices;
    the field's default is among them"""
    published: ClassVar[dict[str, Any]] = {}
    """fields whose default is not what the paper has, and what the paper has there"""
    faithful: ClassVar[tuple[str, ...]] = ()
    """fields that keep their defaults, since the architecture's name stands for them"""

    def __post_init__(self) -> None:
        cls: Any = type(self)
        for name, choices in _choices(cls).items():
            if (value := getattr(self, name)) not in choices:
                raise ValueError(f"{name} '{value}': must be one of {', '.join(choices)}")
        for name in self.faithful:
            if (value := getattr(self, name)) != (default := getattr(cls, name)):
                raise ValueError(f"{name} {value}: is {default} in this architecture; others have it to choose")

    @property
    def size_step(self) -> int:
        """What the first size field must be a multiple of."""
        return 1

    @property
    def depth(self) -> int:
        """Layers that a symbol passes; by default what `depth_field` says, 0 where a config has no such field."""
        return getattr(self, self.depth_field, 0)

    @property
    def training(self) -> Mapping[str, Any]:
        """Training settings that such a model starts from in place of the usual ones; by default none."""
        return {}

    def settled(self) -> Self:
        """The config as a plan keeps it, with all that could change before the run written down; by default itself.

        Raises ValueError where the model cannot be loaded.
        """
        return self

    def in_cell(self, directory: Path, model_at: Path | None) -> Self:
        """The config that builds the model whose weights lie in the folder of a cell; by default itself.

        `model_at`: where the model lies that it was trained from, if not where the config says. Raises ValueError
        where another one lies there.
        """
        return self


@cache
def _choices(cls: Any) -> dict[str, tuple[str, ...]]:
    """The fields of a config that take one of several words, and these."""
    hints = {name: hint for name, hint in get_type_hints(cls).items() if get_origin(hint) is Literal}
    return {field.name: get_args(hints[field.name]) for field in fields(cls) if field.name in hints}


@dataclass(frozen=True, kw_only=True)
class BlocksConfig(Config):
    """Base of the configs of models of blocks that have a feed-forward part."""

    size_fields: ClassVar = ("width", "feedforward")

    layers: int = 2
    """blocks"""
    width: int = 64
    """D, size of the residual stream"""
    feedforward: int | None = None
    """F; None is 4 x width"""
    dropout: float = 0.0
    """share of activations dropped after the embedding and at the end of each residual branch"""


@dataclass(frozen=True, kw_only=True)
class HeadsConfig(BlocksConfig):
    """Base of the configs of models whose blocks have heads too."""

    search: ClassVar = {"heads": (2, 4, 8)}

    heads: int = 4
    """attention heads in each block"""
    width: int = 64
    """D, a multiple of `heads`"""
    dropout: float = 0.0
    """share of activations dropped after the embedding, in attention and at the end of each residual branch"""

    @property
    def size_step(self) -> int:
        return self.heads


class Architecture(nn.Module, ABC):
    """Models answers given prompts. An author inherits `Autoregressive` or `MaskedInfilling`, and writes `logits`."""

    name: ClassVar[str]
    """as typed after `--arch`"""
    family: ClassVar[str]
    """shown to people; nothing depends on it"""
    kind: ClassVar[Kind]
    """how it reads and writes: prompt and answer as one sequence, as two, or the answer as a canvas of masks"""
    year: ClassVar[int]
    paper: ClassVar[str]
    Config: ClassVar[type[Config]]
    """the class of its settings"""
    debug: ClassVar[dict[str, Any]]
    """config values of a model of about a thousand parameters, for tests"""
    stacked: ClassVar[dict[str, int]] = {}
    """parameters that stack several matrices by rows, such as the gates of a recurrent cell: a pattern of their names
    (`*` is any text), and how many matrices"""
    curve_problems: ClassVar[int] = 1000
    """how many validation problems it is asked, at most, for each point of its learning curve"""

    def __init__(self, config: Any, spec: SequenceSpec) -> None:
        """Raises ValueError where the first size field is no multiple of the config's `size_step`, or dropout not in
        [0, 1).
        """
        super().__init__()
        for name in config.size_fields[:1]:
            if (value := getattr(config, name)) % config.size_step:
                heads = f" with {config.heads} heads" if hasattr(config, "heads") else ""
                raise ValueError(f"{name} {value}: must be a multiple of {config.size_step}{heads}")
        dropout = getattr(config, "dropout", None)
        if isinstance(dropout, float) and not 0 <= dropout < 1:
            raise ValueError(f"dropout {dropout}: must be at least 0 and less than 1")
        self.config, self.spec = config, spec

    @abstractmethod
    def loss(self, batch: Batch, rng: torch.Generator) -> Loss:
        """The training loss of a batch; all randomness (dropout, masks) comes from `rng`."""

    @abstractmethod
    def generate(self, prompt: Tensor, width: int) -> Tensor:
        """(B, P) -> (B, width) greedy answers: symbols, the end token, then pads."""

    @abstractmethod
    def likelihoods(self, prompt: Tensor, answer: Tensor) -> Tensor:
        """(B, P), (B, A) -> (B, A) probability of each symbol of an answer, given the prompt and the symbols before it.

        Their product up to the end token is the probability of the whole answer.
        """

    def write_beside(self, directory: Path) -> None:
        """Write into the folder of a cell what `Config.in_cell` needs there beside the weights; by default nothing."""

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

    def training_flops(self) -> int | None:
        """Floating-point operations of one example's training: matrix products, forward and backward, at full widths.

        By default None: bench counts them itself. A class whose shapes depend on data cannot be counted without any.
        """
        return None

    def auxiliary_loss(self, like: Tensor) -> Tensor:
        """() what the last call of `logits` adds to the mean loss; by default nothing."""
        return torch.zeros_like(like)


class Autoregressive(Architecture):
    """Writes the answer symbol by symbol: answer column a depends on the prompt and on answer[:, :a] only."""

    kind: ClassVar[Kind] = "decoder"

    @abstractmethod
    def logits(self, prompt: Tensor, answer: Tensor) -> Tensor:
        """(B, P), (B, A) -> (B, A, V); logits[b, a] scores answer[b, a]."""

    def loss(self, batch: Batch, rng: torch.Generator) -> Loss:
        with self.seeded(rng):
            logits_BAV = self.logits(batch.prompt, batch.answer)
        check_logits(logits_BAV, batch, self.spec)
        scored_BA = batch.answer != self.spec.pad
        nll_sum = nll_sum_of(logits_BAV, batch.answer, scored_BA)
        return Loss(nll_sum, scored_BA.sum(), self.auxiliary_loss(nll_sum))

    @torch.no_grad()
    def likelihoods(self, prompt: Tensor, answer: Tensor) -> Tensor:
        return likelihoods_of(self.logits(prompt, answer), answer)

    def begin(self, prompt: Tensor, width: int) -> tuple[Tensor, Any]:
        """(B, P) -> logits (B, V) of the first answer symbol, and a state for `advance`.

        By default the state is the answer so far and each step runs `logits` again; a class with a cache or a
        recurrent state overrides both methods.
        """
        answer = prompt.new_full((len(prompt), width), self.spec.pad)
        return self.logits(prompt, answer)[:, 0], (prompt, answer, 0)

    def advance(self, symbol: Tensor, state: Any) -> tuple[Tensor, Any]:
        """(B,) the symbol just written -> logits (B, V) of the next, and the new state.

        The state given is used up: what it holds may be written over.
        """
        prompt, answer, column = state
        answer = answer.clone()
        answer[:, column] = symbol
        return self.logits(prompt, answer)[:, column + 1], (prompt, answer, column + 1)

    def keep(self, rows: Tensor, state: Any) -> Any:
        """(R,) rows of the batch that go on -> their state, such as `begin` and `advance` give.

        By default the first dimension of all tensors in it is the batch.
        """
        return map_tensors(lambda tensor: tensor.index_select(0, rows), state)

    @torch.no_grad()
    def state_bytes(self, prompt: Tensor) -> int:
        _, state = self.begin(prompt, self.spec.answer_width)
        for _ in range(self.spec.answer_width - 1):
            _, state = self.advance(prompt[:, -1], state)
        sizes: list[int] = []
        map_tensors(lambda tensor: sizes.append(tensor.numel() * tensor.element_size()), state)
        return sum(sizes)

    @torch.no_grad()
    def generate(self, prompt: Tensor, width: int) -> Tensor:
        """Rows whose answer has ended leave the batch once they are `LEAST_ENDED` of it."""
        answer_BA = prompt.new_full((len(prompt), width), self.spec.pad)
        logits_RV, state = self.begin(prompt, width)
        rows_R = torch.arange(len(prompt), device=prompt.device)  # those still in the batch
        running_R = torch.ones_like(rows_R, dtype=torch.bool)
        for column in range(width):
            symbol_R = torch.where(running_R, logits_RV.argmax(-1), self.spec.pad)
            answer_BA[rows_R, column] = symbol_R
            running_R = running_R & (symbol_R != self.spec.eos)
            running = int(running_R.sum())
            if column + 1 == width or not running:
                break
            if len(rows_R) - running >= LEAST_ENDED * len(rows_R):
                staying = running_R.nonzero()[:, 0]
                rows_R, symbol_R, running_R = rows_R[staying], symbol_R[staying], running_R[staying]
                state = self.keep(staying, state)
            logits_RV, state = self.advance(symbol_R, state)
        return answer_BA


def likelihoods_of(logits_BAV: Tensor, answer_BA: Tensor) -> Tensor:
    """(B, A) probability of each symbol, in float32 at least."""
    return probabilities(logits_BAV).gather(-1, answer_BA.unsqueeze(-1)).squeeze(-1)


def probabilities(logits_BAV: Tensor) -> Tensor:
    """(B, A, V) of all symbols, in float32 at least: what is nearly sure would be a tie in less."""
    return logits_BAV.to(torch.promote_types(logits_BAV.dtype, torch.float32)).softmax(dim=-1)


def check_logits(logits_BAV: Tensor, batch: Batch, spec: SequenceSpec) -> None:
    """Raises ValueError unless what `logits` gave has a row a problem, a column a symbol, and a number a vocabulary."""
    shape = *batch.answer.shape, spec.vocabulary
    if not isinstance(logits_BAV, Tensor):
        raise ValueError(f"logits gives a {type(logits_BAV).__name__}, not a tensor (B, A, V)")
    if logits_BAV.shape != shape:
        raise ValueError(f"its logits have shape {tuple(logits_BAV.shape)}; (B, A, V) is {shape}")


def nll_sum_of(logits_BAV: Tensor, answer_BA: Tensor, scored_BA: Tensor) -> Tensor:
    """() negative log-likelihood of the scored symbols in nats, in float32 at least."""
    unscored = -100
    return F.cross_entropy(
        logits_BAV.flatten(0, 1).to(torch.promote_types(logits_BAV.dtype, torch.float32)),
        answer_BA.masked_fill(~scored_BA, unscored).flatten(),
        ignore_index=unscored,
        reduction="sum",
    )


def map_tensors(function: Callable[[Tensor], Any], state: Any) -> Any:
    """Nested tuples, lists and dictionaries with each tensor replaced by what `function` makes of it."""
    if isinstance(state, Tensor):
        return function(state)
    if isinstance(state, dict):
        return {key: map_tensors(function, value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(map_tensors(function, value) for value in state)
    return state


def last_columns(x: Tensor, count: int, dim: int = 1) -> Tensor:
    """The last `count` columns. All of them are x itself: the gradient of a slice is copied into zeros."""
    return x if count == x.shape[dim] else x.narrow(dim, -count, count)
