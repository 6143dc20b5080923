"""Machine and software: their description for the records, the peak of memory, and other cells at work beside one."""

import ctypes
import os
import platform
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

RECORDED = ("torch", "numpy", "pandas", "scipy", "safetensors")
RECORDED_IF_USED = ("transformers", "tokenizers", "peft")
"""Packages that affect results where they are imported."""
MADV_POPULATE_READ = 22
"""Advice of `madvise`, from Linux 5.14 on."""
LOAD_OF_NOTHING = 0.5
"""A load average that a machine may have on which nothing else computes."""


def cores() -> int:
    """Processor cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def has_screen() -> bool:
    """Whether windows can be shown: on Linux a program of the terminal would take the place of one."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def disturbed(threads: int) -> str:
    """What takes time from so many threads: too few cores, or other programs; '' where nothing is known to."""
    there = cores()
    if threads > there:
        return f"{threads} threads share {there} core{'' if there == 1 else 's'}"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0  # Windows has none
    if load > there - threads + LOAD_OF_NOTHING:
        return f"the machine is busy (load average {load:.1f}, and {threads} of {there} cores are wanted)"
    return ""


def versions() -> dict[str, str]:
    """Versions of this project, Python and the packages that affect results."""
    from bench import __version__

    found = {"arithbench": __version__, "python": platform.python_version()}
    for name in (*RECORDED, *(name for name in RECORDED_IF_USED if name in sys.modules)):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def description() -> dict[str, Any]:
    """Processor, cores, memory and system."""
    processor, memory = _processor(), memory_bytes()
    model = [processor[name] for name in ("cpu family", "model", "stepping") if name in processor]
    return {
        "processor": processor.get("model name") or platform.processor() or platform.machine(),
        # Family, model and stepping, such as '25/1/1', say more than the name; '' where the system does not say.
        "processor_model": "/".join(model),
        "cores": cores(),
        "memory_gb": None if memory is None else round(memory / 1e9, 1),
        "system": platform.system(),
        "architecture": platform.machine(),
    }


class CellsBeside:
    """A context in which a cell trains; it detects whether another cell of this user trained at the same time.

    All cells of a machine share one file in the folder for temporary files. Each holds a shared lock on it and appends
    a byte to it. A cell that starts later finds the lock held; one that started sooner finds another's byte.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._file: int | None = None
        self._lock_was_held = False
        self._size = 0

    def __enter__(self) -> Self:
        try:
            import fcntl
        except ImportError:  # Windows
            return self
        path = self._path or Path(tempfile.gettempdir()) / f"arithbench-cells-{os.getuid()}"
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._size = os.fstat(self._file).st_size + 1  # before the lock: of two that start at once, both see it
            with suppress(BlockingIOError):
                self._lock_was_held = True
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._lock_was_held = False
            fcntl.flock(self._file, fcntl.LOCK_SH)
            os.write(self._file, b".")
        except OSError:  # no such folder, or a file system without locks
            self.__exit__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def seen(self) -> bool | None:
        """Whether another cell trained meanwhile; None where the system cannot tell."""
        if self._file is None:
            return None
        return self._lock_was_held or os.fstat(self._file).st_size > self._size


@cache  # the code that runs is the one that lay there at the start
def git_state() -> dict[str, Any]:
    """Commit of the checkout that this code runs from, and whether it has uncommitted changes; empty without one."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return {}
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git(root, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return {}


class PeakMemory:
    """The peak memory of this process, or of a GPU, above what the process had when this object was made."""

    def __init__(self, device: str) -> None:
        self._on_gpu = device.startswith("cuda")
        if not self._on_gpu:  # whose libraries are large, and no part of its memory
            _map_code()
        forget_peak()
        self._before_mb = _linux_mb("VmRSS") or peak_resident_mb()  # elsewhere than on Linux the peak so far

    def mb(self) -> float | None:
        """The peak so far, in MB (10^6 bytes); None where the system does not say."""
        if self._on_gpu:
            import torch

            return torch.cuda.max_memory_allocated() / 1e6
        peak_mb = peak_resident_mb()
        return None if peak_mb is None or self._before_mb is None else max(0.0, peak_mb - self._before_mb)


def _map_code() -> None:
    """Count all code that this process has loaded as its memory from now on, where the system can (Linux).

    Else a page of it counts from when it is first used: 18 MB of torch's in the first steps of a model that takes 4 MB,
    and 27 MB where the process was forked from one that had loaded it.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    with suppress(OSError):
        for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
            addresses, rights, *_ = line.split()
            if rights.startswith("r-x"):
                start, end = (int(address, 16) for address in addresses.split("-"))
                libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), MADV_POPULATE_READ)


def forget_peak() -> None:
    """Reset `peak_resident_mb` to the memory of now, where the system can (Linux)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def peak_resident_mb() -> float | None:
    """Largest memory of this process so far, in MB (10^6 bytes); None where the system does not say."""
    # On Linux not from `getrusage`: that starts at the peak of the process that this one was started from.
    peak_mb = _linux_mb("VmHWM")
    if peak_mb is not None:
        return peak_mb
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _linux_mb(name: str) -> float | None:
    """A figure of /proc/self/status, in MB (10^6 bytes); None where there is none."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(f"{name}:")), None)


def memory_bytes() -> int | None:
    """Memory of the machine; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):  # Windows has no sysconf
        return None


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=10, check=True)
    return done.stdout.strip()


def _processor() -> dict[str, str]:
    """What Linux says of the processor, by the names of /proc/cpuinfo; empty elsewhere."""
    try:
        lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in lines}
