"""Where a database may lie: SQLite's locks and its shared memory need a disk of this machine.

Source: sqlite.org/wal.html, section 1 ("does not work over a network filesystem").
"""

from pathlib import Path

import psutil

from evopose.errors import RunError

NETWORK = frozenset(
    {
        "nfs", "nfs3", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afpfs", "webdav", "davfs",
        "afs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "orangefs", "pvfs2", "panfs",
        "wekafs", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.davfs2",
        "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.goofys", "fuse.mount-s3", "fuse.juicefs",
        "fuse.lizardfs", "fuse.moosefs",
    }
)  # fmt: skip
"""Names of file systems that lie on another machine, as the system calls them."""


def filesystem_of(folder: Path) -> str:
    """Return the kind of file system that a folder lies on, or would; empty if nobody knows."""
    place = folder.resolve()
    mounted = [
        (len(Path(part.mountpoint).parts), part.fstype)
        for part in psutil.disk_partitions(all=True)
        if place.is_relative_to(part.mountpoint)
    ]
    # Of several on one place the last one hides the others.
    deepest = max((depth for depth, _ in mounted), default=0)
    return str(next((kind for depth, kind in reversed(mounted) if depth == deepest), ""))


def require_local(folder: Path) -> None:
    """Raise RunError if a folder lies on a network file system, where SQLite may lose a run."""
    kind = filesystem_of(folder)
    if kind.lower() in NETWORK:
        raise RunError(
            f"{folder} lies on a network file system ({kind}), where SQLite can damage a run: "
            "choose a folder on a disk of this machine with --run, or move the run to one; what "
            "others should see of it can be copied there"
        )
