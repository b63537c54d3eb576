"""Plain values that travel between the layers: images, labelled instances, datasets."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evopose.errors import DataError
from evopose.skeleton import Skeleton


@dataclass(frozen=True, kw_only=True)
class ImageRecord:
    """One image of a dataset; nothing is read until someone asks."""

    id: int
    path: Path
    height: int
    width: int
    added: bool = False
    """From a further dataset: it trains, and nothing is measured on it."""


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One labelled person (animal, tool) in one image."""

    id: int
    image_id: int
    box_xyxy: NDArray[np.float64]
    """(4,) in pixels of the image; may reach out of it."""
    keypoints: NDArray[np.float32]
    """(K, 3): x, y in pixels of the image, and COCO visibility (0 unlabelled, 1 hidden, 2 seen)."""
    area: float
    """Area of the segmentation in square pixels, the scale of OKS."""
    is_crowd: bool = False

    @property
    def num_labelled(self) -> int:
        """Number of keypoints with visibility above 0."""
        return int((self.keypoints[:, 2] > 0).sum())


@dataclass(frozen=True, kw_only=True)
class PoseDataset:
    """Images and instances of one split with one skeleton."""

    name: str
    skeleton: Skeleton
    images: tuple[ImageRecord, ...]
    instances: tuple[Instance, ...]
    """All of them, crowds and unlabelled ones included, in the file's order."""
    skipped: dict[str, int] = field(default_factory=dict)
    """What training leaves out, counted by reason ("crowd", "no keypoints")."""
    areas_assumed: int = 0
    """Persons whose area the labels do not give, so that a part of their box is taken."""

    def __post_init__(self) -> None:
        known = {image.id for image in self.images}
        if len(known) != len(self.images):
            raise DataError(f"{self.name}: image ids must differ")
        count = len(self.skeleton)
        for one in self.instances:
            if one.image_id not in known:
                raise DataError(
                    f"{self.name}: annotation {one.id} names image {one.image_id}, which is not "
                    "among the images"
                )
            if one.keypoints.shape != (count, 3):
                raise DataError(
                    f"{self.name}: annotation {one.id} has keypoints of shape "
                    f"{one.keypoints.shape}, expected ({count}, 3) by the category"
                )

    @property
    def trainable(self) -> tuple[Instance, ...]:
        """Instances that training uses: no crowds, at least one labelled keypoint."""
        return tuple(i for i in self.instances if not i.is_crowd and i.num_labelled > 0)
