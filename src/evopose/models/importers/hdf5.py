"""Arrays of HDF5 files, as Keras saves them, without TensorFlow."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from evopose.errors import ModelError

MODEL_CONFIG = "model_config"
"""Key of the file's description of its layers (JSON), where it holds a whole model."""


def read_hdf5(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return every numeric array by its path in the file, and the file's own attributes.

    Raises: ModelError if the file is no HDF5 file, damaged or cut off.
    """
    if not h5py.is_hdf5(path):
        raise ModelError(f"{path} is not an HDF5 file; expected one saved by Keras as .h5")
    arrays: dict[str, Tensor] = {}

    def collect(name: str | bytes, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiub":
            value = np.asarray(item[()])
            arrays[str(name)] = torch.from_numpy(value.astype(value.dtype.newbyteorder("=")))

    try:
        with h5py.File(path) as file:
            file.visititems(collect)
            return arrays, _plain(file.attrs)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise ModelError(f"{path} is damaged or cut off ({error})") from error


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes that are texts."""
    texts = {
        name: value.decode("utf-8") if isinstance(value, bytes) else value
        for name, value in attributes.items()
    }
    return {name: value for name, value in texts.items() if isinstance(value, str)}
