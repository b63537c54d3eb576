"""What every importer of a checkpoint shares: its line in the table, and strict loading."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from evopose.errors import ModelError
from evopose.models.importers.report import ImportReport
from evopose.models.inputs import CodecSpec, InputSpec
from evopose.models.network import PoseNetwork

Arrays = Mapping[str, Tensor]
"""A checkpoint's arrays by the file's own names."""

SHOWN = 6
"""How many names an error lists."""


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """What a user may say of a checkpoint that the checkpoint cannot say of itself."""

    input_hw: tuple[int, int] | None = None
    """Input size that the network was trained at; None: the name of the file, else the table's."""
    num_keypoints: int | None = None
    """Keypoints wanted; where the file has another number, the last layers start fresh. None: the
    file's."""
    file_name: str = ""
    """For what it tells: input sizes, decoding ("dark", "udp")."""
    codec: str | None = None
    """How its heatmaps are read, where its name does not tell: gaussian, dark or udp."""
    seed: int = 0
    """Of the weights that start fresh."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """What the file says beside its arrays: plain values, such as Keras' `model_config`."""


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A network with a checkpoint's weights, and how it is fed and read."""

    net: PoseNetwork
    report: ImportReport
    input: InputSpec = field(default_factory=InputSpec)
    codec: CodecSpec = field(default_factory=CodecSpec)
    trained_head: bool = True
    """False for a trunk alone, or where the last layers start fresh: it must be trained first."""


@dataclass(frozen=True, kw_only=True)
class Importer:
    """One line of `IMPORTERS`."""

    summary: str
    recognises: Callable[[Arrays], bool]
    """Whether these are the arrays of a checkpoint of this format, by their names."""
    read: Callable[[Arrays, ImportOptions], Imported]
    file_names: str = ""
    """Where several formats fit the same arrays: those that have a pattern found in the file's name
    come before those that have none, or another."""


def load_strictly(
    net: nn.Module, arrays: Arrays, *, source: Mapping[str, str], fresh: tuple[str, ...] = ()
) -> None:
    """Give `net` the weights `arrays`, named as in its state dict: all of them, none besides.

    `source` maps a name of the state dict to the file's own, for messages; names that begin with
    one of `fresh` keep their values in `net`. `num_batches_tracked` may be absent on either side.

    Raises: ModelError that names missing, unused and misshapen arrays.
    """
    wanted = {
        name: value
        for name, value in net.state_dict().items()
        if not name.endswith("num_batches_tracked") and not name.startswith(fresh or ("\0",))
    }
    given = {name: v for name, v in arrays.items() if not name.endswith("num_batches_tracked")}
    problems = [f"missing {source.get(name, name)}" for name in wanted.keys() - given.keys()]
    problems += [f"unused {source.get(name, name)}" for name in given.keys() - wanted.keys()]
    problems += [
        f"{source.get(name, name)} is {tuple(given[name].shape)}, "
        f"expected {tuple(wanted[name].shape)}"
        for name in wanted.keys() & given.keys()
        if given[name].shape != wanted[name].shape
    ]
    if problems:
        raise ModelError(
            f"{len(problems)} arrays do not fit a {type(net).__name__}: {some(sorted(problems))}"
        )
    with torch.no_grad():
        for name, value in wanted.items():
            value.copy_(given[name])


def some(items: list[str] | tuple[str, ...]) -> str:
    """Return the first of `items`, and how many more there are."""
    more = len(items) - SHOWN
    return "; ".join(items[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
