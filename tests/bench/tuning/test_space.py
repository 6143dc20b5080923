"""What a search draws from: the design of its first trials, own options, and a space that was made wider."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from searching import Formula, Silent, search_of, searched

from bench.architectures import Config, get
from bench.errors import UserError
from bench.results.records.search import SEARCH, TRIALS, read_search
from bench.running.engine import Interrupted
from bench.tuning.search import Search
from bench.tuning.space import DESIGN, as_plain, at_edge, design, lies_within, search_space, settings_of

# --- the design -------------------------------------------------------------------------------------------------------


def test_the_first_trials_are_the_defaults_and_then_the_same_for_all(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    formula()
    lstm, transformer = searched(search_of(tiny_path, len(DESIGN)), tmp_path).values()
    common = ("optimizer", "lr", "outer_lr", "batch", "warmup", "weight_decay")
    for one, other in zip(lstm[: len(DESIGN)], transformer[: len(DESIGN)], strict=True):
        assert [one.settings[name] for name in common] == [other.settings[name] for name in common]
    assert transformer[0].settings == {
        **{"optimizer": "muon", "lr": 0.02, "outer_lr": 0.006, "batch": 128, "warmup": 0.02, "weight_decay": 0.1},
        **{"layers": 2, "heads": 4, "norm": "layer", "activation": "gelu", "subnorm": False, "positions": "learned"},
    }
    assert [trial.settings["batch"] for trial in lstm] == [changes.get("batch", 128) for changes in DESIGN]
    assert [trial.settings["optimizer"] for trial in lstm] == [changes.get("optimizer", "muon") for changes in DESIGN]


def test_the_design_has_every_depth_and_each_batch_and_optimiser_several_times(tiny_path: Path) -> None:
    trials = design(search_of(tiny_path, arch="lstm", params="40k").spaces["lstm"], get("lstm"))
    assert len(trials) == len(DESIGN)
    assert {trial["layers"] for trial in trials} == set(range(1, 7))
    batches = [trial["batch"] for trial in trials]
    assert min(batches.count(32), batches.count(64)) >= 3
    assert len({trial["lr"] for trial in trials if trial["optimizer"] == "adamw"}) >= 2
    assert len({trial["weight_decay"] for trial in trials}) >= 3


def test_every_own_option_is_tried_by_itself(tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]) -> None:
    formula()
    changes = {"heads": 2, "norm": "layer", "activation": "gelu", "subnorm": False, "positions": "rotary"}
    found = searched(search_of(tiny_path, len(DESIGN) + len(changes), "bitnet"), tmp_path)["bitnet"]
    usual = found[1].settings
    assert (usual["batch"], usual["layers"]) == (64, 3)
    for trial, (name, other) in zip(found[len(DESIGN) :], changes.items(), strict=True):
        assert trial.settings == usual | {name: other}
    defaults = {"heads": 4, "norm": "rms", "activation": "swiglu", "subnorm": True, "positions": "learned"}
    for trial in found[: len(DESIGN)]:
        assert {name: trial.settings[name] for name in defaults} == defaults


def test_the_sampler_begins_right_after_the_design_even_where_trials_failed(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula], monkeypatch: pytest.MonkeyPatch
) -> None:
    search = search_of(tiny_path, len(DESIGN) + 1, "lstm")
    formula(lambda settings: 90 if settings["batch"] == 32 else 5)
    monkeypatch.setattr("optuna.samplers.RandomSampler.sample_independent", lambda *_: 1 / 0)
    searched(search, tmp_path / "done")
    formula(outcome={"kind": "outcome", "status": "failed", "reason": ""})
    assert len(searched(search, tmp_path / "failed")["lstm"]) == len(DESIGN) + 1


def test_a_design_has_no_trial_twice(tmp_path: Path, tiny_path: Path) -> None:
    suite = tmp_path / "settled.toml"
    suite.write_text(tiny_path.read_text() + "[defaults.settings]\nlayers = 2\nheads = 2\n", encoding="utf-8")
    search = search_of(suite, 4, "lstm", budget="steps=9")
    trials = design(search.spaces["lstm"], get("lstm"))
    assert [trials.count(trial) for trial in trials] == [1] * len(trials)
    assert len(trials) < len(DESIGN)


# --- the space --------------------------------------------------------------------------------------------------------


def test_what_the_suite_settles_is_not_searched(tmp_path: Path, tiny_path: Path) -> None:
    suite = tmp_path / "settled.toml"
    suite.write_text(tiny_path.read_text() + '[defaults.settings]\noptimizer = "sgd"\nlayers = 2\n', encoding="utf-8")
    shared = search_of(suite, budget="steps=9").shared
    assert list(search_space(shared, get("transformer"))) == [
        *("lr", "outer_lr", "warmup", "weight_decay"),
        *("heads", "norm", "activation", "subnorm", "positions"),
    ]
    assert settings_of(shared, {"lr": 0.5}) == {"lr": 0.025}


def test_depth_is_searched_as_far_as_it_is_possible(tiny_path: Path) -> None:
    shared = search_of(tiny_path).shared
    depth: Any = search_space(shared, get("encoder-decoder"))["layers"]
    assert (depth.low, depth.high) == (2, 6)  # it needs one for each side


@pytest.mark.parametrize("search", [{"hidden": (1, None)}, {"layers": (1, 2)}, {"dropout": (0.5,)}, {"nothing": (1,)}])
def test_own_options_that_break_the_rules_are_refused(
    search: dict[str, Any], tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(get("lstm").Config, "search", search)
    with pytest.raises(UserError, match="lstm: `search` of its config holds"):
        search_of.__wrapped__(tiny_path)


def test_a_depth_that_is_no_field_is_refused_but_there_may_be_none(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = search_of(tiny_path).shared
    monkeypatch.setattr(get("lstm").Config, "depth_field", "layer")
    with pytest.raises(UserError, match="is 'layer'; did you mean 'layers'"):
        search_space(shared, get("lstm"))
    monkeypatch.setattr(Config, "depth_field", "layer")
    assert not {"layer", "layers"} & search_space(shared, get("lstm")).keys()


def test_an_architecture_may_have_six_own_options_and_no_more(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = search_of(tiny_path).shared
    annotations = {f"option{number}": int for number in range(7)}
    fields = {name: 1 for name in annotations}
    more = type("More", (get("lstm").Config,), {"__annotations__": annotations, **fields})
    config = dataclasses.dataclass(frozen=True, kw_only=True)(more)
    monkeypatch.setattr(get("lstm"), "Config", config)
    monkeypatch.setattr(config, "search", {f"option{number}": (1, 2) for number in range(6)})
    assert "option5" in search_space(shared, get("lstm"))
    monkeypatch.setattr(config, "search", {f"option{number}": (1, 2) for number in range(7)})
    with pytest.raises(UserError, match="expected at most 6 fields"):
        search_space(shared, get("lstm"))


# --- wider and narrower -----------------------------------------------------------------------------------------------


def test_a_space_lies_within_another_that_has_all_its_values() -> None:
    def within(narrow: BaseDistribution, wide: BaseDistribution) -> bool:
        return lies_within(as_plain({"it": narrow}), as_plain({"it": wide}))

    choices, more = CategoricalDistribution((64, 128)), CategoricalDistribution((32, 128, 64))
    assert (within(choices, more), within(more, choices)) == (True, False)
    rates, wider = FloatDistribution(0.25, 2, log=True), FloatDistribution(0.125, 2, log=True)
    assert (within(rates, wider), within(wider, rates)) == (True, False)
    depths, deeper = IntDistribution(1, 6), IntDistribution(1, 8)
    assert (within(depths, deeper), within(deeper, depths)) == (True, False)
    assert (within(rates, FloatDistribution(0.1, 3)), within(depths, FloatDistribution(0, 9))) == (False, False)
    assert (within(choices, depths), within(depths, choices)) == (False, False)
    assert not lies_within(as_plain({"it": choices}), as_plain({"it": choices, "other": choices}))
    assert not lies_within(as_plain({"it": choices, "other": choices}), as_plain({"it": choices}))


def widened(search: Search, **changes: BaseDistribution) -> Search:
    return dataclasses.replace(search, spaces={"lstm": search.spaces["lstm"] | changes})


WIDER: dict[str, BaseDistribution] = {
    "batch": CategoricalDistribution((16, 32, 64, 128, 256)),
    "layers": IntDistribution(1, 8),
    "lr": FloatDistribution(1 / 16, 2, log=True),
}


def test_a_search_goes_on_in_a_wider_space_and_in_no_narrower_one(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    formula(lambda settings: round(99 - settings["batch"] / 4 - 100 * settings["lr"]))
    search = search_of(tiny_path, len(DESIGN) + 3, "lstm")
    before = searched(search, tmp_path)["lstm"]
    with pytest.raises(UserError, match="holds trials of lstm drawn from choices that it does not have now; choose an"):
        searched(widened(search, batch=CategoricalDistribution((32, 64))), tmp_path)
    more = dataclasses.replace(widened(search, **WIDER), trials=40)
    found = searched(more, tmp_path)["lstm"]
    assert found[: len(before)] == before
    new = found[len(before) :]
    assert any(trial.settings["batch"] == 16 for trial in new)
    assert any(trial.params["lr"] < 1 / 4 for trial in new)
    with pytest.raises(UserError, match="drawn from choices that it does not have now"):
        searched(dataclasses.replace(search, trials=40), tmp_path)


def test_a_wider_search_that_was_interrupted_goes_on_as_if_nothing_had_happened(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    formula()
    search = search_of(tiny_path, len(DESIGN), "lstm")
    more = dataclasses.replace(widened(search, **WIDER), trials=len(DESIGN) + 6, finalists=2)
    found = {}
    for name in ("whole", "parts"):
        searched(search, tmp_path / name)
        for stop_after in (5, 50, 70) if name == "parts" else ():
            with pytest.raises(Interrupted):
                searched(more, tmp_path / name, Silent(stop_after))
        found[name] = searched(more, tmp_path / name)
    assert found["parts"] == found["whole"]
    assert (tmp_path / "parts" / TRIALS).read_bytes() == (tmp_path / "whole" / TRIALS).read_bytes()


def test_the_first_trials_of_a_search_do_not_depend_on_how_many_follow(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    formula()
    few, many = (
        searched(search_of(tiny_path, trials, "lstm"), tmp_path / str(trials))["lstm"]
        for trials in (len(DESIGN) + 1, len(DESIGN) + 3)
    )
    assert many[: len(few)] == few


# --- edges, and what the paper has ------------------------------------------------------------------------------------


def test_what_stands_at_an_edge() -> None:
    space = as_plain(
        {
            "lr": FloatDistribution(0.01, 1, log=True),
            "warmup": FloatDistribution(0, 0.1),
            "layers": IntDistribution(1, 6),
            "batch": CategoricalDistribution((32, 64, 128)),
            "optimizer": CategoricalDistribution(("muon", "adamw")),
            "gated": CategoricalDistribution((True, False)),
        }
    )
    middle = {"lr": 0.1, "warmup": 0.05, "layers": 3, "batch": 64, "optimizer": "muon", "gated": True}
    assert at_edge(middle, space) == []
    # 5 % of two powers of ten is a factor of 1.259.
    for change in ({"lr": 0.0125}, {"lr": 0.8}, {"warmup": 0.005}, {"layers": 1}, {"layers": 6}, {"batch": 32}):
        assert at_edge(middle | change, space) == list(change), change
    for change in ({"lr": 0.0127}, {"lr": 0.79}, {"warmup": 0.006}, {"layers": 2}, {"layers": 5}):
        assert at_edge(middle | change, space) == [], change


def test_the_files_say_the_space_its_edges_and_what_the_paper_has(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula], monkeypatch: pytest.MonkeyPatch
) -> None:
    formula(lambda settings: 90 if settings["layers"] == 6 else 10)
    monkeypatch.setattr(get("bitnet").Config, "published", {"positions": "rotary", "bias": True})
    search = search_of(tiny_path, 6, "bitnet", 1, params="40k")
    searched(search, tmp_path)
    about = json.loads((tmp_path / SEARCH).read_text())["architectures"]["bitnet"]
    assert about["space"]["batch"] == {"choices": [32, 64, 128, 256]}
    assert about["space"]["layers"] == {"low": 1, "high": 6, "log": False, "step": 1}
    assert about["paper"] == {
        **{"heads": 4, "norm": "rms", "activation": "swiglu", "subnorm": True, "positions": "rotary"}
    }
    files = read_search(tmp_path)
    assert files.papers == {"bitnet": about["paper"]}
    assert [row.at_edge for row in files.trials["bitnet"][:4]] == ["", "", "batch=32", "batch=32"]
    assert files.trials["bitnet"][5].at_edge == "batch=32, layers=6"
    wider = dataclasses.replace(search, spaces={"bitnet": search.spaces["bitnet"] | {"layers": IntDistribution(1, 7)}})
    searched(wider, tmp_path)
    assert read_search(tmp_path).trials["bitnet"][5].at_edge == "batch=32"
