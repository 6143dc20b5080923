"""`eval` and `score`: what becomes of every entry of a file."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from calling import call
from tiny import suite_of

from bench.asking.models import trained_models
from bench.asking.problem_files import evaluate, score
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
    rows = [
        row for row in json.loads(out) if row["table"] == "exact match" and row["slice"] not in ("overall", "split")
    ]
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
        "a,op,b,answer,prediction\n7,/,3,2.330,2.33\n7,/,3,7/3,2.3\n7,/,3,2.3,2.33\n7,/,2,3.50,3.5\n1,+,1,three,2\n"
        "1,/,3,0.3333,0.33\n1,/,3,0.34,0.33\n1,+,1,many,2\n"
    )
    rounded = score(read_outside(path), load_suite("standard"), "file")
    assert [unused.position for unused in rounded.wrong] == [6, 8]
    assert [(u.position, u.reason) for u in rounded.unread] == [(9, "has the answer 'many', which is no number")]
    assert list(rounded.predictions["file", 0]["right"]) == [1, 0, 1, 1, 1]
    exact = score(read_outside(path), load_suite("quick"), "file")
    assert [unused.position for unused in exact.wrong] == [2, 6, 8]
    assert [unused.position for unused in exact.left_out] == [3, 4, 7]


def test_predictions_are_right_symbol_for_symbol_and_near_misses_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("a,op,b,prediction\n1,+,1,2\n1,+,2,3.0\n1,+,3,+4\n1,+,4,\n1,+,5,seven\n1,+,6,8\n")
    [frame] = score(read_outside(path), load_suite("quick"), "mine.csv").predictions.values()
    assert list(frame["right"]) == [1, 0, 0, 0, 0, 0]
    assert list(frame["written_otherwise"]) == [0, 1, 1, 0, 0, 0]
    status, out, err = call(capsys, monkeypatch, "score", str(path))
    assert (status, err) == (0, "")
    assert out.index("All problems of the file") < out.index("by the split")  # the overall share comes first
    assert re.search(r"mine.csv +16\.7 \[3\.0, 56\.4\] +33\.3 \[9\.7, 70\.0\] +6\n", out)
    assert "Wrong predictions: 5" in out
    assert re.search(r"mine.csv +3 +1 \+ 2 +3 +3\.0 +the right number, written otherwise", out)
    assert "data --suite quick --split test --n 1000 --csv" in out
    assert "unseen" not in out
    assert "is not known" in out
    rows = json.loads(call(capsys, monkeypatch, "score", str(path), "--json")[1])
    assert (rows[0]["slice"], rows[0]["n"], rows[0]["correct"], rows[0]["written_otherwise"]) == (
        "overall",
        6,
        [1],
        [2],
    )
    wrong = [row for row in rows if row["table"] == "wrong prediction"]
    assert [(row["position"], row["right_number"]) for row in wrong] == [
        (3, True),
        (4, True),
        (5, False),
        (6, False),
        (7, False),
    ]


def test_a_column_model_makes_a_row_a_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("model;a;op;b;prediction\none;12;+;7;19\nother;12;+;7;18\none;3,5;*;2;7\n")
    status, out, err = call(capsys, monkeypatch, "score", str(path))
    assert (status, err) == (0, "")
    assert re.search(r"^one +100\.0 .* 2\nother +0\.0 .* 1$", out, re.MULTILINE)
    assert re.search(r"^other +3 +12 \+ 7 +19 +18", out, re.MULTILINE)


def test_few_of_many_wrong_predictions_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("a,op,b,prediction\n" + "".join(f"{n},+,1,{n}\n" for n in range(12)))
    out = call(capsys, monkeypatch, "score", str(path))[1]
    assert "These are the first 10 of 12 of them; --json lists all." in out
    assert len(json.loads(call(capsys, monkeypatch, "score", str(path), "--json")[1])) > 12


def test_a_file_without_predictions_is_told_where_questions_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("a,op,b\n1,+,1\n")
    status, _, err = call(capsys, monkeypatch, "score", str(path), "--suite", "standard")
    assert status == 2
    assert err.count("\n") == 1
    assert "has no column prediction" in err
    assert "data --suite standard --split test" in err


@pytest.mark.parametrize(
    ("rule", "content"),
    [
        ("remainder", "a,op,b,answer,prediction\n56,/,18,3 R 2,3r2\n"),
        ("rounded", "a,op,b,answer,prediction\n1,/,3,0.3333,0.33\n"),
        ("exact", json.dumps([{"input": "1 + 4 =", "target": ["five", "5"], "prediction": "5"}])),
        ("exact", json.dumps([{"input": "3 * 9 =", "target": ["9", "27"], "prediction": "27"}])),
    ],
)
def test_a_reference_written_otherwise_is_not_called_wrong(rule: str, content: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(content)
    suite = suite_of({}, operations=["+", "*", "/"], division={"rule": rule})
    scored = score(read_outside(tmp_path / "file"), suite, "file")
    assert scored.wrong == []
    assert list(scored.predictions["file", 0]["right"]) == [1]
