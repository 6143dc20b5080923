"""Two builds of this project beside one another: how much faster the new one trains and answers.

    python tests/benchmarks/against.py OLD NEW [--arch lstm,transformer] [--rounds 7]

OLD and NEW are checkouts. A process of each stands ready with the same architecture, as the presets of `quick` have it
in that build, on one thread; they take turns of a few steps, the first one changing from round to round, so that both
meet the same machine. Times are processor time; a ratio is taken within a round, and the table shows its quartiles.
`OLD:NEW` in place of a name compares two architectures, where a build has one under another name.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

STEPS = 8
"""Training steps of a turn."""
PROBLEMS = 2000
WORKER = """
import json, sys, time
sys.path.insert(0, "")
import torch
from bench.numerics import as_in_a_cell
from bench.planning.decide import decide
from bench.planning.options import RunOptions
from bench.speed.contenders import own_designs, random_problems, setting_of

arch, batch, problems = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
plan = decide(RunOptions(arch=arch, suite="quick", threads=1), command="")
setting = setting_of(plan, batch)
[design] = own_designs(plan)
with as_in_a_cell(1, "cpu"):
    torch.manual_seed(0)
    contender = design.build(setting)
    asked = random_problems(setting.decoded_spec, problems)
    with contender.numerics():
        contender.train()
        contender.decode(asked)
        for line in sys.stdin:
            what, times = line.split()
            began = time.process_time()
            for _ in range(int(times)):
                contender.train() if what == "train" else contender.decode(asked)
            print(json.dumps((time.process_time() - began) / int(times)), flush=True)
"""


class Build:
    """A process of a checkout, with one architecture ready."""

    def __init__(self, checkout: Path, arch: str, batch: int) -> None:
        command = [sys.executable, "-c", WORKER, arch, str(batch), str(PROBLEMS)]
        self._process = subprocess.Popen(
            command, cwd=checkout, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def seconds(self, what: str, times: int) -> float:
        """Processor seconds of one `what`, `train` or `answer`: the mean of so many."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what} {times}\n")
        self._process.stdin.flush()
        seconds: float = json.loads(self._process.stdout.readline())
        return seconds

    def close(self) -> None:
        self._process.communicate()


def compare(old: Build, new: Build, what: str, times: int, rounds: int) -> tuple[float, float, list[float]]:
    """Median seconds of both, and the quartiles of old over new."""
    pairs: list[tuple[float, float]] = []
    for number in range(-1, rounds):
        if number % 2:
            newer = new.seconds(what, times)
            pairs.append((old.seconds(what, times), newer))
        else:
            older = old.seconds(what, times)
            pairs.append((older, new.seconds(what, times)))
    del pairs[0]  # what is allocated once
    older_median, newer_median = (statistics.median(side) for side in zip(*pairs, strict=True))
    return older_median, newer_median, statistics.quantiles([before / after for before, after in pairs], n=4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--arch", default="lstm,transformer")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    options: Any = parser.parse_args()
    print("| architecture | | old ms | new ms | times as fast | quartiles | n |\n|---|---|---|---|---|---|---|")
    for name in options.arch.split(","):
        old_name, _, new_name = name.partition(":")
        old = Build(options.old, old_name, options.batch)
        new = Build(options.new, new_name or old_name, options.batch)
        for what, times in (("train", STEPS), ("answer", 1)):
            before, after, (low, middle, high) = compare(old, new, what, times, options.rounds)
            print(
                f"| {name} | {what} | {1000 * before:.1f} | {1000 * after:.1f} | {middle:.2f} | "
                f"{low:.2f} to {high:.2f} | {options.rounds} |",
                flush=True,
            )
        old.close()
        new.close()


if __name__ == "__main__":
    main()
