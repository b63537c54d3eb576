"""Counting parameters and multiply-adds of any network of convolutions."""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from evopose.models.evopose2d_plan import Complexity

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def complexity(net: nn.Module, *, input_hw: tuple[int, int]) -> Complexity:
    """Return parameters and multiply-adds of `net` for one image (1, 3, H, W), measured.

    Multiply-adds count every convolution and linear layer: transposed ones at their input's
    resolution, biases not. The network runs on shapes alone (torch's meta device) and is left
    as it was. One that refines (`net.refines`) is given a pose of `net.config.num_keypoints`
    beside the image; what made that pose is not counted.
    """
    macs = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        assert isinstance(module, _CONVOLUTIONS)
        at = inputs[0] if isinstance(module, nn.ConvTranspose2d) else output
        positions = at[0].numel() // at.shape[-1 if isinstance(module, nn.Linear) else 1]
        macs += module.weight.numel() * positions

    shadow = copy.deepcopy(net).to("meta").eval()
    for module in shadow.modules():
        if isinstance(module, _CONVOLUTIONS):
            module.register_forward_hook(count)
        elif isinstance(module, _NORMS):
            module.forward = _same  # type: ignore  # slow on shapes, which it keeps
    with torch.no_grad():
        shadow(*_example(net, input_hw))
    trainable = sum(math.prod(p.shape) for p in net.parameters())
    statistics = sum(
        2 * m.num_features for m in net.modules() if isinstance(m, _NORMS) and m.track_running_stats
    )
    return Complexity(num_parameters=trainable + statistics, num_trainable=trainable, num_macs=macs)


def _example(net: nn.Module, input_hw: tuple[int, int]) -> tuple[Tensor, ...]:
    """Return what the network takes, as shapes."""
    image = torch.empty(1, 3, *input_hw, device="meta")
    if not getattr(net, "refines", False):
        return (image,)
    config: Any = net.config
    return image, torch.empty(1, config.num_keypoints, 3, device="meta")


def _same(x: Tensor) -> Tensor:
    return x
