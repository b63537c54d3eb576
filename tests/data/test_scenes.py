"""Scenes: groups, things, cameras, acrobats, and figures drawn coarsely or beyond the edge."""

from dataclasses import replace

import numpy as np
import pytest

from data.drawn_people import LIGHT, root, standing
from evopose.data.synthetic import SceneConfig, draw_scene
from evopose.data.synthetic.config import MOST_PERSONS
from evopose.data.synthetic.draw import NOBODY, Camera, draw_figure, empty_canvas
from evopose.data.synthetic.figure import make_figure
from evopose.data.synthetic.held import HELD, Grip, Thing, draw_thing, sample_thing
from evopose.data.synthetic.place import Shot, place, sample_shot
from evopose.data.synthetic.pose import sample_pose
from evopose.data.synthetic.stances import ACROBATICS, ARMS, STANCES

SMALL = SceneConfig(height=(128, 160), width=(96, 128), acrobatics=0.0, occluders=0.0)


def canvas_of(height: int = 256, width: int = 192) -> np.ndarray:
    return empty_canvas(np.full((height, width, 3), 128, np.uint8))


def overlap(boxes: np.ndarray) -> float:
    """Return the largest intersection over union of two boxes of (N, 4)."""
    most = 0.0
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            common = (np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])).clip(0).prod()
            most = max(most, common / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - common))
    return most


def test_groups_stand_close_and_hide_each_other():
    shares, hidden = {}, {}
    for groups in (0.0, 1.0):
        config = replace(SMALL, groups=groups, persons=(2, 3), things=0.0, cropped=0.0)
        wide = replace(config, width=(280, 300))
        scenes = [draw_scene(3, i, wide).persons for i in range(50)]
        shares[groups] = np.mean(
            [overlap(np.array([p.box_xyxy for p in s])) for s in scenes if len(s) > 1]
        )
        seen = np.concatenate([p.keypoints[:, 2] for s in scenes for p in s])
        hidden[groups] = (seen == 1).sum() / (seen > 0).sum()
    assert shares[1.0] > 1.4 * shares[0.0]
    assert hidden[1.0] > hidden[0.0] + 0.04


@pytest.mark.parametrize("name", HELD)
def test_everything_held_is_drawn_as_nobody_s(name):
    figure = make_figure(np.random.default_rng(3), standing(), root(20), sides=8)
    camera = Camera(distance=5.0, scale=150.0, offset=np.array([96.0, 128.0]))
    grip = Grip(keypoints=figure.keypoints, size=figure.stature)
    parts = HELD[name](np.random.default_rng(1), grip)
    canvas = canvas_of()
    before = canvas.copy()
    thing = Thing(parts=parts, colour=np.array([200.0, 40, 40]), behind=False)
    draw_thing(canvas, thing, camera, np.ones(3))
    touched = (canvas != before).any(axis=2)
    assert 10 < touched.sum() < 0.3 * touched.size
    assert (canvas[..., 3] == NOBODY).all()
    rows, columns = np.nonzero(touched)
    near = camera.to_image(figure.keypoints)
    low, high = near.min(axis=0) - 80, near.max(axis=0) + 80
    assert low[0] < columns.mean() / 2 < high[0]
    assert low[1] < rows.mean() / 2 < high[1]


def test_things_hide_some_of_who_has_them():
    """A backpack is before who walks away, and behind who comes."""
    for yaw, behind in ((0.0, True), (180.0, False)):
        figure = make_figure(np.random.default_rng(3), standing(), root(yaw), sides=8)
        grip = Grip(keypoints=figure.keypoints, size=figure.stature)
        depth = np.mean(
            [p.points[:, 2].mean() for p in HELD["backpack"](np.random.default_rng(0), grip)]
        )
        assert (depth > figure.keypoints[[5, 6, 11, 12], 2].mean()) == behind
    counts = {}
    for things in (0.0, 1.0):
        config = replace(SMALL, things=things, persons=(1, 1), cropped=0.0)
        scenes = [draw_scene(6, i, config).persons for i in range(60)]
        counts[things] = sum((p.keypoints[:, 2] == 2).sum() for s in scenes for p in s)
    assert counts[1.0] < 0.98 * counts[0.0]


def test_who_hangs_has_something_to_hang_from():
    rng = np.random.default_rng(0)
    hanging = [p for p in (sample_pose(rng, 1.0) for _ in range(300)) if p.support == "bar"]
    assert hanging
    figure = make_figure(rng, hanging[0], root(0), sides=8)
    hands = figure.keypoints[9:11]
    parts = sample_thing(rng, figure).parts
    for hand in hands:
        ways = [np.linalg.norm(p.points[0] + t * (p.points[1] - p.points[0]) - hand)
                for p in parts for t in np.linspace(0, 1, 200)]  # fmt: skip
        assert min(ways) < 0.12


def test_cameras_look_from_below_and_from_above_in_true_perspective():
    shots = [sample_shot(np.random.default_rng(i), SMALL) for i in range(400)]
    pitch = np.array([shot.pitch for shot in shots])
    assert pitch.min() < -25
    assert pitch.max() > 55
    assert np.mean((pitch > -7) & (pitch < 23)) > 0.6
    widths = {}
    for angle in (-30.0, 0.0, 60.0):
        shot = Shot(pitch=angle, steep=True, roll=0.0, close=True, group=False)
        ratio = []
        for seed in range(20):
            one = place(np.random.default_rng(seed), 1, (256, 192), 128, shot, SMALL)[0]
            xy = one.camera.to_image(one.figure.keypoints)
            flat = one.figure.keypoints[:, :2]
            size = [np.linalg.norm(p[5:7].mean(0) - p[11:13].mean(0)) for p in (xy, flat)]
            legs = [np.linalg.norm(p[11:13].mean(0) - p[15:17].mean(0)) for p in (xy, flat)]
            ratio.append((size[0] / size[1]) / (legs[0] / legs[1]))
        widths[angle] = np.median(ratio)
    assert widths[60.0] > 1.1 * widths[0.0]  # what is nearer is larger: the trunk, from above
    assert widths[-30.0] < 0.97 * widths[0.0]


def test_horizons_leave_the_view_of_steep_cameras():
    rng = np.random.default_rng(0)
    options = {"steep": True, "roll": 0.0, "close": False, "group": False}
    assert Shot(pitch=60.0, **options).horizon(rng, 200) == 0
    assert Shot(pitch=-30.0, **options).horizon(rng, 200) > 150
    for index in range(20):  # and places can be drawn without a sky or a ground
        draw_scene(77, index, SceneConfig(height=(64, 64), width=(48, 48)))


def test_acrobats_are_upside_down_and_others_are_not():
    below = {}
    for share in (0.0, 1.0):
        config = replace(SMALL, acrobatics=share, persons=(1, 1), things=0.0)
        people = [p.keypoints for i in range(110) for p in draw_scene(9, i, config).persons]
        points = np.array([p for p in people if (p[[5, 6, 11, 12], 2] > 0).all()])
        below[share] = (points[:, 5:7, 1].mean(1) > points[:, 11:13, 1].mean(1)).mean()
    assert below[0.0] < 0.05
    assert below[1.0] > 0.25


@pytest.mark.parametrize("table", [STANCES, ACROBATICS], ids=["stances", "acrobatics"])
def test_stances_name_arms_that_exist(table):
    for name, stance in table.items():
        assert stance.weight > 0, name
        assert stance.support in ("ground", "seat", "air", "bar"), name
        assert {arm for pair in stance.arms for arm in pair} <= set(ARMS), name


@pytest.mark.parametrize("seed", range(4))
def test_a_coarse_figure_has_the_silhouette_and_labels_of_a_fine_one(seed):
    shapes = []
    pose = sample_pose(np.random.default_rng(seed))
    for sides, coarse in ((16, False), (6, True)):
        figure = make_figure(
            np.random.default_rng(seed), pose, root(30), sides=sides, coarse=coarse
        )
        canvas = canvas_of()
        camera = Camera(distance=5.0, scale=110.0, offset=np.array([96.0, 128.0]))
        draw_figure(canvas, figure, LIGHT, camera, number=0)
        shapes.append((canvas[..., 3] != NOBODY, figure.keypoints))
    (fine, there), (rough, here) = shapes
    assert np.array_equal(there, here)
    assert (fine & rough).sum() / (fine | rough).sum() > 0.88


def test_what_lies_beyond_the_edge_may_be_left_undrawn():
    """A part of a large canvas is the small canvas that shows the same part."""
    figure = make_figure(np.random.default_rng(1), standing(), root(10), sides=16)
    large, small = canvas_of(600, 400), canvas_of(100, 80)
    for canvas, moved in ((large, (0, 0)), (small, (180, 250))):
        offset = np.array([200.0, 300.0]) - moved
        draw_figure(
            canvas, figure, LIGHT, Camera(distance=4.0, scale=500.0, offset=offset), number=0
        )
    assert np.array_equal(large[500:700, 360:520], small)


def test_a_scene_holds_as_many_persons_as_the_canvas_can_tell_apart():
    config = SceneConfig(persons=(MOST_PERSONS, MOST_PERSONS), groups=1.0)
    assert 1 <= len(draw_scene(1, 0, config).persons) <= MOST_PERSONS
