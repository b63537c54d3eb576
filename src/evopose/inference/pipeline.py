"""From images and boxes to keypoints: crop, network, flip test, decode, refine."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evopose.codecs import Codec
from evopose.codecs.reading import make_reader
from evopose.data.images import Image, warp_crop
from evopose.errors import DataError, ModelError
from evopose.geometry import Array, apply_affine, box_to_crop, crop_affine, invert_affine
from evopose.inference.flip import mirror_back
from evopose.models.card import ModelCard
from evopose.models.modelfile import LoadedModel
from evopose.models.network import PoseNetwork
from evopose.models.pixels import normalise

Keypoints = NDArray[np.float64]

COUNTED = 0.2
"""Keypoints whose score is higher make up the person's score."""


class PoseRefiner(Protocol):
    """What mends poses once they are found."""

    def refine_image(self, image: Image, keypoints: Keypoints) -> Keypoints:
        """Return the poses (P, K, 3) of an image (H, W, 3) in RGB, mended."""


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A network ready to find the keypoints of boxed persons; `open_pipeline` makes one."""

    net: PoseNetwork
    card: ModelCard
    codec: Codec
    device: torch.device
    batch_size: int = 32
    """Crops that the network sees at once, from as many images as it takes."""
    flip_test: bool = True
    """Whether it also sees each crop mirrored: twice the time, a little more accuracy."""
    refiner: PoseRefiner | None = None

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
            if max(persons, len(waiting)) >= self.batch_size:
                yield from self._found(waiting)
                waiting = []
        if waiting:
            yield from self._found(waiting)

    def _cut(self, image: Image, boxes_xyxy: Array) -> "_Cut":
        boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
        usable = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        for box in boxes[~usable].tolist():
            raise DataError(
                "a person's box needs a width and a height above 0; left, top, right and bottom "
                f"are {', '.join(f'{v:g}' for v in box)}"
            )
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

    @torch.inference_mode()
    def heatmaps(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the heatmaps (N, K, h, w) of crops (N, H, W, 3), the flip test's mean if set."""
        images = normalise(crops, self.device, self.card.input)
        answer: Tensor = self.net(images).float()
        if self.flip_test:
            index = torch.from_numpy(self.card.skeleton.flip_index).to(self.device)
            mirrored = self.net(images.flip(3)).float()
            answer = (answer + mirror_back(mirrored, index, self.codec.flip_shift)) / 2
        return answer.cpu().numpy()


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """An image on its way through the network: its crops, and how each was cut."""

    image: Image
    affines: list[Array]
    crops: list[Image]


def open_pipeline(
    model: LoadedModel,
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 32,
    flip_test: bool = True,
    refiner: PoseRefiner | None = None,
    decoder: str | None = None,
) -> Pipeline:
    """Return the pipeline of a loaded model, its network moved to the device.

    `decoder` names the codec by whose decoding keypoints are found, None: the model's own.

    Raises: ModelError for a network that refines poses; DataError for a flip test of a skeleton
    whose left-right pairs are unknown; ConfigError for a decoder that cannot read its heatmaps.
    """
    net, card = model
    if net.refines:
        raise ModelError(
            "this network mends poses that another has found; give it as the refiner (--refine) "
            "beside a network that finds poses"
        )
    if flip_test:
        _ = card.skeleton.flip_index  # says what is missing, before anything is computed
    place = torch.device(device)
    net.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    codec = make_reader(
        decoder or card.codec.name,
        card.codec.name,
        input_hw=card.input_hw,
        heatmap_hw=net.heatmap_hw,
        **card.codec.params,
    )
    return Pipeline(
        net=net.eval(),
        card=card,
        codec=codec,
        device=place,
        batch_size=batch_size,
        flip_test=flip_test,
        refiner=refiner,
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
