import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd
import pytest

from bench.results.records.plan import Plan, write_plan
from bench.results.records.record import Record, write_record
from bench.results.records.run import cell_directory, open_run
from bench.results.report.contents import Contents
from bench.results.report.table import NO_VALUE
from bench.results.report.tables.errors import error_shares, error_tables
from bench.results.statistics.conclusion import all_pairs, by_budget, conclusion, significant
from bench.results.statistics.scores import Scores

UNKNOWN = "The ranking under equal FLOPs is not known: no run under a budget of FLOPs is in this report."


@pytest.fixture
def scores_of(
    tmp_path: Path,
    make_plan: Callable[..., Plan],
    write_cell: Callable[..., Record],
    predictions: pd.DataFrame,
) -> Callable[..., Scores]:
    """Scores of one seed: name -> share right in percent, or that with more facts of the record. A run a budget."""

    def build(**cells: float | tuple[float, dict[str, Any]]) -> Scores:
        runs: dict[str, list[str]] = {}
        for name, cell in cells.items():
            percent, facts = cell if isinstance(cell, tuple) else (cell, {})
            answers = predictions.assign(right=(predictions["item"] % 100 < percent).astype(int))
            budget = facts.get("budget", "examples=3000")
            write_cell(tmp_path / budget, answers, architecture=name, seed=0, **facts)
            runs.setdefault(budget, []).append(name)
        for budget, names in runs.items():
            write_plan(tmp_path / budget, make_plan(architectures=names, seeds=[0], budget=budget))
        return Scores(*(open_run(tmp_path / budget) for budget in runs))

    return build


def test_the_best_is_named_with_its_lead(report: Contents) -> None:
    [part] = report.parts
    [pair] = part.comparisons
    assert (pair.one, pair.other) == ("transformer", "lstm")
    lines = conclusion(part.scores, part.comparisons)
    whole = pair.rows[0].difference
    assert whole.low is not None
    assert whole.high is not None
    lead = f"{100 * whole.mean:.1f} points [{100 * whole.low:.1f}, {100 * whole.high:.1f}] more often than lstm."
    assert lines[0].startswith("transformer is right most often, on ")
    assert lines[0].endswith(f"of the test problems: {lead}")
    assert lines[-1] == UNKNOWN  # lstm and transformer used other amounts


def test_operations_are_told_apart_only_where_the_comparison_does(report: Contents) -> None:
    [part] = report.parts
    [pair] = part.comparisons
    verdicts = {"+": "transformer", "*": "transformer"}
    rows = [replace(row, verdict=verdicts.get(row.value, "cannot tell with 3 seeds")) for row in pair.rows]
    told, level = conclusion(part.scores, [replace(pair, rows=rows)])[1:3]
    assert told.startswith("By operation, the best can be told on addition (transformer ")
    assert " and multiplication (transformer " in told
    assert level.startswith("By operation, cannot tell with 3 seeds, after Holm over the ")
    assert "subtraction" in level
    assert "division" in level


def test_one_seed_tells_nothing_and_the_words_say_so(scores_of: Callable[..., Scores]) -> None:
    scores = scores_of(lstm=20, transformer=80)
    first, second, *_ = conclusion(scores, all_pairs(scores))
    assert first.startswith("transformer is right most often, on ")
    assert first.endswith("of the test problems.")
    assert second.startswith("Cannot tell with 1 seed whether it is better than lstm (")
    assert second.endswith("an interval needs 3 seeds).")


def test_all_that_cannot_be_told_from_the_best_stand_in_one_sentence(scores_of: Callable[..., Scores]) -> None:
    scores = scores_of(lstm=20, transformer=80, gru=50)
    _, line, *_ = conclusion(scores, all_pairs(scores))
    assert line.startswith("Cannot tell with 1 seed, after Holm over all 3 pairs, whether it is better than gru (")
    assert " or lstm (" in line


def test_one_architecture_has_none_to_be_compared_with(scores_of: Callable[..., Scores]) -> None:
    scores = scores_of(lstm=50)
    assert all_pairs(scores) == []
    [line] = conclusion(scores, [])
    assert line.startswith("lstm is right on ")
    assert line.endswith("There is no other to compare it with.")


def test_where_none_is_ever_right_there_is_no_best(scores_of: Callable[..., Scores]) -> None:
    scores = scores_of(lstm=0, transformer=0)
    assert conclusion(scores, all_pairs(scores))[0] == (
        "None of lstm and transformer is right on any of the test problems."
    )


def test_architectures_of_other_budgets_are_ranked_apart(scores_of: Callable[..., Scores]) -> None:
    flops = {"budget": "flops=3000000000"}
    scores = scores_of(lstm=90, gru=(10, flops), transformer=40, retnet=(70, flops))
    assert by_budget(scores) == {"examples=3000": ["lstm", "transformer"], "flops=3000000000": ["retnet", "gru"]}
    assert [(pair.one, pair.other) for pair in all_pairs(scores)] == [("lstm", "transformer"), ("retnet", "gru")]
    lines = conclusion(scores, all_pairs(scores))
    assert all(line.startswith(("Under examples=3000: ", "Under flops=3000000000: ")) for line in lines)
    assert any(line.startswith("Under flops=3000000000: retnet is right most often") for line in lines)


def test_many_pairs_are_asked_at_once(report: Contents) -> None:
    [pair] = report.parts[0].comparisons
    first = replace(pair.rows[0], p=0.02)
    alone = replace(pair, rows=[first])
    assert significant([alone]) == [True]
    assert significant([alone, alone, alone]) == [False, False, False]  # 3 x 0.02


def test_the_best_is_told_by_all_pairs_not_by_its_own(scores_of: Callable[..., Scores]) -> None:
    """It was picked by the same figures. After Holm 0.02 counts 2 x among two pairs, and 3 x among three."""
    scores = scores_of(lstm=20, transformer=80, gru=50)
    comparisons = [
        replace(pair, rows=[replace(pair.rows[0], p=0.02 if pair.one == "transformer" else 0.9)])
        for pair in all_pairs(scores)
    ]
    first, second, *_ = conclusion(scores, comparisons)
    assert first.endswith("of the test problems.")
    assert second.startswith("Cannot tell with 1 seed, after Holm over all 3 pairs, whether it is better than gru (")


@pytest.fixture
def of_seeds(
    tmp_path: Path,
    make_plan: Callable[..., Plan],
    make_record: Callable[..., Record],
    write_cell: Callable[..., Record],
    predictions: pd.DataFrame,
) -> Callable[..., Scores]:
    """Scores of six seeds: name -> share right in percent of each; None where it was not run, nan where it diverged."""

    def build(**cells: list[float | None]) -> Scores:
        write_plan(tmp_path, make_plan(architectures=list(cells), seeds=list(range(6))))
        for name, percents in cells.items():
            for seed, percent in enumerate(percents):
                if percent is None:
                    continue
                if math.isnan(percent):
                    record = make_record(architecture=name, seed=seed, status="diverged", reason="loss is nan")
                    write_record(cell_directory(tmp_path, name, seed), record)
                    continue
                answers = predictions.assign(right=(predictions["item"] % 100 < percent).astype(int))
                write_cell(tmp_path, answers, architecture=name, seed=seed, data_hash=f"d{seed}")
        return Scores(open_run(tmp_path))

    return build


GRU = [60, 62, 61, 95, 96, 94]


def test_the_best_of_other_seeds_is_not_called_better_where_it_is_not(of_seeds: Callable[..., Scores]) -> None:
    scores = of_seeds(gru=GRU, lstm=[70, 72, 72, None, None, None])
    first, second, third, *_ = conclusion(scores, all_pairs(scores))
    assert first.startswith("gru is right most often, on ")
    assert first.endswith("of the test problems.")
    assert second.startswith("On the seeds that both have, it is right less often than lstm (")
    assert second.endswith(", 3 seeds): run all with the same seeds.")
    assert "lstm" in third
    assert "before gru" in third
    assert "before lstm" not in third


def test_equal_differences_of_six_seeds_are_told_by_their_signs(of_seeds: Callable[..., Scores]) -> None:
    scores = of_seeds(gru=[100] * 6, lstm=[0] * 6)
    [pair] = all_pairs(scores)
    assert (pair.rows[0].p, pair.rows[0].sign_flip, pair.rows[0].verdict) == (None, 2 / 64, "gru")
    assert "more often than lstm" in conclusion(scores, [pair])[0]


def test_ties_are_no_lead(of_seeds: Callable[..., Scores]) -> None:
    scores = of_seeds(gru=[100] * 3, lstm=[100] * 3)
    first, *others = conclusion(scores, all_pairs(scores))
    assert first == "gru and lstm are right most often, each on 100.0 % of the test problems."
    assert not any("whether" in line for line in others)
    assert "addition (gru level with lstm)" in others[-1]


def test_who_is_level_with_the_best_ones_is_told_of_all_of_them(of_seeds: Callable[..., Scores]) -> None:
    scores = of_seeds(gru=[100.0] * 3, lstm=[100.0] * 3, rnn=[99.0, 100.0, 98.0])
    [line] = [line for line in conclusion(scores, all_pairs(scores)) if "whether" in line]
    assert line.startswith("Cannot tell with 3 seeds, after Holm over all 3 pairs, whether they are better than rnn (")


def test_what_many_pairs_cannot_tell_is_not_told_of_an_all_or_nothing_one(of_seeds: Callable[..., Scores]) -> None:
    scores = of_seeds(lstm=[100, 99, 98, 97, 99, 30], gru=[10, 11, 12, 13, 14, 15], rnn=[8, 8, 9, 9, 9, 8])
    said = conclusion(scores, all_pairs(scores))
    assert said[1].startswith("Cannot tell with 6 seeds, after Holm over all 3 pairs, whether it is better than gru")
    solved = [line for line in said if "all-or-nothing" in line]
    assert [line.split(",")[0] for line in solved] == ["lstm and gru", "lstm and rnn"]
    assert not any("more often" in line for line in said[1:])


def test_operations_tell_the_seeds_that_each_pair_has(of_seeds: Callable[..., Scores]) -> None:
    scores = of_seeds(gru=[60, 62, 70, 61, 66, 60], lstm=[58, 61, 69, None, None, None])
    [line] = [line for line in conclusion(scores, all_pairs(scores)) if line.startswith("By operation, cannot")]
    assert line.startswith("By operation, cannot tell with 3 seeds,")


def test_a_diverged_seed_counts_as_none_right(of_seeds: Callable[..., Scores]) -> None:
    nan = math.nan
    scores = of_seeds(gru=GRU, lstm=[70, 72, 72, nan, nan, nan], transformer=[nan] * 6)
    lstm = scores.share_right("lstm", "all", "all")
    assert lstm.n == 6
    assert lstm.mean == pytest.approx(fmean(record.exact_match or 0 for record in scores.of("lstm")) / 2)
    assert scores.digits_right("lstm").n == 6
    assert scores.architectures == ["gru", "lstm"]  # no seed of the third ended
    [pair] = all_pairs(scores)
    assert (pair.seeds, pair.left_out) == (list(range(6)), [])
    assert pair.rows[0].solved_other is not None
    assert pair.rows[0].solved_other.n == 6
    assert [row.seed for row in pair.mcnemar] == [0, 1, 2]  # no model of the other three is there
    assert error_shares(scores)["lstm"]["no end token"].mean == pytest.approx(0.5, abs=0.02)
    examples = error_tables(scores, error_shares(scores))[1]
    rows = [row for row in examples.rows.values() if row["architecture"].text == "lstm"]
    assert {row["seed"].text for row in rows} <= set("012")


def test_no_example_is_shown_where_only_diverged_seeds_were_wrong(of_seeds: Callable[..., Scores]) -> None:
    scores = of_seeds(gru=[100.0] * 3, lstm=[100.0, 100.0, math.nan])
    [table] = error_tables(scores, error_shares(scores))
    assert table.key == "errors"


def test_the_kinds_of_errors_add_up_to_all_errors(report: Contents) -> None:
    scores = report.parts[0].scores
    for name, shares in error_shares(scores).items():
        wrong = 1 - scores.share_right(name, "all", "all").mean
        assert sum(share.mean for share in shares.values()) == pytest.approx(wrong)


def test_ten_wrong_answers_of_each_are_shown_as_they_were_given(report: Contents) -> None:
    scores = report.parts[0].scores
    _, table = error_tables(scores, error_shares(scores))
    assert [sum(about.startswith(name) for about in table.rows) for name in scores.architectures] == [10, 10]
    for line in table.lines():
        name, problem, answer, given, raw, _, seed = (value.text for value in line)
        asked = scores.predictions[name, int(seed)]
        wrong = asked[asked["right"] == 0]
        problems = wrong["a"] + " " + wrong["op"] + " " + wrong["b"]
        [found] = wrong[problems == problem][["answer", "prediction", "raw"]].drop_duplicates().values.tolist()
        assert [answer, "" if given == NO_VALUE else given, raw] == found


def test_no_wrong_answer_no_table(scores_of: Callable[..., Scores]) -> None:
    scores = scores_of(lstm=100)
    assert error_tables(scores, error_shares(scores)) == []


def test_a_run_of_one_operation_has_a_conclusion_too(
    tmp_path: Path,
    make_plan: Callable[..., Plan],
    write_cell: Callable[..., Record],
    predictions: pd.DataFrame,
) -> None:
    sums = predictions[predictions["op"] == "+"]
    sums = sums.assign(item=range(len(sums)))
    strata = [stratum for stratum in make_plan().strata if stratum.operation == "+"]
    write_plan(tmp_path, make_plan(architectures=["lstm", "gru"], seeds=[0, 1, 2], strata=strata))
    for name, seed in ((name, seed) for name in ("lstm", "gru") for seed in (0, 1, 2)):
        wrong = sums["item"] % 10 < seed + 3 * (name == "gru")
        answers = sums.assign(right=(~wrong).astype(int))
        facts = {"data_hash": f"d{seed}", "data_chain": [f"c{seed}1", f"c{seed}2"]}
        write_cell(tmp_path, answers, architecture=name, seed=seed, **facts)
    scores = Scores(open_run(tmp_path))
    lines = conclusion(scores, all_pairs(scores))
    assert lines[0].startswith("lstm is right most often")
    assert not any(line.startswith("By operation") for line in lines)
