"""PoseFix's loss: as the released code gave it, written out again, and learnt by heart."""

import numpy as np
import pytest
import torch

from evopose.codecs import make_codec
from evopose.models import posefix
from evopose.models.posefix import PoseFixConfig, build_posefix
from evopose.models.resnet import RESNET_BLOCKS
from evopose.training import refine_losses
from models.golden_weights import difference, read_golden

N, K, H, W = 3, 4, 6, 5


@pytest.fixture
def sample() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, targets in pixels of the heatmap, COCO's visibilities."""
    rng = np.random.default_rng(0)
    target = rng.uniform(0, (W, H), (N, K, 2))
    target[0, :3] = [[0, 0], [2, 3], [W - 0.25, H - 1.5]]  # a corner, a pixel, past the last column
    visibility = rng.integers(0, 3, (N, K))
    visibility[0] = [1, 2, 2, 0]
    assert 0 < (visibility > 0).sum() < N * K
    logits = torch.from_numpy(rng.normal(size=(N, K, H, W)) * 2)
    return logits.float(), torch.from_numpy(target).float(), torch.from_numpy(visibility).byte()


def by_hand(logits, target, visibility) -> float:
    """Means over all keypoints, and over both coordinates; what is unlabelled counts as right."""
    entropy, away = np.zeros((N, K)), np.zeros((N, K, 2))
    yy, xx = np.mgrid[:H, :W]
    for n, k in zip(*np.nonzero(visibility > 0), strict=True):
        x, y = target[n, k]
        truth = np.clip(1 - abs(xx - x), 0, 1) * np.clip(1 - abs(yy - y), 0, 1)
        truth /= truth.sum()
        p = np.exp(logits[n, k]) / np.exp(logits[n, k]).sum()
        entropy[n, k] = -(truth * np.log(p)).sum()
        away[n, k] = abs((p * xx).sum() - x), abs((p * yy).sum() - y)
    return float(entropy.mean() + away.mean())


def loss(logits, target, visibility) -> torch.Tensor:
    total = refine_losses.value((logits,), target, visibility)
    return total / refine_losses.divisor(target, visibility)


def test_value_by_hand(sample) -> None:
    expected = by_hand(*(t.numpy().astype(np.float64) for t in sample))
    assert float(loss(*sample)) == pytest.approx(expected, rel=1e-5)


def test_unlabelled_keypoints_have_no_gradient_and_parts_add_up(sample) -> None:
    logits, target, visibility = sample
    target[visibility == 0] = float("nan")
    assert torch.isnan(target).any()
    logits.requires_grad_()
    total = refine_losses.value((logits,), target, visibility)
    total.backward()
    total = total.detach()
    assert not logits.grad[visibility == 0].any()
    assert logits.grad[visibility > 0].flatten(1).abs().sum(1).min() > 0
    with torch.no_grad():
        parts = [[a[i : i + 1] for a in sample] for i in range(N)]
        sums = [float(refine_losses.value((a,), b, c)) for a, b, c in parts]
    assert sum(sums) == pytest.approx(float(total), rel=1e-5)
    divisors = [float(refine_losses.divisor(b, c)) for _, b, c in parts]
    assert sum(divisors) == float(refine_losses.divisor(target, visibility)) == N * K


def test_the_border_is_finite(sample) -> None:
    logits, target, visibility = sample
    target[:] = torch.tensor([W, H], dtype=torch.float32)  # where rounding may put a keypoint
    assert torch.isfinite(loss(logits, target, visibility))


def test_targets_in_pixels_of_the_heatmap() -> None:
    xy = np.array([[[0, 0], [191.5, 128]]], np.float32)
    codec = make_codec("soft_argmax", (256, 192), (64, 48))
    found = refine_losses.target(codec, xy, np.ones((1, 2), np.uint8))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[[0, 0], [47.875, 32]]])


def test_loss_and_gradient_are_those_of_the_release() -> None:
    """On logits that are a function of place, since the golden's own need the whole network."""
    golden = read_golden("posefix_loss")
    n, k, h, w = golden["logits_shape"]
    place = torch.arange(n * k * h * w, dtype=torch.float64).view(n, k, h, w)
    logits = (3 * torch.sin(place * 0.37) + torch.cos(place * place * 0.0011)).float()
    given = np.array(golden["targets"], np.float32)
    visible = (given[..., 2] * 2).astype(np.uint8)
    codec = make_codec("soft_argmax", (4 * h, 4 * w), (h, w))
    target = refine_losses.target(codec, given[..., :2], visible)
    visibility = torch.from_numpy(visible)
    logits.requires_grad_()
    found = loss(logits, torch.from_numpy(target), visibility)
    found.backward()
    assert found.item() == pytest.approx(golden["heatmap"] + golden["coordinate"], rel=1e-5)
    assert difference(golden["gradient"], logits.grad) < 1e-5


def test_a_network_learns_eight_poses_by_heart(monkeypatch) -> None:
    """Random pictures, poses that are wrong by about four pixels; one block a layer, a thin head.

    The truth lies on pixels of the heatmap: elsewhere the cross-entropy of a perfect answer is not
    0, but the entropy of the target's four weights, about 1 on average.
    """
    monkeypatch.setitem(RESNET_BLOCKS, 50, (1, 1, 1, 1))
    monkeypatch.setattr(posefix, "HEAD_CHANNELS", 32)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    net = build_posefix(PoseFixConfig(input_hw=(64, 32), num_keypoints=3, depth=50)).train()
    images = torch.from_numpy(rng.normal(size=(8, 3, 64, 32)).astype(np.float32)) * 50
    truth = 4 * rng.integers(2, (6, 14), (8, 3, 2)).astype(np.float32)
    wrong = truth + rng.normal(0, 4, truth.shape)
    poses = torch.from_numpy(np.dstack([wrong, np.ones((8, 3))])).float()
    visible = np.full((8, 3), 2, np.uint8)
    codec = make_codec("soft_argmax", net.config.input_hw, net.heatmap_hw)
    target = torch.from_numpy(refine_losses.target(codec, truth, visible))
    visibility = torch.from_numpy(visible)
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-4)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        now = loss(net(images, poses), target, visibility)
        now.backward()
        optimizer.step()
        losses.append(now.item())
    assert losses[-1] < losses[0] / 10
    reader = make_codec("soft_argmax", net.config.input_hw, net.heatmap_hw, activation="softmax")
    with torch.no_grad():
        found, _ = reader.decode(net(images, poses).numpy())
    assert np.abs(found - truth).mean() < 1.0
