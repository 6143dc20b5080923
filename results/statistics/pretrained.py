"""What must stand beside the figures of models that others trained on texts nobody has listed."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from bench.results.records.record import Record
from bench.results.statistics.comparable import SHOWN_HASH

MAY_HAVE_MET = (
    "Pretrained models may have met these problems before, those of the test split too: for them none is surely unseen."
)
WITHOUT_CACHE = "it writes without a cache, reading all again for each token: with one its logits are others"


def is_pretrained(record: Record) -> bool:
    """Whether a cell began with weights from elsewhere: its config says which."""
    return {"model", "sha256", "revision"} <= record.config.keys()


def about_pretrained(records: Sequence[Record]) -> list[str]:
    """A line for each architecture that began with weights from elsewhere, which, and what was trained; then what
    follows from that. Nothing where there is none.
    """
    first = {record.architecture: record for record in reversed(records) if is_pretrained(record)}
    names = [name for name in dict.fromkeys(record.architecture for record in records) if name in first]
    lines = []
    for name in names:
        lines.append(f"{name} is {_described(first[name])}.")
        lines += [f"{name}: {remark}." for remark in remarks(first[name].config)]
    return [*lines, *([MAY_HAVE_MET] if names else [])]


def remarks(config: Mapping[str, Any]) -> list[str]:
    """What is to be known of a pretrained model here, by its config in a plan or a record."""
    without_cache = [WITHOUT_CACHE] if config.get("cached") is False else []
    return [remark for remark in (config.get("remark", ""), *without_cache) if remark]


def _described(record: Record) -> str:
    """'SmolLM2-135M (134,515,008 weights, licence apache-2.0, SHA-256 4eebf97792c6), all of them trained'."""
    config = record.config
    facts = [f"{config['weights']:,} weights", f"licence {config['licence'] or 'not stated'}"]
    facts.append(f"SHA-256 {config['sha256'][:SHOWN_HASH]}" if config["sha256"] else f"revision {config['revision']}")
    # A path says more of whoever ran it than of the model; a name on the Hub is all that there is.
    name = PurePath(config["model"]).name if config["sha256"] else config["model"]
    if record.steps == 0:
        trained = "asked as it comes"
    elif config["adapt"] == "lora":
        trained = f"{record.parameters:,} more trained beside them (LoRA of rank {config['rank']})"
    else:
        trained = "all of them trained"
    return f"{name} ({', '.join(facts)}), {trained}"
