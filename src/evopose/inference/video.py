"""Poses through a video: detect now and then, estimate, track, smooth. One frame at a time."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from evopose.data.images import Image
from evopose.errors import ConfigError, DataError
from evopose.inference.boxes import Boxes
from evopose.inference.pipeline import person_scores
from evopose.inference.poses import Poses
from evopose.inference.smoothing import OneEuro
from evopose.inference.suppression import oks_nms
from evopose.inference.tracking import NOBODY, Tracker
from evopose.skeleton import Skeleton

Floats = NDArray[np.float64]
Estimate = Callable[[Image, Floats], Floats]
"""From an image (H, W, 3) and boxes (P, 4) to keypoints (P, K, 3), in pixels of the image."""
Detect = Callable[[Image], Boxes]

SAME = 0.8
"""Two poses of a frame whose similarity is higher are one person, found twice."""


def track_video(
    frames: Iterable[Image],
    estimate: Estimate,
    detect: Detect,
    skeleton: Skeleton,
    *,
    every: int = 1,
    tracker: Tracker | None = None,
    smoother: OneEuro | None = None,
    fps: float = 30.0,
    clock: Callable[[], float] | None = None,
    source: str | None = None,
) -> Iterator[Poses]:
    """Yield the persons of each frame as soon as it is read.

    The detector looks at every `every`-th frame, and at the next one while nobody is followed;
    between, persons are looked for where the tracker expects them. Without a tracker there are no
    ids, and without ids nothing to smooth by. A frame's time is what `clock` says once it is read
    (a `Video`'s `lambda: video.time_s`), else its number over `fps`. `source` names the video.

    Raises: ConfigError for a number of frames below 1, or what needs a tracker without one;
    DataError for an image that `estimate` gives other than (P, K, 3) keypoints for.
    """
    if every < 1:
        raise ConfigError(f"the detector looks at every n-th frame, n from 1; got {every}")
    if tracker is None and (every > 1 or smoother is not None):
        raise ConfigError("detection every n frames and smoothing go by ids; give a tracker")
    return _followed(
        frames, estimate, detect, skeleton, every, tracker, smoother, clock, fps, source
    )


def _followed(
    frames: Iterable[Image],
    estimate: Estimate,
    detect: Detect,
    skeleton: Skeleton,
    every: int,
    tracker: Tracker | None,
    smoother: OneEuro | None,
    clock: Callable[[], float] | None,
    fps: float,
    source: str | None,
) -> Iterator[Poses]:
    expected: Boxes | None = None
    since = every
    for index, image in enumerate(frames):
        time_s = clock() if clock else index / fps
        look = since >= every or expected is None or not len(expected.scores)
        persons = detect(image) if look or expected is None else expected
        since = 1 if look else since + 1
        persons = _in_image(persons, image)
        keypoints = _estimated(estimate, image, persons)
        if tracker is not None:
            kept = _once(keypoints, persons, tracker)
            keypoints = keypoints[kept]
            persons = Boxes(xyxy=persons.xyxy[kept], scores=persons.scores[kept])
            ids = tracker.update(keypoints, persons.xyxy, persons.scores)
            expected = _in_image(tracker.boxes(), image)
        else:
            ids = np.full(len(keypoints), NOBODY, np.int64)
        scores = person_scores(keypoints, persons.scores)
        if smoother is not None:
            keypoints = smoother.smooth(keypoints, ids, time_s)
        yield Poses(
            keypoints=keypoints,
            boxes_xyxy=persons.xyxy,
            box_scores=persons.scores,
            scores=scores,
            skeleton=skeleton,
            ids=ids,
            image=image,
            source=source,
            frame=index,
            time_s=time_s,
            detected=look,
        )


def _in_image(persons: Boxes, image: Image) -> Boxes:
    """Return the boxes' parts in the image, less those of which there is hardly any."""
    height, width = image.shape[:2]
    xyxy = persons.xyxy.clip(-0.5, np.array([width, height, width, height]) - 0.5)
    there = (xyxy[:, 2:] - xyxy[:, :2] >= 2).all(axis=1)
    return Boxes(xyxy=xyxy[there], scores=persons.scores[there])


def _estimated(estimate: Estimate, image: Image, persons: Boxes) -> Floats:
    keypoints = np.asarray(estimate(image, persons.xyxy), np.float64)
    if keypoints.ndim != 3 or len(keypoints) != len(persons.scores) or keypoints.shape[2] != 3:
        raise DataError(
            f"expected keypoints ({len(persons.scores)}, K, 3) of {len(persons.scores)} boxes, "
            f"got {keypoints.shape}"
        )
    return keypoints


def _once(keypoints: Floats, persons: Boxes, tracker: Tracker) -> NDArray[np.intp]:
    """Return the places of poses that are no better one's twin, in their order."""
    sides = persons.xyxy[:, 2:] - persons.xyxy[:, :2]
    kept = oks_nms(
        keypoints,
        person_scores(keypoints, persons.scores),
        sides.prod(axis=1),
        np.array(tracker.skeleton.sigmas),
        threshold=SAME,
    )
    return np.sort(kept)
