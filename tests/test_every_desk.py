"""Linux, macOS and Windows: what only some of them have is reached behind a guard, and text is UTF-8 on all of them.

Reads the sources of the product; what is run on which system is not seen here.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("bench", "architectures", "datasets", "results")

MODULES = {
    "fcntl",
    "grp",
    "msvcrt",
    "posix",
    "pty",
    "pwd",
    "resource",
    "syslog",
    "termios",
    "tty",
    "winreg",
    "winsound",
}
"""Those that one of the three lacks."""
NAMES = {
    "os": {
        *("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "WNOHANG", "chown", "fork", "forkpty", "getegid"),
        *("geteuid", "getgid", "getloadavg", "getpgid", "getpriority", "getuid", "killpg", "memfd_create", "mkfifo"),
        *("nice", "pidfd_open", "posix_fallocate", "pread", "pwrite", "register_at_fork", "sched_getaffinity"),
        *("sched_setaffinity", "sendfile", "setsid", "startfile", "statvfs", "sync", "sysconf", "uname"),
    },
    "signal": {
        *("SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP", "SIGTSTP", "SIGUSR1"),
        *("SIGUSR2", "CTRL_C_EVENT", "alarm", "pause", "pthread_sigmask", "setitimer", "siginterrupt", "sigwait"),
    },
    "time": {"tzset", "clock_gettime", "pthread_getcpuclockid"},
}
"""Module -> its names that one of the three lacks."""
GUARDS = {
    "import": {"ImportError", "ModuleNotFoundError", "Exception"},
    "name": {"AttributeError", "ImportError", "Exception"},
    "/proc": {"OSError", "FileNotFoundError", "Exception"},
}
"""What is reached -> the errors of which one must be caught around it."""


def violations(source: str) -> list[str]:
    """What a module does that one of the three systems cannot, or does otherwise, one line each."""
    found = [*_unguarded(ast.parse(source)), *_unnamed_encodings(source)]
    return [f"{line}: {what}" for line, what in sorted(found)]


def _unguarded(tree: ast.AST, caught: frozenset[str] = frozenset()) -> Iterator[tuple[int, str]]:
    """`caught`: the errors that are caught where `tree` stands; 'platform' where the system was asked for."""
    for what, kind in _reached(tree):
        if not caught & {*GUARDS[kind], "platform"}:
            yield tree.lineno, f"{what} without a guard"
    for field, value in ast.iter_fields(tree):
        inside = caught
        if isinstance(tree, ast.Try) and field == "body":
            inside |= _errors(tree)
        if isinstance(tree, ast.With) and field == "body":
            inside |= {name for item in tree.items for name in _words(item.context_expr)}  # suppress(OSError)
        if isinstance(tree, ast.If | ast.IfExp) and field != "test" and _asks_system(tree.test):
            inside |= {"platform"}
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.AST):
                yield from _unguarded(node, inside)
                if isinstance(node, ast.Try) and _leaves(node):  # what follows is reached where it worked alone
                    inside |= _errors(node)
                if isinstance(node, ast.If) and _asks_system(node.test) and _ends(node.body):
                    inside |= {"platform"}


def _reached(node: ast.AST) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Import(names=names):
            yield from ((alias.name, "import") for alias in names if alias.name in MODULES)
        case ast.ImportFrom(module=module, names=names):
            if module in MODULES:
                yield module, "import"
            yield from ((f"{module}.{a.name}", "import") for a in names if a.name in NAMES.get(module or "", ()))
        case ast.Attribute(value=ast.Name(id=module), attr=name) if name in NAMES.get(module, ()):
            yield f"{module}.{name}", "name"
        case ast.Constant(value=str(text)) if text.startswith("/proc/"):
            yield text, "/proc"


def _errors(node: ast.Try) -> set[str]:
    return {name for handler in node.handlers if handler.type for name in _words(handler.type)}


def _leaves(node: ast.Try) -> bool:
    """Whether all that follows a `try` is left out where it failed."""
    return bool(node.handlers) and all(_ends(handler.body) for handler in node.handlers)


def _ends(body: list[ast.stmt]) -> bool:
    return isinstance(body[-1], ast.Return | ast.Raise | ast.Continue)


def _asks_system(test: ast.expr) -> bool:
    return bool({"platform", "hasattr", "name"} & _words(test))


def _words(node: ast.AST) -> set[str]:
    names = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    return names | {inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute)}


def _unnamed_encodings(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        on_path = isinstance(node.func, ast.Attribute)  # `write_text` of results/records/files.py is UTF-8 itself
        text = called in ("read_text", "write_text") and on_path
        if called == "open" and getattr(getattr(node.func, "value", None), "id", "") != "os":
            mode = given.get("mode", next(iter(node.args[0 if on_path else 1 :]), ast.Constant("r")))
            text = isinstance(mode, ast.Constant) and "b" not in str(mode.value)
        text |= isinstance(given.get("text"), ast.Constant)
        if text and "encoding" not in given:
            yield node.lineno, f"{called} without encoding"


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=str(path.relative_to(ROOT)))
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
    ],
)
def test_module_runs_on_every_desk(path: Path) -> None:
    assert violations(path.read_text(encoding="utf-8")) == []


def test_nothing_waits_by_a_clock_that_may_be_set() -> None:
    """The time of day jumps; it is for labels alone. A name for each module that reads it."""
    readers = {
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        if _reads_time_of_day(path.read_text(encoding="utf-8"))
    }
    assert readers == {"bench/running/tracking.py"}  # when a point was drawn, in TensorBoard's own file


def _reads_time_of_day(source: str) -> bool:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id="time"), attr="time" | "time_ns"):
                return True
            case ast.ImportFrom(module="time", names=names) if any(a.name in ("time", "time_ns") for a in names):
                return True
            case ast.Attribute(attr="now" | "utcnow" | "today"):
                return True
    return False


@pytest.mark.parametrize(
    "source",
    [
        "import fcntl",
        "def f():\n    from resource import getrusage",
        "from os import fork",
        "os.getuid()",
        "def f():\n    try:\n        import fcntl\n    except ImportError:\n        pass\n    os.getuid()",
        "try:\n    pass\nexcept AttributeError:\n    os.fork()",
        "os.kill(child, signal.SIGKILL)",
        "Path('/proc/self/status').read_text(encoding='utf-8')",
        "path.read_text()",
        "path.write_text('x')",
        "open('x')",
        "path.open('w')",
        "subprocess.run(['git'], text=True)",
    ],
)
def test_what_some_desk_cannot_do_is_seen(source: str) -> None:
    assert len(violations(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    try:\n        import fcntl\n    except ImportError:\n        return\n    os.getuid()",
        "try:\n    os.sysconf('x')\nexcept (OSError, AttributeError):\n    pass",
        "if hasattr(os, 'fork'):\n    os.fork()",
        "def f():\n    if sys.platform == 'win32':\n        return\n    os.fork()",
        "getattr(os, 'sched_getaffinity', None)",
        "with suppress(OSError):\n    Path('/proc/x').write_text('5', encoding='utf-8')",
        "path.open('rb')\nos.open('x', os.O_RDWR)\nwrite_text(path, 'x')",
        "subprocess.run(['git'], text=True, encoding='utf-8')",
    ],
)
def test_what_every_desk_can_do_is_let_alone(source: str) -> None:
    assert violations(source) == []
