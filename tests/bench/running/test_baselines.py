"""The two baselines of a run: right where they must be, the same every time, and for all seeds of the folder."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.datasets.problems import Problems
from bench.datasets.suites import Suite
from bench.locks import TABLES_LOCK, holding
from bench.planning.decide import decide
from bench.planning.options import RunOptions
from bench.results.files import BadFile
from bench.results.records.baselines import BASELINES, read_baselines
from bench.results.records.plan import Plan
from bench.running import baselines as module
from bench.running.baselines import baseline_frame, complete_baselines
from bench.running.run_folder import take_folder


@pytest.fixture(scope="module")
def plan(tiny_path: Path) -> Plan:
    return decide(RunOptions(arch="lstm", suite=str(tiny_path), threads=1, seeds="0,"), command="test")


def right(frame: pd.DataFrame, name: str, seed: int, slice_name: str) -> int:
    chosen = (frame["architecture"] == name) & (frame["seed"] == seed) & (frame["slice"] == slice_name)
    return int(frame.loc[chosen, "correct"].sum())


def written(problems: Problems) -> list[str]:
    return ["".join(problems.texts(row)).rjust(6) for row in range(len(problems))]


def naive_nearest_right(suite: Suite, known: list[str], split: Any) -> int:
    """By texts and Python's own arithmetic: how often the nearest known problem has the answer of the one asked."""

    def value(text: str) -> float:
        return float(eval(text))

    count = 0
    for asked in written(suite.evaluation_set(split).problems):
        nearest = min(known, key=lambda other: sum(x != y for x, y in zip(asked, other, strict=True)))
        count += abs(value(nearest) - value(asked)) < 1e-9
    return count


def test_the_tables_are_free_while_baselines_are_computed(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_folder(plan, tmp_path)
    free = []

    def watched(*arguments: Any) -> pd.DataFrame:
        with holding(tmp_path / TABLES_LOCK):
            free.append(True)
        return baseline_frame(*arguments)

    monkeypatch.setattr(module, "baseline_frame", watched)
    complete_baselines(plan, tmp_path)
    assert free == [True]
    assert set(read_baselines(tmp_path)["seed"]) == {0}


@pytest.mark.parametrize("training_problems", [None, 40])
def test_the_baselines_are_right_as_often_as_counted_by_hand(tiny: Suite, training_problems: int | None) -> None:
    frame = baseline_frame(tiny, [5], training_problems)
    test, seen = tiny.evaluation_set("test"), tiny.evaluation_set("seen")
    assert right(frame, "calculator", 5, "all") == len(test)
    assert right(frame, "calculator", 5, "seen digits") == len(seen)
    stream = tiny.stream(5, training_problems)
    known = list(dict.fromkeys(text for number in range(20) for text in written(stream.block(number))))
    if training_problems:
        assert len(known) == training_problems
    else:  # everything, so that whatever was asked of the training split is known
        assert len(known) == tiny.sampler.listed_problems
        assert right(frame, "nearest", 5, "seen digits") == len(seen)
    assert right(frame, "nearest", 5, "all") == naive_nearest_right(tiny, known, "test")
    assert right(frame, "nearest", 5, "seen digits") == naive_nearest_right(tiny, known, "seen")


def test_only_the_first_examples_are_known(tiny: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KNOWN", 3)
    frame = baseline_frame(tiny, [0], None)
    known = written(tiny.stream(0).block(0))[:3]
    assert len(set(known)) == 3
    assert right(frame, "nearest", 0, "all") == naive_nearest_right(tiny, known, "test")
    assert right(frame, "nearest", 0, "seen digits") == naive_nearest_right(tiny, known, "seen")


def test_the_file_covers_the_seeds_of_the_folder_and_keeps_what_it_has(
    tmp_path: Path, plan: Plan, tiny: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown, at_once = tmp_path / "grown", tmp_path / "at once"
    take_folder(plan, grown)
    complete_baselines(plan, grown)
    assert set(read_baselines(grown)["seed"]) == {0}
    for seeds, directory in (([2, 1], grown), ([0, 1, 2], at_once)):
        take_folder(plan.model_copy(update={"seeds": seeds}), directory)
        complete_baselines(plan, directory)
    rows = baseline_frame(tiny, [2, 0, 1], None)
    pd.testing.assert_frame_equal(read_baselines(grown), rows, check_dtype=False, check_exact=True)
    assert (grown / BASELINES).read_bytes() == (at_once / BASELINES).read_bytes()

    monkeypatch.setattr(module, "baseline_frame", None)  # whoever calls it now fails
    complete_baselines(plan, grown)


def test_a_broken_file_is_named_and_not_replaced(tmp_path: Path, plan: Plan) -> None:
    take_folder(plan, tmp_path)
    (tmp_path / BASELINES).write_text("nonsense\n")
    with pytest.raises(BadFile, match=r"baselines.csv: is no file of baselines .*; delete it"):
        complete_baselines(plan, tmp_path)
    assert (tmp_path / BASELINES).read_text() == "nonsense\n"
