"""Losses on heatmaps. Each returns a sum and what to divide it by, so that parts of a batch add up.

`output` and `target` are (N, K, h, w) float32, `visible` (N, K) bool.
"""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

Loss = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def heatmap_mse(output: Tensor, target: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
    """Return the squared error summed over visible keypoints, and the number of all pixels.

    Invisible keypoints add nothing to the sum and count in the divisor, as in the official loss.
    """
    error = (output - target).square().sum((2, 3)) * visible
    return error.sum(), output.new_tensor(float(output.numel()))


def softmax_divergence(output: Tensor, target: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
    """Return the divergence from target to softmax(output) over all pixels, summed over visible
    keypoints, and the number of visible keypoints.

    The target is normalised to sum to one. This is the spatial cross-entropy less the target's own
    entropy: the same gradient, but 0 for a perfect answer at any heatmap size, so that losses of
    networks with different heatmaps can be compared.
    """
    truth = target.flatten(2)
    truth = truth / truth.sum(-1, keepdim=True).clamp_min(1e-12)
    divergence = functional.kl_div(
        functional.log_softmax(output.flatten(2), -1), truth, reduction="none"
    ).sum(-1)
    return (divergence * visible).sum(), visible.sum().float()


LOSSES: dict[str, Loss] = {"mse": heatmap_mse, "softmax": softmax_divergence}
"""Name in `TrainConfig.loss` -> loss."""
