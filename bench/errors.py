"""What a user did wrong, or what the machine denied: one line, no traceback, exit status 2."""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Its text is one line: what was given, the rule it breaks, and the remedy."""


@contextmanager
def user_errors(kind: type[Exception] = ValueError) -> Iterator[None]:
    """A context in which errors of a kind are what the user did wrong."""
    try:
        yield
    except kind as error:
        raise UserError(str(error)) from None


def reason_of(error: BaseException) -> str:
    """Why something failed, in one line."""
    said = " ".join(str(error).split())[:500]
    if isinstance(error, MemoryError):
        return said or "no memory left"
    return f"{type(error).__name__}: {said}"


def suggest(wrong: str, known: list[str]) -> str:
    """'did you mean ...?', or the names there are."""
    close = difflib.get_close_matches(wrong, known, 1)
    return f"did you mean '{close[0]}'?" if close else f"there are {', '.join(known)}"
