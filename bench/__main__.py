"""`python -m bench`, and the console script `arithbench`."""

import _thread
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.child import termination_signals

INTERRUPTED = "interrupted"


def main() -> None:
    """Run one command, exit with its status: 0 done, 1 a cell failed, 2 bad input, 130 interrupted, 141 pipe closed."""
    for number in termination_signals():  # as Ctrl-C
        signal.signal(number, _interrupt)
    sys.unraisablehook = _ask_again
    # A module named by --plugin may lie in the working folder; `python -m` puts that on the path, a script does not.
    with suppress(OSError):  # the working folder was deleted
        sys.path.append(str(Path.cwd()))
    if sys.stdout is None:  # closed by the caller, who wants to read nothing
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - it stays open to the end

    try:
        from cyclopts import CycloptsError

        from bench.cli import app
    except ModuleNotFoundError as error:
        _say(f"{error.name} is not installed; in the folder of arithbench: pip install -c constraints.txt -e .")
        sys.exit(2)
    from bench.errors import UserError

    for word in sys.argv[1:]:
        if not word.isascii() and "\\udc" in ascii(word):
            _say(f"{word!a}: is not UTF-8; name files and folders in text")
            sys.exit(2)
    try:
        status = app(sys.argv[1:], exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except (CycloptsError, UserError) as error:
        _say(str(error))
        sys.exit(2)
    except KeyboardInterrupt:
        _say(INTERRUPTED)
        sys.exit(130)
    except BrokenPipeError:  # the reader of a pipe (head, say) has enough
        _write_no_more()
        sys.exit(141)  # as of a process that SIGPIPE ends: whatever it was to do may not be done
    except OSError as error:  # a full disk, a folder that may not be written
        _say(f"{error.filename or 'standard output'}: {error.strerror or error}")
        _write_no_more()
        sys.exit(2)
    except UnicodeEncodeError as error:  # a name that the terminal has no letters for
        wrong = ascii(error.object[error.start : error.end])
        _say(f"standard output: {wrong} cannot be written as {error.encoding}; set PYTHONIOENCODING=utf-8")
        sys.exit(2)
    except Exception as error:
        if not _comes_of_an_interrupt(error):
            raise
        _say(INTERRUPTED)
        sys.exit(130)
    sys.exit(status or 0)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _comes_of_an_interrupt(error: BaseException | None) -> bool:
    """Whether an interrupt caused it: a library in C that is interrupted while it is imported raises ImportError."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _ask_again(unraisable: "sys.UnraisableHookArgs") -> None:
    """Python calls what it cannot raise ignored, such as an interrupt while it frees an object: it is asked again."""
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        threading.Timer(0.05, _signal_main_thread).start()
    else:
        sys.__unraisablehook__(unraisable)


def _signal_main_thread() -> None:
    """By the signal that always has our answer: SIGINT is ignored in what a shell starts in the background."""
    if hasattr(signal, "pthread_kill"):  # ends what the thread waits for
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    else:
        _thread.interrupt_main(signal.SIGTERM)


def _say(text: str) -> None:
    print(f"bench: {' '.join(text.split())}", file=sys.stderr)


def _write_no_more() -> None:
    """Let what standard output still holds go nowhere: writing it as Python ends would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
