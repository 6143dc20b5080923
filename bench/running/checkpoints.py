"""Checkpoints: the state of a training on disk, from which it continues to the same result, bit for bit.

A checkpoint is one safetensors file. It holds tensors (weights and the state of the optimisers) and facts (JSON: the
amounts used, the place in the stream, the curve so far). The newest two are kept, in case one of them is damaged.
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

from bench.results.files import BadFile, write_bytes

PATTERN = "checkpoint-*.safetensors"
KEPT = 2
EVERY_SECONDS = 20.0
"""Seconds of training between two checkpoints, where the command does not say otherwise..."""
MOST_SHARE = 0.02
"""... and writing them takes at most this share of the time: large models are saved more seldom."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training between two steps."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def write_checkpoint(directory: Path, cell: str, step: int, checkpoint: Checkpoint) -> None:
    """Write the checkpoint of a step as a whole, then delete all others but the one before it. A checkpoint of a later
    step could not be used, or training would have continued from it.

    `cell` is a digest of all settings that decide what the cell learns.
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
    """The tensors on the CPU, each in memory of its own, as safetensors requires; tied weights are copied."""
    found, taken = {}, set()
    for name, tensor in tensors.items():
        kept = tensor.detach().cpu().contiguous()
        place = kept.untyped_storage().data_ptr()
        found[name] = kept.clone() if place in taken else kept
        taken.add(place)
    return found


def read_checkpoint(path: Path, cell: str) -> Checkpoint:
    """Read a checkpoint. Raises BadFile where the file was damaged or changed, or belongs to another cell."""
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
    """The newest checkpoint that can be used, None where there is none, and what is wrong with newer ones."""
    wrong: list[BadFile] = []
    for path in sorted(directory.glob(PATTERN), reverse=True):
        try:
            return read_checkpoint(path, cell), wrong
        except BadFile as error:
            wrong.append(error)
    return None, wrong


def delete_checkpoints(directory: Path) -> None:
    """Delete all checkpoints of a cell, once its training has ended."""
    for path in directory.glob(PATTERN):
        path.unlink()


def _digest(tensors: dict[str, Tensor], facts: str) -> str:
    """SHA-256 in hex over the facts, and over the name, type, shape and bytes of each tensor."""
    digest = hashlib.sha256(facts.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
