"""Synthetic people: the same by seed, true in their labels, and people to an outside eye."""

import contextlib
import hashlib
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.drawn_people import LIGHT, root, standing
from evopose.data.synthetic import (
    SceneConfig,
    draw_scene,
    split_of,
    synthetic_dataset,
    write_synthetic,
)
from evopose.data.synthetic.body import (
    articulate,
    keypoints_3d,
    sample_build,
)
from evopose.data.synthetic.draw import (
    NOBODY,
    PARTS,
    Camera,
    draw_figure,
    empty_canvas,
    project,
    visibility,
)
from evopose.data.synthetic.figure import make_figure
from evopose.data.synthetic.mesh import PART_HEAD, PART_SKIRT, SCALP
from evopose.data.synthetic.paint import HAIR_OPEN
from evopose.data.synthetic.pose import sample_pose
from evopose.errors import ConfigError, DataError
from evopose.skeleton import COCO_PERSON

SMALL = SceneConfig(height=(128, 160), width=(96, 128))
NAMES = COCO_PERSON.keypoints


def drawn(yaw: float, *, seed: int = 3, bald: bool = False, sides: int = 16):
    """Return figure, canvas, keypoints (17, 2) of one standing person in the middle of 192x256."""
    figure = make_figure(np.random.default_rng(seed), standing(), root(yaw), sides=sides)
    canvas = empty_canvas(np.full((256, 192, 3), 128, np.uint8))
    scale, offset = 200.0 / figure.stature, np.array([96.0, 130.0])
    camera = Camera(distance=5.0, scale=scale, offset=offset)
    draw_figure(canvas, figure, LIGHT, camera, number=0)
    xy = project(figure.keypoints, 5.0) * scale + offset
    return figure, canvas, xy


@pytest.fixture(scope="module")
def people() -> np.ndarray:
    """Labels (N, 17, 3) of the persons of 400 scenes without acrobats or things before them."""
    config = replace(SMALL, occluders=0.0, acrobatics=0.0)
    return np.array([p.keypoints for i in range(400) for p in draw_scene(5, i, config).persons])


# the same by seed


def digest(seed: int, count: int) -> str:
    sha = hashlib.sha256()
    for index in range(count):
        scene = draw_scene(seed, index)
        sha.update(scene.image.tobytes())
        for person in scene.persons:
            sha.update(person.keypoints.tobytes() + person.box_xyxy.tobytes())
            sha.update(str(person.area).encode())
    return sha.hexdigest()


def test_same_bytes_in_another_process():
    code = (
        "import sys, cv2; cv2.setNumThreads(1); sys.path[:0] = sys.argv[1:]; "
        "from test_synthetic import digest; print(digest(11, 6))"
    )
    here = Path(__file__).parent
    out = subprocess.run(
        [sys.executable, "-c", code, str(here), str(here.parent)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.strip() == digest(11, 6)


def test_scenes_do_not_depend_on_what_was_drawn_before():
    alone = draw_scene(2, 9, SMALL).image
    draw_scene(2, 4, SMALL)
    assert np.array_equal(draw_scene(2, 9, SMALL).image, alone)
    assert not np.array_equal(draw_scene(3, 9, SMALL).image[:64, :64], alone[:64, :64])


# labels


def test_labels_lie_in_image_and_box():
    for index in range(60):
        scene = draw_scene(1, index)
        height, width = scene.image.shape[:2]
        assert scene.image.dtype == np.uint8
        assert 160 <= height <= 256
        assert 128 <= width <= 256
        for person in scene.persons:
            x, y, v = person.keypoints.T
            assert set(v.tolist()) <= {0.0, 1.0, 2.0}
            assert not person.keypoints[v == 0].any()
            assert (x[v > 0] <= width - 1).all()
            assert (y[v > 0] <= height - 1).all()
            left, top, right, bottom = person.box_xyxy
            assert -0.5 <= left < right <= width - 0.5
            assert -0.5 <= top < bottom <= height - 0.5
            inside = (x >= left - 1e-3) & (x <= right + 1e-3) & (y >= top - 1e-3)
            assert (inside & (y <= bottom + 1e-3))[v > 0].all()
            assert 0 < person.area <= (right - left) * (bottom - top)


@pytest.mark.parametrize("seed", range(6))
def test_left_is_on_the_right_of_who_faces_us_and_on_the_left_of_who_does_not(seed):
    for yaw, sign in ((0, 1), (25, 1), (155, -1), (180, -1)):
        _, _, xy = drawn(yaw, seed=seed)
        for left, right in COCO_PERSON.flip_pairs:
            assert sign * (xy[left, 0] - xy[right, 0]) > 0, (NAMES[left], yaw)
    _, _, profile = drawn(90, seed=seed)  # turned to the own left: looks to the image's right
    assert profile[0, 0] > profile[[3, 4], 0].mean() + 3


@pytest.mark.parametrize("seed", range(6))
def test_front_shows_the_face_and_back_hides_it(seed):
    figure, canvas, xy = drawn(0, seed=seed)
    front = visibility(canvas, xy, figure, 0)
    assert (front[:3] == 2).all()
    assert (front[5:] == 2).all()
    figure, canvas, xy = drawn(180, seed=seed)
    back = visibility(canvas, xy, figure, 0)
    assert (back[:3] == 1).all()
    assert (back[[5, 6, 11, 12, 13, 14]] == 2).all()


@pytest.mark.parametrize("yaw", [90, -90])
def test_profile_hides_the_far_side(yaw):
    figure, canvas, xy = drawn(yaw, seed=1)
    seen = visibility(canvas, xy, figure, 0)
    far, near = ("left", "right") if yaw > 0 else ("right", "left")
    by_name = dict(zip(NAMES, seen.tolist(), strict=True))
    assert by_name["nose"] == 2
    for part in ("eye", "ear", "shoulder", "elbow", "knee"):
        assert by_name[f"{near}_{part}"] == 2, part
    for part in ("eye", "ear", "shoulder", "elbow", "hip", "knee"):
        assert by_name[f"{far}_{part}"] == 1, part


def test_what_is_covered_is_hidden_and_what_is_outside_is_unlabelled():
    figure, canvas, xy = drawn(0)
    assert visibility(canvas, xy, figure, 0)[13] == 2
    row = round(2 * xy[13:15, 1].min()) - 12
    canvas[row:, :] = (90, 90, 90, NOBODY)
    seen = visibility(canvas, xy, figure, 0)
    assert (seen[13:] == 1).all()
    assert (seen[5:13] == 2).all()
    canvas[row:, :, 3] = PARTS + 9  # another person's shank
    assert (visibility(canvas, xy, figure, 0)[13:] == 1).all()
    moved = xy + (xy[15] * (0, -1) + (0, -3))
    assert visibility(canvas, moved, figure, 0)[15] == 0


def test_hidden_agrees_with_exact_depth():
    """A second implementation: whose surface is nearest at the keypoint, without any painting."""
    bones = {"elbow": (3, 5), "wrist": (5, 7), "knee": (9, 11), "ankle": (11, 13)}
    same, total, hidden = 0, 0, 0
    for seed in range(30):
        rng = np.random.default_rng((4, seed))
        figure = make_figure(rng, sample_pose(rng), root(rng.uniform(-180, 180)), sides=16)
        canvas = empty_canvas(np.zeros((256, 256, 3), np.uint8))
        camera = Camera(distance=5.0, scale=110.0, offset=np.array([128.0, 128.0]))
        draw_figure(canvas, figure, LIGHT, camera, number=0)
        points = project(figure.points, 5.0) * 110.0 + 128.0
        xy = project(figure.keypoints, 5.0) * 110.0 + 128.0
        seen = visibility(canvas, xy, figure, 0)
        for k in [*range(7, 11), *range(13, 17)]:
            side, name = NAMES[k].split("_")
            own = {bone + (side == "right") for bone in bones[name]}
            own |= {PART_SKIRT} if name == "knee" else set()
            exact = nearest_part(figure, points, xy[k]) in own
            same += exact == (seen[k] == 2)
            hidden += not exact
            total += 1
    assert hidden > 20
    assert same / total > 0.95


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def nearest_part(figure, points: np.ndarray, at: np.ndarray) -> int | None:
    best, nearest = None, np.inf
    for first, second in ((1, 2), (2, 3)):
        corners = figure.corners[:, [0, first, second]]
        a, b, c = (points[corners[:, i]] for i in range(3))
        area = cross(b - a, c - a)
        with np.errstate(all="ignore"):  # of quads seen edge-on
            v, w = cross(at - a, c - a) / area, cross(b - a, at - a) / area
            za, zb, zc = (figure.points[corners[:, i], 2] for i in range(3))
            z = za + v * (zb - za) + w * (zc - za)
            inside = (np.abs(area) > 1e-9) & (v >= 0) & (w >= 0) & (v + w <= 1)
        hit = np.flatnonzero(inside)
        if len(hit) and z[hit].min() < nearest:
            best, nearest = hit[z[hit].argmin()], z[hit].min()
    return None if best is None else int(figure.parts[best])


def test_visibilities_have_reasonable_shares(people):
    seen, hidden = (people[..., 2] == 2).mean(), (people[..., 2] == 1).mean()
    assert 0.5 < seen < 0.85
    assert 0.1 < hidden < 0.4
    assert (people[:, 15:, 2] == 0).mean() > 0.05  # feet cut off, as in photographs
    more = [draw_scene(5, i, replace(SMALL, occluders=1.0)) for i in range(60)]
    none = [draw_scene(5, i, replace(SMALL, occluders=0.0)) for i in range(60)]
    assert count_seen(more) < 0.95 * count_seen(none)


def count_seen(scenes) -> int:
    return sum(int((p.keypoints[:, 2] == 2).sum()) for s in scenes for p in s.persons)


# bodies and poses


def test_proportions_are_those_of_anthropometry():
    """Segments as shares of stature after Drillis and Contini (1966), tables of adults."""
    builds = [sample_build(np.random.default_rng(i)) for i in range(400)]
    adults = [b for b in builds if b.stature > 0.85]
    assert 0.05 < 1 - len(adults) / len(builds) < 0.25
    published = {
        "upper_arm": 0.186, "forearm": 0.146, "hand": 0.108, "thigh": 0.245, "shank": 0.246,
        "torso": 0.288, "head": 0.130, "foot": 0.152, "ankle": 0.039,
    }  # fmt: skip
    for name, share in published.items():
        values = np.array([getattr(b, name) for b in adults])
        assert np.median(values) == pytest.approx(share, rel=0.05), name
        assert values.std() / share < 0.08, name
    for build in builds:
        total = build.ankle + build.shank + build.thigh + build.torso + build.neck + build.head
        assert total == pytest.approx(1.0)
        assert 0.8 < build.thigh / build.shank < 1.25
        assert 0.16 < 2 * build.shoulder < 0.25  # between the joints; biacromial is 0.23
    child = [b.head for b in builds if b.stature < 0.8]
    assert np.median(child) > 1.1 * np.median([b.head for b in adults])


def test_bones_keep_their_length_in_every_pose():
    rng = np.random.default_rng(0)
    build = sample_build(rng)
    for _ in range(50):
        joints = articulate(build, sample_pose(rng).angles_deg, root(rng.uniform(-180, 180)))
        points = keypoints_3d(build, joints)
        for a, b, length in (
            (5, 7, build.upper_arm), (8, 10, build.forearm), (11, 13, build.thigh),
            (14, 16, build.shank), (5, 6, 2 * build.shoulder), (11, 12, 2 * build.hip),
        ):  # fmt: skip
            assert np.linalg.norm(points[a] - points[b]) == pytest.approx(length)
        assert np.allclose(np.linalg.det(joints.rotation), 1.0)


def limb_figures(keypoints: np.ndarray) -> dict[str, np.ndarray]:
    """Return limb lengths in torsos and angles from the vertical, over persons."""
    xy = keypoints[..., :2].astype(float)
    shoulders, hips = xy[:, 5:7].mean(axis=1), xy[:, 11:13].mean(axis=1)
    torso = np.maximum(np.linalg.norm(shoulders - hips, axis=1), 1.0)
    limbs = {"upper arm": (5, 7), "forearm": (7, 9), "thigh": (11, 13), "shank": (13, 15)}
    out = {
        "shoulders": np.linalg.norm(xy[:, 5] - xy[:, 6], axis=1) / torso,
        "hips": np.linalg.norm(xy[:, 11] - xy[:, 12], axis=1) / torso,
        "nose": np.linalg.norm(xy[:, 0] - shoulders, axis=1) / torso,
    }
    for name, (a, b) in limbs.items():
        way = xy[:, b] - xy[:, a]
        out[name] = np.linalg.norm(way, axis=1) / torso
        out[f"{name} angle"] = np.degrees(np.abs(np.arctan2(way[:, 0], way[:, 1])))
    return out


def test_limbs_and_poses_resemble_coco(shared, people):
    with np.load(shared / "data/coco_labels/coco_kpt_labels_val2017.npz") as labels:
        real, box = labels["keypoints"], labels["bbox"]
    whole = [0, *range(5, 17)]
    real = limb_figures(real[(real[:, whole, 2] > 0).all(axis=1) & (box[:, 3] > 100)])
    ours = limb_figures(people[(people[:, whole, 2] > 0).all(axis=1)])
    for name, values in real.items():
        if "angle" in name:
            there, here = np.percentile(values, [50, 75]), np.percentile(ours[name], [50, 75])
            assert np.all(np.abs(here - there) < np.maximum(12, 0.4 * there)), name
        else:
            assert np.median(ours[name]) == pytest.approx(np.median(values), rel=0.2), name


def test_every_way_of_facing_occurs(people):
    whole = people[(people[:, [5, 6, 11, 12], 2] > 0).all(axis=1)]
    torso = np.abs(whole[:, 5, 1] - whole[:, 11, 1]).clip(1)
    across = (whole[:, 5, 0] - whole[:, 6, 0]) / torso
    assert 0.5 < (across > 0.2).mean() < 0.85
    assert (across < -0.2).mean() > 0.08
    assert (np.abs(across) < 0.2).mean() > 0.05


def test_the_hair_styles_name_every_row():
    assert {len(row) for row in HAIR_OPEN.values()} == {len(SCALP) - 1}
    assert PART_HEAD < PARTS


# people to an outside eye


def test_a_detector_trained_on_photographs_sees_people(shared):
    """YOLOX-nano finds the one person of most scenes without acrobats, in the right box."""
    network = cv2.dnn.readNetFromONNX(str(shared / "data/weights/yolox_nano.onnx"))
    found = []
    config = SceneConfig(persons=(1, 1), occluders=0.0, cropped=0.0, acrobatics=0.0, things=0.0)
    for index in range(30):
        scene = draw_scene(31, index, config)
        boxes, scores = persons_seen(network, scene.image)
        found.append((scores * (overlaps(scene.persons[0].box_xyxy, boxes) > 0.5)).max())
    assert np.mean(np.array(found) > 0.3) > 0.75


def persons_seen(network, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return YOLOX's boxes (N, 4) and person scores (N,)."""
    scale = 416 / max(image.shape[:2])
    small = cv2.resize(image[..., ::-1], None, fx=scale, fy=scale)
    padded = np.full((416, 416, 3), 114, np.float32)
    padded[: small.shape[0], : small.shape[1]] = small
    network.setInput(np.ascontiguousarray(padded.transpose(2, 0, 1)[None]))
    out = network.forward()[0]
    sides = {stride: 416 // stride for stride in (8, 16, 32)}
    cells = [np.stack(np.mgrid[:n, :n][::-1], -1).reshape(-1, 2) for n in sides.values()]
    strides = np.repeat(list(sides), [n * n for n in sides.values()])[:, None]
    centre, size = (out[:, :2] + np.concatenate(cells)) * strides, np.exp(out[:, 2:4]) * strides
    boxes = np.concatenate([centre - size / 2, centre + size / 2], axis=1) / scale
    return boxes, out[:, 4] * out[:, 5]


def overlaps(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    common = (high - low).clip(0).prod(axis=1)
    return common / (
        (box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) - common
    )


# datasets


def test_written_dataset_is_coco(tmp_path):
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    heard = []
    folder = write_synthetic(
        tmp_path / "deep" / "people", 40, 7, config=SMALL,
        on_progress=lambda done, total: heard.append((done, total)),
    )  # fmt: skip
    assert heard[-1] == (40, 40)
    assert heard == sorted(heard)
    assert {p.name for p in folder.iterdir()} == {"annotations", "images"}
    assert [p.name for p in folder.parent.iterdir()] == ["people"]
    total, sizes = 0, {}
    for split in ("train", "val", "test"):
        path = folder / f"annotations/person_keypoints_{split}.json"
        with contextlib.redirect_stdout(io.StringIO()):
            truth = COCO(str(path))
            found = truth.loadRes([{**a, "score": 1.0} for a in truth.dataset["annotations"]])
            judge = COCOeval(truth, found, "keypoints")
            judge.evaluate()
            judge.accumulate()
            judge.summarize()
        assert judge.stats[0] == pytest.approx(1.0)
        assert truth.dataset["categories"][0]["keypoints"] == list(NAMES)
        assert np.array(truth.dataset["categories"][0]["skeleton"]).min() == 1
        for image in truth.dataset["images"]:
            pixels = cv2.imread(str(folder / "images" / image["file_name"]))
            assert pixels.shape == (image["height"], image["width"], 3)
            assert split_of(image["id"] - 1) == split
        sizes[split] = len(truth.dataset["images"])
        total += len(truth.dataset["annotations"])
    assert 40 <= total < 43
    assert sizes["train"] > 4 * sizes["val"] > 0
    assert sizes["test"] > 0


def test_written_images_and_labels_are_the_drawn_ones(tmp_path):
    (tmp_path / "people").mkdir()  # an empty folder may be there
    folder = write_synthetic(tmp_path / "people", 4, 3, config=SMALL)
    drawn = dict(synthetic_dataset(4, seed=3, config=SMALL))
    documents = [json.loads(p.read_text()) for p in sorted((folder / "annotations").iterdir())]
    notes = {a["id"]: a for d in documents for a in d["annotations"]}
    persons = [(index, p) for index, scene in drawn.items() for p in scene.persons]
    assert len(notes) == len(persons)
    for (index, person), (_, note) in zip(persons, sorted(notes.items()), strict=True):
        assert note["image_id"] == index + 1
        there = np.array(note["keypoints"]).reshape(17, 3)
        assert np.allclose(there, person.keypoints, atol=0.006)
        x, y, width, height = note["bbox"]
        assert np.allclose(
            [x - 0.5, y - 0.5, x + width - 0.5, y + height - 0.5], person.box_xyxy, atol=0.02
        )
        assert note["num_keypoints"] == (person.keypoints[:, 2] > 0).sum()
    for index, scene in drawn.items():
        stored = cv2.imread(str(folder / f"images/{index:07d}.jpg"))[..., ::-1]
        assert np.abs(stored.astype(int) - scene.image).mean() < 8


def test_datasets_of_one_split_are_part_of_the_whole():
    whole = [index for index, _ in synthetic_dataset(30, seed=1, config=SMALL)]
    parts = {s: [i for i, _ in synthetic_dataset(30, seed=1, split=s, config=SMALL)]
             for s in ("train", "val", "test")}  # fmt: skip
    assert sorted(i for indices in parts.values() for i in indices) == whole
    assert all(split_of(i) == s for s, indices in parts.items() for i in indices)


def test_a_failed_write_leaves_nothing(tmp_path):
    def full(done: int, total: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match="No space left"):
        write_synthetic(tmp_path / "people", 5, config=SMALL, on_progress=full)
    assert list(tmp_path.iterdir()) == []


def test_existing_folders_and_bad_counts_are_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(DataError, match="holds something already"):
        write_synthetic(tmp_path, 5, config=SMALL)
    with pytest.raises(DataError, match="positive number"):
        write_synthetic(tmp_path / "people", 0)
    with pytest.raises(DataError, match="unknown split 'dev'"):
        synthetic_dataset(3, split="dev")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"height": (200, 100)}, "height must be"),
        ({"width": (8, 100)}, "width must be"),
        ({"persons": (0, 2)}, "persons must be"),
        ({"persons": (1, 40)}, "12 persons at most"),
        ({"occluders": 1.5}, "occluders must be a share"),
        ({"acrobatics": -0.1}, "acrobatics must be a share"),
    ],
)
def test_impossible_scenes_are_refused(wrong, says):
    with pytest.raises(ConfigError, match=says):
        SceneConfig(**wrong)


def test_many_persons_and_large_images_can_be_drawn():
    scene = draw_scene(0, 1, SceneConfig(height=(700, 700), width=(900, 900), persons=(12, 12)))
    assert scene.image.shape == (700, 900, 3)
    assert len(scene.persons) >= 4
