"""The charts of one group of runs, as Vega-Lite pictures made with Altair, from figures of `Scores` alone."""

from collections.abc import Sequence

from bench.results.report.charts.accuracy import error_anatomy, exact_match, heat_maps
from bench.results.report.charts.chart import Chart
from bench.results.report.charts.curves import learning_curves
from bench.results.report.charts.differences import differences
from bench.results.report.charts.style import Styles
from bench.results.report.charts.trade_offs import trade_offs
from bench.results.report.tables.errors import ErrorShares
from bench.results.statistics.comparison import Comparison
from bench.results.statistics.scores import Scores


def charts(scores: Scores, comparisons: Sequence[Comparison], errors: ErrorShares, styles: Styles) -> list[Chart]:
    """The charts of one group of runs, in order; those that have nothing to show are left out.

    `comparisons` as of `conclusion.all_pairs`, `errors` as of `tables.errors.error_shares`; `styles` must have every
    architecture.
    """
    if not scores.records:
        return []
    found = [
        exact_match(scores, styles),
        *learning_curves(scores, styles),
        heat_maps(scores),
        *differences(scores, comparisons, styles),
        *trade_offs(scores, styles),
        error_anatomy(scores, errors),
    ]
    return [chart for chart in found if chart is not None]
