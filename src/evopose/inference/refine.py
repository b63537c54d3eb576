"""Mending poses: a network that sees crop and pose, its answer averaged over the mirror image.

Source: PoseFix (arXiv 1812.03595); mks0601/PoseFix_RELEASE `main/test.py`, `main/gen_batch.py` and
`data/COCO/dataset.py` (`input_pose_load`) at 5556364.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evopose.codecs import Codec, make_codec
from evopose.data.images import Image, warp_crop
from evopose.data.pose_sources import BOX_MARGIN, LEAST_SIDE
from evopose.errors import ModelError
from evopose.geometry import (
    apply_affine,
    box_to_crop,
    boxes_about,
    crop_affine,
    invert_affine,
)
from evopose.models.card import ModelCard
from evopose.models.modelfile import LoadedModel, load_model
from evopose.models.pixels import normalise
from evopose.models.posefix import PoseFix

Poses = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Refiner:
    """A network ready to mend poses; `open_refiner` or `Refiner.load` makes one."""

    net: PoseFix
    card: ModelCard
    codec: Codec
    """Reads the network's answers."""
    device: torch.device
    batch_size: int = 32
    """Crops that the network sees at once."""
    flip_test: bool = True
    """Whether it also sees each crop mirrored: twice the time, a little more accuracy."""

    @classmethod
    def load(cls, path: str | Path, **options: Any) -> "Refiner":
        """Return the refiner of a model file; `options` are those of `open_refiner`."""
        return open_refiner(load_model(path), **options)

    def refine_image(self, image: Image, keypoints: NDArray[np.floating]) -> Poses:
        """Return the poses (P, K, 3: x, y in pixels of the image, score) of an image, mended.

        `image` is (H, W, 3) uint8 in RGB. A crop is cut about the known keypoints of each pose:
        those that are finite and have a score above 0. Scores stay as they came; a keypoint that
        was not known gets a place, and keeps its score. A pose of which nothing is known stays
        as it came.

        Differs from the release: there every keypoint of a pose counts as known.
        """
        poses = np.array(keypoints, np.float64)
        self._check(poses)
        known = np.isfinite(poses).all(axis=2) & (poses[..., 2] > 0)
        some = np.flatnonzero(known.any(axis=1))
        if not len(some):
            return poses
        boxes = boxes_about(poses[some, :, :2], known[some], margin=BOX_MARGIN, least=LEAST_SIDE)
        affines = [self._affine(box) for box in boxes]
        size = self.card.input_hw
        crops = np.stack([warp_crop(image, affine, size_hw=size) for affine in affines])
        asked = np.concatenate([poses[some, :, :2], known[some][..., None]], axis=2)
        for pose, affine in zip(asked, affines, strict=True):
            pose[:, :2] = apply_affine(affine, pose[:, :2])
        for place, xy, affine in zip(some, self.refine(crops, asked), affines, strict=True):
            poses[place, :, :2] = apply_affine(invert_affine(affine), xy[:, :2])
        return poses

    def refine(self, crops: NDArray[np.uint8], poses: NDArray[np.floating]) -> Poses:
        """Return poses (N, K, 3: x, y in pixels of the crop), mended, in crops (N, H, W, 3) RGB.

        Keypoints are known where the third number is above 0, which stays as it came.
        """
        self._check(poses)
        mended = np.array(poses, np.float64)
        for first in range(0, len(crops), self.batch_size):
            piece = slice(first, first + self.batch_size)
            mended[piece, :, :2] = self._coordinates(crops[piece], poses[piece])
        return mended

    @torch.inference_mode()
    def _coordinates(
        self, crops: NDArray[np.uint8], poses: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """Return (n, K, 2) in crop pixels, the flip test's mean if set."""
        images = normalise(crops, self.device, self.card.input)
        xy = self._answer(images, poses)
        if self.flip_test:
            xy = (xy + self._mirrored(self._answer(images.flip(3), self._mirrored(poses)))) / 2
        return xy

    def _answer(self, images: Tensor, poses: NDArray[np.floating]) -> NDArray[np.float64]:
        given = torch.from_numpy(np.asarray(poses, np.float32)).to(self.device)
        xy, _ = self.codec.decode(self.net(images, given).float().cpu().numpy())
        return xy

    def _mirrored(self, poses: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return poses (n, K, 2 or 3) as the mirrored crop shows them."""
        swapped = poses[:, self.card.skeleton.flip_index]
        x = self.card.input_hw[1] - 1 - swapped[..., :1]
        return np.concatenate([x, swapped[..., 1:]], axis=-1)

    def _affine(self, box: NDArray[np.floating]) -> NDArray[np.floating]:
        size = self.card.input_hw
        at = box_to_crop(box, input_hw=size, padding=self.card.input.box_padding)
        return crop_affine(*at, input_hw=size)

    def _check(self, poses: NDArray[np.floating]) -> None:
        count = len(self.card.skeleton)
        if poses.ndim != 3 or poses.shape[1:] != (count, 3):
            raise ModelError(
                f"this network mends poses of {count} keypoints, (N, {count}, 3); got poses of "
                f"shape {poses.shape}"
            )


def open_refiner(
    model: LoadedModel,
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 32,
    flip_test: bool = True,
) -> Refiner:
    """Return the refiner of a loaded model, its network moved to the device.

    Raises: ModelError for a network that does not refine poses; DataError for a flip test of a
    skeleton whose left-right pairs are unknown.
    """
    net, card = model
    if not isinstance(net, PoseFix):
        raise ModelError(
            f"a {card.architecture} finds poses and mends none; to refine, give a model file of a "
            "posefix network"
        )
    if flip_test:
        _ = card.skeleton.flip_index  # says what is missing, before anything is computed
    place = torch.device(device)
    net.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    codec = make_codec(
        card.codec.name, input_hw=card.input_hw, heatmap_hw=net.heatmap_hw, **card.codec.params
    )
    return Refiner(
        net=net.eval(), card=card, codec=codec, device=place, batch_size=batch_size,
        flip_test=flip_test,
    )  # fmt: skip
