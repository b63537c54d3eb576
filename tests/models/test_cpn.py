"""CPN, against the counts of the tables, its authors' initialisation and TensorFlow's resizing."""

import math

import pytest
import torch
from torch import nn

from evopose.errors import ConfigError
from evopose.models.complexity import complexity
from evopose.models.cpn import CPN, CPNConfig, build_cpn, enlarged
from evopose.models.inception_resnet import InceptionResNetV2
from evopose.models.resnet import RESNET_BLOCKS
from models.golden_weights import (
    TOLERANCE,
    difference,
    formula_image,
    formula_weights,
    read_golden,
)


@pytest.fixture
def short(monkeypatch) -> None:
    """Let a ResNet-50 have one block a layer."""
    monkeypatch.setitem(RESNET_BLOCKS, 50, (1, 1, 1, 1))


@pytest.mark.parametrize(
    ("depth", "input_hw", "params", "macs"),
    [
        # Trainable parameters as TensorFlow counts them in the authors' graph.
        (50, (256, 192), 27_009_770, 7.23),
        (101, (384, 288), 46_001_898, 24.45),
    ],
)
def test_counts_are_those_of_the_tables(depth, input_hw, params, macs) -> None:
    """Parameters, and billions of multiply-adds."""
    with torch.device("meta"):
        net = CPN(CPNConfig(input_hw=input_hw, depth=depth))
    found = complexity(net, input_hw=input_hw)
    assert found.num_trainable == params
    assert found.num_macs / 1e9 == pytest.approx(macs, rel=5e-3)


def test_the_inception_trunk_has_the_published_parameters() -> None:
    """55 843 464 in timm, of which 1000 x 1537 are the classifier's."""
    with torch.device("meta"):
        trunk = InceptionResNetV2()
    found = complexity(trunk, input_hw=(64, 64))
    assert found.num_trainable == 55_843_464 - 1000 * 1537


def test_the_inception_trunk_computes_what_timms_does() -> None:
    """With 'same' padding in both."""
    golden = read_golden("inception_resnet_v2")
    with torch.device("meta"):
        trunk = InceptionResNetV2()
    trunk.load_state_dict(formula_weights(golden["shapes"]), assign=True)
    with torch.no_grad():
        features = trunk.eval()(formula_image(*golden["image_hw"]))
    for i, feature in enumerate(features):
        assert difference(golden[f"stride {4 << i}"], feature) <= TOLERANCE


@pytest.mark.parametrize("depth", [50, "inception-resnet-v2"])
def test_every_level_has_heatmaps(depth) -> None:
    config = CPNConfig(input_hw=(96, 32), num_keypoints=5, depth=depth)
    with torch.device("meta"):
        net = CPN(config).eval()
        images = torch.empty(2, 3, 96, 32)
    assert net(images).shape == (2, 5, *net.heatmap_hw) == (2, 5, 24, 8)
    assert [each.shape for each in net(images, every_stage=True)] == [(2, 5, 24, 8)] * 5


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_it_resizes_as_tensorflow_1_does(factor) -> None:
    x = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    found = enlarged(x, (5 * factor, 4 * factor))
    assert found.shape == (2, 3, 5 * factor, 4 * factor)
    for i in range(5 * factor):
        for j in range(4 * factor):
            (y0, dy), (x0, dx) = divmod(i / factor, 1), divmod(j / factor, 1)
            top, left = int(y0), int(x0)
            bottom, right = min(top + 1, 4), min(left + 1, 3)
            upper = x[:, :, top, left] * (1 - dx) + x[:, :, top, right] * dx
            lower = x[:, :, bottom, left] * (1 - dx) + x[:, :, bottom, right] * dx
            torch.testing.assert_close(found[:, :, i, j], upper * (1 - dy) + lower * dy)


def test_it_starts_as_its_authors_start_it(short) -> None:
    config = CPNConfig(num_keypoints=3)
    net, again, other = (build_cpn(config, seed=seed) for seed in (1, 1, 2))
    assert all(map(torch.equal, net.state_dict().values(), again.state_dict().values()))
    for name, module in net.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            assert (module.eps, module.momentum) == (1e-9, 0.01)
            assert module.weight.eq(1).all()
            assert module.bias.eq(0).all()
        elif isinstance(module, nn.Conv2d):
            out, channels_in, kernel, _ = module.weight.shape
            fan_in, fan_out = channels_in * kernel**2, out * kernel**2
            if any(part in name for part in ("trunk.", "cascade.", "final_bottleneck.")):
                expected = math.sqrt(2 / fan_in)
                assert module.weight.abs().max() <= 2 * math.sqrt(2.6 / fan_in) + 1e-6
            else:
                expected = math.sqrt(2 / (fan_in + fan_out))
                assert module.weight.abs().max() <= math.sqrt(3) * expected + 1e-6
            assert module.weight.std().item() == pytest.approx(expected, rel=0.05)
            assert not torch.equal(module.weight, other.get_submodule(name).weight)
            assert (module.bias is not None) == (".merge." in name)
            assert module.bias is None or module.bias.eq(0).all()


@pytest.mark.parametrize("depth", [50, "inception-resnet-v2"])
def test_every_parameter_learns(depth, short) -> None:
    with torch.device("meta"):
        net = CPN(CPNConfig(input_hw=(64, 64), num_keypoints=3, depth=depth))
    weights = formula_weights({name: each.shape for name, each in net.state_dict().items()})
    net.load_state_dict(weights, assign=True)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    loss = sum(each.sub(1).square().mean() for each in net.train()(images, every_stage=True))
    loss.backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any() or name.endswith("project.bias"), name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 152}, "depth must be 50, 101 or inception-resnet-v2, got 152"),
        ({"depth": "50"}, "depth must be 50, 101 or inception-resnet-v2, got 50"),
        ({"num_keypoints": 0}, "num_keypoints must be at least 1"),
        ({"input_hw": (384, 290)}, "multiples of 32, got 384x290; .* fits is 384x288"),
    ],
)
def test_what_cannot_be_built_is_told(options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        CPNConfig(**options)
