"""Where caches lie, whether the network may be used, and how processes take turns."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)


def cache_home() -> Path:
    """Return the folder of all caches: `EVOPOSE_HOME`, else `~/.cache/evopose`."""
    return Path(os.environ.get("EVOPOSE_HOME") or "~/.cache/evopose").expanduser()


def nearest(folder: Path) -> Path:
    """Return a folder, or what would hold it if it is not there yet."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    return place


def is_offline() -> bool:
    """Return whether `EVOPOSE_OFFLINE` forbids the network: set, and neither empty nor 0."""
    return os.environ.get("EVOPOSE_OFFLINE", "") not in ("", "0")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file's lock; the system gives it back when a process dies."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("waiting for another process that builds %s", path.stem)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
