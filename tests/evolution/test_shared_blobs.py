"""Weights at a URL: whole or not there, checked when read, and cached by content."""

import hashlib
import os
import time
import uuid

import fsspec
import pytest

from evopose.errors import ConfigError, RunError
from evopose.evolution.blobs import BlobStore
from evopose.evolution.shared_blobs import CACHED_SECONDS, UrlBlobs, is_url, open_blobs


@pytest.fixture(params=["memory", "file", "folder"])
def place(request, tmp_path):
    return {
        "memory": f"memory://{uuid.uuid4().hex}/blobs",
        "file": f"file://{tmp_path / 'there'}",
        "folder": str(tmp_path / "folder"),
    }[request.param]


@pytest.fixture
def blobs(place, tmp_path):
    return open_blobs(place, tmp_path / "cache")


def files(blobs):
    if isinstance(blobs, BlobStore):
        return [str(path) for path in blobs.folder.rglob("*") if path.is_file()]
    fs, path = fsspec.core.url_to_fs(blobs.url)
    return fs.find(path)


def test_what_was_put_is_read_wherever_it_lies(blobs):
    digest = blobs.put(b"weights")
    assert digest == hashlib.sha256(b"weights").hexdigest() == blobs.put(b"weights")
    (path,) = files(blobs)
    assert path.endswith(f"{digest[:2]}/{digest}.safetensors")
    assert blobs.read(digest) == blobs.file(digest).read_bytes() == b"weights"
    blobs.delete(digest)
    blobs.delete(digest)
    assert files(blobs) == []
    with pytest.raises(RunError, match="are missing"):
        blobs.read(digest)


def test_what_was_changed_is_not_read(blobs):
    digest = blobs.put(b"weights")
    (path,) = files(blobs)
    fs = blobs._fs if isinstance(blobs, UrlBlobs) else fsspec.filesystem("file")
    fs.pipe_file(path, b"rotten!")
    for read in (blobs.read, blobs.file):
        with pytest.raises(RunError, match="are damaged: their SHA-256 is"):
            read(digest)


def test_a_write_that_breaks_off_leaves_nothing(tmp_path, monkeypatch):
    blobs = UrlBlobs(f"memory://{uuid.uuid4().hex}", tmp_path)

    def broken(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(blobs._fs, "mv", broken)
    with pytest.raises(OSError, match="No space left"):
        blobs.put(b"weights")
    assert files(blobs) == []


def test_a_machine_fetches_a_blob_once_and_drops_what_it_has_not_used_for_long(tmp_path):
    blobs = UrlBlobs(f"memory://{uuid.uuid4().hex}", tmp_path / "cache")
    old, new = blobs.put(b"old"), blobs.put(b"new")
    path = blobs.file(old)
    blobs.delete(old)
    assert blobs.file(old) == path
    path.write_bytes(b"rotten")
    with pytest.raises(RunError, match="are missing"):
        blobs.file(old)
    blobs.put(b"old")
    assert blobs.file(old).read_bytes() == b"old"
    long_ago = time.time() - CACHED_SECONDS - 1
    os.utime(path, (long_ago, long_ago))
    blobs.file(new)
    assert not path.exists()


def test_a_url_that_nobody_knows_is_refused():
    assert is_url("s3://bucket/runs")
    assert not is_url("/mnt/shared")
    with pytest.raises(ConfigError, match=r"nonsense://x cannot be used: .*Give a folder"):
        open_blobs("nonsense://x", cache=None)
