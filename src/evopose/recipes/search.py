"""Recipes of the search: the paper's two forms, a laptop's night, and minutes."""

from collections.abc import Callable
from dataclasses import replace

from evopose.data.augment import Augmentation
from evopose.evolution.config import EvolutionConfig
from evopose.evolution.fitness import Fitness
from evopose.genotype import SPACES
from evopose.recipes.train import small as small_training
from evopose.search.config import NetworkOptions, SearchConfig
from evopose.training.config import TrainConfig, scaled_learning_rate


def paper() -> SearchConfig:
    """Return the search as the official code runs it.

    64 children of 4 parents, 30 + 5 epochs, 256x192, batch 512, T = 5e6, Gamma = -0.07, the
    official weight transfer, flips, and half-body crops half of the time (a slip of the official
    loader that all its results include). It ends when J has converged: when five generations
    together gain a thousandth or less (the official loop runs until it is stopped).

    Source: official `configs/E3.yaml`, `ga.py`, `dataset/dataloader.py` at ea05b81.
    """
    training = TrainConfig(
        epochs=30,
        batch_size=512,
        learning_rate=scaled_learning_rate(512),
        weight_decay=2e-5,
        augmentation=replace(Augmentation.flip_only(), half_body=0.5),
    )
    space = SPACES["paper"]
    return SearchConfig(
        recipe="paper",
        space=space,
        ancestor=space.ancestor,
        ancestor_weights="imagenet",
        input_hw=(256, 192),
        transfer="official",
        evolution=EvolutionConfig(
            children=64, parents=4, patience=5, min_gain=0.001, fitness=Fitness()
        ),
        ancestor_training=training,
        child_training=replace(training, epochs=5),
    )


def paper_as_written() -> SearchConfig:
    """Return the search as the paper describes it: `paper` without half-body crops, and with a
    transfer that does what the paper says of kernels and added blocks."""
    config = paper()
    flips = Augmentation.flip_only()
    return replace(
        config,
        recipe="paper-as-written",
        transfer="exact",
        ancestor_training=replace(config.ancestor_training, augmentation=flips),
        child_training=replace(config.child_training, augmentation=flips),
    )


def small() -> SearchConfig:
    """Return a search for a laptop's night: 96x64, networks of a few hundred thousand parameters.

    The loss is a spatial softmax cross-entropy: on few images and few epochs mean squared error
    stays at the blank heatmap (`docs/search.md`).
    """
    ancestor = replace(small_training(), epochs=12, augmentation=Augmentation())
    space = SPACES["small"]
    return SearchConfig(
        recipe="small",
        space=space,
        ancestor=space.ancestor,
        network=NetworkOptions(stem_channels=16, head_channels=32, scaling_reference=None),
        input_hw=(96, 64),
        evolution=EvolutionConfig(
            children=7,  # with the clone eight trainings: even over 1, 2, 4 or 8 workers
            parents=2,
            generations=20,
            hours=8.0,
            patience=3,
            min_gain=0.002,
            rescore=3,
            fitness=Fitness(target_parameters=3e5),
        ),
        ancestor_training=ancestor,
        child_training=replace(ancestor, epochs=3, learning_rate=1.5e-3, warmup_epochs=0.2),
    )


def demo() -> SearchConfig:
    """Return `small`, cut to minutes on two cores: 3 generations of 7 children, few epochs; on a
    slower machine it ends with what eight minutes gave."""
    config = small()
    evolution = replace(config.evolution, generations=3, hours=8 / 60, patience=None, rescore=2)
    return replace(
        config,
        recipe="demo",
        evolution=evolution,
        ancestor_training=replace(config.ancestor_training, epochs=12, ema_decay=0.98),
        child_training=replace(config.child_training, epochs=2, ema_decay=0.98),
    )


SEARCH_RECIPES: dict[str, Callable[[], SearchConfig]] = {
    "small": small,
    "demo": demo,
    "paper": paper,
    "paper-as-written": paper_as_written,
}
"""Name of `--recipe` -> configuration of a search."""
