"""How the SQLite file of a run is opened, and locked for its one writer."""

import fcntl
import os
import socket
import sqlite3
from pathlib import Path
from typing import IO

from evopose.errors import RunError

DATABASE = "run.sqlite"
LOCK = "LOCK"

BUSY_SECONDS = 30
"""So long SQLite waits for another program."""


def connect_to_read(folder: Path) -> sqlite3.Connection:
    """Return a connection that changes nothing, whatever the format of the tables."""
    return connect(folder, _mode_to_read(folder))


def connect(folder: Path, mode: str) -> sqlite3.Connection:
    """Return a connection in one of SQLite's modes ("ro", "rwc"), which says its own BEGINs."""
    uri = (folder / DATABASE).resolve().as_uri()
    return prepared(
        sqlite3.connect(f"{uri}?mode={mode}", uri=True, isolation_level=None, timeout=BUSY_SECONDS)
    )


def prepared(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Return a connection whose rows know their columns."""
    connection.row_factory = sqlite3.Row
    return connection


def _mode_to_read(folder: Path) -> str:
    """Return SQLite's mode for a reader.

    In a folder that it may not write, a reader cannot make the shared memory it needs; with no
    writer about (no write-ahead log) the file is then as good as immutable.
    """
    alone = not (folder / f"{DATABASE}-wal").exists() and not os.access(
        folder, os.W_OK, effective_ids=os.access in os.supports_effective_ids
    )
    return "ro&immutable=1" if alone else "ro"


def in_use(folder: Path, holder: str) -> RunError:
    """Return the error for a run that somebody works on."""
    return RunError(
        f"the run in {folder} is in use by {holder}: wait until it ends, or stop it; "
        f"`evopose status {folder}` shows how far it is"
    )


def take_lock(folder: Path) -> IO[str]:
    """Return the open LOCK file: while it is open, or its process lives, nobody else gets it."""
    file = (folder / LOCK).open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        holder = file.read().strip() or "another process"
        file.close()
        raise in_use(folder, holder) from error
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    return file
