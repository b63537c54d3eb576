"""Batch norms that are multiplied into the convolution before them: fewer layers, equal results."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from evopose.models.network import PoseNetwork

Convolution = nn.Conv2d | nn.ConvTranspose2d

ROUNDING = 1e-5
"""Largest difference of the heatmaps, of their range, that is taken for rounding."""


@torch.no_grad()
def fold_batch_norms(net: PoseNetwork, images: Tensor) -> PoseNetwork:
    """Return a copy of the network in which batch norms are part of the convolutions they follow.

    Which follow which is seen while it runs on `images` (N, 3, H, W). Where the copy's heatmaps
    are not the network's but for rounding (a convolution is used twice, say), the copy is left as
    the network is. The network must be in evaluation mode.
    """
    folded = copy.deepcopy(net)
    with _watched(folded) as pairs:
        before = folded(images)
    names = {module: name for name, module in folded.named_modules()}
    for norm, convolution in pairs.items():
        fused = fuse_conv_bn_eval(
            convolution, norm, transpose=isinstance(convolution, nn.ConvTranspose2d)
        )
        _replace(folded, names[convolution], fused)
        _replace(folded, names[norm], nn.Identity())
    after = folded(images)
    spread = float(before.max() - before.min())
    if float((after - before).abs().max()) <= ROUNDING * spread:
        return folded
    return copy.deepcopy(net)


@contextmanager
def _watched(net: nn.Module) -> Iterator[dict[nn.BatchNorm2d, Convolution]]:
    """Fill the mapping, while the network runs, with each batch norm and what it follows."""
    made: dict[int, tuple[Tensor, Convolution]] = {}  # outputs are kept, so that ids stay theirs
    pairs: dict[nn.BatchNorm2d, Convolution] = {}

    def convolved(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, Convolution)
        made[id(output)] = (output, module)

    def to_be_normed(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(module, nn.BatchNorm2d)
        if id(inputs[0]) in made:
            pairs[module] = made[id(inputs[0])][1]

    hooks = []
    for module in net.modules():
        if isinstance(module, Convolution):
            hooks.append(module.register_forward_hook(convolved))
        elif isinstance(module, nn.BatchNorm2d):
            hooks.append(module.register_forward_pre_hook(to_be_normed))
    try:
        yield pairs
    finally:
        for hook in hooks:
            hook.remove()
        made.clear()


def _replace(net: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(net.get_submodule(parent), last, module)
