"""A network that goes on at another input size."""

import pytest
import torch

from evopose.errors import ConfigError
from evopose.genotype import GENOTYPES
from evopose.models import build_model
from evopose.models.architectures import at_size, build_network


def test_weights_stay_and_heatmaps_grow():
    net = build_model("narrow", input_hw=(64, 64), num_keypoints=3, scaling_reference=None).eval()
    larger = at_size(net, (128, 96)).eval()
    assert larger.config.input_hw == (128, 96)
    for key, one in net.state_dict().items():
        assert torch.equal(one, larger.state_dict()[key]), key
    crops = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(net(crops), at_size(larger, (64, 64)).eval()(crops))
        height, width = larger.heatmap_hw
        assert larger(torch.rand(1, 3, 128, 96)).shape == (1, 3, height, width)
    assert (height / net.heatmap_hw[0], width / net.heatmap_hw[1]) == (2, 1.5)


def test_a_scaled_network_has_other_layers_at_another_size():
    net = build_network(
        "evopose2d", input_hw=(64, 64), num_keypoints=3, genotype=GENOTYPES["evopose2d-xs"]
    )
    with pytest.raises(ConfigError, match="other layers than at 64x64, to which it was scaled"):
        at_size(net, (256, 192))


def test_a_size_that_is_a_gene_stays():
    genotype = GENOTYPES["narrow"].with_gene(None, "input_size", "64x64")
    net = build_network("evopose2d", input_hw=(64, 64), num_keypoints=3, genotype=genotype)
    with pytest.raises(ConfigError, match="input size as a gene"):
        at_size(net, (128, 96))
