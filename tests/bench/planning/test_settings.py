import dataclasses
from pathlib import Path

import pytest
from plans import make_plan

from bench.architectures import get
from bench.errors import UserError
from bench.planning.settings import (
    TrainingSettings,
    Tuned,
    apply_settings,
    own_assignments,
    parse_assignments,
    read_set_file,
)


def test_assignments_may_be_joined_by_commas_or_given_one_by_one() -> None:
    assert parse_assignments(("lr=3e-3", "layers=3,heads=4")) == {"lr": "3e-3", "layers": "3", "heads": "4"}


def test_an_assignment_with_a_name_is_for_that_architecture_alone() -> None:
    made = parse_assignments(("lstm.lr=1e-2,lr=3e-3", "gru.lr=5e-3,pretrained.model=a/b.c"))
    assert own_assignments(made, "lstm") == {"lr": "1e-2"}  # whichever was given first
    assert own_assignments(made, "rnn") == {"lr": "3e-3"}
    assert own_assignments(made, "pretrained") == {"lr": "3e-3", "model": "a/b.c"}


@pytest.mark.parametrize("texts", [("lr",), ("lr=",), ("=3",), ("lr=1,,",), ("lr=1", "lr=2")])
def test_malformed_or_repeated_assignments_are_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match="--set"):
        parse_assignments(texts)


def test_texts_become_values_of_the_field_types() -> None:
    training = apply_settings(TrainingSettings(), {"lr": "3e-3", "batch": "64", "optimizer": "adamw"}, "--set")
    assert (training.lr, training.batch, training.optimizer) == (3e-3, 64, "adamw")
    config = apply_settings(get("transformer").Config(), {"feedforward": "100", "dropout": "0.1"}, "--set")
    assert (config.feedforward, config.dropout) == (100, 0.1)
    assert apply_settings(config, {"feedforward": "none"}, "--set").feedforward is None


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("lr", "abc", "expected a finite number"),
        ("lr", "nan", "expected a finite number"),
        ("lr", "inf", "expected a finite number"),
        ("lr", "-1", "lr -1.0: must be above 0 and at most 100"),
        ("batch", "0", "from 1 on"),
        ("batch", "1.5", "expected a whole number"),
        ("batch", True, "expected a whole number"),
        ("lr", [1], "expected a finite number"),
        ("optimizer", "adam", "expected one of muon, adamw, sgd"),
        ("learning_rate", "1", "unknown"),
        ("batsch", "1", "did you mean 'batch'"),
    ],
)
def test_wrong_settings_are_refused_by_key_value_and_rule(key: str, value: object, rule: str) -> None:
    with pytest.raises(UserError, match=rule) as error:
        apply_settings(TrainingSettings(), {key: value}, "--set")
    assert key in str(error.value)


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainingSettings().lr = 1.0


HEADER = """
[tuned]
suite = "quick"
suite_hash = "abc"
parameters = 100_000
match = "total"
budget = "examples=300000"
precision = "32"
trials = 12
trial_budget = "examples=75000"
"""


def test_a_settings_file_is_a_table_an_architecture(tmp_path: Path) -> None:
    path = tmp_path / "set.toml"
    path.write_text('[lstm]\nlr = 1e-2\nhidden = "none"\n', encoding="utf-8")
    file = read_set_file(path)
    assert (file.tables, file.tuned) == ({"lstm": {"lr": 0.01, "hidden": "none"}}, None)
    path.write_text(HEADER, encoding="utf-8-sig")
    tuned = read_set_file(path).tuned
    assert tuned is not None
    assert tuned.text == "quick, 100,000 parameters, examples=300000"
    assert (tuned.finalists, tuned.final_seeds) == (None, None)
    path.write_text(HEADER + "finalists = 5\nfinal_seeds = 2\n", encoding="utf-8")
    more = read_set_file(path).tuned
    assert more == dataclasses.replace(tuned, finalists=5, final_seeds=2)


def test_settings_are_tuned_for_what_their_file_names_alone() -> None:
    names = ("suite", "suite_hash", "parameters", "match", "budget", "training_problems", "precision")
    these = dict(zip(names, ("quick", "abc", 1000, "total", "steps=9", None, "32"), strict=True))
    tuned = Tuned(trials=12, trial_budget="steps=3", **these)
    settings = make_plan(settings=these | {"threads": 4}).settings
    assert tuned.is_for(settings, dense=False)
    for name in names:
        other = settings.model_copy(update={name: "other"})
        assert not tuned.is_for(other, dense=False), name
        # Which parameters are held equal makes no difference where all are active.
        assert tuned.is_for(other, dense=True) == (name == "match"), name


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("lr = 0.1", "lr: stands in no table"),
        ("[lstm", "is not valid TOML"),
        (HEADER + "trails = 3", r"\[tuned\] trails: unknown; did you mean 'trials'"),
        (HEADER.replace("trials = 12\n", ""), r"\[tuned\]: lacks trials"),
        (HEADER.replace("trials = 12", 'trials = "many"'), "trials 'many': expected a whole number"),
    ],
)
def test_a_settings_file_that_is_none_is_refused_by_name_and_rule(text: str, rule: str, tmp_path: Path) -> None:
    path = tmp_path / "set.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=rule) as error:
        read_set_file(path)
    assert str(error.value).startswith(f"--set-file {path}")
