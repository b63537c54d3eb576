"""Where the poses come from that a refining network is trained to mend."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evopose.data.crops import CropCache
from evopose.data.loader import Batch
from evopose.data.pose_errors import error_rates, synthesise
from evopose.errors import DataError
from evopose.geometry import apply_affine, boxes_about, compose_affine, invert_affine

BOX_MARGIN = 1.2
"""A person's box is this much larger than the extent of the keypoints, as PoseFix takes it."""
LEAST_SIDE = 20.0
"""Of a box whose keypoints have no extent, in pixels of the image, before `BOX_MARGIN`."""
NEAR_IOU = 0.1
"""Persons are near each other if their boxes' intersection over union is at least this."""

_STREAM = 2
"""Sets these draws apart from the order (0) and the augmentation (1) of the same seed and epoch."""


class PoseSource(Protocol):
    """Gives each sample of a batch a pose to refine."""

    def poses(self, batch: Batch, epoch: int) -> NDArray[np.float32]:
        """Return (B, K, 3): x, y in pixels of the network's crop, above 0 where there is one.

        A function of the samples, their augmentation and the epoch alone, not of the batch.
        """


class SyntheticErrors:
    """Labelled keypoints with the errors of `pose_errors`, drawn anew every epoch.

    Keypoints that are not labelled, or lie outside the crop, have no place in the pose unless
    `estimates` has them; PoseFix's authors take them from another network's answers, and then err
    about those, too.

    Differs from the release: a person's area is the one of OKS, there the box's; persons are near
    by boxes around their labelled keypoints, there by the annotated boxes.
    """

    def __init__(self, cache: CropCache, seed: int, *, estimates: PoseSource | None = None) -> None:
        self._cache = cache
        self._seed = seed
        self._estimates = estimates
        self._in_image = _to_image(cache)
        self._near = near_persons(self._in_image, cache.image_ids)
        self._rates = error_rates(cache.skeleton)
        self._sigmas = np.array(cache.skeleton.sigmas)
        pairs = cache.skeleton.flip_pairs
        self._flip_index = None if pairs is None else cache.skeleton.flip_index

    def poses(self, batch: Batch, epoch: int) -> NDArray[np.float32]:
        """Return (B, K, 3): x, y in pixels of the network's crop, above 0 where there is one."""
        estimated = None if self._estimates is None else self._estimates.poses(batch, epoch)
        found = np.zeros((*batch.visibility.shape, 3), np.float32)
        for i, place in enumerate(batch.index.tolist()):
            affine = compose_affine(batch.affines[i], self._cache.affines[place])
            found[i] = synthesise(
                batch.keypoints[i].astype(np.float64),
                batch.visibility[i] > 0,
                area=self._cache.areas[place] * abs(np.linalg.det(affine[:, :2])),
                sigmas=self._sigmas,
                flip_index=self._flip_index,
                near=self._moved(self._near[place], affine, flip=bool(batch.flip[i])),
                rates=self._rates,
                rng=np.random.default_rng([self._seed, epoch, _STREAM, place]),
                estimated=None if estimated is None else estimated[i],
            ).pose
        return found

    def _moved(
        self, places: NDArray[np.int64], affine: NDArray[np.floating], *, flip: bool
    ) -> NDArray[np.floating]:
        """Return these persons (M, K, 3) in the crop; the third number is 0 outside it."""
        persons = self._in_image[places]
        xy = apply_affine(affine, persons[..., :2])
        here = persons[..., 2] * _inside(xy, self._cache.spec.input_hw)
        moved = np.concatenate([xy, here[..., None]], axis=-1)
        return moved[:, self._flip_index] if flip else moved


class GivenPoses:
    """Poses that another network found once, moved along with every augmentation.

    `predictions` (N, K, 3), in the cache's order: x, y in pixels of the stored crop, and a number
    above 0 where there is a keypoint. What comes to lie outside the network's crop has no place in
    the pose.

    Raises: DataError if these are not one pose for each crop.
    """

    def __init__(self, cache: CropCache, predictions: NDArray[np.floating]) -> None:
        expected = cache.keypoints.shape
        if predictions.shape != expected:
            raise DataError(
                f"expected poses of shape {expected}, one for each crop, got {predictions.shape}"
            )
        self._cache = cache
        self._poses = predictions.astype(np.float64)

    def poses(self, batch: Batch, epoch: int) -> NDArray[np.float32]:
        """Return (B, K, 3): x, y in pixels of the network's crop, above 0 where there is one."""
        given = self._poses[batch.index]
        affines = batch.affines
        xy = np.einsum("bij,bkj->bki", affines[:, :, :2], given[..., :2]) + affines[:, None, :, 2]
        known = given[..., 2] * ((given[..., 2] > 0) & _inside(xy, self._cache.spec.input_hw))
        moved = np.concatenate([np.where(known[..., None] > 0, xy, 0.0), known[..., None]], axis=-1)
        if batch.flip.any():
            moved[batch.flip] = moved[batch.flip][:, self._cache.skeleton.flip_index]
        return moved.astype(np.float32)


def near_persons(
    keypoints: NDArray[np.floating], image_ids: NDArray[np.int64]
) -> list[NDArray[np.int64]]:
    """Return the places of the persons near each person (N, K, 3: x, y, visibility).

    Near are persons of the same image whose boxes have an intersection over union of at least 0.1.
    """
    known = keypoints[..., 2] > 0
    boxes = boxes_about(keypoints[..., :2], known, margin=BOX_MARGIN, least=LEAST_SIDE)
    near = [np.empty(0, np.int64)] * len(boxes)
    order = np.argsort(image_ids, kind="stable")
    starts = np.flatnonzero(np.diff(image_ids[order])) + 1
    for group in np.split(order, starts):
        if len(group) > 1:
            overlap = _iou(boxes[group]) >= NEAR_IOU
            np.fill_diagonal(overlap, False)
            for i, place in enumerate(group.tolist()):
                near[place] = group[overlap[i]]
    return near


def _to_image(cache: CropCache) -> NDArray[np.float64]:
    """Return the cache's keypoints (N, K, 3) in pixels of their images."""
    found = cache.keypoints.astype(np.float64)
    for i, affine in enumerate(cache.affines):
        found[i, :, :2] = apply_affine(invert_affine(affine), found[i, :, :2])
    return found


def _iou(boxes: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the intersection over union (N, N) of boxes (N, 4)."""
    low = np.maximum(boxes[:, None, :2], boxes[:, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[:, 2:])
    both = (high - low).clip(0).prod(axis=-1)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=-1)
    overlap: NDArray[np.floating] = both / (area[:, None] + area - both)
    return overlap


def _inside(xy: NDArray[np.floating], size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    return np.asarray(((xy >= 0) & (xy < size_hw[::-1])).all(axis=-1))
