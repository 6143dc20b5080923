"""The rules of the house: who may import whom, what is declared, pinned and shipped.

Reads files only; nothing of the project is imported. A rule that cannot fail is no rule, so each is also tried on a
source that breaks it.
"""

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from places import PUBLISHED, ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]
PACKAGE_FOLDERS = {name: ROOT / folder for name, folder in SETUPTOOLS["package-dir"].items()}

SEALED = ("bench.architectures", "bench.datasets", "bench.results")  # rooms that know only themselves
ROOMS = {
    "bench.planning": {"bench.plan"},
    "bench.running": {"bench.planning", "bench.plan"},
    "bench.asking": {"bench.running", "bench.plan"},
    "bench.tuning": {"bench.planning", "bench.running"},
    "bench.reaching": {"bench.planning", "bench.running"},
    "bench.verifying": {"bench.planning", "bench.running", "bench.asking", "bench.plan"},
    "bench.speed": {"bench.planning", "bench.running", "bench.plan"},
    "bench.sharing": {"bench.asking"},
    "bench.serving": {"bench.asking"},
    "bench.plan": {"bench.planning"},
    "bench.results.records": set(),
    "bench.results.statistics": {"bench.results.records"},
    "bench.results.report": {"bench.results.records", "bench.results.statistics"},
}
"""Room -> the other rooms of this table that it may import. All of `bench` may import all of `bench.results`."""
COMMANDS = ("bench.cli", "bench.api")  # what people call; nothing below imports it
EXPORTED = ("bench.sharing.exported",)  # copied to where transformers is at hand; nothing of the program imports it
BARE = ("architectures", "datasets", "results")  # names that are free for other packages, inside as outside
UNPICKLERS = ("pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve")
IMPORTED_AS = {"vl-convert-python": "vl-convert"}  # where a distribution's module is called otherwise
UNPICKLING = ("torch.load", "torch.save", "torch.hub", "torch.serialization", "pandas.read_pickle")


# --- reading sources --------------------------------------------------------------------------------------------------


class Import(NamedTuple):
    """One imported name, as `bench.datasets.split`; `lazy` inside a function or under TYPE_CHECKING."""

    name: str
    line: int
    lazy: bool


def imports(tree: ast.Module, package: str) -> Iterator[Import]:
    """All imports of a module that lies in `package`, relative ones made absolute.

    `from bench import datasets` yields `bench.datasets`; `import_module("bench.datasets")` counts too.
    """

    def visit(node: ast.AST, lazy: bool) -> Iterator[Import]:
        match node:
            case ast.Import(names=names):
                yield from (Import(alias.name, node.lineno, lazy) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                above = package.split(".")[: len(package.split(".")) - level + 1] if level else []
                base = ".".join([*above, *([module] if module else [])])
                yield from (Import(base if a.name == "*" else f"{base}.{a.name}", node.lineno, lazy) for a in names)
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield Import(name, node.lineno, lazy)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                lazy = True
            case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                lazy = True
        for child in ast.iter_child_nodes(node):
            yield from visit(child, lazy)

    return visit(tree, lazy=False)


def used_names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Dotted names with their lines, import aliases resolved: `np.load` after `import numpy as np` is `numpy.load`."""
    aliases = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            aliases |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            aliases |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}

    def dotted(node: ast.expr) -> str:
        if isinstance(node, ast.Attribute):
            return f"{dotted(node.value)}.{node.attr}"
        return aliases.get(node.id, node.id) if isinstance(node, ast.Name) else ""

    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            yield dotted(node), node.lineno
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            yield "allow_pickle", node.lineno


def within(name: str, *packages: str) -> bool:
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


# --- the rules --------------------------------------------------------------------------------------------------------


def violations(source: str, package: str) -> list[str]:
    """The house rules that a module of `package` breaks, one line each, as `3: datasets is another package`."""
    tree = ast.parse(source)
    own = next((one for one in ROOMS if within(package, one)), None)
    room = next((sealed for sealed in SEALED if within(package, sealed)), None)
    found = []
    for name, line, lazy in imports(tree, package):
        top = name.partition(".")[0]
        other = next((one for one in ROOMS if within(name, one)), None)
        if package not in ("bench", "bench.cli", "tests") and within(name, *COMMANDS):
            found.append(f"{line}: {package} may not import {name}")
        elif own and other and other not in {own, *ROOMS[own]} and (room or not within(other, "bench.results")):
            found.append(f"{line}: {own} may not import {other}")
        elif top in BARE:
            found.append(f"{line}: {top} is another package's name, ours is bench.{top}")
        elif package == "tests":
            continue
        elif room and within(name, "bench") and not within(name, room):
            found.append(f"{line}: {room} may not import {name}")
        elif room in ("bench.datasets", "bench.results") and within(name, "torch", "safetensors.torch", "transformers"):
            found.append(f"{line}: {room} may not import torch")
        elif within(name, *UNPICKLERS, *UNPICKLING):
            found.append(f"{line}: {name} unpickles")
        elif top != "bench" and top not in sys.stdlib_module_names:
            core, optional = importable(), importable("core and extras")
            if canonicalize_name(top) not in (optional if lazy or package in EXPORTED else core):
                found.append(f"{line}: {top} is not among the dependencies" + ("" if lazy else " that all users have"))
    if package != "tests":
        for name, line in used_names(tree):
            if within(name, *UNPICKLING) or name.endswith(("allow_pickle", ".read_pickle", ".to_pickle")):
                found.append(f"{line}: {name} unpickles")
    return found


def declared(which: str = "core") -> dict[str, Requirement]:
    """Requirements by canonical name: `core`, `core and extras` (a user's, not test and dev), or `all`."""
    project = PYPROJECT["project"]
    lines = list(project["dependencies"])
    for extra, more in project["optional-dependencies"].items():
        if which == "all" or (which == "core and extras" and extra not in ("test", "dev")):
            lines += more
    if which == "all":
        lines += PYPROJECT["build-system"]["requires"]
    requirements = [Requirement(line) for line in lines]
    return {canonicalize_name(r.name): r for r in requirements if r.name != project["name"]}


def importable(which: str = "core") -> set[str]:
    """The modules that `declared` brings, by canonical name."""
    return {IMPORTED_AS.get(name, name) for name in declared(which)}


def modules() -> list[tuple[str, Path]]:
    """(package, file) of every module of the product and of the tests."""
    rooms = {**PACKAGE_FOLDERS, "tests": ROOT / "tests"}
    found = []
    for room, folder in rooms.items():
        for path in sorted(folder.rglob("*.py")):
            inner = path.parent.relative_to(folder).parts
            found.append(("tests" if room == "tests" else ".".join([room, *inner]), path))
    return found


# --- who may import whom ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("package", "path"), [pytest.param(*m, id=str(m[1].relative_to(ROOT))) for m in modules()])
def test_module_keeps_the_rules(package: str, path: Path) -> None:
    assert [f"{path.relative_to(ROOT)}:{line}" for line in violations(path.read_text(), package)] == []


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("bench.architectures", "import bench.datasets"),
        ("bench.architectures", "from bench.datasets.split import rule"),
        ("bench.architectures", "from bench import results"),
        ("bench.architectures", "from .. import datasets"),
        ("bench.architectures", "from ..cli import main"),
        ("bench.planning", "from bench.cli.run import run_command"),
        ("bench.running", "from bench.api import run"),
        ("bench.planning", "from bench.running.training import train"),
        ("bench.running", "def f():\n    from bench.asking.models import trained_models"),
        ("bench.results.records", "from bench.results.report.table import Table"),
        ("bench.results.statistics", "import bench.results.report.html"),
        ("bench.datasets", "import bench"),
        ("bench.datasets", "from bench import __version__"),
        ("bench.datasets", "from ..budget import Budget"),
        ("bench.results", "def f():\n    from bench.running.training import train"),
        ("bench.results", "import importlib\nimportlib.import_module('bench.architectures')"),
        ("bench.datasets", "import torch"),
        ("bench.results", "def f():\n    from torch import nn"),
        ("bench.results", "from safetensors.torch import load_file"),
        ("bench", "import datasets"),
        ("bench", "from datasets.split import rule"),
        ("bench.cli", "def f():\n    import results as r"),
        ("tests", "import architectures"),
        ("bench", "import pickle"),
        ("bench", "from pickle import loads"),
        ("bench", "import torch\ntorch.load('x')"),
        ("bench", "import torch as t\nt.save({}, 'x')"),
        ("bench", "from torch import load"),
        ("bench", "import numpy as np\nnp.load('x', allow_pickle=True)"),
        ("bench.results", "import pandas as pd\npd.read_pickle('x')"),
        ("bench", "import flask"),
        ("bench", "import transformers"),
        ("bench.sharing.exported", "import hypothesis"),
        ("bench", "def f():\n    import django"),
        ("bench", "import pytest"),
        ("bench", "def f():\n    import hypothesis"),
    ],
)
def test_broken_rule_is_seen(package: str, source: str) -> None:
    assert len(violations(source, package)) >= 1


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("bench", "from bench import architectures, datasets, results"),
        ("bench.cli", "from ..datasets import suites\nfrom bench.results.report.tables.summary import summary"),
        ("bench.architectures", "import torch\nfrom .base import Architecture\nfrom bench.architectures import base"),
        ("bench.datasets", "import numpy as np\nfrom . import split\nnp.load('x')"),
        ("bench.sharing.exported", "from transformers import PreTrainedModel"),
        ("bench.results", "from . import datasets\nimport json, scipy.stats\nload = json.load"),
        ("tests", "import pytest\nfrom bench.datasets import split\nimport pickle"),
    ],
)
def test_kept_rule_is_quiet(package: str, source: str) -> None:
    assert violations(source, package) == []


# --- what is declared and pinned --------------------------------------------------------------------------------------


def test_every_dependency_is_imported() -> None:
    sources = [(package, ast.parse(path.read_text())) for package, path in modules() if package != "tests"]
    names = [name for package, tree in sources for name, _, _ in imports(tree, package)]
    assert importable() - {canonicalize_name(name.partition(".")[0]) for name in names} == set()


def test_every_requirement_is_pinned_within_its_range() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {}
    for requirement in (Requirement(line) for line in lines if line and not line.startswith("#")):
        [specifier] = requirement.specifier
        assert specifier.operator == "=="
        assert "+" not in specifier.version, f"{requirement}: a local version exists on some machines only"
        assert canonicalize_name(requirement.name) not in pins, f"{requirement.name} is pinned twice"
        pins[canonicalize_name(requirement.name)] = specifier.version
    wanted = declared("all")
    assert set(wanted) - set(pins) == set()
    assert [f"{r} but {pins[name]}" for name, r in wanted.items() if pins[name] not in r.specifier] == []


# --- what is shipped --------------------------------------------------------------------------------------------------


def shipped() -> Iterator[tuple[str, Path]]:
    """(package, file) of everything that lies in the rooms, caches, hidden files and published runs aside."""
    for package, folder in PACKAGE_FOLDERS.items():
        for path in sorted(folder.rglob("*")):
            inner = path.relative_to(folder).parts
            if PUBLISHED in path.parents or path.is_symlink():
                continue
            if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in inner):
                yield ".".join([package, *inner[:-1]]), path


def test_every_folder_with_modules_is_a_package_of_the_wheel() -> None:
    assert {package for package, path in shipped() if path.suffix == ".py"} == set(SETUPTOOLS["packages"])


def test_every_other_file_is_data_of_the_wheel() -> None:
    patterns = [
        (PACKAGE_FOLDERS[name], pattern) for name, some in SETUPTOOLS["package-data"].items() for pattern in some
    ]
    data = {path for folder, pattern in patterns for path in folder.glob(pattern)}
    others = [path for _, path in shipped() if path.suffix != ".py"]
    assert [str(path.relative_to(ROOT)) for path in others if path not in data] == []


def test_no_room_lies_at_the_top_of_the_wheel() -> None:
    assert {name.partition(".")[0] for name in SETUPTOOLS["packages"]} == {"bench"}


def test_a_link_leads_to_each_room_beside_bench() -> None:
    """A checkout has the rooms at its top; the links are where editors, type checkers and Python find them."""
    links = {path.name: path.readlink().as_posix() for path in (ROOT / "bench").iterdir() if path.is_symlink()}
    assert links == {room: f"../{room}" for room in BARE}
