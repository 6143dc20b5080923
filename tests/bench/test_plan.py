"""What a preset was tuned for and what a suite asks of all, as a plan takes them."""

from pathlib import Path
from typing import Any

import pytest

from bench.architectures import Preset, get
from bench.cli.options import RunOptions
from bench.datasets.suites import SUITES
from bench.errors import UserError
from bench.plan import Entry, resolve
from tests.bench.conftest import TINY


def entry(**options: Any) -> Entry:
    return resolve(RunOptions(arch="lstm", threads=1, **({"suite": "addition3"} | options))).entries[0]


@pytest.fixture
def preset(monkeypatch: pytest.MonkeyPatch) -> None:
    presets = tuple(
        Preset(suite="addition3", parameters=100_000, budget=budget, config={"layers": 2}, training={"batch": batch})
        for budget, batch in (("examples=1000000", 64), ("examples=200000", 32))
    )
    monkeypatch.setattr(get("lstm"), "presets", presets)


@pytest.mark.usefixtures("preset")
def test_a_preset_is_taken_and_tuned_only_for_what_it_names() -> None:
    plain = entry()
    assert plain.tuned
    assert (plain.training.batch, getattr(plain.config, "layers", None)) == (32, 2)
    assert entry(budget="examples=1M").training.batch == 64
    for other in (
        {"budget": "examples=100k"},
        {"params": "50k"},
        {"set": ("lr=0.01",)},
        {"training_problems": "5k"},
        {"precision": "bf16"},
    ):
        assert not entry(**other).tuned, other


@pytest.mark.usefixtures("preset")
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
    wrong = Preset(suite="addition3", parameters=100_000, budget="examples=200000", config={"layer": 2})
    monkeypatch.setattr(get("lstm"), "presets", (wrong,))
    with pytest.raises(UserError, match="preset of lstm layer: unknown; did you mean 'layers'"):
        entry()


def test_a_size_field_that_a_suite_sets_stays(tmp_path: Path) -> None:
    suite = tmp_path / "narrow.toml"
    suite.write_text(TINY + "[defaults.settings]\nwidth = 11\nheads = 2\n", encoding="utf-8")
    assert getattr(entry(suite=str(suite)).config, "width", None) == 11


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
