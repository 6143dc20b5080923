"""What the project's pages say: commands are commands, links lead somewhere, figures are those that were published."""

import re
import shlex
import sys
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest
import torch
from places import PUBLISHED as PUBLISHED_RUNS
from places import ROOT

from bench.architectures import Batch, SequenceSpec, registry
from bench.cli import app
from bench.datasets.suites import Suite, load_suite
from bench.planning.sizing import TOLERANCE, count_flops, count_parameters, fit
from bench.results.records.run import open_run
from bench.results.report.contents import contents

README, RESULTS = ROOT / "README.md", ROOT / "docs" / "results.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = {page.relative_to(ROOT).as_posix(): page for page in (README, ROOT / "CONTRIBUTING.md", *DOCS)}
MOST_LINES, MOST_BYTES = 130, 9_000
"""Of the README: a front door."""
PUBLISHED = {
    "products3": [""],
    "quick-scratchpad": [""],
    "quick": [""],
    "addition3": [""],
    "forms": ["addition3-plain", "addition3", "addition3-padded", "addition3-scratchpad"],
    "sums": ["sums-0", "sums-1000", "sums-1000-lora", "sums-5000", "sums-5000-lora", "sums-150k"],
}
"""Name -> folders of its runs, in the order of the table."""
LINK = re.compile(r"\]\(([^()\s]+)\)")


def text_of(page: str) -> str:
    return PAGES[page].read_text(encoding="utf-8")


# --- commands ---------------------------------------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, str]]:
    """(page, command) of every `python -m bench ...`, up to what ends it in Markdown or in a shell."""
    for page in PAGES:
        for found in re.finditer(r"python -m bench ([a-z]+[^`\n;]*)", text_of(page).replace("\\\n", " ")):
            if "..." not in found[1]:
                yield page, re.split(r" &| #| \|", found[1].replace('"$@"', "--arch lstm"))[0]


@pytest.mark.parametrize(("page", "line"), sorted(set(commands())))
def test_every_command_is_taken(page: str, line: str) -> None:
    app.parse_args(shlex.split(line), exit_on_error=False, print_error=False)


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/")])
def test_a_page_opens_with_its_command(page: str) -> None:
    title, empty, fence = text_of(page).splitlines()[:3]
    assert title.startswith("# ")
    assert not empty
    assert fence.startswith("```")


def test_the_walk_from_the_command_to_the_table_follows_the_imports() -> None:
    walk = re.findall(r"^[0-9]+\. `([a-z_/]+\.py)`: ", text_of("docs/design.md"), re.MULTILINE)
    assert 2 < len(walk) <= 12
    for number, path in enumerate(walk[1:], 1):
        parts = Path(path).with_suffix("").parts
        module = ".".join(part for part in (parts if parts[0] == "bench" else ("bench", *parts)) if part != "__init__")
        before = [(ROOT / earlier).read_text(encoding="utf-8") for earlier in walk[:number]]
        command = Path(path).stem if module.startswith("bench.cli.") else "no command"  # those are imported by name
        assert any(re.search(rf'from {re.escape(module)} import|"{command}"', source) for source in before), path


# --- links ------------------------------------------------------------------------------------------------------------


def links() -> Iterator[tuple[str, str]]:
    """(page, target) of every link that leads to no other host."""
    for page in PAGES:
        for found in LINK.finditer(prose(text_of(page))):
            if "://" not in found[1]:
                yield page, found[1]


def prose(text: str) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Where links into a page may lead: its headings, as code hosts write them."""
    headings = re.findall(r"^#+ (.+)$", prose(page.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("page", "target"), sorted(set(links())))
def test_every_link_leads_somewhere(page: str, target: str) -> None:
    path, _, anchor = target.partition("#")
    file = (PAGES[page].parent / path).resolve() if path else PAGES[page]
    assert file.is_relative_to(ROOT)
    assert file.exists()
    if anchor:
        assert anchor in anchors(file)


def test_the_readme_leads_to_every_page() -> None:
    linked = {target.partition("#")[0] for page, target in links() if page == "README.md"}
    assert set(PAGES) - {"README.md"} - linked == set()


# --- figures ----------------------------------------------------------------------------------------------------------


def script(name: str) -> Any:
    """A program of `.ci`, as a module."""
    loader = SourceFileLoader(name.removesuffix(".py"), str(ROOT / ".ci" / name))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def publish() -> Any:
    return script("publish.py")


def published(publish: Any, page: Path, name: str) -> str:
    """What stands in a page between the lines of a name."""
    found: str = publish.block_of(name).search(page.read_text(encoding="utf-8"))[2]
    return found


def test_the_page_of_files_has_every_key_with_its_docstring() -> None:
    keys = script("keys.py")
    found = keys.BLOCK.search(text_of("docs/files-of-a-run.md"))
    assert found[2] == keys.tables()


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_tables_are_those_of_the_published_runs(publish: Any, name: str) -> None:
    folder = PUBLISHED_RUNS / name
    report = contents([open_run(folder / run) for run in PUBLISHED[name]])
    assert published(publish, RESULTS, name) == publish.runs_block(name, report, several=len(PUBLISHED[name]) > 1)
    if name == "quick":
        assert published(publish, README, "summary") == publish.summary_block(report)


def test_the_table_of_the_search_is_that_of_its_files(publish: Any) -> None:
    assert published(publish, RESULTS, "tuning-quick") == publish.search_block(PUBLISHED_RUNS / "tuning-quick")


def test_the_speeds_are_those_that_were_published(publish: Any) -> None:
    folder = PUBLISHED_RUNS / "perf"
    assert published(publish, RESULTS, "perf") == publish.speed_block("perf", [folder / "100k", folder / "800k"])
    assert published(publish, RESULTS, "growth") == publish.speed_block("growth", [folder / "growth"])


# --- what a reader pastes ---------------------------------------------------------------------------------------------


def pasted(page: str, language: str) -> str:
    """The one block of code of a language in a page."""
    [block] = re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), flags=re.DOTALL | re.MULTILINE)
    return str(block)


def test_the_suite_of_the_page_has_every_key(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(pasted("docs/data.md", "toml"), encoding="utf-8")
    assert load_suite(str(path)).name == "mine"
    missing = [
        key
        for section in (Suite, *(field.annotation for field in Suite.model_fields.values()))
        for key in getattr(section, "model_fields", {})
        if not re.search(rf"^(# )?({key} = |\[(defaults\.)?{key}\])", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert missing == []


def test_the_architecture_of_the_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_recurrent.py").write_text(pasted("docs/architectures.md", "python"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    monkeypatch.setattr(registry, "_plugins", set(registry._plugins))
    monkeypatch.delitem(sys.modules, "my_recurrent", raising=False)
    registry.load_plugin("my_recurrent")
    cls = registry.get("my-recurrent")
    spec = SequenceSpec(
        **{"vocabulary": 20, "prompt_width": 6, "answer_width": 4, "pad": 0, "bos": 1, "eos": 2, "mask": 3},
        digits=tuple(range(4, 14)),
        reversed=True,
    )
    config = fit(cls, cls.Config(), spec, 100_000)
    parameters, _ = count_parameters(cls, config, spec)
    assert abs(parameters / 100_000 - 1) <= TOLERANCE
    assert count_flops(cls, config, spec) > 0
    torch.manual_seed(0)
    model = cls(cls.Config(**cls.debug), spec).eval()
    prompt = torch.tensor([[0, 0, 5, 14, 6, 15], [5, 6, 7, 14, 6, 15]])
    answer = model.generate(prompt, 4)
    written = answer != spec.pad
    assert torch.equal(model.logits(prompt, answer).argmax(-1)[written], answer[written])
    model.loss(Batch(prompt, answer), torch.Generator()).mean.backward()
    sys.modules.pop("my_recurrent")


# --- the front door ---------------------------------------------------------------------------------------------------


def test_the_readme_stays_short() -> None:
    assert len(text_of("README.md").splitlines()) <= MOST_LINES
    assert len(README.read_bytes()) <= MOST_BYTES


def test_ci_finds_the_commands_that_it_takes_from_the_pages() -> None:
    taken = re.findall(r"grep -E '(\^pip install [^']*)' (\S+)\)", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    assert [page for _, page in taken] == ["docs/pretrained.md", "README.md"]
    for pattern, page in taken:
        assert len(re.findall(pattern, text_of(page), flags=re.MULTILINE)) == 1
