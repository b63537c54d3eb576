"""What may be wrong with a run on disk: who holds it, its database, its weights, what was left."""

import fcntl
import hashlib
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from evopose.evolution.connections import LOCK, connect_to_read
from evopose.evolution.database import errors_of
from evopose.evolution.overview import kept_sizes
from evopose.evolution.store import Store

_MOST_COMPLAINTS = 20
_LEFT_OVER = (".*", "*.unfinished", "*.partial", "blobs/??/unfinished-*")
"""Names of files that are written and then given their own, in a run folder."""

_AGE_SECONDS = 600
"""Younger files may be what is being written now."""


@dataclass(frozen=True, kw_only=True)
class BadBlob:
    """Weights that a run needs and cannot have."""

    sha: str
    path: Path
    why: str
    """"missing", "damaged", or of another size."""


def holder_of(run: Path) -> str | None:
    """Return who works on a run now, as its lock says; None if nobody does."""
    try:
        with (run / LOCK).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().strip() or "another process"
    except FileNotFoundError:
        return None
    return None


def format_of(run: Path) -> int:
    """Return the version of a run's tables. Raises: RunError for what is no database."""
    with errors_of(run), closing(connect_to_read(run)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def damage_of(run: Path, *, deep: bool) -> list[str]:
    """Return what SQLite finds wrong in a run's database; empty if nothing is. `deep` also
    compares each table with its indexes. Raises: RunError if it cannot be read at all."""
    check = "integrity_check" if deep else "quick_check"
    with errors_of(run), closing(connect_to_read(run)) as db:
        found = [str(row[0]) for row in db.execute(f"PRAGMA {check}({_MOST_COMPLAINTS})")]
        orphans = db.execute("PRAGMA foreign_key_check").fetchmany(_MOST_COMPLAINTS)
    return [text for text in found if text != "ok"] + [
        f"a row of {table} names a row of {parent} that is not there"
        for table, _, parent, _ in orphans
    ]


def bad_blobs(store: Store, *, deep: bool) -> list[BadBlob]:
    """Return the weights that should be there and are not, or are of another size; `deep` also
    compares what they hold with their digest."""
    found = []
    for sha, size in kept_sizes(store).items():
        path = store.blobs.path(sha)
        if why := _why_bad(path, sha, size, deep=deep):
            found.append(BadBlob(sha=sha, path=path, why=why))
    return found


def _why_bad(path: Path, sha: str, size: int, *, deep: bool) -> str:
    try:
        if (there := path.stat().st_size) != size:
            return f"of {there:,} bytes instead of {size:,}"
        if deep:
            with path.open("rb") as file:
                whole = hashlib.file_digest(file, "sha256").hexdigest() == sha
            return "" if whole else "damaged"
    except FileNotFoundError:
        return "missing"
    return ""


def orphans(store: Store) -> list[Path]:
    """Return the blobs that nobody owns."""
    kept = kept_sizes(store)
    files = store.blobs.folder.glob("??/*.safetensors")
    return sorted(path for path in files if path.stem not in kept)


def left_over(run: Path) -> list[Path]:
    """Return files that were being written when something was killed."""
    return sorted(path for name in _LEFT_OVER for path in _old_files(run, name))


def _old_files(run: Path, pattern: str) -> Iterator[Path]:
    for path in run.glob(pattern):
        if path.is_file() and time.time() - path.stat().st_mtime > _AGE_SECONDS:
            yield path
