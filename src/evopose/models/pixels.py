"""From pixels to a network's input, as its `InputSpec` says: training and inference share it."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evopose.models.inputs import InputSpec


def normalise(images: NDArray[np.uint8], device: torch.device, spec: InputSpec) -> Tensor:
    """Return RGB images (N, H, W, 3) uint8 as the network's input (N, 3, H, W), channels last."""
    x = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)
    if spec.color == "BGR":
        x = x.flip(1)
    mean = torch.tensor(spec.mean, device=device).view(3, 1, 1)
    std = torch.tensor(spec.std, device=device).view(3, 1, 1)
    return x.float().mul_(spec.scale / std).sub_(mean / std)
