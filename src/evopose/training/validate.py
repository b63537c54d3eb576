"""Validation: the loss and the mean OKS of a network over stored crops."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from evopose.codecs import Codec
from evopose.data.augment import Augmentation
from evopose.data.crops import CropCache
from evopose.data.loader import Batch, batches
from evopose.data.pose_sources import PoseSource
from evopose.metrics.oks import oks
from evopose.models.inputs import InputSpec
from evopose.models.pixels import normalise
from evopose.training.losses import LOSSES, Loss
from evopose.training.processes import Share, summed, total


@dataclass(frozen=True, kw_only=True)
class TrainData:
    """Some persons of a crop cache."""

    cache: CropCache
    indices: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.indices)

    def names(self, indices: NDArray[np.intp]) -> list[str]:
        """Return what to call these persons of the cache in a message."""
        images, persons = self.cache.image_ids, self.cache.ids
        return [f"{images[int(i)]} (annotation {persons[int(i)]})" for i in indices]


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """What stands between pixels and coordinates: the network's input, and its codec."""

    input: InputSpec
    codec: Codec


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a loss holds a batch's outputs against, and what the network gets beside images."""

    target: Tensor
    visibility: Tensor
    """(N, K)."""
    poses: Tensor | None
    every_stage: bool

    def outputs(
        self, net: Callable[..., Any], images: Tensor, piece: slice = slice(None)
    ) -> tuple[Tensor, ...]:
        """Return the network's heatmaps (n, K, h, w) of a piece of the batch, in float32."""
        poses = () if self.poses is None else (self.poses[piece],)
        if not self.every_stage:
            return (net(images, *poses).float(),)
        return tuple(stage.float() for stage in net(images, *poses, every_stage=True))


def judge(
    loss: Loss,
    encoder: Encoder,
    batch: Batch,
    device: torch.device,
    poses: PoseSource | None = None,
    epoch: int = 0,
) -> Judged:
    """Return what `loss` needs of `batch`, on the device."""
    target = loss.target(encoder.codec, batch.keypoints, batch.visibility)
    given = None if poses is None else torch.from_numpy(poses.poses(batch, epoch)).to(device)
    return Judged(
        target=torch.from_numpy(target).to(device),
        visibility=torch.from_numpy(batch.visibility).to(device),
        poses=given,
        every_stage=loss.every_stage,
    )


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What a pass over the validation persons gave."""

    loss: float
    mean_oks: float
    oks: NDArray[np.float64]
    """(N,) for each person, NaN where nothing is labelled."""
    xy_crop: NDArray[np.float64]
    """(N, K, 2) predictions in crop pixels."""
    scores: NDArray[np.float64]
    """(N, K)."""
    seconds: float


@torch.no_grad()
def validate(
    net: nn.Module,
    data: TrainData,
    *,
    encoder: Encoder,
    loss: str,
    batch_size: int,
    fabric: Any,
    poses: PoseSource | None = None,
    on_batch: Callable[[], None] = lambda: None,
) -> Validation:
    """Return loss, OKS and predictions of `net` on the crops as they are, without augmentation.

    `on_batch` is called after each batch: a sign of life. Processes that train together share the
    persons, and each gets the whole.
    """
    begun = time.monotonic()
    was_training = net.training
    net.eval()
    numerators = divisors = 0.0
    mine = Share.of(fabric).rows
    found = [_nobody(data)]
    for batch in batches(
        data.cache,
        indices=data.indices[mine],
        batch_size=batch_size,
        augmentation=Augmentation.none(),
        seed=0,
        epoch=0,
        shuffle=False,
    ):
        asked = judge(LOSSES[loss], encoder, batch, fabric.device, poses)
        with fabric.autocast():
            outputs = asked.outputs(net, normalise(batch.images, fabric.device, encoder.input))
        numerator, divisor = LOSSES[loss](outputs, asked.target, asked.visibility)
        numerators += numerator.item()
        divisors += divisor.item()
        found.append(encoder.codec.decode(outputs[-1].cpu().numpy()))
        on_batch()
    net.train(was_training)
    xy_crop, scores = (
        _gathered(fabric, np.concatenate(parts), mine, len(data))
        for parts in zip(*found, strict=True)
    )
    per_person = crop_oks(data, xy_crop)
    return Validation(
        loss=total(fabric, numerators) / max(total(fabric, divisors), 1.0),
        mean_oks=float(np.nanmean(per_person)) if np.isfinite(per_person).any() else 0.0,
        oks=per_person,
        xy_crop=xy_crop,
        scores=scores,
        seconds=time.monotonic() - begun,
    )


def _nobody(data: TrainData) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return predictions and scores of no person."""
    keypoints = data.cache.keypoints.shape[1]
    return np.empty((0, keypoints, 2)), np.empty((0, keypoints))


def _gathered(
    fabric: Any, part: NDArray[np.float64], places: slice, count: int
) -> NDArray[np.float64]:
    """Return (count, ...): what every process has, each at its own places."""
    if fabric.world_size == 1:
        return part
    whole = torch.zeros((count, *part.shape[1:]), dtype=torch.float64, device=fabric.device)
    whole[places] = torch.from_numpy(part).to(whole)
    gathered: NDArray[np.float64] = summed(whole).cpu().numpy()
    return gathered


def crop_oks(data: TrainData, xy_crop: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the OKS (N,) of predictions (N, K, 2) in crop pixels.

    OKS is free of scale, so it is taken in the pixels of the stored crops, areas scaled alike.
    """
    cache, chosen = data.cache, data.indices
    zoom = np.linalg.det(cache.affines[chosen][:, :, :2])
    return oks(
        xy_crop + np.array(cache.spec.offset_hw[::-1]),
        cache.keypoints[chosen],
        cache.areas[chosen] * zoom,
        np.array(cache.skeleton.sigmas),
    )
