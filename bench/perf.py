"""How fast models train and answer, what memory they take, and how near they come to what the machine can do.

All contenders, ours and those of other libraries, stand ready in one process and are measured in turn, round after
round, each beside a matrix product of the same moment: a shared machine drifts, and drifts for all alike. Ratios and
shares of the peak are taken within a round, then their median over rounds.

The work is the same for all: random symbols of a fixed seed, none padded, each of prompt and answer a token. A training
step is the one of `training` (loss, backward, clipping, update), without the making of data; a peer's is plain fused
AdamW. Answers are greedy and at full width, since no symbol ends them.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property, partial
from multiprocessing.connection import Connection
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench import architectures, machine
from bench.architectures import Architecture, Batch, SequenceSpec
from bench.datasets.encoding import Encoded
from bench.datasets.tokenizers import BOS, EOS, MASK, PAD
from bench.errors import UserError, reason_of
from bench.evaluation import BATCH as ANSWERED_AT_ONCE
from bench.evaluation import answer
from bench.numerics import as_in_a_cell, deterministic
from bench.optimizers import build_optimizers
from bench.peers import (
    LEARNING_RATE,
    PEERS,
    Peer,
    PeerSize,
    count_peer_flops,
    count_peer_parameters,
    fit_peer,
    get_peer,
    installed,
)
from bench.plan import Entry, Plan, sequence_spec
from bench.sizing import count_flops, count_parameters
from bench.starting import start_deaf
from bench.timing import quartiles, timed
from bench.training import autocast, update

PROMPT_WIDTH, ANSWER_WIDTH, DECODED_WIDTH = 10, 6, 8
"""Symbols of a prompt, of an answer in training, and of an answer that is written."""
NO_SYMBOL = -1
"""An end token that is never written."""
WARMUP_ROUNDS = 2
"""Rounds left out: what is allocated, compiled or cached once."""
MEMORY_STEPS = 3
"""Training steps of which the peak of memory is taken."""
OURS = {"retnet": "transformer", "looped": "transformer", "bitnet": "transformer"}
"""Architectures of ours that stand beside another of ours."""

Told = Callable[[str], None]
"""Hears what is being measured."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Where and on what all contenders are measured."""

    spec: SequenceSpec
    """of training"""
    batch: int
    """examples a training step"""
    device: str
    precision: str
    threads: int
    plugins: tuple[str, ...] = ()
    problems: int = 2_000
    """answered as evaluation answers them, some hundred at once"""
    alone: int = 8
    """answered one at a time"""

    @property
    def tokens(self) -> int:
        """Symbols of an example."""
        return self.spec.prompt_width + self.spec.answer_width

    @property
    def decoded_spec(self) -> SequenceSpec:
        """Of a model that answers."""
        return dataclasses.replace(self.spec, answer_width=DECODED_WIDTH)


def setting_of(plan: Plan, batch: int) -> Setting:
    """The default work under the device, precision and threads of a plan; its suite gives the symbols alone."""
    spec = dataclasses.replace(
        sequence_spec(plan.suite), prompt_width=PROMPT_WIDTH, answer_width=ANSWER_WIDTH, eos=NO_SYMBOL
    )
    return Setting(
        spec=spec,
        batch=batch,
        device=plan.device,
        precision=plan.precision,
        threads=plan.threads,
        plugins=plan.plugins,
    )


def random_problems(spec: SequenceSpec, count: int) -> Encoded:
    """Problems of random symbols at full width, none of them special; always the same."""
    symbols = [number for number in range(spec.vocabulary) if number not in (PAD, BOS, EOS, MASK)]
    rng = np.random.default_rng(0)
    return Encoded(
        rng.choice(symbols, (count, spec.prompt_width)),
        rng.choice(symbols, (count, spec.answer_width)),
    )


# --- contenders -------------------------------------------------------------------------------------------------------


class Contender(ABC):
    """A model, built and ready to be measured."""

    deterministic: ClassVar[bool]
    """whether torch is told to take deterministic algorithms, as cells do on the CPU"""
    optimizer: str
    decodes: bool

    def __init__(self, setting: Setting) -> None:
        self.setting, self.device = setting, torch.device(setting.device)
        examples = random_problems(setting.spec, setting.batch)
        self.batch = Batch(*(torch.from_numpy(ids).to(self.device) for ids in (examples.prompt, examples.answer)))

    @property
    @abstractmethod
    def parameters(self) -> int:
        """All trainable parameters of the model that is trained."""

    @property
    @abstractmethod
    def flops(self) -> int:
        """Of one training step, matrix products alone."""

    def numerics(self) -> AbstractContextManager[None]:
        """A context in which torch computes as this contender's users have it."""
        return deterministic(self.deterministic and self.device.type == "cpu")

    @abstractmethod
    def train(self) -> Tensor:
        """One training step; () its loss."""

    @abstractmethod
    def decode(self, problems: Encoded) -> None:
        """Answer problems."""


class Design(Protocol):
    """What it takes to build a contender, here or in another process."""

    @property
    def name(self) -> str: ...
    @property
    def counterpart(self) -> str: ...
    def build(self, setting: Setting) -> Contender: ...
    def tiny(self) -> Design:
        """The same in small, which loads all code that the large one needs."""


@dataclass(frozen=True)
class OwnDesign:
    """An architecture of ours, as a plan resolved it."""

    entry: Entry

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def counterpart(self) -> str:
        """Of the architecture itself, since it is the peers that stand beside it."""
        return ""

    def build(self, setting: Setting) -> Contender:
        return OwnContender(self.entry, setting)

    def tiny(self) -> OwnDesign:
        return OwnDesign(dataclasses.replace(self.entry, config=self.entry.cls.Config(**self.entry.cls.debug)))


class OwnContender(Contender):
    deterministic = True
    decodes = True

    def __init__(self, entry: Entry, setting: Setting) -> None:
        super().__init__(setting)
        self._entry, self.optimizer = entry, entry.training.optimizer
        self._model = entry.cls(entry.config, setting.spec).to(self.device).train()
        self._optimizers = build_optimizers(self._model, entry.training)
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=setting.precision == "16")
        self._steps = 0

    @cached_property
    def parameters(self) -> int:
        return count_parameters(self._entry.cls, self._entry.config, self.setting.spec)[0]

    @cached_property
    def flops(self) -> int:
        return self.setting.batch * count_flops(self._entry.cls, self._entry.config, self.setting.spec)

    @cached_property
    def _answering(self) -> Architecture:
        return self._entry.cls(self._entry.config, self.setting.decoded_spec).to(self.device)

    def train(self) -> Tensor:
        with autocast(self.device, self.setting.precision):
            loss = self._model.loss(self.batch, torch.Generator().manual_seed(self._steps))
        update(self._model, loss, self._optimizers, self._scaler, self._entry.training.clip)
        self._steps += 1
        return loss.mean.detach()

    def decode(self, problems: Encoded) -> None:
        answer(self._answering, problems, self.device, self.setting.precision)


@dataclass(frozen=True)
class PeerDesign:
    """A model of another library, in the size of its counterpart."""

    name: str
    size: PeerSize

    @property
    def counterpart(self) -> str:
        return get_peer(self.name).counterpart

    def build(self, setting: Setting) -> Contender:
        return PeerContender(get_peer(self.name), self.size, setting)

    def tiny(self) -> PeerDesign:
        return PeerDesign(self.name, dataclasses.replace(self.size, width=2 * self.size.heads, feedforward=None))


class PeerContender(Contender):
    deterministic, optimizer = False, "adamw"

    def __init__(self, peer: type[Peer], size: PeerSize, setting: Setting) -> None:
        super().__init__(setting)
        self._peer, self._size = peer, size
        self._model = peer(size, setting.spec).to(self.device).train()
        self._optimizer = torch.optim.AdamW(self._model.parameters(), lr=LEARNING_RATE, fused=True)
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=setting.precision == "16")
        self.decodes = peer.generate is not Peer.generate

    @cached_property
    def parameters(self) -> int:
        return count_peer_parameters(self._peer, self._size, self.setting.spec)

    @cached_property
    def flops(self) -> int:
        return self.setting.batch * count_peer_flops(self._peer, self._size, self.setting.spec)

    @cached_property
    def _answering(self) -> Peer:
        return self._peer(self._size, self.setting.decoded_spec).to(self.device).eval()

    def train(self) -> Tensor:
        self._optimizer.zero_grad(set_to_none=True)
        with autocast(self.device, self.setting.precision):
            loss = self._model.loss(self.batch.prompt, self.batch.answer)
        self._scaler.scale(loss).backward()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        return loss.detach()

    def decode(self, problems: Encoded) -> None:
        with torch.no_grad(), autocast(self.device, self.setting.precision):
            parts = [
                self._answering.generate(torch.from_numpy(prompt).to(self.device), DECODED_WIDTH)
                for prompt in np.split(problems.prompt, range(ANSWERED_AT_ONCE, len(problems.prompt), ANSWERED_AT_ONCE))
            ]
            torch.cat([part for part in parts if part is not None]).cpu()


def peer_designs(entries: Sequence[Entry], setting: Setting) -> tuple[list[PeerDesign], dict[str, str]]:
    """The peers of these architectures, and those whose package is missing: name -> what to do."""
    by_name = {entry.name: entry for entry in entries}
    found, left_out = [], {}
    for peer in PEERS:
        entry = by_name.get(peer.counterpart)
        if entry is None:
            continue
        if not installed(peer):
            package = peer.module.replace("_", "-")
            left_out[peer.name] = f"{package} is not installed here: pip install -c constraints.txt -e '.[peers]'"
            continue
        base = PeerSize(
            layers=getattr(entry.config, "layers", 1),
            heads=getattr(entry.config, "heads", 4),
            experts=getattr(entry.config, "experts", 1),
            width=1,
        )
        parameters = count_parameters(entry.cls, entry.config, setting.spec)[0]
        found.append(PeerDesign(peer.name, fit_peer(peer, base, setting.spec, parameters)))
    return found, left_out


# --- probes ---------------------------------------------------------------------------------------------------------


class MatrixProbe:
    """A large matrix product in the precision of the models: the most operations a second that this machine has."""

    def __init__(self, device: torch.device, precision: str = "32", size: int | None = None) -> None:
        size = size or (1024 if device.type == "cpu" else 8192)
        dtype = {"32": torch.float32, "bf16": torch.bfloat16, "16": torch.float16}[precision]
        self._one, self._other = (torch.rand((size, size), dtype=dtype, device=device) for _ in range(2))
        self._out = torch.empty_like(self._one)
        self._device, self._flops = device, 2 * size**3

    def rate(self) -> float:
        """Floating-point operations a second, now."""
        return self._flops / timed(lambda: torch.mm(self._one, self._other, out=self._out), self._device)


class CopyProbe:
    """A copy of what fits no cache: the most bytes a second that this machine moves."""

    def __init__(self, device: torch.device, megabytes: int | None = None) -> None:
        megabytes = megabytes or (64 if device.type == "cpu" else 1024)
        self._from = torch.zeros(megabytes * 250_000, device=device)
        self._to = torch.empty_like(self._from)
        self._device, self._bytes = device, 2 * self._from.numel() * self._from.element_size()

    def rate(self) -> float:
        """Bytes a second, read and written, now."""
        return self._bytes / timed(lambda: self._to.copy_(self._from), self._device)


class _BytesMoved(TorchDispatchMode):
    """Counts what every operator reads and writes."""

    def __init__(self) -> None:
        parent: Any = super()  # torch left its types out
        parent.__init__()
        self.total = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = function(*args, **kwargs)
        if not function.is_view:
            self.total += _bytes((args, kwargs))
            schema = function._schema
            for number, argument in enumerate(schema.arguments):
                if argument.alias_info is not None and argument.alias_info.is_write:
                    self.total += _bytes(args[number] if number < len(args) else kwargs.get(argument.name))
            if all(returned.alias_info is None for returned in schema.returns):
                self.total += _bytes(out)
        return out


def _bytes(values: Any) -> int:
    """Bytes of all tensors; what is expanded counts as often as it is stored."""
    tensors: list[Tensor] = [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
    return sum(min(t.numel() * t.element_size(), int(t.untyped_storage().nbytes())) for t in tensors)


def bytes_moved(job: Callable[[], Any]) -> int:
    """An estimate of the bytes that a job moves: every operator reads its inputs from memory and writes its outputs
    there, once. Caches make it less; an operator that keeps intermediate results makes it more.
    """
    counter = _BytesMoved()
    with counter:
        job()
    return counter.total


@dataclass
class Samples:
    """What was measured of one contender, a figure a round."""

    train_seconds: list[float] = field(default_factory=list)
    """of a training step"""
    shares: list[float] = field(default_factory=list)
    """of the probe's operations a second, just before"""
    decode_seconds: list[float] = field(default_factory=list)
    """of all problems, many at once"""
    alone_seconds: list[float] = field(default_factory=list)
    """of the problems that are answered one at a time"""


@dataclass
class Measured:
    """What was measured of all contenders, and of the machine meanwhile."""

    samples: dict[str, Samples]
    flops_per_second: list[float] = field(default_factory=list)
    """the matrix probe's, beside every contender"""
    bytes_per_second: list[float] = field(default_factory=list)
    """the copy probe's, once a round"""


def build(designs: Sequence[Design], setting: Setting, told: Told) -> tuple[dict[str, Contender], dict[str, str]]:
    """The contenders, each after its first step and answer; peers that fail: name -> the reason.

    Raises:
        UserError: an architecture of ours cannot run here.
    """
    found: dict[str, Contender] = {}
    left_out = {}
    few = random_problems(setting.decoded_spec, 2)
    for design in designs:
        told(f"{design.name}: first step")
        torch.manual_seed(0)
        try:
            contender = design.build(setting)
            with contender.numerics():
                contender.train()
                if contender.decodes:
                    contender.decode(few)
        except Exception as error:
            reason = f"cannot run here: {reason_of(error)}"
            if not design.counterpart:
                raise UserError(f"{design.name}: {reason}") from error
            left_out[design.name] = reason
            continue
        found[design.name] = contender
    return found, left_out


def measure(contenders: dict[str, Contender], setting: Setting, rounds: int, told: Told) -> Measured:
    """Time all contenders, interleaved, over so many rounds after warm-up."""
    device = torch.device(setting.device)
    matrix, copy = MatrixProbe(device, setting.precision), CopyProbe(device)
    many = random_problems(setting.decoded_spec, setting.problems)
    single = [many.rows(slice(number, number + 1)) for number in range(min(setting.alone, setting.problems))]
    found = Measured({name: Samples() for name in contenders})
    names = list(contenders)
    for number in range(-WARMUP_ROUNDS, rounds):
        told(f"round {number + 1} of {rounds}" if number >= 0 else "warm-up")
        if number == 0:
            found = Measured({name: Samples() for name in contenders})
        found.bytes_per_second.append(copy.rate())
        first = number % len(names)  # so that nobody always follows the same one
        for name in names[first:] + names[:first]:
            contender, samples = contenders[name], found.samples[name]
            rate = matrix.rate()
            found.flops_per_second.append(rate)
            with contender.numerics():
                samples.train_seconds.append(timed(contender.train, device))
                samples.shares.append(contender.flops / samples.train_seconds[-1] / rate)
                if contender.decodes:
                    samples.decode_seconds.append(timed(partial(contender.decode, many), device))
                    samples.alone_seconds.append(timed(partial(_one_by_one, contender, single), device))
    return found


def _one_by_one(contender: Contender, problems: Sequence[Encoded]) -> None:
    for problem in problems:
        contender.decode(problem)


def peak_memory_mb(design: Design, setting: Setting) -> float | None:
    """Peak memory of a training step in a process of its own, above what stood before the model was built, in MB (10^6
    bytes); None where the system does not say, or the process died.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_memory, args=(theirs, design, setting), daemon=True)
    start_deaf(child)
    theirs.close()
    try:
        peak_mb: float | None = json.loads(ours.recv_bytes())
    except EOFError:
        return None
    finally:
        child.kill()
        child.join()
        ours.close()
    return peak_mb


def _memory(connection: Connection, design: Design, setting: Setting) -> None:
    """The other process: sends its figure, or null."""
    for module in setting.plugins:
        architectures.load_plugin(module)
    with as_in_a_cell(setting.threads, setting.device):
        small = design.tiny().build(dataclasses.replace(setting, batch=1))
        with small.numerics():
            small.train()  # loads what torch and the library load on first use: it is not the model's
        del small
        memory = machine.PeakMemory(setting.device)
        contender = design.build(setting)
        with contender.numerics():
            for _ in range(MEMORY_STEPS):
                contender.train()
    connection.send_bytes(json.dumps(memory.mb()).encode())


# --- figures ----------------------------------------------------------------------------------------------------------


def figures(name: str, values: Sequence[float]) -> dict[str, Any]:
    """A median under its name, the quartiles beside it; None where nothing was measured."""
    if not values:
        return {name: None, f"{name}_quartiles": None}
    low, middle, high = quartiles(values)
    return {name: middle, f"{name}_quartiles": [low, high]}


def rows(
    contenders: dict[str, Contender],
    counterparts: dict[str, str],
    measured: Measured,
    setting: Setting,
    memory_mb: dict[str, float | None],
    moved: dict[str, int],
) -> list[dict[str, Any]]:
    """A row a contender, as `--json` prints it.

    `counterparts` names whom a contender stands beside, '' for nobody; `moved` are the bytes of a training step.
    """
    found: list[dict[str, Any]] = []
    probes = figures("probe_flops_per_second", measured.flops_per_second)
    probes |= figures("copy_bytes_per_second", measured.bytes_per_second)
    where = {"device": setting.device, "precision": setting.precision, "threads": setting.threads}
    for name, contender in contenders.items():
        samples, tokens = measured.samples[name], setting.batch * setting.tokens
        alone = min(setting.alone, setting.problems)
        row: dict[str, Any] = {"architecture": name, "counterpart": counterparts[name] or None}
        row |= {"parameters": contender.parameters, "optimizer": contender.optimizer}
        row |= figures("train_tokens_per_second", [tokens / seconds for seconds in samples.train_seconds])
        row |= figures("train_examples_per_second", [setting.batch / seconds for seconds in samples.train_seconds])
        row |= figures("decode_problems_per_second", [setting.problems / seconds for seconds in samples.decode_seconds])
        row |= figures("decode_alone_per_second", [alone / seconds for seconds in samples.alone_seconds])
        row |= {"peak_memory_mb": memory_mb.get(name), "flops_per_token": contender.flops / tokens}
        row |= figures("share_of_peak", samples.shares)
        row |= {"bytes_per_token": moved[name] / tokens, "flops_per_byte": contender.flops / moved[name]}
        row |= {"ratios": [], "left_out": None} | probes | where
        row |= {"batch": setting.batch, "rounds": len(samples.train_seconds)}
        found.append(row)
    for one, other in pairs(contenders, counterparts):
        next(row for row in found if row["architecture"] == one)["ratios"] += ratios(one, other, contenders, measured)
    return found


def left_out_row(peer: str, reason: str, keys: Sequence[str]) -> dict[str, Any]:
    """The row of a peer that could not be measured."""
    named = {"architecture": peer, "counterpart": get_peer(peer).counterpart}
    return dict.fromkeys(keys) | named | {"ratios": [], "left_out": reason}


def pairs(contenders: dict[str, Contender], counterparts: dict[str, str]) -> list[tuple[str, str]]:
    """Whom of ours to set beside whom: (ours, the other)."""
    found = [(counterpart, name) for name, counterpart in counterparts.items() if counterpart in contenders]
    return found + [(one, other) for one, other in OURS.items() if one in contenders and other in contenders]


def ratios(one: str, other: str, contenders: dict[str, Contender], measured: Measured) -> list[dict[str, Any]]:
    """How many times as fast `one` is as `other`: a token in training, an operation in training, a problem answered."""
    mine, theirs = measured.samples[one], measured.samples[other]
    faster = [b / a for a, b in zip(mine.train_seconds, theirs.train_seconds, strict=True)]
    work = contenders[one].flops / contenders[other].flops
    of = {"train, a token": faster, "train, a FLOP": [ratio * work for ratio in faster]}
    for what, column in (("decode", "decode_seconds"), ("decode alone", "alone_seconds")):
        both = zip(getattr(mine, column), getattr(theirs, column), strict=False)  # not every peer decodes
        of[what] = [b / a for a, b in both]
    return [{"to": other, "of": what} | figures("ratio", values) for what, values in of.items() if values]
