"""`list`: what there is."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from bench.cli.parameters import Json, OwnPlugin

if TYPE_CHECKING:
    from bench.results.records.record import Record

Kind = Literal["architectures", "suites", "runs"]


def list_command(kind: Kind | None = None, /, *, json: Json = False, plugin: OwnPlugin = None) -> None:
    """What there is: architectures, suites, or the runs under ./runs; all three if none is named.

    Parameters
    ----------
    kind
        What to list.
    """
    from bench.cli.output import print_json, print_listing

    listings = {name: lister(plugin) for name, lister in _LISTERS.items() if kind in (None, name)}
    if json:
        print_json(listings[kind] if kind else listings)
        return
    for name, rows in listings.items():
        shown, common = _without_common_presets(rows)
        print_listing(name.capitalize(), shown, empty=f"no {name} here")
        if common:
            print(f"tuned for: {common} (elsewhere the nearest of them is taken, and tables mark it)\n")


def _architectures(plugin: str | None) -> list[dict[str, Any]]:
    from bench import architectures
    from bench.errors import user_errors
    from bench.planning.settings import presets
    from bench.plugins import load_plugins

    load_plugins(plugin)
    with user_errors():
        known = architectures.all_architectures()
    tuned = {name: [file.tuned.text for file in presets() if file.tuned and name in file.tables] for name in known}
    return [row | {"presets": "; ".join(tuned[row["name"]])} for row in architectures.described()]


def _without_common_presets(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """The rows without the presets that most of them have, which are said once, and these; '' where there are none."""
    each = [row["presets"] for row in rows if row.get("presets")]
    common = max(each, key=each.count, default="")
    if each.count(common) < 2:
        return rows, ""
    others = [{**row, "presets": "" if row["presets"] == common else row["presets"] or "none"} for row in rows]
    if any(row["presets"] for row in others):
        return [{**row, "presets": row["presets"] or "as below"} for row in others], common
    return [{key: value for key, value in row.items() if key != "presets"} for row in rows], common


def _suites(_: str | None) -> list[dict[str, Any]]:
    from bench.datasets.suites import described

    return described()


def _runs(_: str | None) -> list[dict[str, Any]]:
    from bench.results.files import BadFile
    from bench.results.records.plan import PLAN
    from bench.results.records.run import open_run

    rows: list[dict[str, Any]] = []
    for path in sorted(Path("runs").glob(f"*/{PLAN}")):
        try:
            run = open_run(path.parent)
        except BadFile as error:
            rows.append({"run": str(path.parent), "state": f"unusable: {error}"})
            continue
        cells = len(run.records) + len(run.missing) + len(run.broken)
        broken = "".join(f"; broken: {error}" for error in run.broken.values())
        rows.append(
            {
                "run": str(run.directory),
                "state": f"{sum(record.done for record in run.records)} of {cells} cells done{broken}",
                "exact match %": _headline(run.records),
                "suite": run.plan.suite.name,
                "architectures": ",".join(run.plan.architectures),
                "seeds": len(run.plan.seeds),
                "budget": run.plan.budget,
            }
        )
    return rows


def _headline(records: list[Record]) -> str:
    """The mean over seeds of each architecture that has a finished one, best first: `transformer 77.2, lstm 63.3`. A
    seed that diverged has none right, as in the tables.
    """
    shares: dict[str, list[float]] = {}
    for record in records:
        if record.done or record.status == "diverged":
            shares.setdefault(record.architecture, []).append(100 * (record.exact_match or 0.0))
    finished = {record.architecture for record in records if record.done}
    best_first = sorted(((fmean(shares[name]), name) for name in finished), reverse=True)
    return ", ".join(f"{name} {mean:.1f}" for mean, name in best_first)


_LISTERS = {"architectures": _architectures, "suites": _suites, "runs": _runs}
