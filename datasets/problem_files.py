"""Reads files of problems that others wrote, in the layouts that are common in this field.

| layout      | what it is                                                                                      |
|-------------|-------------------------------------------------------------------------------------------------|
| csv         | a header with the columns a, op, b and, where there are any, answer and prediction               |
| json-lines  | the arithmetic files of GPT-3 (Brown et al. 2020): a line holds one object with `context`, such  |
|             | as "Q: What is 95 plus 45?\\nA:", and `completion`, such as " 140"                               |
| big-bench   | a task of BIG-bench (Srivastava et al. 2022): `examples` with `input`, and `target` or           |
|             | `target_scores`, of which the highest is right                                                   |
| mathematics | text of DeepMind's mathematics dataset (Saxton et al. 2019): a line a question, the next its     |
|             | answer                                                                                           |

An entry that cannot be read as one operation on two numbers is returned with the reason.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.datasets.expressions import (
    Expression,
    as_problems,
    operate,
    read_expression,
    read_number,
    read_operation,
    read_value,
)
from bench.datasets.problems import Problems

NEEDED = ("a", "op", "b")
"""Columns without which a CSV file has no problems."""


@dataclass(frozen=True)
class Unused:
    """An entry of a file that is not used, and why."""

    position: int
    """its line in the file, or its number among the examples of `big-bench`, from 1"""
    text: str
    """as it stands there, cut where it is long"""
    reason: str
    """the end of a sentence that begins with the text"""


@dataclass(frozen=True)
class Outside:
    """The content of a file: n problems in its order, and the entries that could not be read."""

    layout: str
    problems: Problems
    positions: list[int]
    """(n,) see `Unused.position`"""
    answers: list[str]
    """(n,) as the file states them, '' where it states none"""
    predictions: list[str]
    """(n,) likewise"""
    unread: list[Unused]


@dataclass(frozen=True)
class _Entry:
    position: int
    text: str
    expression: Expression | str
    """or the reason why it is none"""
    answer: str = ""
    prediction: str = ""


def read_outside(path: Path, layout: str | None = None, needed: tuple[str, ...] = NEEDED) -> Outside:
    """The problems of a file, which may be gzipped. Where `layout` is None, the content decides.

    Raises:
        ValueError: the file cannot be read, is of no known layout or another than `layout`, holds no entry, or is a CSV
            file without one of the `needed` columns; one line.
    """
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is not UTF-8 text") from None
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        layout = layout or detect(text)
        entries = list(_csv(text, needed) if layout == "csv" else LAYOUTS[layout](text))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not entries:
        raise ValueError(f"{path}: holds no problem")
    read = [entry for entry in entries if isinstance(entry.expression, Expression)]
    return Outside(
        layout=layout,
        problems=as_problems([entry.expression for entry in read if isinstance(entry.expression, Expression)]),
        positions=[entry.position for entry in read],
        answers=[entry.answer for entry in read],
        predictions=[entry.prediction for entry in read],
        unread=[Unused(e.position, shown(e.text), e.expression) for e in entries if isinstance(e.expression, str)],
    )


def detect(text: str) -> str:
    """The layout of a text, by its content. Raises ValueError where it is none that is known."""
    lines = [line for line in _lines(text) if line.strip()]
    if not lines:
        raise ValueError("is empty")
    try:
        header = [name.strip() for _, fields in _rows(lines[0]) for name in fields]
    except ValueError:
        header = []
    if {"op", "prediction"} & set(header) or set(NEEDED) <= set(header):
        return "csv"
    if lines[0].lstrip().startswith("{"):
        first = _object(lines[0])
        return "json-lines" if "context" in first and "completion" in first else "big-bench"
    if len(lines) > 1 and read_value(lines[1]) is not None and not isinstance(_read(lines[0]), str):
        return "mathematics"
    raise ValueError(f"its layout cannot be told from its content; name it: --layout {'|'.join(LAYOUTS)}")


def shown(text: str) -> str:
    """A text for a table: one line of printable symbols, cut at 60."""
    line = "".join(symbol if symbol.isprintable() else "?" for symbol in " ".join(text.split()))
    return line if len(line) <= 60 else line[:57] + "..."


def _csv(text: str, needed: tuple[str, ...] = NEEDED) -> Iterator[_Entry]:
    rows = _rows(text)
    header = [name.strip() for name in next(rows, (0, []))[1]]
    if missing := [name for name in needed if name not in header]:
        raise ValueError(f"has no column {', '.join(missing)}; its first line must name {', '.join(needed)}")
    if twice := [name for name in (*NEEDED, "answer", "prediction") if header.count(name) > 1]:
        raise ValueError(f"has the column {', '.join(twice)} twice; name each once")
    for line, fields in rows:
        if not any(field.strip() for field in fields):
            continue
        if len(fields) != len(header):
            yield _Entry(line, ",".join(fields), f"has {len(fields)} fields, the header {len(header)}")
            continue
        row = {name: field.strip() for name, field in zip(header, fields, strict=True)}
        try:
            expression: Expression | str = operate(
                read_number(row["a"]), read_operation(row["op"]), read_number(row["b"])
            )
        except ValueError as error:
            expression = str(error)
        problem = " ".join(row[name] for name in NEEDED)
        yield _Entry(line, problem, expression, row.get("answer", ""), row.get("prediction", ""))


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """(line where it ends, fields) of each row. Raises ValueError where a row is no CSV."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise ValueError(f"line {reader.line_num}: is no CSV: {error}") from None
        if fields is None:
            return
        yield reader.line_num, fields


def _lines(text: str) -> list[str]:
    """The lines of a text; Unicode's other line separators, which JSON may hold, do not end a line."""
    return [line.removesuffix("\r") for line in text.split("\n")]


def _json_lines(text: str) -> Iterator[_Entry]:
    for number, line in enumerate(_lines(text), start=1):
        if not line.strip():
            continue
        found = _object(line)
        question, answer = found.get("context"), found.get("completion")
        if isinstance(question, str) and isinstance(answer, str):
            yield _Entry(number, question, _read(question), answer.strip())
        else:
            yield _Entry(number, line, "is no object with the texts `context` and `completion`")


def _big_bench(text: str) -> Iterator[_Entry]:
    examples = _object(text).get("examples")
    if not isinstance(examples, list):
        raise ValueError("is no JSON object with a list `examples`")
    for number, example in enumerate(examples, start=1):
        question = example.get("input") if isinstance(example, dict) else None
        answer = _best_target(example) if isinstance(example, dict) else None
        if isinstance(question, str) and answer is not None:
            yield _Entry(number, question, _read(question), answer)
        else:
            yield _Entry(number, str(example), "is no object with the text `input` and a target")


def _best_target(example: dict[str, Any]) -> str | None:
    """The target with the highest score, else the first of `target`; None where there is none."""
    scores, target = example.get("target_scores"), example.get("target")
    if isinstance(scores, dict) and scores and all(isinstance(score, int | float) for score in scores.values()):
        return str(max(scores, key=lambda name: scores[name])).strip()
    if isinstance(target, list) and target:
        target = target[0]
    return target.strip() if isinstance(target, str) else None


def _mathematics(text: str) -> Iterator[_Entry]:
    lines = iter(enumerate(_lines(text), start=1))
    for number, question in lines:
        if not question.strip():
            continue
        _, answer = next(lines, (0, ""))
        yield _Entry(number, question, _read(question) if answer.strip() else "has no answer below it", answer.strip())


LAYOUTS = {"csv": _csv, "json-lines": _json_lines, "big-bench": _big_bench, "mathematics": _mathematics}


def _read(text: str) -> Expression | str:
    try:
        return read_expression(text)
    except ValueError as error:
        return str(error)


def _object(text: str) -> dict[str, Any]:
    """The JSON object in a text; an empty one where there is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
