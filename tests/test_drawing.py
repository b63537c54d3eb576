"""Drawing is judged by the pixels that it leaves, read back through OpenCV."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from evopose.codecs import GaussianCodec
from evopose.drawing import (
    INK,
    NAMELESS,
    PAPER,
    SIDE_COLOURS,
    contact_sheet,
    draw_heatmaps,
    draw_pose,
    draw_poses,
    encode_image,
    fit_image,
    id_colour,
    keypoint_sides,
    write_image,
)
from evopose.errors import DataError
from evopose.skeleton import COCO_PERSON, Skeleton

FACE = Skeleton(
    keypoints=("nose", "ear_right", "ear_left", "chin"),
    limbs=((0, 1), (0, 2), (0, 3), (1, 2)),
    flip_pairs=((1, 2),),
)
POINTS = np.array([[100, 100, 1], [40, 60, 1], [160, 60, 1], [100, 180, 1]], np.float64)


def grey(height: int = 200, width: int = 200) -> np.ndarray:
    return np.full((height, width, 3), 128, np.uint8)


def painted(image: np.ndarray, before: np.ndarray) -> int:
    return int((image != before).any(axis=2).sum())


def test_sides_follow_the_names_then_the_order_of_the_pair() -> None:
    assert keypoint_sides(FACE) == ("middle", "right", "left", "middle")
    nameless = Skeleton(keypoints=("a", "b", "c"), flip_pairs=((2, 0),))
    assert keypoint_sides(nameless) == ("right", "middle", "left")
    assert keypoint_sides(Skeleton(keypoints=("a", "b"))) == ("middle", "middle")
    for name, side in zip(COCO_PERSON.keypoints, keypoint_sides(COCO_PERSON), strict=True):
        assert side == (name.split("_")[0] if "_" in name else "middle")


def test_limbs_and_keypoints_have_the_colour_of_their_side() -> None:
    image = grey()
    drawn = draw_pose(image, POINTS, FACE, thickness=5)
    assert (image == 128).all()
    middles = {(0, 1): "right", (0, 2): "left", (0, 3): "middle", (1, 2): "middle"}
    for (a, b), side in middles.items():
        x, y = ((POINTS[a, :2] + POINTS[b, :2]) / 2).astype(int)
        assert tuple(drawn[y, x]) == SIDE_COLOURS[side]
    for (x, y, _), side in zip(POINTS.astype(int), keypoint_sides(FACE), strict=True):
        assert tuple(drawn[y, x]) == SIDE_COLOURS[side]
    assert tuple(drawn[10, 10]) == (128, 128, 128)
    # The outline separates the limb from any background.
    assert drawn[96:, 100 - 6 : 100 + 7].min() < 60


@pytest.mark.parametrize("x", [100.0, 100.25, 100.5])
def test_parts_of_pixels_count(x: float) -> None:
    lone = Skeleton(keypoints=("a",))
    drawn = draw_pose(grey(), np.array([[x, 100.0, 1]]), lone, thickness=3)
    change = np.abs(drawn[..., 0].astype(float) - 128)
    assert (change.sum(axis=0) * np.arange(200)).sum() / change.sum() == pytest.approx(x, abs=0.1)
    assert (change.sum(axis=1) * np.arange(200)).sum() / change.sum() == pytest.approx(100, abs=0.1)


@pytest.mark.parametrize("hide", [0.0, -1.0, 0.3, np.nan])
def test_hidden_keypoints_and_their_limbs_are_left_out(hide: float) -> None:
    points = POINTS.copy()
    points[1, 2] = hide
    drawn = draw_pose(grey(), points, FACE, threshold=0.3, thickness=5)
    assert tuple(drawn[60, 40]) == (128, 128, 128)
    assert tuple(drawn[80, 70]) == (128, 128, 128)  # the limb from the nose
    assert tuple(drawn[100, 100]) == SIDE_COLOURS["middle"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e12])
def test_coordinates_that_are_nowhere_are_left_out(bad: float) -> None:
    points = POINTS.copy()
    points[1, 0] = bad
    expected = POINTS.copy()
    expected[1, 2] = 0
    assert (draw_pose(grey(), points, FACE) == draw_pose(grey(), expected, FACE)).all()


def test_nothing_visible_gives_an_equal_copy() -> None:
    image = grey()
    drawn = draw_pose(image, POINTS * (1, 1, 0), FACE)
    assert (drawn == image).all()
    assert not np.shares_memory(drawn, image)


def test_wrong_shape_is_explained() -> None:
    with pytest.raises(DataError, match=r"expected keypoints \(4, 3\).*got \(3, 3\)"):
        draw_pose(grey(), POINTS[:3], FACE)


def test_lines_grow_with_image_and_pose() -> None:
    small, large = grey(200, 200), grey(1200, 1200)
    share_small = painted(draw_pose(small, POINTS, FACE), small) / small[..., 0].size
    on_large = draw_pose(large, POINTS * (6, 6, 1), FACE)
    share_large = painted(on_large, large) / large[..., 0].size
    assert 0.4 < share_large / share_small < 1.5
    # A small person in a large photo is not buried.
    far = draw_pose(large, POINTS * (0.2, 0.2, 1), FACE)
    assert painted(far, large) < 0.6 * 24 * 24 * 1.5
    assert painted(draw_pose(large, POINTS, FACE, thickness=20), large) > painted(far, large)


def test_a_view_that_is_not_contiguous_can_be_drawn_on() -> None:
    image = grey()[:, ::-1]
    assert painted(draw_pose(image, POINTS, FACE), image) > 0


def test_without_ids_poses_are_drawn_as_each_alone() -> None:
    both = np.stack([POINTS, POINTS * 0.5 + (0, 0, 0.5)])
    image = grey()
    expected = draw_pose(draw_pose(image, both[0], FACE), both[1], FACE)
    assert (draw_poses(image, both, FACE) == expected).all()
    assert (image == 128).all()
    nobody = draw_poses(image, np.empty((0, 4, 3)), FACE, ids=np.empty(0, int))
    assert (nobody == image).all()
    assert not np.shares_memory(nobody, image)


def test_an_id_has_its_own_colour_in_every_frame() -> None:
    both = np.stack([POINTS, POINTS + np.array([200, 0, 0])])
    wide = grey(200, 400)
    one = draw_poses(wide, both, FACE, ids=np.array([7, 2]), thickness=5)
    other = draw_poses(wide, both[::-1], FACE, ids=np.array([2, 7]), thickness=5)
    assert (one == other).all()
    assert tuple(one[100, 100]) == tuple(one[60, 40]) == id_colour(7)
    assert tuple(one[100, 300]) == tuple(one[60, 240]) == id_colour(2)
    nobodys = draw_poses(wide, both, FACE, ids=np.array([-1, -1]), thickness=5)
    assert tuple(nobodys[100, 100]) == NAMELESS
    assert not (nobodys[:45] != 128).any()  # no label


def test_ids_near_each_other_differ_in_colour() -> None:
    colours = np.array([id_colour(number) for number in range(40)], float)
    for first in range(30):
        apart = np.linalg.norm(colours[first + 1 : first + 5] - colours[first], axis=1)
        assert apart.min() > 60
    assert (colours.max(axis=1) > 150).all()
    assert id_colour(-1) == NAMELESS


def test_boxes_and_labels_stay_in_the_image() -> None:
    boxes = np.array([[30.0, 50.0, 170.0, 190.0], [-50.0, -40.0, 500.0, 500.0]])
    both = np.stack([POINTS, POINTS * (1, 1, 0)])
    drawn = draw_poses(grey(), both, FACE, boxes_xyxy=boxes, ids=np.array([3, 1234567]))
    assert tuple(drawn[120, 170]) == id_colour(3)
    label = (drawn[30:48, 30:44] == id_colour(3)).all(axis=2)
    assert label.sum() > 40
    assert (drawn[32:48, 32:40].min(axis=2) < 60).any()  # dark ink on it
    assert (drawn[:14, :60] == id_colour(1234567)).all(axis=2).sum() > 100
    plain = draw_poses(grey(), both, FACE, boxes_xyxy=boxes)
    assert tuple(plain[120, 170]) == PAPER
    lost = draw_poses(grey(), both, FACE, boxes_xyxy=boxes * np.nan, ids=np.array([3, 4]))
    assert (lost == draw_poses(grey(), both[:1], FACE, ids=np.array([3]))).all()


def test_poses_that_do_not_fit_are_explained() -> None:
    poses = np.stack([POINTS, POINTS])
    with pytest.raises(DataError, match=r"expected ids \(2,\) for 2 poses, got \(3,\)"):
        draw_poses(grey(), poses, FACE, ids=np.arange(3))
    with pytest.raises(DataError, match=r"expected boxes \(2, 4\) for 2 poses, got \(1, 4\)"):
        draw_poses(grey(), poses, FACE, boxes_xyxy=np.ones((1, 4)))
    with pytest.raises(DataError, match=r"expected keypoints \(P, 4, 3\), got \(4, 3\)"):
        draw_poses(grey(), POINTS, FACE)


def test_heatmaps_are_hottest_where_the_codec_puts_the_keypoint() -> None:
    codec = GaussianCodec(input_hw=(96, 64), heatmap_hw=(24, 16), round_centre=False)
    xy = np.array([[[20.0, 30.0], [44.0, 72.0]]])
    heatmaps = codec.encode(xy, np.ones((1, 2), bool))[0]
    image = grey(96, 64)
    drawn = draw_heatmaps(image, heatmaps)
    assert (image == 128).all()
    change = np.abs(drawn.astype(int) - 128).sum(axis=2)
    for x, y in xy[0].astype(int):
        near = change[y - 8 : y + 9, x - 8 : x + 9]
        top, left = np.unravel_index(near.argmax(), near.shape)
        assert abs(top - 8) <= 2
        assert abs(left - 8) <= 2
        red, _, blue = drawn[y, x].astype(int)
        assert red > blue
    assert change[2, 60] == 0


def test_blank_heatmaps_change_nothing() -> None:
    image = grey(40, 30)
    assert (draw_heatmaps(image, np.zeros((3, 10, 8))) == image).all()
    assert (draw_heatmaps(image, np.full((3, 10, 8), -2.0)) == image).all()


def tile(colour: tuple[int, int, int], hw: tuple[int, int] = (40, 20)) -> np.ndarray:
    return np.full((*hw, 3), colour, np.uint8)


def test_a_sheet_holds_its_tiles_in_reading_order() -> None:
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    sheet = contact_sheet([tile(c) for c in colours], columns=2, cell_hw=(80, 40), gap=10)
    assert sheet.shape == (10 + 2 * 90, 10 + 2 * 50, 3)
    for (x, y), colour in zip([(30, 50), (80, 50), (30, 140)], colours, strict=True):
        assert tuple(sheet[y, x]) == colour
    assert tuple(sheet[140, 80]) == PAPER
    assert contact_sheet([tile((9, 9, 9))], columns=8, cell_hw=(80, 40)).shape[1] == 40 + 24


def test_tiles_keep_their_side_ratio() -> None:
    assert fit_image(tile((1, 2, 3), (10, 40)), (80, 80)).shape == (20, 80, 3)
    assert fit_image(tile((1, 2, 3), (400, 100)), (80, 80)).shape == (80, 20, 3)
    sheet = contact_sheet([tile((9, 9, 9), (10, 40))], columns=1, cell_hw=(80, 80), gap=5)
    rows = np.flatnonzero((sheet[:, 45] == 9).all(axis=1))
    assert (rows.min(), rows.max()) == (35, 54)


def test_captions_stand_under_their_tile_and_within_its_width() -> None:
    tiles = [tile((200, 200, 200))] * 2
    captions = ["", "a caption far too long for a cell so narrow as this"]
    sheet = contact_sheet(tiles, columns=2, captions=captions, cell_hw=(80, 120), gap=10)
    plain = contact_sheet(tiles, columns=2, captions=["", ""], cell_hw=(80, 120), gap=10)
    rows, columns = np.nonzero((sheet != plain).any(axis=2))
    assert rows.min() >= 90
    assert columns.min() >= 140 - 1
    assert columns.max() < 260
    dark = sheet[rows, columns].min(axis=0)
    assert np.abs(dark.astype(int) - INK).max() < 40


def test_a_title_stands_above() -> None:
    tiles = [tile((200, 200, 200))]
    titled = contact_sheet(tiles, columns=1, cell_hw=(80, 200), title="Title")
    plain = contact_sheet(tiles, columns=1, cell_hw=(80, 200))
    head = titled.shape[0] - plain.shape[0]
    assert (titled[head:] == plain).all()
    assert (titled[:head] < 100).any()


def test_sheets_that_cannot_be_are_explained() -> None:
    with pytest.raises(DataError, match="needs tiles"):
        contact_sheet([], columns=2)
    with pytest.raises(DataError, match="expected 2 captions, one a tile, got 1"):
        contact_sheet([tile((1, 1, 1))] * 2, columns=2, captions=["one"])


def test_png_keeps_every_pixel(tmp_path: Path, rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (20, 30, 3), np.uint8)
    path = tmp_path / "new" / "folder" / "a.png"
    write_image(path, image)
    assert (cv2.imread(str(path))[..., ::-1] == image).all()
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]


def test_jpeg_keeps_the_colours(tmp_path: Path) -> None:
    write_image(tmp_path / "a.JPG", tile((200, 60, 20)))
    back = cv2.imread(str(tmp_path / "a.JPG"))[..., ::-1].astype(int)
    assert np.abs(back - (200, 60, 20)).max() < 6


def test_files_that_cannot_be_written_are_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\.png, \.jpg or \.jpeg, not as '\.gif'"):
        write_image(tmp_path / "a.gif", grey())
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write image"):
        write_image(tmp_path / "file" / "a.png", grey())
    assert encode_image(grey())[:4] == b"\x89PNG"


def test_real_labels_lie_under_their_colours(shared: Path) -> None:
    root = shared / "data" / "people"
    labels = json.loads((root / "annotations" / "person_keypoints_val.json").read_text())
    names = {image["id"]: image["file_name"] for image in labels["images"]}
    people = [a for a in labels["annotations"] if a["num_keypoints"] > 8 and not a["iscrowd"]]
    sides = keypoint_sides(COCO_PERSON)
    hits = total = 0
    for person in people[:: len(people) // 15]:
        image = cv2.imread(str(root / "images" / names[person["image_id"]]))[..., ::-1]
        keypoints = np.array(person["keypoints"], float).reshape(-1, 3)
        drawn = draw_pose(image, keypoints, COCO_PERSON)
        assert painted(drawn, image) < 0.25 * image[..., 0].size
        for (x, y, visible), side in zip(keypoints.round().astype(int), sides, strict=True):
            if visible and 0 <= x < image.shape[1] and 0 <= y < image.shape[0]:
                total += 1
                hits += np.abs(drawn[y, x].astype(int) - SIDE_COLOURS[side]).max() < 30
    assert total > 100
    assert hits > 0.85 * total  # the rest lies under a neighbour's disc


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
