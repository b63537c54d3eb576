"""SimpleBaseline, against the published counts and its authors' initialisation."""

import pytest
import torch

from evopose.errors import ConfigError
from evopose.models.complexity import complexity
from evopose.models.simple_baseline import (
    SimpleBaseline,
    SimpleBaselineConfig,
    build_simple_baseline,
)


@pytest.mark.parametrize(
    ("depth", "input_hw", "params", "paper", "torchvision"),
    [
        (50, (256, 192), 34.00, 5.20, 5.43),
        (50, (384, 288), 34.00, 11.70, 12.21),
        (101, (256, 192), 52.99, 8.84, 9.06),
        (152, (256, 192), 68.64, 12.47, 12.70),
        (152, (384, 288), 68.64, 28.06, 28.57),
    ],
)
def test_counts_are_the_published_ones(depth, input_hw, params, paper, torchvision) -> None:
    """Millions of parameters, and billions of multiply-adds with both places of the stride."""
    for stride_on_1x1, macs in ((True, paper), (False, torchvision)):
        config = SimpleBaselineConfig(input_hw=input_hw, depth=depth, stride_on_1x1=stride_on_1x1)
        with torch.device("meta"):
            net = SimpleBaseline(config)
        found = complexity(net, input_hw=input_hw)
        assert found.num_trainable / 1e6 == pytest.approx(params, rel=1e-3)
        assert found.num_macs / 1e9 == pytest.approx(macs, rel=5e-3)
        assert net.heatmap_hw == (input_hw[0] // 4, input_hw[1] // 4)


@pytest.mark.parametrize("stride_on_1x1", [True, False])
@pytest.mark.parametrize("input_hw", [(64, 32), (33, 64), (70, 95)])
def test_heatmaps_have_the_size_they_say(input_hw, stride_on_1x1) -> None:
    config = SimpleBaselineConfig(input_hw=input_hw, num_keypoints=5, stride_on_1x1=stride_on_1x1)
    with torch.device("meta"):
        net = SimpleBaseline(config).eval()
        heatmaps = net(torch.empty(2, 3, *input_hw))
    assert heatmaps.shape == (2, 5, *net.heatmap_hw)


def test_it_starts_as_its_authors_start_it() -> None:
    net, again, other = (
        build_simple_baseline(SimpleBaselineConfig(num_keypoints=3), seed=seed)
        for seed in (1, 1, 2)
    )
    assert all(map(torch.equal, net.state_dict().values(), again.state_dict().values()))
    for name, parameter in net.named_parameters():
        if parameter.ndim == 4:
            assert not torch.equal(parameter, other.get_parameter(name))
            assert parameter.std().item() == pytest.approx(0.001, rel=0.1)
        else:
            assert parameter.eq(float(name.endswith("weight"))).all()


def test_every_parameter_learns() -> None:
    net = build_simple_baseline(SimpleBaselineConfig(input_hw=(64, 64), num_keypoints=3))
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
        ({"depth": 34}, "depth must be one of 50, 101, 152, got 34"),
        ({"num_keypoints": 0}, "num_keypoints must be at least 1"),
        ({"input_hw": (0, 192)}, "input_hw must be"),
        ({"input_hw": (256,)}, "input_hw must be"),
    ],
)
def test_what_cannot_be_built_is_told(options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        SimpleBaselineConfig(**options)
