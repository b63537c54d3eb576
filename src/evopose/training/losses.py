"""Losses on heatmaps: sums and what to divide them by, so that parts of a batch add up.

Outputs are a tuple of (N, K, h, w) float32, one a stage that is supervised, the network's answer
last; visibility is (N, K) in COCO's 0, 1, 2, and 0 outside the crop.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from evopose.codecs.soft_argmax import usual_window
from evopose.models.importers.cpn import KERNELS as CPN_KERNELS
from evopose.training import refine_losses, stage_losses

Outputs = tuple[Tensor, ...]


class Encodes(Protocol):
    """What a loss needs of a codec."""

    def encode(
        self, xy_crop: NDArray[np.floating], visible: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Return heatmaps (N, K, h, w) of keypoints (N, K, 2) in crop pixels."""


def heatmap_target(
    codec: Encodes, keypoints: NDArray[np.float32], visibility: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Return heatmaps (N, K, h, w) of keypoints (N, K, 2) in crop pixels."""
    return codec.encode(keypoints, visibility > 0)


@dataclass(frozen=True, kw_only=True)
class Loss:
    """One line of `LOSSES`."""

    value: Callable[[Outputs, Tensor, Tensor], Tensor]
    """(outputs, target, visibility) -> the loss summed."""
    divisor: Callable[[Tensor, Tensor], Tensor]
    """(target, visibility) -> what to divide the sum by; does not depend on the outputs."""
    target: Callable[[Any, NDArray[np.float32], NDArray[np.uint8]], NDArray[np.float32]] = (
        heatmap_target
    )
    """(codec, keypoints (N, K, 2) in crop pixels, visibility) -> what the outputs are held
    against, (N, ...)."""
    every_stage: bool = False
    """Whether it judges all stages of the network, or its answer alone."""
    codec: str = "gaussian"
    """The codec that makes the targets and reads the heatmaps."""
    codec_params: Callable[[tuple[int, int]], dict[str, Any]] = lambda input_hw: {}
    """Input size -> parameters of that codec that go with this loss."""

    def __call__(
        self, outputs: Tensor | Outputs, target: Tensor, visibility: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the sum and the divisor."""
        stages = (outputs,) if isinstance(outputs, Tensor) else outputs
        return self.value(stages, target, visibility), self.divisor(target, visibility)


def heatmap_mse(outputs: Outputs, target: Tensor, visibility: Tensor) -> Tensor:
    """Return the squared error summed over visible keypoints.

    Invisible keypoints add nothing to the sum and count in the divisor, as in the official loss.
    """
    error = (outputs[-1] - target).square().sum((2, 3))
    return (error * (visibility > 0)).sum()


def all_pixels(target: Tensor, visibility: Tensor) -> Tensor:
    """Return the number of pixels of all heatmaps."""
    return target.new_tensor(float(target.numel()))


def softmax_divergence(outputs: Outputs, target: Tensor, visibility: Tensor) -> Tensor:
    """Return the divergence from target to softmax(output) over all pixels, summed over visible
    keypoints.

    The target is normalised to sum to one. This is the spatial cross-entropy less the target's own
    entropy: the same gradient, but 0 for a perfect answer at any heatmap size, so that losses of
    networks with different heatmaps can be compared.
    """
    truth = target.flatten(2)
    truth = truth / truth.sum(-1, keepdim=True).clamp_min(1e-12)
    divergence = functional.kl_div(
        functional.log_softmax(outputs[-1].flatten(2), -1), truth, reduction="none"
    ).sum(-1)
    return (divergence * (visibility > 0)).sum()


def visible_keypoints(target: Tensor, visibility: Tensor) -> Tensor:
    """Return the number of visible keypoints."""
    return (visibility > 0).sum().float()


def window(input_hw: tuple[int, int]) -> int:
    """Return the window of the soft-argmax, in heatmap pixels, of networks of stride 4.

    The release of PoseFix takes all pixels: a network that was trained for weeks needs no window.
    """
    return usual_window(input_hw[0] // 4)


def _megvii(
    input_hw: tuple[int, int],
    *,
    kernels: tuple[int, ...],
    blur: int,
    known: Mapping[int, tuple[int, ...]] | None = None,
) -> dict[str, Any]:
    """Return sides of Gaussian kernels for an input size: those given are for 256 rows, scaled to
    others but for heights whose own are `known`."""
    scale = input_hw[0] / 256

    def odd(side: int) -> int:
        return max(1, 2 * round((side * scale - 1) / 2) + 1)

    sides = (known or {}).get(input_hw[0]) or tuple(odd(side) for side in kernels)
    return {"kernels": list(sides), "blur_kernel": min(odd(blur), 21)}


def _posefix(input_hw: tuple[int, int]) -> dict[str, Any]:
    return {"activation": "softmax", "window": window(input_hw)}


LOSSES: dict[str, Loss] = {
    "mse": Loss(value=heatmap_mse, divisor=all_pixels),
    "softmax": Loss(
        value=softmax_divergence,
        divisor=visible_keypoints,
        codec="dark",  # the targets are `gaussian`'s, unrounded; better by thousandths of mean OKS
        codec_params=lambda input_hw: {"activation": "softmax"},
    ),
    "cpn": Loss(
        value=stage_losses.cpn,
        divisor=stage_losses.batch_size,
        target=stage_losses.levels_target,
        every_stage=True,
        codec="megvii",
        codec_params=partial(_megvii, kernels=CPN_KERNELS[256], blur=21, known=CPN_KERNELS),
    ),
    "mspn": Loss(
        value=stage_losses.mspn,
        divisor=stage_losses.batch_size,
        target=stage_losses.levels_target,
        every_stage=True,
        codec="megvii",
        codec_params=partial(_megvii, kernels=(15, 11, 9, 7, 5), blur=5),
    ),
    "posefix": Loss(
        value=refine_losses.value,
        divisor=refine_losses.divisor,
        target=refine_losses.target,
        codec="soft_argmax",
        codec_params=_posefix,
    ),
}
"""Name in `TrainConfig.loss` -> loss."""
