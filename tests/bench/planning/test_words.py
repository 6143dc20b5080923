"""What is wrong by its words alone is told before torch is imported."""

import subprocess
import sys

import pytest

from bench.architectures import all_architectures
from bench.planning.words import shipped_architectures

BUILT_IN = {name for name, cls in all_architectures().items() if cls.__module__.startswith("bench.")}
COMMAND = """
import sys
from bench.cli import app
from bench.errors import UserError
try:
    app(sys.argv[1:], exit_on_error=False, print_error=False)
except UserError as error:
    print(error)
assert not {"torch", "pandas", "numpy"} & set(sys.modules)
"""


def test_names_read_from_the_source_are_those_registered() -> None:
    assert shipped_architectures() == sorted(BUILT_IN)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("run --arch lsmt", "unknown architecture 'lsmt'; did you mean 'lstm'?"),
        ("check --arch lstm --suite qick", "unknown suite 'qick'; did you mean 'quick'?"),
        ("tune --arch lstm,lstm", "--arch 'lstm,lstm': lstm stands there twice"),
        ("run --arch lstm --budget epochs=3", "--budget 'epochs=3': expected one of examples=N"),
        ("run --arch lstm --seeds two", "--seeds 'two': expected a count such as 3"),
        ("run --arch lstm --params 0", "--params '0': expected a whole number from 1 on"),
        ("tune --arch lstm --training-problems x", "--training-problems 'x': expected a whole number from 1 on"),
    ],
)
def test_a_wrong_word_is_told_without_heavy_imports(words: str, line: str) -> None:
    command = [sys.executable, "-c", COMMAND, *words.split()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(line)


def test_planning_leaves_out_the_compiler_of_torch() -> None:
    code = (
        "import sys; from bench.planning.decide import decide; from bench.planning.options import RunOptions; "
        "from bench.planning.contract import refuse_broken; plan = decide(RunOptions(arch='lstm,transformer'), ''); "
        "refuse_broken(plan, plan.entries); assert 'torch._dynamo' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
