"""Where to compute: device, threads, precision, how many processes, and an allocator that keeps its
memory."""

import logging
import warnings
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from evopose.errors import ConfigError
from evopose.models.devices import (
    bf16_units,
    cpu_count,
    cpu_name,
    keep_freed_memory,
    resolve_device,
)
from evopose.training.processes import Place


@dataclass(frozen=True, kw_only=True)
class Compute:
    """A device and how to use it."""

    device: str
    """`cpu`, `cuda:N` or `mps`."""
    threads: int
    """CPU threads of torch in this process."""
    precision: str
    """`fp32` or `bf16` (mixed)."""
    processes: int = 1
    """That train together, on all machines; the fields above are this one's."""
    machines: int = 1
    """Each with the same number of processes."""

    def describe(self) -> str:
        """Return one line for a person: device, threads, precision, processes."""
        if self.device.startswith("cuda"):
            name = torch.cuda.get_device_name(self.device)
        else:
            name = f"{cpu_name()}, {self.threads} thread{'s' * (self.threads != 1)}"
        one = f"{self.device} ({name}), {self.precision}"
        if self.processes == 1:
            return one
        on = f" on {self.machines} machines" if self.machines > 1 else ""
        return f"{self.processes} processes{on}, the first with {one}"


def resolve_compute(
    device: str = "auto", *, threads: int | None = None, precision: str = "auto"
) -> Compute:
    """Return what `device` means on this machine.

    `auto` takes a GPU if there is one. Raises: ConfigError for a device that is not here, more
    threads than CPUs, or an unknown precision.
    """
    if threads is not None and not 1 <= threads <= cpu_count():
        raise ConfigError(f"threads must be 1 to {cpu_count()}, the CPUs here; got {threads}")
    device = resolve_device(device)
    kind = device.partition(":")[0]
    if precision not in ("auto", "fp32", "bf16"):
        raise ConfigError(f"precision must be auto, fp32 or bf16, got {precision!r}")
    if precision == "auto":
        precision = "bf16" if computes_bf16(kind) else "fp32"
    return Compute(device=device, threads=threads or cpu_count(), precision=precision)


def resolve_processes(devices: str | None, device: str, place: Place) -> int:
    """Return how many processes are to train on this machine.

    `devices` is what a user asked for: a number, `all` GPUs, or None for as many as there are.

    Raises: ConfigError for more than there is a device for, or other than torchrun has started.
    """
    if devices is None:
        count = place.local_processes
    elif devices != "all" and not (devices.isdecimal() and int(devices) > 0):
        raise ConfigError(f"devices must be a number from 1, or all; got {devices!r}")
    else:
        count = _count_devices(devices, device)
    if place.launched and count != place.local_processes:
        raise ConfigError(
            f"--devices {devices} is {count}, and torchrun started {place.local_processes} "
            "processes here: leave --devices out, its --nproc-per-node decides"
        )
    if count > 1:
        _check_devices(count, device, launched=place.launched)
    return count


def share_compute(
    place: Place, device: str = "auto", *, threads: int | None = None, precision: str = "auto"
) -> Compute:
    """Return what `resolve_compute` does, for one of the processes that torchrun has started.

    Each has a GPU of its own, and its part of the CPUs.
    """
    if place.processes % place.local_processes:
        raise ConfigError(
            f"every machine needs as many processes as this one, {place.local_processes}; there "
            f"are {place.processes} in all"
        )
    threads = threads or max(1, cpu_count() // place.local_processes)
    compute = resolve_compute(device, threads=threads, precision=precision)
    if place.processes == 1:
        return compute
    return replace(
        compute,
        device=f"cuda:{place.local_rank}" if compute.device.startswith("cuda") else "cpu",
        processes=place.processes,
        machines=place.processes // place.local_processes,
    )


def _count_devices(devices: str, device: str) -> int:
    """Return the number that `devices` means."""
    if devices != "all":
        return int(devices)
    kind = resolve_device(device).partition(":")[0]
    if kind != "cuda":
        raise ConfigError(
            f"--devices all is every GPU, and training is on {kind}; give a number of processes"
        )
    return torch.cuda.device_count()


def _check_devices(count: int, device: str, *, launched: bool) -> None:
    """Raise ConfigError if this machine has no `count` devices of that kind, or `device` is one.

    A user who started processes by torchrun may have more of them than CPUs.
    """
    if ":" in device:
        raise ConfigError(
            f"--device {device} is one device, for {count} processes; give --device cuda, and "
            "choose among the GPUs by CUDA_VISIBLE_DEVICES"
        )
    kind = resolve_device(device).partition(":")[0]
    here = {"cuda": torch.cuda.device_count(), "cpu": cpu_count()}.get(kind, 1)
    if count > here and not (kind == "cpu" and launched):
        raise ConfigError(
            f"{count} processes need as many devices; this machine has {here} of {kind}"
            f"{' (its CPUs)' * (kind == 'cpu')}"
        )


def prepare(compute: Compute) -> None:
    """Set up this process: thread count, allocator, denormals, matrix products on the GPU."""
    torch.set_num_threads(compute.threads)
    torch.set_flush_denormal(True)
    torch.set_float32_matmul_precision("high")
    keep_freed_memory()


def make_fabric(compute: Compute, *, spare_parameters: bool = False) -> Any:
    """Return Lightning Fabric on one device, connected with the other processes if there are any.

    Processes that train together come from torchrun. With `spare_parameters`, some parameters of
    the network may have no part in its loss.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice about its other launchers, of no use here
        from lightning_fabric import Fabric
        from lightning_fabric.strategies.ddp import DDPStrategy

        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
        kind, _, index = compute.device.partition(":")
        many: dict[str, Any] = {}
        if compute.processes > 1:
            many = {
                "devices": compute.processes // compute.machines,
                "num_nodes": compute.machines,
                "strategy": DDPStrategy(find_unused_parameters=spare_parameters),
            }
        one = {"devices": [int(index)] if index else 1}
        fabric = Fabric(
            accelerator={"cuda": "gpu"}.get(kind, kind),
            precision="bf16-mixed" if compute.precision == "bf16" else "32-true",
            **(many or one),
        )
        if many:
            fabric.launch()
        return fabric


def place(net: nn.Module, device: torch.device) -> None:
    """Move `net` to the device, its weights channels-last."""
    net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def computes_bf16(kind: str) -> bool:
    """Return whether devices of this kind compute bfloat16 in hardware."""
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if kind == "cpu":
        return "avx512_bf16" in (bf16_units() or ())
    return False
