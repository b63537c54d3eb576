"""Weights by content: each blob is a file named by the SHA-256 of its bytes."""

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from evopose.errors import RunError

_MEND = "Restore the file from a copy; until then a search goes on with other parents"


class BlobStore:
    """The blobs in one folder, `ab/abcdef....safetensors`.

    Several processes may put blobs at once; a blob is there whole or not at all.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._whole: dict[str, tuple[int, int]] = {}
        """Digest -> size and time of change of a file that was whole."""

    def path(self, digest: str) -> Path:
        """Return where the blob `digest` is, or would be."""
        return self.folder / digest[:2] / f"{digest}.safetensors"

    def put(self, data: bytes) -> str:
        """Return the digest of `data`, which is on the disk, flushed, when this returns."""
        digest = hashlib.sha256(data).hexdigest()
        path = self.path(digest)
        if holds(path, digest):
            return digest
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"unfinished-{uuid.uuid4().hex}")
        try:
            with unfinished.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        for folder in (path.parent, self.folder):
            _sync_folder(folder)
        return digest

    def check(self, digest: str) -> None:
        """Raise RunError as `read` does; a file that has not changed since is not read again."""
        path = self.path(digest)
        with suppress(OSError):
            about = path.stat()
            if self._whole.get(digest) == (about.st_size, about.st_mtime_ns):
                return
        self.read(digest)
        about = path.stat()
        self._whole[digest] = about.st_size, about.st_mtime_ns

    def read(self, digest: str) -> bytes:
        """Return the blob's bytes. Raises: RunError if it cannot be read or is not what was put."""
        path = self.path(digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise RunError(f"the weights {path} are missing. {_MEND}") from error
        except OSError as error:
            reason = error.strerror or error
            raise RunError(f"the weights {path} cannot be read: {reason}. {_MEND}") from error
        if (found := hashlib.sha256(data).hexdigest()) != digest:
            raise RunError(
                f"the weights {path} are damaged: their SHA-256 is {found[:12]}..., not that of "
                f"their name. {_MEND}"
            )
        return data

    def file(self, digest: str) -> Path:
        """Return the blob's file, checked. Raises: as `read`."""
        self.read(digest)
        return self.path(digest)

    def delete(self, digest: str) -> None:
        """Delete a blob, if it is there."""
        self.path(digest).unlink(missing_ok=True)

    def total_bytes(self) -> int:
        """Return the size of all blobs."""
        return sum(path.stat().st_size for path in self._files())

    def clean(self, keep: set[str]) -> list[Path]:
        """Delete every file that is no blob of `keep`, and return what was deleted.

        Only while nobody puts: what is being written counts as left over.
        """
        orphans = [path for path in self._files() if path.stem not in keep]
        for path in orphans:
            path.unlink(missing_ok=True)
        return orphans

    def _files(self) -> Iterator[Path]:
        return (path for path in self.folder.glob("??/*") if path.is_file())


def holds(path: Path, digest: str) -> bool:
    """Return whether there is a file whose content has this SHA-256."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    except OSError:
        return False


def _sync_folder(folder: Path) -> None:
    """Flush a rename or a new folder to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
