"""Checks that open every image: does it decode, is it as large as labelled, is it there twice."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2

from evopose.data.checking.findings import Finding, finding
from evopose.data.checking.reading import Labels, Picture
from evopose.data.files import SPLITS
from evopose.data.groups import groups_of
from evopose.data.home import Progress
from evopose.data.images import read_image
from evopose.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Look:
    """What opening an image told."""

    split: str
    picture: Picture
    wh: tuple[int, int] | None
    """None: it does not open."""
    digest: bytes
    peopled: bool
    """Whether it has persons to train on: only those images are cut into crops."""


def look_at_images(
    splits: Sequence[Labels], *, on_progress: Progress | None = None, workers: int | None = None
) -> list[Look]:
    """Return what opening each image that is there told, in the files' order."""
    jobs = [(labels, p) for labels in splits for p in labels.pictures.values() if p.path]
    peopled = {
        (labels.split, image)
        for labels in splits
        for image, person in zip(labels.image_ids, labels.persons, strict=True)
        if person
    }

    def look(job: tuple[Labels, Picture]) -> Look:
        labels, picture = job
        assert picture.path is not None
        digest, wh = b"", None
        try:
            digest = hashlib.sha256(picture.path.read_bytes()).digest()
            height, width = read_image(picture.path).shape[:2]
            wh = (width, height)
        except (OSError, DataError):
            pass  # `wh` says so
        return Look(split=labels.split, picture=picture, wh=wh, digest=digest,
                    peopled=(labels.split, picture.id) in peopled)  # fmt: skip

    opencv_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # ours are enough
    looks = []
    try:
        with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
            for done, one in enumerate(pool.map(look, jobs), start=1):
                looks.append(one)
                if on_progress:
                    on_progress("images", done, len(jobs))
    finally:
        cv2.setNumThreads(opencv_threads)
    return looks


def check_images(looks: Sequence[Look]) -> list[Finding]:
    """Return which images do not open, or have another size."""
    found = []
    for split in dict.fromkeys(look.split for look in looks):
        own = [look for look in looks if look.split == split]
        for level, some in (("error", True), ("warning", False)):
            of = [look for look in own if look.peopled == some]
            found += finding(
                level, "image-unreadable", split, "image that does not open or is cut off",
                (look.picture.name for look in of if look.wh is None),
                "Replace it, or take it and its annotations out",
            )  # fmt: skip
            found += finding(
                level, "image-other-size", split, "image of another size than labelled",
                (_sizes(look) for look in of if look.wh not in (None, look.picture.wh)),
                "Replace the image, or mend width, height and labels (a turned photo's EXIF "
                "orientation is not applied)",
            )  # fmt: skip
    return found


def _sizes(look: Look) -> str:
    assert look.wh is not None
    width, height = look.picture.wh
    return f"{look.picture.name} ({look.wh[0]}x{look.wh[1]}, labelled {width}x{height})"


def check_same_files(looks: Sequence[Look], split_of: Mapping[int, str]) -> list[Finding]:
    """Return which images are there twice, and which of them in two splits.

    `split_of` names the splits of images by id, where one file holds all of them.
    """
    looks = [replace(one, split=split_of.get(one.picture.id, one.split)) for one in looks]
    by_content: defaultdict[bytes, list[Look]] = defaultdict(list)
    for look in looks:
        if look.digest:
            by_content[look.digest].append(look)
    leaks: defaultdict[str, list[str]] = defaultdict(list)
    within: defaultdict[str, list[str]] = defaultdict(list)
    for same in by_content.values():
        places = [s for s in SPLITS if s in {look.split for look in same}] or ["all"]
        if len(places) > 1:
            pair = " = ".join(_first_of(same, split).picture.name for split in places)
            leaks[" and ".join(places)].append(pair)
        for split in places:
            # A file that is listed twice is told when the labels are read.
            names = list(dict.fromkeys(look.picture.name for look in same if look.split == split))
            if len(names) > 1:
                within[split].append(" = ".join(names))
    found = []
    for where, names in leaks.items():
        found += finding(
            "error", "image-in-two-splits", "", f"image that is in {where}", names,
            "What is measured on these is too good: take them out of train",
        )  # fmt: skip
    for split, names in within.items():
        found += finding("warning", "image-twice", split, "image whose file is there twice", names,
                         "Take one out, or put all its persons in one")  # fmt: skip
    return found


def _first_of(looks: Iterable[Look], split: str) -> Look:
    return next(look for look in looks if look.split == split)


def check_groups(splits: Sequence[Labels], key: str, split_of: Mapping[int, str]) -> list[Finding]:
    """Return which groups of images are in several splits; `split_of` as `check_same_files` has it.

    Raises: ConfigError, DataError for a key that says nothing of some images.
    """
    places: defaultdict[str, list[str]] = defaultdict(list)
    for labels in splits:
        records = [p.record for p in labels.pictures.values()]
        groups = groups_of(records, key, where=str(labels.file), split=labels.split)
        for group, image in zip(groups, labels.pictures, strict=True):
            split = split_of.get(image, labels.split)
            if split not in places[group]:
                places[group].append(split)
    straddling = [
        f"{g} ({', '.join(sorted(s, key=SPLITS.index))})" for g, s in places.items() if len(s) > 1
    ]
    return finding(
        "error", "group-in-two-splits", "", f"group ({key}) that is in several splits",
        straddling, f"Split anew: evopose data split DATA --out DIR --group '{key}'",
    )  # fmt: skip
