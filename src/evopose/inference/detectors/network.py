"""An ONNX file that is open: what goes in, what comes out, and running it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.errors import ModelError
from evopose.export.sessions import open_onnx

OPEN_SIZE = 640
"""Height and width of images for a network that leaves them open."""
PERSON = 0
"""The class of persons among COCO's 80."""

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
"""ONNX Runtime's names of the types in which an image may go in."""


@dataclass(frozen=True, kw_only=True)
class Port:
    """One array that goes in or comes out."""

    name: str
    shape: tuple[int | None, ...]
    """None where the file leaves a size open."""
    type: str
    """As ONNX Runtime calls it."""

    @property
    def in_words(self) -> str:
        """Name, type and shape."""
        sizes = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.name} {self.type.removeprefix('tensor')}[{sizes}]"

    def fits(self, *sizes: int | None) -> bool:
        """Return whether an array of these sizes can be one of this port; None: any size."""
        if len(self.shape) != len(sizes):
            return False
        return all(a == b or None in (a, b) for a, b in zip(self.shape, sizes, strict=True))


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network ready to run."""

    path: Path
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    compute: Callable[[Sequence[str], Mapping[str, Any]], list[Any]]
    """From names of outputs, and arrays by their inputs' names, to those outputs."""

    @property
    def in_words(self) -> str:
        """What goes in and comes out."""
        ins, outs = (", ".join(p.in_words for p in ports) for ports in (self.inputs, self.outputs))
        return f"in: {ins}; out: {outs}"

    @property
    def image_hw(self) -> tuple[int, int] | None:
        """Height and width of the image that goes in first; None if that is no image."""
        first = self.inputs[0] if self.inputs else None
        if first is None or first.type not in _TYPES or not first.fits(1, 3, None, None):
            return None
        height, width = first.shape[2:]
        return height or OPEN_SIZE, width or OPEN_SIZE

    def run(self, outputs: Sequence[str], image: NDArray[np.float32], **more: Any) -> list[Any]:
        """Return the named outputs for an image (1, 3, H, W) and further inputs by name.

        Raises: ModelError if the network cannot be run, or answers what is no number.
        """
        first = self.inputs[0]
        feeds = {first.name: image.astype(_TYPES[first.type], copy=False), **more}
        try:
            answer = self.compute(outputs, feeds)
        except Exception as error:  # ONNX Runtime's exceptions share no base of their own
            raise ModelError(
                f"{self.path} cannot be run on an image {image.shape}: {error}"
            ) from error
        if any(np.issubdtype(one.dtype, np.floating) and np.isnan(one).any() for one in answer):
            raise ModelError(
                f"{self.path} answers an image with values that are no numbers (NaN): it is "
                "damaged, or was not meant for such images"
            )
        return answer


def open_network(path: Path, *, threads: int) -> Network:
    """Return the network of an ONNX file, on the CPU. Raises: ModelError if it is none."""
    session = open_onnx(path, threads=threads)
    return Network(
        path=path,
        inputs=tuple(map(_port, session.get_inputs())),
        outputs=tuple(map(_port, session.get_outputs())),
        compute=session.run,
    )


def _port(node: Any) -> Port:
    sizes = (size if isinstance(size, int) and size > 0 else None for size in node.shape)
    return Port(name=node.name, shape=tuple(sizes), type=node.type)
