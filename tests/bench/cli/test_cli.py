"""The command line as a user meets it: what it prints where, exit status, and how bad input is met."""

import importlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from calling import call, one_by_one
from places import PUBLISHED, ROOT
from stranger import unknown_plugin

from bench.__main__ import _ask_again, _interrupt
from bench.cli import COMMANDS
from bench.cli.list import _headline, _without_common_presets
from bench.cli.output import console
from bench.datasets import suites
from bench.locks import TABLES_LOCK, holding
from bench.planning.decide import decide
from bench.planning.options import RunOptions


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_is_fast_and_imports_nothing_heavy(command: list[str]) -> None:
    program = (
        "import sys, time; sys.argv = ['bench', *sys.argv[1:], '--help']\n"
        "from bench.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'numpy', 'pandas', 'scipy', 'pydantic'} & set(sys.modules)\n"
        "print(f'HEAVY {sorted(heavy)} CPU {time.process_time()}')\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *command], capture_output=True, text=True, check=True)
    assert "Usage" in done.stdout
    assert "HEAVY []" in done.stdout
    # 0.3 s is the promise on a quiet machine; here it must only not be an import of torch (seconds).
    assert float(done.stdout.rsplit("CPU ", 1)[1]) < 1.5


def test_a_report_is_made_without_torch(tmp_path: Path) -> None:
    run = copytree(PUBLISHED / "sums" / "sums-1000-lora", tmp_path / "run")
    program = (
        "import sys; sys.argv = ['bench', 'report', sys.argv[1]]\n"
        "from bench.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "print('TORCH', 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(run)], capture_output=True, text=True, check=True)
    assert "Summary" in done.stdout
    assert "TORCH False" in done.stdout


BAD = [
    ("run --arch lsmt", "lsmt", "did you mean 'lstm'"),
    ("run --arch lstm,lstm", "lstm", "twice"),
    ("run --arch ,", "--arch", "at least one name"),
    ("run", "--arch", "requires an argument"),
    ("run --arch lstm --suite quik", "quik", "did you mean 'quick'"),
    ("run --arch lstm --suite nowhere.toml", "nowhere.toml", "cannot be read"),
    ("run --arch lstm --sedes 3", "--sedes", "Did you mean --seeds"),
    ("run --arch lstm --budget epochs=3", "epochs=3", "examples=N"),
    ("run --arch lstm --budget examples=-3", "-3", "whole number from 1 on"),
    ("run --arch lstm --budget=", "--budget ''", "examples=N"),
    ("run --arch lstm --params=", "--params ''", "whole number from 1 on"),
    ("run --arch lstm --training-problems=", "--training-problems ''", "whole number from 1 on"),
    ("run --arch lstm --plugin=", "--plugin ''", "at least one name"),
    ("run --arch lstm --out \udcff", "udcff", "is not UTF-8"),
    ("run --arch lstm --budget examples=0", "lstm", "knows nothing without training"),
    ("run --arch lstm --budget steps=0", "0", "whole number from 1 on"),
    ("run --arch pretrained", "pretrained", "needs a model"),
    ("run --arch lstm --seeds 0", "0", "at least one seed"),
    ("run --arch lstm --params 3", "3 parameters", "cannot be met within 2%"),
    ("run --arch lstm --params -5", "-5", "whole number from 1 on"),
    ("run --arch lstm --training-problems 0", "0", "whole number from 1 on"),
    ("run --arch lstm --training-problems 1M", "1,000,000", "there are only"),
    ("run --arch lstm --suite large --training-problems 1G", "1,000,000,000", "at most 10,000,000"),
    ("data --suite large --training-problems 1G", "1,000,000,000", "at most 10,000,000"),
    ("run --arch lstm --threads 0", "--threads 0", "expected 1 to 1024"),
    ("run --arch lstm --cells-at-once 0", "--cells-at-once 0", "expected 1 to 1024"),
    ("run --arch lstm --threads many", "--threads", "many"),
    ("run --arch lstm --precision 8", "8", "Choose from"),
    ("run --arch lstm --precision 16", "16", "take 32 or bf16"),
    ("run --arch lstm --set foo=3", "foo", "unknown"),
    ("run --arch lstm --set lr=abc", "abc", "finite number"),
    ("run --arch lstm --set layers=0", "layers", "from 1 on"),
    ("run --arch encoder-decoder --set layers=1", "layers 1", "at least 2"),
    ("run --arch transformer --set width=65,heads=4", "width", "multiple"),
    ("run --arch lstm --plugin no_such_module", "no_such_module", "cannot be imported"),
    ("run --arch lstm --out {file}/below", "--out", "cannot be made"),
    ("run --arch lstm --out {full}", "--out", "holds no run.json"),
    ("run --arch lstm --set-file {full}/none.toml", "none.toml", "cannot be read"),
    ("run --arch lstm --stop-when-flat 0", "--stop-when-flat 0", "from 1 on"),
    ("check --arch lsmt", "lsmt", "did you mean"),
    ("tune --arch lsmt", "lsmt", "did you mean 'lstm'"),
    ("tune --arch lstm --trials 0", "--trials 0", "expected 1 to 10,000"),
    ("tune --arch lstm --seed -1", "--seed -1", "expected 0"),
    ("tune --arch lstm --params 3", "3 parameters", "cannot be met within 2%"),
    ("tune --arch lstm --out {full}", "--out", "holds no tune.json"),
    ("tune --arch lstm --out {file}/below", "--out", "cannot be made"),
    ("perf --arch lsmt", "lsmt", "did you mean 'lstm'"),
    ("perf --batch 0", "--batch '0'", "whole number from 1 on"),
    ("perf --batch 2M", "2000000", "at most 1,048,576"),
    ("perf --rounds 0", "--rounds 0", "expected 1 to 10,000"),
    ("perf --threads 0", "--threads 0", "expected 1 to 1024"),
    ("perf --peers --growth", "--growth", "expected one of them"),
    ("perf --arch lstm --precision 16 --device cpu", "16", "take 32 or bf16"),
    ("perf --arch lstm --params 3", "3 parameters", "cannot be met within 2%"),
    ("perf --arch lstm --set foo=3", "foo", "unknown"),
    ("perf --arch lstm --out {file}/below", "--out", "cannot be made"),
    ("list suits", "suits", "Choose from"),
    ("data --n 0", "--n 0", "from 1 on"),
    ("data --seed -1", "--seed -1", "expected 0"),
    ("data --split tset", "tset", "Choose from"),
    ("data --suite quik", "quik", "did you mean"),
    ("data --json --csv", "--csv", "one of them"),
    ("report {full}", "{full}", "no run folder"),
    ("report {full}/none", "none", "no such folder"),
    ("report {full} --format pdf", "pdf", "text, html, md, csv, latex"),
    ("eval {full}", "--data", "requires an argument"),
    ("eval {full} --data {file}", "{file}", "layout cannot be told"),
    ("eval {full} --data {full}/none.csv", "none.csv", "cannot be read: No such file"),
    ("eval {full} --data {file} --layout cvs", "cvs", "Choose from"),
    ("eval {full} --data {file} --layout csv", "{file}", "has no column a, op, b"),
    ("eval {full} --data {file} --layout big-bench", "{file}", "no JSON object with a list `examples`"),
    ("eval {full} --data {file} --seed x", "--seed 'x'", "expected seeds such as 0"),
    ("eval {full} --data {file} --arch ,", "--arch ','", "at least one name"),
    ("eval {full} --data {problems}", "{full}", "no run folder"),
    ("score {file}", "{file}", "has no column a, op, b; its first line must name"),
    ("score {problems}", "{problems}", "has no column prediction"),
    ("score {problems} --suite quik", "quik", "did you mean 'quick'"),
    ("score {full}", "{full}", "cannot be read: Is a directory"),
    ("ask {full} 1+1", "{full}", "no run folder"),
    ("ask {full}/none 1+1", "none", "no such folder"),
    ("ask {full} 1+", "'1+'", "is no operation on two numbers"),
    ("ask {full} 12 + 7", '"12 + 7"', "put the expression in quotes"),
    ("ask {full} -12 + 7 --json", '"-12 + 7"', "put the expression in quotes"),
    ("ask {full}", '"-12 * 7"', "put the expression in quotes"),
    ("ask {full} 1,234+5", "'1,234'", "may be 1234 or 1.234"),
    ("ask {full} 1+2+3", "'1+2+3'", "has 3 numbers, not two"),
    ("ask {full} -1/0", "'-1/0'", "divides by zero"),
    ("ask {full} 1+1 --seed 0,x", "--seed '0,x'", "expected seeds such as 0"),
    ("ask {full} 1+1 --plugin no_such_module", "no_such_module", "cannot be imported"),
    ("serve {full} --port 0", "{full}", "no run folder"),
    ("serve {full}/none --port 0", "none", "no such folder"),
    ("serve {full} --port 65536", "--port 65536", "expected 0 to 65535"),
    ("serve {full} --port -1", "--port", "-1"),
    ("serve {full} --port http", "http", "--port"),
    ("serve {full} --rate 0", "--rate 0", "expected 1 to 1,000,000"),
    ("serve {full} --port 0 --host no.such.host.invalid", "no.such.host.invalid", "is no address of this machine"),
    ("serve {full} --port 0 --host 192.0.2.1", "--host 192.0.2.1", "Cannot assign requested address"),
    ("serve {full} --seed x", "--seed 'x'", "expected seeds such as 0"),
    ("frobnicate", "frobnicate", "Available commands"),
]


@pytest.mark.parametrize(("line", "value", "rule"), BAD)
def test_bad_input_is_one_clear_line_and_writes_nothing(
    line: str,
    value: str,
    rule: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").write_text("a file")
    (tmp_path / "problems.csv").write_text("a,op,b,answer\n1,+,1,2\n")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "other").write_text("something else")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    places = {"file": "file", "full": "full", "problems": "problems.csv"}
    status, out, err = call(capsys, monkeypatch, *line.format(**places).split())
    assert status == 2
    assert out == ""
    assert err.startswith("bench: ")
    assert err.count("\n") == 1
    assert value.format(**places) in err
    assert rule in err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_cannot_be_written_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root, who runs tests in containers, may write anywhere
    status, _, err = call(capsys, monkeypatch, "run", "--arch", "lstm", "--out", str(tmp_path / "locked"))
    assert status == 2
    assert "cannot be written to" in err


@pytest.mark.parametrize(
    ("place", "status", "error"),
    [(">&-", 0, ""), (">/dev/full", 2, "bench: standard output: No space left on device\n")],
)
def test_standard_output_may_be_closed_or_full(place: str, status: int, error: str) -> None:
    line = f"exec {shlex.quote(sys.executable)} -m bench list suites --json {place}"
    done = subprocess.run(["sh", "-c", line], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (status, error)


def test_a_clone_that_was_not_installed_says_how_to() -> None:
    command = [sys.executable, "-S", "-m", "bench", "list"]  # -S: without the packages of the environment
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("bench: cyclopts is not installed; in the folder of arithbench: pip ")


def test_words_of_a_suite_are_words_and_no_markup(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = tmp_path / "odd.toml"
    text = (Path(suites.__file__).parent / "suites" / "addition2.toml").read_text(encoding="utf-8")
    suite.write_text(re.sub("summary = .*", r'summary = "[/b] :smile: \\u001b[2J"', text), encoding="utf-8")
    status, out, err = call(
        capsys, monkeypatch, "check", "--arch", "lstm", "--suite", str(suite), "--out", str(tmp_path / "of[lr]")
    )
    assert (status, err) == (0, "")
    assert "[/b] :smile: ?[2J" in out
    assert "of[lr]" in out


def test_a_set_without_problems_is_a_table_without_rows(
    tiny_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.cli.data._rows", lambda *_: [])
    status, out, err = call(capsys, monkeypatch, "data", "--suite", str(tiny_path), "--csv")
    assert (status, out, err) == (
        0,
        "a,op,b,digits,signs,places,prompt,target,answer,symbols,token_ids,stratum,split\n",
        "",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="there a folder that somebody works in cannot be deleted")
def test_a_working_folder_that_was_deleted_takes_nothing_from_who_needs_none(tmp_path: Path) -> None:
    program = "import os; os.rmdir(os.getcwd()); from bench.__main__ import main; main()"
    command = [sys.executable, "-c", program, "list", "suites"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "quick" in done.stdout


def test_a_mistake_of_a_plug_in_is_one_line_at_check(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise IndexError("too many\nindices")

    with unknown_plugin() as plugin:
        module = importlib.import_module(plugin)
        monkeypatch.setattr(module.TinyGRU, "logits", broken)
        status, out, err = call(capsys, monkeypatch, "check", "--arch", "tiny-gru", "--plugin", plugin)
    assert (status, out) == (2, "")
    assert err == "bench: tiny-gru: IndexError: too many indices\n"


def test_an_interrupt_is_one_line_whatever_it_meets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.datasets.suites.load_suite", interrupt)
    assert call(capsys, monkeypatch, "data") == (130, "", "bench: interrupted\n")


def test_an_interrupt_that_a_library_makes_another_error_is_one_line_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: str) -> None:
        raise ImportError("initialization failed") from KeyboardInterrupt()

    monkeypatch.setattr("bench.datasets.suites.load_suite", interrupt)
    assert call(capsys, monkeypatch, "data") == (130, "", "bench: interrupted\n")


def test_list_as_json_is_one_document(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, _ = call(capsys, monkeypatch, "list", "architectures", "--json")
    assert status == 0
    listed = json.loads(out)
    assert {"lstm", "transformer", "encoder-decoder"} <= {row["name"] for row in listed}
    assert all({"name", "family", "year", "paper"} <= set(row) for row in listed)
    suites = json.loads(call(capsys, monkeypatch, "list", "suites", "--json")[1])
    assert {"quick", "addition2", "addition3", "standard", "longer", "large"} <= {row["name"] for row in suites}
    assert set(json.loads(call(capsys, monkeypatch, "list", "--json")[1])) == {"architectures", "suites", "runs"}


def test_presets_that_most_architectures_have_are_said_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, out, _ = call(capsys, monkeypatch, "list", "architectures")
    [line] = [line for line in out.splitlines() if line.startswith("tuned for: ")]
    assert "quick, 100,000 parameters, examples=300000" in line
    assert out.count("100,000 parameters") == line.count("100,000 parameters")
    rows = [{"name": "a", "presets": "x"}, {"name": "b", "presets": "x"}, {"name": "c", "presets": ""}]
    assert _without_common_presets(rows[:2]) == ([{"name": "a"}, {"name": "b"}], "x")
    assert _without_common_presets(rows[1:]) == (rows[1:], "")
    assert [row["presets"] for row in _without_common_presets(rows)[0]] == ["as below", "as below", "none"]


def test_list_shows_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs" / "broken").mkdir(parents=True)
    (tmp_path / "runs" / "broken" / "run.json").write_text("{")
    monkeypatch.chdir(tmp_path)
    status, out, _ = call(capsys, monkeypatch, "list", "runs")
    assert status == 0
    assert "unusable" in out


def test_list_counts_a_diverged_seed_as_the_tables_do() -> None:
    records: Any = [
        SimpleNamespace(architecture=name, status=status, done=status == "done", exact_match=share)
        for name, status, share in (
            *(("lstm", "done", 0.9), ("lstm", "done", 0.9), ("lstm", "diverged", None)),
            *(("gru", "done", 0.7), ("gru", "failed", None), ("rnn", "diverged", None)),
        )
    ]
    assert _headline(records) == "gru 70.0, lstm 60.0"


def test_data_shows_the_finite_training_set_that_a_suite_asks_for(
    tiny_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tiny_path.read_text()
    assert "[defaults]" in text
    suite = tmp_path / "few.toml"
    suite.write_text(text.replace("[defaults]", "[defaults]\ntraining_problems = 4"))
    rows = json.loads(call(capsys, monkeypatch, "data", "--suite", str(suite), "--n", "12", "--json")[1])
    assert len({(row["a"], row["op"], row["b"]) for row in rows}) == 4
    asked = ("data", "--suite", str(suite), "--n", "12", "--training-problems", "5", "--json")
    rows = json.loads(call(capsys, monkeypatch, *asked)[1])
    assert len({(row["a"], row["op"], row["b"]) for row in rows}) == 5


def test_data_shows_problems_as_a_model_is_given_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, _ = call(capsys, monkeypatch, "data", "--n", "3")
    assert status == 0
    for part in ("prompt", "target", "token ids", "stratum", "<eos>"):
        assert part in out
    rows = json.loads(call(capsys, monkeypatch, "data", "--n", "50", "--json")[1])
    assert len(rows) == 50
    for row in rows:
        assert row["prompt"] == f"{row['a']}{row['op']}{row['b']}="
        assert row["target"] == row["answer"][::-1]
        assert row["split"] == "train"
        assert "".join(row["symbols"]) == f"{row['prompt']}{row['target']}<eos>"
        assert len(row["token_ids"]) == len(row["symbols"])
        assert row["stratum"] == f"{row['op']} {row['digits']} {row['signs']} {row['places']}"
    csv = call(capsys, monkeypatch, "data", "--n", "2", "--csv")[1].splitlines()
    assert csv[0] == "a,op,b,digits,signs,places,prompt,target,answer,symbols,token_ids,stratum,split"
    assert len(csv) == 3
    assert csv[1].split(",")[-4] == " ".join(rows[0]["symbols"])


def test_data_shows_problems_on_paper(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, _ = call(capsys, monkeypatch, "data", "--n", "9", "--paper")
    assert status == 0
    worked = [problem.splitlines() for problem in out.rstrip("\n").split("\n\n")]
    rows = json.loads(call(capsys, monkeypatch, "data", "--n", "9", "--json")[1])
    assert [lines[0] for lines in worked] == [f"{row['a']} {row['op']} {row['b']} = {row['answer']}" for row in rows]
    assert all(len(lines) > 3 for lines in worked)
    latex = call(capsys, monkeypatch, "data", "--n", "2", "--paper", "--suite", "latex")[1]
    assert latex.count(r"\begin{array}") == 2
    assert call(capsys, monkeypatch, "data", "--paper", "--csv")[0] == 2


def test_data_shows_the_evaluation_set_in_its_order_and_says_when_that_is_all(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.datasets.suites import load_suite

    status, out, err = call(
        capsys, monkeypatch, "data", "--suite", "addition3", "--split", "test", "--n", "9999", "--json"
    )
    assert status == 0
    assert "1,000 problems; all are shown" in err
    problems = load_suite("addition3").evaluation_set("test").problems
    assert [(row["a"], row["op"], row["b"]) for row in json.loads(out)] == [
        problems.texts(row) for row in range(len(problems))
    ]


def test_some_problems_of_a_set_are_of_all_its_kinds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = json.loads(call(capsys, monkeypatch, "data", "--split", "test", "--n", "400", "--json")[1])
    assert len(rows) == len({(row["a"], row["op"], row["b"]) for row in rows}) == 400
    assert {row["op"] for row in rows} == set("+-*/")
    assert {row["digits"] for row in rows} == {"1x1", "1x2", "2x1", "2x2"}


def test_check_prints_the_plan_and_trains_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, _ = call(
        capsys, monkeypatch, "check", "--arch", "lstm,encoder-decoder", "--budget", "flops=1T", "--set", "lr=0.01"
    )
    assert status == 0
    for part in ("lstm", "encoder-decoder", "parameters", "by optimizer", "lr=0.01", "not tuned", "budget flops=10000"):
        assert part in out
    assert re.search(r"FLOPs/cell\s", out)
    assert len(re.findall(r" 1T +[0-9]+\.[0-9]%", out)) == 2  # model and optimizer together take the budget
    assert list(tmp_path.iterdir()) == []


def test_check_says_how_long_one_waits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "bench.running.estimate.training_seconds", lambda plan, name: {"lstm": 86400.0, "gru": 600.0}[name]
    )
    asked = ("check", "--arch", "lstm,gru", "--suite", "addition3", "--seeds", "3", "--threads", "1", "--cells-at-once")
    status, out, _ = call(capsys, monkeypatch, *asked, "2")
    assert status == 0
    assert "about 2 days here, 2 at once: 2 x 3 cells, 3 days of training in all" in out
    assert re.search(r"gru .* 10 min ", out)
    out = call(capsys, monkeypatch, *asked, "1")[1]
    assert "about 3 days here, one after another: 2 x 3 cells, 3 days of training in all" in out
    out = call(capsys, monkeypatch, *asked, "1", "--workers", "1,3", "--engine", "ray")[1]
    one, three = (re.split(r" {2,}", line.strip()) for line in out.strip().splitlines()[-2:])
    assert one[:3] == ["1", "3 days", "72.50"]
    assert three[:2] == ["3", "24 h"]
    document = json.loads(call(capsys, monkeypatch, *asked, "1", "--workers", "6", "--json")[1])
    assert document["schedules"][0]["workers"] == 6


def test_equal_amounts_make_equal_plans(tiny_path: Path) -> None:
    def hash_of(**options: str) -> str:
        return decide(RunOptions(arch="lstm", suite=str(tiny_path), threads=1, **options), command="test").plan_hash

    assert len({hash_of(budget=f"seconds={text}") for text in ("600", "10min", "600s", "6e2", "0.6k")}) == 1
    assert len({hash_of(budget=f"flops={text}") for text in ("1e11", "100G", "100_000_000_000")}) == 1
    assert hash_of(params="5e3", training_problems="1e2") == hash_of(params="5k", training_problems="100")


def test_check_measures_the_size_that_is_matched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.running.estimate.training_seconds", lambda *_: 1.0)
    status, out, _ = call(capsys, monkeypatch, "check", "--arch", "switch", "--match", "active", "--suite", "addition3")
    assert status == 0
    assert re.search(r"switch +\d+,\d+ +[+-]\d\.\d\d% +\d", out)


def test_check_says_in_one_line_what_cannot_run_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.running.estimate.training_seconds", fail)
    status, out, err = call(capsys, monkeypatch, "check", "--arch", "lstm", "--suite", "addition3")
    assert (status, out, err) == (2, "", "bench: lstm: cannot run here: no memory left\n")


def test_a_run_that_may_only_be_read_or_is_at_work_is_reported_without_writing(
    trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    copytree(trained_run, run)

    def tables() -> list[str]:
        status, out, err = call(capsys, monkeypatch, "report", str(run))
        assert (status, err) == (0, "")
        assert "Exact match %, by operation" in out
        return [path.name for path in sorted(run.glob("*.csv"))]

    with holding(run / TABLES_LOCK):
        assert tables() == []
    with monkeypatch.context() as patch:
        patch.setattr("os.access", lambda path, mode: False)  # root may write anywhere
        assert tables() == []
    assert tables() == ["cells.csv", "results.csv"]
    for name in tables():
        os.utime(run / name, ns=(7, 7))
    assert [(run / name).stat().st_mtime_ns for name in tables()] == [7, 7]  # tables that stand are not written again


def test_where_nobody_watches_lines_are_as_wide_as_columns_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns, width in (("40", 40), ("200", 200), ("wide", 120)):
        monkeypatch.setenv("COLUMNS", columns)
        assert console().width == width
    monkeypatch.delenv("COLUMNS")
    assert console().width == 120


def test_a_report_for_programs_has_the_numbers_behind_the_tables(
    trained_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, _ = call(capsys, monkeypatch, "report", str(trained_run), "--json")
    assert status == 0
    document = json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    [part] = document["parts"]
    assert part["runs"] == [str(trained_run)]
    assert part["opening"][-len(part["verdict"]) :] == part["verdict"]
    summary = part["tables"][0]
    assert summary["key"] == "summary"
    results = pd.read_csv(trained_run / "results.csv")
    for name in part["tiers"]:
        rows = results[(results["slice"] == "all") & (results["architecture"] == name)]
        right = 100 * (rows["correct"] / rows["total"]).mean()
        assert summary["rows"][name]["exact_match"]["value"] == pytest.approx(right)
        assert summary["rows"][name]["tier"]["text"] == part["tiers"][name]
    refused = call(capsys, monkeypatch, "report", str(trained_run), "--json", "--format", "md")
    assert refused[0] == 2
    assert "leave --format and --out away" in refused[2]


def test_check_for_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.running.estimate.training_seconds", lambda *_: 2.5)
    asked = ("check", "--arch", "lstm,gru", "--suite", "addition3", "--seeds", "2", "--cells-at-once", "1", "--json")
    status, out, err = call(capsys, monkeypatch, *asked)
    document = json.loads(out)
    assert (status, err, document["seeds"], document["suite"]) == (0, "", [0, 1], "addition3")
    assert [cell["architecture"] for cell in document["cells"]] == ["lstm", "gru"]
    plan = decide(RunOptions(arch="lstm,gru", suite="addition3"), command="test")
    for cell in document["cells"]:
        planned = plan.entries[cell["architecture"]]
        assert (cell["parameters"], cell["train_seconds"]) == (planned.parameters, 2.5)
        assert cell["training"]["batch"] == planned.training["batch"]


def test_a_run_for_programs_and_one_that_says_nothing(
    tiny_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.running.engine.run_tasks", one_by_one)
    asked = ("run", "--arch", "gru", "--suite", str(tiny_path), "--seeds", "2", "--budget", "examples=64")
    asked += ("--params", "4k", "--threads", "1", "--unequal", "--out", str(tmp_path / "run"))
    status, out, err = call(capsys, monkeypatch, *asked, "--json")
    assert status == 0
    assert "gru" in json.loads(out)["parts"][0]["tables"][0]["rows"]
    assert "gru, seed 1" in err
    assert call(capsys, monkeypatch, *asked, "--quiet") == (0, "", "")
    status, out, err = call(capsys, monkeypatch, *asked, "--quiet", "--json")
    assert (status, out) == (2, "")
    assert "--quiet and --json: choose one" in err


def test_a_reader_that_has_enough_is_no_error_but_the_status_tells() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "bench", "list", "suites"]
    done = subprocess.run(command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_terminal_that_lacks_letters_is_one_line(trained_run: Path, tmp_path: Path) -> None:
    copytree(trained_run, tmp_path / "runs" / "é")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "bench", "list", "runs", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("bench: standard output: '\\xe9' cannot be written as ascii; set PYTHONIOENCODING=")


def test_an_interrupt_that_python_cannot_raise_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it frees an object Python says "Exception ignored", a traceback, and goes on."""
    monkeypatch.setattr(sys, "unraisablehook", _ask_again)
    before = signal.signal(signal.SIGTERM, _interrupt)

    class Dear:
        def __del__(self) -> None:
            raise KeyboardInterrupt

    def free() -> None:
        Dear()
        time.sleep(10)

    try:
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            free()
        assert time.monotonic() - started < 5
    finally:
        signal.signal(signal.SIGTERM, before)
