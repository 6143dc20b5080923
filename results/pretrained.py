"""What must stand beside the figures of models that others trained on texts nobody has listed."""

from collections.abc import Sequence
from pathlib import PurePath

from bench.results.comparable import SHOWN_HASH
from bench.results.records import Record

MAY_HAVE_MET = "may have met these problems before, those of the test split too: for it none of them is surely unseen"


def is_pretrained(record: Record) -> bool:
    """Whether a cell began with weights from elsewhere: its config says which."""
    return {"model", "sha256", "revision"} <= record.config.keys()


def about_pretrained(records: Sequence[Record]) -> list[str]:
    """A line for each architecture that began with weights from elsewhere: which, what was trained, what follows."""
    first = {record.architecture: record for record in reversed(records) if is_pretrained(record)}
    return [
        f"{name} is {_described(first[name])}; it {MAY_HAVE_MET}."
        for name in dict.fromkeys(record.architecture for record in records)
        if name in first
    ]


def _described(record: Record) -> str:
    """'the pretrained SmolLM2-135M (134,515,008 weights, licence apache-2.0, SHA-256 4eebf97792c6), all of it trained'."""
    config = record.config
    facts = [f"{config['weights']:,} weights", f"licence {config['licence'] or 'not stated'}"]
    facts.append(f"SHA-256 {config['sha256'][:SHOWN_HASH]}" if config["sha256"] else f"revision {config['revision']}")
    # A path says more of whoever ran it than of the model; a name on the Hub is all that there is.
    name = PurePath(config["model"]).name if config["sha256"] else config["model"]
    if record.steps == 0:
        trained = "asked as it comes, nothing trained"
    elif config["adapt"] == "lora":
        trained = f"{record.parameters:,} more trained beside them (LoRA of rank {config['rank']})"
    else:
        trained = "all of them trained"
    return f"the pretrained {name} ({', '.join(facts)}), {trained}"
