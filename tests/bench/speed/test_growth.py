"""Curves of cost: which points they have, their slopes, and which are exceptions."""

from pathlib import Path

import pytest

from bench.planning.decide import decide
from bench.planning.options import RunOptions
from bench.results.records.plan import Plan
from bench.speed import contenders, growth


@pytest.fixture(scope="module")
def plan(tiny_path: Path) -> Plan:
    names = "lstm,transformer,encoder-decoder,switch,looped"
    return decide(RunOptions(arch=names, suite=str(tiny_path), params="8k", device="cpu", threads=1), command="test")


def test_the_slope_is_the_power() -> None:
    assert growth.slope([1, 2, 4, 8], [3, 12, 48, 192]) == pytest.approx(2)
    assert growth.slope([16, 32, 64], [5, 5, 5]) == pytest.approx(0)
    assert growth.slope([10, 20, 40], [8, 4, 2]) == pytest.approx(-1)


def test_each_curve_grows_in_one_thing_alone(plan: Plan) -> None:
    setting = contenders.setting_of(plan, 64)
    for design in contenders.own_designs(plan):
        for against in growth.AXES:
            curve = [point for point in growth.points(design, setting) if point.against == against]
            assert [point.value for point in curve] == [factor * curve[0].value for factor in growth.FACTORS]
            tokens = [point.tokens / curve[0].tokens for point in curve]
            assert tokens == (list(growth.FACTORS) if against in ("length", "batch") else [1] * 4)
            assert len({point.design.config for point in curve}) == (4 if against in ("width", "depth") else 1)


def test_what_rises_faster_than_its_flops_is_named(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time grows with the square of the batch, memory in proportion; nothing else moves."""
    monkeypatch.setattr(growth, "timed", lambda job, _: float(job.__self__.setting.batch) ** 2)
    monkeypatch.setattr(growth, "peak_memory_mb", lambda _, setting: 3.0 * setting.batch)
    curves = growth.grow(contenders.own_designs(plan)[1], contenders.setting_of(plan, 16), 2, lambda _: None)
    found = {(curve["cost"], curve["against"]): curve for curve in curves}
    time, memory = found[growth.TIME, "batch"], found[growth.MEMORY, "batch"]
    assert time["values"] == [2, 4, 8, 16]
    assert time["medians"] == pytest.approx([2**2 / 32, 4**2 / 64, 8**2 / 128, 16**2 / 256])
    assert (time["slope"], time["expected_slope"]) == pytest.approx((1, 0), abs=1e-6)
    assert time["exception"]
    assert (memory["slope"], memory["exception"]) == (pytest.approx(1), False)
    width = found[growth.TIME, "width"]
    assert width["slope"] == pytest.approx(0, abs=1e-6)
    assert 1 < width["expected_slope"] < 2.1
    assert not width["exception"]


def test_memory_that_nobody_tells_is_no_curve(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "peak_memory_mb", lambda *_: None)
    design = contenders.own_designs(plan)[0]
    curve = growth.memory_curve(design, growth.points(design, contenders.setting_of(plan, 8)), lambda _: None)
    assert (curve["cost"], curve["medians"], curve["slope"], curve["exception"]) == (growth.MEMORY, [], None, False)
