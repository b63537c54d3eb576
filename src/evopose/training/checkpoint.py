"""Checkpoints of training: everything that the next step depends on, written whole or not at all.

They are torch files read with `weights_only=True`, so loading one never runs code from it.
"""

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from evopose.errors import RunError


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, texts, lists and dicts of them)."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Return the state in `path`, None if there is no such file.

    Raises: RunError if it is damaged.
    """
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as file:
            if damaged := file.testzip():  # torch itself does not look at the checksums
                raise ValueError(f"the checksum of {damaged} is wrong")
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise RunError(
            f"the checkpoint {path} cannot be read ({error}); delete it to start afresh"
        ) from error
    return state


_UNREADABLE = (
    EOFError, LookupError, OSError, RuntimeError, ValueError, pickle.UnpicklingError,
    zipfile.BadZipFile,
)  # fmt: skip
"""What zipfile and torch raise for a file that is cut off or changed."""
