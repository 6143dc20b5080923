"""Files that are there whole or not at all, and checksums that show when one was changed afterwards."""

import hashlib
import json
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

CELL_REMEDY = "restore it, or delete the cell's folder and run it again"
"""What to do about a file of a cell."""


class BadFile(ValueError):
    """A file or folder of a run that cannot be used. The message is one line: which, what is wrong, what to do."""

    def __init__(self, path: Path, wrong: str, remedy: str = CELL_REMEDY) -> None:
        line = " ".join(f"{path}: {wrong}; {remedy}".split())
        super().__init__(printable(line))


def printable(text: str) -> str:
    """What no terminal obeys: every control character but a new line is '?'. A run may come from anywhere."""
    return "".join(symbol if symbol.isprintable() or symbol == "\n" else "?" for symbol in text)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file (and the folders above it) so that a reader, or a crash, never meets half of it.

    A file that holds these bytes already is left as it is.
    """
    with suppress(OSError):
        if path.stat().st_size == len(data) and path.read_bytes() == data:
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, since a rename is only atomic within one file system.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno is not None:
            error.filename = str(path)  # nobody knows the temporary one
        raise
    finally:
        temporary.unlink(missing_ok=True)


def delete_halves(directory: Path) -> None:
    """Deletes what `write_bytes` leaves in a folder when its process is killed. Nobody may be writing there."""
    for path in directory.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` for text: UTF-8, line ends as they stand in `text`."""
    write_bytes(path, text.encode())


def write_json(path: Path, content: Any) -> None:
    """Writes JSON a person can read and diff. Raises ValueError on nan or infinity, which JSON does not have."""
    write_text(path, json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(content: Any) -> bytes:
    """The one way to write `content` as JSON: keys sorted, no spaces, UTF-8. ValueError on nan or infinity."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def checksum(content: dict[str, Any]) -> str:
    """SHA-256 in hex over the canonical JSON of `content`, which must not hold its own checksum yet."""
    return hashlib.sha256(canonical_json(content)).hexdigest()


def write_checked_json(path: Path, content: dict[str, Any]) -> None:
    """Writes `content` with its own checksum under the key "checksum"."""
    write_json(path, content | {"checksum": checksum(content)})


def read_checked_json(path: Path, remedy: str = CELL_REMEDY) -> dict[str, Any]:
    """The object in a file of `write_checked_json`, its "checksum" not compared yet: `verify_checksum` does that.

    Two steps, so that a caller can first say what else is wrong (an older schema, an unknown key), which tells more.
    Raises BadFile, with `remedy` as what to do, where the file is missing or no JSON object.
    """
    try:
        content = json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise BadFile(path, "the file is missing", remedy) from None
    except OSError as error:
        raise BadFile(path, f"cannot be read ({error.strerror})", remedy) from None
    except (ValueError, RecursionError) as error:  # JSON and UTF-8 errors are ValueErrors
        raise BadFile(path, f"is not valid JSON ({error})", remedy) from None
    if not isinstance(content, dict):
        raise BadFile(path, "is not a JSON object", remedy)
    return content


def verify_checksum(path: Path, content: dict[str, Any], remedy: str = CELL_REMEDY) -> dict[str, Any]:
    """`content` without its "checksum". Raises BadFile if that is not the checksum of the rest."""
    rest = {key: value for key, value in content.items() if key != "checksum"}
    try:
        right = content.get("checksum") == checksum(rest)
    except ValueError:  # what JSON can spell and we never write: 1e999, half a surrogate pair
        right = False
    if not right:
        raise BadFile(path, "was changed after it was written (its checksum does not match)", remedy)
    return rest


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
