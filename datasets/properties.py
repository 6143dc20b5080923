"""Properties of problems, such as digits, signs and carries: tables of results are sliced by them."""

from collections.abc import Sequence

import pandas as pd

from bench.datasets.problems import SIGNS, Problems, carries, solve
from bench.datasets.suites import Suite

COLUMNS = ("item", "split", "a", "op", "b", "answer", "digits", "signs", "places", "carries", "answer_length", "range")


def properties_of(suite: Suite, problems: Problems, splits: Sequence[str]) -> pd.DataFrame:
    """The columns of predictions.csv.gz that no answer enters, a row for each problem; `splits` (n,) is `split`.

    Raises:
        ValueError: a problem has no answer under the suite's rule of division.
    """
    answers, counts = solve(problems, suite.rule), carries(problems)
    a_digits, b_digits, signs, places = problems.a_digits, problems.b_digits, problems.signs, problems.places
    trained = {(s.operation, s.digits, s.signs, s.places) for s in suite.strata()}
    rows = []
    for row, split in enumerate(splits):
        a, op, b = problems.texts(row)
        answer = answers.text(row)
        stratum = (op, f"{a_digits[row]}x{b_digits[row]}", SIGNS[signs[row]], int(places[row]))
        carried = None if counts[row] < 0 else int(counts[row])
        reach = "trained" if stratum in trained else "beyond"
        rows.append((row, split, a, op, b, answer, *stratum[1:], carried, len(answer), reach))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"carries": "Int64"})
