"""What a search will cost, said before it starts: trainings, hours, disk, memory."""

import time
from dataclasses import dataclass

import psutil
import torch

from evopose.models.evopose2d import build_evopose2d
from evopose.models.evopose2d_plan import Complexity, plan_complexity
from evopose.search.config import SearchConfig
from evopose.training.compute import Compute, make_fabric, place, prepare
from evopose.training.losses import LOSSES
from evopose.training.optimizer import make_optimizer


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """How fast the ancestor trains here, and what it needs; measured, not looked up."""

    images_per_second: float
    """Of one worker, training."""
    memory_bytes: int
    """Of one worker, the whole process."""
    complexity: Complexity


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a search is expected to need."""

    trainings: int | None
    """Ancestor, children and clones; None where no number of generations is set."""
    trainings_per_generation: int
    hours: float | None
    """Of the whole search; None where no number of generations is set and no hours are."""
    hours_per_generation: float
    crops_bytes: int
    weights_bytes: int
    memory_bytes: int
    """Of all workers together."""


def measure_throughput(
    config: SearchConfig, compute: Compute, *, num_keypoints: int, seconds: float = 3.0
) -> Throughput:
    """Return how fast one worker trains the ancestor, by doing it for about `seconds`."""
    prepare(compute)
    training = config.ancestor_training
    options = config.evopose2d(config.ancestor, num_keypoints=num_keypoints)
    net = build_evopose2d(options)
    fabric = make_fabric(compute)
    place(net, fabric.device)
    run, optimizer = fabric.setup(net, make_optimizer(net, training))
    part = -(-training.batch_size // training.accumulate)
    images = torch.randn(part, 3, *config.input_hw, device=fabric.device)
    target = torch.rand(part, num_keypoints, *net.heatmap_hw, device=fabric.device)
    visible = torch.ones(part, num_keypoints, dtype=torch.bool, device=fabric.device)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        total, count = LOSSES[training.loss](run(images).float(), target, visible)
        fabric.backward(total / count)
        optimizer.step()
        total.item()  # waits for the device

    step()
    step()
    steps, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < seconds or steps == 0:
        step()
        steps += 1
    used = psutil.Process().memory_info().rss
    if fabric.device.type == "cuda":
        used = torch.cuda.max_memory_allocated(fabric.device)
    return Throughput(
        images_per_second=steps * part / spent,
        memory_bytes=used,
        complexity=plan_complexity(options),
    )


def estimate(
    config: SearchConfig,
    speed: Throughput,
    *,
    train_persons: int,
    fitness_persons: int,
    workers: int,
    free_memory: int | None = None,
) -> Estimate:
    """Return the cost, taking every child to be as slow and as large as the ancestor.

    Validation is taken to run three times as fast as training.
    """
    evolution = config.evolution
    passes = train_persons + fitness_persons / 3
    children = evolution.children + evolution.clones
    child = config.child_training.epochs * passes / speed.images_per_second
    ancestor = config.ancestor_training.epochs * passes / speed.images_per_second
    rounds = -(-children // workers)
    generation = rounds * child / 3600
    hours = trainings = None
    if evolution.generations is not None:
        trainings = 1 + evolution.generations * children
        hours = ancestor / 3600 + evolution.generations * generation
    if evolution.hours is not None:
        hours = min(hours, evolution.hours) if hours is not None else evolution.hours
    margin = config.crop_margin**2
    height, width = config.input_hw
    kept = evolution.keep_best + evolution.parents + children
    return Estimate(
        trainings=trainings,
        trainings_per_generation=children,
        hours=hours,
        hours_per_generation=generation,
        crops_bytes=round((train_persons + fitness_persons) * height * width * 3 * margin),
        weights_bytes=4 * speed.complexity.num_parameters * kept,
        memory_bytes=workers * speed.memory_bytes,
    )
