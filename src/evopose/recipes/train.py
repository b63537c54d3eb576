"""Recipes of full training."""

from collections.abc import Callable

from evopose.data.augment import Augmentation
from evopose.training.config import TrainConfig, scaled_learning_rate


def paper() -> TrainConfig:
    """Return the paper's large-batch recipe: Adam, 200 epochs, batch 512, 5 epochs of warm-up.

    Half-body crops fire half of the time, as in every official run.

    Source: EvoPose2D, section 3.4; official `configs/evopose2d_S.yaml` at ea05b81.
    """
    return TrainConfig(
        epochs=200,
        batch_size=512,
        learning_rate=scaled_learning_rate(512),
        warmup_epochs=5,
        warmup_from=2.5e-4,
        weight_decay=2e-5,
        augmentation=Augmentation(half_body=0.5),
    )


def small() -> TrainConfig:
    """Return a recipe for thousands of images on a laptop: softmax cross-entropy, AdamW, EMA."""
    return TrainConfig(
        epochs=60,
        batch_size=32,
        learning_rate=2e-3,
        warmup_epochs=1.0,
        optimizer="adamw",
        weight_decay=1e-4,
        loss="softmax",
        round_centre=False,
        ema_decay=0.995,
        warm_averages=True,
        clip_norm=5.0,
        augmentation=Augmentation(colour=0.2),
    )


TRAIN_RECIPES: dict[str, Callable[[], TrainConfig]] = {"small": small, "paper": paper}
"""Name of `--recipe` -> configuration of a training."""
