"""`eval` and `score`: what becomes of every entry of a file."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from calling import call

from bench.asking.models import trained_models
from bench.asking.problem_files import evaluate, score, spelled_otherwise
from bench.datasets.expressions import as_problems, read_expression
from bench.datasets.problem_files import read_outside
from bench.datasets.split import SPLITS, split_of
from bench.datasets.suites import load_suite
from bench.results.records.predictions import read_predictions
from bench.results.records.run import cell_directory
from bench.results.records.slices import slice_predictions

MIXED = """a,op,b,answer
1,+,1,2
3,+,4,8
7,/,2,7/2
7,/,3,7/3
3,*,2,6
12345,+,1,12346
x,+,1,3
8,/,5,1.60
2,-,5,
"""


def test_every_entry_is_answered_or_named(trained_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "mixed.csv"
    path.write_text(MIXED)
    models = trained_models(trained_run)
    scored = evaluate(read_outside(path), models)
    assert [(unused.position, unused.text) for unused in scored.unread] == [(8, "x + 1")]
    assert [(unused.position, unused.reason) for unused in scored.wrong] == [(3, "is 7, the file says '8'")]
    assert [unused.position for unused in scored.left_out] == [5, 6, 7]
    assert list(scored.predictions) == [(model.architecture, model.seed) for model in models]
    for frame in scored.predictions.values():
        assert list(frame["item"]) == [2, 4, 9, 10]
        assert list(frame["answer"]) == ["2", "3.5", "1.6", "-3"]
        assert ((frame["prediction"] == frame["answer"]) == (frame["right"] == 1)).all()


def test_the_split_is_that_of_the_rule(trained_run: Path, tmp_path: Path) -> None:
    texts = [f"{a}+{b}" for a in range(10) for b in range(10)]
    expected = [SPLITS[code] for code in split_of(as_problems([read_expression(text) for text in texts]))]
    assert set(expected) == set(SPLITS)
    path = tmp_path / "sums.csv"
    path.write_text("a,op,b\n" + "".join(f"{a},+,{b}\n" for a in range(10) for b in range(10)))
    [frame] = evaluate(read_outside(path), trained_models(trained_run, ("lstm",), (0,))).predictions.values()
    assert list(frame["split"]) == expected


def test_a_run_asked_its_own_test_problems_scores_as_it_did(
    trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `eval`, which asks the models anew, and by `score`, which reads their answers."""
    kept = read_predictions(cell_directory(trained_run, "lstm", 0))
    test = kept[kept["split"] == "test"]
    test[["a", "op", "b", "answer"]].to_csv(tmp_path / "test.csv", index=False)
    line = ("eval", str(trained_run), "--data", str(tmp_path / "test.csv"), "--arch", "lstm", "--seed", "0", "--json")
    status, out, err = call(capsys, monkeypatch, *line)
    assert (status, err) == (0, "")
    assert _counts(out) == list(slice_predictions(test).itertuples(index=False, name=None))
    predictions = cell_directory(trained_run, "lstm", 0) / "predictions.csv.gz"
    suite = tmp_path / "tiny.toml"
    content = json.loads((trained_run / "run.json").read_text())["suite"]
    suite.write_text(Path(content["source"]).read_text())
    status, out, err = call(capsys, monkeypatch, "score", str(predictions), "--suite", str(suite), "--json")
    assert (status, err) == (0, "")
    assert _counts(out) == list(slice_predictions(test).itertuples(index=False, name=None))


def _counts(out: str) -> list[tuple[str, str, int, int]]:
    rows = [row for row in json.loads(out) if row["table"] == "exact match" and row["slice"] != "split"]
    return [(row["slice"], row["value"], *row["correct"], row["n"]) for row in rows]


def test_tables_show_the_unseen_part_and_what_is_in_no_figure(
    trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mixed.csv"
    path.write_text(MIXED + "".join(f"{a},+,{b},{a + b}\n" for a in range(10) for b in range(10)))
    status, out, err = call(capsys, monkeypatch, "eval", str(trained_run), "--data", str(path))
    assert (status, err) == (0, "")
    head = "109 problems, layout csv: not read 1, wrong reference 1, cannot be asked 3."
    assert head in " ".join(out.split())
    assert "division as in suite tiny: exact, to 2 places at most" in out
    frame = pd.DataFrame({"split": [SPLITS[code] for code in split_of(read_outside(path).problems)]})
    assert re.search(rf"test \(unseen\) .*n = {(frame['split'] == 'test').sum()} ", out)
    for part in ("line 8: x + 1", "is 7, the file says '8'", "line 5: 7 / 3", "not in the alphabet: *"):
        assert part in out


def test_nothing_left_to_score_is_one_line(
    trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.csv"
    path.write_text("a,op,b,answer\n7,*,3,21\n1,+,1,3\n")
    status, out, err = call(capsys, monkeypatch, "eval", str(trained_run), "--data", str(path))
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "Nothing is left to score" in err


def test_a_reference_is_right_by_value_or_by_the_rule_of_division(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text(
        "a,op,b,answer,prediction\n7,/,3,2.330,2.33\n7,/,3,7/3,2.3\n7,/,3,2.3,2.33\n7,/,2,3.50,3.5\n1,+,1,two,2\n"
    )
    rounded = score(read_outside(path), load_suite("standard"), "file")
    assert [unused.position for unused in rounded.wrong] == [4, 6]
    assert list(rounded.predictions["file", 0]["right"]) == [1, 0, 1]
    exact = score(read_outside(path), load_suite("quick"), "file")
    assert [unused.position for unused in exact.wrong] == [2, 4, 6]
    assert [unused.position for unused in exact.left_out] == [3]


def test_predictions_are_right_symbol_for_symbol_and_near_misses_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("a,op,b,prediction\n1,+,1,2\n1,+,2,3.0\n1,+,3,+4\n1,+,4,\n1,+,5,seven\n1,+,6,8\n")
    [frame] = score(read_outside(path), load_suite("quick"), "mine.csv").predictions.values()
    assert list(frame["right"]) == [1, 0, 0, 0, 0, 0]
    assert spelled_otherwise(frame) == 2
    status, out, err = call(capsys, monkeypatch, "score", str(path))
    assert (status, err) == (0, "")
    assert "2 predictions are the right number, written otherwise" in out
    assert "unseen" not in out
    assert "is not known" in out
