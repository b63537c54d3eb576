"""Where the workers of a search find what it keeps: weights, crops, half-done trainings."""

import hashlib
import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evopose.data.crops import open_crops
from evopose.data.home import build_once
from evopose.errors import ConfigError, DataError, RunError
from evopose.evolution.jobs import Heartbeat, Job
from evopose.evolution.shared_blobs import Blobs, file_system, is_url, open_blobs
from evopose.home import cache_home
from evopose.search.versions import require_same_versions

MARKER = b"The machine that reads this sees the weights of the search."
CROP_FILES = ("images.u8", "samples.npz", "meta.json")
"""Of the crops' folder, in the order of writing: with the last one it is whole."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Folders of this machine, or what all machines of a cluster see: folders or URLs."""

    blobs: str
    """Of the weights: a folder or a URL."""
    work: str | None
    """The folder of unfinished trainings; None: each machine has its own, and an attempt that
    another machine makes begins anew."""
    logs: str | None
    """The folder to which workers may add; None: they send what belongs there."""
    crops: str | None
    """The folder or URL with the crops; None: where they lie on this machine."""

    @property
    def shared(self) -> bool:
        """Whether weights must be carried between here and the run's own folder."""
        return self.logs is None


def places_of(run: Path, shared: str | None) -> Places:
    """Return the places of a run: in its folder, or below what `--shared` names."""
    run = run.resolve()
    if shared is None:
        folders = {name: str(run / name) for name in ("blobs", "work", "logs")}
        return Places(**folders, crops=None)
    root = shared.rstrip("/") if is_url(shared) else str(Path(shared).resolve())
    which = hashlib.sha256(f"{socket.gethostname()}:{run}".encode()).hexdigest()[:8]
    own = f"{root}/runs/{run.name}-{which}"  # the same when it goes on; another run's never
    work = None if is_url(root) else f"{own}/work"
    return Places(blobs=f"{own}/blobs", work=work, logs=None, crops=f"{root}/crops")


def blobs_at(place: str) -> Blobs:
    """Return the weights at a place, those of a URL kept in the cache of this machine."""
    return open_blobs(place, cache_home() / "blobs")


@contextmanager
def work_folder(job: Job) -> Iterator[Path]:
    """Give the folder in which a training keeps its checkpoint."""
    if job["work"] is not None:
        yield Path(job["work"])
        return
    scratch = cache_home() / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix=f"{job['id']}-") as folder:
        yield Path(folder)


# Crops


def crops_place(places: Places, folder: str) -> str:
    """Return where workers find the crops that lie in `folder` here."""
    return folder if places.crops is None else f"{places.crops}/{Path(folder).name}"


def publish_crops(places: Places, folder: str) -> None:
    """Copy the crops in a folder of this machine to where workers find them, unless they are
    there. Raises: DataError if that cannot be."""
    place, here = crops_place(places, folder), Path(folder)
    if place == folder:
        return
    try:
        if not is_url(place):
            build_once(Path(place), lambda there: _copy(here, there), usable=_usable)
            return
        fs, root = file_system(place)
        if fs.exists(f"{root}/{CROP_FILES[-1]}"):
            return
        fs.makedirs(root, exist_ok=True)
        for name in CROP_FILES:
            fs.put_file(str(here / name), f"{root}/{name}")
    except (DataError, OSError) as error:
        reason = error.__cause__ or error  # of `build_once`, which speaks of a cache
        raise DataError(
            f"cannot copy crops to {place}: {reason}; see that --shared can be written"
        ) from error


def crops_here(place: str) -> Path:
    """Return the folder of crops: the place itself or, of a URL, a copy in this machine's cache.

    Raises: DataError if they are not there.
    """
    if not is_url(place):
        return Path(place)
    fs, root = file_system(place)

    def fetch(folder: Path) -> None:
        for name in CROP_FILES:
            try:
                fs.get_file(f"{root}/{name}", str(folder / name))
            except FileNotFoundError as error:
                raise DataError(f"there are no crops at {place}: {name} is missing") from error

    name = root.rpartition("/")[2]
    return build_once(cache_home() / "crops" / name, fetch, usable=_usable)


def _copy(here: Path, there: Path) -> None:
    for name in CROP_FILES:
        shutil.copyfile(here / name, there / name)


def _usable(folder: Path) -> bool:
    try:
        open_crops(folder)
    except DataError:
        return False
    return True


def require_shared(shared: str) -> None:
    """Raise ConfigError if what `--shared` names cannot be written or read."""
    fs, root = file_system(shared)
    probe = f"{root}/probe-{uuid.uuid4().hex}"
    try:
        fs.makedirs(root, exist_ok=True)
        fs.pipe_file(probe, MARKER)
        found = fs.cat_file(probe)
        fs.rm_file(probe)
    except Exception as error:  # each kind of file system has its own
        raise ConfigError(
            f"--shared {shared} cannot be used: {error}; name a folder or URL that all machines "
            "can read and write"
        ) from error
    if found != MARKER:
        raise ConfigError(f"--shared {shared} does not give back what was written; name another")


def clear_blobs(places: Places) -> None:
    """Delete all weights at the shared place: the run's folder has its own."""
    assert places.shared
    fs, root = file_system(places.blobs)
    if fs.exists(root):
        fs.rm(root, recursive=True)


@contextmanager
def tidied(places: Places, work: Path) -> Iterator[None]:
    """Leave nothing at the places when the search ends, but the run's own and what was
    interrupted: that goes on from the folder `work`."""
    try:
        yield
    finally:
        with suppress(OSError):
            clear_blobs(places) if places.shared else forget_marker(places)
        folders = [work, work.parent] if places.shared and places.work else [work]
        for folder in folders:
            with suppress(OSError):  # not empty, or not there
                folder.rmdir()


# What a worker must be able to do


def check_job(places: Places, crops: set[str], versions: dict[str, str]) -> Job:
    """Return the job that finds out whether a machine can work for a search on the crops in these
    folders. Raises: ConfigError if weights cannot be put where it would look for them."""
    try:
        marker = blobs_at(places.blobs).put(MARKER)
    except OSError as error:
        raise ConfigError(
            f"cannot keep weights in {places.blobs}: {error}; see that --shared can be written"
        ) from error
    return {
        "function": "evopose.search.places:check_worker",
        "blobs": places.blobs,
        "marker": marker,
        "crops": sorted(crops_place(places, folder) for folder in crops),
        "versions": versions,
    }


def forget_marker(places: Places) -> None:
    """Delete what `check_job` left where the weights lie."""
    with suppress(OSError):
        blobs_at(places.blobs).delete(hashlib.sha256(MARKER).hexdigest())


def check_worker(job: Job, heartbeat: Heartbeat) -> dict[str, Any]:
    """Return what this machine is. Raises: ConfigError if it cannot work for the search: it has
    other versions, cannot read the crops, or cannot exchange weights."""
    host = socket.gethostname()
    require_same_versions(job["versions"], host)
    mend = (
        "give --shared a folder that every machine sees under the same name, or a URL that every "
        "machine can read and write"
    )
    for place in job["crops"]:
        try:
            open_crops(crops_here(place))
        except (DataError, OSError) as error:
            raise ConfigError(
                f"{host} cannot read the crops at {place}: {error}. {mend}"
            ) from error
    blobs, content = blobs_at(job["blobs"]), f"{host} {uuid.uuid4().hex}".encode()
    try:
        blobs.read(job["marker"])
        digest = blobs.put(content)
        blobs.read(digest)
        blobs.delete(digest)
    except (OSError, RunError) as error:
        reason = f"{host} cannot exchange weights in {job['blobs']}: {error}. {mend}"
        raise ConfigError(reason) from error
    return {"host": host}
