"""What a preset was tuned for, what a suite asks of all, a file of settings, sizes: as a plan takes them."""

from pathlib import Path
from typing import Any

import pytest
from places import PUBLISHED
from tiny import TINY

from bench import architectures
from bench.architectures import get
from bench.datasets.shipped import SUITES
from bench.datasets.suites import load_suite
from bench.errors import UserError
from bench.planning.amounts import parse_budget
from bench.planning.decide import cells_at_once, decide
from bench.planning.options import RunOptions
from bench.planning.settings import PRESETS, SetFile, Tuned, presets
from bench.results.records.plan import PlannedArchitecture


def entry(**options: Any) -> PlannedArchitecture:
    chosen = RunOptions(threads=1, **({"arch": "lstm", "suite": "addition3"} | options))
    return next(iter(decide(chosen, command="test").entries.values()))


def preset(budget: str, suite: str = "addition3", parameters: int = 100_000, **settings: Any) -> SetFile:
    """What `tune` would have written for an LSTM."""
    tuned = Tuned(
        suite=suite,
        suite_hash=load_suite(suite).hash,
        parameters=parameters,
        match="total",
        budget=budget,
        precision="32",
        trials=12,
        trial_budget="examples=50000",
    )
    return SetFile(f"preset {budget}", {"lstm": settings}, tuned)


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    files = (preset("examples=1000000", layers=2, batch=64), preset("examples=200000", layers=2, batch=32))
    monkeypatch.setattr("bench.planning.decide.presets", lambda: files)


@pytest.mark.usefixtures("shipped")
def test_a_preset_is_taken_and_tuned_only_for_what_it_names() -> None:
    plain = entry()
    assert plain.tuned
    assert (plain.training["batch"], plain.config["layers"]) == (32, 2)
    assert entry(budget="examples=1M").training["batch"] == 64
    for other in (
        {"budget": "examples=100k"},
        {"params": "50k"},
        {"set": ("lr=0.01",)},
        {"training_problems": "5k"},
        {"precision": "bf16"},
    ):
        assert not entry(**other).tuned, other
    assert entry(set=("passes=6",), arch="lstm,masked-encoder").tuned  # a setting that it does not have


def test_a_suite_without_a_preset_takes_that_of_the_default_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    files = (
        preset("examples=200000", batch=32),
        preset("examples=300000", suite="quick", parameters=50_000, batch=64),
        preset("examples=300000", suite="standard", batch=16),
    )
    monkeypatch.setattr("bench.planning.decide.presets", lambda: files)
    assert [entry(suite=suite).training["batch"] for suite in ("addition3", "addition2", "standard")] == [32, 64, 16]
    monkeypatch.setattr("bench.planning.decide.presets", lambda: files[:1])
    assert entry(suite="addition2").training["batch"] == 32


@pytest.mark.usefixtures("shipped")
def test_another_suite_of_the_same_name_is_not_what_a_preset_was_tuned_for(tmp_path: Path) -> None:
    text = (SUITES / "addition3.toml").read_text(encoding="utf-8")
    same, other = tmp_path / "same.toml", tmp_path / "other.toml"
    same.write_text(text, encoding="utf-8")
    other.write_text(text.replace("3x3", "2x2"), encoding="utf-8")
    assert entry(suite=str(same)).tuned
    assert not entry(suite=str(other)).tuned


def test_unknown_keys_of_presets_and_suites_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = tmp_path / "typo.toml"
    suite.write_text(TINY + "[defaults.settings]\nwidht = 40\n", encoding="utf-8")
    with pytest.raises(UserError, match="suite tiny: settings widht: unknown; did you mean 'width'"):
        entry(suite=str(suite))
    monkeypatch.setattr("bench.planning.decide.presets", lambda: (preset("examples=200000", layer=2),))
    with pytest.raises(UserError, match=r"preset examples=200000 \[lstm\] layer: unknown; did you mean 'layers'"):
        entry()


def test_the_shipped_presets_are_what_published_searches_wrote_of_all_and_of_their_suites_as_they_are() -> None:
    published = PUBLISHED
    ours = [cls.name for cls in architectures.from_scratch().values() if cls.__module__.startswith("bench.")]
    for path, file in zip(sorted(PRESETS.glob("*.toml")), presets(), strict=True):
        assert path.read_bytes() == (published / f"tuning-{path.stem}" / "tune.toml").read_bytes()
        missing = set(ours) - set(file.tables)
        assert not missing, f"{missing} not tuned on {path.stem}: CONTRIBUTING.md, Add an architecture, 4"
        assert set(file.tables) == set(ours)
        plan = decide(RunOptions(arch=",".join(file.tables), suite=path.stem, threads=1), command="test")
        assert all(entry.tuned for entry in plan.entries.values())


def test_a_size_field_that_a_suite_sets_stays(tmp_path: Path) -> None:
    suite = tmp_path / "narrow.toml"
    suite.write_text(TINY + "[defaults.settings]\nwidth = 11\nlayers = 2\n", encoding="utf-8")
    assert entry(suite=str(suite)).config["width"] == 11


def test_a_wrong_budget_of_a_suite_is_named_as_the_suites(tmp_path: Path) -> None:
    suite = tmp_path / "budget.toml"
    suite.write_text(TINY.replace("examples=600", "epochs=3"), encoding="utf-8")
    with pytest.raises(UserError, match=r"suite tiny: defaults\.budget 'epochs=3': expected one of examples=N"):
        entry(suite=str(suite))


def test_a_mistake_in_an_architecture_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(get("lstm"), "logits", broken)
    with pytest.raises(UserError, match="lstm: KeyError: 'oops'"):
        entry()


def test_the_later_of_preset_suite_file_and_set_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = preset("examples=600", lr=0.1, outer_lr=0.1, batch=10, warmup=0.1)
    monkeypatch.setattr("bench.planning.decide.presets", lambda: (shipped,))
    suite, file = tmp_path / "tiny.toml", tmp_path / "set.toml"
    suite.write_text(TINY + "[defaults.settings]\nouter_lr = 0.2\nbatch = 20\nwarmup = 0.2\n", encoding="utf-8")
    file.write_text("[lstm]\nbatch = 30\nwarmup = 0.3\nwidth = 11\n", encoding="utf-8")
    found = entry(suite=str(suite), set_file=file, set=("warmup=0.4",))
    training = found.training
    chosen = {name: training[name] for name in ("lr", "outer_lr", "batch", "warmup")}
    assert chosen == {"lr": 0.1, "outer_lr": 0.2, "batch": 30, "warmup": 0.4}
    assert found.config["width"] == 11  # a size field that the file sets stays
    assert not found.tuned
    assert entry(suite=str(suite), set_file=file, budget="steps=5").training["batch"] == 32  # the suite's, for all


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("[lsmt]\nlr = 0.1", r"\[lsmt\]: no architecture has that name; did you mean 'lstm'"),
        ("[lstm]\nbatsch = 1", r"\[lstm\] batsch: unknown; did you mean 'batch'"),
        ("[lstm]\nheads = 4", r"\[lstm\] heads: unknown"),
        ("[lstm]\n[transformer]\nhaeds = 4", r"\[transformer\] haeds: unknown; did you mean 'heads'"),
        ("[lstm]\nlr = -1", r"\[lstm\]: lr -1.0: must be above 0"),
        ("[transformer]\nheads = 4", "has no table for lstm"),
    ],
)
def test_what_a_settings_file_gets_wrong_is_named(text: str, rule: str, tmp_path: Path) -> None:
    file = tmp_path / "set.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=rule):
        entry(set_file=file)


def test_a_size_that_cannot_be_met_is_refused_with_the_nearest_or_marked_unequal() -> None:
    with pytest.raises(UserError, match=r"lstm: 100 parameters cannot be met within 2%; the nearest is [1-9]"):
        entry(params="100", set=("layers=2",))
    assert entry(params="100", set=("layers=2",), unequal=True).match == "unequal"
    assert entry(unequal=True).match == "total"  # met, so that there is nothing to mark


def test_active_parameters_may_be_held_equal_instead_of_all() -> None:
    for match in ("total", "active"):
        found = entry(arch="switch", match=match)
        assert found.match == match
        assert found.active_parameters < found.parameters
        held = found.parameters if match == "total" else found.active_parameters
        assert abs(held / 100_000 - 1) <= 0.02


def test_an_early_end_is_part_of_the_plan() -> None:
    options = [RunOptions(arch="lstm", suite="addition3", threads=1, stop_when_flat=n) for n in (None, 3, 4)]
    assert len({decide(some, command="test").plan_hash for some in options}) == 3
    with pytest.raises(UserError, match="--stop-when-flat 0: expected a number of validations from 1 on"):
        entry(stop_when_flat=0)


@pytest.mark.parametrize(
    ("asked", "threads", "at_once"),
    [
        ({}, 1, 6),
        ({"threads": 2}, 2, 3),
        ({"threads": 8}, 8, 1),
        ({"cells_at_once": 1}, 6, 1),
        ({"cells_at_once": 4}, 1, 4),
        ({"threads": 3, "cells_at_once": 4}, 3, 4),
        ({"budget": "seconds=10"}, 6, 1),
        ({"budget": "seconds=10", "cells_at_once": 2}, 3, 2),
    ],
)
def test_cores_are_shared_out_among_cells(
    asked: dict[str, Any], threads: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.machine.cores", lambda: 6)
    options = RunOptions(arch="lstm", suite="addition3", **asked)
    plan = decide(options, command="test")
    found = cells_at_once(options, plan.settings.device, parse_budget(plan.budget))
    assert (plan.settings.threads, found) == (threads, at_once)


def test_what_is_learnt_by_default_does_not_depend_on_the_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = set()
    for cores in (1, 2, 64):
        monkeypatch.setattr("bench.machine.cores", lambda cores=cores: cores)
        hashes.add(decide(RunOptions(arch="lstm", suite="addition3"), command="test").plan_hash)
    assert len(hashes) == 1
