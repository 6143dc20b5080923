"""`score`: anyone's predictions, in the same tables."""

from pathlib import Path

from bench.cli.parameters import JsonRows


def score_command(file: Path, /, *, suite: str = "quick", json: JsonRows = False) -> None:
    """The tables for predictions that anyone made: a CSV file with the columns a, op, b, prediction.

    A prediction is right if it is written as the exact answer is, symbol for symbol. A column `answer`, where there is
    one, is checked too. Nothing is written.

    Parameters
    ----------
    file
        CSV file; may be gzipped.
    suite
        Suite, by name or path, whose rule of division answers are written by, and whose patterns count as trained on.
    """
    from bench.asking.problem_files import score, spelled_otherwise
    from bench.cli.scored import print_scored
    from bench.datasets.problem_files import NEEDED, read_outside
    from bench.datasets.suites import load_suite
    from bench.errors import user_errors

    with user_errors():
        chosen = load_suite(suite)
        outside = read_outside(file, "csv", (*NEEDED, "prediction"))
    name = file.name
    scored = score(outside, chosen, name)
    notes = []
    for frame in scored.predictions.values():
        if others := spelled_otherwise(frame):
            are = "prediction is" if others == 1 else "predictions are"
            notes.append(f"{others:,} {are} the right number, written otherwise (12.50 for 12.5): counted as wrong.")
    print_scored(file, outside, scored, chosen, {name: name}, unseen=False, notes=notes, json=json)
