"""Blobs are whole or not there, and a damaged one is named."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from evopose.errors import RunError
from evopose.evolution.blobs import BlobStore


@pytest.fixture
def blobs(tmp_path):
    return BlobStore(tmp_path / "blobs")


def test_a_blob_is_named_by_its_content_and_put_once(blobs):
    digest = blobs.put(b"weights")
    assert digest == hashlib.sha256(b"weights").hexdigest()
    assert blobs.path(digest) == blobs.folder / digest[:2] / f"{digest}.safetensors"
    written = blobs.path(digest).stat().st_ino
    assert blobs.put(b"weights") == digest
    assert blobs.path(digest).stat().st_ino == written
    assert blobs.read(digest) == b"weights"
    assert blobs.total_bytes() == 7


def test_a_damaged_blob_is_named_and_mended_by_putting_it_again(blobs):
    digest = blobs.put(b"weights")
    blobs.path(digest).write_bytes(b"weighty")
    with pytest.raises(RunError, match=f"{digest}.safetensors are damaged"):
        blobs.read(digest)
    blobs.put(b"weights")
    assert blobs.read(digest) == b"weights"


def test_a_blob_is_checked_again_when_its_file_has_changed(blobs, monkeypatch):
    digest = blobs.put(b"weights")
    blobs.check(digest)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", None)
        blobs.check(digest)
    blobs.path(digest).write_bytes(b"damaged weights")
    with pytest.raises(RunError, match="are damaged"):
        blobs.check(digest)
    blobs.delete(digest)
    with pytest.raises(RunError, match="are missing"):
        blobs.check(digest)


def test_a_missing_blob_is_named(blobs):
    with pytest.raises(RunError, match=r"00/00ff\.safetensors are missing"):
        blobs.read("00ff")


def test_a_blob_that_cannot_be_read_is_named(blobs):
    digest = blobs.put(b"weights")
    blobs.delete(digest)
    blobs.path(digest).mkdir()
    with pytest.raises(RunError, match=f"{digest}.safetensors cannot be read: Is a directory"):
        blobs.read(digest)


def test_a_full_disk_leaves_nothing_half_written(blobs, monkeypatch):
    kept = blobs.put(b"kept")

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        blobs.put(b"lost")
    monkeypatch.undo()
    files = [path for path in blobs.folder.rglob("*") if path.is_file()]
    assert files == [blobs.path(kept)]


def test_content_and_folder_are_flushed_before_put_returns(blobs, monkeypatch):
    flushed = []
    fsync = os.fsync

    def spy(handle):
        flushed.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", spy)
    digest = blobs.put(b"weights")
    assert "unfinished" in flushed[0]  # the file, before it gets its name
    assert str(blobs.path(digest).parent) in flushed[1:]


def test_cleaning_deletes_what_nobody_needs_and_what_was_never_finished(blobs):
    kept, orphan = blobs.put(b"kept"), blobs.put(b"orphan")
    unfinished = blobs.path(kept).with_name("unfinished-1")
    unfinished.write_bytes(b"ke")
    assert set(blobs.clean({kept})) == {blobs.path(orphan), unfinished}
    assert blobs.read(kept) == b"kept"
    blobs.delete(kept)
    blobs.delete(kept)
    assert blobs.total_bytes() == 0
