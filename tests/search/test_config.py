"""A search's configuration is checked when it is made, and survives JSON."""

import json
from dataclasses import replace

import pytest

from evopose.errors import ConfigError
from evopose.genotype import GENOTYPES
from evopose.recipes import SEARCH_RECIPES
from evopose.search.config import NetworkOptions, SearchConfig


@pytest.fixture
def small():
    return SEARCH_RECIPES["small"]()


def test_an_ancestor_outside_the_space_is_refused(small):
    with pytest.raises(ConfigError, match=r"outside the space 'small': stage 3 has filters 5"):
        replace(small, ancestor=GENOTYPES["efficientnet-b0"])


@pytest.mark.parametrize(
    ("size", "nearest"), [((97, 64), "96x64"), ((96, 50), "96x64"), ((250, 190), "256x192")]
)
def test_a_size_that_strides_do_not_divide_names_the_nearest(small, size, nearest):
    with pytest.raises(
        ConfigError, match=rf"not divided by 32.*nearest size that fits is {nearest}"
    ):
        replace(small, input_hw=size)


def test_the_stride_is_the_largest_of_the_space_not_the_ancestors(small):
    # The ancestor's is 16; a mutant may have 32.
    with pytest.raises(ConfigError, match="not divided by 32"):
        replace(small, input_hw=(48, 48))


def test_an_unknown_transfer_is_refused(small):
    with pytest.raises(ConfigError, match="exact or official, got 'best'"):
        replace(small, transfer="best")


def test_json_keeps_what_differs_from_every_default(small):
    config = replace(
        small,
        ancestor_weights="weights.safetensors",
        network=NetworkOptions(
            stem_channels=8, head_channels=24, final_kernel=3, scaling_reference=100.0
        ),
        input_hw=(64, 32),
        transfer="official",
        evolution=replace(
            small.evolution,
            clones=False,
            seed=5,
            keep_best=3,
            fitness=replace(small.evolution.fitness, target_macs=1e7, max_macs=10**9),
        ),
        child_training=replace(
            small.child_training,
            sigma=1.5,
            augmentation=replace(small.child_training.augmentation, colour=0.3),
        ),
        crop_margin=1.2,
        batch_norm_batches=2,
    )
    assert SearchConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", '{"recipe": "small"}', "not json"],
)
def test_what_is_no_configuration_is_refused(text):
    with pytest.raises(ConfigError, match="not a search configuration"):
        SearchConfig.from_json(text)


def test_a_configuration_of_another_version_is_refused(small):
    value = json.loads(small.to_json())
    with pytest.raises(ConfigError, match=r"not a search configuration.*novelty"):
        SearchConfig.from_json(json.dumps(value | {"novelty": 1}))
    value["evolution"]["novelty"] = 1
    with pytest.raises(ConfigError, match=r"not a search configuration.*novelty"):
        SearchConfig.from_json(json.dumps(value))


def test_networks_of_a_search_share_their_options(small):
    network = small.evopose2d(small.ancestor, num_keypoints=5)
    assert (network.genotype, network.input_hw) == (small.ancestor, (96, 64))
    assert (network.num_keypoints, network.stem_channels, network.head_channels) == (5, 16, 32)
    assert network.scaling_reference is None
