"""The connection to a Ray cluster: one that runs, or one of this machine that ends with it."""

import importlib
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from evopose.errors import ConfigError

logger = logging.getLogger(__name__)

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else Ray warns of what it will do one day
    "RAY_enable_metrics_collection": "0",
}
_TMP, _PREFIX = Path("/tmp"), "evopose-ray-"
"""Where a cluster's files lie: there as for Ray itself, since paths of sockets must be short."""
_OBJECT_STORE_BYTES = 80 * 2**20
"""The least that Ray takes: nothing of a search lies there."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A node of the cluster."""

    id: str
    address: str
    cpus: float
    gpus: float

    def room(self, threads: int, gpus: float) -> int:
        """Return how many workers of so many threads and GPUs it holds."""
        by_cpu = int(self.cpus // threads)
        return by_cpu if not gpus else min(by_cpu, int(self.gpus / gpus + 1e-6))


def require_ray() -> Any:
    """Return the module `ray`. Raises: ConfigError where it is missing."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)  # read when it is imported
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise ConfigError(
            "--executor ray needs Ray, which is not installed: pip install 'evopose[ray]'; "
            "without it, --executor process uses this machine"
        ) from error


class Connection:
    """A process has one at a time; `close` ends what it began, and no more."""

    def __init__(self, address: str | None, *, cpus: int, gpus: float) -> None:
        """`address`: `auto` or HOST:PORT of a cluster that runs; None: one of this machine, of so
        many CPUs and GPUs, is begun. Raises: ConfigError if there is none, or it does not fit."""
        self.ray = require_ray()
        self._scratch: Path | None = None
        self._ours = not self.ray.is_initialized()  # a program that uses Ray itself keeps its own
        if not self._ours:
            return
        if address not in (None, "auto"):
            _require_answer(str(address))
        _silence()
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if address is None:
            self._scratch = _scratch_folder()
            options |= {
                "num_cpus": cpus,
                "num_gpus": round(gpus),
                "include_dashboard": False,
                "object_store_memory": _OBJECT_STORE_BYTES,
                "_temp_dir": str(self._scratch),
            }
        try:
            with _own_sigterm():
                self.ray.init(address or "local", **options)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            self.close()
            raise ConfigError(_unreachable(address, error)) from error

    def machines(self) -> dict[str, Machine]:
        """Return the machines that are alive, by id."""
        return {
            node["NodeID"]: Machine(
                id=node["NodeID"],
                address=node["NodeManagerAddress"],
                cpus=node["Resources"].get("CPU", 0.0),
                gpus=node["Resources"].get("GPU", 0.0),
            )
            for node in self.ray.nodes()
            if node["Alive"]
        }

    def close(self) -> None:
        """Disconnect; a cluster that was begun here ends."""
        if self._ours:
            self.ray.shutdown()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)


def actor_environment(threads: int, more: dict[str, str]) -> dict[str, str]:
    """Return the variables of a worker: its threads, and where evopose's source lies if it is
    used from there: another machine that has it installed does not mind."""
    count = str(threads)
    found = {"OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count}
    source = Path(__file__).resolve().parents[3]
    if source.name != "site-packages":
        found["PYTHONPATH"] = os.pathsep.join([str(source), "${PYTHONPATH}"])
    return found | more


def spread(
    machines: dict[str, Machine], begun: list[str], threads: int, gpus: float
) -> list[Machine]:
    """Return a machine for each further worker there is room for, the emptiest first."""
    places = [
        (number, machine)
        for machine in machines.values()
        for number in range(begun.count(machine.id), machine.room(threads, gpus))
    ]
    return [machine for _, machine in sorted(places, key=lambda place: (place[0], place[1].id))]


def said(error: Exception) -> str:
    """Return what an error of Ray's says, without its ids and guesses."""
    lines = [line.strip() for line in str(error).splitlines()]
    ids = ("class_name:", "actor_id:", "pid:", "namespace:", "ip:", "The actor died unexpectedly")
    text = " ".join(line for line in lines if line and not line.startswith(ids))
    return text.partition(" Some common causes include")[0][:500]


def out_of_memory(error: Exception) -> bool:
    """Return whether Ray killed a worker because its machine had no memory left."""
    return "OutOfMemory" in type(error).__name__ or "running low on memory" in str(error)


def _silence() -> None:
    """Keep Ray from printing the cluster's news (a machine died) to the standard output, which it
    does whatever `log_to_driver` says: they are logged instead."""
    worker, name = importlib.import_module("ray._private.worker"), "print_to_stdstream"

    def log(data: dict[str, Any], ignore_prefix: bool = False) -> None:
        logger.debug("ray: %s", " ".join(data["lines"]))

    if hasattr(worker, name):
        setattr(worker, name, log)


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Give the process its handler of SIGTERM back, which `ray.init` replaces."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def _scratch_folder() -> Path:
    """Return a new folder for a cluster's files; those of processes that were killed go."""
    for old in _TMP.glob(f"{_PREFIX}*"):
        pid = old.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=_TMP))


def _require_answer(address: str) -> None:
    """Raise ConfigError if nobody answers at HOST:PORT; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    try:
        if "/" in host or not port.isdigit():
            raise ValueError("expected `auto` or HOST:PORT, as `ray start --head` prints it")
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError, OverflowError) as error:
        raise ConfigError(_unreachable(address, error)) from error


def _unreachable(address: str | None, error: Exception) -> str:
    reason = " ".join(str(error).split())[:300]
    if address is None:
        return f"Ray cannot begin a cluster on this machine: {reason}"
    return (
        f"no Ray cluster can be used at --address {address}: {reason}. Begin one with `ray start "
        "--head`, join this machine to one with `ray start --address=HOST:PORT`, or leave out "
        "--address to use this machine alone"
    )
