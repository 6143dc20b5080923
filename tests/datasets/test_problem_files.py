"""Each layout, written and read back; and what is no problem, kept with its reason."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.datasets.problem_files import LAYOUTS, SEPARATORS, detect, read_outside

Row = tuple[int, str, int, str]
WORDS = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}
ROWS = st.lists(
    st.tuples(
        st.integers(-(10**20), 10**20),
        st.sampled_from("+-*/"),
        st.integers(-(10**20), 10**20).filter(bool),
        st.from_regex(r"-?[1-9][0-9]{0,5}(\.[0-9]{1,2})?", fullmatch=True),
    ),
    min_size=1,
    max_size=8,
)


def as_csv(rows: list[Row]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([("id", "a", "op", "b", "answer"), *((n, *row) for n, row in enumerate(rows))])
    return text.getvalue()


def as_json_lines(rows: list[Row]) -> str:
    objects = ({"context": f"\n\nQ: What is {a} {WORDS[op]} {b}?\n\nA:", "completion": f" {c}"} for a, op, b, c in rows)
    return "\n".join(map(json.dumps, objects))


def as_json(rows: list[Row]) -> str:
    return json.dumps([{"Question": f"{a}{op}{b}=", "answer": c} for a, op, b, c in rows], indent=1)


def as_lines(rows: list[Row]) -> str:
    return "".join(f"{a} {op} {b} = {c}\n" for a, op, b, c in rows)


def as_big_bench(rows: list[Row]) -> str:
    examples = [
        {"input": f"What is {a} {WORDS[op]} {b}?", "target_scores": {"house": 0.0, answer: 1.0, "banana": 0.0}}
        for a, op, b, answer in rows
    ]
    return json.dumps({"name": "arithmetic", "examples": examples}, indent=2)


def as_mathematics(rows: list[Row]) -> str:
    return "".join(f"Calculate {a} {WORDS[op]} {b}.\n{answer}\n" for a, op, b, answer in rows)


WRITERS: dict[str, Callable[[list[Row]], str]] = {
    "csv": as_csv,
    "json-lines": as_json_lines,
    "json": as_json,
    "big-bench": as_big_bench,
    "mathematics": as_mathematics,
    "lines": as_lines,
}


def test_every_layout_is_tried() -> None:
    assert set(WRITERS) == set(LAYOUTS)


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(rows=ROWS)
def test_what_is_written_in_a_layout_is_told_and_read_back(layout: str, rows: list[Row], tmp_path: Path) -> None:
    path = tmp_path / "file"
    text = WRITERS[layout](rows)
    path.write_text(text, encoding="utf-8", newline="")
    found = read_outside(path)
    assert found.layout == detect(text) == layout
    assert found.unread == []
    read = [(*found.problems.texts(row), found.answers[row]) for row in range(len(found.problems))]
    assert read == [(str(a), op, str(b), (answer,)) for a, op, b, answer in rows]
    path.write_bytes(gzip.compress(text.encode()))
    assert read_outside(path, layout).positions == found.positions


def read(tmp_path: Path, text: str, layout: str | None = None) -> list[tuple[int, str]]:
    (tmp_path / "file").write_text(text, encoding="utf-8")
    found = read_outside(tmp_path / "file", layout)
    assert len(found.problems) == len(found.positions) == len(found.answers) == len(found.predictions)
    return [(unused.position, unused.reason) for unused in found.unread]


def test_what_is_no_problem_is_kept_with_its_place_and_reason(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeffa,op,b,answer\n1,+,1,2\n\n1,^,1,2\nx,+,1,2\n1,/,0,0\n1,+,1\n") == [
        (4, "has the operation '^', not one of + - * /"),
        (5, "has 'x' where a number must stand"),
        (6, "divides by zero"),
        (7, "has 3 fields, the header 4 (separated by ,)"),
    ]
    lines = ['{"context": "Q: What is 1 plus 1?", "completion": "2"}', "[1]", "{", '{"context": 3, "completion": "2"}']
    lines.append('{"context": "Q: What is (1+2)*3?", "completion": "9"}')
    reason, none = "is no JSON object with a question and its answer", "is no operation on two numbers, such as -12 * 7"
    assert read(tmp_path, "\n".join(lines)) == [
        (2, reason),
        (3, reason),
        (4, f"{none}: it has one number"),
        (5, "has 3 numbers, not two"),
    ]
    assert read(tmp_path, '{"context": "What is 1 plus\u2028 1?", "completion": "2"}\r\n\r\n[1]\r\n') == [(3, reason)]
    examples = [{"input": "1 + 1", "target": ["2", "two"]}, {"input": "1 + 1"}, 7, {"input": "1", "target": "1"}]
    found = [position for position, _ in read(tmp_path, json.dumps({"examples": examples}))]
    assert found == [3, 4]
    assert read(tmp_path, "What is 1 + 1?\n2\nWhat is love?\n3\n2*3\n") == [
        (3, "is no operation on two numbers, such as -12 * 7: 'love' is not read"),
        (5, "has no answer below it"),
    ]
    assert read(tmp_path, "\n1 + 1\n2\n\n2 + 2\n\n3 + 3\n6\n") == [(5, "has no answer below it")]


def test_names_of_columns_may_be_quoted(tmp_path: Path) -> None:
    (tmp_path / "file").write_text('"a","op","b","answer"\n"1","+","2","3"\n', encoding="utf-8")
    read = read_outside(tmp_path / "file")
    assert (read.layout, read.answers) == ("csv", [("3",)])


def test_a_text_is_shown_as_one_short_line_that_no_terminal_obeys(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a,op,b\n" + '"\x1b[2Jx\ny' + "z" * 100 + '",+,1\n', encoding="utf-8")
    [unread] = read_outside(tmp_path / "file").unread
    assert unread.text.isprintable()
    assert len(unread.text) == 60


@pytest.mark.parametrize(
    ("content", "layout", "rule"),
    [
        (b"", None, "is empty"),
        (b"\n \n", None, "is empty"),
        (b"hello\nworld\n", None, "--layout csv|json-lines"),
        (b"\xff\xfe", None, "is not UTF-8 text, but UTF-16"),
        (b"PAR1\x15", None, "is a Parquet file; write it as CSV: python -c"),
        (b"PAR1\x15", "csv", "pandas.read_parquet("),
        (b"PK\x03\x04 xl/workbook.xml", None, "is an Excel workbook; write it as CSV: python -c"),
        (b"PK\x03\x04 a.csv", None, "is a ZIP archive"),
        (b"12,+,7,19\n", None, "its first line, '12,+,7,19', names no columns"),
        (b"a b op\n1 + 2\n", "csv", "separated by one of , ; tab |"),
        (b'{"messages": []}', "big-bench", "its keys: messages"),
        (b"[1", None, "is no JSON list"),
        (b"\x1f\x8b123", None, "cannot be read"),
        (b"a,op,b\n", None, "holds no problem"),
        (b"a,b\n1,2\n", "csv", "has no column op"),
        (b"a,op,b,a\n1,+,2,9\n", None, "has the column a twice"),
        (b'a,op,b\n1,+,"1\n', None, "line 2: is no CSV"),
        (b'"a" ,"op","b"\n1,+,1\n', "csv", "line 1: is no CSV"),
        (b'"a" ,"op","b"\n1,+,1\n', None, "--layout csv|json-lines"),
        (b"{}", None, "a list `examples`"),
        (b"[" * 100_000, "big-bench", "a list `examples`"),
    ],
)
def test_a_file_that_holds_no_problems_is_refused_in_one_line(
    content: bytes, layout: str | None, rule: str, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=str(path)) as error:
        read_outside(path, layout)
    assert rule in str(error.value)
    assert "\n" not in str(error.value)


def test_predictions_are_read_where_they_are_needed(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("prediction,a,op,b\n 2 ,1,+,1\n,1,+,2\n")
    assert read_outside(path, predictions=True).predictions == ["2", ""]
    path.write_text("a,op,b\n1,+,1\n")
    with pytest.raises(ValueError, match="has no column prediction"):
        read_outside(path, predictions=True)


@pytest.mark.parametrize("separator", SEPARATORS)
def test_columns_are_separated_and_named_in_several_ways(separator: str, tmp_path: Path) -> None:
    rows = [["Model", " A", "Operator", "B ", "Answer", "PREDICTION"], ["gpt", "3,5", "x", "2", "7,0", "7"]]
    with (tmp_path / "file").open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, delimiter=separator).writerows(rows)
    found = read_outside(tmp_path / "file", predictions=True)
    assert (found.layout, found.problems.texts(0), found.unread) == ("csv", ("3.5", "*", "2"), [])
    assert (found.answers, found.predictions, found.models) == ([("7,0",)], ["7"], ["gpt"])
    text = (tmp_path / "file").read_text(encoding="utf-8-sig")
    (tmp_path / "file").write_text(f"sep={separator}\n{text}", encoding="utf-8")
    assert read_outside(tmp_path / "file").positions == [3]


def test_what_is_separated_otherwise_names_its_separator(tmp_path: Path) -> None:
    assert read(tmp_path, "a,op,b\n3,5,*,2\n") == [(2, "has 4 fields, the header 3 (separated by ,)")]
    assert read(tmp_path, "a;op;b\n1,234;+;5\n") == [
        (2, "has '1,234', which may be 1234 or 1.234; write it without the comma")
    ]


@pytest.mark.parametrize(
    ("entry", "answer"),
    [
        ({"question": "What is 12 plus 7?", "answer": "19"}, ("19",)),
        ({"query": "12+7", "response": 19}, ("19",)),
        ({"Prompt": "12+7=", "completion": 19.50}, ("19.5",)),
        ({"input": "12+7=", "target": ["nineteen", "19"]}, ("nineteen", "19")),
        ({"instruction": "What is 12+7?", "output": "19"}, ("19",)),
        ({"instruction": "Calculate", "input": "12+7", "output": "19"}, ("19",)),
        ({"instruction": "12+7", "input": "", "output": "19"}, ("19",)),
        ({"context": "Answer the question.", "question": "12+7", "answer": "19"}, ("19",)),
        ({"question": "12+7", "prompt": "Q: 1+1\nA: 2\nQ: 12+7\nA:", "answer": "19"}, ("19",)),
        ({"question": "12+7", "id": 3}, ()),
        ({"q": "12+7", "a": "19"}, ("19",)),
        ({"input": "12+7=", "target_scores": {"19": 1, "18": 0}}, ("19",)),
        ({"a": 12, "op": "+", "b": 7, "answer": "19", "prompt": "12+7=", "target": "91"}, ("19",)),
    ],
)
def test_questions_and_answers_stand_under_several_keys(
    entry: dict[str, object], answer: tuple[str, ...], tmp_path: Path
) -> None:
    written = (json.dumps(entry), "json-lines"), (json.dumps([entry]), "json"), (json.dumps(entry, indent=1), "json")
    for text, layout in written:
        (tmp_path / "file").write_text(text)
        found = read_outside(tmp_path / "file")
        assert (found.layout, found.unread) == (layout, [])
        assert (found.problems.texts(0), found.answers) == (("12", "+", "7"), [answer])


def test_of_several_questions_or_answers_none_is_chosen(tmp_path: Path) -> None:
    lines = [
        {"question": "1+1", "prompt": "1+2", "answer": "2"},
        {"question": "1+1", "answer": "2", "target": "3"},
        {"question": "1+1", "answer": "2", "target": "2"},
        {"instruction": "Double", "input": "1+1", "output": "2"},
        {"messages": "1+1"},
    ]
    assert [reason[:60] for _, reason in read(tmp_path, "\n".join(map(json.dumps, lines)))] == [
        "has several questions: question, prompt",
        "has several answers: answer, target",
        "is no operation on two numbers, such as -12 * 7: 'double' is not read"[:60],
        "has no question under context, question, query, prompt, inst",
    ]


def test_all_right_answers_of_big_bench_are_kept(tmp_path: Path) -> None:
    examples = [
        {"input": "1 + 4 =", "target": ["five", "5"]},
        {"input": "3 * 9 =", "target_scores": {"twenty-seven": 1, "27": 1, "28": 0}},
    ]
    (tmp_path / "file").write_text(json.dumps({"examples": examples}))
    assert read_outside(tmp_path / "file").answers == [("five", "5"), ("twenty-seven", "27")]


def test_lines_may_lack_their_answers(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("12+7=19\n3*4\t\n\n5-1 = ?\n\uff16\uff0f3\uff1d2\nlove\n")
    found = read_outside(tmp_path / "file")
    assert (found.layout, found.positions, found.answers) == ("lines", [1, 2, 4, 5], [("19",), (), (), ("2",)])
    assert [unread.position for unread in found.unread] == [6]
    (tmp_path / "file").write_text("12+7\t19\n3+4\t7\n")
    assert read_outside(tmp_path / "file").answers == [("19",), ("7",)]
    (tmp_path / "file").write_text("12+7\n3/4\n")  # not a question with its answer
    assert len(read_outside(tmp_path / "file").problems) == 2


def test_a_line_that_may_be_a_problem_and_its_answer_is_refused(tmp_path: Path) -> None:
    lines = "12+7,19\n12+7, 190\n-12+7,-5,\n120+80 200\n2 * 3,5\n12 + 7 = 19,0\n1 234 - 3,5\n"
    refused = read(tmp_path, lines)
    assert [position for position, _ in refused] == [1, 2, 3, 4, 5, 7]
    assert {reason for _, reason in refused} == {
        "may be a problem and its answer, or end in a number such as 7,19 or 80 200; write = behind the problem, or a "
        "header such as question,answer"
    }
    one_reading = "3,5 * 2\n3,5 * 2,5\n1 234 + 5\n5 + 1,234,567\n2 * 3,5 =\nWhat is 1 + 2, please\n1 + twenty five\n"
    assert read(tmp_path, one_reading) == []
    assert read(tmp_path, "question,answer\n12+7,19\n120+80,200\n") == []
    (tmp_path / "file").write_text("Calculate 12 + 7,5.\n19,5\n", encoding="utf-8")
    assert read_outside(tmp_path / "file").layout == "mathematics"


def test_an_answer_in_a_line_may_begin_with_its_point(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("1/2=.5\n1+1=2.\n1+1=...\n", encoding="utf-8")
    assert read_outside(tmp_path / "file").answers == [(".5",), ("2",), ()]
