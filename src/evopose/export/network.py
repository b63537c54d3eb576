"""The network as it is exported: normalisation before it and decoding after it, if asked for."""

import numpy as np
import torch
from torch import Tensor, nn

from evopose.export.decoding import make_decoder
from evopose.export.folding import fold_batch_norms
from evopose.export.job import Crops, Floats
from evopose.export.options import ExportOptions
from evopose.models.inputs import InputSpec
from evopose.models.modelfile import LoadedModel
from evopose.models.network import PoseNetwork
from evopose.models.pixels import normalise


class ExportedNetwork(nn.Module):
    """`forward` takes images (N, 3, H, W) float32, RGB: pixels from 0 to 255 if it normalises, else
    as `models.pixels.normalise` makes them. It returns heatmaps (N, K, h, w), or with decoding
    heatmaps and keypoints (N, K, 3: x, y in crop pixels, score)."""

    def __init__(
        self, net: PoseNetwork, spec: InputSpec | None, decoder: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.net = net
        self.normalise = None if spec is None else Normalise(spec)
        self.decoder = decoder

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return heatmaps, or heatmaps and keypoints."""
        x = images if self.normalise is None else self.normalise(images)
        heatmaps: Tensor = self.net(x).float()
        return heatmaps if self.decoder is None else (heatmaps, self.decoder(heatmaps))


class Normalise(nn.Module):
    """Pixels (N, 3, H, W) from 0 to 255, RGB, to a network's input, as its `InputSpec` says."""

    factor: Tensor
    offset: Tensor

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        mean, std = (torch.tensor(one).view(3, 1, 1) for one in (spec.mean, spec.std))
        self.register_buffer("factor", spec.scale / std)
        self.register_buffer("offset", mean / std)
        self.reverse = spec.color == "BGR"

    def forward(self, images: Tensor) -> Tensor:
        """Return the network's input (N, 3, H, W)."""
        x = images.flip(1) if self.reverse else images
        return x * self.factor - self.offset


def exported_network(model: LoadedModel, options: ExportOptions) -> ExportedNetwork:
    """Return the network that is written, its batch norms folded into its convolutions.

    Raises: ModelError for decoding that no exported file can do.
    """
    net, card = model
    decoder = make_decoder(card, net.heatmap_hw) if options.decode else None
    example = torch.rand(1, 3, *card.input_hw, generator=torch.Generator().manual_seed(0))
    folded = fold_batch_norms(net, example)
    spec = card.input if options.normalise else None
    return ExportedNetwork(folded, spec, decoder).eval()


def as_input(model: LoadedModel, crops: Crops, options: ExportOptions) -> Floats:
    """Return crops (N, H, W, 3) as the exported file takes them."""
    if options.normalise:
        return np.ascontiguousarray(crops.transpose(0, 3, 1, 2), np.float32)
    images: Floats = normalise(crops, torch.device("cpu"), model.card.input).contiguous().numpy()
    return images


def example_images(card_input_hw: tuple[int, int]) -> Tensor:
    """Return images (2, 3, H, W) to trace a network with: two, so that no axis looks constant."""
    generator = torch.Generator().manual_seed(1)
    return torch.rand(2, 3, *card_input_hw, generator=generator) * 255
