"""How long a network takes for one image on a device, measured before it is trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import torch
from torch import nn

from evopose.evolution.proposal import Stopwatch
from evopose.genotype import Genotype
from evopose.inference.benchmark.timing import timed_calls
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
    with _threads(compute.threads), fabric.autocast():
        times = timed_calls(
            lambda: _run(net, image), seconds=SECONDS, warm_up=WARM_UP, least=11, most=MOST_IMAGES
        )
    return median(times)


def _run(net: nn.Module, image: torch.Tensor) -> None:
    """Run the network, and wait until it is done."""
    net(image)
    if image.device.type == "cuda":
        torch.cuda.synchronize(image.device)
    elif image.device.type == "mps":
        torch.mps.synchronize()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
