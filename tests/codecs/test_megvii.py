"""The codec of CPN and MSPN against their formulas, one keypoint at a time."""

import cv2
import numpy as np
import pytest

from evopose.codecs import MegviiCodec, make_codec
from evopose.errors import ConfigError

KERNELS = (23, 17, 15, 13, 11, 9, 7, 5, 3, 1)


def one_heatmap(x, y, codec, kernel):
    """The target of one keypoint: its pixel, blurred, the highest value the peak."""
    (in_h, in_w), (h, w) = codec.input_hw, codec.heatmap_hw
    heatmap = np.zeros((h, w), np.float32)
    heatmap[int(y * h / in_h), int(x * w / in_w)] = 1
    heatmap = cv2.GaussianBlur(heatmap, (kernel, kernel), 0)
    return heatmap * (codec.peak / heatmap.max())


def one_keypoint(heatmap, codec, border=10):
    """The keypoint of one heatmap: x, y in crop pixels, score."""
    (in_h, in_w), (h, w) = codec.input_hw, codec.heatmap_hw
    blurred = np.zeros((h + 2 * border, w + 2 * border))
    blurred[border:-border, border:-border] = heatmap / heatmap.max()
    blurred = cv2.GaussianBlur(blurred, (codec.blur_kernel, codec.blur_kernel), 0)
    y, x = np.unravel_index(blurred.argmax(), blurred.shape)
    blurred[y, x] = 0
    second_y, second_x = np.unravel_index(blurred.argmax(), blurred.shape)
    dy, dx = second_y - y, second_x - x
    away = np.hypot(dx, dy)
    x, y = x - border, y - border
    if away > 1e-3:
        x, y = x + 0.25 * dx / away, y + 0.25 * dy / away
    x, y = max(0, min(x, w - 1)), max(0, min(y, h - 1))
    score = heatmap[round(y), round(x)] / codec.peak + 0.5
    return (x + 0.5) * in_w / w, (y + 0.5) * in_h / h, score


@pytest.mark.parametrize("heatmap_hw", [(24, 16), (64, 48), (20, 17), (96, 64)])
def test_targets_are_opencvs_blurred_pixels(heatmap_hw):
    """Also near the border, where OpenCV mirrors the pixels."""
    codec = MegviiCodec(input_hw=(96, 64), heatmap_hw=heatmap_hw, kernels=KERNELS)
    xy = np.random.default_rng(1).uniform(0, (64, 96), (2, 20, 2))
    xy[0, :4] = (0, 0), (63.99, 95.99), (0.5, 50), (40, 95)
    levels = codec.encode_levels(xy, np.ones((2, 20), bool))
    assert levels.shape == (2, len(KERNELS), 20, *heatmap_hw)
    assert levels.dtype == np.float32
    for b, level, k in np.ndindex(levels.shape[:3]):
        expected = one_heatmap(*xy[b, k], codec, KERNELS[level])
        np.testing.assert_allclose(levels[b, level, k], expected, atol=255 * 1e-6)


def test_the_last_kernel_is_the_codecs_own():
    codec = MegviiCodec(input_hw=(64, 48), heatmap_hw=(16, 12), kernels=[9, 5])
    xy = np.random.default_rng(2).uniform(0, 48, (3, 5, 2))
    visible = np.arange(15).reshape(3, 5) % 3 > 0
    levels = codec.encode_levels(xy, visible)
    np.testing.assert_array_equal(codec.encode(xy, visible), levels[:, 1])
    assert (levels.max(axis=(1, 3, 4)) > 0).tolist() == visible.tolist()
    assert codec == make_codec("megvii", (64, 48), (16, 12), kernels=(9, 5))


@pytest.mark.parametrize("xy", [(-0.1, 20), (20, -0.1), (48, 20), (20, 64), (-1e9, 20)])
def test_keypoints_outside_have_no_target(xy):
    codec = MegviiCodec(input_hw=(64, 48), heatmap_hw=(16, 12))
    assert not codec.encode(np.array([[xy]], float), np.ones((1, 1), bool)).any()


@pytest.mark.parametrize("blur_kernel", [1, 5, 9, 21])
@pytest.mark.parametrize(("heatmap_hw", "dtype"), [((24, 16), np.float32), ((5, 7), np.float64)])
def test_decoding_equals_the_authors_loop(heatmap_hw, dtype, blur_kernel):
    codec = MegviiCodec(input_hw=(96, 64), heatmap_hw=heatmap_hw, blur_kernel=blur_kernel)
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 40, (20, 7, *heatmap_hw))
    peaks = codec.encode(rng.uniform(0, (64, 96), (20, 7, 2)), np.ones((20, 7), bool))
    heatmaps = (noise + rng.uniform(0, 1, (20, 7, 1, 1)) * peaks).astype(dtype)
    xy, score = codec.decode(heatmaps)
    expected = np.array([[one_keypoint(h, codec) for h in one] for one in heatmaps])
    np.testing.assert_allclose(xy, expected[..., :2], atol=1e-9)
    np.testing.assert_allclose(score, expected[..., 2], atol=1e-6)


def test_a_heatmap_of_zeros_or_less_is_no_keypoint():
    codec = MegviiCodec(input_hw=(64, 48), heatmap_hw=(16, 12))
    heatmaps = np.stack([np.zeros((1, 16, 12)), np.full((1, 16, 12), -60.0)], axis=1)[0][None]
    xy, score = codec.decode(heatmaps.astype(np.float32))
    assert np.isfinite(xy).all()
    np.testing.assert_allclose(score, [[0.5, 0.5 - 60 / 255]], rtol=1e-6)


def test_decoding_refuses_other_sizes_and_takes_empty_batches():
    codec = MegviiCodec(input_hw=(64, 48), heatmap_hw=(16, 12))
    with pytest.raises(ValueError, match=r"expected heatmaps \(B, K, 16, 12\)"):
        codec.decode(np.zeros((1, 5, 12, 16)))
    xy, score = codec.decode(np.zeros((0, 5, 16, 12)))
    assert (xy.shape, score.shape) == ((0, 5, 2), (0, 5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernels": ()}, "odd positive sides"),
        ({"kernels": (15, 8)}, "odd positive sides"),
        ({"blur_kernel": 4}, "odd blur_kernel of 1 to 21, got 4"),
        ({"blur_kernel": 23}, "odd blur_kernel of 1 to 21, got 23"),
        ({"peak": 0.0}, "positive peak"),
        ({"heatmap_hw": (0, 12)}, "positive sizes"),
    ],
)
def test_what_cannot_be_is_told(options, message):
    with pytest.raises(ConfigError, match=message):
        MegviiCodec(**{"input_hw": (64, 48), "heatmap_hw": (16, 12)} | options)
