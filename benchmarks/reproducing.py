"""What each row of the paper's tables costs to train: python benchmarks/reproducing.py [MODEL...]

Times one training step of each network at its published input size on this machine and projects
it to the epochs of the network's own recipe over the 149,813 labelled persons of COCO train2017.
Prints docs/reproducing.md's table of costs in Markdown: multiply-adds times three for the backward
pass are the work; what a machine does of them in a second is measured here.
"""

import argparse
import time

import torch

from evopose.models import MODELS, build_model
from evopose.models.complexity import complexity
from evopose.models.devices import cpu_name
from evopose.models.published import PUBLISHED, Published
from evopose.recipes import TRAIN_RECIPES
from evopose.training.compute import make_fabric, place, prepare, resolve_compute
from evopose.training.losses import LOSSES
from evopose.training.optimizer import make_optimizer

PERSONS = 149_813
"""Persons with keypoints in COCO train2017."""
DAY = 86_400.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    print("| network | input | epochs | 10^15 multiply-adds | images/s here | days here |")
    print("|---|---|---|---|---|---|")
    for row in PUBLISHED:
        if not args.models or row.model in args.models:
            print(_line(row, args), flush=True)
    print(f"\n{cpu_name()}, {args.threads} threads, torch {torch.__version__}")


def _line(row: Published, args: argparse.Namespace) -> str:
    epochs = TRAIN_RECIPES[MODELS[row.model].recipe]().epochs
    macs = complexity(
        build_model(row.model, input_hw=row.input_hw, outline=True), input_hw=row.input_hw
    ).num_macs
    rate = args.batch_size / _seconds_a_step(row, args)
    work, days = 3 * macs * PERSONS * epochs / 1e15, PERSONS * epochs / rate / DAY
    size = f"{row.input_hw[0]}x{row.input_hw[1]}"
    return f"| {row.model} | {size} | {epochs} | {work:,.0f} | {rate:.2f} | {days:,.0f} |"


def _seconds_a_step(row: Published, args: argparse.Namespace) -> float:
    recipe = TRAIN_RECIPES[MODELS[row.model].recipe]()
    compute = resolve_compute("auto", threads=args.threads)
    prepare(compute)
    fabric = make_fabric(compute)
    net = build_model(row.model, input_hw=row.input_hw)
    place(net, fabric.device)
    run, optimizer = fabric.setup(net, make_optimizer(net, recipe))
    net.train()
    images = torch.randn(args.batch_size, 3, *row.input_hw, device=fabric.device)
    images = images.contiguous(memory_format=torch.channels_last)
    poses = torch.rand(args.batch_size, 17, 3, device=fabric.device) * row.input_hw[1]
    inputs = (images, poses) if net.refines else (images,)
    options = {"every_stage": True} if LOSSES[recipe.loss].every_stage else {}
    times = []
    for _ in range(1 + args.steps):
        begun = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        answer = run(*inputs, **options)
        stages = answer if isinstance(answer, tuple) else (answer,)
        fabric.backward(sum(stage.float().square().mean() for stage in stages))
        optimizer.step()
        if fabric.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return min(times[1:])  # what else runs on a machine only slows it


if __name__ == "__main__":
    main()
