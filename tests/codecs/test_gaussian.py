"""The Gaussian codec against the official formulas, one keypoint at a time."""

import math

import numpy as np
import pytest

from evopose.codecs import GaussianCodec
from evopose.errors import ConfigError


def one_heatmap(x, y, codec):
    """The target of one keypoint, pixel by pixel, as the paper's code defines it."""
    (in_h, in_w), (h, w) = codec.input_hw, codec.heatmap_hw
    cx, cy = math.floor(x / in_w * w + 0.5), math.floor(y / in_h * h + 0.5)
    sigma = 2 * h / 64
    heatmap = np.empty((h, w))
    for i in range(h):
        for j in range(w):
            heatmap[i, j] = 255 * math.exp(-(((j - cx) / sigma) ** 2 + ((i - cy) / sigma) ** 2) / 2)
    return heatmap


def one_keypoint(heatmap, codec):
    """The keypoint of one heatmap, as the paper's code reads it."""
    h, w = heatmap.shape
    y, x = divmod(int(heatmap.argmax()), w)
    step_x = step_y = 0.0
    if 1 < x < w - 1 and 1 < y < h - 1:
        step_x = 0.25 * np.sign(heatmap[y, x + 1] - heatmap[y, x - 1])
        step_y = 0.25 * np.sign(heatmap[y + 1, x] - heatmap[y - 1, x])
    xy = (x + step_x) * codec.input_hw[1] / w, (y + step_y) * codec.input_hw[0] / h
    return *xy, heatmap.max() / 255


@pytest.mark.parametrize("heatmap_hw", [(24, 16), (48, 32), (64, 48), (20, 17)])
def test_targets_are_the_official_ones(heatmap_hw):
    codec = GaussianCodec(input_hw=(96, 64), heatmap_hw=heatmap_hw)
    xy = np.random.default_rng(1).uniform(0, 64, (3, 5, 2))
    heatmaps = codec.encode(xy, np.ones((3, 5), bool))
    for b in range(3):
        for k in range(5):
            expected = one_heatmap(*xy[b, k], codec)
            np.testing.assert_allclose(heatmaps[b, k], expected, atol=255 * 1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("heatmap_hw", [(24, 16), (64, 48), (3, 4), (1, 1)])
def test_decoding_equals_the_official_loop(heatmap_hw, dtype):
    codec = GaussianCodec(input_hw=(96, 64), heatmap_hw=heatmap_hw)
    # Small whole numbers: many ties, maxima on every border.
    heatmaps = np.random.default_rng(2).integers(0, 6, (40, 7, *heatmap_hw)).astype(dtype)
    heatmaps += np.random.default_rng(3).choice([0, 0.5], heatmaps.shape).astype(dtype)
    xy, score = codec.decode(heatmaps)
    expected = np.array([[one_keypoint(h, codec) for h in one] for one in heatmaps])
    np.testing.assert_allclose(xy, expected[..., :2], atol=1e-9)
    np.testing.assert_allclose(score, expected[..., 2], atol=1e-9)


def test_true_centres_halve_the_error():
    xy = np.random.default_rng(0).uniform(16, 48, (1, 2000, 2))
    error = {}
    for rounded in (True, False):
        codec = GaussianCodec(input_hw=(96, 64), heatmap_hw=(24, 16), round_centre=rounded)
        found, _ = codec.decode(codec.encode(xy, np.ones((1, 2000), bool)))
        error[rounded] = np.abs(found - xy).mean()
    # Uniform over +-1/2 a pixel of 4, against +-1/4.
    assert error[True] == pytest.approx(1.0, abs=0.05)
    assert error[False] == pytest.approx(0.5, abs=0.05)


def test_official_sigma_follows_the_heatmap():
    assert GaussianCodec(input_hw=(256, 192), heatmap_hw=(128, 96)).sigma == 4.0
    assert GaussianCodec(input_hw=(96, 64), heatmap_hw=(24, 16)).sigma == 0.75


def test_logits_give_the_same_keypoints_and_scores_up_to_one():
    codec = GaussianCodec(input_hw=(96, 64), heatmap_hw=(48, 32), sigma=2.0)
    logits_codec = GaussianCodec(
        input_hw=(96, 64), heatmap_hw=(48, 32), sigma=2.0, activation="softmax"
    )
    xy = np.array([[[30.0, 40.0], [20.0, 60.0]]])
    heatmaps = codec.encode(xy, np.ones((1, 2), bool))
    sharp = np.log(np.maximum(heatmaps, 1e-12)) + 100  # logits have no zero of their own
    found, score = logits_codec.decode(sharp)
    np.testing.assert_array_equal(found, codec.decode(heatmaps)[0])
    np.testing.assert_allclose(score, 1.0, atol=1e-3)
    flat_score = logits_codec.decode(np.zeros_like(heatmaps))[1]
    np.testing.assert_allclose(flat_score, 2 * np.pi * 4 / (48 * 32), rtol=1e-6)
    with pytest.raises(ConfigError, match="activation must be"):
        GaussianCodec(input_hw=(96, 64), heatmap_hw=(48, 32), activation="relu")


def test_heatmaps_of_another_size_are_refused():
    codec = GaussianCodec(input_hw=(96, 64), heatmap_hw=(24, 16))
    with pytest.raises(
        ValueError, match=r"expected heatmaps \(B, K, 24, 16\), got \(2, 17, 16, 24\)"
    ):
        codec.decode(np.zeros((2, 17, 16, 24)))
