"""What every codec must do."""

import numpy as np
import pytest

from evopose.codecs import CODECS, make_codec
from evopose.errors import ConfigError

REACH = {"megvii": 0.75}
"""Heatmap pixels that a round trip may be away, where it is not a half: megvii steps a quarter from
a pixel's centre, in vain where all neighbours are alike."""
BEST = {"megvii": 1.5}
"""Score of a perfect heatmap, where it is not 1."""
SIZES = [((96, 64), (24, 16)), ((96, 64), (48, 32)), ((256, 192), (64, 48)), ((64, 64), (64, 64))]


def inner_points(input_hw, heatmap_hw, count=500):
    """Points at least three heatmap pixels inside the crop."""
    stride = np.array(input_hw[::-1]) / heatmap_hw[::-1]
    rng = np.random.default_rng(0)
    return rng.uniform(3 * stride, np.array(input_hw[::-1]) - 4 * stride, (count, 1, 2))


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize(("input_hw", "heatmap_hw"), SIZES)
def test_round_trip_is_within_a_heatmap_pixel(name, input_hw, heatmap_hw):
    codec = make_codec(name, input_hw, heatmap_hw)
    xy = inner_points(input_hw, heatmap_hw)
    found, score = codec.decode(codec.encode(xy, np.ones(xy.shape[:2], bool)))
    stride = np.array(input_hw[::-1]) / heatmap_hw[::-1]
    assert (np.abs(found - xy) <= REACH.get(name, 0.5) * stride + 1e-6).all()
    assert found.shape == xy.shape
    np.testing.assert_allclose(score, BEST.get(name, 1.0), rtol=1e-5)


@pytest.mark.parametrize("name", CODECS)
def test_invisible_keypoints_have_empty_heatmaps(name):
    codec = make_codec(name, (96, 64), (24, 16))
    visible = np.array([[True, False, True]])
    heatmaps = codec.encode(np.full((1, 3, 2), 30.0), visible)
    assert heatmaps.shape == (1, 3, 24, 16)
    assert heatmaps.dtype == np.float32
    assert (heatmaps.reshape(3, -1).max(axis=1) > 0).tolist() == visible[0].tolist()


@pytest.mark.parametrize("name", [name for name in CODECS if name != "megvii"])
def test_a_keypoint_just_outside_still_shows(name):
    options = {"sigma": 1.0} if name == "gaussian" else {}
    codec = make_codec(name, (96, 64), (24, 16), **options)
    heatmaps = codec.encode(np.array([[[-3.0, 40.0]]]), np.ones((1, 1), bool))
    assert 0 < heatmaps.max() < getattr(codec, "peak", np.inf)
    assert heatmaps[0, 0].argmax() % 16 == 0


def test_unknown_names_and_parameters_are_refused():
    with pytest.raises(ConfigError, match="unknown codec 'dark'; there are: gaussian"):
        make_codec("dark", (96, 64), (24, 16))
    with pytest.raises(ConfigError, match=r"gaussian.*width"):
        make_codec("gaussian", (96, 64), (24, 16), width=3.0)
    with pytest.raises(ConfigError, match="positive sigma"):
        make_codec("gaussian", (96, 64), (24, 16), sigma=0.0)
    with pytest.raises(ConfigError, match="positive sizes"):
        make_codec("gaussian", (0, 64), (24, 16))
