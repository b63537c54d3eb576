"""Keypoints matched by name: spellings, what cannot be matched, renames."""

import pytest

from evopose.data.naming import check_renames, match_keypoints, normal_name, parse_renames
from evopose.errors import ConfigError, DataError
from evopose.skeleton import COCO_PERSON


@pytest.mark.parametrize(
    "spelling",
    ["left_ear", "LeftEar", "leftEar", "LEFT_EAR", "left ear", "left-ear", "l_ear", "L_Ear",
     "ear_l", "ear.L", "Ear.Left", "ear_left", "leftear", "LEar", "lEar", "earLeft"],
)  # fmt: skip
def test_spellings_of_one_keypoint(spelling):
    assert normal_name(spelling) == ("left", "ear")
    swapped = {"left": "right", "Left": "Right", "LEFT": "RIGHT", "l": "r", "L": "R"}
    for side, other in swapped.items():
        if side in spelling and not (len(side) == 1 and "left" in spelling.lower()):
            assert normal_name(spelling.replace(side, other, 1)) == ("right", "ear")
            break


@pytest.mark.parametrize(
    ("first", "second"),
    [("lear", "left_ear"), ("left_front_paw", "left_back_paw"), ("head", "head_top"),
     ("kp_1", "kp_11"), ("paw1LH_top", "paw1LH_bot"), ("left_ear", "right_ear"), ("l", "left")],
)  # fmt: skip
def test_other_keypoints_stay_apart(first, second):
    assert normal_name(first) != normal_name(second)


def match(theirs, ours, **rename):
    return match_keypoints(theirs, ours, rename=rename, where="mice")


def test_what_maps_what_is_missing_what_is_dropped():
    found = match(["Nose", "L Ear", "tail", "R Ear"], ["right_ear", "nose", "left_ear", "neck"])
    assert found.mapped == (("R Ear", "right_ear"), ("Nose", "nose"), ("L Ear", "left_ear"))
    assert (found.missing, found.dropped) == (("neck",), ("tail",))
    assert found.describe() == (
        "3 of 4 keypoints mapped by name (R Ear = right_ear, Nose = nose, L Ear = left_ear); "
        "not labelled there: neck; dropped: tail"
    )


def test_renames_go_before_names():
    found = match(["snout", "nose", "tail"], ["nose", "tail"], snout="nose", nose="tail", tail="x")
    assert found.mapped == (("snout", "nose"), ("nose", "tail"))


@pytest.mark.parametrize(
    ("theirs", "ours", "rename", "message"),
    [
        (
            ["snout", "tail"], ["nose", "neck"], {},
            "mice: 0 of its keypoints have a name of the first dataset's, too few to learn from; "
            "it has snout, tail; the first dataset has nose, neck. Say which are the same with "
            "--rename THEIRS=OURS, once a keypoint, say --rename 'snout=nose'",
        ),
        (
            ["nose", "left_eye", "x"], list(COCO_PERSON.keypoints), {},
            "mice: 2 of its keypoints have a name of the first dataset's, too few to learn from; "
            "it has nose, left_eye, x; the first dataset has " + ", ".join(COCO_PERSON.keypoints)
            + ". Say which are the same with --rename THEIRS=OURS, once a keypoint, say --rename "
            "'x=right_eye'",
        ),
        (
            ["nose", "snout", "tail"], ["nose", "tail"], {"snout": "nose"},
            "mice: nose and snout would both be nose; rename one of them to another keypoint, or "
            "leave its --rename out",
        ),
        (
            ["l_ear", "leftEar"], ["nose", "tail"], {},
            "mice: l_ear and leftEar are the same name but for case, separators and the spelling "
            "of sides, so keypoints cannot be mapped by name; rename one in the file",
        ),
        (
            ["nose", "tail"], ["Tail", "tail_"], {},
            "the first dataset: Tail and tail_ are the same name but for case, separators and the "
            "spelling of sides, so keypoints cannot be mapped by name; rename one in the file",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_matched_is_told(theirs, ours, rename, message):
    with pytest.raises(DataError) as told:
        match(theirs, ours, **rename)
    assert str(told.value) == message


def test_renames_are_checked():
    assert parse_renames(["head = nose", "a=b"]) == {"head": "nose", "a": "b"}
    for wrong in ("head", "head=", "=nose", ""):
        with pytest.raises(ConfigError) as told:
            parse_renames([wrong])
        assert str(told.value) == f"expected --rename THEIRS=OURS, say head=nose; got {wrong!r}"
    with pytest.raises(ConfigError, match="--rename names a twice: as b and as c"):
        parse_renames(["a=b", "a=c"])
    theirs = {"mice": ("snout", "tail"), "rats": ("nose",)}
    check_renames({"snout": "nose"}, ["nose"], theirs)
    for rename, message in (
        ({"snot": "nose"}, "--rename snot=nose: no further dataset has snot; mice has snout, tail; "
         "rats has nose"),
        ({"snout": "nos"}, "--rename snout=nos: the first dataset has no nos; it has nose"),
    ):  # fmt: skip
        with pytest.raises(DataError) as told:
            check_renames(rename, ["nose"], theirs)
        assert str(told.value) == message
    with pytest.raises(ConfigError, match="give that dataset with --with, or leave it out"):
        check_renames({"snout": "nose"}, ["nose"], {})
