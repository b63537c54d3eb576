"""Checking a dataset: all of what is wrong with it, not the first thing."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evopose.data.checking.findings import LEVELS, Finding, remark
from evopose.data.checking.labels import check_labels
from evopose.data.checking.pictures import (
    check_groups,
    check_images,
    check_same_files,
    look_at_images,
)
from evopose.data.checking.reading import Labels, read_labels
from evopose.data.checking.skeletons import check_skeletons, flip_pairs_known, sigmas_known
from evopose.data.files import annotation_files, image_folders
from evopose.data.home import Progress
from evopose.data.layouts import named_folder, open_dataset
from evopose.errors import DataError
from evopose.structures import PoseDataset

__all__ = ["LEVELS", "CheckReport", "Finding", "SplitSummary", "check_dataset"]


@dataclass(frozen=True, kw_only=True)
class SplitSummary:
    """One annotation file in numbers."""

    file: str
    images: int
    empty: int
    """Images without a person to train on."""
    persons: int
    """With labelled keypoints, no crowds."""
    crowds: int
    unlabelled: int
    """Neither."""
    keypoints: int
    """Labelled keypoints of the persons."""
    labelled: dict[str, float]
    """Share of the persons in which each keypoint is labelled."""
    hidden: dict[str, float]
    """Share of the labelled ones of each keypoint that are hidden (visibility 1)."""


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """What a check found."""

    source: str
    findings: tuple[Finding, ...]
    """Errors first."""
    splits: dict[str, SplitSummary]
    keypoints: tuple[str, ...]
    flip_pairs: str
    """"given", "from names", "none", "unknown", or empty: no skeleton."""
    sigmas: str
    """"given", "COCO's", "assumed", or empty: no skeleton."""
    labels: tuple[Labels, ...]

    def count(self, level: str) -> int:
        """Return how many findings have this level."""
        return sum(one.level == level for one in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "data": self.source,
            **{f"{level}s": self.count(level) for level in LEVELS},
            "findings": [one.to_json() for one in self.findings],
            "splits": {name: vars(split) for name, split in self.splits.items()},
            "keypoints": list(self.keypoints),
            "flip_pairs": self.flip_pairs,
            "sigmas": self.sigmas,
        }


def check_dataset(
    data: str | Path,
    *,
    annotations: str | Path | None = None,
    group: str | None = None,
    on_progress: Progress | None = None,
    workers: int | None = None,
) -> CheckReport:
    """Return all that is wrong with a dataset, or to be known of it. Every image is opened.

    `data` and `annotations` as of `open_dataset`; `group` as of `groups_of`: groups of images that
    no two splits may share. A single file is taken as it will be split, 80 / 10 / 10 by image.

    Raises: DataError where there are no annotation files to check, ConfigError for a bad `group`.
    """
    root = named_folder(str(data), 0, on_progress) or Path(data).expanduser()
    files = annotation_files(root, annotations)
    read = [read_labels(s, f, image_folders(s, f, root)) for s, f in files.items()]
    labels = [one for one in read if isinstance(one, Labels)]
    findings = [one for one in read if isinstance(one, Finding)]
    findings += [one for split in labels for one in (*split.findings, *check_labels(split))]
    findings += check_skeletons(labels)
    looks = look_at_images(labels, on_progress=on_progress, workers=workers)
    findings += check_images(looks)
    opened, refused = _as_training_sees_it(data, annotations)
    # What is wrong without a finding is told in the words of the reader that refuses it.
    findings += [] if any(one.level == "error" for one in findings) else refused
    findings += _missing_splits(files)
    split_of = _splits_of_images(opened) if list(files) == ["all"] else {}
    findings += check_same_files(looks, split_of)
    if group is not None:
        findings += check_groups(labels, group, split_of)
    skeleton = next((s for s in labels if s.skeleton is not None), None)
    return CheckReport(
        source=str(data),
        findings=tuple(sorted(findings, key=lambda one: LEVELS.index(one.level))),
        splits={one.split: _summary(one) for one in labels},
        keypoints=skeleton.skeleton.keypoints if skeleton and skeleton.skeleton else (),
        flip_pairs=flip_pairs_known(skeleton) if skeleton else "",
        sigmas=sigmas_known(skeleton) if skeleton else "",
        labels=tuple(labels),
    )


def _as_training_sees_it(
    data: str | Path, annotations: str | Path | None
) -> tuple[dict[str, PoseDataset], list[Finding]]:
    """Return the splits that other verbs see, or the reason why they refuse the dataset."""
    log = logging.getLogger("evopose.data")
    before = log.level
    log.setLevel(logging.ERROR)  # what reading warns of is among the findings
    try:
        return open_dataset(data, annotations=annotations).found, []
    except DataError as error:
        return {}, [remark("error", "refused", "", str(error))]
    finally:
        log.setLevel(before)


def _missing_splits(files: Mapping[str, Path]) -> list[Finding]:
    absent = [s for s in ("train", "val") if s not in files and "all" not in files]
    return [
        remark("warning", "no-split", "", f"there is no {split} split, which evolve and train need",
               "evopose data split makes splits of one file")
        for split in absent
    ]  # fmt: skip


def _splits_of_images(opened: Mapping[str, PoseDataset]) -> dict[int, str]:
    """Return the split of each image of a single file, as other verbs split it."""
    return {image.id: name for name, dataset in opened.items() for image in dataset.images}


def _summary(labels: Labels) -> SplitSummary:
    persons, crowds = labels.persons, labels.crowd
    shown = labels.labelled[persons]
    hidden = (labels.keypoints[persons, :, 2] == 1).sum(axis=0)
    peopled = {i for i, p in zip(labels.image_ids, persons, strict=True) if p}
    keypoints = labels.category["keypoints"]
    names = [str(name) for name in (keypoints if isinstance(keypoints, list) else ["?"])]
    each = shown.sum(axis=0)
    return SplitSummary(
        file=str(labels.file),
        images=len(labels.pictures),
        empty=len(labels.pictures.keys() - peopled),
        persons=int(persons.sum()),
        crowds=int(crowds.sum()),
        unlabelled=int((~persons & ~crowds).sum()),
        keypoints=int(shown.sum()),
        labelled=dict(zip(names, (each / max(1, len(shown))).round(4).tolist(), strict=True)),
        hidden=dict(zip(names, (hidden / np.maximum(each, 1)).round(4).tolist(), strict=True)),
    )
