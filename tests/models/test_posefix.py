"""PoseFix: counts of the tables, maps and coordinates written out again, what is refused."""

import numpy as np
import pytest
import torch

from evopose.errors import ConfigError
from evopose.models.complexity import complexity
from evopose.models.posefix import PoseFix, PoseFixConfig, build_posefix, pose_maps, soft_argmax

COUNTS = {
    (50, (256, 192)): (34.05, 6.08),
    (152, (256, 192)): (68.69, 13.35),
    (152, (384, 288)): (68.69, 30.05),
}
"""Depth and input size -> millions of trainable parameters, billions of multiply-adds."""


@pytest.fixture(scope="module")
def small() -> PoseFix:
    return build_posefix(PoseFixConfig(input_hw=(64, 32), num_keypoints=5, depth=50), seed=3).eval()


@pytest.mark.parametrize("case", COUNTS)
def test_counts(case) -> None:
    depth, input_hw = case
    parameters, macs = COUNTS[case]
    with torch.device("meta"):
        net = PoseFix(PoseFixConfig(input_hw=input_hw, depth=depth))
    found = complexity(net, input_hw=input_hw)
    assert found.num_trainable / 1e6 == pytest.approx(parameters, rel=1e-3)
    assert found.num_macs / 1e9 == pytest.approx(macs, rel=5e-3)
    channels = sum(m.num_features for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert found.num_parameters == found.num_trainable + 2 * channels


def test_the_variables_of_the_release_are_as_many() -> None:
    """34 053 009 and 68 688 785 trainable ones, counted in the authors' graphs."""
    for depth, count in ((50, 34_053_009), (152, 68_688_785)):
        with torch.device("meta"):
            net = PoseFix(PoseFixConfig(depth=depth))
        assert sum(p.numel() for p in net.parameters()) == count


def test_sigmas_are_the_authors_where_they_name_them() -> None:
    for height, sigma in ((256, 7), (384, 9), (64, 4), (512, 11)):
        assert PoseFixConfig(input_hw=(height, height // 4 * 3 // 32 * 32)).sigma == sigma
    assert PoseFixConfig(input_hw=(64, 64), sigma=2.5).sigma == 2.5


def test_maps_by_the_formula() -> None:
    """Peak 255, sigma in pixels; the release's sum of two squares in one exponent."""
    rng = np.random.default_rng(0)
    poses = rng.uniform(-5, 30, (2, 3, 3)).astype(np.float32)
    poses[..., 2] = [[1, 0.2, 0], [-1, 2, 1]]
    yy, xx = np.mgrid[:20, :24]
    for pose, maps in zip(
        poses, pose_maps(torch.from_numpy(poses), size_hw=(20, 24), sigma=3.5), strict=True
    ):
        for (x, y, known), found in zip(pose, maps, strict=True):
            by_hand = 255 * np.exp(-(((xx - x) / 3.5) ** 2) / 2 - (((yy - y) / 3.5) ** 2) / 2)
            np.testing.assert_allclose(found, by_hand * (known > 0), rtol=1e-5, atol=1e-4)


def test_what_is_unknown_of_a_pose_may_be_anything(small) -> None:
    images = torch.rand(1, 3, 64, 32)
    pose = torch.rand(1, 5, 3) * 30
    pose[0, 2, 2] = 0
    other = pose.clone()
    other[0, 2, :2] = torch.tensor([float("nan"), 1e9])
    with torch.no_grad():
        assert torch.equal(small(images, pose), small(images, other))
        moved = pose.clone()
        moved[0, 1, 0] += 3
        assert not torch.equal(small(images, pose), small(images, moved))


def test_soft_argmax_is_the_mean_under_the_softmax() -> None:
    logits = torch.randn(2, 5, 16, 8, dtype=torch.float64) * 3
    p = np.exp(logits.numpy())
    p /= p.sum((2, 3), keepdims=True)
    yy, xx = np.mgrid[:16, :8]
    by_hand = np.stack([(p * xx).sum((2, 3)), (p * yy).sum((2, 3))], -1)
    np.testing.assert_allclose(soft_argmax(logits), by_hand, rtol=1e-4)


def test_shapes_and_seeds(small) -> None:
    with torch.no_grad():
        logits = small(torch.rand(2, 3, 64, 32), torch.rand(2, 5, 3))
    assert logits.shape == (2, 5, 16, 8)
    assert small.heatmap_hw == (16, 8)
    state = torch.get_rng_state()
    again, other = (build_posefix(small.config, seed=seed) for seed in (3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in small.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
    assert not torch.equal(other.trunk.conv1.weight, small.trunk.conv1.weight)


def test_weights_start_as_the_authors_draw_them(small) -> None:
    """contrib.layers' variance scaling: stddev sqrt(1.3 * 2 / fan-in) before the cut at two."""
    cut = 0.87962566  # standard deviation of a unit normal cut at two
    for conv, std in (
        (small.trunk.layer3[0].conv2, (2.6 / (256 * 9)) ** 0.5),
        (small.trunk.conv1, (2.6 / (8 * 49)) ** 0.5),
        (small.deconv_layers[3], 0.01),
    ):
        found = conv.weight.detach()
        assert float(found.std()) == pytest.approx(std * cut, rel=0.02)
        assert float(found.abs().max()) <= 2 * std
    assert not small.final_layer.bias.any()
    norm = small.trunk.bn1
    assert (norm.eps, norm.momentum) == (1.001e-5, 0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_hw": (256, 200)}, "multiples of 32, got 256x200; .* 256x192"),
        ({"num_keypoints": 0}, "num_keypoints must be at least 1"),
        ({"depth": 34}, "depth must be one of 50, 101, 152, got 34"),
        ({"sigma": 0.0}, "sigma must be positive"),
    ],
)
def test_what_cannot_be_built(options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        PoseFixConfig(**options)
