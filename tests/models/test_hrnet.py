"""HRNet, against the published counts and its authors' initialisation."""

import pytest
import torch

from evopose.errors import ConfigError
from evopose.models.complexity import complexity
from evopose.models.hrnet import HRNet, HRNetConfig, build_hrnet


@pytest.mark.parametrize(
    ("width", "input_hw", "params", "macs"),
    [
        (32, (256, 192), 28.54, 7.65),
        (32, (384, 288), 28.54, 17.20),
        (48, (256, 192), 63.60, 15.69),
        (48, (384, 288), 63.60, 35.31),
    ],
)
def test_counts_are_the_published_ones(width, input_hw, params, macs) -> None:
    """Millions of parameters, billions of multiply-adds."""
    with torch.device("meta"):
        net = HRNet(HRNetConfig(input_hw=input_hw, width=width))
    found = complexity(net, input_hw=input_hw)
    assert found.num_trainable / 1e6 == pytest.approx(params, rel=1e-3)
    assert found.num_macs / 1e9 == pytest.approx(macs, rel=5e-3)
    assert net.heatmap_hw == (input_hw[0] // 4, input_hw[1] // 4)


def test_heatmaps_have_the_size_they_say() -> None:
    with torch.device("meta"):
        net = HRNet(HRNetConfig(input_hw=(96, 32), num_keypoints=5, width=8)).eval()
        heatmaps = net(torch.empty(2, 3, 96, 32))
    assert heatmaps.shape == (2, 5, *net.heatmap_hw) == (2, 5, 24, 8)


def test_it_starts_as_its_authors_start_it() -> None:
    net, again, other = (
        build_hrnet(HRNetConfig(num_keypoints=3, width=8), seed=seed) for seed in (1, 1, 2)
    )
    assert all(map(torch.equal, net.state_dict().values(), again.state_dict().values()))
    for name, parameter in net.named_parameters():
        if parameter.ndim == 4:
            assert not torch.equal(parameter, other.get_parameter(name))
            assert parameter.std().item() == pytest.approx(0.001, rel=0.3)
        else:
            assert parameter.eq(float(name.endswith("weight"))).all()


def test_every_parameter_learns() -> None:
    net = build_hrnet(HRNetConfig(input_hw=(64, 64), num_keypoints=3, width=8))
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 64, 64, generator=generator)
    net.train()(images).sub(1).square().mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width must be at least 1"),
        ({"num_keypoints": 0}, "num_keypoints must be at least 1"),
        ({"input_hw": (256, 200)}, "multiples of 32, got 256x200; .* fits is 256x192"),
        ({"input_hw": (-32, 32)}, "input_hw must be"),
    ],
)
def test_what_cannot_be_built_is_told(options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        HRNetConfig(**options)
