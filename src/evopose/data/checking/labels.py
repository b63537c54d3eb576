"""Checks of one split's annotations: boxes, keypoints, visibility, areas, persons twice."""

from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from evopose.data.checking.findings import Finding, finding, remark
from evopose.data.checking.reading import Floats, Labels

OUTSIDE = 1.0
"""Pixels that a keypoint may lie outside its image."""
FAR = 0.25
"""How far outside its box a keypoint is far, in parts of the box's longer side."""
LARGE = 3.0
"""A box is much larger than its keypoints if its longer side is so many of theirs."""
SAME = 0.01
"""Two persons are the same if their keypoints are that near, in parts of their extent."""
MOST = 2 / 3
FEW = 4
"""With this share of all keypoints labelled, and so many, their extent tells of the size."""

Check = Callable[[Labels], Iterator[list[Finding]]]


def check_labels(labels: Labels) -> list[Finding]:
    """Return what is wrong with, or to be known of, the annotations that can be read."""
    with np.errstate(invalid="ignore"):  # NaN is what cannot be read, and is told elsewhere
        return [one for check in CHECKS for found in check(labels) for one in found]


def _boxes(labels: Labels) -> Iterator[list[Finding]]:
    persons, split = labels.persons, labels.split
    low, size = labels.boxes[:, :2], labels.boxes[:, 2:]
    wh = labels.image_wh()
    flat = persons & (size <= 0).any(axis=1)
    off = persons & ~flat & ((low >= wh) | (low + size <= 0)).any(axis=1)
    mend = "Give each a bbox [left, top, width, height] about the person, or take it out"
    yield finding("error", "box-empty", split, "person with keypoints whose box has no area",
                  labels.called(flat), mend)  # fmt: skip
    yield finding("error", "box-elsewhere", split, "person whose box does not touch the image",
                  labels.called(off), mend)  # fmt: skip
    slack = OUTSIDE + 0.02 * wh
    out = persons & ~flat & ~off & ((low < -slack) | (low + size > wh + slack)).any(axis=1)
    yield finding("note", "box-outside", split, "box that reaches out of the image",
                  labels.called(out))  # fmt: skip
    whole = persons & ~flat & (size >= 0.98 * wh).all(axis=1)
    if whole.sum() > max(1, persons.sum() / 2):
        text = (f"{whole.sum():,} of {persons.sum():,} boxes are the whole image, so that crops "
                "show everything in it")  # fmt: skip
        mend = "Boxes about the person (animal, thing) give a network more pixels of it"
        yield [remark("warning", "box-whole-image", split, text, mend)]


def _keypoints_and_boxes(labels: Labels) -> Iterator[list[Finding]]:
    persons, split, shown = labels.persons, labels.split, labels.labelled
    low, size = labels.boxes[:, None, :2], labels.boxes[:, None, 2:]
    xy = labels.keypoints[..., :2]
    side = labels.boxes[:, 2:].max(axis=1, initial=0)
    beyond = np.maximum(low - xy, xy - low - size).max(axis=2)
    # COCO's boxes are about what is seen; hidden keypoints may well lie outside them.
    seen = shown & (labels.keypoints[..., 2] == 2)
    far = persons & _touches(labels) & ((beyond > FAR * side[:, None]) & seen).any(axis=1)
    yield finding(
        "warning", "keypoint-far-from-box", split,
        f"person with a seen keypoint farther outside its box than {FAR:.0%} of its side",
        labels.called(far), "See whether the box or the keypoint is wrong; crops follow the box",
    )  # fmt: skip
    extent = _extent(labels)
    enough = shown.sum(axis=1) >= max(FEW, MOST * shown.shape[1])
    large = persons & enough & (extent > 0) & (side > LARGE * extent)
    yield finding(
        "warning", "box-much-larger", split,
        f"box more than {LARGE:g} times as long as its keypoints' extent", labels.called(large),
        "Crops follow the box, so that the person is small in them",
    )  # fmt: skip


def _touches(labels: Labels) -> NDArray[np.bool_]:
    """Return (N,) which boxes have an area and touch their image."""
    low, size = labels.boxes[:, :2], labels.boxes[:, 2:]
    return np.asarray(((size > 0) & (low < labels.image_wh()) & (low + size > 0)).all(axis=1))


def _keypoints(labels: Labels) -> Iterator[list[Finding]]:
    split, shown = labels.split, labels.labelled
    xy, wh = labels.keypoints[..., :2], labels.image_wh()[:, None]
    out = ((xy < -OUTSIDE) | (xy > wh - 1 + OUTSIDE)).any(axis=2) & shown
    share = out.sum() / max(1, shown.sum())
    yield finding(
        "warning", "keypoint-outside-image", split,
        f"person with a labelled keypoint outside the image ({out.sum():,} keypoints, "
        f"{share:.1%} of all labelled)",
        labels.called(labels.persons & out.any(axis=1)),
        "Set their visibility to 0, or mend x and y; training takes them as they are",
    )  # fmt: skip
    corner = (xy == 0).all(axis=2) & shown
    yield finding(
        "warning", "keypoint-at-origin", split, "person with a keypoint labelled at exactly (0, 0)",
        labels.called(labels.persons & corner.any(axis=1)),
        "Set its visibility to 0 if it is not labelled",
    )  # fmt: skip
    given = labels.keypoints[..., 2]
    strange = np.asarray(~np.isin(given, (0, 1, 2)) & ~np.isnan(given))
    yield finding(
        "error", "visibility", split,
        "annotation with a visibility other than 0 (not labelled), 1 (hidden), 2 (seen)",
        labels.called(np.asarray(strange.any(axis=1))), "Set it to one of these",
    )  # fmt: skip


def _unlabelled(labels: Labels) -> Iterator[list[Finding]]:
    split, shown = labels.split, labels.labelled
    placed = (labels.keypoints[..., :2] != 0).any(axis=2) & (labels.keypoints[..., 2] == 0)
    readable = ~np.isnan(labels.keypoints).any(axis=(1, 2))
    blank = ~labels.crowd & ~shown.any(axis=1) & readable
    yield finding(
        "warning", "labelled-as-unlabelled", split,
        "person all of whose keypoints have visibility 0, but coordinates",
        labels.called(blank & placed.any(axis=1)),
        "Set the visibility of labelled keypoints to 2 (or 1); as it is nothing is learnt of them",
    )  # fmt: skip
    partly = labels.persons & placed.any(axis=1)
    yield finding("note", "placed-but-unlabelled", split,
                  "person with coordinates at visibility 0, which are not read",
                  labels.called(partly))  # fmt: skip
    yield finding("note", "no-keypoints", split,
                  "person without labelled keypoints, which training leaves out",
                  labels.called(blank & ~placed.any(axis=1)))  # fmt: skip
    yield finding("note", "crowd", split, "crowd, which training leaves out",
                  labels.called(labels.crowd))  # fmt: skip
    if not labels.persons.any() and len(labels.names):
        text = "no person with labelled keypoints"
        yield [remark("error", "nobody", split, text, "Label some, or take the split out")]
    number = shown.sum(axis=1)
    wrong = np.array(
        [c is not None and c != n for c, n in zip(labels.counted, number, strict=True)], bool
    )
    wrong &= readable
    yield finding(
        "warning", "num-keypoints", split,
        "annotation whose num_keypoints is not its number of keypoints with a visibility above 0",
        labels.called(wrong), "evopose counts for itself; other tools trust the field",
    )  # fmt: skip


def _areas(labels: Labels) -> Iterator[list[Finding]]:
    split, persons = labels.split, labels.persons
    absent = labels.areas <= 0
    yield finding(
        "warning", "area-missing", split, "person without an area", labels.called(persons & absent),
        "OKS takes 0.53 of the box for it: give areas (of segmentations) for comparable numbers",
    )  # fmt: skip
    box = np.nan_to_num(labels.boxes[:, 2:]).prod(axis=1)
    yield finding(
        "warning", "area-above-box", split, "person with an area larger than its box",
        labels.called(persons & (box > 0) & (labels.areas > 1.05 * box + 1)),
        "Give the area in square pixels of the image",
    )  # fmt: skip


def _twice(labels: Labels) -> Iterator[list[Finding]]:
    """Find persons whose keypoints are those of another in the same image."""
    by_image: defaultdict[int, list[int]] = defaultdict(list)
    for row in np.flatnonzero(labels.persons):
        if (image := labels.image_ids[row]) is not None:
            by_image[image].append(int(row))
    extent, shown, xy = _extent(labels), labels.labelled, labels.keypoints[..., :2]
    pairs = []
    for rows in by_image.values():
        for place, a in enumerate(rows):
            for b in rows[place + 1 :]:
                both = shown[a] & shown[b]
                if both.sum() < max(2, MOST * max(shown[a].sum(), shown[b].sum())):
                    continue
                apart = np.linalg.norm(xy[a, both] - xy[b, both], axis=1).mean()
                if apart <= SAME * extent[[a, b]].min() or apart == 0:
                    pairs.append(f"{labels.names[a]} = {labels.names[b]}")
    yield finding("warning", "person-twice", labels.split,
                  "pair of annotations of the same keypoints in one image", pairs,
                  "Take one of each pair out")  # fmt: skip


def _never_labelled(labels: Labels) -> Iterator[list[Finding]]:
    if labels.skeleton is None or not labels.persons.any():
        return
    never = np.asarray(~labels.labelled[labels.persons].any(axis=0))
    names = [n for n, absent in zip(labels.skeleton.keypoints, never, strict=True) if absent]
    level = "note" if labels.split == "test" else "warning"
    mend = {
        "warning": "Nothing is learnt, or measured, of them",
        "note": "Nothing is measured of them",
    }[level]
    yield finding(level, "keypoint-never-labelled", labels.split,
                  "keypoint that nobody has labelled", names, mend)  # fmt: skip


def _extent(labels: Labels) -> Floats:
    """Return (N,) the longer side of the labelled keypoints' bounding box; 0 without any."""
    shown = labels.labelled[..., None]
    xy = labels.keypoints[..., :2]
    low = np.where(shown, xy, np.inf).min(axis=1)
    high = np.where(shown, xy, -np.inf).max(axis=1)
    size = (high - low).max(axis=1)
    return np.asarray(np.where(np.isfinite(size), size, 0.0))


CHECKS: tuple[Check, ...] = (
    _boxes, _keypoints_and_boxes, _keypoints, _unlabelled, _areas, _twice, _never_labelled,
)  # fmt: skip
"""All checks of one split's annotations."""
