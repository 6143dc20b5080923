import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import altair as alt
import pandas as pd
import pytest
import vl_convert
from places import PUBLISHED

from bench.results.records.plan import Plan, write_plan
from bench.results.records.record import Record
from bench.results.records.run import open_run
from bench.results.report.charts import curves as module
from bench.results.report.charts.chart import Chart
from bench.results.report.charts.curves import curve_frame, performance_profile
from bench.results.report.charts.style import styles_of, theme
from bench.results.report.charts.trade_offs import pareto_front
from bench.results.report.contents import Contents, Part, contents
from bench.results.report.html import VEGA_LITE, charts
from bench.results.statistics.scores import Scores

NAMES = [
    *("tiers", "exact-match", "curve-examples", "curve-seconds", "curve-flops", "digits", "differences-by-problem"),
    *("accuracy-train-seconds", "accuracy-examples-per-second", "accuracy-decode-per-second", "errors"),
]


def _drawn(part: Part) -> dict[str, Chart]:
    styles = styles_of(list(part.scores.planned))
    return {chart.name: chart for chart in charts(part, styles)}


@pytest.fixture(scope="module")
def part(report: Contents) -> Part:
    [part] = report.parts
    return part


@pytest.fixture(scope="module")
def drawn(part: Part) -> dict[str, Chart]:
    return _drawn(part)


def test_every_chart_is_drawn_with_marks_and_explained(drawn: dict[str, Chart]) -> None:
    assert list(drawn) == NAMES
    for chart in drawn.values():
        picture = chart.specification() | {"config": theme(dark=True)}
        svg = vl_convert.vegalite_to_svg(picture, vl_version=VEGA_LITE)
        marks = svg.count('aria-roledescription="') - svg.count('aria-roledescription="axis"')
        assert marks > 2, chart.name
        assert "NaN" not in svg, chart.name
        assert chart.caption.endswith("."), chart.name


def test_an_architecture_has_one_colour_in_all_charts(drawn: dict[str, Chart]) -> None:
    found: dict[str, set[str]] = {}
    for chart in drawn.values():
        for scale in _scales(chart.specification(), "color"):
            if "lstm" in scale["domain"]:
                for name, colour in zip(scale["domain"], scale["range"], strict=True):
                    found.setdefault(name, set()).add(colour)
    assert found == {"lstm": {"#0072b2"}, "transformer": {"#d55e00"}}


def _scales(specification: Any, channel: str) -> list[dict[str, Any]]:
    """All scales with a domain of a channel, wherever it is encoded."""
    if isinstance(specification, list):
        return [scale for item in specification for scale in _scales(item, channel)]
    if not isinstance(specification, dict):
        return []
    here = specification.get(channel)
    scales = [here["scale"]] if isinstance(here, dict) and isinstance(here.get("scale", {}).get("range"), list) else []
    return scales + [scale for value in specification.values() for scale in _scales(value, channel)]


def test_no_two_of_eighteen_architectures_look_alike() -> None:
    found = styles_of([f"architecture {number}" for number in range(18)])
    marks = [(style.colour, style.shape) for style in found.values()]
    lines = [(style.colour, tuple(style.dash)) for style in found.values()]
    assert len(set(marks)) == len(set(lines)) == 18


def test_a_learning_curve_is_the_mean_of_the_seeds_with_the_lowest_and_the_highest() -> None:
    def curve(corrects: list[int], seconds: float) -> pd.DataFrame:
        rows = range(1, len(corrects) + 1)
        columns = {"examples": [100 * n for n in rows], "train_seconds": [seconds * n for n in rows]}
        return pd.DataFrame(columns | {"flops": [10 * n for n in rows], "correct": corrects, "total": 10})

    curves = {("lstm", 0): curve([1, 5, 6], 1.0), ("lstm", 1): curve([3, 9], 4.0), ("lstm", 4): curve([2, 7, 9], 2.0)}
    seeds = [SimpleNamespace(seed=seed) for _, seed in curves]
    scores: Any = SimpleNamespace(architectures=["lstm"], curves=curves, of=lambda name: seeds)
    frame = curve_frame(scores)
    assert len(frame) == 2  # seed 1 stopped there
    assert frame[["examples", "train_seconds", "flops"]].values.tolist() == [[100, 2, 10], [200, 4, 20]]
    assert frame[["mean", "low", "high"]].values.tolist() == [[20, 10, 30], [70, 50, 90]]
    assert list(frame["seeds"]) == ["10.0, 30.0, 20.0", "50.0, 90.0, 70.0"]


def test_learning_curves_say_what_a_point_is_not(drawn: dict[str, Chart]) -> None:
    for against in ("examples", "seconds", "flops"):
        assert "not what a smaller budget gives" in drawn[f"curve-{against}"].caption


def test_the_tier_chart_has_the_best_first_with_its_letters(part: Part, drawn: dict[str, Chart]) -> None:
    specification = drawn["tiers"].specification()
    [rows] = [rows for rows in specification["datasets"].values() if "low" in rows[0]]
    assert [(row["architecture"], row["tier"]) for row in rows] == [
        (name, part.tiers[name]) for name in ("transformer", "lstm")
    ]
    assert rows[0]["mean"] > rows[1]["mean"]


def test_the_heat_map_has_a_cell_for_every_pattern_and_operation(part: Part, drawn: dict[str, Chart]) -> None:
    specification = drawn["digits"].specification()
    [rows] = [rows for rows in specification["datasets"].values() if "digits" in rows[0]]
    assert {(row["architecture"], row["problems"]) for row in rows} == set(
        itertools.product(
            ("lstm", "transformer"), [f"{o} {a}x{b}" for o, a, b in itertools.product("+-*/", (1, 2), (1, 2))]
        )
    )
    cell = next(row for row in rows if row["architecture"] == "lstm" and row["problems"] == "* 2x1")
    assert (cell["operation"], cell["digits"]) == ("*", "2x1")
    assert cell["mean"] == 100 * part.scores.share_right("lstm", "operation x digits", "* 2x1").mean
    assert cell["problems asked"] == "20"


@pytest.mark.parametrize(
    ("costs", "shares", "less_is_better", "front"),
    [
        ([1, 2, 3], [50, 40, 60], True, [0, 2]),
        ([1, 2, 3], [50, 40, 60], False, [2]),
        ([1, 1, 2], [50, 60, 60], True, [1]),
        ([2, 2], [70, 70], True, [0, 1]),  # equal ones do not beat each other
    ],
)
def test_the_front_leaves_out_whom_another_beats(
    costs: list[float], shares: list[float], less_is_better: bool, front: list[int]
) -> None:
    assert pareto_front(costs, shares, less_is_better) == front


def test_times_of_a_shared_machine_are_marked_and_grey(
    tmp_path: Path,
    make_plan: Callable[..., Plan],
    write_cell: Callable[..., Record],
    predictions: pd.DataFrame,
) -> None:
    write_plan(tmp_path, make_plan(seeds=[0]))
    write_cell(tmp_path, predictions, architecture="lstm", seed=0, exclusive=False)
    write_cell(tmp_path, predictions, architecture="transformer", seed=0)
    [part] = contents([open_run(tmp_path)]).parts
    for name, chart in _drawn(part).items():
        timed = name == "curve-seconds" or name.startswith("accuracy-")
        assert ("~ lstm" in json.dumps(chart.specification())) == timed, name
        assert ("machine was shared" in chart.caption) == timed, name
        assert "~ transformer" not in json.dumps(chart.specification()), name


def test_a_pair_chart_appears_with_three_architectures(
    tmp_path: Path,
    make_plan: Callable[..., Plan],
    write_cell: Callable[..., Record],
    predictions: pd.DataFrame,
) -> None:
    write_plan(tmp_path, make_plan(architectures=["a", "b", "c"], seeds=[0]))
    for name, right in (("a", 1.0), ("b", 0.0), ("c", 0.5)):
        answers = predictions.assign(right=(predictions["item"] % 100 < 100 * right).astype(int))
        write_cell(tmp_path, answers, architecture=name, seed=0)
    [part] = contents([open_run(tmp_path)]).parts
    chart = _drawn(part)["differences"]
    [rows] = [rows for rows in chart.specification()["datasets"].values() if "pair" in rows[0]]
    assert [row["pair"] for row in rows] == ["a - b", "c - b", "a - c"]
    assert not any(row["significant"] for row in rows)  # one seed tells nothing
    filled = [layer for layer in chart.specification()["layer"] if "transform" in layer]
    assert filled == []  # a layer of no marks has no extent, and browsers say so


def test_a_model_that_was_not_trained_has_no_place_among_costs(
    tmp_path: Path, make_plan: Callable[..., Plan], write_cell: Callable[..., Record], predictions: pd.DataFrame
) -> None:
    write_plan(tmp_path, make_plan(architectures=["lstm", "gru"], seeds=[0]))
    for name, seconds in (("lstm", 2.5), ("gru", 0.0)):
        write_cell(tmp_path, predictions, architecture=name, seed=0, train_seconds=seconds)
    [part] = contents([open_run(tmp_path)]).parts
    costs = {
        row["architecture"]
        for rows in _drawn(part)["accuracy-train-seconds"].specification()["datasets"].values()
        for row in rows
    }
    assert costs == {"lstm"}


def test_a_chart_may_have_many_rows_and_has_a_name(drawn: dict[str, Chart]) -> None:
    many = replace(drawn["digits"], picture=alt.Chart(pd.DataFrame({"a": range(6_000)})).mark_point().encode(x="a:Q"))
    [rows] = many.specification()["datasets"].values()
    assert len(rows) == 6_000
    assert many.specification()["description"] == "Exact match by operation and digits"


def test_a_caption_names_the_intervals_that_are_drawn(
    tmp_path: Path, make_plan: Callable[..., Plan], write_cell: Callable[..., Record], predictions: pd.DataFrame
) -> None:
    write_plan(tmp_path, make_plan(architectures=["lstm", "gru"], seeds=[0, 1, 2]))
    for name, seed, right in (("lstm", 0, 3), ("lstm", 1, 4), ("lstm", 2, 5), ("gru", 0, 3)):
        answers = predictions.assign(right=(predictions["item"] % right == 0).astype(int))
        write_cell(tmp_path, answers, architecture=name, seed=seed)
    [part] = contents([open_run(tmp_path)]).parts
    caption = _drawn(part)["exact-match"].caption
    assert caption.startswith("Figures are means over 3 seeds with a 95 % t interval, in which the seed is the unit.")
    assert "95 % Wilson interval" in caption


def test_the_bound_is_as_tall_as_the_rows_of_its_own_part() -> None:
    [part] = contents([open_run(PUBLISHED / "forms" / "addition3")]).parts
    many = styles_of([*part.scores.planned, *map(str, range(20))])
    chart = next(iter(charts(part, many)))
    [tick] = [layer for layer in chart.specification()["layer"] if layer["mark"]["type"] == "tick"]
    assert tick["mark"]["height"] == 18


def test_a_run_without_a_finished_cell_has_no_charts(
    tmp_path: Path,
    make_plan: Callable[..., Plan],
    write_cell: Callable[..., Record],
    predictions: pd.DataFrame,
) -> None:
    write_plan(tmp_path, make_plan(seeds=[0]))
    write_cell(tmp_path, predictions, architecture="lstm", seed=0, status="failed", reason="no memory")
    [part] = contents([open_run(tmp_path)]).parts
    assert _drawn(part) == {}


def test_a_performance_profile_needs_five_suites_and_whoever_ran_on_all(
    make_plan: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ran(suite: str, **medians: float) -> Any:
        return SimpleNamespace(plan=make_plan(suite={"name": suite}), architectures=list(medians), medians=medians)

    def learning(scores: Any, name: str) -> Any:
        return SimpleNamespace(reached={(0.9, "examples"): scores.medians[name]})

    monkeypatch.setattr(module, "learning", learning)
    styles = styles_of(["lstm", "transformer", "gru"])
    groups: list[Scores] = [ran(f"s{n}", lstm=100.0 * n, transformer=200.0) for n in (1, 2, 3, 4)]
    assert performance_profile(groups, styles) is None
    chart = performance_profile([*groups, ran("s5", lstm=float("inf"), transformer=1.0, gru=1.0)], styles)
    assert chart is not None
    [rows] = chart.specification()["datasets"].values()
    assert {row["architecture"] for row in rows} == {"lstm", "transformer"}
    shares = {name: [(r["tau"], r["share"]) for r in rows if r["architecture"] == name] for name in chart.legend}
    assert shares["lstm"] == [(1.0, 40.0), (1.5, 60.0), (2.0, 80.0), (4.0, 80.0)]
    assert shares["transformer"] == [(1.0, 80.0), (1.5, 80.0), (2.0, 100.0), (4.0, 100.0)]
    # A suite that two groups hold counts once, and who needs no example to know a suite is in no ratio to others.
    again = [ran("s1", lstm=1e9, transformer=1.0, gru=1.0), ran("s5", lstm=1.0, transformer=0.0, gru=1.0)]
    chart = performance_profile([*groups, *again], styles)
    assert chart is not None
    assert chart.legend == ["lstm"]
    assert chart.caption.startswith("Share of the 5 suites")
