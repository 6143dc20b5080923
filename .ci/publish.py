"""What the project shows of a finished run, so that nobody copies a figure by hand.

    python .ci/publish.py pictures RUN
                                writes pictures/tables.svg, the tables as a terminal shows them, the top of the page as
                                pictures/report.png, and accuracy against seconds as pictures/accuracy.png
    python .ci/publish.py NAME RUN [...]
                                writes results/published/NAME, the run (or each of several, in a folder of its own)
                                without its weights (of those of WITH_WEIGHTS it keeps those of the lowest seed of each
                                architecture), and the tables of all into the page of results, between the lines
                                `<!-- NAME -->` and `<!-- /NAME -->`; of several runs one table, a row for each
                                architecture of each. Of `quick` it writes a short summary into the README too, between
                                `<!-- summary -->` and `<!-- /summary -->`, where these lines are
    python .ci/publish.py perf FOLDER [...]
                                the same for what `perf --out FOLDER` wrote: whom beside whom, a column a folder
    python .ci/publish.py growth FOLDER
                                the same for what `perf --growth --out FOLDER` wrote: how fast each cost grows
    python .ci/publish.py tuning-SUITE FOLDER
                                the same for what `tune --out FOLDER` wrote: what the search cost, and what it found

Needs `pip install -c constraints.txt -e '.[test]'`, and for pictures Chromium.
"""

import io
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console

from bench.architectures.pretrained_files import BASE
from bench.cli.perf import JSON_FILE as PERF_FILE
from bench.results.records.record import WEIGHTS
from bench.results.records.run import open_run
from bench.results.records.search import read_search
from bench.results.report.contents import Contents, contents
from bench.results.report.html import write_pictures
from bench.results.report.markdown import blocks_of, grid_of
from bench.results.report.table import Table
from bench.results.report.tables import speed
from bench.results.report.tables.search import search
from bench.results.report.tables.several_runs import by_run, by_suite
from bench.results.report.tables.summary import summary_in_short
from bench.results.report.terminal import WIDTH, print_tables
from bench.results.report.write import write_report
from bench.speed.growth import MARGIN

ROOT = Path(__file__).resolve().parent.parent
README, PICTURES, PUBLISHED = ROOT / "README.md", ROOT / "pictures", ROOT / "results" / "published"
PAGE = ROOT / "docs" / "results.md"
"""Where the tables stand."""
IN_PICTURE = ("summary", "operation", "digits", "signs")
"""Keys of the tables that the picture shows."""
ON_PAGE = {
    "addition3": ("learning",),
    "products3": ("summary", "digits", "workings"),
    "quick-scratchpad": ("summary", "operation", "workings"),
}
"""Name -> keys of its tables that the page shows; those of others are `USUAL`."""
USUAL = ("summary", "operation", "signs")
WITH_WEIGHTS = ("quick", "products3", "quick-scratchpad")
"""Names of which trained models come along, for `ask`, `serve`, `demo` and `verify` in a fresh clone."""
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WINDOW_WIDTH, WINDOW_HEIGHT = 1280, 1180
"""Of the screenshot, in pixels."""


def main() -> None:
    name, *arguments = sys.argv[1:] or [""]
    folders = [Path(argument) for argument in arguments]
    searched = name.startswith("tuning-")
    if not folders or ((searched or name in ("pictures", "growth")) and len(folders) > 1):
        sys.exit(str(__doc__))
    if name in ("perf", "growth"):
        require_block(name)
        for folder in folders:
            copy_folder(folder, PUBLISHED / "perf" / folder.name)
        paths = [PUBLISHED / "perf", into_page(PAGE, name, speed_block(name, folders))]
    elif searched:
        require_block(name)
        copy_folder(folders[0], PUBLISHED / name)
        paths = [PUBLISHED / name, into_page(PAGE, name, search_block(folders[0]))]
    else:
        paths = publish_runs(name, folders)
    print("\n".join(str(path.relative_to(ROOT)) for path in paths))


def publish_runs(name: str, folders: list[Path]) -> list[Path]:
    try:
        report = contents([open_run(folder) for folder in folders])
    except ValueError as error:
        sys.exit(str(error))
    suites = {part.scores.plan.suite.name for part in report.parts}
    if report.warnings and (name == "pictures" or len(suites) < len(report.parts)):
        sys.exit("\n".join(report.warnings))
    if name == "pictures":
        return pictures(report)
    require_block(name)
    target = PUBLISHED / name
    for folder in folders:
        kept = lowest_seeds(folder) if name in WITH_WEIGHTS else []
        copy_folder(folder, target / folder.name if len(folders) > 1 else target, kept)
    paths = [target, into_page(PAGE, name, runs_block(name, report, several=len(folders) > 1))]
    if name == "quick" and block_of("summary").search(README.read_text(encoding="utf-8")):
        paths.append(into_page(README, "summary", summary_block(report)))
    return paths


def lowest_seeds(folder: Path) -> list[str]:
    """The cells of the lowest finished seed of each architecture."""
    done = sorted((record.architecture, record.seed) for record in open_run(folder).records if record.done)
    return [f"{name}-s{seed}" for name, seed in {name: seed for name, seed in reversed(done)}.items()]


def copy_folder(folder: Path, copy: Path, kept: Sequence[str] = ()) -> None:
    """kept: names of the cells whose weights are copied too."""
    if copy.resolve() != folder.resolve():
        shutil.rmtree(copy, ignore_errors=True)
        left = ".*", "*.safetensors", BASE, "report.*"
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(*left))
        for cell in kept:
            shutil.copy2(folder / "cells" / cell / WEIGHTS, copy / "cells" / cell / WEIGHTS)


def pictures(report: Contents) -> list[Path]:
    if CHROMIUM is None:
        sys.exit("Chromium is not installed; on Debian: apt-get install chromium")
    PICTURES.mkdir(exist_ok=True)
    console = Console(record=True, file=io.StringIO(), width=WIDTH)
    [part] = report.parts
    print_tables(console, part.opening, [table for table in part.tables if table.key in IN_PICTURE])
    svg = console.export_svg(title=part.scores.plan.command, unique_id="tables")
    # Without the fonts that it would fetch from elsewhere: any font of fixed width does.
    tables, page, accuracy = (PICTURES / name for name in ("tables.svg", "report.png", "accuracy.png"))
    tables.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL), encoding="utf-8")
    screenshot(report, page)
    with tempfile.TemporaryDirectory() as folder:
        drawn = {path.name: path for path in write_pictures(report, Path(folder))}
        shutil.copyfile(drawn["accuracy-train-seconds.png"], accuracy)
    return [tables, page, accuracy]


def screenshot(report: Contents, path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        [page_path] = write_report(report, ["html"], Path(folder))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WINDOW_WIDTH, "height": WINDOW_HEIGHT})
        page.goto(page_path.as_uri())
        page.locator("figure svg.marks").last.wait_for()
        page.screenshot(path=path)
        browser.close()


def require_block(name: str) -> None:
    if not block_of(name).search(PAGE.read_text(encoding="utf-8")):
        sys.exit(f"{PAGE.name} has no lines <!-- {name} --> and <!-- /{name} -->: put them where its tables are to be")


def into_page(page: Path, name: str, content: str) -> Path:
    text = page.read_text(encoding="utf-8")
    page.write_text(block_of(name).sub(lambda found: found[1] + content + found[3], text), encoding="utf-8")
    return page


def block_of(name: str) -> re.Pattern[str]:
    """Finds the tables of a name on a page, as group 2."""
    return re.compile(rf"(<!-- {re.escape(name)} -->\n)(.*?)(<!-- /{re.escape(name)} -->)", re.DOTALL)


def runs_block(name: str, report: Contents, several: bool) -> str:
    """What stands of a published run, or of several, on the page."""
    groups = [part.scores for part in report.parts]
    if several:
        table = by_suite(groups) if len(groups) > 1 else by_run(groups[0])
        return f"All tables: `python -m bench report results/published/{name}/*`\n\n{block([], [table])}"
    [part] = report.parts
    tables = [table for table in part.tables if table.key in ON_PAGE.get(name, USUAL)]
    return f"`{part.scores.runs[0].plan.command}`\n\n{block(part.opening, tables)}"


def summary_block(report: Contents) -> str:
    """What the README shows of a run: the summary in short, with what it says of its figures in a paragraph below."""
    [part] = report.parts
    table = summary_in_short(part.scores, part.tiers)
    notes = " ".join(note.text for note in table.notes)
    return "\n\n".join([grid_of(table), *blocks_of([notes], [])]) + "\n"


def speed_block(name: str, folders: list[Path]) -> str:
    """What stands of a measured speed on the page: side by side in each of the folders, or how fast each cost grows."""
    rows = {folder.name: json.loads((folder / PERF_FILE).read_text(encoding="utf-8")) for folder in folders}
    if name == "growth":
        [curves] = rows.values()
        return block([], [speed.slopes(curves, MARGIN)])
    table = speed.ratios(rows)
    return block([], [] if table is None else [table])


def search_block(folder: Path) -> str:
    """What stands of a published search on the page."""
    return block([], [search(read_search(folder))])


def block(opening: list[str], tables: list[Table]) -> str:
    """Tables as a terminal shows them, as Markdown."""
    file = io.StringIO()
    print_tables(Console(file=file, width=WIDTH, color_system=None), opening, tables)
    lines = "\n".join(line.rstrip() for line in file.getvalue().strip().splitlines())
    return f"```text\n{lines}\n```\n"


if __name__ == "__main__":
    main()
