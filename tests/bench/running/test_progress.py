import io

import pytest
from rich.console import Console

from bench.running.progress import ProgressView, clock


def test_a_cell_keeps_its_number() -> None:
    console = Console(file=io.StringIO(), width=120)
    with ProgressView(console, 2) as view:
        for name in ("lstm", "gru", "lstm"):  # the first is looked for again at the end
            view.leave(name, 0)
    lines = console.file.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == ["[1/2] lstm", "[2/2] gru", "[1/2] lstm"]


def test_a_step_beyond_the_budget_is_all_of_it() -> None:
    console = Console(file=io.StringIO(), width=120)
    event = {"kind": "validation", "correct": 1, "total": 4, "examples": 32, "train_seconds": 2.0, "train_loss": 1.5}
    with ProgressView(console, 1) as view:
        view.start("lstm", 0)
        view.event("lstm", 0, event | {"share": 3.0})
    assert console.file.getvalue() == ("[1/1] lstm, seed 0: 100%, loss 1.500, right 25.0%, 16 examples/s, 0 s left\n")


VALIDATED = {"kind": "validation", "correct": 1, "total": 4, "examples": 32, "train_seconds": 2.0, "train_loss": 1.5}


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the view is told, in seconds."""
    now = [0.0]
    monkeypatch.setattr("bench.running.progress.time.monotonic", lambda: now[0])
    return now


def test_a_line_says_how_far_the_whole_run_is(at: list[float]) -> None:
    console = Console(file=io.StringIO(), width=80)
    with ProgressView(console, 6, before=2) as view:
        view.begin("lstm, seed 0")
        view.begin("gru, seed 0")
        at[0] = 60.0
        view.tell("gru, seed 0", VALIDATED | {"share": 0.5})
        view.end("lstm, seed 0", "right")
    # 1.5 cells took 60 s, and 2.5 are left.
    assert console.file.getvalue().splitlines()[-1] == "[3/6] lstm, seed 0: right; 3 of 6 done, about 1 min 40 s left"


def test_what_others_did_takes_no_time_here(at: list[float]) -> None:
    console = Console(file=io.StringIO(), width=80)
    with ProgressView(console, 2) as view:
        view.begin("lstm, seed 0")
        view.tell("lstm, seed 0", {"kind": "resumed", "share": 0.75, "steps": 5})
        at[0] = 10.0
        view.end("lstm, seed 0", "right")
        view.leave("gru", 0)
    ended, left = console.file.getvalue().splitlines()[-2:]
    assert ended.endswith("; 1 of 2 done, about 40 s left")  # a quarter took 10 s
    assert left == "[2/2] gru, seed 0: left to another process, which works on it"


def test_a_cell_on_a_cluster_says_where_and_how_many_wait(at: list[float]) -> None:
    console = Console(file=io.StringIO(), width=100)
    with ProgressView(console, 3) as view:
        view.begin("lstm, seed 0")
        view.tell("lstm, seed 0", {"kind": "started", "where": "north"})
        at[0] = 5.0
        view.tell("lstm, seed 0", VALIDATED | {"share": 0.5})
        view.tell("lstm, seed 0", {"kind": "started", "where": "south"})  # the first worker was lost
        at[0] = 10.0
        view.tell("lstm, seed 0", VALIDATED | {"share": 0.5})
        at[0] = 15.0
        view.end("lstm, seed 0", "right")
    first, half, again, half_again, last = console.file.getvalue().splitlines()
    assert (first, again) == ("[1/3] lstm, seed 0 on north: starts", "[1/3] lstm, seed 0 on south: starts")
    assert half.endswith(", 5 s left")
    assert half_again.endswith(", 5 s left")  # nothing of what the first did
    assert last == "[1/3] lstm, seed 0 on south: right; 1 of 3 done, 0 at work, 2 wait, about 30 s left"


@pytest.mark.parametrize("width", [80, 120])
def test_the_whole_run_has_a_line_of_its_own_above_the_bars(width: int, at: list[float]) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=True)
    with ProgressView(console, 45) as view:
        view.begin("transformer-lstm, seed 0")
        at[0] = 100.0
        view.tell("transformer-lstm, seed 0", VALIDATED | {"share": 0.5})
        shown = console.render_lines(view._progress.get_renderable(), pad=False)
    whole, cell = ("".join(segment.text for segment in line).rstrip() for line in shown)
    assert whole == "0 of 45 done, about 2 h 28 min left"
    assert cell.startswith("[1/45] transformer-lstm, seed 0 ")
    assert "50 % loss 1.500, right 25.0%" in cell
    assert ("examples/s" in cell) == (width == 120)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.6, "1 min 0 s"), (130, "2 min 10 s"), (7500, "2 h 5 min")]
)
def test_durations_are_read_at_a_glance(seconds: float, text: str) -> None:
    assert clock(seconds) == text
