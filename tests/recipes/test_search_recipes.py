"""The recipes' numbers, against the paper (arXiv 2011.08446) and the official E3.yaml."""

from dataclasses import replace

import pytest

from evopose.data.augment import Augmentation
from evopose.genotype import GENOTYPES
from evopose.recipes import SEARCH_RECIPES, TRAIN_RECIPES
from evopose.search.config import SearchConfig

EFFICIENTNET_B0 = [
    [3, 1, 2, 1], [3, 2, 3, 2], [5, 2, 5, 2], [3, 3, 10, 2], [5, 3, 14, 1], [5, 4, 24, 2],
    [3, 1, 40, 1],
]  # fmt: skip


@pytest.mark.parametrize("name", SEARCH_RECIPES)
def test_every_recipe_survives_json(name):
    config = SEARCH_RECIPES[name]()
    assert config.recipe == name
    again = SearchConfig.from_json(config.to_json())
    assert again == config
    assert again.to_json() == config.to_json()


def test_the_papers_search():
    config = SEARCH_RECIPES["paper"]()
    evolution = config.evolution
    assert (evolution.children, evolution.parents, evolution.clones) == (64, 4, True)
    assert (evolution.fitness.target_parameters, evolution.fitness.gamma) == (5e6, -0.07)
    assert evolution.generations is None
    assert config.input_hw == (256, 192)
    assert config.network.scaling_reference == 224
    assert (config.network.stem_channels, config.network.head_channels) == (32, 128)
    assert config.ancestor.to_list() == EFFICIENTNET_B0
    assert config.ancestor_weights == "imagenet"
    assert config.transfer == "official"
    first, child = config.ancestor_training, config.child_training
    assert (first.epochs, child.epochs) == (30, 5)
    for training in (first, child):
        assert (training.batch_size, training.learning_rate) == (512, 0.004)
        assert (training.optimizer, training.loss) == ("adam", "mse")
        assert (training.weight_decay, training.warmup_epochs) == (2e-5, 0)
        assert (training.ema_decay, training.clip_norm) == (0, 0)
        assert training.round_centre
        assert training.sigma is None
        assert training.augmentation == replace(Augmentation.flip_only(), half_body=0.5)


def test_as_written_differs_in_half_body_and_transfer_alone():
    paper, written = SEARCH_RECIPES["paper"](), SEARCH_RECIPES["paper-as-written"]()
    assert written.transfer == "exact"
    for training in (written.ancestor_training, written.child_training):
        assert training.augmentation == Augmentation.flip_only()
    same = replace(
        written,
        recipe="paper",
        transfer="official",
        ancestor_training=paper.ancestor_training,
        child_training=paper.child_training,
    )
    assert same == paper


@pytest.mark.parametrize("name", ["small", "demo"])
def test_laptop_recipes_learn_with_softmax_and_scale_nothing(name):
    config = SEARCH_RECIPES[name]()
    assert config.input_hw == (96, 64)
    assert config.network.scaling_reference is None
    assert config.ancestor == GENOTYPES["narrow"]
    assert config.ancestor_weights is None
    assert config.transfer == "exact"
    assert {config.ancestor_training.loss, config.child_training.loss} == {"softmax"}
    # With the clone, as many trainings as keep 1, 2, 4 or 8 workers busy to the end.
    assert (config.evolution.children + config.evolution.clones) % 8 == 0


def test_the_papers_training():
    config = TRAIN_RECIPES["paper"]()
    assert (config.epochs, config.batch_size, config.learning_rate) == (200, 512, 0.004)
    assert (config.warmup_epochs, config.warmup_from) == (5, 2.5e-4)
    assert (config.optimizer, config.weight_decay, config.loss) == ("adam", 2e-5, "mse")
    augmentation = config.augmentation
    assert (augmentation.flip, augmentation.half_body, augmentation.scale) == (0.5, 0.5, 0.3)
    assert (augmentation.rotation_deg, augmentation.rotation_probability) == (40, 0.6)
    assert TRAIN_RECIPES["small"]().loss == "softmax"
