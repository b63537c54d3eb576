"""Networks by name."""

import pytest
import torch

from evopose.errors import ConfigError, ModelError
from evopose.genotype import GENOTYPES, Genotype
from evopose.models import MODELS, build_model, split_name
from evopose.models.complexity import complexity
from evopose.models.network import PoseNetwork
from evopose.recipes import TRAIN_RECIPES

TINY = Genotype.from_list([[3, 1, 1, 1], [3, 1, 1, 2]])


@pytest.mark.parametrize("name", MODELS)
def test_every_entry_of_the_table_builds(name) -> None:
    """The contract of a network: upright images to K heatmaps, a state of its own, a seed."""
    entry = MODELS[name]
    needed = entry.architecture == "evopose2d" and entry.genotype is None
    genotype = TINY if needed else None
    net = build_model(name, input_hw=(64, 64), num_keypoints=3, genotype=genotype)
    assert isinstance(net, PoseNetwork)
    assert MODELS[name].recipe in TRAIN_RECIPES
    with torch.no_grad():
        given = (torch.zeros(2, 3, 3),) if net.refines else ()
        heatmaps = net.eval()(torch.zeros(2, 3, 64, 64), *given)
    assert heatmaps.shape == (2, 3, *net.heatmap_hw)
    assert entry.summary
    split_name(name)


@pytest.mark.parametrize(
    ("name", "params", "input_hw"),
    [
        ("evopose2d-xs", 2531199, (256, 192)),
        ("evopose2d-s", 2531199, (256, 192)),
        ("evopose2d-m", 7341609, (384, 288)),
        ("evopose2d-l", 14709587, (512, 384)),
        ("efficientnet-b0", 4302125, (256, 192)),
    ],
)
def test_published_networks_have_their_published_size(name, params, input_hw) -> None:
    net = build_model(name)
    assert net.config.input_hw == input_hw == MODELS[name].input_hw
    assert complexity(net, input_hw=input_hw).num_parameters == params


def test_an_alias_names_the_input_size() -> None:
    assert split_name("evopose2d-s-256x192") == ("evopose2d-s", (256, 192))
    assert split_name("evopose2d-s") == ("evopose2d-s", None)
    for options in ({}, {"input_hw": (96, 64)}, {"input_hw": [96, 64]}):
        net = build_model("evopose2d-xs-96x64", scaling_reference=None, **options)
        assert net.config.input_hw == (96, 64)
        assert net.config.genotype == GENOTYPES["evopose2d-xs"]
        assert net.config.scaling_reference is None


def test_the_seed_decides_the_weights() -> None:
    first, again, other = (
        build_model("evopose2d", genotype=TINY, seed=seed).stem_conv.weight for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("hrnet-w99", {}, ModelError, "no network is called 'hrnet-w99'; there are evopose2d, "),
        ("evopose2d-s-256", {}, ModelError, "no network is called 'evopose2d-s-256'"),
        ("evopose2d", {}, ConfigError, "evopose2d needs a genotype"),
        ("evopose2d-s", {"genotype": TINY}, ConfigError, "evopose2d-s has a genotype of its own"),
        ("narrow-96x64", {"input_hw": (64, 48)}, ConfigError, "another input size than 64x48"),
        (
            "narrow",
            {"wide": 3},
            ConfigError,
            "narrow cannot be built: evopose2d has no option wide",
        ),
        ("narrow", {"input_hw": 96}, ConfigError, "narrow cannot be built"),
        ("narrow", {"head_kernel": 1}, ConfigError, "head_kernel at least 2"),
        ("narrow", {"num_keypoints": 0}, ConfigError, "num_keypoints must be at least 1"),
        ("narrow-0x64", {}, ConfigError, "input_hw must be"),
    ],
)
def test_what_cannot_be_built_is_told(name, options, error, message) -> None:
    with pytest.raises(error, match=message):
        build_model(name, **options)
