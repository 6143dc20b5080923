"""Figures are computed a second time here from the predictions; words are read as a person reads them."""

from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev

import pandas as pd
import pytest

from bench.results.records.plan import Plan, write_plan
from bench.results.records.record import Record
from bench.results.records.run import open_run
from bench.results.statistics.comparison import Comparison, Difference, compare, solved
from bench.results.statistics.estimates import holm, mcnemar
from bench.results.statistics.scores import Scores

T_2 = 4.302652729911275
"""97.5 % point of t with 2 degrees of freedom"""

MakeRun = Callable[..., Scores]


@pytest.fixture
def make_run(
    tmp_path: Path, make_plan: Callable[..., Plan], predictions: pd.DataFrame, write_cell: Callable[..., Record]
) -> MakeRun:
    """A run from the shares that each seed of an architecture gets right; on validation too, unless `validated`."""

    def build(validated: float | None = None, **shares: list[float | None]) -> Scores:
        seeds = list(range(max(map(len, shares.values()))))
        write_plan(tmp_path / "run", make_plan(architectures=list(shares), seeds=seeds))
        # Which problems are right first: spread evenly over every slice.
        rank = (predictions["item"] * 0.618034) % 1
        for name, of_seeds in shares.items():
            for seed, share in enumerate(of_seeds):
                if share is None:
                    continue  # a cell that has not run
                answers = predictions.assign(right=(rank < share).astype(int))
                facts = {"data_hash": f"d{seed}", "data_chain": [], "validation_total": 1000}
                facts |= {"validation_correct": round(1000 * (validated or share)), "architecture": name, "seed": seed}
                write_cell(tmp_path / "run", answers, **facts)
        return Scores(open_run(tmp_path / "run"))

    return build


def row_of(comparison: Comparison, value: str = "all") -> Difference:
    return next(row for row in comparison.rows if row.value == value)


def test_rows_equal_those_computed_from_the_predictions(run_directory: Path) -> None:
    scores = Scores(open_run(run_directory))
    comparison = compare(scores, "transformer", "lstm")
    assert [row.slice for row in comparison.rows] == ["all"] + ["operation"] * 4 + ["digits"] * 4 + ["signs"] * 4 + [
        "operation x digits"
    ] * 16
    for row in comparison.rows:
        shares: dict[str, list[float]] = {"transformer": [], "lstm": []}
        for (name, _), frame in scores.predictions.items():
            asked = frame[frame["split"] == "test"]
            if row.slice != "all":
                asked = asked.assign(operation=asked["op"], pattern=asked["op"] + " " + asked["digits"])
                asked = asked[asked["pattern" if " " in row.slice else row.slice] == row.value]
            shares[name].append(asked["right"].mean())
            assert row.asked == len(asked)
        differences = [a - b for a, b in zip(*shares.values(), strict=True)]
        assert row.one.mean == pytest.approx(mean(shares["transformer"]))
        assert row.other.mean == pytest.approx(mean(shares["lstm"]))
        assert row.difference.mean == pytest.approx(mean(differences))
        assert row.difference.n == 3
        assert row.sign_flip is None
        if not row.all_or_nothing and row.difference.low is not None:
            assert row.difference.high is not None
            assert row.error == pytest.approx(stdev(differences) / 3**0.5)
            if row.slice == "all":
                half = T_2 * stdev(differences) / 3**0.5
                assert row.difference.low == pytest.approx(max(-1, mean(differences) - half))
                assert row.difference.high == pytest.approx(min(1, mean(differences) + half))
            decided = row.verdict in ("transformer", "lstm")
            assert decided == (not row.difference.low <= 0 <= row.difference.high)


def test_the_other_way_round_only_the_signs_change(run_directory: Path) -> None:
    scores = Scores(open_run(run_directory))
    forth, back = compare(scores, "transformer", "lstm"), compare(scores, "lstm", "transformer")
    for one, other in zip(forth.rows, back.rows, strict=True):
        assert one.difference.mean == -other.difference.mean
        assert (one.p, one.holm, one.verdict) == (other.p, other.holm, other.verdict)
        if not one.all_or_nothing:
            assert one.sentence == other.sentence


def test_mcnemar_counts_items_seed_by_seed(run_directory: Path) -> None:
    scores = Scores(open_run(run_directory))
    for pair in compare(scores, "transformer", "lstm").mcnemar:
        frames = [scores.predictions[name, pair.seed] for name in ("transformer", "lstm")]
        right = [frame.loc[frame["split"] == "test", "right"].tolist() for frame in frames]
        assert pair.only_one_right == sum(a > b for a, b in zip(*right, strict=True))
        assert pair.only_other_right == sum(a < b for a, b in zip(*right, strict=True))
        assert pair.p == mcnemar(pair.only_one_right, pair.only_other_right)


def test_holm_spans_all_rows_and_only_all_is_judged_by_its_own_interval(make_run: MakeRun) -> None:
    comparison = compare(make_run(lstm=[0.60, 0.62, 0.66], transformer=[0.80, 0.85, 0.84]), "transformer", "lstm")
    whole, slices = comparison.rows[0], comparison.rows[1:]
    assert whole.p is not None
    assert 0.05 / 29 < whole.p < 0.05
    assert whole.holm is None  # its verdict does not rest on it
    assert whole.verdict == "transformer"
    by_chance = [row for row in slices if row.p is not None and row.holm is not None and row.p < 0.05 < row.holm]
    assert by_chance
    for row in by_chance:
        assert row.verdict == "cannot tell with 3 seeds"
        assert "29 rows are asked at once" in row.sentence
        assert row.difference.low is not None
        assert row.difference.high is not None
        assert row.difference.low < 0 < row.difference.high  # as wide as Holm asks
    adjusted = holm([row.p for row in comparison.rows])
    assert [row.holm for row in slices] == adjusted[1:]


def test_a_slice_that_repeats_another_asks_nothing_new(run_directory: Path) -> None:
    scores = Scores(open_run(run_directory))
    # A suite of additions alone: one operation, and digits say all that operation x digits could.
    kept = scores.results["slice"].isin(("all", "digits", "signs")) | scores.results["value"].str.match(r"\+( |$)")
    scores.results = scores.results[kept]
    comparison = compare(scores, "transformer", "lstm")
    assert [row.slice for row in comparison.rows] == ["all"] + ["digits"] * 4 + ["signs"] * 4


def test_sentences_say_what_differs_and_what_cannot_be_told(make_run: MakeRun) -> None:
    lstm = [0.601, 0.611, 0.606, 0.604, 0.609]
    transformer = [0.853, 0.862, 0.859, 0.857, 0.861]
    scores = make_run(lstm=lstm, transformer=transformer)
    for names in (("lstm", "transformer"), ("transformer", "lstm")):
        comparison = compare(scores, *names)
        difference = row_of(comparison).difference
        ends = sorted(100 * abs(end) for end in (difference.low or 0, difference.high or 0))
        expected = (
            f"{100 * abs(difference.mean):.1f} points more often than lstm [{ends[0]:.1f}, {ends[1]:.1f}], 5 seeds"
        )
        assert row_of(comparison).sentence == f"transformer is right {expected}"
        assert comparison.sentences[0] == f"transformer is right {expected}."
        assert any(said.startswith("transformer is right more often on ") for said in comparison.sentences)
        assert not any(said.startswith("lstm is right more often") for said in comparison.sentences)
        told = " ".join(comparison.sentences)
        for what in ("addition", "2x2 problems", "signs +-", "2x1 multiplication"):
            assert what in told  # every row is either told or said to be untold


def test_equal_architectures_cannot_be_told_apart(make_run: MakeRun) -> None:
    comparison = compare(make_run(a=[0.80, 0.84, 0.88], b=[0.85, 0.88, 0.79]), "a", "b")
    assert {row.verdict for row in comparison.rows} == {"cannot tell with 3 seeds"}
    assert comparison.sentences[0].startswith("Cannot tell with 3 seeds: ")
    assert not any("is right more often" in said for said in comparison.sentences)


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        ([0.9, 0.8], [0.6, 0.7], "20.0 points more for a, but an interval needs 3 seeds"),
        ([0.9], [0.6], "an interval needs 3 seeds"),
        ([1.0, 1.0, 1.0], [0.8, 0.8, 0.8], "in every seed, so that there is no interval"),
        ([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], "no difference on average, in every seed, so that there is no interval"),
    ],
)
def test_where_there_is_no_interval_it_is_said(
    make_run: MakeRun, one: list[float], other: list[float], reason: str
) -> None:
    whole = row_of(compare(make_run(a=one, b=other), "a", "b"))
    n = len(one)
    assert whole.verdict == f"cannot tell with {n} seed{'s' if n > 1 else ''}"
    assert reason in whole.sentence
    assert (whole.p, whole.holm, whole.difference.low) == (None, None, None)


def test_all_or_nothing_rows_lead_with_the_solved_share(make_run: MakeRun) -> None:
    few = row_of(compare(make_run(a=[1.0, 1.0, 0.1, 1.0, 1.0], b=[0.1, 0.2, 0.1, 0.1, 0.2]), "a", "b"))
    assert few.all_or_nothing
    assert few.sentence.startswith(
        "all-or-nothing: a solves it in 4 of 5 seeds [37.6, 96.4] %, b in 0 of 5 [0.0, 43.4] %"
    )
    assert few.sentence.endswith("but the sign-flip test needs 6 seeds")
    assert few.verdict == "cannot tell with 5 seeds"
    assert (few.difference.low, few.p, few.one.low) == (None, None, None)
    assert few.other.low is not None  # b's seeds are alike


def test_with_enough_seeds_the_sign_flip_decides_all_or_nothing_rows(make_run: MakeRun) -> None:
    shares = {"a": [1.0] * 9 + [0.1], "b": [0.1] * 8 + [0.2] * 2}
    comparison = compare(make_run(**shares), "a", "b")
    whole, addition = row_of(comparison), row_of(comparison, "+")
    assert (whole.verdict, whole.p) == ("a", None)
    assert whole.sign_flip == pytest.approx(2 * 2 / 2**10)
    assert "a is right" in whole.sentence
    assert addition.sign_flip is not None
    assert addition.holm is not None  # of the sign flip, as the t test has no say here
    assert addition.holm > addition.sign_flip


def test_solved_is_validation_for_all_and_the_slice_itself_elsewhere(make_run: MakeRun) -> None:
    comparison = compare(make_run(a=[1.0, 0.8, 1.0], b=[0.2, 0.2, 0.3], validated=0.99), "a", "b")
    for row in comparison.rows:
        assert row.solved_one is not None
        assert row.solved_other is not None
        seeds = (row.solved_one.mean * 3, row.solved_other.mean * 3)
        assert seeds == pytest.approx((3, 3) if row.slice == "all" else (2, 0))
        assert (row.solved_one.unit, row.solved_one.n) == ("seeds", 3)


def test_a_record_without_validation_is_not_known_to_be_solved(make_record: Callable[..., Record]) -> None:
    assert solved(make_record(validation_correct=990, validation_total=1000)) is True
    assert solved(make_record(validation_correct=989, validation_total=1000)) is False
    assert solved(make_record(validation_correct=None, validation_total=None)) is None


def test_only_seeds_that_both_have_are_paired(make_run: MakeRun) -> None:
    scores = make_run(a=[0.9, 0.91, 0.92, 0.93], b=[0.6, None, 0.7, 0.65])
    comparison = compare(scores, "a", "b")
    assert (comparison.seeds, comparison.left_out) == ([0, 2, 3], [("a", 1)])
    assert row_of(comparison).difference.n == 3
    asked = scores.results[(scores.results["slice"] == "all") & (scores.results["seed"] != 1)]
    shares = (asked["correct"] / asked["total"]).groupby(asked["architecture"]).mean()
    assert row_of(comparison).one.mean == pytest.approx(shares["a"])
    assert row_of(comparison).difference.mean == pytest.approx(shares["a"] - shares["b"])
    assert [pair.seed for pair in comparison.mcnemar] == [0, 2, 3]


def test_what_cannot_be_compared_is_refused(make_run: MakeRun) -> None:
    scores = make_run(a=[0.9, None], b=[None, 0.6], c=[None, None])
    with pytest.raises(ValueError, match="a cannot be compared with itself"):
        compare(scores, "a", "a")
    with pytest.raises(ValueError, match="no finished seed in common"):
        compare(scores, "a", "b")
    with pytest.raises(ValueError, match="c has no finished cell; there are a, b"):
        compare(scores, "a", "c")
