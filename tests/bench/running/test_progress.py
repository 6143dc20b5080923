import io

from rich.console import Console

from bench.running.progress import ProgressView


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
