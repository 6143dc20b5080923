"""A plug-in that was changed is not the one of the run, and nothing that it learnt before is taken for its own."""

import importlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from calling import call, one_by_one
from stranger import FOLDER

from bench import architectures
from bench.architectures import registry
from bench.plugins import plugin_hash
from bench.results.files import read_checked_json, verify_checksum, write_checked_json
from bench.results.records.record import RECORD, read_record
from bench.results.records.run import cell_directory, open_run
from bench.running.engine import Task

SOURCE = (FOLDER / "tiny_gru.py").read_text(encoding="utf-8")
KNOWN = SOURCE.replace('"tiny-gru"', '"known"').replace(
    "return self.head(torch.stack(states, dim=1))",
    "from known_rule import SCALE\n        return SCALE * self.head(torch.stack(states, dim=1))",
)

Known = Callable[..., type[architectures.Architecture]]


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Known]:
    """Writes modules side by side and imports `known` anew, as another process would; its class."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    monkeypatch.setattr(registry, "_plugins", set(registry._plugins))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # of one size and second, it would be taken for the new one
    folder = tmp_path / "plugins"
    monkeypatch.syspath_prepend(folder)

    def forget() -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] in ("known", "known_rule", "known_all")]:
            del sys.modules[name]

    def write(**sources: str) -> type[architectures.Architecture]:
        for name, source in ({"known.py": KNOWN, "known_rule.py": "SCALE = 1"} | sources).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(source, encoding="utf-8")
        forget()
        registry._plugins.discard("known")
        registry._registered.pop("known", None)
        importlib.invalidate_caches()
        architectures.load_plugin("known")
        return architectures.get("known")

    yield write
    forget()


@pytest.mark.parametrize(
    ("module", "source", "counts"),
    [
        ("known.py", KNOWN + "\n# a word more\n", True),
        ("known_rule.py", "SCALE = 2", True),  # imported within a function alone
        ("neighbour.py", "SCALE = 2", False),
        ("known_rule/__init__.py", "from .deep import SCALE", True),
    ],
)
def test_the_hash_is_of_the_module_and_of_what_it_imports_from_beside_it(
    module: str, source: str, counts: bool, known: Known
) -> None:
    before = plugin_hash(known())
    assert before is not None
    assert plugin_hash(known()) == before
    assert (plugin_hash(known(**{module: source})) != before) is counts


def test_what_lies_in_another_folder_that_modules_are_imported_from_counts(
    known: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "working folder"
    elsewhere.mkdir()
    monkeypatch.syspath_prepend(elsewhere)
    hashes = []
    for scale in (1, 2):
        (elsewhere / "known_all.py").write_text(f"SCALE = {scale}", encoding="utf-8")
        hashes.append(plugin_hash(known(**{"known_rule.py": "from known_all import SCALE"})))
    assert hashes[0] != hashes[1]


def test_all_of_a_package_that_is_imported_counts_wherever_it_lies(known: Known, tmp_path: Path) -> None:
    files = {"known.py": "import known_all.model", "known_all/model.py": "from .parts import base\n" + KNOWN}
    files |= {"known_all/__init__.py": "", "known_all/parts/__init__.py": "", "known_all/parts/base.py": "A = 1"}
    before = plugin_hash(known(**files))
    for name in ("known_all/__init__.py", "known_all/parts/__init__.py", "known_all/parts/base.py"):
        assert plugin_hash(known(**(files | {name: "A = 2"}))) != before
    assert plugin_hash(known(**(files | {"known_all/other.py": "A = 2"}))) == before
    assert plugin_hash(known(**(files | {"known.py": "import known_all.model as model"}))) == before


def test_what_comes_with_the_project_has_none() -> None:
    assert {plugin_hash(cls) for cls in architectures.all_architectures().values() if cls.name != "tiny-gru"} == {None}


@pytest.fixture
def bench(
    tiny_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """A command in a folder of its own; `run` is one of the plug-in, its cells trained in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.running.engine.run_tasks", one_by_one)
    options = ("--arch", "known", "--suite", str(tiny_path), "--params", "3k", "--budget", "examples=64")

    def command(*words: str) -> tuple[int, str, str]:
        more = (*options, "--threads", "1") if words[0] == "run" else ()
        plugin = () if words[0] in ("report", "compare") else ("--plugin", "known")
        return call(capsys, monkeypatch, *words, *more, *plugin)

    return command


def test_another_source_is_refused_in_one_line_by_whatever_uses_the_run(
    known: Known, bench: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    was = plugin_hash(known())
    assert bench("run", "--seeds", "1", "--out", "a")[0] == 0
    assert open_run(Path("a")).plan.entries["known"].plugin_hash == was
    assert read_record(cell_directory(Path("a"), "known", 0)).plugin_hash == was
    assert bench("verify", "a")[0] == 0
    is_now = plugin_hash(known(**{"known_rule.py": "SCALE = 3"}))
    assert was is not None
    assert is_now is not None
    for more in ((), ("--join",), ("--seeds", "2"), ("--retry-failed",)):
        status, out, err = bench("run", "--out", "a", *(more if "--seeds" in more else ("--seeds", "1", *more)))
        assert (status, out) == (2, "")
        changed = "bench: --out a: the plug-in known was changed since this run; give another --out, or restore it\n"
        assert err == changed
    refused = "the plug-in known is not the one of the run: its source has SHA-256 "
    refused += f"{is_now[:12]}, in the run it had {was[:12]}; restore it"
    for words in (("ask", "a", "1+1"), ("export", "a", "--arch", "known", "--to", "exported"), ("eval", "a", "--data")):
        if words[0] == "eval":
            Path("data.csv").write_text("a,op,b,answer\n1,+,1,2\n", encoding="utf-8")
            words = (*words, "data.csv")
        assert bench(*words) == (2, "", f"bench: {refused}\n")
    assert not Path("exported").exists()
    status, out, _ = bench("verify", "a")
    assert status == 1
    assert [line for line in out.splitlines() if "FAILED" in line] == [f"FAILED  known-s0  plug-in: {refused}"]
    assert "1 of 9 checks failed: known-s0 plug-in." in out

    assert bench("run", "--seeds", "1", "--out", "b")[0] == 0
    for runs in (("a", "b"), ("b", "a")):
        _, out, _ = bench("report", *runs, "--format", "md")
        assert out.startswith("known has a row for each source of its plug-in: a on ")
        assert "| known (a) !" in out
        assert "| known (b) !" in out
    status, _, err = bench("compare", "a", "b", "--arch", "known,lstm")
    assert (status, err.startswith("bench: --arch 'known': name one of known (a), known (b); known has a row ")) == (
        2,
        True,
    )

    known()
    assert bench("ask", "a", "1+1")[0] == 0


def test_a_plug_in_that_is_changed_while_the_run_goes_on_fails_its_next_cell(
    known: Known, bench: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    known()

    def changed(tasks: Iterable[Task]) -> Iterator[Task]:
        for task in tasks:
            yield task
            known(**{"known_rule.py": "SCALE = 3"})

    monkeypatch.setattr("bench.running.engine.run_tasks", lambda tasks, *_, **__: one_by_one(changed(tasks)))
    assert bench("run", "--seeds", "2", "--out", "a")[0] == 1
    first, second = open_run(Path("a")).records
    assert first.done
    assert (second.status, "the plug-in known is not the one of the run" in second.reason) == ("failed", True)


def test_a_run_that_did_not_record_the_source_is_read_and_says_so(
    known: Known, bench: Callable[..., tuple[int, str, str]]
) -> None:
    known()
    assert bench("run", "--seeds", "1", "--out", "a")[0] == 0
    plan = open_run(Path("a")).plan
    old = plan.model_copy(update={"entries": {"known": plan.entries["known"].model_copy(update={"plugin_hash": None})}})
    written = old.model_copy(update={"plan_hash": old.recomputed_hash()}).as_json()
    assert "plugin_hash" not in json.dumps(written)
    write_checked_json(Path("a/run.json"), written)
    path = cell_directory(Path("a"), "known", 0) / RECORD
    record = verify_checksum(path, read_checked_json(path))
    del record["plugin_hash"]
    write_checked_json(path, record)
    status, out, _ = bench("verify", "a")
    assert status == 0
    assert "note    known-s0  plug-in: its source is not recorded, so that nobody knows whether it is" in out
    assert bench("ask", "a", "1+1")[0] == 0
    assert bench("report", "a", "--format", "html")[1].count("<dd><code>not recorded</code></dd>") == 1
    status, _, err = bench("run", "--seeds", "1", "--out", "a")
    assert (status, "the plug-in known may be another: this run did not record its source" in err) == (2, True)
