"""Building the cache of crops: every image decoded once."""

import errno
import hashlib
import json
import logging
import os
import shutil
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from evopose.data.crops import CropCache, CropSpec, open_crops, seal
from evopose.data.home import Progress, build_once
from evopose.data.images import read_image, warp_crop
from evopose.data.splits import file_key, labels_as_bytes
from evopose.errors import DataError
from evopose.geometry import apply_affine, box_to_crop, crop_affine
from evopose.home import cache_home
from evopose.structures import ImageRecord, PoseDataset

log = logging.getLogger(__name__)

FORMAT = 1
"""Raised when the same inputs would give other crops; older caches are then not used."""


def build_crops(
    dataset: PoseDataset,
    spec: CropSpec,
    *,
    cache_dir: Path | None = None,
    on_progress: Progress | None = None,
    workers: int | None = None,
) -> CropCache:
    """Return the crops of the dataset's trainable persons, cut now unless the cache has them.

    The cache (`cache_dir`, else `crops/` in the cache home) is keyed by labels, images (name, size,
    time of change) and `spec`. `workers` threads cut, as many as there are cores by default.

    Raises: DataError for an image that is unreadable or of another size than annotated, nobody to
    train on, or too little room on the disk.
    """
    if not dataset.trainable:
        raise DataError(f"{dataset.name} has no persons with keypoints to train on")
    digest = _digest(dataset, spec)
    threads = workers or os.cpu_count() or 1

    def build(folder: Path) -> None:
        arrays = _samples(dataset, spec)
        what = _announce(dataset, spec, folder)
        with (folder / "images.u8").open("wb") as file:
            _cut(dataset, arrays, spec, file.fileno(), threads, what, on_progress)
            os.fsync(file.fileno())
        seal(folder, spec=spec, skeleton=dataset.skeleton, digest=digest, arrays=arrays)

    folder = (cache_dir or cache_home() / "crops") / digest[:32]
    return open_crops(build_once(folder, build, usable=_usable))


def _usable(folder: Path) -> bool:
    try:
        open_crops(folder)
    except DataError as error:
        log.warning("%s", error)
        return False
    return True


def _samples(dataset: PoseDataset, spec: CropSpec) -> dict[str, NDArray[Any]]:
    """Return the arrays of a `CropCache` beside the images."""
    people = dataset.trainable
    affines = np.empty((len(people), 2, 3))
    keypoints = np.stack([one.keypoints for one in people]).astype(np.float32)
    for i, one in enumerate(people):
        centre, scale = box_to_crop(one.box_xyxy, input_hw=spec.input_hw, padding=spec.padding)
        affines[i] = crop_affine(
            centre, scale, input_hw=spec.input_hw, align_corners=spec.align_corners
        )
        affines[i, :, 2] += spec.offset_hw[::-1]
        keypoints[i, :, :2] = apply_affine(affines[i], one.keypoints[:, :2])
    return {
        "keypoints": keypoints,
        "affines": affines,
        "ids": np.array([one.id for one in people], np.int64),
        "image_ids": np.array([one.image_id for one in people], np.int64),
        "areas": np.array([one.area for one in people], np.float64),
    }


def _announce(dataset: PoseDataset, spec: CropSpec, folder: Path) -> str:
    """Return, and log, what is built and how large. Raises: DataError if the disk has less room."""
    height, width = spec.stored_hw
    needed = len(dataset.trainable) * height * width * 3
    free = shutil.disk_usage(folder).free
    what = f"crops of {dataset.name} at {height}x{width} ({needed / 1e6:,.0f} MB)"
    if needed > free:
        raise DataError(
            f"no room for {what} in {folder.parent}: {free / 1e6:,.0f} MB are free; make room, "
            "set EVOPOSE_HOME to a folder on a larger disk, or choose a smaller input"
        )
    log.info("building %s in %s", what, folder.parent)
    return what


def _cut(
    dataset: PoseDataset,
    arrays: dict[str, NDArray[Any]],
    spec: CropSpec,
    handle: int,
    threads: int,
    what: str,
    on_progress: Progress | None,
) -> None:
    """Write every crop at its place in the file; each image is read once."""
    rows: defaultdict[int, list[int]] = defaultdict(list)
    for row, image_id in enumerate(arrays["image_ids"].tolist()):
        rows[image_id].append(row)

    def cut(record: ImageRecord) -> None:
        image = read_image(record.path)
        if image.shape[:2] != (record.height, record.width):
            raise DataError(_other_size(record, image.shape))
        for row in rows[record.id]:
            crop = warp_crop(image, arrays["affines"][row], size_hw=spec.stored_hw)
            _write_at(handle, crop.tobytes(), row * crop.nbytes)

    records = [image for image in dataset.images if image.id in rows]
    opencv_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # ours are enough
    pool = ThreadPoolExecutor(threads)
    try:
        for done, job in enumerate(as_completed([pool.submit(cut, r) for r in records]), start=1):
            job.result()
            if on_progress:
                on_progress(what, done, len(records))
    finally:
        pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(opencv_threads)


def _write_at(handle: int, content: bytes, place: int) -> None:
    """Write to the file. On a full disk this raises; a write to mapped memory kills the process."""
    if os.pwrite(handle, content, place) < len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _other_size(record: ImageRecord, shape: Sequence[int]) -> str:
    turned = tuple(shape[1::-1]) == (record.height, record.width)
    return (
        f"image {record.path} has {shape[1]} x {shape[0]} pixels (width x height), its annotations "
        f"say {record.width} x {record.height}"
        f"{', as if turned by its EXIF orientation, which is not applied' if turned else ''}; "
        "replace the image, or mend width, height and labels"
    )


def _digest(dataset: PoseDataset, spec: CropSpec) -> str:
    """Return what names the crops: whatever would change a stored number changes it."""
    people = dataset.trainable
    used = {one.image_id for one in people}
    images = []
    for image in dataset.images:
        if image.id in used:
            stat = image.path.stat()
            images.append((image.id, file_key(image.path), stat.st_size, stat.st_mtime_ns))
    head = [FORMAT, spec.to_dict(), dataset.skeleton.to_json(), images]
    return hashlib.sha256(json.dumps(head).encode() + labels_as_bytes(people)).hexdigest()
