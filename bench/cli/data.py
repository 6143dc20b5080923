"""`data`: look at the problems of a suite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from bench.cli.parameters import Json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.datasets.problems import Problems
    from bench.datasets.suites import Suite


def data_command(
    *,
    suite: str = "quick",
    split: Literal["train", "validation", "test"] = "train",
    n: int = 20,
    seed: int = 0,
    training_problems: str | None = None,
    json: Json = False,
    csv: bool = False,
    paper: bool = False,
) -> None:
    """Look at the problems of a suite as a model is given them.

    Parameters
    ----------
    suite
        Suite by name, or the path of a TOML file.
    split
        'train' shows the stream of --seed in its order, the others the fixed evaluation set in its order.
    n
        How many: of the stream the first, of a set at even distances, so that all kinds of problems are among them.
    seed
        Of the training stream.
    training_problems
        As for `run`: the stream over so many distinct problems.
    csv
        The same as CSV.
    paper
        Each problem worked out as a person writes it on paper, digit under digit; as LaTeX where the suite is.
    """
    import sys

    import numpy as np

    from bench.cli.output import print_csv, print_json, print_listing
    from bench.datasets.drawing.stream import BLOCK
    from bench.datasets.suites import load_suite
    from bench.errors import UserError, user_errors
    from bench.planning.amounts import parse_count

    if n < 1:
        raise UserError(f"--n {n}: expected a whole number from 1 on")
    if not 0 <= seed < 2**31:
        raise UserError(f"--seed {seed}: expected 0 to 2147483647")
    if json + csv + paper > 1:
        raise UserError("--json, --csv and --paper: take one of them")
    limit = parse_count(training_problems, "--training-problems") if training_problems else None
    with user_errors():
        chosen = load_suite(suite)
        limit = chosen.defaults.training_problems if limit is None else limit
        if split == "train":
            stream = chosen.stream(seed, limit)
            blocks = [stream.block(number) for number in range(-(-n // BLOCK))]
            problems = type(blocks[0]).join(blocks).rows(slice(n))
        else:
            problems = chosen.evaluation_set(split).problems
            count = min(n, len(problems))
            problems = problems.rows(np.arange(count) * len(problems) // count)
    if len(problems) < n:
        print(f"bench: the {split} set of {chosen.name} has {len(problems):,} problems; all are shown", file=sys.stderr)
    if paper:
        print("\n\n".join(_worked_out(chosen, problems)))
        return
    rows = _rows(chosen, problems, split)
    if json:
        print_json(rows)
        return
    for row in rows:
        row |= {key: " ".join(map(str, row[key])) for key in ("symbols", "token_ids")}
    if csv:
        print_csv(_COLUMNS, rows)
    else:
        shown = [{key.replace("_", " "): row[key] for key in _FOR_PEOPLE} for row in rows]
        title = f"{chosen.name}, {split}: {len(rows):,} problems ({_form(chosen)})"
        print_listing(title, shown)


_FOR_PEOPLE = ("prompt", "target", "answer", "symbols", "token_ids", "stratum", "split")
_COLUMNS = ("a", "op", "b", "digits", "signs", "places", *_FOR_PEOPLE)


def _form(suite: Suite) -> str:
    form = suite.form
    padded = [what for what, how in (("operands", form.operands), ("answers", form.answer_digits)) if how == "padded"]
    return ", ".join(
        [
            *(["LaTeX"] if form.notation == "latex" else []),
            f"{form.answer} answers",
            *([f"zeros before {' and '.join(padded)}"] if padded else []),
            *(["workings"] if form.workings != "none" else []),
            form.tokenizer,
        ]
    )


def _worked_out(suite: Suite, problems: Problems) -> Iterator[str]:
    """Each problem and answer, and how it is worked out: as the suite has it, or without sums where it has nothing."""
    from bench.datasets.writing.forms import TEXTS, Form
    from bench.datasets.writing.paper import in_latex, on_paper

    kind = "scratchpad" if suite.form.workings == "none" else suite.form.workings
    form, rule = Form("plain", workings=kind), suite.rule
    for row, codes in enumerate(form.targets(problems, rule)):
        target = "".join(TEXTS[code] for code in codes if code)
        texts, answer = problems.texts(row), form.read_answer(target)
        lines = on_paper(texts, answer, form.workings_of(target), rule, reverse=False)
        body = in_latex(lines) if suite.form.notation == "latex" else "\n".join(line.text for line in lines)
        yield f"{' '.join(texts)} = {answer}\n{body}"


def _rows(suite: Suite, problems: Problems, split: str) -> list[dict[str, Any]]:
    from bench.datasets.properties import properties_of

    encoding = suite.encoding
    decode, vocabulary = encoding.tokenizer.decode, encoding.tokenizer.vocabulary
    encoded, known = encoding.encode(problems), properties_of(suite, problems, [split] * len(problems))
    rows = []
    for place, about in enumerate(known.to_dict("records")):
        prompt, target = ([int(i) for i in ids[place] if i] for ids in (encoded.prompt, encoded.answer))
        row = {str(key): about[key] for key in ("a", "op", "b", "digits", "signs", "places")}
        row |= {"prompt": decode(prompt), "target": decode(target), "answer": about["answer"]}
        row |= {"symbols": [vocabulary[i] for i in prompt + target], "token_ids": prompt + target}
        row |= {"stratum": " ".join(str(about[key]) for key in ("op", "digits", "signs", "places")), "split": split}
        rows.append(row)
    return rows
