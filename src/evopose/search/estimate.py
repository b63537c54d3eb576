"""What a search will cost, said before it starts: trainings, hours, disk, memory."""

import math
import time
from dataclasses import asdict, dataclass
from typing import Any

import psutil
import torch

from evopose.data.crops import CropSpec
from evopose.errors import ConfigError
from evopose.evolution.jobs import Event, Heartbeat, Job
from evopose.models.evopose2d import build_evopose2d
from evopose.models.evopose2d_plan import Complexity, plan_complexity
from evopose.search.config import SearchConfig
from evopose.search.session import Workers, make_executor
from evopose.training.compute import Compute, make_fabric, place, prepare
from evopose.training.losses import LOSSES
from evopose.training.optimizer import make_optimizer


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """How fast the ancestor trains here, and what it needs; measured, not looked up."""

    images_per_second: float
    """Of one worker, in training, while all of them train."""
    memory_bytes: int
    """Of one worker, the whole process; on a GPU, there."""
    free_memory_bytes: int
    """Before anything was trained."""
    complexity: Complexity


_MEASURED_IMAGES = 32
"""Measured with at most so many images at once, memory extrapolated: a batch that is too large
shall be found in the estimate, not by running out of memory."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a search is expected to need."""

    trainings: int | None
    """Ancestor, children, clones and repeats; None where no number of generations is set."""
    trainings_per_generation: int
    hours: float | None
    """Of the whole search; None where no number of generations is set and no hours are."""
    hours_per_generation: float
    crops_bytes: int
    """Of the crops in the cache; nothing more where they lie there already."""
    weights_bytes: int
    """Of the weights that are kept."""
    memory_bytes: int
    """Of all workers together."""
    free_memory_bytes: int
    """Of that kind, on this machine, now."""


def measure_throughput(
    config: SearchConfig, workers: Workers, *, num_keypoints: int, seconds: float = 3.0
) -> Throughput:
    """Return how fast each worker trains the ancestor while all of them do, by letting them.

    The workers are processes of their own, as in the search: cores share caches and memory, so
    that two workers are less than twice as fast as one.
    """
    job = {
        "function": "evopose.search.estimate:measure_job",
        "config": config.to_json(),
        "compute": asdict(workers.compute),
        "num_keypoints": num_keypoints,
        "seconds": seconds,
    }
    found: list[dict[str, Any]] = []

    def tell(event: Event) -> None:
        if event.kind in ("failed", "lost"):
            raise ConfigError(
                f"the ancestor cannot be trained here: {event.data['message']}. A smaller "
                "--batch-size, --input or --workers may help"
            )
        if event.kind == "done":
            found.append(event.data)

    executor = make_executor(workers)
    try:
        slots = executor.slots
        for slot in slots:
            executor.submit(slot, job)
        while len(found) < len(slots):
            executor.poll(0.1, tell)
    finally:
        executor.close()
    options = config.evopose2d(config.ancestor, num_keypoints=num_keypoints)
    return Throughput(
        images_per_second=sum(one["images_per_second"] for one in found) / len(found),
        memory_bytes=max(one["memory_bytes"] for one in found),
        free_memory_bytes=max(one["free_memory_bytes"] for one in found),
        complexity=plan_complexity(options),
    )


def measure_job(job: Job, heartbeat: Heartbeat) -> dict[str, float]:
    """Return images per second and bytes of memory of training the ancestor in this process."""
    config, compute = SearchConfig.from_json(job["config"]), Compute(**job["compute"])
    prepare(compute)
    on_gpu = compute.device.startswith("cuda")
    free = torch.cuda.mem_get_info()[0] if on_gpu else psutil.virtual_memory().available
    training, num_keypoints = config.ancestor_training, job["num_keypoints"]
    net = build_evopose2d(config.evopose2d(config.ancestor, num_keypoints=num_keypoints))
    fabric = make_fabric(compute)
    place(net, fabric.device)
    run, optimizer = fabric.setup(net, make_optimizer(net, training))
    whole = -(-training.batch_size // training.accumulate)
    part = min(whole, _MEASURED_IMAGES)
    before = psutil.Process().memory_info().rss
    images = torch.randn(part, 3, *net.config.input_hw, device=fabric.device)
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
    while (spent := time.perf_counter() - begun) < job["seconds"] or steps == 0:
        step()
        steps += 1
    used = psutil.Process().memory_info().rss
    if on_gpu:
        before, used = 0, torch.cuda.max_memory_allocated(fabric.device)
    return {
        "images_per_second": steps * part / spent,
        "memory_bytes": round(before + max(0, used - before) * whole / part),
        "free_memory_bytes": free,
    }


def estimate(
    config: SearchConfig,
    speed: Throughput,
    *,
    persons: dict[str, int],
    workers: int,
    alone: int | None = None,
) -> Estimate:
    """Return the cost, taking every child to be as slow and as large as the ancestor.

    `persons` are those of "train", "fitness" and "val"; `alone` says how many times as fast as a
    worker the ancestor trains, which on one machine is half of them. Validation is
    taken to run three times as fast as training.
    """
    evolution = config.evolution
    passes = persons["train"] + persons["fitness"] / 3
    children = evolution.children + evolution.clones
    child = config.child_training.epochs * passes / speed.images_per_second
    alone = alone or max(1, workers // 2)  # see `Workers.threads_alone`
    ancestor = config.ancestor_training.epochs * passes / (speed.images_per_second * alone)
    rounds = -(-children // workers)
    generation = rounds * child / 3600
    hours = trainings = None
    repeats = evolution.rescore * evolution.rescore_seeds
    if evolution.generations is not None:
        trainings = 1 + evolution.generations * children + repeats
        again = -(-repeats // workers) * child
        hours = (ancestor + again) / 3600 + evolution.generations * generation
    if evolution.hours is not None:
        hours = min(hours, evolution.hours) if hours is not None else evolution.hours
    crops = [CropSpec(input_hw=hw, margin=config.crop_margin) for hw in config.input_sizes]
    pixels = sum(math.prod(spec.stored_hw) for spec in crops)
    kept = evolution.keep_best + evolution.parents + children
    weights = 4 * speed.complexity.num_parameters * kept
    if evolution.quota_gb is not None:
        weights = min(weights, round(evolution.quota_gb * 1e9))
    return Estimate(
        trainings=trainings,
        trainings_per_generation=children,
        hours=hours,
        hours_per_generation=generation,
        crops_bytes=3 * pixels * sum(persons.values()),
        weights_bytes=weights,
        memory_bytes=workers * speed.memory_bytes,
        free_memory_bytes=speed.free_memory_bytes,
    )
