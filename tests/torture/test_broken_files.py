"""Files that lie are noticed: random damage to each kind of file of a run, and every command that reads it.

No traceback, a defined exit status, the file named in one line, and never a wrong figure shown as right. A few
mutations of each kind run by default, a thousand with `-m torture`. Another kind of file is one more line in `KINDS`.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from shutil import copytree
from typing import Any, NamedTuple

import mutations
import pytest
import torch

from bench.results.files import BadFile, checksum
from bench.results.records.baselines import read_baselines
from bench.results.records.curves import read_curve
from bench.results.records.plan import PLAN, parse_plan, read_plan_content
from bench.results.records.predictions import read_predictions
from bench.results.records.record import read_record
from bench.results.records.run import open_run
from bench.results.records.slices import slice_predictions
from bench.running.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from bench.verifying.cell import Cell
from bench.verifying.expected import Expected
from bench.verifying.run import files

Call = Callable[..., Any]

RUN = Path("runs/one")
CELL = Path("cells/lstm-s0")
TWIN = Path("cells/lstm-s1")
"""Another cell, whose files are foreign to the first."""


class Kind(NamedTuple):
    path: Path
    ways: tuple[mutations.Mutation, ...]
    read_by: tuple[str, ...]
    """the commands that say what is wrong with it"""

    @property
    def twin(self) -> Path:
        return TWIN / self.path.name if self.path.parent == CELL else self.path


READ_BY_ALL = ("report", "compare", "verify", "list", "run", "ask")
KINDS = {
    "plan": Kind(Path("run.json"), mutations.JSON, READ_BY_ALL),
    "record": Kind(CELL / "record.json", mutations.JSON, READ_BY_ALL),
    "predictions": Kind(CELL / "predictions.csv.gz", mutations.GZIPPED_CSV, READ_BY_ALL),
    "curve": Kind(CELL / "curve.csv", mutations.CSV, READ_BY_ALL),
    "weights": Kind(CELL / "model.safetensors", mutations.ANY, ("verify", "ask")),
}
SOME = pytest.param(3, id="some")
MANY = pytest.param(1000, id="many", marks=pytest.mark.torture)


def never(*_: object) -> None:
    raise AssertionError("a cell was trained again")


@pytest.fixture
def run(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run, where `list runs` finds it from the working folder; no cell may be trained again."""
    copytree(trained, tmp_path / RUN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.running.workers.Child", never)
    return RUN


@pytest.fixture
def planned_once(run: Path, run_arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Deciding the plan takes most of the time of a `run` that has nothing to do, and reads no file of it."""
    from bench.planning import decide as module
    from bench.planning.options import RunOptions

    options = dict(zip([flag[2:] for flag in run_arguments[::2]], run_arguments[1::2], strict=True))
    plan = module.decide(RunOptions(**{**options, "threads": 1}), command="test")
    monkeypatch.setattr(module, "decide", lambda options, command: plan.model_copy(update={"command": command}))


def mutated(kind: Kind, run: Path, number: int) -> Iterator[str]:
    """Damages the file of a kind `number` times, each time from the whole one; yields what was done to it."""
    whole, other = (run / kind.path).read_bytes(), (run / kind.twin).read_bytes()
    for case in range(number):
        chance = Random(f"{kind.path} {case}")
        way = chance.choice(kind.ways)
        data = way(whole, other, chance)
        if data != whole:
            (run / kind.path).write_bytes(data)
            yield f"{kind.path}, case {case}: {way.__name__}"
    (run / kind.path).write_bytes(whole)


def figures(command: str, out: str) -> Any:
    """All that a command says, but for the list of what is in no figure."""
    if command == "report":
        return [row for row in csv.reader(io.StringIO(out)) if not row[0].startswith("Cells without a result")]
    return json.loads(out)


def same_content(kind: Kind, run: Path, whole: bytes) -> bool:
    """Whether the damage is none: JSON with other white space says the same."""
    try:
        return kind.path.suffix == ".json" and json.loads((run / kind.path).read_bytes()) == json.loads(whole)
    except (ValueError, RecursionError):
        return False


def raised(error: type[Exception], function: Callable[[], object], what: str) -> str:
    """The text of the error that a function is allowed to raise; '' where it raises none. Any other fails."""
    try:
        function()
    except error as allowed:
        return str(allowed)
    except Exception as other:
        raise AssertionError(what) from other
    return ""


@pytest.fixture(scope="module")
def lines(run_arguments: list[str]) -> dict[str, list[str]]:
    """The commands that read the run."""
    return {
        "report": ["report", str(RUN), "--format", "csv"],
        "compare": ["compare", str(RUN), "--arch", "lstm,transformer", "--json"],
        "verify": ["verify", str(RUN), "--json"],
        "list": ["list", "runs", "--json"],
        "run": ["run", *run_arguments, "--out", str(RUN)],
        "ask": ["ask", str(RUN), "1+1"],
    }


@pytest.fixture(scope="module")
def without(
    trained: Path, lines: dict[str, list[str]], call: Call, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What is right where the damaged cell is in no figure: what is said where it was never run."""
    folder = tmp_path_factory.mktemp("without")
    copytree(trained, folder / RUN)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("bench.running.workers.Child", never)
        untouched = {command: call(*line) for command, line in lines.items()}
        assert {outcome.status for outcome in untouched.values()} == {0}
        (RUN / CELL).rename(RUN / "aside")
        found = {command: figures(command, call(*lines[command]).out) for command in ("report", "compare")}
        (RUN / "aside").rename(RUN / CELL)
        assert call(*lines["report"]) == untouched["report"]
    return found


@pytest.mark.parametrize("number", [SOME, MANY])
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.usefixtures("planned_once")
def test_a_damaged_file_is_named_by_whatever_command_reads_it(
    name: str, number: int, run: Path, lines: dict[str, list[str]], without: dict[str, Any], call: Call
) -> None:
    kind = KINDS[name]
    whole = (run / kind.path).read_bytes()
    for case, what in enumerate(mutated(kind, run, number)):
        if same_content(kind, run, whole):
            continue
        command = kind.read_by[case % len(kind.read_by)]
        before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
        status, out, err = call(*lines[command])
        what = f"{what}: {command} ended with {status}\n{err}"
        assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before, what
        if command == "list":  # it lists what there is, in whatever state
            assert status == 0, what
            assert kind.path.name in json.loads(out)[0]["state"], what
            continue
        assert status in (1, 2), what
        if command == "verify" and status == 1:  # a line a check
            assert any(kind.path.name in row["detail"] for row in json.loads(out) if row["ok"] is False), what
        else:
            assert err.count("\n") == 1, what
            assert err.startswith("bench: "), what
            assert str(kind.path) in err, what
            assert "; " in err, what
        if command in without and status == 1:
            assert figures(command, out) == without[command], what
        elif status == 2 and command != "run":
            assert out == "", what


@pytest.mark.parametrize("name", KINDS)
def test_no_model_of_a_damaged_cell_is_handed_on(name: str, run: Path, call: Call) -> None:
    path = run / KINDS[name].path
    path.write_bytes(mutations.last_byte_changed(path.read_bytes()))
    Path("problems.csv").write_text("a,op,b\n1,+,1\n", encoding="utf-8")
    for line in (
        ["eval", str(run), "--data", "problems.csv"],
        ["export", str(run), "--arch", "lstm", "--to", "exported"],
        ["push", str(run), "--arch", "lstm", "--repo", "me/model", "--dry-run"],
        ["serve", str(run), "--port", "0"],
    ):
        status, out, err = call(*line)
        assert (status, out, err.count("\n")) == (2, "", 1), line
        assert err.startswith(f"bench: {path}: "), line
        assert "; " in err, line
    assert not Path("exported").exists()


@pytest.mark.parametrize("number", [pytest.param(100, id="some"), MANY])
def test_readers_return_what_can_be_scored_or_say_which_file_is_bad(number: int, run: Path) -> None:
    """Deeper than commands reach, which compare a checksum first: whoever signs a file anew gets no further."""
    baselines = Kind(Path("baselines.csv"), mutations.CSV, ())

    def parse_signed_plan() -> object:
        return parse_plan(run / PLAN, {k: v for k, v in read_plan_content(run).items() if k != "checksum"})

    readers: list[tuple[Kind, Callable[[], object]]] = [
        (KINDS["plan"], parse_signed_plan),
        (KINDS["predictions"], lambda: slice_predictions(read_predictions(run / CELL))),
        (KINDS["curve"], lambda: read_curve(run / CELL)),
        (KINDS["record"], lambda: read_record(run / CELL)),
        (baselines, lambda: read_baselines(run)),
    ]
    for kind, read in readers:
        for what in mutated(kind, run, number):
            bad = raised(BadFile, read, what)
            assert bad.startswith(str(run / kind.path) if bad else ""), what
            assert bad.isprintable(), what


@pytest.mark.parametrize("number", [pytest.param(50, id="some"), MANY])
def test_damaged_weights_are_none_and_never_the_ones_of_the_record(number: int, run: Path) -> None:
    opened = open_run(run)
    record, entry = opened.records[0], opened.plan.entries["lstm"]
    expected = Expected(opened.plan)
    for what in mutated(KINDS["weights"], run, number):
        cell = Cell(run / CELL, record, entry, expected)
        with pytest.raises(BadFile, match=r"model\.safetensors"):
            files(cell)
        wrong = raised(BadFile, lambda cell=cell: cell.model, what)
        assert not wrong or "model.safetensors" in wrong, what


@pytest.mark.parametrize("number", [pytest.param(100, id="some"), MANY])
def test_a_damaged_checkpoint_is_never_gone_on_from(number: int, run: Path) -> None:
    kind = Kind(CELL / "checkpoint-000000000001.safetensors", mutations.ANY, ())
    for folder, value in ((CELL, 1.0), (TWIN, 2.0)):
        tensors = {"weight": torch.full((3, 4), value), "momentum": torch.zeros(5)}
        write_checkpoint(run / folder, folder.name, 1, Checkpoint(tensors, {"step": 1, "chain": ["ab"]}))
    for what in mutated(kind, run, number):
        bad = raised(BadFile, lambda: read_checkpoint(run / kind.path, CELL.name), what)
        assert bad.startswith(str(run / kind.path)), what


@pytest.mark.parametrize("number", [pytest.param(3, id="some"), MANY])
@pytest.mark.parametrize("name", ["plan", "record"])
def test_a_forger_who_signs_anew_meets_no_traceback(name: str, number: int, run: Path, call: Call) -> None:
    """What cannot be recomputed, such as times, is the maker's word; the rest is `verify`'s matter, tested there."""
    kind = KINDS[name]._replace(ways=(mutations.json_edited,))
    for what in mutated(kind, run, number):
        try:
            content = json.loads((run / kind.path).read_bytes())
            content["checksum"] = checksum({key: value for key, value in content.items() if key != "checksum"})
        except (ValueError, RecursionError):
            continue
        (run / kind.path).write_text(json.dumps(content), encoding="utf-8")
        for line in (["report", str(run)], ["compare", str(run), "--arch", "lstm,transformer"], ["verify", str(run)]):
            status, _, err = call(*line)
            assert status in (0, 1, 2), what
            assert all(message.startswith("bench: ") for message in err.splitlines()), what


def test_a_swap_of_two_cells_breaks_both(run: Path, call: Call) -> None:
    (run / CELL).rename(run / "aside")
    (run / TWIN).rename(run / CELL)
    (run / "aside").rename(run / TWIN)
    status, out, err = call("report", str(run), "--format", "csv")
    assert status == 1
    assert [line.partition(": is not of this place")[0] for line in err.splitlines()] == [
        f"bench: {run / cell / 'record.json'}" for cell in (CELL, TWIN)
    ]
    assert "lstm seed 0,status,broken," in out
