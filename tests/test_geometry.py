"""The one spelling of geometry, against OpenCV's."""

import json

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evopose.geometry import (
    apply_affine,
    box_to_crop,
    boxes_about,
    compose_affine,
    crop_affine,
    invert_affine,
    shrinkage,
)
from goldens import GOLDEN

INPUT_HW = (256, 192)
coordinates = st.floats(-500, 500)
frames = st.tuples(
    st.tuples(coordinates, coordinates),
    st.floats(0.1, 10),
    st.floats(-180, 180),
    st.booleans(),
)


def affine_of(frame: tuple[tuple[float, float], float, float, bool]) -> np.ndarray:
    centre, scale, rotation, flip = frame
    return crop_affine(np.array(centre), scale, input_hw=INPUT_HW, rotation_deg=rotation, flip=flip)


@given(frame=frames)
def test_crop_affine_is_opencvs_rotation_about_the_centre(frame) -> None:
    centre, scale, rotation, _ = frame
    # OpenCV counts angles counter-clockwise
    expected = cv2.getRotationMatrix2D(centre, -rotation, 1 / scale)
    expected[:, 2] += np.array([INPUT_HW[1] / 2, INPUT_HW[0] / 2]) - centre
    # OpenCV keeps the centre in single precision
    np.testing.assert_allclose(affine_of((*frame[:3], False)), expected, rtol=1e-5, atol=2e-3)


def test_a_positive_rotation_is_clockwise_and_scale_is_image_pixels_a_crop_pixel() -> None:
    affine = crop_affine(np.array([40.0, 30.0]), 2.0, input_hw=INPUT_HW, rotation_deg=90)
    found = apply_affine(affine, np.array([[40.0, 30.0], [50.0, 30.0], [40.0, 20.0]]))
    # what lay right of the centre lies below it, at half the distance; what lay above, right
    np.testing.assert_allclose(found, [[96, 128], [96, 133], [101, 128]], atol=1e-9)


@given(frame=frames, xy=st.tuples(coordinates, coordinates))
def test_flip_mirrors_about_the_middle_column_after_the_rotation(frame, xy) -> None:
    x, y = apply_affine(affine_of((*frame[:3], False)), np.array(xy))
    mirrored = apply_affine(affine_of((*frame[:3], True)), np.array(xy))
    np.testing.assert_allclose(mirrored, [INPUT_HW[1] - 1 - x, y], atol=1e-6)


def test_flip_mirrors_pixels_where_it_mirrors_points() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    centre, size_wh = np.array([40.0, 30.0]), (32, 24)
    upright, mirrored = (
        cv2.warpAffine(image, crop_affine(centre, 1.0, input_hw=(24, 32), flip=flip), size_wh)
        for flip in (False, True)
    )
    assert upright.std() > 10
    np.testing.assert_array_equal(mirrored, upright[:, ::-1])
    np.testing.assert_array_equal(upright, image[18:42, 24:56])


@given(inner=frames, outer=frames, xy=st.tuples(coordinates, coordinates))
def test_inverse_and_composition(inner, outer, xy) -> None:
    a, b, point = affine_of(inner), affine_of(outer), np.array(xy)
    np.testing.assert_allclose(apply_affine(invert_affine(a), apply_affine(a, point)), point,
                               atol=1e-5)  # fmt: skip
    np.testing.assert_allclose(
        apply_affine(compose_affine(b, a), point), apply_affine(b, apply_affine(a, point)),
        rtol=1e-9, atol=1e-6,
    )  # fmt: skip
    np.testing.assert_allclose(invert_affine(a), cv2.invertAffineTransform(a), atol=1e-6)


@pytest.mark.parametrize(
    ("box", "centre", "scale"),
    [
        # 100 x 100 at 3:4 becomes 100 x 133.3, then 1.25 times that
        ((10, 20, 110, 120), (60, 70), 400 / 3 * 1.25 / 256),
        # taller than 3:4: the height decides
        ((0, 0, 30, 200), (15, 100), 200 * 1.25 / 256),
        # reaching out of the image
        ((-50, -10, 50, 10), (0, 0), 100 * 4 / 3 * 1.25 / 256),
    ],
)
def test_box_to_crop_by_hand(box, centre, scale) -> None:
    found_centre, found_scale = box_to_crop(np.array(box), input_hw=INPUT_HW, padding=1.25)
    np.testing.assert_allclose(found_centre, centre)
    assert found_scale == pytest.approx(scale)


@given(
    corner=st.tuples(coordinates, coordinates),
    size=st.tuples(st.floats(1, 500), st.floats(1, 500)),
    padding=st.floats(1, 2),
)
def test_the_padded_box_touches_two_sides_of_the_crop(corner, size, padding) -> None:
    box = np.array([*corner, corner[0] + size[0], corner[1] + size[1]])
    centre, scale = box_to_crop(box, input_hw=INPUT_HW, padding=padding)
    affine = crop_affine(centre, scale, input_hw=INPUT_HW)
    corners = apply_affine(affine, box.reshape(2, 2))
    height, width = INPUT_HW
    share = (corners[1] - corners[0]) * padding / (width, height)
    assert share.max() == pytest.approx(1)
    np.testing.assert_allclose(corners.sum(axis=0), (width, height), rtol=1e-6)


def test_boxes_about_points() -> None:
    xy = np.array(
        [[[10, 20], [30, 80], [500, 500]], [[4, 5], [7, 7], [9, 9]], [[1, 1], [2, 2], [3, 3]]]
    )
    known = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0]], bool)
    found = boxes_about(xy, known, margin=1.2, least=20)
    np.testing.assert_allclose(found[0], [8, 14, 32, 86])
    np.testing.assert_allclose(found[1], [-8, -7, 16, 17])
    assert np.isnan(found[2]).all()
    assert boxes_about(xy[:0], known[:0], margin=1.2, least=20).shape == (0, 4)


@given(frame=frames)
def test_aligned_corners_count_from_pixel_to_pixel(frame) -> None:
    """The plain crop, its lengths times (size - 1) / size about the first pixel."""
    centre, scale, rotation, flip = frame
    aligned = crop_affine(
        np.array(centre), scale, input_hw=INPUT_HW, rotation_deg=rotation, flip=flip,
        align_corners=True,
    )  # fmt: skip
    plain = affine_of((centre, scale, rotation, False))
    plain *= shrinkage(INPUT_HW)[:, None]
    if flip:
        plain[0] *= -1
        plain[0, 2] += 191
    np.testing.assert_allclose(aligned, plain, atol=1e-9)


def test_aligned_corners_lie_on_the_boxs() -> None:
    box = np.array([10.0, 20, 103, 144])  # of the input's side ratio, 3 to 4
    at = box_to_crop(box, input_hw=INPUT_HW, padding=1.0)
    affine = crop_affine(*at, input_hw=INPUT_HW, align_corners=True)
    np.testing.assert_allclose(
        apply_affine(affine, box.reshape(2, 2)), [[0, 0], [191, 255]], atol=1e-9
    )


@pytest.mark.parametrize(
    "warp", json.loads((GOLDEN / "parity" / "mmpose_codecs.json").read_text())["warps"]
)
def test_aligned_corners_are_mmposes_crops_of_udp(warp) -> None:
    height, width = warp["input_hw"]
    affine = crop_affine(
        np.array(warp["centre"]), warp["size_wh"][1] / height, input_hw=(height, width),
        rotation_deg=warp["rotation_deg"], align_corners=True,
    )  # fmt: skip
    np.testing.assert_allclose(affine, warp["matrix"], rtol=1e-5, atol=1e-4)
