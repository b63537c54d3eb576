"""Counting parameters and multiply-adds of any network of convolutions."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from evopose.models.evopose2d_plan import Complexity

_CONVOLUTIONS = {functional.conv1d, functional.conv2d, functional.linear}
_TRANSPOSED = {functional.conv_transpose1d, functional.conv_transpose2d}
_SHAPE_KEEPING = {functional.batch_norm, functional.relu, functional.silu, functional.hardswish}
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def complexity(net: nn.Module, *, input_hw: tuple[int, int]) -> Complexity:
    """Return parameters and multiply-adds of `net` for one image (1, 3, H, W), measured.

    Multiply-adds count every convolution and linear layer: transposed ones at their input's
    resolution, biases not. The network runs on shapes alone (torch's meta device) and is left
    as it was. One that refines (`net.refines`) is given a pose of `net.config.num_keypoints`
    beside the image; what made that pose is not counted.
    """
    shapes = {
        name: tensor.to("meta") for name, tensor in (*net.named_parameters(), *net.named_buffers())
    }
    with torch.no_grad(), _evaluating(net), _Counting() as counting:
        functional_call(net, shapes, _example(net, input_hw))
    trainable = sum(math.prod(p.shape) for p in net.parameters())
    statistics = sum(
        2 * m.num_features for m in net.modules() if isinstance(m, _NORMS) and m.track_running_stats
    )
    return Complexity(
        num_parameters=trainable + statistics, num_trainable=trainable, num_macs=counting.macs
    )


class _Counting(TorchFunctionMode):
    """Adds up the multiply-adds of what runs inside. Functions whose output's shape is plain
    return it at once: torch runs them on its meta device by slow Python decompositions."""

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in _SHAPE_KEEPING:
            return args[0]
        if func is functional.interpolate:
            return _resized(*args, **(kwargs or {}))
        output = func(*args, **(kwargs or {}))
        if func in _CONVOLUTIONS or func in _TRANSPOSED:
            at = args[0] if func in _TRANSPOSED else output
            channels = -1 if func is functional.linear else 1
            self.macs += args[1].numel() * (at[0].numel() // at.shape[channels])
        return output


def _resized(x: Tensor, size: Any = None, scale_factor: Any = None, **_: Any) -> Tensor:
    hw: Any = x.shape[2:]
    if size is not None:
        hw = (size,) * len(hw) if isinstance(size, int) else size
    elif scale_factor is not None:
        factors = scale_factor if isinstance(scale_factor, tuple) else (scale_factor,) * len(hw)
        hw = (math.floor(length * factor) for length, factor in zip(hw, factors, strict=True))
    return x.new_empty(*x.shape[:2], *hw)


@contextmanager
def _evaluating(net: nn.Module) -> Iterator[None]:
    """Leave every module's mode as it was."""
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _example(net: nn.Module, input_hw: tuple[int, int]) -> tuple[Tensor, ...]:
    """Return what the network takes, as shapes."""
    image = torch.empty(1, 3, *input_hw, device="meta")
    if not getattr(net, "refines", False):
        return (image,)
    config: Any = net.config
    return image, torch.empty(1, config.num_keypoints, 3, device="meta")
