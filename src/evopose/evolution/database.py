"""The SQLite file of a run: how it is opened and locked, and what its errors mean to a user.

The write-ahead log with `synchronous = FULL` keeps what was committed through a crash of the
machine, and lets readers read while the one writer writes (sqlite.org/wal.html).
"""

import errno
import fcntl
import logging
import os
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self

from evopose.errors import RunError, RunFailed
from evopose.evolution.filesystems import require_local
from evopose.evolution.schema import FORMAT, MIGRATIONS, TABLES

log = logging.getLogger(__name__)

DATABASE = "run.sqlite"
LOCK = "LOCK"


class Database:
    """The open database of a run: `create` and `open` take the run's lock, `read` does not."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, held: IO[str] | None) -> None:
        self.folder = folder
        self._connection = connection
        self._held = held

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Return a new database, without tables.

        Raises: RunError if `folder` holds a run, or lies on a network file system.
        """
        require_local(folder)
        with errors_of(folder):
            folder.mkdir(parents=True, exist_ok=True)
        db = cls._locked(folder)
        if db._format():
            db.close()
            raise RunError(
                f"{folder} is a run already: go on with --resume, or choose another folder with "
                "--run"
            )
        return db

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Return the database of an existing run, to write to.

        One of an older format becomes one of this; a copy of what it was is kept beside it.
        """
        _require_run(folder)
        require_local(folder)
        db = cls._locked(folder)
        with db._closed_on_error():
            if (found := db._known_format()) != FORMAT:
                copy = folder / f"{DATABASE}.format-{found}"
                _copy(db._connection, copy)
                log.info(
                    "%s has format %d, which is now %d; as it was: %s",
                    *(folder, found, FORMAT, copy),
                )
                db._migrate(found)
        return db

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the database of an existing run, to read from.

        One of an older format stays as it is: what is read is a copy in memory.
        """
        _require_run(folder)
        with errors_of(folder):
            db = cls(folder, connect_to_read(folder), None)
        with db._closed_on_error():
            if (found := db._known_format()) != FORMAT:
                db._read_a_copy()
                db._migrate(found)
        return db

    @classmethod
    def _locked(cls, folder: Path) -> Self:
        with errors_of(folder):
            held = _lock(folder)
            try:
                connection = _connect(folder, "rwc")
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA foreign_keys = ON")
            except BaseException:
                held.close()
                raise
        return cls(folder, connection, held)

    @property
    def writes(self) -> bool:
        """Whether this is the one process that may write."""
        return self._held is not None

    def create_tables(self) -> None:
        """Create the tables, within a transaction."""
        self._execute_all(TABLES, FORMAT)

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """Run one statement; `values` take the places of its question marks."""
        return self._connection.execute(statement, values)

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """Return all rows that a query finds."""
        return self.execute(query, *values).fetchall()

    def value(self, query: str, *values: Any) -> Any:
        """Return the first column of the first row that a query finds; None if it finds none."""
        row = self.execute(query, *values).fetchone()
        return None if row is None else row[0]

    @contextmanager
    def transaction(self, before_commit: Callable[[], object] = lambda: None) -> Iterator[None]:
        """Do what is inside whole or not at all. Raises: RunError where the disk is at fault."""
        with errors_of(self.folder):
            self.execute("BEGIN IMMEDIATE")
            try:
                yield
                before_commit()
                self.execute("COMMIT")
            except BaseException:
                # SQLite may have rolled back by itself, on a full disk for one.
                with suppress(sqlite3.OperationalError):
                    self.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the database and give the lock back."""
        self._connection.close()
        if self._held:
            self._held.close()

    def _format(self) -> int:
        """Return the version of the tables; 0 while there are none."""
        return int(self.value("PRAGMA user_version"))

    def _known_format(self) -> int:
        """Return the version of the tables. Raises: RunError if it cannot become this one's."""
        with errors_of(self.folder):
            found = self._format()
        if found != FORMAT and found not in MIGRATIONS:
            raise RunError(
                f"the run in {self.folder} has format {found}, this program reads format "
                f"{FORMAT}: use the version of evopose that wrote it, or start a new run in "
                "another folder"
            )
        return found

    def _migrate(self, found: int) -> None:
        """Make the tables of an older format those of this one, whole or not at all."""
        with self.transaction():
            for version in range(found, FORMAT):
                self._execute_all(MIGRATIONS[version], version + 1)

    def _execute_all(self, statements: str, version: int) -> None:
        for statement in statements.split(";"):
            self.execute(statement)
        self.execute(f"PRAGMA user_version = {version}")

    def _read_a_copy(self) -> None:
        """Go on with a copy in memory."""
        memory = _prepared(sqlite3.connect(":memory:", isolation_level=None))
        with errors_of(self.folder):
            self._connection.backup(memory)
        self._connection.close()
        self._connection = memory

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise


def disk_full(folder: Path) -> RunFailed:
    """Return the error for a full disk."""
    return RunFailed(
        f"the disk of {folder} is full. All results so far are kept: free some space, then go on "
        "with --resume"
    )


@contextmanager
def errors_of(folder: Path) -> Iterator[None]:
    """Turn what SQLite and the file system raise inside into RunErrors that a user can mend."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if (reason := _explain(error, folder)) is None:
            raise
        raise reason from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise disk_full(folder) from error
        gone = error.errno == errno.ENOENT and not folder.is_dir()  # as in /proc, nothing is made
        if gone or error.errno in _NOT_OURS:
            raise _read_only(folder) from error
        raise


_NOT_OURS = (
    *(errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST),
    errno.ENAMETOOLONG,
)


def _explain(error: sqlite3.DatabaseError, folder: Path) -> RunError | None:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the upper bits say more of the same
    if code == sqlite3.SQLITE_FULL:
        return disk_full(folder)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return _read_only(folder)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return RunError(
            f"{folder / DATABASE} is damaged, or not the database of a run: restore it from a copy"
        )
    return None


def _read_only(folder: Path) -> RunError:
    return RunError(f"{folder} cannot be written: make it a folder that can be, or choose another")


def _require_run(folder: Path) -> None:
    if not (folder / DATABASE).is_file():
        raise RunError(
            f"{folder} is not the folder of a run (it has no {DATABASE}): name one that "
            "`evopose evolve` made"
        )


def connect_to_read(folder: Path) -> sqlite3.Connection:
    """Return a connection that changes nothing, whatever the format of the tables."""
    return _connect(folder, _mode_to_read(folder))


def _connect(folder: Path, mode: str) -> sqlite3.Connection:
    uri = (folder / DATABASE).resolve().as_uri()
    return _prepared(
        sqlite3.connect(f"{uri}?mode={mode}", uri=True, isolation_level=None, timeout=30)
    )


def _prepared(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.row_factory = sqlite3.Row
    return connection


def _copy(connection: sqlite3.Connection, path: Path) -> None:
    """Copy a database into a file, whole or not at all."""
    partial = path.with_name(f"{path.name}.unfinished")
    partial.unlink(missing_ok=True)
    with errors_of(path.parent):
        connection.execute("VACUUM INTO ?", (str(partial),))
        partial.replace(path)


def _mode_to_read(folder: Path) -> str:
    """Return SQLite's mode for a reader.

    In a folder that it may not write, a reader cannot make the shared memory it needs; with no
    writer about (no write-ahead log) the file is then as good as immutable.
    """
    alone = not (folder / f"{DATABASE}-wal").exists() and not os.access(
        folder, os.W_OK, effective_ids=os.access in os.supports_effective_ids
    )
    return "ro&immutable=1" if alone else "ro"


def _lock(folder: Path) -> IO[str]:
    """Return the open LOCK file: while it is open, or its process lives, nobody else gets it."""
    file = (folder / LOCK).open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        holder = file.read().strip() or "another process"
        file.close()
        raise RunError(
            f"the run in {folder} is in use by {holder}: wait until it ends, or stop it; "
            f"`evopose status {folder}` shows how far it is"
        ) from error
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    return file
