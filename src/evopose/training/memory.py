"""How much memory training a network will take, known before it is tried.

A process that runs out of memory on a CPU is killed by the system, sometimes with its neighbours;
a prediction that says no costs nothing.
"""

import psutil
import torch

from evopose.models.evopose2d_plan import EvoPose2DConfig, plan
from evopose.training.compute import Compute
from evopose.training.config import TrainConfig

BYTES_PER_ACTIVATION = 15
"""Of a convolution's output, batch norm and activation behind it included, kept for the backward
pass in float32: 12.3 to 14.9 were measured on six networks from 96x64 to 256x192."""
BYTES_PER_PARAMETER = 20
"""Weight, gradient, two moments of the optimizer, and the average over time."""


def activations(config: EvoPose2DConfig) -> int:
    """Return the outputs of all convolutions of a network for one image, squeeze-excite aside."""
    shape = plan(config)
    height, width = (-(-side // 2) for side in config.input_hw)
    total = shape.stem * height * width
    for block in shape.blocks:
        if block.expand != 1:
            total += block.hidden * height * width
        height, width = -(-height // block.stride), -(-width // block.stride)
        total += (block.hidden + block.channels_out) * height * width
    for channels in shape.head:
        height, width = 2 * height, 2 * width
        total += channels * height * width
    return total + config.num_keypoints * height * width


def training_bytes(
    config: EvoPose2DConfig, *, num_parameters: int, images: int, precision: str = "fp32"
) -> int:
    """Return about how many bytes training takes with so many images at once."""
    each = BYTES_PER_ACTIVATION * activations(config) // (2 if precision == "bf16" else 1)
    return images * each + BYTES_PER_PARAMETER * num_parameters


def free_bytes(compute: Compute) -> int:
    """Return the memory that this process may take where `compute` computes.

    What an earlier training of this process took and gave back counts: the allocators keep it.
    """
    if compute.device.startswith("cuda"):
        device = torch.device(compute.device)
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    return int(psutil.virtual_memory().available + psutil.Process().memory_info().rss)


def require_memory(
    config: EvoPose2DConfig, training: TrainConfig, compute: Compute, *, num_parameters: int
) -> None:
    """Raise MemoryError if training the network will hardly fit into what is free."""
    images = -(-training.batch_size // training.accumulate)
    needed = training_bytes(
        config, num_parameters=num_parameters, images=images, precision=compute.precision
    )
    if needed > (free := free_bytes(compute)):
        raise MemoryError(
            f"training with {images} images at once takes about {needed / 1e9:.2g} GB, "
            f"{free / 1e9:.2g} GB are free on {compute.device}"
        )
