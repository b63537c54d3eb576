"""The SQLite file of a run: how it is made and read, and what its errors mean to a user.

The write-ahead log with `synchronous = FULL` keeps what was committed through a crash of the
machine, and lets readers read while the one writer writes (sqlite.org/wal.html).
"""

import errno
import json
import logging
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self

from evopose.errors import RunDamaged, RunError, RunFailed
from evopose.evolution.connections import (
    BUSY_SECONDS,
    DATABASE,
    connect,
    connect_to_read,
    prepared,
    take_lock,
)
from evopose.evolution.filesystems import require_local
from evopose.evolution.schema import FORMAT, MIGRATIONS, TABLES

log = logging.getLogger(__name__)

_OURS = {"meta", "individual"}
"""Tables that every run has."""
_NAMES = "SELECT name FROM sqlite_schema WHERE type = 'table'"
_NO_SPACE = 1_000_000
"""Bytes below which a disk is full: SQLite asks for many at once."""


class Database:
    """The open database of a run: `create` and `open` take the run's lock, `read` does not."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, held: IO[str] | None) -> None:
        self.folder = folder
        self._connection = connection
        self._held = held

    @classmethod
    def create(cls, folder: Path, meta: dict[str, Any]) -> Self:
        """Return a new database that says of its run what `meta` holds: plain JSON.

        Raises: RunError if `folder` holds a run or another database, or lies on a network file
        system; RunFailed if the disk is full: nothing is begun then.
        """
        require_local(folder)
        try:
            with errors_of(folder):
                folder.mkdir(parents=True, exist_ok=True)
            db = cls._locked(folder)
            with db._closed_on_error():
                require_no_run(folder)
                db._write_ahead()
                with db.transaction():
                    db._execute_all(TABLES, FORMAT)
                    for key, value in meta.items():
                        db.execute("INSERT INTO meta VALUES (?, ?)", key, json.dumps(value))
        except RunFailed as error:
            raise RunFailed(
                f"no run was begun in {folder}: its disk is full, or fails ({error.__cause__}). "
                "Free some space or choose another folder with --run, then give the same command"
            ) from error
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
            found = db._known_format()
            db._write_ahead()
            if found != FORMAT:
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
            held = take_lock(folder)
            try:
                connection = connect(folder, "rwc")
            except BaseException:
                held.close()
                raise
        return cls(folder, connection, held)

    @property
    def writes(self) -> bool:
        """Whether this is the one process that may write."""
        return self._held is not None

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """Run one statement; `values` take the places of its question marks."""
        with errors_of(self.folder):
            return self._connection.execute(statement, values)

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """Return all rows that a query finds."""
        with self.reading():
            return self.execute(query, *values).fetchall()

    def value(self, query: str, *values: Any) -> Any:
        """Return the first column of the first row that a query finds; None if it finds none."""
        with self.reading():
            row = self.execute(query, *values).fetchone()
        return None if row is None else row[0]

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Fetch rows inside, and read their JSON. Raises: RunDamaged if they are not what was
        written; RunError where the disk, or another program, is at fault."""
        with errors_of(self.folder):
            try:
                yield
            except ValueError as error:
                raise _damaged(self.folder) from error

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
                with suppress(sqlite3.DatabaseError):
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the database and give the lock back."""
        self._connection.close()
        if self._held:
            self._held.close()

    def _known_format(self) -> int:
        """Return the version of the tables. Raises: RunError if it cannot become this one's."""
        tables = self._tables()
        if not tables:
            raise RunError(
                f"{self.folder} is not the folder of a run: its {DATABASE} is empty, like that "
                "of one that could not begin; begin it again, without --resume"
            )
        if not tables >= _OURS:
            raise RunError(
                f"{self.folder / DATABASE} is not the database of a run: name a folder that "
                "`evopose evolve` made"
            )
        found = int(self.value("PRAGMA user_version"))
        if found != FORMAT and found not in MIGRATIONS:
            raise RunError(
                f"the run in {self.folder} has format {found}, this program reads format "
                f"{FORMAT}: use the version of evopose that wrote it, or start a new run in "
                "another folder"
            )
        return found

    def _tables(self) -> set[str]:
        return {row["name"] for row in self.rows(_NAMES)}

    def _write_ahead(self) -> None:
        """Write in such a way that what is committed is kept."""
        self.execute("PRAGMA journal_mode = WAL")
        self.execute("PRAGMA synchronous = FULL")
        self.execute("PRAGMA foreign_keys = ON")

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
        memory = prepared(sqlite3.connect(":memory:", isolation_level=None))
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
    if code == sqlite3.SQLITE_IOERR:
        return _disk_failed(error, folder)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return _read_only(folder)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return RunError(
            f"another program holds {folder / DATABASE}, and has not let go of it for "
            f"{BUSY_SECONDS} s: close it (what shows or copies databases, say), then try again"
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or _garbled(error):
        return _damaged(folder)
    return None


def _garbled(error: sqlite3.DatabaseError) -> bool:
    """Return whether a text is no UTF-8, or no JSON to SQLite."""
    return str(error).startswith(("Could not decode to UTF-8", "malformed JSON"))


def _damaged(folder: Path) -> RunDamaged:
    return RunDamaged(
        f"{folder / DATABASE} is damaged, or not the database of a run: restore it from a copy; "
        f"`evopose doctor {folder}` says how to save what can be read"
    )


def _disk_failed(error: sqlite3.DatabaseError, folder: Path) -> RunFailed:
    """Return the error for a disk that did not do what it should: most often it is full."""
    with suppress(OSError):
        if shutil.disk_usage(folder).free < _NO_SPACE:
            return disk_full(folder)
    return RunFailed(
        f"the disk of {folder} failed ({error}): see that it is sound, there and has space, then "
        "go on with --resume; all results so far are kept"
    )


def _read_only(folder: Path) -> RunError:
    return RunError(f"{folder} cannot be written: make it a folder that can be, or choose another")


def _require_run(folder: Path) -> None:
    if not (folder / DATABASE).is_file():
        raise RunError(
            f"{folder} is not the folder of a run (it has no {DATABASE}): name one that "
            "`evopose evolve` made"
        )


def require_no_run(folder: Path) -> None:
    """Raise RunError if a folder holds a run or another database. One without tables is no run: its
    beginning broke off."""
    if not (folder / DATABASE).exists():
        return
    with errors_of(folder), closing(connect_to_read(folder)) as db:
        tables = {row["name"] for row in db.execute(_NAMES)}
    if tables >= _OURS:
        raise RunError(
            f"{folder} is a run already: go on with --resume, or choose another folder with --run"
        )
    if tables:
        raise RunError(
            f"{folder / DATABASE} is not the database of a run: choose another folder with --run"
        )


def _copy(connection: sqlite3.Connection, path: Path) -> None:
    """Copy a database into a file, whole or not at all."""
    partial = path.with_name(f"{path.name}.unfinished")
    partial.unlink(missing_ok=True)
    with errors_of(path.parent):
        connection.execute("VACUUM INTO ?", (str(partial),))
        partial.replace(path)
