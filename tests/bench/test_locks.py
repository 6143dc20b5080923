"""Who may write beside whom, and who is named as the one that does."""

from pathlib import Path

import pytest

from bench import locks
from bench.errors import UserError
from bench.locks import Held, holding, writing_tables


def test_tables_that_another_process_keeps_are_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "TABLES_SECONDS", 0.05)
    with (
        holding(tmp_path / locks.TABLES_LOCK),
        pytest.raises(UserError, match="another process keeps writing its tables; end it"),
        writing_tables(tmp_path),
    ):
        pass


@pytest.mark.parametrize(
    ("note", "said"),
    [(b"process 7 on here", "process 7 on here"), (b"\xff\x1b[2Jx", "\ufffd[2Jx"), (b"", "another process")],
)
def test_whoever_holds_a_lock_is_named_whatever_its_note_says(note: bytes, said: str, tmp_path: Path) -> None:
    with holding(tmp_path / "lock"):
        (tmp_path / "lock.holder").write_bytes(note)
        with pytest.raises(Held) as held, holding(tmp_path / "lock"):
            pass
    assert str(held.value) == said
