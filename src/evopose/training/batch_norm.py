"""Batch-norm statistics, estimated anew after a network was cut."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


@torch.no_grad()
def reestimate_batch_norm(net: nn.Module, inputs: Iterable[Tensor | tuple[Tensor, ...]]) -> int:
    """Set running means and variances to the plain averages over `inputs`; return their number.

    `inputs` are normalised images (N, 3, H, W) on the network's device, or tuples of them and what
    else the network takes. Everything but the batch
    norms stays in evaluation mode. Without inputs nothing changes.

    Source: Yu and Huang, arXiv 1903.05134, section 3.1 (post-statistics of batch norm).
    """
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    was_training = net.training
    net.eval()
    count = 0
    try:
        for images in inputs:
            if count == 0:
                for norm in norms:
                    norm.reset_running_stats()
                    norm.momentum = None
                    norm.train()
            net(*(images if isinstance(images, tuple) else (images,)))
            count += 1
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        net.train(was_training)
    return count
