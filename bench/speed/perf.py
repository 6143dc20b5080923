"""How fast models train and answer, what memory they take, and how near they come to what the machine can do.

All contenders, ours and those of other libraries, stand ready in one process and are measured in turn, round after
round, each beside a matrix product of the same moment: a shared machine drifts, and drifts for all alike. Ratios and
shares of the peak are taken within a round, then their median over rounds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from bench import architectures, machine
from bench.child import Child, Parent
from bench.datasets.writing.encoding import Encoded
from bench.errors import UserError, reason_of
from bench.numerics import as_in_a_cell
from bench.results.records.plan import Plan
from bench.speed.contenders import Contender, Design, Setting, own_designs, peer_designs, random_problems
from bench.speed.peers import get_peer
from bench.speed.probes import CopyProbe, MatrixProbe, bytes_moved
from bench.timing import quartiles, timed

WARMUP_ROUNDS = 2
"""Rounds left out: what is allocated, compiled or cached once."""
MEMORY_STEPS = 3
"""Training steps of which the peak of memory is taken."""
OURS = {"retnet": "transformer", "looped": "transformer", "bitnet": "transformer"}
"""Architectures of ours that are compared with another of ours."""

Show = Callable[[str], None]
"""Shows the user what is being measured."""


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


def speeds(plan: Plan, setting: Setting, rounds: int, peers: bool, show: Show) -> list[dict[str, Any]]:
    """A row an architecture of a plan and, if asked for, a peer, as `--json` prints it; those left out last.

    Raises:
        UserError: an architecture of ours cannot run here.
    """
    ours = own_designs(plan)
    designs: list[Design] = [*ours]
    left_out: dict[str, str] = {}
    with as_in_a_cell(setting.threads, setting.device):
        if peers:
            found, left_out = peer_designs(ours, setting)
            designs += found
        contenders, failed = build(designs, setting, show)
        designs = [design for design in designs if design.name in contenders]
        measured = measure(contenders, setting, rounds, show)
        moved = {}
        for name, contender in contenders.items():
            with contender.numerics():
                moved[name] = bytes_moved(contender.train)
    memory_mb = {}
    for design in designs:
        show(f"{design.name}: memory")
        memory_mb[design.name] = peak_memory_mb(design, setting)
    counterparts = {design.name: design.counterpart for design in designs}
    table = rows(contenders, counterparts, measured, setting, memory_mb, moved)
    for name, reason in (left_out | failed).items():
        missing = {"architecture": name, "counterpart": get_peer(name).counterpart, "ratios": [], "left_out": reason}
        table.append(dict.fromkeys(table[0]) | missing)
    return table


def build(designs: Sequence[Design], setting: Setting, show: Show) -> tuple[dict[str, Contender], dict[str, str]]:
    """The contenders, each after its first step and answer; peers that fail: name -> the reason.

    Raises:
        UserError: an architecture of ours cannot run here.
    """
    found: dict[str, Contender] = {}
    left_out = {}
    few = random_problems(setting.decoded_spec, 2)
    for design in designs:
        show(f"{design.name}: first step")
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


def measure(contenders: dict[str, Contender], setting: Setting, rounds: int, show: Show) -> Measured:
    """Time all contenders, interleaved, over so many rounds after warm-up."""
    device = torch.device(setting.device)
    matrix, copy = MatrixProbe(device, setting.precision), CopyProbe(device)
    many = random_problems(setting.decoded_spec, setting.problems)
    single = [many.rows(slice(number, number + 1)) for number in range(min(setting.alone, setting.problems))]
    found = Measured({name: Samples() for name in contenders})
    names = list(contenders)
    for number in range(-WARMUP_ROUNDS, rounds):
        show(f"round {number + 1} of {rounds}" if number >= 0 else "warm-up")
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
    with closing(Child(_memory, design, setting)) as child:
        peak_mb: float | None = child.receive()
    return peak_mb


def _memory(parent: Parent, design: Design, setting: Setting) -> None:
    """What the process does: it sends its figure."""
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
    parent.send(memory.mb())


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

    `counterparts` names what a contender is compared with, '' for nothing; `moved` are the bytes of a training step.
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


def pairs(contenders: dict[str, Contender], counterparts: dict[str, str]) -> list[tuple[str, str]]:
    """The models that are compared: (ours, the other)."""
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
