"""Files of weights: arrays by the file's own names, whatever its format; nothing in it is run.

The format is told by the content, not by the name: torch (zip and legacy), safetensors, HDF5, and
TensorFlow checkpoints, which are several files of one name.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
from torch import Tensor

from evopose.errors import ModelError
from evopose.models.importers.hdf5 import read_hdf5
from evopose.models.importers.pickles import read_torch
from evopose.models.importers.tf_checkpoint import checkpoint_prefix, read_tensorflow

WRAPPERS = ("state_dict", "model")
"""Where a checkpoint keeps its weights, the first that is there. mmengine's `ema_state_dict` is
not among them: where it exists, `state_dict` already holds the averaged weights."""

_EXPECTED = "expected a torch, safetensors, Keras .h5 or TensorFlow checkpoint"
_NO_WEIGHTS: dict[bytes, str] = {
    b"version https://git-lfs": "a git-LFS pointer, not the file it stands for: run `git lfs pull`",
    b"<": "a web page, not a checkpoint: the address leads to a page about the file",
    b"\x1f\x8b": "a gzip archive: unpack it and give the file of weights in it",
    b"BZh": "a bzip2 archive: unpack it and give the file of weights in it",
    b"7z\xbc\xaf": "a 7z archive: unpack it and give the file of weights in it",
}
"""How a file begins -> what it is instead of weights."""


class Content(NamedTuple):
    """What a file of weights holds."""

    arrays: dict[str, Tensor]
    """By the file's own names, on the CPU."""
    meta: dict[str, Any]
    """What it says beside them: plain values. Tensors, logs and optimizers are left out."""


def read_arrays(path: str | Path) -> Content:
    """Return the arrays of a file of weights and what it says beside them.

    `path` is a file, or a TensorFlow checkpoint's name without `.index`. Weights inside
    `WRAPPERS` are taken out; names stay as they are.

    Raises: ModelError if there is none, it is damaged, wants to run code, or holds no weights.
    """
    path = Path(path)
    if prefix := checkpoint_prefix(path):
        return Content(read_tensorflow(prefix), {})
    if path.is_dir():
        raise ModelError(f"{path} is a folder; give the file of weights in it")
    if not path.is_file():
        raise ModelError(f"there is no file {path}")
    return _reader(path)(path)


def _reader(path: Path) -> Callable[[Path], Content]:
    """Return what reads a file that begins so."""
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        raise ModelError(f"{path} is empty; {_EXPECTED}")
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return lambda path: Content(*read_hdf5(path))
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 1 << 32:
        return _read_safetensors
    if start.startswith((b"PK", b"\x80")):
        return lambda path: _unwrapped(read_torch(path), path)
    for beginning, what in _NO_WEIGHTS.items():
        if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(beginning):
            raise ModelError(f"{path} is {what}")
    raise ModelError(f"{path} begins like no file of weights ({start[:8]!r}); {_EXPECTED}")


def _read_safetensors(path: Path) -> Content:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            meta = dict(file.metadata() or {})
        return Content(safetensors.torch.load_file(path), meta)
    except (safetensors.SafetensorError, OSError) as error:
        raise ModelError(f"{path} is damaged or cut off ({error})") from error


def _unwrapped(content: Any, path: Path) -> Content:
    """Return weights and meta of what `torch.save` saved."""
    if not isinstance(content, Mapping):
        raise ModelError(
            f"{path} holds a {type(content).__name__}, expected tensors by name (a state dict)"
        )
    meta: dict[str, Any] = {}
    weights: Mapping[Any, Any] = content
    for wrapper in WRAPPERS:
        if isinstance(inner := weights.get(wrapper), Mapping):
            meta |= _plain({k: v for k, v in weights.items() if k != wrapper})
            weights = inner
    arrays = {str(name): value for name, value in weights.items() if isinstance(value, Tensor)}
    if not arrays:
        held = ", ".join(str(name) for name in list(weights)[:8]) or "nothing"
        raise ModelError(
            f"{path} holds no weights: no tensors by name, at its top or in "
            f"{' or '.join(WRAPPERS)}; it holds {held}"
        )
    return Content(arrays, meta | _plain({k: v for k, v in weights.items() if k not in arrays}))


def _plain(value: Any) -> Any:
    """Return `value` with only what JSON could hold; None stands for the rest."""
    if isinstance(value, Mapping):
        kept = ((str(name), _plain(inner)) for name, inner in value.items())
        return {name: inner for name, inner in kept if inner is not None}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool) else None
