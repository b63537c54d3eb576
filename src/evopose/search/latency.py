"""How long a network takes for one image on a device, measured before it is trained."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import torch
from torch import nn

from evopose.evolution.proposal import Stopwatch
from evopose.genotype import Genotype
from evopose.models.evopose2d import build_evopose2d
from evopose.search.config import SearchConfig
from evopose.training.compute import Compute, make_fabric, place

WARM_UP = 5
MOST_IMAGES = 200
SECONDS = 0.5
"""Images are timed until so many seconds or `MOST_IMAGES` are reached, at least eleven."""


def make_stopwatch(config: SearchConfig, compute: Compute, *, num_keypoints: int) -> Stopwatch:
    """Return what measures the networks of a search on the device of `compute`.

    It measures in this process, with all threads of `compute`: nothing else should run meanwhile.
    """

    def measure(genotype: Genotype) -> float:
        options = config.evopose2d(genotype, num_keypoints=num_keypoints)
        return measure_latency(build_evopose2d(options), options.input_hw, compute)

    return Stopwatch(device=compute.describe(), measure=measure)


@torch.no_grad()
def measure_latency(net: nn.Module, input_hw: tuple[int, int], compute: Compute) -> float:
    """Return the median milliseconds of one image (1, 3, H, W) through `net`, which is moved to
    the device and left in evaluation mode.

    The network runs as it is trained: PyTorch, channels-last, the precision of `compute`.
    """
    fabric = make_fabric(compute)
    place(net.eval(), fabric.device)
    image = torch.randn(1, 3, *input_hw, device=fabric.device)
    times: list[float] = []
    with _threads(compute.threads), fabric.autocast():
        for _ in range(WARM_UP):
            _timed(net, image, fabric.device)
        until = time.perf_counter() + SECONDS
        while len(times) < 11 or (time.perf_counter() < until and len(times) < MOST_IMAGES):
            times.append(_timed(net, image, fabric.device))
    return 1000 * median(times)


def _timed(net: Callable[[torch.Tensor], object], image: torch.Tensor, at: torch.device) -> float:
    begun = time.perf_counter()
    net(image)
    if at.type == "cuda":
        torch.cuda.synchronize(at)
    elif at.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter() - begun


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
