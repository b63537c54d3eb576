"""Four pixels and a mean, against interpolation written out."""

import cv2
import numpy as np
import pytest

from evopose.codecs import make_codec
from evopose.errors import ConfigError

SIZES = ((64, 48), (16, 12))


def test_encoding_is_what_interpolation_reads_with() -> None:
    """A heatmap's sum with any picture is that picture, read at the keypoint by OpenCV."""
    rng = np.random.default_rng(0)
    picture = rng.random((16, 12), np.float32)
    xy = rng.uniform((0, 0), (44, 60), (1, 40, 2))
    heatmaps = make_codec("soft_argmax", *SIZES).encode(xy, np.ones((1, 40), bool))
    read = cv2.remap(
        picture, (xy[0, :, :1] / 4).astype(np.float32), (xy[0, :, 1:] / 4).astype(np.float32),
        cv2.INTER_LINEAR,
    )  # fmt: skip
    found = (heatmaps[0] * picture).sum((1, 2))
    np.testing.assert_allclose(found, read[:, 0], atol=0.02)  # OpenCV's places are 1/32 apart
    np.testing.assert_allclose(heatmaps.sum((2, 3)), 1, rtol=1e-6)
    assert ((heatmaps > 0).sum((2, 3)) <= 4).all()


def test_the_mean_comes_back_exactly() -> None:
    codec = make_codec("soft_argmax", *SIZES)
    xy = np.random.default_rng(1).uniform((0, 0), (44, 60), (2, 30, 2))
    found, score = codec.decode(codec.encode(xy, np.ones((2, 30), bool)))
    np.testing.assert_allclose(found, xy, atol=1e-4)
    np.testing.assert_allclose(score, 1, rtol=1e-6)


def test_logits_are_read_through_a_softmax() -> None:
    logits = np.random.default_rng(2).normal(0, 3, (2, 3, 16, 12))
    p = np.exp(logits) / np.exp(logits).sum((2, 3), keepdims=True)
    by_hand = np.stack(
        [(p * np.arange(12)).sum((2, 3)), (p.swapaxes(2, 3) * np.arange(16)).sum((2, 3))]
    )
    codec = make_codec("soft_argmax", *SIZES, activation="softmax")
    found, score = codec.decode(logits + 1000)
    np.testing.assert_allclose(found, 4 * np.moveaxis(by_hand, 0, -1), rtol=1e-9)
    n, k = 1, 2
    x, y = np.floor(found[n, k] / 4).astype(int)
    assert score[n, k] == pytest.approx(p[n, k, y : y + 2, x : x + 2].sum())
    plain, _ = make_codec("soft_argmax", *SIZES).decode(p)
    np.testing.assert_allclose(plain, found)


def test_a_window_leaves_out_what_is_far_from_the_highest_pixel() -> None:
    maps = np.zeros((1, 1, 16, 12))
    maps[0, 0, 3, 4], maps[0, 0, 3, 6], maps[0, 0, 12, 10] = 0.5, 0.3, 0.2
    whole, score = make_codec("soft_argmax", *SIZES).decode(maps)
    near, same = make_codec("soft_argmax", *SIZES, window=2).decode(maps)
    np.testing.assert_allclose(whole[0, 0] / 4, [0.5 * 4 + 0.3 * 6 + 0.2 * 10, 0.8 * 3 + 0.2 * 12])
    np.testing.assert_allclose(near[0, 0] / 4, [(0.5 * 4 + 0.3 * 6) / 0.8, 3])
    assert score.shape == same.shape
    alone, _ = make_codec("soft_argmax", *SIZES, window=1).decode(maps)
    np.testing.assert_allclose(alone[0, 0] / 4, [4, 3])
    every, _ = make_codec("soft_argmax", *SIZES, window=16).decode(maps)
    np.testing.assert_allclose(every, whole)
    assert not make_codec("soft_argmax", *SIZES, window=1).decode(np.zeros((1, 2, 16, 12)))[0].any()


def test_nothing_gives_the_origin() -> None:
    xy, score = make_codec("soft_argmax", *SIZES).decode(np.zeros((1, 2, 16, 12)))
    assert not xy.any()
    assert not score.any()


def test_what_is_refused() -> None:
    with pytest.raises(ConfigError, match="activation must be none or softmax, got 'relu'"):
        make_codec("soft_argmax", *SIZES, activation="relu")
    with pytest.raises(ConfigError, match="positive sizes"):
        make_codec("soft_argmax", (0, 4), (1, 1))
    with pytest.raises(ValueError, match=r"expected heatmaps \(B, K, 16, 12\)"):
        make_codec("soft_argmax", *SIZES).decode(np.zeros((1, 2, 4, 4)))
    with pytest.raises(ConfigError, match="window must be at least 1 pixel, or None, got 0"):
        make_codec("soft_argmax", *SIZES, window=0)
