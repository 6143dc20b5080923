"""Jobs on a Ray cluster: each a Ray task, on a Ray of this machine alone or on a cluster that stands (`--engine ray`).

The process that runs the plan alone writes the folder of the run. A job writes into a folder of its worker, and its
files travel back as bytes when it ends, so that no disk need be shared. Ray does the scheduling; nothing of it is here.
Ray (Moritz et al., "Ray: A distributed framework for emerging AI applications", 2018) is imported when it is asked for.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from bench.errors import UserError, reason_of
from bench.locks import Held, holding
from bench.planning.options import ClusterOptions, RunOptions
from bench.planning.settings import field_names
from bench.results.files import write_bytes, write_json
from bench.results.records.plan import Plan
from bench.results.records.record import RECORD
from bench.running.cell import LOCK, Job, PlannedCell, run_cell
from bench.running.cluster_worker import BEAT_SECONDS, Mailbox, warm, work
from bench.running.estimate import schedule, training_seconds
from bench.running.workers import Ended

MOST_AT_ONCE = 10_000
"""Jobs that are handed to Ray at once, which lets those wait that have no place: a node that joins finds work."""
MOST_WARMED = 1000
"""Workers that are started while the run is planned."""
TRIES = 4
"""How often a job is begun at most: its worker or node may be lost meanwhile."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
STAYS_HERE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Where this variable is 0 when Ray is imported, it keeps to loopback addresses. Else, on Linux, it takes 127.0.0.1 for
this machine's address on the network, listens there, and does not find a cluster that is on loopback alone."""
CONNECT_SECONDS = 10.0
"""How long an address may take to answer."""
KILLED = -9
SCHEDULE = "schedule.json"
"""File of a run: how long it was thought to take on the workers that there were, and how long it took."""
LEFT_BEHIND = [
    ".git",
    ".venv",
    "runs",
    "tune",
    "reach",
    "dist",
    "build",
    "pictures",
    "docs",
    "tests",
    "results/published",
]
"""Of a checkout, what workers do not need."""


@dataclass(frozen=True)
class Demand:
    """What a job takes of its node."""

    cpus: int
    gpus: float = 0.0
    custom: dict[str, float] = field(default_factory=dict)

    def of_ray(self) -> dict[str, float]:
        """As Ray names it."""
        gpus = {"GPU": self.gpus} if self.gpus else {}
        return {"CPU": float(self.cpus), **gpus, **self.custom}


def demand_of(options: ClusterOptions, threads: int, nodes: list[dict[str, float]]) -> Demand:
    """What each job takes, given what the nodes have in all.

    Raises:
        UserError: no node has so much, or an option cannot be.
    """
    if not 0 <= options.gpus_per_cell <= 1024 or (options.gpus_per_cell > 1 and options.gpus_per_cell % 1):
        raise UserError(f"--gpus-per-cell {options.gpus_per_cell:g}: expected a share of one GPU, or whole ones")
    cpus = threads
    if options.exclusive:  # more than half of the largest node: no two fit on any
        most = max(node.get("CPU", 0.0) for node in nodes)
        cpus = max(threads, int(min(node["CPU"] for node in nodes if node.get("CPU", 0.0) > most / 2)))
    demand = Demand(cpus, options.gpus_per_cell, custom_resources(options.cell_resources))
    for name, amount in demand.of_ray().items():
        most = max((node.get(name, 0.0) for node in nodes), default=0.0)
        if amount > most:
            what = {"CPU": f"--threads {cpus}", "GPU": f"--gpus-per-cell {amount:g}"}
            asked = what.get(name, f"--cell-resources {name}={amount:g}")
            raise UserError(f"{asked}: no node of the cluster has more than {most:g} {name}; ask for less")
    wanted = demand.of_ray()
    if not any(all(node.get(name, 0.0) >= amount for name, amount in wanted.items()) for node in nodes):
        shown = ", ".join(f"{amount:g} {name}" for name, amount in wanted.items())
        raise UserError(f"no node of the cluster has {shown} at once; ask for less a cell")
    return demand


def custom_resources(text: str | None) -> dict[str, float]:
    """Resources of `--cell-resources`, such as {"a100": 1}. Raises UserError where it is no such JSON."""
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    numbers = isinstance(found, dict) and all(
        isinstance(amount, int | float) and not isinstance(amount, bool) and 0 < amount < float("inf")
        for amount in found.values()
    )
    if not numbers:
        raise UserError(f"""--cell-resources {text}: expected JSON such as '{{"a100": 1}}'""")
    for name, option in (("CPU", "--threads"), ("GPU", "--gpus-per-cell")):
        if name in found:
            raise UserError(f"--cell-resources {text}: ask for {name} with {option}")
    return {name: float(amount) for name, amount in found.items()}


def for_cluster(options: RunOptions, cluster: ClusterOptions) -> RunOptions:
    """Options of a run as they are meant on a cluster: one thread a cell, and a GPU where each cell is given one.

    Raises:
        UserError: Ray is not installed, or two options are at odds.
    """
    if cluster.engine == "inline":
        for name in field_names(ClusterOptions):
            if getattr(cluster, name) != getattr(ClusterOptions, name):
                raise UserError(f"--{name.replace('_', '-')}: is for --engine ray; add that, or leave it out")
        return options
    require_ray()
    if options.device == "cuda" and not cluster.gpus_per_cell:
        raise UserError("--device cuda: on a cluster say how many GPUs a cell takes, such as --gpus-per-cell 1")
    device: Literal["cpu", "cuda", "mps"] = "cuda" if cluster.gpus_per_cell else "cpu"
    if options.device not in ("auto", device):
        raise UserError(f"--device {options.device}: on a cluster cells compute on the CPU, or with --gpus-per-cell")
    return replace(options, device=device, threads=options.threads or 1)


@dataclass(frozen=True)
class Foreseen:
    """How long the cells of a run were thought to take, before they began."""

    workers: int
    seconds_of_a_cell: dict[str, float]
    """architecture -> of training, from a few steps on the machine that the run is started from"""
    cells: int
    seconds: float

    def write(self, directory: Path, took_seconds: float | None = None) -> None:
        """Write SCHEDULE; `took_seconds` is how long it then took."""
        write_json(directory / SCHEDULE, asdict(self) | {"took_seconds": took_seconds})


def foresee(plan: Plan, cells: Sequence[tuple[str, int]], workers: int) -> Foreseen:
    """How long these cells of a plan will take on so many workers."""
    seconds = {name: training_seconds(plan, name) for name in dict.fromkeys(name for name, _ in cells)}
    found = schedule([seconds[name] for name, _ in cells], workers)
    return Foreseen(workers, seconds, len(cells), found.seconds)


def require_ray() -> None:
    """Raises UserError where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise UserError("--engine ray: Ray is not installed here: pip install -c constraints.txt -e '.[cluster]'")


@contextmanager
def connected(options: ClusterOptions, threads: int) -> Iterator[Cluster]:
    """A context in which jobs of so many threads each can be started on a cluster: the one at `--address`, else at
    RAY_ADDRESS, else one of this machine alone, which is started and ended.

    Raises:
        UserError: there is no Ray, nobody answers at the address, another Ray does, or no node has what a job takes.
    """
    require_ray()
    address = options.address or os.environ.get("RAY_ADDRESS")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # else Ray would tell its makers how it is used
    if address is None or _host_of(address) in LOOPBACK:
        os.environ[STAYS_HERE] = "0"
    import ray

    # It prints what a node says as it dies, on standard output, where a document may be written.
    ray._private.worker.print_to_stdstream = lambda *_, **__: None
    answered = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    common: dict[str, Any] = {"log_to_driver": False, "configure_logging": True, "logging_level": "ERROR"}
    if ray.is_initialized():
        raise UserError("--engine ray: this process is connected to a Ray already; call ray.shutdown() first")
    try:
        if address is None:
            ray.init(address="local", include_dashboard=False, _node_ip_address="127.0.0.1", **common)
            if nodes_of(ray, "NodeManagerAddress")[0] not in LOOPBACK:
                ray.shutdown()
                said = f"set {STAYS_HERE}=0 before that"
                raise UserError(f"--engine ray: Ray was imported before, and would listen on the network: {said}")
        else:
            _refuse_silence(address)
            ray.init(address=address, runtime_env=_code(), **common)
    except ConnectionError as error:
        raise UserError(f"--address {address}: {reason_of(error)}; start one there: ray start --head") from None
    except RuntimeError as error:
        if "ersion mismatch" not in str(error):
            raise
        said = " ".join(str(error).split())
        raise UserError(f"--address {address}: {said}; install the same there and here") from None
    if threading.current_thread() is threading.main_thread():  # Ray answers SIGTERM otherwise
        for number, answer in answered.items():
            signal.signal(number, answer)
    try:
        yield Cluster(demand_of(options, threads, nodes_of(ray)), options.checkpoint_dir)
    finally:
        ray.shutdown()


def nodes_of(ray: Any, what: str = "Resources") -> list[Any]:
    """Of each node that is alive its resources, busy or not, or something else."""
    return [node[what] for node in ray.nodes() if node["Alive"]]


def _host_of(address: str) -> str:
    return address.removeprefix("ray://").rpartition(":")[0].strip("[]")


def _refuse_silence(address: str) -> None:
    """Raises UserError where nobody listens at HOST:PORT: Ray itself would wait for minutes."""
    if address in ("auto", "local"):
        return
    host, port = _host_of(address), address.rpartition(":")[2]
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise UserError(f"--address {address}: expected HOST:PORT, such as 10.0.0.1:6379, ray://HOST:10001, or auto")
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"--address {address}: nobody answers ({reason}); start it: ray start --head") from None


def _code() -> dict[str, Any] | None:
    """Ray's runtime environment that brings a checkout to the workers; None where the package is installed."""
    root = Path(__file__).resolve().parent.parent.parent
    if not (root / "pyproject.toml").is_file():
        return None
    return {"working_dir": str(root), "excludes": LEFT_BEHIND}


@dataclass
class _AtWork:
    """A job that was handed to Ray."""

    cell: PlannedCell
    job: Job
    tries: int = 1
    reference: Any = None
    begun: bool = False
    """it has a place, and does not wait for one"""


class Cluster:
    """Jobs as Ray tasks; see `Workers`. Made by `connected`."""

    def __init__(self, demand: Demand, kept_in: Path | None) -> None:
        """kept_in: where jobs keep checkpoints, a folder that all nodes share; None: each on its worker's own disk."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._ray: Any = ray
        self.demand, self._kept_in = demand, kept_in
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._mailbox: Any = ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=here).remote()
        wanted: dict[str, Any] = {"num_cpus": demand.cpus, "num_gpus": demand.gpus, "resources": demand.custom}
        self._task = ray.remote(work).options(max_retries=0, **wanted)
        warming = ray.remote(warm).options(**wanted)
        self._warmed = [warming.remote() for _ in range(min(self.places(), MOST_WARMED))]
        self._at_work: dict[int, _AtWork] = {}
        self._heard: deque[tuple[int, dict[str, Any] | Ended]] = deque()
        self._letters: Any = None
        self._count = 0

    def places(self) -> int:
        """How many jobs the nodes that are there have room for."""
        wanted = self.demand.of_ray()
        return sum(
            min(int(node.get(name, 0.0) // amount) for name, amount in wanted.items()) for node in nodes_of(self._ray)
        )

    def start(self, cell: PlannedCell, job: Job) -> int:
        self._count += 1
        self._at_work[self._count] = _AtWork(cell, job)
        self._submit(self._count)
        return self._count

    def wait(self) -> list[tuple[int, dict[str, Any] | Ended]]:
        while not self._heard:
            if self._letters is None:
                self._letters = self._mailbox.take.remote()
            references = {at_work.reference: key for key, at_work in self._at_work.items()}
            # With a limit, since an interrupt is answered between two waits.
            ready, _ = self._ray.wait([self._letters, *references], timeout=BEAT_SECONDS)
            for reference in ready:
                if reference is self._letters:
                    letters, self._letters = self._ray.get(reference), None
                    self._hear(letters)
                else:
                    self._hear(self._ray.get(self._mailbox.drain.remote()))  # what it said before it ended
                    self._settle(references[reference])
        heard, self._heard = list(self._heard), deque()
        return heard

    def end(self, key: int) -> None:
        at_work = self._at_work.pop(key)
        self._ray.cancel(at_work.reference, force=False)

    def close(self, grace_seconds: float = 0.0) -> None:
        if grace_seconds and self._at_work:
            with suppress(KeyboardInterrupt):  # a second Ctrl-C
                self._stop(grace_seconds)
        for key in list(self._at_work):
            self.end(key)
        self._heard.clear()

    def _stop(self, seconds: float) -> None:
        """Jobs that have begun finish a step, those about to end do; what they leave is written. No other begins."""
        self._ray.get(self._mailbox.stop.remote())
        self._hear(self._ray.get(self._mailbox.drain.remote()))
        for key in [key for key, at_work in self._at_work.items() if not at_work.begun]:
            self.end(key)
        deadline = time.monotonic() + seconds
        while self._at_work and (left := deadline - time.monotonic()) > 0:
            references = {at_work.reference: key for key, at_work in self._at_work.items()}
            ready, _ = self._ray.wait(list(references), timeout=left)
            for reference in ready:
                self._settle(references[reference], again=False)

    def _submit(self, key: int) -> None:
        at_work = self._at_work[key]
        at_work.begun, cell = False, at_work.cell
        message = {
            "plan": cell.plan.as_json(),
            "architecture": cell.architecture,
            "seed": cell.seed,
            "checkpoint_seconds": cell.checkpoint_seconds,
            "job": "cell" if at_work.job is run_cell else "trial",
            "place": hashlib.sha256(f"{platform.node()}:{cell.directory}".encode()).hexdigest()[:16],
            "kept_in": None if self._kept_in is None else str(self._kept_in),
        }
        at_work.reference = self._task.remote(key, at_work.tries, json.dumps(message), self._mailbox)

    def _hear(self, letters: list[tuple[int, int, str]]) -> None:
        for key, number, text in letters:
            at_work = self._at_work.get(key)
            if at_work is not None and number == at_work.tries:  # not of an earlier try
                self._heard.append((key, event := json.loads(text)))
                at_work.begun |= event["kind"] == "started"

    def _settle(self, key: int, again: bool = True) -> None:
        """A task has ended: its files are written, or it is tried again where its worker was lost."""
        at_work = self._at_work[key]
        try:
            outcome = self._ray.get(at_work.reference)
        except self._ray.exceptions.OutOfMemoryError:
            self._finish(key, Ended(KILLED))
        except (self._ray.exceptions.WorkerCrashedError, self._ray.exceptions.NodeDiedError) as error:
            self._lost(key, reason_of(error), again)
        except self._ray.exceptions.TaskCancelledError:
            self._finish(key, Ended(None, "it was cancelled by another program"))
        except self._ray.exceptions.RayTaskError as error:  # the job itself tells of its failures
            self._finish(key, Ended(1, f"its worker failed: {reason_of(error.cause)}"))
        except self._ray.exceptions.RayError as error:
            self._lost(key, reason_of(error), again)
        else:
            if refusal := outcome.get("refusal"):
                raise UserError(refusal)
            if outcome["stopped"]:
                del self._at_work[key]
                return
            keep(at_work.cell.directory, outcome["files"])
            for event in outcome["last"]:
                self._heard.append((key, json.loads(event)))
            self._finish(key, Ended(outcome["exit_code"]))

    def _lost(self, key: int, reason: str, again: bool) -> None:
        at_work = self._at_work[key]
        said = reason.split(". ")[0].rstrip(".")
        if not again or at_work.tries == TRIES:
            self._finish(key, Ended(None, f"its worker was lost {at_work.tries} times: {said}"))
            return
        text = f"its worker was lost; tried again, {at_work.tries} of {TRIES - 1} ({said})"
        self._heard.append((key, {"kind": "warning", "text": text}))
        at_work.tries += 1
        self._submit(key)

    def _finish(self, key: int, ended: Ended) -> None:
        del self._at_work[key]
        self._heard.append((key, ended))


def keep(directory: Path, files: dict[str, bytes]) -> None:
    """Write the files of a job into the folder of its cell, the record last; one that is done already is let alone.

    Raises:
        ValueError: a file would lie elsewhere.
    """
    if not files:
        return
    for name in files:
        path = Path(name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"{name}: is no file of a cell")
    with suppress(Held):
        directory.mkdir(parents=True, exist_ok=True)
        with holding(directory / LOCK, 1.0):
            if not (directory / RECORD).exists():
                for name in sorted(files, key=lambda name: name == RECORD):
                    write_bytes(directory / name, files[name])
