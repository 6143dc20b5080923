"""What a cell needs to go on from a step, bit for bit, kept on disk while it trains.

A checkpoint is one safetensors file: tensors (weights, what the optimisers remember) and facts (JSON: how far it is,
its place in the stream, the curve so far). The newest two are kept, so that one is whole whatever happens to the other.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from bench.results.records.files import BadFile, write_bytes

PATTERN = "checkpoint-*.safetensors"
KEPT = 2
EVERY_SECONDS = 20.0
"""Of training, between two checkpoints, where the command does not say otherwise..."""
MOST_SHARE = 0.02
"""... and they take no more than this share of it: large models are kept more seldom."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of a cell between two steps."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def write_checkpoint(directory: Path, cell: str, step: int, checkpoint: Checkpoint) -> None:
    """Writes the checkpoint of a step, whole or not at all, then deletes all but this and the one before it: any of a
    later step was of no use, or training would have gone on from it.

    `cell` is a digest of all that decides what the cell learns.
    """
    tensors = ready_to_save(checkpoint.tensors)
    facts = json.dumps(checkpoint.facts | {"cell": cell}, allow_nan=False)
    data = save(tensors, {"facts": facts, "sha256": _digest(tensors, facts)})
    path = directory / PATTERN.replace("*", f"{step:012d}")
    write_bytes(path, data)
    there = sorted(directory.glob(PATTERN))
    last = there.index(path) + 1
    for other in (*there[: max(last - KEPT, 0)], *there[last:]):
        other.unlink()


def ready_to_save(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same as safetensors writes them: on the CPU, and each in memory of its own, tied weights too."""
    found, taken = {}, set()
    for name, tensor in tensors.items():
        kept = tensor.detach().cpu().contiguous()
        place = kept.untyped_storage().data_ptr()
        found[name] = kept.clone() if place in taken else kept
        taken.add(place)
    return found


def read_checkpoint(path: Path, cell: str) -> Checkpoint:
    """Raises BadFile where the file is not, to the bit, what was written, or is another cell's."""
    remedy = "delete it: its cell goes on from the one before, or from the start"
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            names = file.keys()
            tensors = {name: file.get_tensor(name).clone() for name in names}  # else the file stays in use
    except OSError as error:
        raise BadFile(path, f"cannot be read ({error.strerror or error})", remedy) from None
    except (SafetensorError, ValueError) as error:
        raise BadFile(path, f"is not a whole safetensors file ({error})", remedy) from None
    if about.keys() != {"facts", "sha256"} or _digest(tensors, about["facts"]) != about["sha256"]:
        raise BadFile(path, "was changed after it was written (its checksum does not match)", remedy)
    facts = json.loads(about["facts"])
    if facts.pop("cell") != cell:
        raise BadFile(path, "is of another cell, or of one with other settings", remedy)
    return Checkpoint(tensors, facts)


def newest_checkpoint(directory: Path, cell: str) -> tuple[Checkpoint | None, list[BadFile]]:
    """The newest checkpoint that is whole, None where there is none, and what is wrong with newer ones."""
    wrong: list[BadFile] = []
    for path in sorted(directory.glob(PATTERN), reverse=True):
        try:
            return read_checkpoint(path, cell), wrong
        except BadFile as error:
            wrong.append(error)
    return None, wrong


def delete_checkpoints(directory: Path) -> None:
    """For when a cell has learnt all that it will."""
    for path in directory.glob(PATTERN):
        path.unlink()


def _digest(tensors: dict[str, Tensor], facts: str) -> str:
    """SHA-256 in hex over the facts, and over the name, type, shape and bytes of each tensor."""
    digest = hashlib.sha256(facts.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
