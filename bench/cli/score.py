"""`score`: anyone's predictions, in the same tables."""

from pathlib import Path

from bench.cli.parameters import JsonRows


def score_command(file: Path, /, *, suite: str = "quick", json: JsonRows = False) -> None:
    """The tables for predictions that anyone made: a CSV file with the columns a, op, b, prediction.

    A prediction is right if it is written as the exact answer is, symbol for symbol; the right number written otherwise
    is counted beside that. A column `answer` is checked too, a column `model` says who predicted. JSON lines with the
    same keys will do, and `question` or the like in the place of a, op, b. Nothing is written.

    Problems to ask: `python -m bench data --suite quick --split test --n 1000 --csv` prints them with these columns.

    Parameters
    ----------
    file
        File of predictions; may be gzipped.
    suite
        Suite, by name or path, whose rule of division answers are written by, and whose patterns count as trained on.
    """
    from bench.asking.problem_files import score
    from bench.cli.scored import print_scored
    from bench.datasets.problem_files import read_outside
    from bench.datasets.suites import load_suite
    from bench.errors import UserError, user_errors

    questions = f"python -m bench data --suite {suite} --split test --n 1000 --csv"
    with user_errors():
        chosen = load_suite(suite)
    try:
        outside = read_outside(file, predictions=True)
    except ValueError as error:
        raise UserError(f"{error} (questions to ask: {questions})") from None
    scored = score(outside, chosen, file.name)
    names = {name: name for name, _ in scored.predictions}
    notes = [f"Questions of the test split: {questions}"]
    print_scored(file, outside, scored, chosen, names, unseen=False, notes=notes, json=json)
