"""The tables of `perf`, from the rows of its JSON: speed and memory, who is how many times as fast, how cost grows."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.results.report.table import NO_VALUE, Column, Note, Table, Value, figures, number_value, words

TIME = "seconds_per_token"
"""`cost` of the curves of time; that of the others is memory."""
FIGURES = {
    "parameters": ("parameters", 0),
    "train_tokens_per_second": ("train tokens/s", 0),
    "train_examples_per_second": ("train examples/s", 0),
    "decode_problems_per_second": ("decode/s", 0),
    "decode_alone_per_second": ("decode/s alone", 0),
    "peak_memory_mb": ("peak MB", 1),
    "flops_per_token": ("FLOPs/token", 0),
    "flops_per_byte": ("FLOPs/byte", 2),
    "share_of_peak": ("share of peak %", 1),
}
"""Figure of a row -> label, decimals."""
RATIO_NOTE = Note(
    "Above 1, the first is faster. The ratio is taken within each round; the figure is the median over rounds, with "
    "its quartiles."
)


def speed(rows: Sequence[dict[str, Any]], decoded_symbols: int) -> Table:
    """One row a model. `decoded_symbols`: of each answer."""
    measured = [row for row in rows if not row["left_out"]]
    notes = [f"{row['architecture']} is left out: {row['left_out']}." for row in rows if row["left_out"]]
    peak, copied = measured[0]["probe_flops_per_second"], measured[0]["copy_bytes_per_second"]
    notes += [
        "Quartiles over rounds stand in brackets. A token is any of the symbols of an example. decode/s counts the "
        f"problems answered, many at once and one at a time, in {decoded_symbols} symbols each.",
        "FLOPs count matrix products only, forward and backward. Bytes are an estimate, as if every operator read its "
        "inputs from memory and wrote its outputs there. The peak is that of a large matrix product beside each "
        f"measurement, {peak / 1e9:,.1f} GFLOP/s (median); a copy moved {copied / 1e9:,.1f} GB/s.",
    ]
    if any(row["counterpart"] for row in rows):
        optimizers = sorted({row["optimizer"] for row in rows if not row["counterpart"]})
        notes.append(
            "The models of other libraries are trained by plain fused AdamW, as a user would, ours by "
            f"{', '.join(optimizers)}, with clipping. GPT-2 and T5 alone are asked for answers, by `generate` with its "
            "cache."
        )
    lines = {
        row["architecture"]: {"model": Value(row["architecture"])}
        | {key: _figure(row, key, decimals) for key, (_, decimals) in FIGURES.items()}
        for row in measured
    }
    columns = [*words("model"), *(Column(key, title) for key, (title, _) in FIGURES.items())]
    return Table(key="speed", title="Speed and memory", columns=columns, rows=lines, notes=list(map(Note, notes)))


def ratios(measured: Mapping[str, Sequence[dict[str, Any]]]) -> Table | None:
    """How many times as fast one is as another, a column a measurement by its name, which is '' where there is one
    alone; None where nothing stands side by side.
    """
    rows: dict[str, dict[str, Value]] = {}
    for name, of_measurement in measured.items():
        for row in of_measurement:
            for ratio in row["ratios"]:
                about = {"ours": row["architecture"], "beside": ratio["to"], "of": ratio["of"]}
                line = rows.setdefault(", ".join(about.values()), {key: Value(text) for key, text in about.items()})
                line[f"ratio {name}"] = _figure(ratio, "ratio", decimals=2)
    if not rows:
        return None
    columns = [Column(f"ratio {name}", "times as fast" + (f", {name}" if name else "")) for name in measured]
    columns = [*words("ours", "beside", "of"), *columns]
    return Table(key="ratios", title="Side by side", columns=columns, rows=rows, notes=[RATIO_NOTE])


def growth(curves: Sequence[dict[str, Any]], margin: float) -> Table:
    """One row a curve. `margin`: a slope so much above the expected one is an exception."""
    rows = {}
    for curve in curves:
        factor, decimals = (1e6, 2) if curve["cost"] == TIME else (1, 1)
        costs = [f"{factor * cost:,.{decimals}f}" for cost in curve["medians"]]
        values = [f"{value:,}" for value in curve["values"]]
        rows[f"{curve['architecture']}, {curve['cost']}, {curve['against']}"] = {
            "architecture": Value(curve["architecture"]),
            "cost": Value("us a token" if curve["cost"] == TIME else "peak MB"),
            "against": Value(f"{curve['against']} {', '.join(values)}"),
            "medians": Value(", ".join(costs) or NO_VALUE),
            "slope": number_value(curve["slope"], decimals=2),
            "expected": number_value(curve["expected_slope"], decimals=2),
            "exception": Value("exception" if curve["exception"] else ""),
        }
    columns = [*words("architecture", "cost", "against"), *figures("medians", "slope", "expected")]
    columns.append(Column("exception", "", left=True))
    explained = (
        "The slope is the power with which a cost grows. The expected one is that of the counted FLOPs a token; of "
        f"memory it is 1. An exception is more than {margin} above it. Not counted are elementwise work, steps one "
        "after another, and the update, whose cost in Muon grows with the cube of the width whatever the batch."
    )
    return Table(key="growth", title="How cost grows", columns=columns, rows=rows, notes=[Note(explained)])


def slopes(curves: Sequence[dict[str, Any]], margin: float) -> Table:
    """One row an architecture, one column a cost and what it grows with: the slope beside the expected one."""
    rows: dict[str, dict[str, Value]] = {}
    for curve in curves:
        column = f"{'time' if curve['cost'] == TIME else 'memory'}, {curve['against']}"
        expected = round(curve["expected_slope"], 2) + 0.0  # never -0
        text = f"{curve['slope']:.2f} ({expected:.2f})" + (" !" if curve["exception"] else "")
        row = rows.setdefault(curve["architecture"], {"architecture": Value(curve["architecture"])})
        row[column] = Value(text, value=curve["slope"])
    columns = [*words("architecture"), *figures(*dict.fromkeys(key for row in rows.values() for key in list(row)[1:]))]
    explained = (
        "Figures are the power with which time a token and peak memory grow. In brackets stands that of the counted "
        f"FLOPs a token; of memory it is 1. ! marks a power more than {margin} above it."
    )
    return Table(key="slopes", title="How cost grows", columns=columns, rows=rows, notes=[Note(explained)])


def _figure(row: dict[str, Any], name: str, decimals: int = 0) -> Value:
    """A figure of a row, with its quartiles where it has them; a share in percent."""
    factor = 100 if name == "share_of_peak" else 1
    if row[name] is None or f"{name}_quartiles" not in row:
        return number_value(row[name], decimals)
    middle, low, high = (factor * value for value in (row[name], *row[f"{name}_quartiles"]))
    text = f"{middle:,.{decimals}f} [{low:,.{decimals}f}, {high:,.{decimals}f}]"
    return Value(text, value=middle, low=low, high=high)
