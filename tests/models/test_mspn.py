"""MSPN, against the counts of the tables and its authors' initialisation."""

import math

import pytest
import torch
from torch import nn

from evopose.errors import ConfigError
from evopose.models.complexity import complexity
from evopose.models.mspn import MSPN, MSPNConfig, build_mspn
from evopose.models.resnet import RESNET_BLOCKS


@pytest.fixture
def short(monkeypatch) -> None:
    """Let a ResNet-50 have one block a layer."""
    monkeypatch.setitem(RESNET_BLOCKS, 50, (1, 1, 1, 1))


@pytest.mark.parametrize(
    ("stages", "params", "macs"),
    [
        # Parameters as counted in the authors' network.
        (1, 25_141_708, 5.07),
        (2, 56_867_032, 11.26),
        (3, 88_592_356, 17.45),
        (4, 120_317_680, 23.64),
    ],
)
def test_counts_are_those_of_the_tables(stages, params, macs) -> None:
    """Parameters, and billions of multiply-adds."""
    with torch.device("meta"):
        net = MSPN(MSPNConfig(stages=stages))
    found = complexity(net, input_hw=(256, 192))
    assert found.num_trainable == params
    assert found.num_macs / 1e9 == pytest.approx(macs, rel=5e-3)


def test_without_biases_it_is_mmposes() -> None:
    with torch.device("meta"):
        net = MSPN(MSPNConfig(stages=4, bias=False))
    found = complexity(net, input_hw=(256, 192))
    assert found.num_trainable == 120_176_864  # as counted in mmpose's network


@pytest.mark.parametrize("stages", [1, 3])
def test_every_unit_of_every_stage_has_heatmaps(stages, short) -> None:
    config = MSPNConfig(input_hw=(96, 32), num_keypoints=5, stages=stages, channels=8)
    with torch.device("meta"):
        net = MSPN(config).eval()
        images = torch.empty(2, 3, 96, 32)
    assert net(images).shape == (2, 5, *net.heatmap_hw) == (2, 5, 24, 8)
    assert [each.shape for each in net(images, every_stage=True)] == [(2, 5, 24, 8)] * 4 * stages


def test_the_answer_is_the_last_units(short) -> None:
    net = build_mspn(MSPNConfig(input_hw=(64, 32), num_keypoints=2, channels=8)).eval()
    images = torch.randn(1, 3, 64, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        every = net(images, every_stage=True)
        assert torch.equal(net(images), every[-1])
    assert not torch.equal(every[-1], every[-2])


def test_it_starts_as_its_authors_start_it(short) -> None:
    config = MSPNConfig(num_keypoints=3, stages=2)
    net, again, other = (build_mspn(config, seed=seed) for seed in (1, 1, 2))
    assert all(map(torch.equal, net.state_dict().values(), again.state_dict().values()))
    for name, module in net.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.weight.eq(1).all()
            assert module.bias.eq(0).all()
        elif isinstance(module, nn.Conv2d):
            out, channels_in, kernel, _ = module.weight.shape
            bound = 1 / math.sqrt(channels_in * kernel**2)
            if ".downsample." in name:
                expected = math.sqrt(2 / (out * kernel**2))
            else:
                expected = bound / math.sqrt(3)
                assert module.weight.abs().max() <= bound
            assert module.weight.std().item() == pytest.approx(expected, rel=0.05)
            assert module.bias.abs().max() <= bound
            assert not torch.equal(module.weight, other.get_submodule(name).weight)
            assert not torch.equal(module.bias, other.get_submodule(name).bias)


def test_every_parameter_learns(short) -> None:
    net = build_mspn(MSPNConfig(input_hw=(64, 64), num_keypoints=3, stages=3, channels=16))
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    loss = sum(each.sub(1).square().mean() for each in net.train()(images, every_stage=True))
    loss.backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any() or name.endswith("conv.bias"), name  # a batch norm undoes it


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stages": 0}, "stages must be 1 to 4, got 0"),
        ({"stages": 5}, "stages must be 1 to 4, got 5"),
        ({"depth": 18}, "depth must be one of 50, 101, 152, got 18"),
        ({"channels": 0}, "channels must be at least 1"),
        ({"num_keypoints": 0}, "num_keypoints must be at least 1"),
        ({"input_hw": (256, 200)}, "multiples of 32, got 256x200; .* fits is 256x192"),
    ],
)
def test_what_cannot_be_built_is_told(options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        MSPNConfig(**options)
