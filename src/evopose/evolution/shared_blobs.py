"""Weights that machines share: a blob store in a folder or at a URL, and a cache of it."""

import hashlib
import time
import uuid
from pathlib import Path
from typing import Any, Protocol

import fsspec
from fsspec.core import url_to_fs

from evopose.errors import ConfigError, RunError
from evopose.evolution.blobs import BlobStore

CACHED_SECONDS = 3600.0
"""How long a blob stays in a machine's cache after its last use, at least."""


class Blobs(Protocol):
    """Weights by content, wherever they lie."""

    def put(self, data: bytes) -> str:
        """Return the digest of `data`, which is there, whole, when this returns."""
        ...

    def read(self, digest: str) -> bytes:
        """Return a blob's bytes. Raises: RunError if it is missing or not what was put."""
        ...

    def file(self, digest: str) -> Path:
        """Return a file of this machine that holds a blob, checked. Raises: as `read`."""
        ...

    def delete(self, digest: str) -> None:
        """Delete a blob, if it is there."""
        ...


def open_blobs(place: str, cache: Path) -> Blobs:
    """Return the blobs in a folder, or at a URL, of which used ones are kept in `cache`."""
    return UrlBlobs(place, cache) if is_url(place) else BlobStore(Path(place))


def is_url(place: str) -> bool:
    """Return whether a place is a URL rather than a folder."""
    return "://" in place


def file_system(url: str) -> tuple[Any, str]:
    """Return the fsspec file system of a URL, and the path there.

    Raises: ConfigError for a kind of URL that nobody here can read.
    """
    try:
        found, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        known = ", ".join(fsspec.available_protocols()[:12])
        raise ConfigError(
            f"{url} cannot be used: {error}. Give a folder, or a URL that fsspec knows here "
            f"({known}, ...)"
        ) from error
    return found, str(path).rstrip("/")


class UrlBlobs:
    """The blobs below a URL, `ab/abcdef....safetensors`."""

    def __init__(self, url: str, cache: Path) -> None:
        self.url = url
        self._fs, self._root = file_system(url)
        self._cache = BlobStore(cache)

    def put(self, data: bytes) -> str:
        """Return the digest of `data`, moved to its place when it was written whole."""
        digest = hashlib.sha256(data).hexdigest()
        path = self._path(digest)
        if self._fs.exists(path) and self._fs.size(path) == len(data):
            return digest
        folder = path.rpartition("/")[0]
        self._fs.makedirs(folder, exist_ok=True)
        unfinished = f"{folder}/unfinished-{uuid.uuid4().hex}"
        try:
            self._fs.pipe_file(unfinished, data)
            self._fs.mv(unfinished, path)
        except BaseException:
            if self._fs.exists(unfinished):
                self._fs.rm_file(unfinished)
            raise
        return digest

    def read(self, digest: str) -> bytes:
        """Return the blob's bytes. Raises: RunError if it is missing or not what was put."""
        try:
            data: bytes = self._fs.cat_file(self._path(digest))
        except FileNotFoundError as error:
            raise RunError(f"the weights {digest[:12]}... are missing at {self.url}") from error
        if (found := hashlib.sha256(data).hexdigest()) != digest:
            raise RunError(
                f"the weights {digest[:12]}... at {self.url} are damaged: their SHA-256 is "
                f"{found[:12]}.... Delete them there: they are put again when they are needed"
            )
        return data

    def file(self, digest: str) -> Path:
        """Return the blob's file in the cache, where it is fetched to unless it is there."""
        path = self._cache.path(digest)
        try:
            self._cache.read(digest)
            path.touch()
        except (FileNotFoundError, RunError):
            path.unlink(missing_ok=True)
            self._cache.put(self.read(digest))
        self._forget_old()
        return path

    def delete(self, digest: str) -> None:
        """Delete a blob, if it is there."""
        path = self._path(digest)
        if self._fs.exists(path):
            self._fs.rm_file(path)

    def _forget_old(self) -> None:
        """Drop what nobody of this machine has used for long."""
        limit = time.time() - CACHED_SECONDS
        for path in self._cache.folder.glob("??/*"):
            try:
                if path.stat().st_mtime < limit:
                    path.unlink()
            except FileNotFoundError:  # another worker was quicker
                continue

    def _path(self, digest: str) -> str:
        return f"{self._root}/{digest[:2]}/{digest}.safetensors"
