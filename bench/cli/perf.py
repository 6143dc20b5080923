"""`perf`: training and answering speed, memory, and the share of the machine's peak; or how cost grows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench.cli.parameters import Json, OwnPlugin

if TYPE_CHECKING:
    from bench.results.report.table import Table
    from bench.speed.perf import Show

JSON_FILE = "perf.json"
MOST_ROUNDS = 10_000


def perf_command(
    *,
    arch: str = "all",
    params: str | None = None,
    batch: str = "256",
    rounds: int = 10,
    threads: int | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    precision: Literal["32", "bf16", "16"] = "32",
    peers: bool = False,
    growth: bool = False,
    set: tuple[str, ...] = (),
    set_file: Path | None = None,
    json: Json = False,
    out: Path | None = None,
    plugin: OwnPlugin = None,
) -> None:
    """Measure how fast architectures train and answer, their memory, and their share of the machine's peak.

    A training step is 256 problems of 10 prompt and 6 answer symbols, none padded; an answer is 8 symbols. Settings are
    those that `run` takes on suite quick, but that all are trained by AdamW: models are compared, not optimisers. All
    are measured in turn, round after round, beside a matrix product.

    Parameters
    ----------
    arch
        Architectures, separated by commas, or 'all'.
    params
        Parameters of each model. Default: 100k.
    batch
        Examples a training step.
    rounds
        Rounds after warm-up; figures are medians over them.
    threads
        Processor threads. Default: all cores.
    device
        Where to measure.
    precision
        Of matrix products; weights stay in 32 bits.
    peers
        Measure beside them what a user would pick instead: models of transformers, x-transformers and torch.
    growth
        Measure instead how cost grows with width, depth, length and batch.
    set
        Settings for all that have them: --set layers=4,optimizer=muon.
    set_file
        TOML file with settings a table an architecture. --set wins over it, AdamW over an optimizer that stands there.
    out
        Folder for perf.json and the chart, as SVG and PNG.
    """
    import sys

    from bench import machine
    from bench.cli.output import console, print_json
    from bench.errors import UserError
    from bench.planning.amounts import parse_count
    from bench.planning.decide import decide, left_out_lines
    from bench.planning.options import RunOptions
    from bench.planning.settings import parse_assignments
    from bench.results.report.terminal import print_tables
    from bench.running.run_folder import make_folder
    from bench.speed.contenders import setting_of
    from bench.speed.growth import grow_all
    from bench.speed.perf import speeds

    examples = parse_count(batch, "--batch")
    if examples > 2**20:
        raise UserError(f"--batch {examples}: expected at most {2**20:,}")
    if not 1 <= rounds <= MOST_ROUNDS:
        raise UserError(f"--rounds {rounds}: expected 1 to {MOST_ROUNDS:,}")
    if peers and growth:
        raise UserError("--peers and --growth: expected one of them; growth is measured of our architectures alone")
    if "optimizer" not in parse_assignments(set):
        set = (*set, "optimizer=adamw")
    options = RunOptions(
        arch=arch,
        params=params,
        threads=threads,
        cells_at_once=1,
        device=device,
        precision=precision,
        set=set,
        set_file=set_file,
        plugin=plugin,
    )
    plan = decide(options, command="perf")
    for line in left_out_lines(options):
        print(f"bench: {line}", file=sys.stderr)
    setting = setting_of(plan, examples)
    if out is not None:
        make_folder(out)
    if trouble := machine.disturbed(plan.settings.threads):
        print(f"bench: {trouble}; times may be longer than on a machine of its own", file=sys.stderr)
    with _progress() as show:
        found = grow_all(plan, setting, rounds, show) if growth else speeds(plan, setting, rounds, peers, show)
    if out is not None:
        _write(found, growth, out)
    if json:
        print_json(found)
        return
    head = [
        f"{setting.device}, precision {setting.precision}, {setting.threads} threads; {setting.batch} examples a step, "
        f"{setting.spec.prompt_width} + {setting.spec.answer_width} symbols each; medians over {rounds} rounds"
    ]
    print_tables(console(), head, _tables(found, growth))


@contextmanager
def _progress() -> Iterator[Show]:
    """Says on standard error what is measured, in one line that goes away; nothing where that is no terminal."""
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status("") as status:
        yield lambda text: status.update(Text(text))


def _write(found: list[dict[str, Any]], growth: bool, directory: Path) -> None:
    from bench.results.files import write_json
    from bench.results.report.charts import speed as speed_charts
    from bench.results.report.html import write_picture

    write_json(directory / JSON_FILE, found)
    chart = speed_charts.growth(found) if growth else speed_charts.roofline(found)
    write_picture(chart, directory / chart.name)


def _tables(found: list[dict[str, Any]], growth: bool) -> list[Table]:
    from bench.results.report.tables import speed
    from bench.speed.contenders import DECODED_WIDTH
    from bench.speed.growth import MARGIN

    if growth:
        return [speed.growth(found, MARGIN)]
    ratios = speed.ratios({"": found})
    return [speed.speed(found, DECODED_WIDTH), *([ratios] if ratios else [])]
