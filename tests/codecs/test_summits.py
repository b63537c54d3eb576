"""The codecs of DARK and UDP: against their formulas one heatmap at a time, and against mmpose."""

import json
import math

import numpy as np
import pytest

import decoding_loops
from evopose.codecs import make_codec
from evopose.errors import ConfigError
from goldens import GOLDEN

LOOPS = {"dark": decoding_loops.dark, "udp": decoding_loops.udp}
MMPOSE = json.loads((GOLDEN / "parity" / "mmpose_codecs.json").read_text())
LARGE = ((256, 192), (64, 48))


def looped(name, heatmaps, kernel, sigma):
    """Every keypoint in heatmap pixels (B, K, 2)."""
    return np.array([[LOOPS[name](h, kernel, sigma) for h in one] for one in heatmaps])


def one_heatmap(x, y, codec, name):
    """The target of one keypoint, pixel by pixel."""
    (in_h, in_w), (h, w) = codec.input_hw, codec.heatmap_hw
    if name == "udp":
        cx, cy = x * (w - 1) / (in_w - 1), y * (h - 1) / (in_h - 1)
    else:
        cx, cy = x * w / in_w, y * h / in_h
    heatmap = np.zeros((h, w))
    for i in range(h):
        for j in range(w):
            away = max(abs(j - math.floor(cx + 0.5)), abs(i - math.floor(cy + 0.5)))
            if name == "udp" and away > 3 * codec.sigma:
                continue
            heatmap[i, j] = math.exp(-((j - cx) ** 2 + (i - cy) ** 2) / (2 * codec.sigma**2))
    return heatmap


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("heatmap_hw", [(24, 16), (20, 17)])
def test_targets_are_gaussians_about_the_keypoint_itself(name, heatmap_hw):
    codec = make_codec(name, (96, 64), heatmap_hw, peak=100.0, sigma=1.3)
    xy = np.random.default_rng(1).uniform(-3, 67, (2, 6, 2))
    heatmaps = codec.encode(xy, np.ones((2, 6), bool))
    for b, k in np.ndindex(2, 6):
        expected = 100 * one_heatmap(*xy[b, k], codec, name)
        np.testing.assert_allclose(heatmaps[b, k], expected, atol=1e-4)


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("kernel", [1, 3, 11, 17])
@pytest.mark.parametrize(("heatmap_hw", "dtype"), [((32, 24), np.float32), ((9, 12), np.float64)])
def test_decoding_equals_the_loop(name, kernel, heatmap_hw, dtype):
    """Blurring near the highest pixel alone, without scaling back, changes nothing."""
    rng = np.random.default_rng(3)
    input_hw = (128, 96)
    codec = make_codec(name, input_hw, heatmap_hw, blur_kernel=kernel, peak=1.0, sigma=1.5)
    peaks = codec.encode(rng.uniform(0, (96, 128), (20, 5, 2)), np.ones((20, 5), bool))
    noise = rng.normal(0, 1, (20, 5, *heatmap_hw)) * rng.choice([0, 0.02, 0.3], (20, 5, 1, 1))
    heatmaps = (rng.uniform(0.05, 1, (20, 5, 1, 1)) * peaks + noise).astype(dtype)
    xy, score = codec.decode(heatmaps)
    expected = looped(name, heatmaps, kernel, 1.5)
    np.testing.assert_allclose(codec.grid.to_heatmap(xy), expected, atol=1e-9)
    np.testing.assert_allclose(score, heatmaps.max(axis=(2, 3)))
    moved = (expected % 1 != 0).any(axis=-1)
    assert 0.1 < moved.mean() < 1  # some move, and some have no summit or lie at the border


@pytest.mark.parametrize("name", LOOPS)
def test_round_trip_without_blur(name):
    codec = make_codec(name, *LARGE, blur_kernel=1)
    xy = np.random.default_rng(0).uniform(0, (191, 255), (1, 4000, 2))
    found, _ = codec.decode(codec.encode(xy, np.ones((1, 4000), bool)))
    error = np.abs(codec.grid.to_heatmap(found) - codec.grid.to_heatmap(xy)).max(axis=-1)
    place = codec.grid.to_heatmap(xy)
    inside = ((place > 6) & (place < np.array([47, 63]) - 6)).all(axis=-1)
    assert 1000 < inside.sum() < 4000
    assert error[inside].max() < 1e-5  # asked for is 0.01
    on_heatmap = (place <= [47, 63]).all(axis=-1)
    assert error[on_heatmap].max() <= 0.5 + 1e-6


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("kernel", [1, 11])
def test_logits_are_read_as_their_softmax(name, kernel):
    rng = np.random.default_rng(5)
    options = {"sigma": 2.0, "blur_kernel": kernel}
    plain = make_codec(name, *LARGE, **options, peak=1.0)
    soft = make_codec(name, *LARGE, **options, activation="softmax")
    xy = rng.uniform(20, 170, (1, 30, 2))
    heatmaps = plain.encode(xy, np.ones((1, 30), bool)).astype(np.float64) + 1e-3
    logits = np.log(heatmaps) + rng.uniform(-50, 50, (1, 30, 1, 1))
    np.testing.assert_allclose(soft.decode(logits)[0], plain.decode(heatmaps)[0], atol=1e-9)
    score = soft.decode(logits)[1]
    share = heatmaps.max((2, 3)) / heatmaps.sum((2, 3))
    np.testing.assert_allclose(score, np.minimum(2 * np.pi * 4 * share, 1))
    assert (score < 1).any()


@pytest.mark.parametrize("name", LOOPS)
def test_the_highest_pixel_stays_where_there_is_no_summit(name):
    codec = make_codec(name, (48, 40), (12, 10), peak=1.0, blur_kernel=1, sigma=1.0)
    flat, ridge, saddle, alone, negative = np.zeros((5, 12, 10))
    flat[:] = 0.3
    ridge[:, 5] = 1.0
    saddle[:] = np.outer(np.cosh(np.arange(12) - 5), 1 / np.cosh(np.arange(10) - 4))
    alone[6, 4] = 1.0  # its neighbours have no logarithm
    negative[:] = -1.0
    heatmaps = np.stack([flat, ridge, saddle, alone, negative])[None]
    xy, score = codec.decode(heatmaps)
    y, x = np.divmod(heatmaps.reshape(5, -1).argmax(axis=1), 10)
    np.testing.assert_array_equal(codec.grid.to_heatmap(xy)[0], np.stack([x, y], axis=1))
    np.testing.assert_array_equal(score[0], heatmaps.max(axis=(2, 3))[0])


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("heatmap_hw", [(1, 1), (2, 7), (4, 4)])
def test_small_heatmaps_and_empty_batches(name, heatmap_hw):
    codec = make_codec(name, (16, 16), heatmap_hw, sigma=1.0)
    heatmaps = np.random.default_rng(0).uniform(0.1, 1, (3, 2, *heatmap_hw))
    xy, score = codec.decode(heatmaps)
    assert np.isfinite(xy).all()
    assert (score > 0).all()
    assert codec.decode(heatmaps[:0])[0].shape == (0, 2, 2)
    with pytest.raises(ValueError, match="expected heatmaps"):
        codec.decode(np.zeros((1, 2, 5, 5)))


@pytest.mark.parametrize("name", LOOPS)
def test_kernels_go_with_the_targets(name):
    kernels = {
        sigma: make_codec(name, *LARGE, sigma=sigma).blur_kernel for sigma in (0.5, 1.5, 2, 3)
    }
    assert kernels == {0.5: 1, 1.5: 7, 2: 11, 3: 17}  # the authors' for 2 and 3
    assert make_codec(name, *LARGE).blur_kernel == 11
    with pytest.raises(ConfigError, match=r"odd blur_kernel of at least 1 \(no blur\), got 4"):
        make_codec(name, *LARGE, blur_kernel=4)
    with pytest.raises(ConfigError, match="positive sigma"):
        make_codec(name, *LARGE, sigma=-1.0)


def test_udps_mirror_image_is_exact():
    """Mirroring crop and heatmap about their middles is the same, without a shift."""
    codec = make_codec("udp", *LARGE)
    xy = np.random.default_rng(0).uniform(20, 170, (1, 40, 2))
    mirrored = np.stack([191 - xy[..., 0], xy[..., 1]], axis=-1)
    visible = np.ones((1, 40), bool)
    answer = codec.encode(mirrored, visible)[..., ::-1]
    np.testing.assert_allclose(answer, codec.encode(xy, visible), atol=1e-3)
    assert codec.flip_shift == 0


@pytest.mark.parametrize("case", MMPOSE["cases"])
def test_targets_and_decoding_are_mmposes(case):
    """Targets of its encoder, and what its decoder reads in them with a made-up disturbance."""
    name, size, scale = case["codec"], case["heatmap_hw"], 4
    input_hw = (scale * size[0], scale * size[1])
    codec = make_codec(
        name, input_hw, tuple(size), sigma=case["sigma"], peak=1.0, blur_kernel=case["kernel"]
    )
    place = np.array(case["keypoints"])[None]
    heatmaps = codec.encode(codec.grid.to_crop(place), np.ones(place.shape[:2], bool))
    np.testing.assert_allclose(heatmaps.sum(axis=(0, 2, 3)), case["sums"], rtol=1e-4)
    found, score = codec.decode(disturbed(heatmaps, case["disturbance"]))
    np.testing.assert_allclose(codec.grid.to_heatmap(found)[0], case["found"], atol=1e-3)
    np.testing.assert_allclose(score[0], case["scores"], rtol=1e-5)


def disturbed(heatmaps, by):
    """Heatmaps (B, K, h, w) plus a wave of their own each."""
    _, count, h, w = heatmaps.shape
    k, y, x = np.meshgrid(np.arange(count), np.arange(h), np.arange(w), indexing="ij")
    wave = np.sin(0.9 * x + 0.7 * k) * np.cos(1.3 * y - 0.4 * k)
    return (heatmaps + by * wave).astype(np.float32)
