"""What the project's pages say: their commands are commands, and their figures are those of the published runs."""

import re
import shlex
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

from bench.cli import app
from bench.results.contents import contents
from bench.results.runs import open_run

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "CONTRIBUTING.md")
PUBLISHED = {
    "quick": [""],
    "addition3": [""],
    "forms": ["addition3-plain", "addition3", "addition3-padded", "addition3-scratchpad"],
    "sums": ["sums-0", "sums-1000", "sums-1000-lora", "sums-5000", "sums-5000-lora", "sums-150k"],
}
"""Name -> folders of its runs, in the order of the table."""


def commands() -> Iterator[tuple[str, str]]:
    """(page, command) of every `python -m bench ...`, up to what ends it in Markdown or in a shell."""
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ")
        for found in re.finditer(r"python -m bench ([a-z]+ [^`\n;]+)", text):
            if "..." not in found[1]:
                yield page, re.split(r" &| #", found[1].replace('"$@"', "--arch lstm"))[0]


@pytest.mark.parametrize(("page", "line"), sorted(set(commands())))
def test_every_command_is_taken(page: str, line: str) -> None:
    app.parse_args(shlex.split(line), exit_on_error=False, print_error=False)


def test_there_are_commands() -> None:
    assert {page for page, _ in commands()} == set(PAGES)


@pytest.fixture(scope="module")
def publish() -> Any:
    loader = SourceFileLoader("publish", str(ROOT / ".ci" / "publish"))
    spec = spec_from_loader("publish", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_tables_of_the_readme_are_those_of_the_published_runs(publish: Any, name: str) -> None:
    folder = ROOT / "results" / "published" / name
    runs = [folder / run for run in PUBLISHED[name]]
    found = publish.block_of(name).search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert found[2] == publish.shown(name, contents([open_run(run) for run in runs]), several=len(runs) > 1)


def test_the_speeds_of_the_readme_are_those_that_were_published(publish: Any) -> None:
    folder = ROOT / "results" / "published" / "perf"
    found = publish.block_of("perf").search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert found[2] == publish.shown_perf([folder / "100k", folder / "800k"])
    found = publish.block_of("growth").search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert found[2] == publish.shown_growth(folder / "growth")
