"""How architectures get their names, and how strangers bring theirs."""

import dataclasses
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from bench.architectures import (
    Architecture,
    Autoregressive,
    Config,
    all_architectures,
    get,
    load_plugin,
    register,
    registry,
)
from bench.architectures.lstm import LSTM


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test registers is forgotten after it."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    monkeypatch.setattr(registry, "_plugins", set(registry._plugins))


@pytest.fixture
def plugin_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder from which modules can be imported."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def attributes(**changes: Any) -> dict[str, Any]:
    """What a class must state, with some changed; None leaves one out."""
    stated = {name: getattr(LSTM, name) for name in ("family", "year", "paper", "Config", "debug")}
    return {key: value for key, value in ({"name": "mine"} | stated | changes).items() if value is not None}


SOURCE = """
from bench.architectures import Autoregressive, Config, register

@register
class Mine(Autoregressive):
    name, family, year, paper, Config, debug = "mine", "none", 2024, "Nobody, Nothing, 2024", Config, {}
"""


# --- names ------------------------------------------------------------------------------------------------------------


def test_architectures_come_in_order_of_year() -> None:
    known = all_architectures()
    assert {"lstm", "transformer", "encoder-decoder"} <= set(known)
    assert list(known.values()) == sorted(known.values(), key=lambda cls: (cls.year, cls.name))


def test_get_knows_each_by_its_name() -> None:
    assert {name: get(name) for name in all_architectures()} == all_architectures()


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("lstn", "did you mean 'lstm'?"),
        ("encoder_decoder", "did you mean 'encoder-decoder'?"),
        ("Transformer", "did you mean 'transformer'?"),
        ("quux", f"there are {', '.join(all_architectures())}"),
        ("", f"there are {', '.join(all_architectures())}"),
    ],
)
def test_unknown_name_gets_a_hint(wrong: str, hint: str) -> None:
    with pytest.raises(ValueError, match="unknown architecture") as error:
        get(wrong)
    assert str(error.value) == f"unknown architecture '{wrong}'; {hint}"


def test_register_returns_the_class_and_makes_it_known() -> None:
    cls = type("Mine", (Autoregressive,), attributes())
    assert register(cls) is cls
    assert get("mine") is cls


def test_taken_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'lstm' is taken by bench\.architectures\.lstm\.LSTM"):
        register(type("Mine", (Autoregressive,), attributes(name="lstm")))
    assert get("lstm") is LSTM


def test_taken_name_is_refused_to_a_namesake_from_elsewhere() -> None:
    with pytest.raises(ValueError, match="'lstm' is taken"):
        register(type("LSTM", (Autoregressive,), attributes(name="lstm")))
    assert get("lstm") is LSTM


def test_same_class_again_takes_the_place_of_the_old_one() -> None:
    """As when a notebook runs a cell twice."""
    first, second = (type("Mine", (Autoregressive,), attributes()) for _ in range(2))
    register(first)
    register(second)
    assert get("mine") is second


@pytest.mark.parametrize("missing", attributes())
def test_missing_attribute_is_refused(missing: str) -> None:
    with pytest.raises(ValueError, match=f"architecture Mine lacks {missing}$"):
        register(type("Mine", (Autoregressive,), attributes(**{missing: None})))
    assert "mine" not in all_architectures()


def test_a_setting_of_several_values_is_refused() -> None:
    """Plan and record, which are JSON, would give a list back, and the run would not know itself again."""
    config = dataclasses.make_dataclass("Wide", [("sizes", tuple[int, ...], (3, 5))], bases=(Config,), frozen=True)
    with pytest.raises(ValueError, match="'mine': setting 'sizes' has no number, text, true, false or None"):
        register(type("Mine", (Autoregressive,), attributes(Config=config)))


@pytest.mark.parametrize("name", ["", "Mine", "mine_2", "a/b", "..", "a b", "2a", "ü"])
def test_a_name_that_could_not_name_a_folder_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected at most 100 small letters, digits and hyphens"):
        register(type("Mine", (Autoregressive,), attributes(name=name)))


def test_a_kind_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"kind 'seq2seq' must be one of decoder, encoder-decoder, masked$"):
        register(type("Mine", (Autoregressive,), attributes(kind="seq2seq")))


def test_all_that_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match=r"lacks name, family, kind, year, paper, Config, debug$"):
        register(type("Mine", (Architecture,), {}))


# --- plug-ins ---------------------------------------------------------------------------------------------------------


def test_plugin_is_loaded(plugins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tiny_gru", raising=False)
    monkeypatch.syspath_prepend(plugins)
    assert "tiny-gru" not in all_architectures()
    load_plugin("tiny_gru")
    assert get("tiny-gru").__module__ == "tiny_gru"
    load_plugin("tiny_gru")


def test_plugin_that_is_a_package_may_be_loaded_twice(plugin_folder: Path) -> None:
    (plugin_folder / "mypackage").mkdir()
    (plugin_folder / "mypackage" / "__init__.py").write_text("from mypackage import model")
    (plugin_folder / "mypackage" / "model.py").write_text(SOURCE)
    for _ in range(2):
        load_plugin("mypackage")
    assert get("mine").__module__ == "mypackage.model"


def test_plugin_that_somebody_imported_before_is_welcome(plugin_folder: Path) -> None:
    (plugin_folder / "imported_before.py").write_text(SOURCE)
    __import__("imported_before")
    load_plugin("imported_before")
    assert "mine" in all_architectures()


def test_plugin_may_be_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "by_path.py").write_text("from beside_it import *\n" + SOURCE)
    (tmp_path / "beside_it.py").write_text("")
    monkeypatch.chdir(tmp_path)
    for typed in (str(tmp_path / "by_path.py"), "by_path.py", "./by_path.py", "by_path"):
        assert load_plugin(typed) == "by_path"
    assert get("mine").__module__ == "by_path"


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("absent.py", "there is no such file"),
        ("json.py", "the name json has a dot, or another module has it; rename the file"),
        ("mine.v2.py", "the name mine.v2 has a dot"),
    ],
)
def test_a_file_that_is_no_plugin_is_refused(
    file: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    if file != "absent.py":
        (tmp_path / file).write_text(SOURCE)
    with pytest.raises(ValueError, match=f"plug-in '.*{file}': {says}"):
        load_plugin(str(tmp_path / file))
    assert "mine" not in all_architectures()


@pytest.mark.parametrize(
    ("module", "source", "message"),
    [
        ("no_such_plugin", None, r"plug-in 'no_such_plugin' cannot be imported: ModuleNotFoundError: .*no_such_plugin"),
        ("imports_what_is_not", "import no_such_module", r"cannot be imported: ModuleNotFoundError: .*no_such_module"),
        ("broken_syntax", "def", r"cannot be imported: SyntaxError: "),
        ("raises", "raise RuntimeError('oh')", r"cannot be imported: RuntimeError: oh"),
        ("ends_the_program", "import sys; sys.exit('bye')", r"cannot be imported: SystemExit: bye"),
        ("takes_a_name", SOURCE.replace('"mine"', '"lstm"'), r"cannot be imported: ValueError: .*'lstm' is taken"),
        ("registers_nothing", "", r"plug-in 'registers_nothing' registers no architecture; .*@register"),
        ("", None, r"plug-in '' cannot be imported"),
        (".relative", None, r"plug-in '\.relative' cannot be imported"),
    ],
)
def test_bad_plugin_is_refused(module: str, source: str | None, message: str, plugin_folder: Path) -> None:
    if source is not None:
        (plugin_folder / f"{module}.py").write_text(source)
    for _ in range(2):  # a module that registers nothing is not welcome the second time either
        with pytest.raises(ValueError, match=message):
            load_plugin(module)
    assert "mine" not in all_architectures()


def test_entry_points_of_installed_packages_are_loaded(plugin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (plugin_folder / "installed_plugin.py").write_text(SOURCE)
    point = EntryPoint("mine", "installed_plugin:Mine", registry.ENTRY_POINTS)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == point.group else [])
    assert "mine" in all_architectures()
    assert get("mine").__module__ == "installed_plugin"
