import dataclasses

import pytest

from bench.architectures import get
from bench.errors import UserError
from bench.settings import TrainingSettings, apply_settings, parse_assignments


def test_assignments_may_be_joined_by_commas_or_given_one_by_one() -> None:
    assert parse_assignments(("lr=3e-3", "layers=3,heads=4")) == {"lr": "3e-3", "layers": "3", "heads": "4"}


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
        ("lr", "-1", "out of range"),
        ("batch", "0", "from 1 on"),
        ("batch", "1.5", "expected a whole number"),
        ("optimizer", "adam", "expected one of muon, adamw, sgd"),
        ("learning_rate", "1", "unknown"),
        ("batsch", "1", "did you mean 'batch'"),
    ],
)
def test_wrong_settings_are_refused_by_key_value_and_rule(key: str, value: str, rule: str) -> None:
    with pytest.raises(UserError, match=rule) as error:
        apply_settings(TrainingSettings(), {key: value}, "--set")
    assert key in str(error.value)


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainingSettings().lr = 1.0  # type: ignore[misc]
