"""What an importer makes of a source: checked images and instances, before anything is written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.skeleton import Skeleton

Record = dict[str, Any]
Points = NDArray[np.float64]

NOT_PUBLISHED = "OKS sigmas: none published for this dataset, 0.05 is assumed for each keypoint"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a user may tell an importer beside the source."""

    split: str | None = None
    """The split's name; None: what the source says, else train."""
    images: Path | None = None
    """Where the images lie, if not beside the labels."""
    categories: tuple[str, ...] = ()
    """Only annotations of these categories; empty: all."""
    skeleton: Path | None = None
    """A JSON that names keypoints, limbs, flip pairs, sigmas, for formats without names."""
    padding: float = 0.15
    """Where a format has no boxes: added about the keypoints, in parts of their longer extent."""


@dataclass(frozen=True, kw_only=True)
class FormatSkeleton:
    """A dataset's published keypoints, and where its OKS sigmas come from."""

    category: str
    skeleton: Skeleton
    sigmas_source: str


@dataclass(frozen=True, kw_only=True)
class LabelledImage:
    """An image as the labels name it."""

    id: int
    name: str
    """Path below the folder of images, with slashes."""
    size_wh: tuple[int, int] | None = None
    """As the labels say; None: they do not."""
    extra: Record = field(default_factory=dict)
    """What else the labels say of it."""


@dataclass(frozen=True, kw_only=True)
class LabelledInstance:
    """One person or animal, in evopose's pixels (centres at whole numbers, from 0)."""

    id: int
    image_id: int
    keypoints: Points
    """(K, 3): x, y and COCO visibility."""
    box_xywh: Points | None
    """(4,) left, top, width, height; None: to be put about the keypoints."""
    area: float | None = None
    """None: not given, `ASSUMED_AREA` of the box is taken."""
    is_crowd: bool = False
    extra: Record = field(default_factory=dict)
    """What else the labels say of it."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """One split of a source."""

    described: FormatSkeleton
    images: tuple[LabelledImage, ...]
    instances: tuple[LabelledInstance, ...]
    folders: tuple[Path, ...]
    """Where the images may lie, the first that holds one counts."""
    normalised: bool = False
    """Whether keypoints and boxes are in parts of their image's width and height."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """What was left out, counted by reason."""
    assumptions: tuple[str, ...] = ()
    """What the format does not say and was assumed or converted."""
