"""Reads files of problems that others wrote, in the layouts that are common in this field.

| layout      | what it is                                                                                      |
|-------------|-------------------------------------------------------------------------------------------------|
| csv         | a header, separated by `,` `;` tab or `|`, with the columns a, op, b, or one of `QUESTIONS`       |
| json-lines  | a line holds one object, such as GPT-3's (Brown et al. 2020): `context`, "Q: What is 95 plus     |
|             | 45?\\nA:", and `completion`, " 140"; or other `QUESTIONS` and `ANSWERS`, or a, op, b              |
| json        | a list of such objects                                                                          |
| big-bench   | a task of BIG-bench (Srivastava et al. 2022): `examples` with `input`, and `target` or           |
|             | `target_scores`; all that a list holds are right, and all with the highest score                |
| mathematics | text of DeepMind's mathematics dataset (Saxton et al. 2019): a line a question, the next its     |
|             | answer                                                                                          |
| lines       | an operation on each line, such as 22+1=23, with or without its answer                          |

An entry that cannot be read as one operation on two numbers is returned with the reason.
"""

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.datasets.answers import is_answer, read_answer
from bench.datasets.expressions import Expression, as_problems, operate, read_expression, read_number, read_operation
from bench.datasets.numerals import plain_symbols
from bench.datasets.problems import Problems

NEEDED = ("a", "op", "b")
QUESTIONS = ("context", "question", "query", "prompt", "instruction", "input", "problem", "expression", "q")
"""Keys or columns that hold a question; `input` follows `instruction`, and `context` beside others holds none."""
ANSWERS = ("completion", "answer", "response", "target", "output", "solution", "result")
"""Those that hold its answer; `a` holds that of `q`."""
KNOWN = (*NEEDED, *QUESTIONS, *ANSWERS, "prediction", "model")
_ALSO_CALLED = {"operator": "op", "operation": "op"}
SEPARATORS = {",": ",", ";": ";", "\t": "tab", "|": "|"}
_SAYS_SEPARATOR = "sep="
"""Begins a line that spreadsheets write before the header."""
_BINARY = {
    b"PAR1": ("a Parquet file", "read_parquet", "pyarrow"),
    b"ARROW1": ("an Arrow file", "read_feather", "pyarrow"),
    b"PK\x03\x04": ("an Excel workbook", "read_excel", "openpyxl"),
    b"\xd0\xcf\x11\xe0": ("an Excel workbook", "read_excel", "xlrd"),
}
"""First bytes of a file -> what it is, the function of pandas that reads it, and the package that this needs."""
_TWO_READINGS = re.compile(r"(?P<question>[^,]+)(?:,| (?=\d{3}$))(?P<rest>[^,]+),*", re.ASCII)
"""A line whose comma or space may stand before an answer or in a number, if its question is one."""
_SAYS_TWO_READINGS = (
    "may be a problem and its answer, or end in a number such as 7,19 or 80 200; write = behind the problem, or a "
    "header such as question,answer"
)


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
    answers: list[tuple[str, ...]]
    """(n,) all that the file accepts, as it states them; () where it states none"""
    predictions: list[str]
    """(n,) '' where it states none"""
    models: list[str]
    """(n,) who predicted; likewise"""
    unread: list[Unused]


@dataclass(frozen=True)
class _Entry:
    position: int
    text: str
    expression: Expression | str
    """or the reason why it is none"""
    answers: tuple[str, ...] = ()
    prediction: str = ""
    model: str = ""


def read_outside(path: Path, layout: str | None = None, predictions: bool = False) -> Outside:
    """The problems of a file, which may be gzipped. Where `layout` is None, the content decides.

    Raises:
        ValueError: the file cannot be read, is of no known layout or another than `layout`, holds no entry, or has no
            `predictions` where these are asked for; one line.
    """
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        text = _decoded(path, data)
        if predictions and not text.lstrip().startswith(("{", "[")):
            layout = "csv"
        layout = layout or detect(text)
        entries = list(LAYOUTS[layout](text))
        if not entries:
            raise ValueError("holds no problem")
        if predictions and not any(entry.prediction for entry in entries):
            raise ValueError("has no column prediction, or nothing in it; beside it stand a, op, b, or a question")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    read = [entry for entry in entries if isinstance(entry.expression, Expression)]
    return Outside(
        layout=layout,
        problems=as_problems([entry.expression for entry in read if isinstance(entry.expression, Expression)]),
        positions=[entry.position for entry in read],
        answers=[entry.answers for entry in read],
        predictions=[entry.prediction for entry in read],
        models=[entry.model for entry in read],
        unread=[Unused(e.position, shown(e.text), e.expression) for e in entries if isinstance(e.expression, str)],
    )


def detect(text: str) -> str:
    """The layout of a text, by its content. Raises ValueError where it is none that is known."""
    lines = [line for line in _lines(text) if line.strip()]
    if not lines:
        raise ValueError("is empty")
    if lines[0].lstrip().startswith("["):
        return "json"
    if lines[0].lstrip().startswith("{"):
        first = _object(lines[0])
        found = first or _object(text)
        return "big-bench" if "examples" in found or not found else "json-lines" if first else "json"
    if _separator(text):
        return "csv"
    question, first_line, second = _read(lines[0]), _line(1, lines[0]), lines[1] if len(lines) > 1 else "="
    if isinstance(question, Expression) and read_answer(second) and "=" not in plain_symbols(second):
        a, op, b = as_problems([question]).texts(0)
        if isinstance(_read(second), str) or is_answer(second, a, op, b):
            return "mathematics"
    if isinstance(question, Expression) or isinstance(first_line.expression, Expression):
        return "lines"
    raise ValueError(
        f"its layout cannot be told from its content; name it: --layout {'|'.join(LAYOUTS)} (its first line, "
        f"'{shown(lines[0])}', names no columns and {first_line.expression})"
    )


def shown(text: str) -> str:
    """A text for a table: one line of printable symbols, cut at 60."""
    line = "".join(symbol if symbol.isprintable() else "?" for symbol in " ".join(text.split()))
    return line if len(line) <= 60 else line[:57] + "..."


def _decoded(path: Path, data: bytes) -> str:
    """The text of a file. Raises ValueError where it is none."""
    for first, (what, function, package) in _BINARY.items():
        if data.startswith(first):
            if function == "read_excel" and first[:2] == b"PK" and b"xl/" not in data:
                raise ValueError("is a ZIP archive; unpack it")
            target = path.with_name(f"{path.stem}-read.csv") if path.suffix == ".csv" else path.with_suffix(".csv")
            raise ValueError(
                f"is {what}; write it as CSV: python -c \"import pandas; pandas.{function}('{path}').to_csv("
                f"'{target}', index=False)\" (pandas needs {package} for it)"
            )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        utf_16 = ", but UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise ValueError(f"is not UTF-8 text{utf_16}; save it as UTF-8") from None


def _separator(text: str) -> str | None:
    """What separates the columns of a CSV file, by the names in its first line; None where these are no names."""
    line = next((line for line in _lines(text) if line.strip() and not line.startswith(_SAYS_SEPARATOR)), "")
    for separator in SEPARATORS:
        try:
            header = {_key(name) for _, fields in _rows(line, separator) for name in fields}
        except ValueError:
            continue
        if {"op", "prediction", *QUESTIONS} & header and (len(header) > 1 or header <= set(KNOWN)):
            return separator
    return None


def _key(name: str) -> str:
    """The name of a key or a column, whatever its case and the spaces around it."""
    name = name.strip().lower()
    return _ALSO_CALLED.get(name, name)


def _csv(text: str) -> Iterator[_Entry]:
    separator = _separator(text) or ","
    rows = _rows(text, separator)
    filled = (fields for _, fields in rows if any(field.strip() for field in fields))
    header = [_key(name) for name in next((row for row in filled if not row[0].startswith(_SAYS_SEPARATOR)), [])]
    if twice := sorted({name for name in KNOWN if header.count(name) > 1}):
        raise ValueError(f"has the column {', '.join(twice)} twice; name each once")
    missing = [name for name in NEEDED if name not in header]
    if missing and not set(QUESTIONS) & set(header):
        raise ValueError(
            f"has no column {', '.join(missing)}; its first line must name a, op, b, or one of {', '.join(QUESTIONS)}, "
            f"separated by one of {' '.join(SEPARATORS.values())}"
        )
    for line, fields in rows:
        if not any(field.strip() for field in fields):
            continue
        if len(fields) != len(header):
            reason = f"has {len(fields)} fields, the header {len(header)} (separated by {SEPARATORS[separator]})"
            yield _Entry(line, separator.join(fields), reason)
        else:
            yield _of_record(line, dict(zip(header, fields, strict=True)))


def _of_record(position: int, record: Mapping[str, Any]) -> _Entry:
    """The entry of a row or an object, whose keys are as `_key` gives them."""
    asked = [name for name in QUESTIONS if record.get(name)]
    if {"instruction", "input"} <= set(asked):
        record = {**record, "instruction": f"{record['instruction']}\n{record['input']}"}
        asked.remove("input")
    asked = [name for name in asked if name != "context"] or asked
    stated = [name for name in ANSWERS if record.get(name)]
    if all(name in record for name in NEEDED):
        stated = ["answer"]  # whatever else stands in a row
    elif asked == ["q"] and "a" in record:
        stated = ["a"]
    given = {name: _texts(record.get(name)) for name in (*asked, *stated, *NEEDED, "prediction", "model")}
    one = {name: texts[0] if texts else "" for name, texts in given.items()}
    if all(name in record for name in NEEDED):
        text = " ".join(one[name] for name in NEEDED)
        try:
            expression: Expression | str = operate(
                read_number(one["a"]), read_operation(one["op"]), read_number(one["b"])
            )
        except ValueError as error:
            expression = str(error)
    elif not asked:
        keys = ", ".join(map(str, record)) or "none"
        return _Entry(position, str(dict(record)), f"has no question under {', '.join(QUESTIONS)} (its keys: {keys})")
    else:
        text = one[asked[0]]
        expression = _read(text)
        if any(_read(one[name]) != expression for name in asked[1:]):
            return _Entry(position, str(dict(record)), f"has several questions: {', '.join(asked)}")
    if len({given[name] for name in stated}) > 1:
        return _Entry(position, text, f"has several answers: {', '.join(stated)}")
    return _Entry(position, text, expression, given[stated[0]] if stated else (), one["prediction"], one["model"])


def _texts(value: Any) -> tuple[str, ...]:
    """The texts in a value of JSON, a text or a list of them; numbers are texts, as they are written."""
    return tuple(
        text.strip() for text in (value if isinstance(value, list) else [value]) if isinstance(text, str) and text
    )


def _rows(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """(line where it ends, fields) of each row. Raises ValueError where a row is no CSV."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
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
        if line.strip():
            yield _of_object(number, _object(line), line)


def _json(text: str) -> Iterator[_Entry]:
    found = _parsed(text)
    found = [found] if isinstance(found, dict) else found
    if not isinstance(found, list):
        raise ValueError("is no JSON list of objects")
    for number, entry in enumerate(found, start=1):
        yield _of_object(number, entry, str(entry))


def _of_object(position: int, found: Any, text: str) -> _Entry:
    if not isinstance(found, dict) or not found:
        return _Entry(position, text, "is no JSON object with a question and its answer")
    record = {_key(name): value for name, value in found.items()}
    if "target_scores" in record:
        record["target"] = _best(record["target_scores"])
    return _of_record(position, record)


def _big_bench(text: str) -> Iterator[_Entry]:
    task = _object(text)
    examples = task.get("examples")
    if not isinstance(examples, list):
        keys = f" (its keys: {', '.join(task)})" if task else ""
        raise ValueError(f"is no JSON object with a list `examples`{keys}")
    for number, example in enumerate(examples, start=1):
        yield _of_object(number, example, str(example))


def _best(scores: Any) -> list[str]:
    """All targets with the highest score."""
    try:
        ranked = {name: float(score) for name, score in scores.items()}
    except (AttributeError, TypeError, ValueError):
        return []
    return [name for name, score in ranked.items() if score == max(ranked.values())]


def _mathematics(text: str) -> Iterator[_Entry]:
    lines = iter(enumerate(_lines(text), start=1))
    for number, question in lines:
        if not question.strip():
            continue
        _, answer = next(lines, (0, ""))
        read = _read(question) if answer.strip() else "has no answer below it"
        yield _Entry(number, question, read, (answer.strip(),))


def _line_by_line(text: str) -> Iterator[_Entry]:
    for number, line in enumerate(_lines(text), start=1):
        if line.strip():
            yield _line(number, line)


def _line(number: int, line: str) -> _Entry:
    """The operation before the last `=` of a line, or else its last tab, and the answer behind, where there is one."""
    line = line.strip()
    plain = plain_symbols(line)
    question, equals, answer = plain.rpartition("=" if "=" in plain else "\t")
    answer = answer.strip().rstrip(" ?_.\t")
    parts = None if equals else _TWO_READINGS.fullmatch(plain)
    if parts and isinstance(_read(parts["question"]), Expression) and read_answer(parts["rest"]):
        return _Entry(number, line, _SAYS_TWO_READINGS)
    return _Entry(number, line, _read(question if equals else line), (answer,) if equals and answer else ())


LAYOUTS = {
    "csv": _csv,
    "json-lines": _json_lines,
    "json": _json,
    "big-bench": _big_bench,
    "mathematics": _mathematics,
    "lines": _line_by_line,
}


def _read(text: str) -> Expression | str:
    try:
        return read_expression(text)
    except ValueError as error:
        return str(error)


def _object(text: str) -> dict[str, Any]:
    """The JSON object in a text; an empty one where there is none."""
    found = _parsed(text)
    return found if isinstance(found, dict) else {}


def _parsed(text: str) -> Any:
    """What JSON says, numbers as they are written; None where it is none."""
    try:
        return json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None
