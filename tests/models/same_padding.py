"""EvoPose2D once more, from TensorFlow's definitions: upright, with explicit padding.

Nothing is turned and nothing relies on a layer's own padding. A transposed convolution is what
TensorFlow defines it to be: the gradient of the padded convolution that it transposes.
"""

import torch
from torch import Tensor
from torch.nn import functional

from evopose.models.evopose2d import EvoPose2D, InvertedResidual


def same_heatmaps(net: EvoPose2D, images: Tensor) -> Tensor:
    """Return what `net` should answer to upright images, batch norms in evaluation mode."""
    x = convolve(images, upright(net.stem_conv.weight), stride=2)
    x = functional.silu(net.stem_bn(x))
    for stage in net.stages:
        for block in stage:
            x = inverted_residual(block, x)
    for head in net.head:
        x = functional.silu(head.bn(transpose(x, upright(head.conv.weight))))
    final = net.final_conv
    return convolve(x, upright(final.weight)) + final.bias.view(-1, 1, 1)


def inverted_residual(block: InvertedResidual, x: Tensor) -> Tensor:
    y = x
    if hasattr(block, "expand_conv"):
        y = functional.silu(block.expand_bn(convolve(y, block.expand_conv.weight)))
    channels, stride = y.shape[1], block.dwconv.stride[0]
    y = convolve(y, upright(block.dwconv.weight), stride=stride, groups=channels)
    y = functional.silu(block.bn(y))
    squeezed = y.mean((2, 3))
    reduce, expand = block.se_reduce, block.se_expand
    squeezed = functional.silu(squeezed @ reduce.weight[:, :, 0, 0].T + reduce.bias)
    gate = torch.sigmoid(squeezed @ expand.weight[:, :, 0, 0].T + expand.bias)
    y = block.project_bn(convolve(y * gate[:, :, None, None], block.project_conv.weight))
    return x + y if stride == 1 and x.shape == y.shape else y


def convolve(x: Tensor, weight: Tensor, *, stride: int = 1, groups: int = 1) -> Tensor:
    """Padding 'same': ceil(side / stride) outputs, the odd pixel of padding at the end."""
    pads = []
    for side, kernel in ((x.shape[3], weight.shape[3]), (x.shape[2], weight.shape[2])):
        outputs = (side + stride - 1) // stride
        total = max(0, (outputs - 1) * stride + kernel - side)
        pads += [total // 2, total - total // 2]
    return functional.conv2d(functional.pad(x, pads), weight, stride=stride, groups=groups)


def transpose(x: Tensor, weight: Tensor) -> Tensor:
    """The gradient of the 'same' convolution at stride 2 from twice the size of `x`."""
    height, width = x.shape[2:]
    with torch.enable_grad():
        wide = torch.zeros(len(x), weight.shape[1], 2 * height, 2 * width, requires_grad=True)
        (found,) = torch.autograd.grad(convolve(wide, weight, stride=2), wide, x)
    return found


def upright(weight: Tensor) -> Tensor:
    return weight.flip(2, 3)
