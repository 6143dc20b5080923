"""The finals of a search: the best trials once more at the whole budget, and which of them is taken."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from searching import Formula, Silent, near, search_of, searched

from bench.errors import UserError
from bench.results.records.search import BEST, TRIALS
from bench.running.engine import Interrupted
from bench.running.training import CURVE_POINTS
from bench.tuning.trials import Candidate, Trial, best_of, finalists, ranked


def late(settings: dict[str, Any]) -> int:
    """Low rates are best at a quarter of the budget, high ones at the whole."""
    return 100 - near(settings) if settings["budget"] == "examples=600" else near(settings)


def test_the_best_few_are_trained_once_more_and_the_best_of_them_is_taken(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    made, watcher = formula(late), Silent()
    found = searched(search_of(tiny_path, finalists=3), tmp_path, watcher)
    assert watcher.started[-2:] == [("lstm", "final", 2, 100), ("transformer", "final", 2, 100)]
    for name, trials in found.items():
        first, finals = ranked(trials), [trial for trial in trials if trial.stage == "final"]
        assert [trial.settings for trial in finals] == [trial.settings for trial in finalists(trials, "layers")[:3]]
        assert finals[0].settings == first[0].settings
        budgets = {cell.plan.settings.budget for cell in made.cells if cell.architecture == name}
        assert budgets == {"examples=150", "examples=600"}
        best = best_of(trials, "layers")
        assert best is not None
        assert best.trials[0].stage == "final"
        assert best.settings["lr"] == max(trial.settings["lr"] for trial in finals) > first[0].settings["lr"]
        assert tomllib.loads((tmp_path / BEST).read_text())[name]["lr"] == best.settings["lr"]
    table = pd.read_csv(tmp_path / TRIALS)
    assert list(table["stage"]) == 2 * (8 * ["search"] + 3 * ["final"])


def test_finals_are_of_all_trials_or_not_at_all(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    """No trials after finals, which were chosen from those before; no settings from half of the finals."""
    formula(late)
    searched(search_of(tiny_path, 4, "lstm", 2), tmp_path)
    with pytest.raises(UserError, match=r"--trials 8: .* holds finals of lstm, chosen from 4 trials"):
        searched(search_of(tiny_path, 8, "lstm", 2), tmp_path)
    with pytest.raises(Interrupted):
        searched(search_of(tiny_path, 4, "lstm", 4), tmp_path, Silent(5))
    searched(search_of(tiny_path, 4, "transformer", 4), tmp_path)
    assert set(tomllib.loads((tmp_path / BEST).read_text())) == {"tuned", "transformer"}
    searched(search_of(tiny_path, 4, "lstm", 4), tmp_path)
    assert set(tomllib.loads((tmp_path / BEST).read_text())) == {"tuned", "lstm", "transformer"}


def trial(
    number: int,
    layers: int,
    correct: int | None,
    sooner: float = 0.0,
    stage: str = "search",
    total: int = 10,
    seed: int = 100,
) -> Trial:
    facts: dict[str, Any] = {"architecture": "lstm", "stage": stage, "number": number, "params": {}, "seed": seed}
    facts |= {"reason": "", "total": total, "examples": 1, "flops": 1, "train_seconds": 1.0, "sooner": sooner}
    state = "pruned" if correct is None else "done"
    return Trial(**facts, settings={"layers": layers}, state=state, correct=correct)


def test_the_best_of_each_depth_comes_before_the_second_of_any() -> None:
    found = [(2, 5), (4, 9), (4, 8), (1, 4), (2, 6), (6, None)]
    trials = [trial(number, layers, correct) for number, (layers, correct) in enumerate(found)]
    assert [trial.number for trial in finalists(trials, "layers")] == [1, 4, 3, 2, 0]


def test_of_equals_the_one_that_learnt_sooner_is_best() -> None:
    trials = [trial(0, 1, 10, 0.4), trial(1, 1, 10, 0.6), trial(2, 1, 9, 0.9), trial(3, 1, None, 1.0)]
    assert [trial.number for trial in ranked(trials)] == [1, 0, 2]
    finals = [trial(0, 1, 8, 0.1, "final"), trial(1, 1, 8, 0.2, "final")]
    assert best_of(trials, "layers") == Candidate([trials[1]])
    assert best_of(trials + finals, "layers") == Candidate([finals[1]])
    deeper = trial(2, 2, 8, 0.9, "final")
    assert best_of([*finals, deeper], "layers") == Candidate([finals[1]])  # the shallower first


def test_the_shallowest_within_a_standard_error_of_the_best_is_taken() -> None:
    def taken(*found: tuple[int, int]) -> int:
        trials = [trial(number, layers, correct, total=100) for number, (layers, correct) in enumerate(found)]
        best = best_of(trials, "layers")
        assert best is not None
        return best.trials[0].number

    assert taken((4, 50), (2, 45), (1, 44)) == 1  # a standard error is 5 of these 100
    assert taken((2, 46), (2, 48), (3, 50)) == 1
    assert taken((4, 100), (2, 99)) == 0
    assert taken((4, 0), (2, 0)) == 1


def test_how_soon_is_read_from_the_learning_curve(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    formula(lambda _: 80)
    [only] = searched(search_of(tiny_path, 1, "lstm"), tmp_path)["lstm"]
    assert only.sooner == pytest.approx(0.8)


def test_finals_follow_an_interrupted_search_as_if_nothing_had_happened(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    formula(late)
    whole = searched(search_of(tiny_path, finalists=2), tmp_path / "whole")
    with pytest.raises(Interrupted):
        searched(search_of(tiny_path, finalists=2), tmp_path / "parts", Silent(stop_after=17 * (CURVE_POINTS + 1)))
    assert searched(search_of(tiny_path, finalists=2), tmp_path / "parts") == whole
    assert (tmp_path / "parts" / BEST).read_bytes() == (tmp_path / "whole" / BEST).read_bytes()
    with pytest.raises(UserError, match=r"--finalists 1: .* holds 2 finalists of lstm; ask for as many or more"):
        searched(search_of(tiny_path, finalists=1), tmp_path / "parts")


def test_there_are_no_more_finals_than_trials_that_were_done(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    formula(outcome={"status": "failed", "reason": "", "correct": None, "total": None})
    found = searched(search_of(tiny_path, finalists=2), tmp_path)
    assert all(trial.stage == "search" for trials in found.values() for trial in trials)
    with pytest.raises(UserError, match="--finalists 9: expected 0 to 8, the number of trials"):
        search_of(tiny_path, finalists=9)


# --- several seeds ----------------------------------------------------------------------------------------------------


def lucky(settings: dict[str, Any]) -> int:
    """A batch of 128 is best with the seed of the search alone."""
    if settings["budget"] == "examples=600" and settings["batch"] == 128:
        return 90 if settings["seed"] == 100 else 30
    return 80 if settings["batch"] == 64 and settings["layers"] == 3 else 70


def test_each_finalist_is_trained_with_each_seed_and_the_mean_decides(
    tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]
) -> None:
    made, watcher = formula(lucky), Silent()
    search = search_of(tiny_path, 4, "lstm", 4, final_seeds=3)
    found = searched(search, tmp_path, watcher)["lstm"]
    assert watcher.started[4:] == [("lstm", "final", place, seed) for place in range(4) for seed in (100, 101, 102)]
    assert [(cell.seed, cell.plan.seeds) for cell in made.cells[4:]] == [(seed, [seed]) for seed in (100, 101, 102)] * 4
    best = best_of(found, "layers")
    assert best is not None
    assert (best.score, best.settings["batch"]) == (pytest.approx(0.8), 64)
    assert max(trial.score or 0 for trial in found) == 0.9  # which one seed alone would have taken
    tables = tomllib.loads((tmp_path / BEST).read_text())
    assert (tables["tuned"]["final_seeds"], tables["lstm"]["batch"]) == (3, 64)
    table = pd.read_csv(tmp_path / TRIALS)
    assert list(table["seed"]) == [100] * 4 + [100, 101, 102] * 4


def test_more_seeds_may_follow_but_no_fewer(tiny_path: Path, tmp_path: Path, formula: Callable[..., Formula]) -> None:
    formula(lucky)
    whole = searched(search_of(tiny_path, 4, "lstm", 2, final_seeds=2), tmp_path / "whole")
    searched(search_of(tiny_path, 4, "lstm", 2), tmp_path / "parts")
    assert "lstm" in tomllib.loads((tmp_path / "parts" / BEST).read_text())
    watcher = Silent(stop_after=CURVE_POINTS + 3)
    with pytest.raises(Interrupted):
        searched(search_of(tiny_path, 4, "lstm", 2, final_seeds=2), tmp_path / "parts", watcher)
    assert watcher.started == [("lstm", "final", 0, 101), ("lstm", "final", 1, 101)]
    assert searched(search_of(tiny_path, 4, "lstm", 2, final_seeds=2), tmp_path / "parts") == whole
    for name in (TRIALS, BEST):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    with pytest.raises(UserError, match=r"--final-seeds 1: .* holds 2 seeds of finals of lstm; ask for"):
        searched(search_of(tiny_path, 4, "lstm", 2), tmp_path / "parts")
    with pytest.raises(UserError, match="--final-seeds 0: expected 1 or more"):
        search_of.__wrapped__(tiny_path, final_seeds=0)


def final(number: int, layers: int, *correct: int | None) -> list[Trial]:
    """The finals of one finalist, one a seed, of 1,000 problems each."""
    return [trial(number, layers, right, stage="final", total=1000, seed=seed) for seed, right in enumerate(correct)]


def taken(*finals: list[Trial]) -> tuple[int, float]:
    best = best_of([one for those in finals for one in those], "layers")
    assert best is not None
    return best.trials[0].number, best.score


def test_a_final_that_diverged_has_no_answer_right() -> None:
    assert taken(final(0, 1, 900, None), final(1, 1, 500, 480)) == (1, pytest.approx(0.49))
    assert taken(final(0, 1, 900, None), final(1, 1, None, None)) == (0, pytest.approx(0.45))
    assert best_of([*final(0, 1, None, None), trial(7, 2, 5)], "layers") == Candidate([trial(7, 2, 5)])


def test_the_standard_error_is_that_of_the_seeds_where_they_differ_more_than_problems_do() -> None:
    # Of problems: sqrt(0.5 x 0.5 / 2000) = 0.011. Of seeds: variances 0.0002 and 0.0098, their mean 0.005, by two
    # seeds 0.0025, so 0.05.
    assert taken(final(0, 4, 510, 490), final(1, 1, 389, 529)) == (1, pytest.approx(0.459))
    assert taken(final(0, 4, 510, 490), final(1, 1, 379, 519)) == (0, pytest.approx(0.5))
    assert taken(final(0, 4, 500, 500), final(1, 1, 490, 490)) == (1, pytest.approx(0.49))  # that of problems
    assert taken(final(0, 4, 500, 500), final(1, 1, 488, 488)) == (0, pytest.approx(0.5))


def test_a_final_that_diverged_says_nothing_of_the_spread_of_the_others() -> None:
    assert taken(final(0, 4, 500, 500), final(1, 1, 480, 480), final(2, 2, 700, None)) == (0, pytest.approx(0.5))
