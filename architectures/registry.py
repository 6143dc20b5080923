"""The register: every architecture by its name, those of plug-ins included."""

import dataclasses
import difflib
import importlib.util
import re
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, get_args

from bench.architectures.base import Architecture, Kind

ENTRY_POINTS = "arithbench.architectures"
_registered: dict[str, type[Architecture]] = {}
_plugins: set[str] = set()
"""Modules that `load_plugin` has loaded."""


def register(cls: type[Architecture]) -> type[Architecture]:
    """Class decorator: make an architecture known under its `name`.

    Raises:
        ValueError: the name is taken or is not of small letters, digits and hyphens, 100 at most (it names folders), an
            attribute that every architecture states is missing, its kind is none, or a setting is more than one value.
    """
    stated = ("name", "family", "kind", "year", "paper", "Config", "debug")
    missing = [name for name in stated if not hasattr(cls, name)]
    if missing:
        raise ValueError(f"architecture {cls.__name__} lacks {', '.join(missing)}")
    if cls.kind not in get_args(Kind):
        raise ValueError(f"architecture '{cls.name}': kind '{cls.kind}' must be one of {', '.join(get_args(Kind))}")
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,99}", cls.name):
        raise ValueError(f"architecture name '{cls.name}': expected at most 100 small letters, digits and hyphens")
    for setting in dataclasses.fields(cls.Config):
        if not isinstance(setting.default, bool | int | float | str | None):
            raise ValueError(
                f"architecture '{cls.name}': setting '{setting.name}' has no number, text, true, false or None as its "
                "default; a run's plan and the command line hold no other"
            )
    taken = _registered.get(cls.name, cls)
    if (taken.__module__, taken.__qualname__) != (cls.__module__, cls.__qualname__):  # equal where a module is reloaded
        raise ValueError(f"architecture name '{cls.name}' is taken by {taken.__module__}.{taken.__qualname__}")
    _registered[cls.name] = cls
    return cls


def load_plugin(plugin: str) -> str:
    """Import a module that registers architectures, by its name or as the path of a file; the name.

    Raises:
        ValueError: there is no such module or file, it fails to import, or it registers nothing.
    """
    module = _module_of_file(Path(plugin)) if plugin.endswith(".py") else plugin
    if module in _plugins:
        return module
    before = set(_registered)
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise ValueError(f"plug-in '{module}' cannot be imported: {type(error).__name__}: {error}") from error
    if set(_registered) == before and not any(cls.__module__ == module for cls in _registered.values()):
        raise ValueError(f"plug-in '{module}' registers no architecture; decorate its class with @register")
    _plugins.add(module)
    return module


def _module_of_file(path: Path) -> str:
    """The name by which a file is imported from now on, here and in processes started from here.

    Raises:
        ValueError: there is no such file, or another module has its name.
    """
    if not path.is_file():
        raise ValueError(f"plug-in '{path}': there is no such file")
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # as Python does with the folder of a script, so that it finds what lies beside it
        importlib.invalidate_caches()
    found = None if "." in path.stem else sys.modules.get(path.stem) or importlib.util.find_spec(path.stem)
    origin = getattr(found, "__file__", None) or getattr(found, "origin", None)
    if origin is None or Path(origin).resolve() != path.resolve():
        raise ValueError(f"plug-in '{path}': the name {path.stem} has a dot, or another module has it; rename the file")
    return path.stem


def all_architectures() -> dict[str, type[Architecture]]:
    """Registered architectures, those of installed packages' entry points included, in order of year, then name."""
    for point in entry_points(group=ENTRY_POINTS):
        load_plugin(point.module)
    return dict(sorted(_registered.items(), key=lambda item: (item[1].year, item[0])))


def from_scratch() -> dict[str, type[Architecture]]:
    """Those whose weights are drawn: a config is all that it takes to build them, at any size."""
    return {name: cls for name, cls in all_architectures().items() if cls.Config.size_fields}


def get(name: str) -> type[Architecture]:
    """One architecture by name. Raises ValueError where there is none of that name."""
    known = all_architectures()
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(known)}"
        raise ValueError(f"unknown architecture '{name}'; {hint}")
    return known[name]


def described() -> list[dict[str, Any]]:
    """Name, family, year and paper of each."""
    keys = ("name", "family", "year", "paper")
    return [{key: getattr(cls, key) for key in keys} for cls in all_architectures().values()]
