"""A program in a process of its own."""

import subprocess
import sys
from pathlib import Path


def printed(program: str) -> float:
    """The number that it prints."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    return float(done.stdout)
