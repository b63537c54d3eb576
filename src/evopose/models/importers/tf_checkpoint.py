"""TensorFlow checkpoints (TF1's `model.ckpt.*`, as CPN and PoseFix publish), through TensorFlow.

TensorFlow is an extra, `pip install 'evopose[tensorflow]'`, wanted for this format alone.
"""

import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from evopose.errors import ModelError

_PARTS = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")
_TABLE_END = bytes.fromhex("57fb808b247547db")
"""The last bytes of an index, and of a checkpoint of before 2017, which is one file."""


def checkpoint_prefix(path: Path) -> Path | None:
    """Return the path that TensorFlow calls the checkpoint, None if `path` is of no checkpoint.

    `path` is that path itself, or one of its files: `.index`, `.meta`, `.data-00000-of-00001`.

    Raises: ModelError if the checkpoint's index is not beside it.
    """
    prefix = Path(_PARTS.sub("", str(path)))
    if _with(prefix, ".index").is_file():
        return prefix
    if path.is_file() and prefix == path:
        return path if _ends_as_table(path) else None
    if prefix != path and path.is_file():
        raise ModelError(
            f"{path} is one file of a TensorFlow checkpoint; {_with(prefix, '.index').name} and "
            f"{prefix.name}.data-* must lie beside it"
        )
    return None


def read_tensorflow(prefix: Path) -> dict[str, Tensor]:
    """Return the checkpoint's arrays by its own names, in TensorFlow's layout.

    Raises: ModelError if TensorFlow is not installed, or cannot read it.
    """
    try:
        from tensorflow import train
    except ImportError as error:
        raise ModelError(
            f"{prefix} is a TensorFlow checkpoint, and reading one needs TensorFlow: "
            "pip install 'evopose[tensorflow]'"
        ) from error
    try:
        reader = train.load_checkpoint(str(prefix))
        names = sorted(reader.get_variable_to_shape_map())
        values = ((name, np.asarray(reader.get_tensor(name))) for name in names)
        return {
            name: torch.from_numpy(np.array(value)) for name, value in values if _is_numeric(value)
        }
    except Exception as error:  # TensorFlow's own kinds, which cannot be named without it
        said = str(error).partition("\n")[0]
        raise ModelError(
            f"{prefix} is damaged or cut off: TensorFlow cannot read it ({said}); .index and "
            ".data-* must lie side by side"
        ) from error


def _is_numeric(value: "np.ndarray[tuple[int, ...], np.dtype[np.generic]]") -> bool:
    return value.dtype.kind in "fiub"


def _with(prefix: Path, suffix: str) -> Path:
    return prefix.with_name(prefix.name + suffix)


def _ends_as_table(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(-min(len(_TABLE_END), file.tell()), 2)
        return file.read() == _TABLE_END
