"""How fast: curves with a level met early, late, never, and met and lost again."""

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from bench.results.records.plan import Plan, write_plan
from bench.results.records.record import Record, write_record
from bench.results.records.run import cell_directory, open_run
from bench.results.statistics.learning import first_reached, learning
from bench.results.statistics.scores import Scores


def curve(shares: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "examples": [100 * (place + 1) for place in range(len(shares))],
            "train_seconds": [0.5 * (place + 1) for place in range(len(shares))],
            "correct": [round(1000 * share) for share in shares],
            "total": 1000,
        }
    )


@pytest.mark.parametrize(
    ("shares", "level", "examples"),
    [
        ([0.5, 0.9, 0.95], 0.9, 200),  # at the level is enough
        ([0.5, 0.899, 0.95], 0.9, 300),
        ([0.5, 0.95, 0.85], 0.9, 200),  # met, then lost: the first time counts
        ([0.5, 0.95, 0.989], 0.99, None),
    ],
)
def test_the_first_validation_at_or_above_counts(shares: list[float], level: float, examples: int | None) -> None:
    assert first_reached(curve(shares), level, "examples") == examples
    assert first_reached(curve(shares), level, "train_seconds") == (examples and examples / 200)


@pytest.fixture
def scores(
    tmp_path: Path,
    make_plan: Callable[..., Plan],
    make_record: Callable[..., Record],
    predictions: pd.DataFrame,
    write_cell: Callable[..., Record],
) -> Scores:
    """Three seeds finish (the curves of the fixture rise in a line to 100, 95 and 100 %), one diverged, one crashed."""
    run = tmp_path / "run"
    write_plan(run, make_plan(architectures=["lstm"], seeds=[0, 1, 2, 3, 4]))
    for seed, correct in enumerate((200, 190, 200)):
        facts = {"data_hash": f"d{seed}", "data_chain": [], "examples": 2000, "train_seconds": 4.0}
        facts |= {"validation_correct": correct, "validation_total": 200}
        write_cell(run, predictions, architecture="lstm", seed=seed, **facts)
    for seed, status in ((3, "diverged"), (4, "failed")):
        write_record(cell_directory(run, "lstm", seed), make_record(seed=seed, status=status, reason="loss is nan"))
    return Scores(open_run(run))


def test_a_diverged_seed_is_a_miss_and_a_crashed_one_says_nothing(scores: Scores) -> None:
    learnt = learning(scores, "lstm")
    assert learnt.solved is not None
    assert (learnt.solved.mean, learnt.solved.n) == (0.5, 4)
    to_90, to_99 = learnt.reached[0.9, "examples"], learnt.reached[0.99, "examples"]
    # In steps of 100 examples: 90 % at 1,800, 1,900 (19 / 20 x 95 % = 90.25 %) and 1,800.
    assert (to_90, to_99) == ((1800 + 1900) / 2, math.inf)
    assert learnt.reached[0.9, "train_seconds"] == pytest.approx(3.7)
    assert set(learnt.reached) == {
        (level, cost) for level in (0.9, 0.99) for cost in ("examples", "train_seconds", "flops")
    }


def test_an_architecture_without_cells_is_refused(scores: Scores) -> None:
    with pytest.raises(ValueError, match="gru has no cell that ended"):
        learning(scores, "gru")
