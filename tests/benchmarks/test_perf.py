"""What `perf` measures, one by one: a training step and 2,000 answers of every architecture and peer, and the probes.

Left out of a plain test run. To keep the figures of today and hold those of tomorrow against them:

    python -m pytest -o addopts= --import-mode=importlib --benchmark-only tests/benchmarks --benchmark-save=NAME
    pytest-benchmark compare --group-by=fullname

At 100,000 parameters, on all cores of this machine, in wall time. For ratios take `python -m bench perf --peers`: there
all are measured in turn, so that a drifting machine meets all alike.
"""

import functools
from typing import Any

import pytest
import torch

from bench import machine
from bench.architectures import from_scratch
from bench.numerics import as_in_a_cell
from bench.planning.decide import decide
from bench.planning.options import RunOptions
from bench.results.records.plan import Plan
from bench.speed.contenders import Design, Setting, own_designs, peer_designs, random_problems, setting_of
from bench.speed.peers import PEERS, Peer, get_peer
from bench.speed.perf import WARMUP_ROUNDS, peak_memory_mb
from bench.speed.probes import CopyProbe, MatrixProbe

ROUNDS = 20
DECODING = tuple(peer.name for peer in PEERS if peer.generate is not Peer.generate)


@functools.cache
def plan(architecture: str) -> Plan:
    options = RunOptions(arch=architecture, device="cpu", threads=machine.cores(), set=("optimizer=adamw",))
    return decide(options, command="test")


def built(name: str) -> tuple[Design, Setting]:
    """An architecture or a peer by name, and the default work."""
    if name in from_scratch():
        return own_designs(plan(name))[0], setting_of(plan(name), 256)
    mine = plan(get_peer(name).counterpart)
    setting = setting_of(mine, 256)
    designs, _ = peer_designs(own_designs(mine), setting)
    return next(design for design in designs if design.name == name), setting


@pytest.mark.benchmark(group="train")
@pytest.mark.parametrize("name", [*from_scratch(), *(peer.name for peer in PEERS)])
def test_training_step(benchmark: Any, name: str) -> None:
    design, setting = built(name)
    with as_in_a_cell(setting.threads, setting.device):
        contender = design.build(setting)
        with contender.numerics():
            loss = benchmark.pedantic(contender.train, rounds=ROUNDS, warmup_rounds=WARMUP_ROUNDS)
    benchmark.extra_info |= {
        "parameters": contender.parameters,
        "tokens": setting.batch * setting.tokens,
        "flops": contender.flops,
        "peak_memory_mb": peak_memory_mb(design, setting),
    }
    assert torch.isfinite(loss)


@pytest.mark.benchmark(group="decode")
@pytest.mark.parametrize("alone", [False, True], ids=["many", "alone"])
@pytest.mark.parametrize("name", [*from_scratch(), *DECODING])
def test_answers(benchmark: Any, name: str, alone: bool) -> None:
    design, setting = built(name)
    problems = random_problems(setting.decoded_spec, 1 if alone else setting.problems)
    with as_in_a_cell(setting.threads, setting.device):
        contender = design.build(setting)
        with contender.numerics():
            benchmark.pedantic(contender.decode, (problems,), rounds=ROUNDS, warmup_rounds=1)
    benchmark.extra_info |= {"parameters": contender.parameters, "problems": len(problems.prompt)}


@pytest.mark.benchmark(group="probe")
@pytest.mark.parametrize("probe", [MatrixProbe, CopyProbe])
def test_probe(benchmark: Any, probe: Any) -> None:
    with as_in_a_cell(machine.cores(), "cpu"):
        rate = benchmark.pedantic(probe(torch.device("cpu")).rate, rounds=ROUNDS, warmup_rounds=2)
    benchmark.extra_info["rate"] = rate
    assert rate > 0
