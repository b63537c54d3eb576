"""Averages over training steps: of weights, and of batch norms' statistics."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from evopose.models.layers import BATCH_NORM_MOMENTUM

Tensors = tuple[Tensor, ...] | list[Tensor]
Average = Callable[[Tensors, Tensors, Tensor | int], None]


def weight_average(decay: float, *, warm: bool) -> Average:
    """Return the update of an average of weights, for `AveragedModel(multi_avg_fn=...)`.

    The decay is `decay`; if `warm`, min(decay, (1 + n) / (10 + n)) after n steps.

    Source: the warm-up is that of TensorFlow's ExponentialMovingAverage with `num_updates`.
    """

    @torch.no_grad()
    def update(averages: Tensors, values: Tensors, count: Tensor | int) -> None:
        steps = int(count)
        keep = min(decay, (1 + steps) / (10 + steps)) if warm else decay
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, values, 1 - keep)
        else:
            for average, value in zip(averages, values, strict=True):
                average.copy_(value)

    return update


def warm_batch_norms(net: nn.Module, step: int) -> None:
    """Give the batch norms of `net` the momentum of a plain average over `step` steps (from 0),
    at least the usual one."""
    momentum = max(BATCH_NORM_MOMENTUM, 1 / (step + 1))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm):
            module.momentum = momentum
