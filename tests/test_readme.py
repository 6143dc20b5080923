"""What the project's pages say: their commands are commands, and their figures are those of the published runs."""

import re
import shlex
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from bench.cli import app
from bench.results.records.run import open_run
from bench.results.report.contents import contents

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
    spec = spec_from_file_location("publish", ROOT / ".ci" / "publish.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def block(publish: Any, page: Path, name: str) -> str:
    found = publish.block_of(name).search(page.read_text(encoding="utf-8"))
    assert found is not None
    return str(found[2])


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_tables_on_the_page_are_those_of_the_published_runs(publish: Any, name: str) -> None:
    folder = ROOT / "results" / "published" / name
    runs = [folder / run for run in PUBLISHED[name]]
    shown = publish.runs_block(name, contents([open_run(run) for run in runs]), several=len(runs) > 1)
    assert block(publish, publish.PAGE, name) == shown


def test_the_speeds_on_the_page_are_those_that_were_published(publish: Any) -> None:
    folder = ROOT / "results" / "published" / "perf"
    assert block(publish, publish.PAGE, "perf") == publish.speed_block("perf", [folder / "100k", folder / "800k"])
    assert block(publish, publish.PAGE, "growth") == publish.speed_block("growth", [folder / "growth"])


def test_the_summary_in_short_has_every_architecture_the_best_first(publish: Any) -> None:
    shown = publish.summary_block(contents([open_run(ROOT / "results" / "published" / "quick")]))
    rows = [line.split(" | ") for line in shown.splitlines() if line.startswith("| ")][2:]
    shares = [float(row[1].split()[0]) for row in rows]
    assert len(shares) == 15
    assert shares == sorted(shares, reverse=True)
    assert rows[0][0] == "| encoder-decoder"
    assert rows[0][2].startswith("\\~")  # the machine was shared
    if publish.block_of("summary").search(publish.README.read_text(encoding="utf-8")):
        assert block(publish, publish.README, "summary") == shown
