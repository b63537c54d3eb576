"""Networks whose every number is random, so that no mistake hides behind a zero or a one."""

import numpy as np
import torch
from torch import Tensor

from evopose.genotype import Genotype
from evopose.models.evopose2d import EvoPose2D, build_evopose2d
from evopose.models.evopose2d_plan import EvoPose2DConfig
from evopose.models.layers import StochasticDepth

S = Genotype.from_list(
    [[3, 1, 2, 1], [3, 3, 3, 2], [5, 2, 5, 2], [3, 4, 10, 2], [5, 2, 14, 1], [5, 4, 16, 1],
     [3, 2, 10, 1]]
)  # fmt: skip
"""EvoPose2D-S (the paper's table of genotypes)."""
SMALL = Genotype.from_list(
    [[3, 1, 1, 1], [3, 1, 2, 2], [5, 1, 2, 2], [3, 1, 3, 2], [3, 1, 3, 1], [3, 1, 4, 1],
     [3, 1, 4, 1]]
)  # fmt: skip
"""A layer of every kind, and few of them."""


def random_network(config: EvoPose2DConfig, seed: int) -> EvoPose2D:
    """Return the network of `config` in eval mode, weights and statistics drawn from `seed`.

    Kernels keep the scale of what they read; scales of batch norms have both signs.
    """
    net = build_evopose2d(config).eval()
    rng = np.random.default_rng(seed)
    for key, tensor in net.state_dict().items():
        shape = tuple(tensor.shape)
        if key.endswith("num_batches_tracked"):
            continue
        if len(shape) == 4:
            fan_in = shape[0] * 9 / 4 if key.startswith("head") else tensor[0].numel()
            values = rng.normal(0, np.sqrt(2 / fan_in), shape)
        elif key.endswith("running_var"):
            values = rng.uniform(0.5, 2, shape)
        elif key.endswith("bn.weight"):
            values = rng.uniform(0.5, 1.5, shape) * rng.choice([-1, 1], shape)
        else:
            values = rng.normal(0, 0.3, shape)
        tensor.copy_(torch.from_numpy(values))
    return net


def random_images(count: int, hw: tuple[int, int], seed: int = 0) -> Tensor:
    """Return images (count, 3, H, W) of standard normal noise."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(count, 3, *hw)).astype(np.float32))


@torch.no_grad()
def heatmaps(net: EvoPose2D, images: Tensor) -> Tensor:
    """Return the heatmaps of `images`, in the mode that `net` is in, without stochastic depth."""
    for module in net.modules():
        if isinstance(module, StochasticDepth):
            module.rate = 0.0
    return net(images)


def difference(ours: Tensor, theirs: Tensor) -> float:
    """Return the largest absolute difference, as a share of the range of `theirs`."""
    return float((ours - theirs).abs().max() / (theirs.max() - theirs.min()))
