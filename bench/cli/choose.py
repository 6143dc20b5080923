"""`choose`: which architecture and data to take for problems of a kind, from runs that are there."""

from __future__ import annotations

from pathlib import Path

from bench.cli.parameters import Json


def choose_command(
    *runs: Path, operations: str = "*", digits: str = "3x3", minutes: float = 10.0, json: Json = False
) -> int:
    """Which architecture, data and budget to take: the three that were right most often, of those that train in time.

    Reads the runs of the project, those in ./runs and ./reach, and those in folders that are named. Seconds are
    measured here, on a few steps of each. Nothing is extrapolated: problems that no run has asked have no answer, but a
    command that would measure them. Exit status: 0 there is a choice, 1 there is none.

    Parameters
    ----------
    runs
        Folders with more runs.
    operations
        One or several of + - * /.
    digits
        Digits of both operands.
    minutes
        Training of one model on this machine, at most.
    """
    from bench.choosing import CHOICES, choose
    from bench.cli.output import console, print_json, print_listing

    answer = choose(operations, digits, minutes, runs)
    if json:
        print_json(
            {
                "choices": [choice.row for choice in answer.choices],
                "too_slow": [choice.row for choice in answer.too_slow],
                "measured": answer.measured,
                "measure": answer.command,
            }
        )
    else:
        if answer.choices:
            title = f"{answer.operations} of {digits} digits, at most {minutes:g} min of training a model here"
            print_listing(title, [choice.words for choice in answer.choices])
        for line in answer.lines:
            console().print(line, soft_wrap=True)
        if slow := [choice.words for choice in answer.too_slow[:CHOICES]]:
            console().print()
            print_listing("Right more often, but slower than asked", slow)
    return 0 if answer.choices else 1
