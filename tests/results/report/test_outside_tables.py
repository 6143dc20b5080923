import pandas as pd
import pytest

from bench.results.report.tables.problem_files import outside_rows, outside_tables
from bench.results.statistics.estimates import wilson


def frame(*answers: tuple[str, str, str, int]) -> pd.DataFrame:
    """(split, op, digits, right) a problem."""
    rows = pd.DataFrame(answers, columns=["split", "op", "digits", "right"])
    return rows.assign(
        signs="++",
        places=0,
        written_otherwise=1 - rows["right"],
        carries=pd.array([0] * len(rows), "Int64"),
        answer_length=1,
        range="trained",
    )


TEST = (("test", "+", "1x1", 1), ("test", "+", "1x2", 0), ("test", "-", "1x1", 1), ("test", "-", "1x1", 1))
OTHERS = (("train", "+", "1x1", 1), ("validation", "+", "1x1", 0))


def test_slices_are_of_the_test_split_alone() -> None:
    rows = {(row.slice, row.value): row for row in outside_rows({("mine", 0): frame(*TEST, *OTHERS)})}
    counted = {key: (*row.correct, row.n) for key, row in rows.items()}
    assert [counted["split", split] for split in ("test", "validation", "train")] == [(3, 4), (0, 1), (1, 1)]
    assert counted["all", "all"] == (3, 4)
    assert counted["overall", "all"] == (4, 6)
    assert rows["overall", "all"].written_otherwise == [2]
    assert rows["operation", "+"].written_otherwise == [1]
    assert counted["operation", "+"] == (1, 2)
    assert counted["digits", "1x1"] == (3, 3)
    assert rows["split", "test"].share == wilson(3, 4)
    assert ("seen digits", "1x1") not in rows


def test_across_seeds_the_seed_is_the_unit() -> None:
    one, other, third = frame(*TEST), frame(*TEST).assign(right=0), frame(*TEST).assign(right=1)
    row = outside_rows({("a", 0): one, ("a", 1): other, ("a", 2): third})[0]
    assert (row.seeds, row.correct, row.n) == ([0, 1, 2], [3, 0, 4], 4)
    assert (row.share.unit, row.share.n) == ("seeds", 3)


def test_every_entry_shows_its_n_and_architectures_may_have_been_asked_different_problems() -> None:
    rows = outside_rows({("a", 0): frame(*TEST), ("b", 0): frame(*TEST[:2], *OTHERS)})
    tables = outside_tables(rows, {"a": "a seed 0", "b": "b seed 0", "c": "c seed 0"}, unseen=True)
    # No table of places or range, which have one value each.
    assert [table.key for table in tables] == ["split", "operation", "digits", "signs"]
    split = tables[0]
    assert [column.label for column in split.columns] == ["split", "a seed 0", "b seed 0", "c seed 0"]
    assert [[value.text for value in line] for line in split.lines()] == [
        ["test (unseen)", "75.0 [30.1, 95.4] n = 4", "50.0 [9.5, 90.5] n = 2", "-"],
        ["validation", "-", "0.0 [0.0, 79.3] n = 1", "-"],
        ["train", "-", "100.0 [20.7, 100.0] n = 1", "-"],
    ]
    shown = [value.text for table in tables for line in table.lines() for value in line[1:]]
    assert all(text == "-" or "n = " in text for text in shown)


@pytest.mark.parametrize("pretrained", [True, False])
def test_a_pretrained_model_may_have_met_the_problems_before(pretrained: bool) -> None:
    tables = outside_tables(outside_rows({("a", 0): frame(*TEST)}), {"a": "a"}, True, ["a"] if pretrained else [])
    assert any("may have met these before" in note.text for note in tables[0].notes) is pretrained
    assert ("unseen" in tables[0].lines()[0][0].text) is not pretrained


def test_what_the_maker_of_predictions_was_trained_on_is_not_known() -> None:
    [overall, table, *_] = outside_tables(outside_rows({("a", 0): frame(*TEST)}), {"a": "a"}, unseen=False)
    assert table.lines()[0][0].text == "test"
    assert table.notes[0].text.endswith("is not known.")
    assert [value.text for value in overall.lines()[0]] == ["a", "75.0 [30.1, 95.4]", "25.0 [4.6, 69.9]", "4"]


def test_the_headline_stands_there_without_a_problem() -> None:
    tables = outside_tables(outside_rows({("a", 0): frame(*OTHERS)}), {"a": "a"}, unseen=True)
    assert [value.text for value in tables[0].lines()[0]] == ["test (unseen)", "-"]
    assert len(tables) == 1
