"""Plug-ins: modules of a user that register architectures, how they are imported, and which source each has.

The source is recorded, so that nobody takes what a plug-in learnt before a change for what it would learn now.
"""

import ast
import hashlib
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import resolve_name
from pathlib import Path

from bench import architectures
from bench.architectures import Architecture
from bench.errors import user_errors
from bench.planning.amounts import parse_names

OURS = architectures.__name__.partition(".")[0]
INSTALLED = {"site-packages", "dist-packages"}
"""Names of the folders that installed packages lie in, side by side with packages that are not theirs."""
SHOWN = 12
"""Hex digits of a hash in a message."""


def load_plugins(text: str | None) -> tuple[str, ...]:
    """Import the modules that --plugin names, such as 'mine,path/yours.py', which register architectures; their names.

    Raises:
        UserError: one of them cannot be imported, or registers none.
    """
    names = () if text is None else parse_names(text, "--plugin")
    with user_errors():
        return tuple(dict.fromkeys(architectures.load_plugin(name) for name in names))


@cache  # the class that answers is the one that was imported, whatever happens to its file
def plugin_hash(cls: type[Architecture]) -> str | None:
    """SHA-256 in hex of the source of a plug-in: of the lines `MODULE SHA-256` of all its modules, sorted.

    These are the module that defines the class and, step by step, what import statements name in the same package or,
    unless it is an installed one, in its folder or another that modules are imported from, such as the working folder.
    None for the project's own, and for a class that has no file.
    """
    top = sys.modules.get(cls.__module__.partition(".")[0])
    place = next(iter(getattr(top, "__path__", ())), getattr(top, "__file__", None))
    if top is None or place is None or top.__name__ == OURS:
        return None
    folder = Path(place).parent
    places = [str(folder), *_own_places()]
    found: dict[str, str] = {}
    waiting = [cls.__module__]
    while waiting:
        name = waiting.pop()
        first, _, rest = name.partition(".")
        if name in found or first == OURS or (first != top.__name__ and folder.name in INSTALLED):
            continue
        if rest:
            waiting.append(name.rpartition(".")[0])  # Python imports the package first
        if (file := _file(places, name)) is not None:
            source = file.read_bytes()
            found[name] = hashlib.sha256(source).hexdigest()
            waiting += _imports(source, name if file.stem == "__init__" else name.rpartition(".")[0])
    return hashlib.sha256("".join(f"{name} {found[name]}\n" for name in sorted(found)).encode()).hexdigest()


def check_plugin(cls: type[Architecture], recorded: str | None) -> None:
    """Raises ValueError unless an architecture is of the source that a run `recorded`; None: it recorded none."""
    here = plugin_hash(cls)
    if recorded not in (None, here):
        raise ValueError(
            f"the plug-in {cls.name} is not the one of the run: its source has SHA-256 {str(here)[:SHOWN]}, in the run "
            f"it had {recorded[:SHOWN]}; restore it"
        )


def _own_places() -> Iterator[str]:
    """Folders that modules are imported from, but for those of Python itself and of installed packages."""
    libraries = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")]
    for place in (Path(entry).resolve() for entry in sys.path):
        if not INSTALLED.intersection(place.parts) and not any(place.is_relative_to(library) for library in libraries):
            yield str(place)


def _file(places: list[str], module: str) -> Path | None:
    """The file of a module that is imported from these folders; None where none has that name, or it has no file."""
    path, names, spec = places, module.split("."), None
    for depth in range(len(names)):
        spec = PathFinder.find_spec(".".join(names[: depth + 1]), path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or ())
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None


def _imports(source: bytes, package: str) -> Iterator[str]:
    """Names that may be those of modules in the import statements of a source, wherever they stand in it."""
    with suppress(SyntaxError, ValueError):  # not Python's, such as a compiled module's
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                with suppress(ImportError):  # beyond the top
                    base = resolve_name("." * node.level + (node.module or ""), package)
                    yield base
                    yield from (f"{base}.{alias.name}" for alias in node.names)
