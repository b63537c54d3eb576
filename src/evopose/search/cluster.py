"""What a search may use of a Ray cluster: how many workers, with which device and precision."""

import socket
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from evopose.errors import ConfigError
from evopose.evolution.executors.ray import RayExecutor
from evopose.evolution.executors.ray_cluster import Connection, Machine, require_ray
from evopose.evolution.jobs import Event, Heartbeat, Job
from evopose.models.devices import cpu_count
from evopose.search.versions import require_same_versions, versions
from evopose.training.compute import Compute, resolve_compute


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The Ray cluster that a search uses."""

    address: str | None
    """`auto` or HOST:PORT; None: one of this machine, for the search alone."""
    limit: int | None
    """At most so many workers; None: as many as there is room for."""
    gpus: float
    """GPUs of a worker, a fraction where several share one."""
    shared: str | None
    """The folder or URL that all machines see; None: they see this machine's folders."""
    device: str
    """A worker's device, for a person."""


def choose_cluster(
    device: str,
    *,
    precision: str,
    count: int | None = None,
    threads: int | None = None,
    address: str | None = None,
    gpus: float | None = None,
    shared: str | None = None,
) -> tuple[Compute, int, Cluster]:
    """Return how a worker of a Ray cluster computes, or of one of this machine (no `address`), how
    many workers there are now, and the cluster.

    A worker has a GPU, or `gpus` of one, where there are any and `device` does not say cpu; else
    one CPU, or so many as `threads` says. Device and precision are what the first worker finds.

    Raises: ConfigError if there is no Ray, no such cluster, or no machine that has the room.
    """
    require_ray()
    if gpus is not None and gpus < 0:
        raise ConfigError(f"--gpus-per-worker is 0 or more, say 0.5 or 1; got {gpus:g}")
    if count is not None and count < 1:
        raise ConfigError(f"--workers is at least 1, got {count}")
    if address is None:
        local = resolve_compute(device, precision=precision)
        machines = [_this_machine(local)]
    else:
        connection = Connection(address, cpus=1, gpus=0)
        try:
            machines = list(connection.machines().values())
        finally:
            connection.close()
    wants_gpu = device.partition(":")[0] in ("auto", "cuda")
    if gpus is None:
        gpus = 1.0 if wants_gpu and any(machine.gpus for machine in machines) else 0.0
    threads = threads or _threads(machines, gpus)
    machines = [machine for machine in machines if machine.room(threads, gpus)]
    room = sum(machine.room(threads, gpus) for machine in machines)
    kind = "cuda" if gpus else "cpu"
    if address is None:
        if not room or (count or 0) > room:
            raise ConfigError(
                f"this machine has room for {room} workers of {threads} CPUs and {gpus:g} GPUs; "
                "give other --workers, --threads or --gpus-per-worker"
            )
        compute = resolve_compute(kind, threads=threads, precision=precision)
        found: dict[str, Any] = {"compute": asdict(compute), "device": compute.describe()}
    else:
        found = _ask_worker(address, threads, gpus, kind=kind, precision=precision)
    cluster = Cluster(
        address=address,
        limit=count,
        gpus=gpus,
        shared=shared,
        device=f"{_machines_text(machines)}; {found['device']}",
    )
    return Compute(**found["compute"]), min(count or room, room) or count or 1, cluster


def describe_worker(job: Job, heartbeat: Heartbeat) -> dict[str, Any]:
    """Return what a worker computes with, as its machine has it. Raises: ConfigError for another
    version of evopose, torch or Python."""
    require_same_versions(job["versions"], socket.gethostname())
    compute = resolve_compute(job["device"], threads=job["threads"], precision=job["precision"])
    return {"compute": asdict(compute), "device": compute.describe()}


def _ask_worker(
    address: str, threads: int, gpus: float, *, kind: str, precision: str
) -> dict[str, Any]:
    asked = {"device": kind, "threads": threads, "precision": precision, "versions": versions()}
    job = {"function": "evopose.search.cluster:describe_worker", **asked}
    ended: list[Event] = []
    executor = RayExecutor(address=address, slots=1, threads=threads, gpus=gpus)
    try:
        executor.submit(executor.slots[0], job)
        while not ended:
            executor.poll(0.2, lambda event: ended.append(event))
    finally:
        executor.close()
    if ended[0].kind != "done":
        reason = ended[0].data["message"].removeprefix("ConfigError: ")
        raise ConfigError(f"the cluster's first worker cannot be used: {reason}")
    return ended[0].data


def _this_machine(compute: Compute) -> Machine:
    gpus = 0
    if compute.device.startswith("cuda"):
        import torch

        gpus = torch.cuda.device_count()
    return Machine(id="here", address="this machine", cpus=cpu_count(), gpus=gpus)


def _threads(machines: list[Machine], gpus: float) -> int:
    """Return a worker's share of its machine's CPUs where it has a GPU, of the scarcest; else 1."""
    if not gpus:
        return 1
    shares = [m.cpus * gpus / m.gpus for m in machines if m.gpus]
    return max(1, int(min(shares, default=1)))


def _machines_text(machines: list[Machine]) -> str:
    """Return, say, "Ray on 3 machines (2 with 8 CPUs, 1 with 4 CPUs, 1 GPU)"."""
    kinds = Counter(
        ", ".join(
            f"{number:g} {kind}{'s' * (number != 1)}"
            for number, kind in ((machine.cpus, "CPU"), (machine.gpus, "GPU"))
            if number
        )
        for machine in machines
    )
    listed = ", ".join(f"{count} with {kind}" for kind, count in kinds.items())
    return f"Ray on {len(machines)} machine{'s' * (len(machines) != 1)} ({listed})"
