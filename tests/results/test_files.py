import os
from pathlib import Path

import pytest

from bench.results import files


def test_a_file_is_written_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    files.write_text(path, "one\n")
    files.write_text(path, "zwölf\n")
    assert path.read_bytes() == "zwölf\n".encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]


def test_a_file_that_holds_these_bytes_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    files.write_text(path, "one")
    os.utime(path, ns=(7, 7))
    files.write_text(path, "one")
    assert path.stat().st_mtime_ns == 7
    files.write_text(path, "two")
    assert path.stat().st_mtime_ns != 7
    assert path.read_text() == "two"


def test_an_error_names_the_file_that_was_to_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left") as error:
        files.write_bytes(tmp_path / "file.txt", b"text")
    assert error.value.filename == str(tmp_path / "file.txt")


def test_a_write_that_breaks_off_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.txt"
    files.write_text(path, "old")

    def full(descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="disk full"):
        files.write_text(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_json_is_sorted_readable_and_has_no_nan(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    files.write_json(path, {"b": [1], "a": "ä"})
    assert path.read_text() == '{\n "a": "ä",\n "b": [\n  1\n ]\n}\n'
    with pytest.raises(ValueError, match="nan"):
        files.write_json(path, {"a": float("nan")})
    assert path.read_text().startswith('{\n "a": "ä"')


def test_canonical_json_does_not_depend_on_the_order_of_keys() -> None:
    assert files.canonical_json({"b": 1.5, "a": [True, None]}) == b'{"a":[true,null],"b":1.5}'
    assert files.checksum({"a": 1, "b": 2}) == files.checksum({"b": 2, "a": 1}) != files.checksum({"a": 1, "b": 3})


def test_sha256_of_a_known_text(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / "abc", b"abc")  # FIPS 180-2, appendix B.1
    assert files.sha256_of(tmp_path / "abc").startswith(
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
