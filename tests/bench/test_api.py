"""`import bench`: train, load, read, compare and ask, and the page and notebook that show it."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient
from places import PUBLISHED, ROOT

import bench
from bench.api import command_of, options_of
from bench.cli import app
from bench.planning.options import RunOptions
from bench.results.records.collect import CELL_COLUMNS
from bench.results.records.curves import COLUMNS as CURVE_COLUMNS
from bench.results.records.predictions import COLUMNS as PREDICTION_COLUMNS
from bench.results.records.slices import RESULT_COLUMNS

SHOWN, SMALL = "examples=20k", "examples=600"
"""The budget on the page and in the notebook, and the one that is enough to see that they work."""


def test_frames_have_the_columns_of_the_files_and_their_types(trained_run: Path) -> None:
    run = bench.load(trained_run)
    cell = ["architecture", "seed"]
    assert list(run.cells) == list(CELL_COLUMNS)
    assert list(run.results) == list(RESULT_COLUMNS)
    assert list(run.curves) == cell + list(CURVE_COLUMNS)
    assert list(run.predictions) == cell + list(PREDICTION_COLUMNS)
    assert (run.cells["examples"].dtype, run.cells["exact_match"].dtype) == ("Int64", "Float64")
    assert (run.results["correct"].dtype, run.curves["train_loss"].dtype) == ("int64", "float64")
    for frame in (run.cells, run.results, run.curves, run.predictions):
        assert len(frame[cell].drop_duplicates()) == 4


def test_results_are_those_of_the_file() -> None:
    run = PUBLISHED / "forms" / "addition3"
    written = pd.read_csv(run / "results.csv")
    pd.testing.assert_frame_equal(bench.load(run).results.astype(written.dtypes), written)


def test_a_run_is_compared_asked_and_reported(trained_run: Path, tmp_path: Path) -> None:
    run = bench.load(trained_run)
    comparison = run.compare("lstm", "masked-encoder")
    assert comparison.frame["slice"].iloc[0] == "all"
    assert comparison.frame["low"].dtype == "float64"
    assert comparison.sentences
    answers = run.ask("-2+7", arch=["lstm"])
    assert answers[["architecture", "expected"]].to_numpy().tolist() == [["lstm", "5"]]
    assert [path.name for path in run.report("md", "csv", out=tmp_path)] == ["report.md", "report.csv"]
    assert "Summary" in run.text()
    assert repr(run).endswith("4 of 4 cells done>")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"arch": "lstm", "bugdet": "examples=9"}, "bugdet: no option of run has that name; did you mean 'budget'"),
        ({"arch": "lstm", "threads": "many"}, "has threads 'many'"),
        ({"arch": "lstm", "match": "all"}, "has match 'all'"),
        ({"arch": "lstm", "suite": "quack"}, "unknown suite 'quack'; did you mean 'quick'"),
        ({"arch": ["lstm", "lsmt"]}, "did you mean 'lstm'"),
        ({"arch": "lstm", "set": {"lr": "fast"}}, "--set lr 'fast': expected a finite number"),
    ],
)
def test_a_mistake_is_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(bench.UserError) as caught:
        bench.run(**values, quiet=True)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("folder", [PUBLISHED, PUBLISHED / "nowhere"])
def test_a_folder_that_is_no_run_is_one_line(folder: Path) -> None:
    with pytest.raises(bench.UserError, match=r"is no run folder|there is no such folder"):
        bench.load(folder)


@pytest.mark.parametrize(
    ("values", "options"),
    [
        ({"arch": ["lstm", "gru"], "seeds": 2}, RunOptions(arch="lstm,gru", seeds="2")),
        ({"arch": "lstm", "seeds": [4]}, RunOptions(arch="lstm", seeds="4,")),
        ({"arch": "lstm", "seeds": range(3), "params": 5000}, RunOptions(arch="lstm", seeds="0,1,2", params="5000")),
        (
            {"arch": "lstm", "set": {"lr": 0.01, "lstm.layers": 2}, "out": "a b", "unequal": True},
            RunOptions(arch="lstm", set=("lr=0.01", "lstm.layers=2"), out=Path("a b"), unequal=True),
        ),
    ],
)
def test_options_are_those_of_the_command(values: dict[str, Any], options: RunOptions) -> None:
    assert options_of(values) == options
    words = command_of(options).split("python -m bench ")[1]
    _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    assert bound.arguments["options"] == options


def test_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"lstm", "transformer", "mamba2"} <= set(bench.architectures()["name"])
    assert list(bench.architectures()) == ["name", "family", "year", "paper"]
    assert set(bench.suites()["name"]) >= {"quick", "addition2"}
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        _ = bench.trian  # type: ignore[attr-defined]


def test_importing_it_is_quick() -> None:
    program = "import sys, bench; print([name for name in ('torch', 'pandas', 'rich') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_page_runs_as_a_script_without_a_guard(tmp_path: Path) -> None:
    blocks = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "python-api.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert len(blocks) == 4
    program = "\n".join(blocks).replace(SHOWN, SMALL).replace("seeds=3", "seeds=1")
    assert SMALL in program
    (tmp_path / "page.py").write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{program}", encoding="utf-8")
    done = subprocess.run([sys.executable, "page.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Summary" in done.stdout
    assert (tmp_path / "runs" / "notebook" / "report.html").is_file()


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace(SHOWN, SMALL)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in shown if output.output_type == "error"]
    assert any("exact_match" in output.get("data", {}).get("text/html", "") for output in shown)
