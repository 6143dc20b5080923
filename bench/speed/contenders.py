"""The models that `perf` measures, ours and those of other libraries, ready for the same work.

The work is the same for all: random symbols of a fixed seed, none padded, each of prompt and answer a token. A training
step is the one of `training` (loss, backward, clipping, update), without the making of data; a peer's is plain fused
AdamW. Answers are greedy and at full width, since no symbol ends them.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from bench import architectures
from bench.architectures import Architecture, Batch, Config, SequenceSpec
from bench.datasets.writing.encoding import Encoded
from bench.datasets.writing.tokenizers import BOS, EOS, MASK, PAD
from bench.errors import reason_of
from bench.numerics import deterministic
from bench.plan import config_of, sequence_spec, suite_of, training_of
from bench.planning.settings import TrainingSettings
from bench.planning.sizing import count_flops, count_parameters
from bench.results.records.plan import Plan
from bench.running.evaluation import BATCH as ANSWERED_AT_ONCE
from bench.running.evaluation import answer
from bench.running.optimizers import build_optimizers
from bench.running.training import autocast, update
from bench.speed.peers import (
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

PROMPT_WIDTH, ANSWER_WIDTH, DECODED_WIDTH = 10, 6, 8
"""Symbols of a prompt, of an answer in training, and of an answer that is written."""
NO_SYMBOL = -1
"""An end token that is never written."""


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
        """The spec of a model that answers."""
        return dataclasses.replace(self.spec, answer_width=DECODED_WIDTH)


def setting_of(plan: Plan, batch: int) -> Setting:
    """The default work under the device, precision and threads of a plan; its suite gives the symbols alone."""
    spec = dataclasses.replace(
        sequence_spec(suite_of(plan)), prompt_width=PROMPT_WIDTH, answer_width=ANSWER_WIDTH, eos=NO_SYMBOL
    )
    return Setting(
        spec=spec,
        batch=batch,
        device=plan.settings.device,
        precision=plan.settings.precision,
        threads=plan.settings.threads,
        plugins=tuple(plan.plugins),
    )


def random_problems(spec: SequenceSpec, count: int) -> Encoded:
    """Problems of random symbols at full width, none of them special; always the same."""
    symbols = [number for number in range(spec.vocabulary) if number not in (PAD, BOS, EOS, MASK)]
    rng = np.random.default_rng(0)
    return Encoded(rng.choice(symbols, (count, spec.prompt_width)), rng.choice(symbols, (count, spec.answer_width)))


class Contender(ABC):
    """A model, built and ready to be measured."""

    deterministic: ClassVar[bool]
    """whether torch is told to take deterministic algorithms, as cells do on the CPU"""
    optimizer: str
    decodes: bool

    def __init__(self, setting: Setting) -> None:
        self.setting, self.device = setting, torch.device(setting.device)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=setting.precision == "16")
        examples = random_problems(setting.spec, setting.batch)
        self.batch = Batch(*(torch.from_numpy(ids).to(self.device) for ids in (examples.prompt, examples.answer)))

    @property
    @abstractmethod
    def parameters(self) -> int:
        """All trainable parameters of the model that is trained."""

    @property
    @abstractmethod
    def flops(self) -> int:
        """Operations of one training step, matrix products alone."""

    def numerics(self) -> AbstractContextManager[None]:
        """A context in which torch computes as this contender's users have it."""
        return deterministic(self.deterministic and self.device.type == "cpu")

    @abstractmethod
    def train(self) -> Tensor:
        """One training step; () its loss."""

    @abstractmethod
    def decode(self, problems: Encoded) -> None:
        """Answer problems."""


@dataclass(frozen=True)
class OwnDesign:
    """An architecture of ours, with the settings of a plan."""

    name: str
    config: Config
    training: TrainingSettings
    counterpart: ClassVar[str] = ""
    """nothing: a peer names the architecture that it is compared with"""

    @property
    def cls(self) -> type[Architecture]:
        return architectures.get(self.name)

    def build(self, setting: Setting) -> Contender:
        return OwnContender(self, setting)

    def tiny(self) -> OwnDesign:
        """The same in small, which loads all code that the large one needs."""
        return dataclasses.replace(self, config=self.cls.Config(**self.cls.debug))


def own_designs(plan: Plan) -> list[OwnDesign]:
    """The architectures of a plan."""
    return [OwnDesign(name, config_of(name, each), training_of(each)) for name, each in plan.entries.items()]


class OwnContender(Contender):
    deterministic = True
    decodes = True

    def __init__(self, design: OwnDesign, setting: Setting) -> None:
        super().__init__(setting)
        self._design, self.optimizer = design, design.training.optimizer
        self._model = design.cls(design.config, setting.spec).to(self.device).train()
        self._optimizers = build_optimizers(self._model, design.training)
        self._steps = 0

    @cached_property
    def parameters(self) -> int:
        return count_parameters(self._design.cls, self._design.config, self.setting.spec)[0]

    @cached_property
    def flops(self) -> int:
        return self.setting.batch * count_flops(self._design.cls, self._design.config, self.setting.spec)

    @cached_property
    def _answering(self) -> Architecture:
        return self._design.cls(self._design.config, self.setting.decoded_spec).to(self.device)

    def train(self) -> Tensor:
        with autocast(self.device, self.setting.precision):
            loss = self._model.loss(self.batch, torch.Generator().manual_seed(self._steps))
        update(self._model, loss, self._optimizers, self.scaler, self._design.training.clip)
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
        self.scaler.scale(loss).backward()
        self.scaler.step(self._optimizer)
        self.scaler.update()
        return loss.detach()

    def decode(self, problems: Encoded) -> None:
        with torch.no_grad(), autocast(self.device, self.setting.precision):
            parts = [
                self._answering.generate(torch.from_numpy(prompt).to(self.device), DECODED_WIDTH)
                for prompt in np.split(problems.prompt, range(ANSWERED_AT_ONCE, len(problems.prompt), ANSWERED_AT_ONCE))
            ]
            torch.cat([part for part in parts if part is not None]).cpu()


Design = OwnDesign | PeerDesign
"""What it takes to build a contender, here or in another process."""


def peer_designs(designs: Sequence[OwnDesign], setting: Setting) -> tuple[list[PeerDesign], dict[str, str]]:
    """The peers of these architectures, and those whose package is missing or cannot be used: name -> why."""
    by_name = {design.name: design for design in designs}
    found, left_out = [], {}
    for peer in PEERS:
        design = by_name.get(peer.counterpart)
        if design is None:
            continue
        if not installed(peer):
            package = peer.module.replace("_", "-")
            left_out[peer.name] = f"{package} is not installed here: pip install -c constraints.txt -e '.[peers]'"
            continue
        base = PeerSize(
            layers=getattr(design.config, "layers", 1),
            heads=getattr(design.config, "heads", 4),
            experts=getattr(design.config, "experts", 1),
            width=1,
        )
        parameters = count_parameters(design.cls, design.config, setting.spec)[0]
        try:
            found.append(PeerDesign(peer.name, fit_peer(peer, base, setting.spec, parameters)))
        except Exception as error:  # whatever another library does
            left_out[peer.name] = f"cannot run here: {reason_of(error)}"
    return found, left_out
