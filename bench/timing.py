"""Wall seconds of a job, with the work that it left to a GPU, and quartiles of many timings."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has done all its work: it computes while the program goes on."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def timed(job: Callable[[], Any], device: torch.device) -> float:
    """Wall seconds of a job, with the work that it gave a GPU."""
    synchronize(device)
    started = time.perf_counter()
    job()
    synchronize(device)
    return time.perf_counter() - started


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """First quartile, median and third quartile."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return float(low), float(middle), float(high)
