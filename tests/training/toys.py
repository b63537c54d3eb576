"""Trainings of a fraction of a second: coloured dots, networks for 32 x 32 pixels."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from evopose.codecs import GaussianCodec
from evopose.data.augment import Augmentation
from evopose.data.crops import CropSpec
from evopose.data.cutting import build_crops
from evopose.data.layouts import open_dataset
from evopose.genotype import Genotype
from evopose.models.evopose2d import EvoPose2D, build_evopose2d
from evopose.models.evopose2d_plan import EvoPose2DConfig
from evopose.models.inputs import InputSpec
from evopose.training.compute import Compute
from evopose.training.config import TrainConfig
from evopose.training.loop import FitResult, fit
from evopose.training.validate import Encoder, TrainData
from tiny_runs import write_dots

COMPUTE = Compute(device="cpu", threads=1, precision="fp32")
NETWORK = EvoPose2DConfig(
    genotype=Genotype.from_list([[3, 1, 1, 1], [3, 3, 1, 2]]),
    input_hw=(32, 32),
    num_keypoints=3,
    stem_channels=8,
    head_channels=8,
    head_blocks=1,
    scaling_reference=None,
)
"""Two of its blocks have stochastic depth; heatmaps of 16 x 16."""


@dataclass(frozen=True, kw_only=True)
class Toy:
    """Data and what every training of it shares."""

    train: TrainData
    val: TrainData

    def fit(self, net: nn.Module, config: TrainConfig, **options: Any) -> FitResult:
        options = {"compute": COMPUTE, "encoder": encoder(config)} | options
        return fit(net, self.train, self.val, config, **options)


def make_toy(folder: Path, *, train: int = 10, val: int = 5) -> Toy:
    """Write dots into `folder` and return their crops, cut there."""
    write_dots(folder / "dots", train=train, val=val)
    return open_toy(folder)


def open_toy(folder: Path) -> Toy:
    """Return what `make_toy` made."""
    splits = open_dataset(folder / "dots")
    parts = {}
    for name in ("train", "val"):
        spec = CropSpec(input_hw=NETWORK.input_hw)
        cache = build_crops(splits.named(name), spec, cache_dir=folder / "crops")
        parts[name] = TrainData(cache=cache, indices=np.arange(len(cache)))
    return Toy(**parts)


def make_config(**options: Any) -> TrainConfig:
    """Return a training that uses everything that chance and time could spoil."""
    values = {
        "epochs": 3, "batch_size": 4, "learning_rate": 3e-3, "warmup_epochs": 0.5,
        "warmup_from": 1e-4, "loss": "softmax", "ema_decay": 0.8, "clip_norm": 5.0, "seed": 7,
        "augmentation": Augmentation(colour=0.2),
    }  # fmt: skip
    return TrainConfig(**values | options)


def encoder(config: TrainConfig) -> Encoder:
    codec = GaussianCodec(
        input_hw=NETWORK.input_hw,
        heatmap_hw=(16, 16),
        sigma=config.sigma,
        activation="softmax" if config.loss == "softmax" else "none",
    )
    return Encoder(input=InputSpec(), codec=codec)


def make_net(seed: int = 0) -> EvoPose2D:
    return build_evopose2d(NETWORK, seed=seed)


class Plain(nn.Module):
    """Convolutions without batch norm: parts of a batch do not feel each other."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first = nn.Conv2d(3, 6, 5, stride=2, padding=2)
        self.last = nn.Conv2d(6, 3, 3, padding=1)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.3, 0.3, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x).tanh())


def stop_after(steps: int) -> Callable[[], bool]:
    """Return a `should_stop` that says so after this many steps."""
    left = iter(range(steps - 1, -1, -1))
    return lambda: next(left) == 0


def losses(result: FitResult) -> list[tuple[float, ...]]:
    """Return what two equal trainings must agree in, to the bit: all but seconds."""
    return [
        (r.epoch, r.learning_rate, r.train_loss, r.val_loss, r.val_oks, r.samples)
        for r in result.history
    ]


def assert_same_weights(net: nn.Module, other: nn.Module) -> None:
    expected = other.state_dict()
    assert net.state_dict().keys() == expected.keys()
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
