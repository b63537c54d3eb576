"""Tracking persons through a video: poses in, stable ids out. NumPy, and `lap` for the assignment.

A track expects its person where the last poses' common motion leads. Poses are assigned to tracks
such that the sum of similarities is largest, in three rounds: known persons take the sure poses,
then the unsure ones, and last persons not yet confirmed take what is left.

Source: the two rounds of ByteTrack (Zhang et al., arXiv 2110.06864), velocity from observations a
few frames apart of OC-SORT (Cao et al., arXiv 2203.14360), OKS as the similarity of poses in time
as in Xiao et al. (arXiv 1804.06208).
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import lap
import numpy as np
from numpy.typing import NDArray

from evopose.errors import ConfigError, DataError
from evopose.inference import COUNTED
from evopose.inference.boxes import Boxes
from evopose.inference.pipeline import person_scores
from evopose.skeleton import Skeleton

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

NOBODY = -1
"""The id of a pose that belongs to nobody yet."""

MARGIN = 0.1
"""How far a person's box reaches beyond the keypoints on each side, as a share of their longer
side: the median of the four sides is 0.06 to 0.09 on drawn people and 0.09 to 0.10 on real ones."""

SPREAD = 2.0
"""OKS sigmas are multiplied by this: people move between frames as labels do not."""

BASELINE = 5
"""Velocity is measured over so many observations."""

COMMON = 3
"""Keypoints that two poses must share for their OKS, or their motion, to mean something."""

SURE = 0.5
"""Keypoints of a higher score are relied on for where a person's box ends."""


@dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """How persons are followed. Scores are a box's score times its keypoints' mean score.

    On real photos of several persons, half of those whom yolox-nano finds have a score above 0.3 by
    the network in the package, nine of ten above 0.12; nine of ten boxes beside any person, below
    0.25.

    Raises: ConfigError for counts below 0, thresholds out of order.
    """

    patience: int = 30
    """Frames for which a person may be out of sight and keeps the id."""
    confirm: int = 3
    """Frames in which a person is seen before there is an id."""
    at_once: float = 0.4
    """The score from which a new person gets an id at once."""
    start: float = 0.15
    """The score from which a pose is sure: only such a pose may be a new person's."""
    keep: float = 0.05
    """The score from which a pose may continue a known person's track."""
    similarity: float = 0.4
    """The least similarity of a pose to where a person is expected: the mean of their OKS and
    the intersection over union of their boxes."""
    coast: int = 2
    """Frames for which `Tracker.boxes` still names a person who is out of sight."""
    counted_above: float = COUNTED
    """The score above which keypoints count."""

    def __post_init__(self) -> None:
        for name in ("patience", "confirm", "coast"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is a number of frames, got {getattr(self, name)}")
        if not 0 <= self.keep <= self.start <= self.at_once:
            raise ConfigError(
                "expected 0 <= keep <= start <= at_once, got "
                f"{self.keep:g}, {self.start:g}, {self.at_once:g}"
            )
        if not 0 < self.similarity < 1:
            raise ConfigError(f"similarity must lie between 0 and 1, got {self.similarity:g}")


class Tracker:
    """The persons of one video. It remembers the frames given so far; take a new one a video."""

    def __init__(self, skeleton: Skeleton, config: TrackingConfig = TrackingConfig()) -> None:
        self.skeleton = skeleton
        self.config = config
        self._tracks: list[_Track] = []
        self._frame = 0
        self._next_id = 1

    def update(
        self,
        keypoints: NDArray[np.floating],
        boxes_xyxy: NDArray[np.floating],
        scores: NDArray[np.floating],
    ) -> Ids:
        """Return the ids (P,) of a frame's poses: from 1 in the order of appearance, or `NOBODY`.

        Keypoints (P, K, 3: x, y, score) and boxes (P, 4) are in pixels of the frame, scores (P,)
        are the boxes'. Every frame is given, also one without poses. Two persons never share an id,
        and one of a person who was out of sight longer than `patience` is never given again.

        Raises: DataError for other shapes, boxes or scores that are not finite. A keypoint that is
        not counts as unseen.
        """
        poses = self._checked(keypoints, boxes_xyxy, scores)
        self._frame += 1
        score = person_scores(poses.keypoints, poses.scores, counted_above=self._counted)
        sure = score >= self.config.start
        unsure = ~sure & (score >= self.config.keep)
        free = np.ones(len(score), bool)
        known = [track for track in self._tracks if track.id != NOBODY]
        likely = [track for track in self._tracks if track.id == NOBODY]
        for tracks, allowed in ((known, sure), (known, unsure), (likely, sure | unsure)):
            waiting = [track for track in tracks if track.frame < self._frame]
            places = np.flatnonzero(allowed & free)
            for track, place in self._assign(waiting, poses, places):
                track.see(self._frame, poses, place, self._counted)
                free[place] = False
        for place in np.flatnonzero(sure & free).tolist():
            self._tracks.append(_Track().see(self._frame, poses, place, self._counted))
        self._tracks = [track for track in self._tracks if self._stays(track)]
        return self._name(score)

    def boxes(self) -> Boxes:
        """Return where persons are expected in the next frame, boxes' scores as last given.

        A box reaches `MARGIN` beyond the keypoints, or is the last one moved where most are unsure.
        It may reach out of the image. Persons out of sight for more than `coast` frames are left
        out.
        """
        near = [t for t in self._tracks if self._frame - t.frame <= self.config.coast]
        rows = [self._box(track, self._frame + 1 - track.frame) for track in near]
        return Boxes(
            xyxy=np.array(rows, np.float64).reshape(-1, 4),
            scores=np.array([track.score for track in near], np.float64),
        )

    @property
    def _counted(self) -> float:
        return self.config.counted_above

    def _checked(
        self,
        keypoints: NDArray[np.floating],
        boxes_xyxy: NDArray[np.floating],
        scores: NDArray[np.floating],
    ) -> "_Poses":
        expected = (len(scores), len(self.skeleton), 3), (len(scores), 4)
        got = np.shape(keypoints), np.shape(boxes_xyxy)
        if got != expected:
            raise DataError(
                f"expected keypoints {expected[0]} and boxes {expected[1]} for {len(scores)} "
                f"scores, got {got[0]} and {got[1]}"
            )
        if not (np.isfinite(boxes_xyxy).all() and np.isfinite(scores).all()):
            raise DataError("boxes and scores must be finite numbers to be tracked")
        points = np.array(keypoints, np.float64)
        points[~np.isfinite(points).all(axis=2)] = 0
        return _Poses(
            keypoints=points,
            boxes=np.array(boxes_xyxy, np.float64),
            scores=np.array(scores, np.float64),
        )

    def _assign(
        self, tracks: Sequence["_Track"], poses: "_Poses", places: NDArray[np.intp]
    ) -> list[tuple["_Track", int]]:
        """Return who is which of the poses at `places`."""
        if not tracks or not len(places):
            return []
        gaps = np.array([self._frame - track.frame for track in tracks], np.float64)
        moves = np.array([track.velocity for track in tracks]) * gaps[:, None]
        points = np.array([track.keypoints for track in tracks])
        points[..., :2] += moves[:, None]
        boxes = np.array([track.box for track in tracks]) + np.tile(moves, 2)
        similarity = similarities(
            (points, boxes),
            (poses.keypoints[places], poses.boxes[places]),
            np.array(self.skeleton.sigmas) * SPREAD,
            counted_above=self._counted,
        )
        limit = 1 - self.config.similarity
        _, chosen, _ = lap.lapjv(1 - similarity, extend_cost=True, cost_limit=limit)
        return [(tracks[i], int(places[j])) for i, j in enumerate(chosen) if j >= 0]

    def _stays(self, track: "_Track") -> bool:
        missed = self._frame - track.frame
        return missed <= (1 if track.id == NOBODY else self.config.patience)

    def _name(self, score: Floats) -> Ids:
        """Return the poses' ids, new ones for those who are confirmed now."""
        ids = np.full(len(score), NOBODY, np.int64)
        for track in self._tracks:
            if track.frame < self._frame:
                continue
            certain = score[track.place] >= self.config.at_once
            if track.id == NOBODY and (certain or track.seen >= self.config.confirm):
                track.id, self._next_id = self._next_id, self._next_id + 1
            ids[track.place] = track.id
        return ids

    def _box(self, track: "_Track", frames: int) -> Floats:
        move = np.tile(track.velocity * frames, 2)
        counted = track.keypoints[:, 2] > self._counted
        sure = track.keypoints[:, 2] > max(SURE, self._counted)
        if sure.sum() * 2 < len(sure) or counted.sum() < 2:
            return np.asarray(track.box + move)
        return pose_box(track.keypoints[counted, :2]) + move


@dataclass(frozen=True, kw_only=True)
class _Poses:
    """What is found in one frame."""

    keypoints: Floats
    boxes: Floats
    scores: Floats


@dataclass
class _Track:
    """One person, as last seen."""

    id: int = NOBODY
    frame: int = 0
    place: int = 0
    seen: int = 0
    score: float = 1.0
    keypoints: Floats = field(default_factory=lambda: np.empty((0, 3)))
    box: Floats = field(default_factory=lambda: np.empty(4))
    velocity: Floats = field(default_factory=lambda: np.zeros(2))
    """Pixels a frame."""
    before: deque[tuple[int, Floats, Floats]] = field(
        default_factory=lambda: deque(maxlen=BASELINE)
    )
    """Frame, keypoints and box of the last observations."""

    def see(self, frame: int, poses: _Poses, place: int, counted_above: float) -> "_Track":
        """Take a pose for this person's. Returns itself."""
        self.keypoints, self.box = poses.keypoints[place], poses.boxes[place]
        self.score = float(poses.scores[place])
        if self.before:
            then, points, box = self.before[0]
            moved = _shift((points, box), (self.keypoints, self.box), counted_above)
            self.velocity = moved / (frame - then)
        self.before.append((frame, self.keypoints, self.box))
        self.frame, self.place, self.seen = frame, place, self.seen + 1
        return self


def similarities(
    expected: tuple[Floats, Floats],
    found: tuple[Floats, Floats],
    sigmas: Floats,
    *,
    counted_above: float = COUNTED,
) -> Floats:
    """Return (T, P) similarities in [0, 1] of poses expected to those found.

    Both are keypoints (N, K, 3) and boxes (N, 4). The similarity is the mean of the OKS over
    keypoints whose scores are both above the threshold and the boxes' intersection over union; the
    latter alone where fewer than `COMMON` keypoints are common.
    """
    overlap = _overlaps(expected[1], found[1])
    area = (_areas(expected[1])[:, None] + _areas(found[1])) / 2 + np.spacing(1)
    squared = ((expected[0][:, None, :, :2] - found[0][None, :, :, :2]) ** 2).sum(axis=3)
    near = np.exp(-squared / (2 * (2 * sigmas) ** 2) / area[..., None])
    common = (expected[0][:, None, :, 2] > counted_above) & (found[0][..., 2] > counted_above)
    count = common.sum(axis=2)
    oks = np.where(common, near, 0).sum(axis=2) / np.maximum(count, 1)
    enough = count >= min(COMMON, len(sigmas))
    return np.asarray(np.where(enough, (oks + overlap) / 2, overlap), np.float64)


def pose_box(xy: Floats, margin: float = MARGIN) -> Floats:
    """Return the box (4,) of a person whose keypoints (K, 2) are seen."""
    low, high = xy.min(axis=0), xy.max(axis=0)
    room = margin * float((high - low).max())
    return np.concatenate([low - room, high + room])


def _shift(then: tuple[Floats, Floats], now: tuple[Floats, Floats], counted_above: float) -> Floats:
    """Return how far (2,) a person has moved: the median of the keypoints that count in both, which
    a few that jump do not sway; the box's middle where they are fewer than `COMMON`."""
    counted = np.minimum(then[0][:, 2], now[0][:, 2]) > counted_above
    if counted.sum() >= min(COMMON, len(counted)):
        return np.asarray(np.median((now[0] - then[0])[counted, :2], axis=0), np.float64)
    return np.asarray((now[1] - then[1]).reshape(2, 2).mean(axis=0), np.float64)


def _areas(boxes: Floats) -> Floats:
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).clip(0).prod(axis=1), np.float64)


def _overlaps(a: Floats, b: Floats) -> Floats:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = (high - low).clip(0).prod(axis=2)
    whole = _areas(a)[:, None] + _areas(b) - common
    return np.asarray(common / np.maximum(whole, np.spacing(1)), np.float64)
