"""Files that `torch.save` wrote, read without running what is pickled in them.

A pickle is a program: it names functions and has them called. Torch's reader of weights knows the
few that rebuild tensors and refuses the rest. Training frameworks put more into their checkpoints
(logs, numpy scalars); these, by name, are let through to `_Inert`, which takes anything, keeps
nothing and does nothing, so that the real ones are neither imported nor called.
"""

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from evopose.errors import ModelError

_CARRIED = (
    "argparse.Namespace",
    "builtins.getattr",  # with `_Inert` behind it: a log's functions by name
    "datetime.date",
    "datetime.datetime",
    "datetime.timedelta",
    "mmengine.logging.history_buffer.HistoryBuffer",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy.dtype",
    "numpy.ndarray",
    "pathlib.PosixPath",
)
"""What checkpoints carry along and an import has no use for."""
_WANTED = re.compile(r"GLOBAL (\S+)")


class _Inert:
    """Stands where a pickle wants an object or a call that is none of its business."""

    def __new__(cls, *args: object, **named: object) -> "_Inert":
        return object.__new__(cls)

    def __init__(self, *args: object, **named: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


def read_torch(path: Path) -> Any:
    """Return what is in a file of `torch.save`, tensors on the CPU.

    Of a zip file the tensors stay on the disk until they are looked at.

    Raises: ModelError if the file wants to run anything, naming it, or is damaged.
    """
    in_zip = zipfile.is_zipfile(path)
    if in_zip:
        _check_content(path)
    try:
        with torch.serialization.safe_globals([(_Inert, name) for name in _CARRIED]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=in_zip)
    except pickle.UnpicklingError as error:
        raise ModelError(_refusal(path, str(error))) from error
    except Exception as error:  # whatever a torch of some version makes of damaged bytes
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelError(f"{path} is damaged or cut off: torch cannot read it ({said})") from error


def _check_content(path: Path) -> None:
    """Refuse zip files that are not of `torch.save`."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    ends = {name.rpartition("/")[2] for name in names}
    if "constants.pkl" in ends:
        raise ModelError(
            f"{path} is a TorchScript program; an import reads weights alone: give the checkpoint "
            "(torch.save of a state dict) it was made from"
        )
    if "data.pkl" not in ends:
        raise ModelError(
            f"{path} is a zip file, but none that torch.save wrote: it holds "
            f"{', '.join(names[:4]) or 'nothing'}. Unpack an archive first and give the file of "
            "weights in it"
        )


def _refusal(path: Path, said: str) -> str:
    if wanted := _WANTED.search(said):
        return (
            f"{path} is refused: it is a pickle that wants to run code, {wanted[1]}, which weights "
            "have no need of. If it is a whole network or training saved by torch.save, save its "
            "state_dict() alone where its code is at hand, and import that"
        )
    return (
        f"{path} is refused: it is no plain torch checkpoint ({said.partition(chr(10))[0]}); "
        "expected tensors by name, as torch.save(net.state_dict()) writes them"
    )
