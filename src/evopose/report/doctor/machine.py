"""Whether this machine can do what evopose asks of it."""

import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from evopose.home import cache_home, nearest
from evopose.models.devices import cpu_count, cpu_name
from evopose.report.doctor.findings import Finding, error, ok, warning
from evopose.version import VERSION

LEAST_MEMORY = 2e9
LEAST_DISK = 5e9
"""Bytes below which a warning is due."""
FULL_DISK = 5e8
"""Bytes below which nothing can be trained."""

REQUIRED = ("torch", "numpy", "onnxruntime", "safetensors")
OPTIONAL = {
    "ray": ("ray", "searches on several machines (--executor ray)"),
    "openvino": ("openvino", "another fast runtime for CPUs, and exporting for it"),
    "tensorboard": ("tensorboard", "event files (--tensorboard)"),
}
"""Package -> the extra that installs it, and what it is for."""


def examine_machine() -> list[Finding]:
    """Return what there is to say of this machine: packages, CPUs, memory, disk."""
    return [*_packages(), *_cpus(), *_memory(), *disk(cache_home(), "the caches (EVOPOSE_HOME)")]


def _packages() -> Iterator[Finding]:
    yield ok(f"evopose {VERSION}, Python {platform.python_version()}, {platform.platform()}")
    for name in REQUIRED:
        if (found := installed(name)) is None:
            yield error(f"{name} is not installed", f"pip install {name}, or evopose anew")
        else:
            yield ok(f"{name} {found}")
    for name, (extra, use) in OPTIONAL.items():
        found = installed(name)
        missing = f"no {name}: for {use} pip install 'evopose[{extra}]'"
        yield ok(missing if found is None else f"{name} {found}")


def installed(package: str) -> str | None:
    """Return the version of a package, without loading it; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpus() -> Iterator[Finding]:
    cpus, threads = cpu_count(), os.environ.get("OMP_NUM_THREADS", "")
    yield ok(f"{cpus} CPUs to use ({cpu_name()})")
    if threads.isdigit() and int(threads) > cpus:
        yield warning(
            f"OMP_NUM_THREADS={threads} is more than there are CPUs: threads that wait for each "
            "other crawl",
            f"unset it, or set it to {cpus} at most",
        )
    busy = os.getloadavg()[0]
    if busy > 1.5 * cpus:
        yield warning(
            f"{busy:.1f} processes want the {cpus} CPUs: latencies and times are not to be trusted",
            "wait until the others have ended, or give --workers and --threads that fit",
        )


def _memory() -> Iterator[Finding]:
    memory = psutil.virtual_memory()
    said = f"{memory.available / 1e9:.1f} GB of {memory.total / 1e9:.1f} GB of memory are free"
    if memory.available < LEAST_MEMORY:
        yield warning(said, "end other programs, or train with fewer workers or smaller batches")
    else:
        yield ok(said)


def disk(folder: Path, what: str) -> Iterator[Finding]:
    """Yield whether a folder, or where it would be, can be written and has room."""
    place = nearest(folder)
    if not os.access(place, os.W_OK):
        yield error(f"{place}, for {what}, cannot be written", "choose another, or mend its rights")
        return
    free = shutil.disk_usage(place).free
    said = f"{free / 1e9:.1f} GB are free for {what} in {folder}"
    if free < FULL_DISK:
        yield error(said, "free some space: training stops where the disk is full")
    elif free < LEAST_DISK:
        yield warning(said, "free some space before a long search")
    else:
        yield ok(said)
