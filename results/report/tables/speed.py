"""The tables of `perf`, from the rows of its JSON: speed and memory, who is how many times as fast, how cost grows."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.results.report.table import ARCHITECTURE, NO_VALUE, Column, Note, Table, Value, number_value

TIME = "seconds_per_token"
"""`cost` of the curves of time; that of the others is memory."""


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
    return Table(
        key="speed",
        title="Speed and memory",
        columns=[
            Column("model", "model", left=True),
            Column("parameters", "parameters"),
            Column("train_tokens_per_second", "train tokens/s"),
            Column("train_examples_per_second", "train examples/s"),
            Column("decode_problems_per_second", "decode/s"),
            Column("decode_alone_per_second", "decode/s alone"),
            Column("peak_memory_mb", "peak MB"),
            Column("flops_per_token", "FLOPs/token"),
            Column("flops_per_byte", "FLOPs/byte"),
            Column("share_of_peak", "share of peak %"),
        ],
        rows={
            row["architecture"]: {
                "model": Value(row["architecture"]),
                "parameters": number_value(row["parameters"]),
                "train_tokens_per_second": _with_quartiles(row, "train_tokens_per_second"),
                "train_examples_per_second": _with_quartiles(row, "train_examples_per_second"),
                "decode_problems_per_second": _with_quartiles(row, "decode_problems_per_second"),
                "decode_alone_per_second": _with_quartiles(row, "decode_alone_per_second"),
                "peak_memory_mb": number_value(row["peak_memory_mb"], decimals=1),
                "flops_per_token": number_value(row["flops_per_token"]),
                "flops_per_byte": number_value(row["flops_per_byte"], decimals=2),
                "share_of_peak": _with_quartiles(row, "share_of_peak", 100, decimals=1),
            }
            for row in measured
        },
        notes=list(map(Note, notes)),
    )


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
                line[f"ratio {name}"] = _with_quartiles(ratio, "ratio", decimals=2)
    if not rows:
        return None
    return Table(
        key="ratios",
        title="Side by side",
        columns=[
            *(Column(key, key, left=True) for key in ("ours", "beside", "of")),
            *(Column(f"ratio {name}", "times as fast" + (f", {name}" if name else "")) for name in measured),
        ],
        rows=rows,
        notes=[
            Note(
                "Above 1, the first is faster. The ratio is taken within each round; the figure is the median over "
                "rounds, with its quartiles."
            )
        ],
    )


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
    return Table(
        key="growth",
        title="How cost grows",
        columns=[
            ARCHITECTURE,
            Column("cost", "cost", left=True),
            Column("against", "against", left=True),
            Column("medians", "medians"),
            Column("slope", "slope"),
            Column("expected", "expected"),
            Column("exception", "", left=True),
        ],
        rows=rows,
        notes=[
            Note(
                "The slope is the power with which a cost grows. The expected one is that of the counted FLOPs a "
                f"token; of memory it is 1. An exception is more than {margin} above it. Not counted are elementwise "
                "work, steps one after another, and the update, whose cost in Muon grows with the cube of the width "
                "whatever the batch."
            )
        ],
    )


def slopes(curves: Sequence[dict[str, Any]], margin: float) -> Table:
    """One row an architecture, one column a cost and what it grows with: the slope beside the expected one."""
    rows: dict[str, dict[str, Value]] = {}
    columns = {}
    for curve in curves:
        key = f"{'time' if curve['cost'] == TIME else 'memory'}, {curve['against']}"
        columns[key] = Column(key, key)
        expected = round(curve["expected_slope"], 2) + 0.0  # never -0
        text = f"{curve['slope']:.2f} ({expected:.2f})" + (" !" if curve["exception"] else "")
        row = rows.setdefault(curve["architecture"], {"architecture": Value(curve["architecture"])})
        row[key] = Value(text, value=curve["slope"])
    return Table(
        key="slopes",
        title="How cost grows",
        columns=[ARCHITECTURE, *columns.values()],
        rows=rows,
        notes=[
            Note(
                "Figures are the power with which time a token and peak memory grow. In brackets stands that of the "
                f"counted FLOPs a token; of memory it is 1. ! marks a power more than {margin} above it."
            )
        ],
    )


def _with_quartiles(row: dict[str, Any], name: str, factor: float = 1, decimals: int = 0) -> Value:
    if row[name] is None:
        return Value(NO_VALUE)
    middle, low, high = (factor * value for value in (row[name], *row[f"{name}_quartiles"]))
    text = f"{middle:,.{decimals}f} [{low:,.{decimals}f}, {high:,.{decimals}f}]"
    return Value(text, value=middle, low=low, high=high)
