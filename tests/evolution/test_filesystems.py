"""Runs are refused where SQLite cannot be trusted."""

from collections import namedtuple
from pathlib import Path

import pytest

from evolution.toys import individual
from evopose.errors import RunError
from evopose.evolution import filesystems
from evopose.evolution.filesystems import filesystem_of
from evopose.evolution.store import Store

Partition = namedtuple("Partition", "mountpoint fstype")


@pytest.fixture
def mounts(monkeypatch: pytest.MonkeyPatch) -> list[Partition]:
    """What is mounted; a local disk at the root."""
    made = [Partition("/", "ext4")]
    monkeypatch.setattr(filesystems.psutil, "disk_partitions", lambda all: made)
    return made


def test_the_deepest_mount_counts_and_of_several_the_last(mounts, tmp_path: Path) -> None:
    assert filesystem_of(tmp_path / "not" / "there") == "ext4"
    mounts += [Partition(str(tmp_path), "nfs4"), Partition(str(tmp_path / "local"), "xfs")]
    assert filesystem_of(tmp_path) == "nfs4"
    assert filesystem_of(tmp_path / "run") == "nfs4"
    assert filesystem_of(tmp_path / "local" / "run") == "xfs"
    assert filesystem_of(Path(f"{tmp_path}-beside")) == "ext4"
    mounts.append(Partition(str(tmp_path), "tmpfs"))
    assert filesystem_of(tmp_path / "run") == "tmpfs"


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "lustre"])
def test_a_run_is_neither_made_nor_gone_on_with_on_a_network(mounts, tmp_path, kind) -> None:
    run = tmp_path / "run"
    with Store.create(run, {}) as store:
        store.propose([individual()])
    mounts.append(Partition(str(tmp_path), kind))
    advice = rf"network file system \({kind}\).* choose a folder on a disk of this machine"
    with pytest.raises(RunError, match=advice):
        Store.open(run)
    with pytest.raises(RunError, match=advice):
        Store.create(tmp_path / "other", {})
    assert not (tmp_path / "other").exists()
    with Store.read(run) as reader:
        assert reader.individual("0") == individual()


def test_this_machine_says_where_its_folders_lie(tmp_path: Path) -> None:
    assert filesystem_of(tmp_path) != ""
