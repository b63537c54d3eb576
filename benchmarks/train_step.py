"""How fast a training step is: the plain eager form of EvoPose2D-S against ours.

The plain form is what a straight translation of the official network to PyTorch gives: NCHW,
float32, TensorFlow's padding by explicit padding and slicing, the allocator as it comes. Ours is
what `evopose train` runs. Each measurement is a process of its own; the two alternate, and the
ratio is taken round by round, since machines are noisy.

    python benchmarks/train_step.py                          # 256x192, batch 16, five rounds
    python benchmarks/train_step.py --input 96x64 --batch 32
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

import torch
from torch import Tensor, nn
from torch.nn import functional

from evopose.genotype import GENOTYPES
from evopose.models.evopose2d import EvoPose2D, InvertedResidual, build_evopose2d
from evopose.models.evopose2d_plan import EvoPose2DConfig
from evopose.training.compute import make_fabric, prepare, resolve_compute
from evopose.training.config import TrainConfig
from evopose.training.losses import heatmap_mse
from evopose.training.optimizer import make_optimizer


class Plain(nn.Module):
    """The same layers, run the plain way: upright images and kernels, explicit padding."""

    def __init__(self, net: EvoPose2D) -> None:
        super().__init__()
        self.net = net
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                module.weight.data = module.weight.data.flip(2, 3).contiguous()

    def forward(self, x: Tensor) -> Tensor:
        net = self.net
        x = functional.silu(net.stem_bn(same_padded(net.stem_conv, x)))
        for stage in net.stages:
            for block in stage:
                x = self.block(block, x)
        for head in net.head:
            wide = functional.conv_transpose2d(x, head.conv.weight, stride=2)
            x = functional.silu(head.bn(wide[:, :, :-1, :-1]))
        return net.final_conv(x)

    @staticmethod
    def block(block: InvertedResidual, x: Tensor) -> Tensor:
        y = x
        if block.shape.expand != 1:
            y = functional.silu(block.expand_bn(block.expand_conv(y)))
        y = functional.silu(block.bn(same_padded(block.dwconv, y)))
        gate = functional.silu(block.se_reduce(y.mean((2, 3), keepdim=True)))
        y = y * torch.sigmoid(block.se_expand(gate))
        y = block.project_bn(block.project_conv(y))
        return x + block.drop(y) if block.shape.skip else y


def same_padded(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Return the convolution with TensorFlow's 'same' padding: the odd pixel goes to the end."""
    stride, kernel = conv.stride[0], conv.kernel_size[0]
    pads = []
    for side in (x.shape[3], x.shape[2]):
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        pads += [total // 2, total - total // 2]
    return functional.conv2d(functional.pad(x, pads), conv.weight, None, stride, groups=conv.groups)


def measure(form: str, input_hw: tuple[int, int], batch: int, steps: int, threads: int) -> float:
    """Return images per second of a training step in this process."""
    net = build_evopose2d(
        EvoPose2DConfig(
            genotype=GENOTYPES["evopose2d-s"], input_hw=input_hw, scaling_reference=None
        )
    )
    config = TrainConfig(epochs=1, batch_size=batch)
    images = torch.randn(batch, 3, *input_hw)
    target = torch.rand(batch, 17, *net.heatmap_hw)
    visible = torch.ones(batch, 17, dtype=torch.bool)
    if form == "plain":
        torch.set_num_threads(threads)
        run: nn.Module = Plain(net)
        optimizer = torch.optim.Adam(run.parameters(), lr=1e-4)
        backward = Tensor.backward
    else:
        compute = resolve_compute("cpu", threads=threads)
        prepare(compute)
        fabric = make_fabric(compute)
        net.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
        run, optimizer = fabric.setup(net, make_optimizer(net, config))
        backward = fabric.backward
    run.train()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        total, count = heatmap_mse(run(images).float(), target, visible)
        backward(total / count)
        optimizer.step()

    for _ in range(2):
        step()
    begun = time.perf_counter()
    for _ in range(steps):
        step()
    return steps * batch / (time.perf_counter() - begun)


def check_equal(input_hw: tuple[int, int]) -> float:
    """Return the largest difference between the two forms' heatmaps, over their range."""
    options = {"input_hw": input_hw, "scaling_reference": None}
    net = build_evopose2d(EvoPose2DConfig(genotype=GENOTYPES["evopose2d-s"], **options)).eval()
    images = torch.randn(1, 3, *input_hw)
    with torch.no_grad():
        ours = net(images)
        plain = Plain(net)(images)
    return float((ours - plain).abs().max() / (plain.max() - plain.min()))


def main() -> None:
    """Print each round, then the medians and the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", default="256x192", help="HxW")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", choices=("plain", "ours"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    height, width = map(int, args.input.split("x"))
    if args.one:
        print(json.dumps(measure(args.one, (height, width), args.batch, args.steps, args.threads)))
        return
    print(f"heatmaps of the two forms differ by {check_equal((height, width)):.1e} of their range")
    rates: dict[str, list[float]] = {"plain": [], "ours": []}
    for number in range(1, args.rounds + 1):
        for form, found in rates.items():
            command = [sys.executable, __file__, *sys.argv[1:], "--one", form]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found.append(json.loads(output))
        ratio = rates["ours"][-1] / rates["plain"][-1]
        print(
            f"round {number}: plain {rates['plain'][-1]:6.1f}, ours {rates['ours'][-1]:6.1f} "
            f"images/s, ratio {ratio:.2f}",
            flush=True,
        )
    ratios = [b / a for a, b in zip(rates["plain"], rates["ours"], strict=True)]
    print(
        f"median of {args.rounds}: plain {statistics.median(rates['plain']):.1f}, "
        f"ours {statistics.median(rates['ours']):.1f} images/s, "
        f"ratio {statistics.median(ratios):.2f} at {args.input}, batch {args.batch}, "
        f"{args.threads} threads"
    )


if __name__ == "__main__":
    main()
