"""PoseFix's loss: where each keypoint probably is, and where it is on average.

The target is (N, K, 2) coordinates in pixels of the heatmap, made by `target`. The loss is a sum
(`value`) over what it is divided by (`divisor`), so that parts of a batch add up.

Source: mks0601/PoseFix_RELEASE `main/model.py` at 5556364, `make_network`,
`render_onehot_heatmap`, `extract_coordinate`.
"""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from evopose.models.posefix import soft_argmax


class Sizes(Protocol):
    """What `target` needs of a codec."""

    @property
    def input_hw(self) -> tuple[int, int]:
        """(height, width) of the crops."""

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """(height, width) of the heatmaps."""


def target(
    codec: Sizes, keypoints: NDArray[np.floating], visibility: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Return keypoints (N, K, 2) of the crop in pixels of the heatmap, (0, 0) staying (0, 0)."""
    scale = np.divide(codec.heatmap_hw[::-1], codec.input_hw[::-1])
    return np.asarray(keypoints * scale, np.float32)


def value(outputs: tuple[Tensor, ...], target: Tensor, visibility: Tensor) -> Tensor:
    """Return the loss of one network's logits (N, K, h, w), summed over labelled keypoints.

    For each: the cross-entropy between softmax(logits) and the four pixels around the target,
    weighted as bilinear interpolation does, and half the distance in x plus half that in y between
    the mean place under softmax(logits) and the target, in pixels of the heatmap. `target` is
    (N, K, 2), `visibility` (N, K) COCO's 0, 1 or 2; what is 0 adds nothing, whatever its target.
    """
    (logits,) = outputs
    labelled = visibility > 0
    truth = torch.where(labelled[..., None], target.float(), 0.0)
    away = (soft_argmax(logits) - truth).abs().mean(-1)
    return ((_cross_entropy(logits.float(), truth) + away) * labelled).sum()


def divisor(target: Tensor, visibility: Tensor) -> Tensor:
    """Return the number of keypoints, labelled or not, as in the release."""
    return target.new_tensor(float(visibility.numel()))


def _cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    """Return (N, K): minus the log-probabilities at the four pixels around `truth`, weighted.

    Pixels outside the heatmap have no part in it: the others' weights are made to sum to one.
    """
    height, width = logits.shape[2:]
    size = truth.new_tensor((width, height))
    low = truth.floor().clamp_min(0).minimum(size - 1)
    part = truth - low
    log_probability = functional.log_softmax(logits.flatten(2), -1)
    total = weights = torch.zeros_like(log_probability[..., 0])
    for dx, dy in ((0, 0), (0, 1), (1, 0), (1, 1)):
        step = truth.new_tensor((dx, dy))
        weight = torch.where(step > 0, part, 1 - part).prod(-1)
        weight = weight * (low + step < size).all(-1)
        x, y = (low + step).minimum(size - 1).long().unbind(-1)
        at = log_probability.gather(-1, (y * width + x)[..., None])[..., 0]
        total, weights = total - weight * at, weights + weight
    return total / torch.where(weights == 0, 1.0, weights)
