"""Skeletons: mirror pairs told from names, checks, and COCO's numbers."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evopose.errors import DataError
from evopose.skeleton import ASSUMED_SIGMA, COCO_PERSON, Skeleton, flip_pairs_from_names

LSP = (
    "Right ankle", "Right knee", "Right hip", "Left hip", "Left knee", "Left ankle", "Right wrist",
    "Right elbow", "Right shoulder", "Left shoulder", "Left elbow", "Left wrist", "Neck",
    "Head top",
)  # fmt: skip


def test_coco_sigmas_are_those_of_pycocotools() -> None:
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    expected = cocoeval.Params(iouType="keypoints").kpt_oks_sigmas
    np.testing.assert_allclose(COCO_PERSON.sigmas, expected, rtol=1e-12)
    assert not COCO_PERSON.sigmas_assumed


def category(shared: Path, file: str) -> dict:
    (found,) = json.loads((shared / "data" / file).read_text())["categories"]
    return found


def test_coco_keypoints_and_limbs_are_those_of_the_label_files(shared) -> None:
    person = category(shared, "people/annotations/person_keypoints_val.json")
    assert list(COCO_PERSON.keypoints) == person["keypoints"]
    limbs = {frozenset(i - 1 for i in limb) for limb in person["skeleton"]}
    assert {frozenset(limb) for limb in COCO_PERSON.limbs} == limbs


@pytest.mark.parametrize(
    ("file", "swapped"),
    [
        ("people/annotations/lsp14_val.json", (5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7, 6, 12, 13)),
        ("animals/openfield/openfield.json", (0, 2, 1, 3)),
        # "paw1LH" has no side by our rules, and nothing is guessed
        ("animals/mirror_mouse/mirror_mouse.json", None),
    ],
)
def test_pairs_of_real_label_files(shared, file, swapped) -> None:
    names = tuple(category(shared, file)["keypoints"])
    skeleton = Skeleton(keypoints=names, flip_pairs=flip_pairs_from_names(names))
    if swapped is None:
        assert skeleton.flip_pairs is None
    else:
        assert tuple(skeleton.flip_index) == swapped


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (COCO_PERSON.keypoints, COCO_PERSON.flip_pairs),
        (LSP, ((3, 2), (4, 1), (5, 0), (9, 8), (10, 7), (11, 6))),
        (("snout", "leftear", "rightear", "tailbase"), ((1, 2),)),
        (("l_ear", "r_ear", "nose"), ((0, 1),)),
        (("ear.R", "ear.L"), ((1, 0),)),
        (("paw 1 L", "paw 1 R", "paw 2 L", "paw 2 R"), ((0, 1), (2, 3))),
        (("WristLeft", "WristRight"), ((0, 1),)),
        (("snout", "tail_base"), None),
        (("lear", "rear", "roller"), None),
    ],
)
def test_pairs_are_told_from_names(names, pairs) -> None:
    assert flip_pairs_from_names(names) == pairs


@pytest.mark.parametrize(
    ("names", "culprit", "reason"),
    [
        (("left_eye", "nose"), "left_eye", "none fits"),
        (("left_eye", "l_eye", "right_eye"), "l_eye", "none fits"),
        (("left_eye", "right_eye", "Right_Eye"), "left_eye", "several fit"),
        (("bright_spot", "nose"), "bright_spot", "none fits"),
    ],
)
def test_a_side_in_doubt_is_an_error_that_says_how_to_mend_it(names, culprit, reason) -> None:
    with pytest.raises(DataError) as caught:
        flip_pairs_from_names(names)
    message = str(caught.value)
    assert repr(culprit) in message
    assert reason in message
    assert '"flip_pairs": [["left_name", "right_name"], ...]' in message


@given(
    parts=st.lists(st.sampled_from(("ear", "eye", "paw", "hip", "knee")), unique=True, min_size=1),
    middle=st.lists(st.sampled_from(("nose", "tail", "neck")), unique=True),
    style=st.sampled_from((("left_{}", "right_{}"), ("{}.L", "{}.R"), ("{}Left", "{}Right"))),
    data=st.data(),
)
def test_the_mirror_is_an_involution_that_swaps_sides(parts, middle, style, data) -> None:
    names = [side.format(part) for part in parts for side in style] + middle
    names = data.draw(st.permutations(names))
    skeleton = Skeleton(keypoints=tuple(names), flip_pairs=flip_pairs_from_names(names))
    index = skeleton.flip_index
    np.testing.assert_array_equal(index[index], np.arange(len(names)))
    left, right = style
    for part in parts:
        assert names[index[names.index(left.format(part))]] == right.format(part)
    for name in middle:
        assert names[index[names.index(name)]] == name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keypoints": ()}, "at least one keypoint"),
        ({"keypoints": ("a", "b", "a")}, "given twice: a"),
        ({"keypoints": ("a", "b"), "limbs": ((0, 2),)}, r"limb \[0, 2\] .* 0 to 1"),
        ({"keypoints": ("a", "b"), "limbs": ((-1, 0),)}, r"limb \[-1, 0\]"),
        ({"keypoints": ("a", "b", "c"), "flip_pairs": ((0, 1), (1, 2))}, "in several: b"),
        ({"keypoints": ("a", "b"), "flip_pairs": ((1, 1),)}, "in several: b"),
        ({"keypoints": ("a", "b"), "sigmas": (0.1,)}, "expected 2 positive OKS sigmas"),
        ({"keypoints": ("a", "b"), "sigmas": (0.1, 0.0)}, "expected 2 positive OKS sigmas"),
        ({"keypoints": ("a", "b"), "sigmas": (0.1, float("nan"))}, "expected 2 positive"),
    ],
)
def test_what_cannot_be_a_skeleton_is_refused(options, message) -> None:
    with pytest.raises(DataError, match=message):
        Skeleton(**options)


def test_missing_sigmas_are_assumed_and_say_so() -> None:
    skeleton = Skeleton(keypoints=("a", "b"))
    assert skeleton.sigmas == (ASSUMED_SIGMA, ASSUMED_SIGMA) == (0.05, 0.05)
    assert skeleton.sigmas_assumed


def test_an_unknown_mirror_cannot_be_used() -> None:
    with pytest.raises(DataError, match="unknown, so nothing can be mirrored"):
        _ = Skeleton(keypoints=("a", "b")).flip_index
    np.testing.assert_array_equal(Skeleton(keypoints=("a", "b"), flip_pairs=()).flip_index, [0, 1])


@pytest.mark.parametrize(
    "skeleton",
    [COCO_PERSON, Skeleton(keypoints=("a", "b")), Skeleton(keypoints=("a",), flip_pairs=())],
)
def test_json_round_trip(skeleton) -> None:
    assert Skeleton.from_json(json.loads(json.dumps(skeleton.to_json()))) == skeleton


@pytest.mark.parametrize(
    "change", [{"keypoints": None}, {"limbs": [[0]]}, {"sigmas": ["wide"]}, {"flip_pairs": 3}]
)
def test_json_that_is_no_skeleton_is_an_error(change) -> None:
    with pytest.raises(DataError, match="not a skeleton"):
        Skeleton.from_json(COCO_PERSON.to_json() | change)
    with pytest.raises(DataError, match="KeyError"):
        Skeleton.from_json({})
