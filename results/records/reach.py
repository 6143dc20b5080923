"""The folder of a search by `reach`: reach.json, what all of it shares, and a run for each architecture and digits."""

from pathlib import Path
from typing import Any

from bench.results.files import read_checked_json, verify_checksum, write_checked_json

REACH = "reach.json"


def write_reach(directory: Path, shared: dict[str, Any]) -> None:
    """Write reach.json: operation, workings, budget, parameters and seeds of all trials."""
    write_checked_json(directory / REACH, shared)


def read_reach(directory: Path) -> dict[str, Any]:
    """What `write_reach` wrote. Raises BadFile where it is not that."""
    remedy = "restore it, or give another folder"
    return verify_checksum(directory / REACH, read_checked_json(directory / REACH, remedy), remedy)


def run_directory(directory: Path, architecture: str, digits: int) -> Path:
    """Where the run of an architecture that is asked about so many digits is."""
    return directory / architecture / str(digits)
