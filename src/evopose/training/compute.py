"""Where to compute: device, threads, precision, and an allocator that keeps its memory."""

import logging
import warnings
from dataclasses import dataclass
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


@dataclass(frozen=True, kw_only=True)
class Compute:
    """A device and how to use it."""

    device: str
    """`cpu`, `cuda:N` or `mps`."""
    threads: int
    """CPU threads of torch in this process."""
    precision: str
    """`fp32` or `bf16` (mixed)."""

    def describe(self) -> str:
        """Return one line for a person: device, threads, precision."""
        if self.device.startswith("cuda"):
            name = torch.cuda.get_device_name(self.device)
        else:
            name = f"{cpu_name()}, {self.threads} thread{'s' * (self.threads != 1)}"
        return f"{self.device} ({name}), {self.precision}"


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


def prepare(compute: Compute) -> None:
    """Set up this process: thread count, allocator, denormals, matrix products on the GPU."""
    torch.set_num_threads(compute.threads)
    torch.set_flush_denormal(True)
    torch.set_float32_matmul_precision("high")
    keep_freed_memory()


def make_fabric(compute: Compute) -> Any:
    """Return Lightning Fabric on one device."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice about its other launchers, of no use here
        from lightning_fabric import Fabric

        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
        kind, _, index = compute.device.partition(":")
        return Fabric(
            accelerator={"cuda": "gpu"}.get(kind, kind),
            devices=[int(index)] if index else 1,
            precision="bf16-mixed" if compute.precision == "bf16" else "32-true",
        )


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
