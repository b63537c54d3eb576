"""Giving a network the arrays of a checkpoint under other names, and saying what became of each."""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from evopose.errors import ModelError
from evopose.models.importers.contract import Arrays, ImportOptions, load_strictly
from evopose.models.importers.report import ImportReport

COUNTER = "num_batches_tracked"
WRAPPER = "module."
"""What DataParallel puts before every name."""

C = TypeVar("C")
N = TypeVar("N", bound=nn.Module)
Convert = Callable[[str, Tensor], tuple[Tensor, str]]
"""(the file's name, its array) -> the array for our network, and what was done to it or nothing."""


def unchanged(name: str, array: Tensor) -> tuple[Tensor, str]:
    """Return the array as it is."""
    return array, ""


def wrapper_of(arrays: Arrays) -> str:
    """Return what stands before every name: `module.`, or nothing."""
    return WRAPPER if arrays and all(name.startswith(WRAPPER) for name in arrays) else ""


def named_input_hw(file_name: str, *, multiple: int) -> tuple[int, int] | None:
    """Return the last HxW of a file's name that `multiple` divides, as in cpn_256x192.ckpt."""
    for height, width in reversed(re.findall(r"(?<!\d)(\d{2,4})x(\d{2,4})(?!\d)", file_name)):
        if int(height) % multiple == int(width) % multiple == 0:
            return int(height), int(width)
    return None


def size_notes(
    options: ImportOptions, *, multiple: int, default: tuple[int, int]
) -> tuple[str, ...]:
    """Return a note if neither the options nor the file's name say at what size it was trained."""
    if options.input_hw or named_input_hw(options.file_name, multiple=multiple):
        return ()
    return (
        f"neither an option nor its name gives an input size: {default[0]}x{default[1]} is taken",
    )


def unfilled(make: Callable[[C], N], config: C) -> N:
    """Return the network of a configuration, its weights whatever was in memory."""
    with torch.device("meta"):
        net = make(config)
    return net.to_empty(device="cpu")


def fill(
    net: nn.Module,
    arrays: Arrays,
    options: ImportOptions,
    *,
    names: Mapping[str, str],
    skipped: Mapping[str, str],
    fresh: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
    convert: Convert = unchanged,
) -> ImportReport:
    """Give `net` all arrays that are not `skipped`, and return what became of each.

    `names` maps names of the state dict to the file's, `skipped` the file's names to the reason.
    Layers of `net` whose names begin with one of `fresh` keep their weights.

    Raises: ModelError naming the arrays that do not fit.
    """
    ours = {theirs: name for name, theirs in names.items()}
    given: dict[str, Tensor] = {}
    adapted: list[str] = []
    for name, array in arrays.items():
        if name in skipped:
            continue
        if not (array.is_floating_point() or name.endswith(COUNTER)):
            raise ModelError(f"{name} holds {_dtype(array)}, expected floating point")
        value, done = convert(name, array)
        if array.dtype != torch.float32 and not name.endswith(COUNTER):
            done = f"{done}, {_dtype(array)} -> float32" if done else f"{_dtype(array)} -> float32"
        if done:
            adapted.append(f"{name}: {done}")
        given[ours.get(name, name)] = value
    load_strictly(net, given, source=names, fresh=fresh)
    for name, counter in net.state_dict().items():
        if name.endswith(COUNTER):
            counter.copy_(given.get(name, torch.zeros(())))
    return ImportReport(
        source=options.file_name,
        used=tuple(name for name in arrays if name not in skipped),
        adapted=tuple(adapted),
        skipped=tuple(f"{name}: {reason}" for name, reason in skipped.items()),
        notes=notes,
    )


def _dtype(array: Tensor) -> str:
    return str(array.dtype).removeprefix("torch.")
