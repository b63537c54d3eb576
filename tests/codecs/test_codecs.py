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
OFF_CENTRE = {"dark", "udp"}
"""Whose heatmaps have their peak between pixels, so that the best score is a little less."""
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
    least = np.exp(-1 / (4 * codec.sigma**2)) if name in OFF_CENTRE else BEST.get(name, 1.0)
    assert (score >= least * (1 - 1e-5)).all()
    assert (score <= BEST.get(name, 1.0) * (1 + 1e-5)).all()


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
    options = {} if name == "soft_argmax" else {"sigma": 1.0}
    codec = make_codec(name, (96, 64), (24, 16), **options)
    heatmaps = codec.encode(np.array([[[-3.0, 40.0]]]), np.ones((1, 1), bool))
    assert 0 < heatmaps.max() < getattr(codec, "peak", np.inf)
    assert heatmaps[0, 0].argmax() % 16 == 0


def test_unknown_names_and_parameters_are_refused():
    with pytest.raises(ConfigError, match="unknown codec 'simcc'; there are: gaussian, dark"):
        make_codec("simcc", (96, 64), (24, 16))
    with pytest.raises(ConfigError, match=r"gaussian.*width"):
        make_codec("gaussian", (96, 64), (24, 16), width=3.0)
    with pytest.raises(ConfigError, match="positive sigma"):
        make_codec("gaussian", (96, 64), (24, 16), sigma=0.0)
    with pytest.raises(ConfigError, match="positive sizes"):
        make_codec("gaussian", (0, 64), (24, 16))


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize(("input_hw", "heatmap_hw"), SIZES[:3])
def test_the_grid_is_where_the_codec_reads(name, input_hw, heatmap_hw):
    """A heatmap's pixel is read at its place on the grid, and the grid goes there and back."""
    codec = make_codec(name, input_hw, heatmap_hw)
    place = np.array([[[5.0, 7.0], [9.0, 6.0]]])
    heatmaps = np.zeros((1, 2, *heatmap_hw))
    for k, (x, y) in enumerate(place[0].astype(int)):
        # Alike on both sides, so that no decoder steps away; its second maximum is anywhere.
        heatmaps[0, k, y, x] = 100.0
    found, _ = codec.decode(heatmaps)
    stride = np.array(codec.grid.stride_xy)
    assert (np.abs(found - codec.grid.to_crop(place)) <= 0.25 * stride + 1e-9).all()
    np.testing.assert_allclose(codec.grid.to_heatmap(codec.grid.to_crop(place)), place)
    corners = codec.grid.to_crop(np.array([[0.0, 0], np.array(heatmap_hw[::-1]) - 1]))
    if codec.align_corners:
        np.testing.assert_allclose(corners, [[0, 0], np.array(input_hw[::-1]) - 1])


@pytest.mark.parametrize("name", CODECS)
def test_the_flip_test_finds_the_keypoint_as_well_as_one_look(name):
    """The mirrored answer, mirrored back and moved by the codec's shift, lies where the answer
    does, to a quarter of a heatmap pixel; without the shift, farther away."""
    input_hw, heatmap_hw = (256, 192), (64, 48)
    codec = make_codec(name, input_hw, heatmap_hw)
    xy = inner_points(input_hw, heatmap_hw, 400)
    visible = np.ones(xy.shape[:2], bool)
    mirrored = np.stack([191 - xy[..., 0], xy[..., 1]], axis=-1)
    back = codec.encode(mirrored, visible)[..., ::-1]
    away = {}
    for shift in (0, 1):
        found, _ = codec.decode(np.roll(back, shift, axis=-1))
        away[shift] = np.abs((found - xy)[..., 0].mean()) / 4
    assert away[codec.flip_shift] <= 0.25 + 0.02
    assert away[codec.flip_shift] < away[1 - codec.flip_shift]
