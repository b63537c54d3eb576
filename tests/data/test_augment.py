"""The draws of an epoch, and the maps they become, against one-sample loops."""

import numpy as np
import pytest

from evopose.data import Augmentation
from evopose.data.augment import crop_affines, draw, half_body_frames, upper_body
from evopose.errors import ConfigError
from evopose.geometry import apply_affine, compose_affine, crop_affine
from evopose.skeleton import COCO_PERSON, Skeleton

COUNT = 40_000


def draws(augmentation, seed=0):
    return draw(augmentation, COUNT, np.random.default_rng(seed))


def test_draws_have_the_official_distribution():
    d = draws(Augmentation(half_body=0.5))
    assert d.flip.mean() == pytest.approx(0.5, abs=0.01)
    assert d.half_body.mean() == pytest.approx(0.5, abs=0.01)
    assert d.upper.mean() == pytest.approx(0.5, abs=0.01)
    # clip(N(0, 1) * 0.3 + 1, 0.7, 1.3): 15.9 % at each end.
    assert (d.scale.min(), d.scale.max()) == (0.7, 1.3)
    assert (d.scale == 0.7).mean() == pytest.approx(0.159, abs=0.01)
    assert np.median(d.scale) == pytest.approx(1.0, abs=0.01)
    # N * 40 cut at 80 degrees, 60 % of the time: 2.3 % of those at each end.
    turned = d.rotation_deg[d.rotation_deg != 0]
    assert len(turned) / COUNT == pytest.approx(0.6, abs=0.01)
    assert (turned.min(), turned.max()) == (-80, 80)
    assert (turned == 80).mean() == pytest.approx(0.023, abs=0.005)
    assert np.quantile(turned, 0.8413) == pytest.approx(40, abs=1)


def test_without_augmentation_nothing_is_drawn():
    d = draws(Augmentation.none())
    assert not d.flip.any()
    assert not d.half_body.any()
    assert (d.scale == 1).all()
    assert (d.rotation_deg == 0).all()
    np.testing.assert_array_equal(d.colour[0], np.eye(3, 4))
    flips = draws(Augmentation.flip_only())
    np.testing.assert_array_equal(flips.flip, draws(Augmentation()).flip)
    assert (flips.scale == 1).all()
    assert (flips.rotation_deg == 0).all()


def test_colour_changes_brightness_contrast_and_saturation_about_what_they_should():
    maps = draws(Augmentation(colour=0.3)).colour.astype(float)
    grey = maps[..., :3] @ np.full(3, 127.5) + maps[..., 3]
    assert np.ptp(grey, axis=1).max() < 1e-3  # grey stays grey
    assert grey.min() == pytest.approx(127.5 - 0.3 * 127.5, rel=0.01)
    red = np.array([200.0, 50, 50])
    mapped = maps[..., :3] @ red + maps[..., 3]
    assert np.median(mapped, axis=0) == pytest.approx(red, abs=3)
    spread = mapped[:, 0] - mapped[:, 1]  # contrast x brightness x saturation of 150
    assert 150 * 0.7**3 < spread.min() < 150 * 0.45
    assert 150 * 1.9 < spread.max() < 150 * 1.3**3


def test_affines_are_those_of_geometry():
    rng = np.random.default_rng(0)
    centre, scale = rng.uniform(-50, 300, (20, 2)), rng.uniform(0.3, 3, 20)
    turn, flip = rng.uniform(-180, 180, 20), rng.random(20) < 0.5
    found = crop_affines(centre, scale, turn, flip, input_hw=(97, 64))
    for i in range(20):
        expected = crop_affine(
            centre[i], scale[i], input_hw=(97, 64), rotation_deg=turn[i], flip=bool(flip[i])
        )
        np.testing.assert_allclose(found[i], expected, atol=1e-9)


def test_affines_with_aligned_corners_turn_the_image_itself():
    """From the stored crop, what geometry gives from the image."""
    rng = np.random.default_rng(0)
    size, base = (97, 64), 1.7  # image pixels a crop pixel of the stored crop
    middle = np.array([80.0, 120.0])
    stored = crop_affine(middle, base, input_hw=size, align_corners=True)
    stored[:, 2] += (9, 14)  # its margin
    centre, scale = rng.uniform(-50, 300, (20, 2)), rng.uniform(0.3, 3, 20)
    turn, flip = rng.uniform(-180, 180, 20), rng.random(20) < 0.5
    found = crop_affines(
        apply_affine(stored, centre), scale, turn, flip, input_hw=size, align_corners=True
    )
    for i in range(20):
        expected = crop_affine(
            centre[i], base * scale[i], input_hw=size, rotation_deg=turn[i], flip=bool(flip[i]),
            align_corners=True,
        )  # fmt: skip
        np.testing.assert_allclose(compose_affine(found[i], stored), expected, atol=1e-9)


def half_body(xy, labelled, prefer_upper, input_hw):
    """The official half-body crop of one person: centre and scale, or None."""
    upper = [xy[k] for k in range(17) if labelled[k] and k <= 10]
    lower = [xy[k] for k in range(17) if labelled[k] and k > 10]
    chosen = upper if prefer_upper or len(upper) <= 2 else lower
    if len(chosen) < 2:
        return None
    xs, ys = [p[0] for p in chosen], [p[1] for p in chosen]
    width, height = max(xs) - min(xs), max(ys) - min(ys)
    height = max(height, width * input_hw[0] / input_hw[1])
    return (sum(xs) / len(xs), sum(ys) / len(ys)), height * 1.25 / input_hw[0] * 1.5


def test_half_bodies_are_the_official_ones():
    rng = np.random.default_rng(0)
    xy, labelled = rng.uniform(0, 100, (300, 17, 2)), rng.random((300, 17)) < 0.4
    prefer = rng.random(300) < 0.5
    upper = upper_body(COCO_PERSON)
    assert upper.tolist() == [True] * 11 + [False] * 6
    centre, scale = half_body_frames(
        xy, labelled, upper=upper, prefer_upper=prefer, input_hw=(96, 64), padding=1.25
    )
    expected = [half_body(*row, (96, 64)) for row in zip(xy, labelled, prefer, strict=True)]
    assert np.isnan(scale).tolist() == [e is None for e in expected]
    assert 0 < np.isnan(scale).sum() < 100
    for i, e in enumerate(expected):
        if e:
            np.testing.assert_allclose((*centre[i], scale[i]), (*e[0], e[1]))


def test_half_body_needs_cocos_names():
    assert upper_body(Skeleton(keypoints=("nose", "tail"))) is None
    some = upper_body(Skeleton(keypoints=("left_hip", "right_wrist")))
    assert some.tolist() == [False, True]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"flip": 1.5}, "flip is a probability, 0 to 1; got 1.5"),
        ({"half_body": -0.1}, "half_body is a probability"),
        ({"scale": 1.0}, "scale must be at least 0, below 1"),
        ({"colour": float("nan")}, "colour must be at least 0"),
        ({"rotation_deg": 200}, "rotation_deg must be 0 to 180"),
    ],
)
def test_amounts_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        Augmentation(**wrong)


def test_uniform_scales_and_turns():
    """As MSPN's and CPN's loaders draw them."""
    d = draws(
        Augmentation(
            scale_range=(0.5, 0.9), rotation_deg=45, rotation_uniform=True, rotation_probability=0.5
        )
    )
    assert 0.5 <= d.scale.min() < 0.501
    assert 0.899 < d.scale.max() <= 0.9
    assert np.quantile(d.scale, [0.25, 0.75]) == pytest.approx([0.6, 0.8], abs=0.01)
    turned = d.rotation_deg[d.rotation_deg != 0]
    assert len(turned) / COUNT == pytest.approx(0.5, abs=0.01)
    assert np.quantile(turned, [0, 0.25, 0.75, 1]) == pytest.approx([-45, -22.5, 22.5, 45], abs=1)


def test_an_extension_only_widens():
    plain, wider = (
        draws(Augmentation(scale_range=(0.5, 0.9), extension=extension)) for extension in (0, 0.8)
    )
    grown = wider.scale / plain.scale
    assert 1 <= grown.min() < 1.001
    assert 1.799 < grown.max() <= 1.8
    assert grown.mean() == pytest.approx(1.4, abs=0.01)


@pytest.mark.parametrize(
    "options", [{"scale_range": (0.9, 0.5)}, {"scale_range": (0, 1)}, {"extension": -0.1}]
)
def test_impossible_scales_are_refused(options):
    with pytest.raises(ConfigError, match=r"scale_range must|extension must not"):
        Augmentation(**options)
