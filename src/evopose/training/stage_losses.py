"""Losses of CPN and MSPN: plain ones on the heatmaps on the way, and one on the answer's hardest
keypoints.

Outputs are (N, K, h, w), in the order of the network's `every_stage`; the target is
(N, L, K, h, w), one Gaussian a level from wide to narrow, as `MegviiCodec.encode_levels` makes it;
visibility is (N, K), COCO's 0, 1 or 2. A loss is a sum over the batch, divided by `batch_size`.

Source: megvii-research/MSPN at a84f750, `network.py` `_calculate_loss`, `lib/utils/loss.py`;
chenyilun95/tf-cpn at 48ea10d, `network.py` `make_network`.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

HARD_KEYPOINTS = 8
"""Keypoints of a person that count where only the hardest do."""
UNITS = 4
"""Outputs of a stage of MSPN."""


class EncodesLevels(Protocol):
    """What these losses need of a codec."""

    def encode_levels(
        self, xy_crop: NDArray[np.floating], visible: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Return heatmaps (N, L, K, h, w) of keypoints (N, K, 2) in crop pixels."""


def levels_target(
    codec: EncodesLevels, keypoints: NDArray[np.float32], visibility: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Return heatmaps (N, L, K, h, w) of keypoints (N, K, 2) in crop pixels."""
    return codec.encode_levels(keypoints, visibility > 0)


def cpn(outputs: tuple[Tensor, ...], target: Tensor, visibility: Tensor) -> Tensor:
    """Return the loss of CPN's four levels and its answer, summed over the batch.

    Half the mean of the levels' plain losses, and the answer's over its hardest keypoints. The
    finest level is held against the widest Gaussian, the coarsest against the narrowest: so was
    the released network trained, which its authors note and leave. The answer's is the narrowest.
    """
    *levels, answer = outputs
    fine_to_coarse = zip(reversed(levels), target.unbind(1), strict=True)
    plain = sum(plain_error(output, truth, visibility) for output, truth in fine_to_coarse)
    return plain / len(levels) / 2 + hardest_error(answer, target[:, -1], visibility)


def mspn(outputs: tuple[Tensor, ...], target: Tensor, visibility: Tensor) -> Tensor:
    """Return the loss of every unit of every stage of MSPN, summed over stages and batch.

    Of each stage, a quarter of the first three units' plain losses, and the last unit's over its
    hardest keypoints. Unit j is held against level j; in the last stage against level j + 1, the
    next narrower.
    """
    total = outputs[0].new_zeros(())
    for i, output in enumerate(outputs):
        unit = i % UNITS
        in_last_stage = i >= len(outputs) - UNITS
        truth = target[:, unit + 1 if in_last_stage else unit]
        if unit < UNITS - 1:
            total = total + plain_error(output, truth, visibility) / UNITS
        else:
            total = total + hardest_error(output, truth, visibility)
    return total


def batch_size(target: Tensor, visibility: Tensor) -> Tensor:
    """Return the number of persons."""
    return target.new_tensor(float(len(visibility)))


def plain_error(output: Tensor, truth: Tensor, visibility: Tensor) -> Tensor:
    """Return the mean squared error of a person's heatmaps, summed over persons.

    Heatmaps (N, K, h, w) of keypoints that are not in plain sight (visibility 2) should be zero.
    """
    truth = truth * (visibility > 1)[..., None, None]
    return (output - truth).square().mean((1, 2, 3)).sum()


def hardest_error(output: Tensor, truth: Tensor, visibility: Tensor) -> Tensor:
    """Return the mean squared error over a person's hardest keypoints, summed over persons.

    Keypoints without a label (visibility 0) have an error of zero, and count among the hardest if
    there are too few others. Source: online hard keypoint mining, Chen et al., CVPR 2018.
    """
    error = (output - truth).square().mean((2, 3)) * (visibility > 0)
    hardest = error.topk(min(HARD_KEYPOINTS, error.shape[1]), dim=1).values
    return hardest.mean(1).sum()
