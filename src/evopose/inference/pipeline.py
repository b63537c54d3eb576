"""From images and boxes to keypoints: crop, network, flip test, decode, refine."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from evopose.codecs import Codec
from evopose.codecs.reading import make_reader
from evopose.data.images import Image, warp_crop
from evopose.errors import DataError
from evopose.geometry import Array, apply_affine, box_to_crop, crop_affine, invert_affine
from evopose.inference import COUNTED
from evopose.inference.flip import mirror_back
from evopose.inference.runtimes import Crops, Heatmaps, PoseModel
from evopose.models.card import ModelCard

Keypoints = NDArray[np.float64]
MOST_WAITING = 150_000_000
"""Bytes of images, about two of 24 megapixels, beyond which none waits for a batch to be full."""


class PoseRefiner(Protocol):
    """What mends poses once they are found."""

    def refine_image(self, image: Image, keypoints: Keypoints) -> Keypoints:
        """Return the poses (P, K, 3) of an image (H, W, 3) in RGB, mended."""


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A network ready to find the keypoints of boxed persons; `open_pipeline` makes one."""

    model: PoseModel
    codec: Codec
    batch_size: int = 32
    """Crops that the network sees at once, from as many images as it takes."""
    flip_test: bool = True
    """Whether it also sees each crop mirrored: twice the time, a little more accuracy."""
    refiner: PoseRefiner | None = None

    @property
    def card(self) -> ModelCard:
        """What the network's file says of it."""
        return self.model.card

    def predict(self, image: Image, boxes_xyxy: Array) -> Keypoints:
        """Return keypoints (P, K, 3: x, y in pixels of the image, score) of boxes (P, 4).

        `image` is (H, W, 3) uint8 in RGB. Raises: DataError for a box without an area.
        """
        (found,) = self.predict_each([(image, boxes_xyxy)])
        return found

    def predict_each(self, pictures: Iterable[tuple[Image, Array]]) -> Iterator[Keypoints]:
        """Yield what `predict` returns for each image with its boxes, in batches across images."""
        waiting: list[_Cut] = []
        for image, boxes in pictures:
            waiting.append(self._cut(image, boxes))
            persons = sum(len(one.crops) for one in waiting)
            held = sum(one.image.nbytes for one in waiting)
            if max(persons, len(waiting)) >= self.batch_size or held >= MOST_WAITING:
                yield from self._found(waiting)
                waiting = []
        if waiting:
            yield from self._found(waiting)

    def _cut(self, image: Image, boxes_xyxy: Array) -> "_Cut":
        boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
        require_areas(boxes)
        size = self.card.input_hw
        affines = []
        for box in boxes:
            at = box_to_crop(box, input_hw=size, padding=self.card.input.box_padding)
            affines.append(crop_affine(*at, input_hw=size, align_corners=self.codec.align_corners))
        crops = [warp_crop(image, affine, size_hw=size) for affine in affines]
        return _Cut(image=image, affines=affines, crops=crops)

    def _found(self, pictures: list["_Cut"]) -> Iterator[Keypoints]:
        crops = [crop for one in pictures for crop in one.crops]
        found = [np.empty((0, len(self.card.skeleton), 3))]
        for first in range(0, len(crops), self.batch_size):
            heatmaps = self.heatmaps(np.stack(crops[first : first + self.batch_size]))
            xy, scores = self.codec.decode(heatmaps)
            found.append(np.concatenate([xy, scores[..., None]], axis=2))
        ends = np.cumsum([len(one.crops) for one in pictures])
        for one, poses in zip(pictures, np.split(np.concatenate(found), ends[:-1]), strict=True):
            for pose, affine in zip(poses, one.affines, strict=True):
                pose[:, :2] = apply_affine(invert_affine(affine), pose[:, :2])
            yield self.refiner.refine_image(one.image, poses) if self.refiner else poses

    def heatmaps(self, crops: Crops) -> Heatmaps:
        """Return the heatmaps (N, K, h, w) of crops (N, H, W, 3), the flip test's mean if set."""
        answer = self.model.heatmaps(crops)
        if self.flip_test:
            # OpenCV mirrors a crop twenty times as fast as NumPy copies one backwards.
            mirrored = np.stack([np.asarray(cv2.flip(crop, 1), np.uint8) for crop in crops])
            index = self.card.skeleton.flip_index
            answer += mirror_back(self.model.heatmaps(mirrored), index, self.codec.flip_shift)
            answer /= 2
        return answer


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """An image on its way through the network: its crops, and how each was cut."""

    image: Image
    affines: list[Array]
    crops: list[Image]


def open_pipeline(
    model: PoseModel,
    *,
    batch_size: int = 32,
    flip_test: bool = True,
    refiner: PoseRefiner | None = None,
    decoder: str | None = None,
) -> Pipeline:
    """Return the pipeline of a network that is ready to run (see `evopose.inference.runtimes`).

    `decoder` names the codec by whose decoding keypoints are found, None: the model's own.

    Raises: DataError for a flip test of a skeleton whose left-right pairs are unknown; ConfigError
    for a decoder that cannot read its heatmaps.
    """
    card = model.card
    if flip_test:
        _ = card.skeleton.flip_index  # says what is missing, before anything is computed
    codec = make_reader(
        decoder or card.codec.name,
        card.codec.name,
        input_hw=card.input_hw,
        heatmap_hw=model.heatmap_hw,
        **card.codec.params,
    )
    return Pipeline(
        model=model, codec=codec, batch_size=batch_size, flip_test=flip_test, refiner=refiner
    )


def require_areas(boxes_xyxy: Array) -> None:
    """Raise DataError for a box (P, 4) that is not finite, or has no width or height."""
    usable = np.isfinite(boxes_xyxy).all(axis=1)
    usable &= (boxes_xyxy[:, 2:] > boxes_xyxy[:, :2]).all(axis=1)
    for box in boxes_xyxy[~usable].tolist():
        raise DataError(
            "a person's box needs a width and a height above 0; left, top, right and bottom are "
            f"{', '.join(f'{v:g}' for v in box)}"
        )


def person_scores(
    keypoints: NDArray[np.floating],
    box_scores: NDArray[np.floating],
    *,
    counted_above: float = COUNTED,
) -> NDArray[np.float64]:
    """Return the scores (P,) of persons: box score (P,) times the mean of the keypoints' scores.

    Keypoints (P, K, 3) whose score is not above the threshold are left out of the mean; 0 where
    all are.

    Source: HRNet `lib/dataset/coco.py`, `evaluate` (rescoring).
    """
    scores = np.asarray(keypoints, np.float64)[..., 2]
    counted = scores > counted_above
    mean = np.where(counted, scores, 0).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    return np.asarray(box_scores * mean, np.float64)
