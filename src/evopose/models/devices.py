"""Devices and CPUs: what there is, and an allocator that keeps its memory.

Importing this module loads no torch; choosing a device does only where there may be another than
the CPU.
"""

import ctypes
import platform
import sys
from pathlib import Path

import loky

from evopose.errors import ConfigError

_GPU_NODES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Where drivers of GPUs show: CUDA, ROCm, Windows' subsystem for Linux."""

_CPU_INFO = Path("/proc/cpuinfo")
_BF16_UNITS = ("avx512_bf16", "amx_bf16", "bf16")
"""Flags of x86 processors, and the feature of ARM's."""


def resolve_device(device: str = "auto") -> str:
    """Return `cpu`, `cuda:N` or `mps`; `auto` takes a GPU if there is one.

    Raises: ConfigError for a device that is not on this machine.
    """
    if device == "cpu" or (device == "auto" and not _may_have_gpu()):
        return "cpu"
    import torch

    if device == "auto":
        mps = torch.backends.mps.is_available()
        device = "cuda:0" if torch.cuda.is_available() else "mps" if mps else "cpu"
    kind, _, index = device.partition(":")
    here = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }
    if kind not in here or not (index or "0").isdigit() or int(index or 0) >= here[kind]:
        found = ", ".join(f"{count} {name}" for name, count in here.items() if count)
        raise ConfigError(
            f"device {device!r} is not on this machine (found: {found}); give cpu, cuda, cuda:N, "
            "mps or auto"
        )
    return f"cuda:{index or 0}" if kind == "cuda" else kind


def _may_have_gpu() -> bool:
    return sys.platform != "linux" or any(Path(node).exists() for node in _GPU_NODES)


def keep_freed_memory() -> bool:
    """Make glibc keep what is freed instead of giving it back; return whether it could be told.

    Training frees and asks for the same large blocks at each step. glibc would unmap and map them
    again, and the kernel clear every page. One heap that never
    shrinks and no mappings avoid it.
    """
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    trim_threshold, top_pad, mmap_max = -1, -2, -4
    return all(
        mallopt(option, value) == 1
        for option, value in (
            (mmap_max, 0),
            (trim_threshold, 2**31 - 1),
            (top_pad, 64 * 2**20),
        )
    )


def cpu_count() -> int:
    """Return the CPUs that this process may use: affinity and a container's quota count."""
    return int(loky.cpu_count())


def bf16_units() -> tuple[str, ...] | None:
    """Return what of the processor computes in bfloat16, by the kernel's names; None: unknown."""
    if not _CPU_INFO.exists():
        return None
    words = set(_CPU_INFO.read_text().split())
    return tuple(name for name in _BF16_UNITS if name in words)


def cpu_name() -> str:
    """Return the processor's name."""
    if _CPU_INFO.exists():
        for line in _CPU_INFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
