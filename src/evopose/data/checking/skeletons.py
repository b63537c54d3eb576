"""Checks of skeletons: flip pairs, sigmas, limbs, and whether splits agree."""

from collections.abc import Sequence

from evopose.data.checking.findings import Finding, finding, remark
from evopose.data.checking.reading import Labels
from evopose.errors import DataError
from evopose.skeleton import Skeleton, flip_pairs_from_names


def flip_pairs_known(labels: Labels) -> str:
    """Return "given", "from names", "none" (nothing mirrors another) or "unknown"."""
    assert labels.skeleton is not None
    if labels.category.get("flip_pairs") is not None:
        return "given" if labels.skeleton.flip_pairs else "none"
    return "unknown" if labels.skeleton.flip_pairs is None else "from names"


def sigmas_known(labels: Labels) -> str:
    """Return "given", "COCO's" or "assumed"."""
    assert labels.skeleton is not None
    if labels.skeleton.sigmas_assumed:
        return "assumed"
    return "given" if labels.category.get("sigmas") else "COCO's"


def check_skeletons(splits: Sequence[Labels]) -> list[Finding]:
    """Return what is to be known of the skeleton, the first readable split's standing for all."""
    readable = [labels for labels in splits if labels.skeleton is not None]
    if not readable:
        return []
    first = readable[0]
    skeleton = first.skeleton
    assert skeleton is not None
    found = [one for other in readable[1:] for one in _disagree(first, other)]
    if skeleton.flip_pairs is None:
        found.append(
            remark("warning", "flip-pairs-unknown", "", "no keypoint's name has a side, so that "
                   "nothing is mirrored when training", 'Give the category "flip_pairs": '
                   '[["left_name", "right_name"], ...], or [] if nothing has a mirror')
        )  # fmt: skip
    elif first.category.get("flip_pairs") is not None:
        found += _against_names(skeleton)
    if skeleton.sigmas_assumed:
        found.append(
            remark("note", "sigmas-assumed", "", f"OKS sigmas are assumed ({skeleton.sigmas[0]} "
                   "each), so that OKS compares within this dataset only",
                   'Give the category "sigmas" if the dataset defines them')
        )  # fmt: skip
    if not skeleton.limbs:
        found.append(
            remark("note", "no-limbs", "", "no limbs are drawn: the category has no skeleton",
                   'Give it "skeleton": [[1, 2], ...], pairs counted from 1')
        )  # fmt: skip
    return found


def _disagree(first: Labels, other: Labels) -> list[Finding]:
    ours, theirs = first.skeleton, other.skeleton
    assert ours is not None
    assert theirs is not None
    if ours.keypoints != theirs.keypoints:
        text = f"has other keypoints, or another order of them, than {first.split}"
    elif (ours.flip_pairs, ours.sigmas) != (theirs.flip_pairs, theirs.sigmas):
        text = f"has other flip pairs or sigmas than {first.split}"
    else:
        return []
    mend = "Give the categories of all splits the same"
    return [remark("error", "skeletons-differ", other.split, text, mend)]


def _against_names(skeleton: Skeleton) -> list[Finding]:
    """Compare given flip pairs with those that the names tell."""
    try:
        told = flip_pairs_from_names(skeleton.keypoints)
    except DataError:
        return []
    if told is None:
        return []
    given = {frozenset(pair) for pair in skeleton.flip_pairs or ()}
    names = skeleton.keypoints
    unlike = sorted({frozenset(pair) for pair in told} ^ given, key=sorted)
    pairs = ["/".join(names[i] for i in sorted(pair)) for pair in unlike]
    return finding(
        "warning", "flip-pairs-unlike-names", "", "flip pair that only one of the category and "
        "the keypoints' names tells", pairs, "See in the contact sheet which is right",
    )  # fmt: skip
