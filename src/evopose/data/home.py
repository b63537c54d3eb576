"""How a cache is built once, by whoever comes first."""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from evopose.errors import DataError
from evopose.home import locked

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, and how many there are."""


def build_once(
    folder: Path, build: Callable[[Path], None], *, usable: Callable[[Path], bool]
) -> Path:
    """Return `folder`, filled by `build` unless it is there and `usable`.

    One process builds, others wait and use what it built. It is built beside its place and moved
    there whole and on disk, so a killed build leaves nothing that looks finished.

    Raises: DataError if the folder cannot be written.
    """
    if folder.is_dir() and usable(folder):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_name(f"{folder.name}.lock")):
            if folder.is_dir() and usable(folder):
                return folder
            if folder.is_dir():
                log.warning("%s is damaged or incomplete and is built again", folder)
                shutil.rmtree(folder)
            _build_beside(folder, build)
    except OSError as error:
        raise DataError(
            f"cannot write the cache {folder}: {error.strerror or error}; make room there or set "
            "EVOPOSE_HOME to a folder that can be written"
        ) from error
    return folder


def write_synced(path: Path, content: bytes) -> None:
    """Write the file and wait until it is on disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _build_beside(folder: Path, build: Callable[[Path], None]) -> None:
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # what a killed build left; we hold the lock
    partial.mkdir()
    try:
        build(partial)
        _sync_folder(partial)
        partial.rename(folder)
        _sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
