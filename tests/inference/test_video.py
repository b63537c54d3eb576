"""Following people through frames whose people are known: nothing is drawn, nothing estimated."""

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from evopose.errors import ConfigError, DataError
from evopose.inference.boxes import Boxes
from evopose.inference.poses import Poses
from evopose.inference.smoothing import OneEuro
from evopose.inference.tracking import Tracker
from evopose.inference.video import track_video
from evopose.skeleton import COCO_PERSON as PERSON
from moving_people import boxes_of, walk

SIZE = 480, 640


class Street:
    """People who walk, a camera that films them, and a perfect network that looks into boxes."""

    def __init__(self, persons: int = 3, frames: int = 60, noise: float = 0.0) -> None:
        self.rng = np.random.default_rng(4)
        self.truth = walk(self.rng, persons, frames)
        self.noise = noise
        self.looked: list[int] = []

    def frames(self) -> Iterator[np.ndarray]:
        for number in range(len(self.truth)):
            image = np.zeros((*SIZE, 3), np.uint8)
            image[0, 0, :2] = divmod(number, 256)
            yield image

    @staticmethod
    def number(image: np.ndarray) -> int:
        return int(image[0, 0, 0]) * 256 + int(image[0, 0, 1])

    def detect(self, image: np.ndarray) -> Boxes:
        self.looked.append(self.number(image))
        boxes = boxes_of(self.truth[self.number(image)])
        return Boxes(xyxy=boxes, scores=np.full(len(boxes), 0.9))

    def estimate(self, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Return the person whose box overlaps most with each one, unsure where hardly any does."""
        xy = self.truth[self.number(image)]
        theirs = boxes_of(xy)
        poses = np.empty((len(boxes), 17, 3))
        for pose, box in zip(poses, boxes, strict=True):
            low, high = np.maximum(box[:2], theirs[:, :2]), np.minimum(box[2:], theirs[:, 2:])
            common = (high - low).clip(0).prod(axis=1)
            whole = (box[2:] - box[:2]).prod() + (theirs[:, 2:] - theirs[:, :2]).prod(axis=1)
            share = common / (whole - common)
            pose[:, :2] = xy[share.argmax()] + self.noise * self.rng.standard_normal((17, 2))
            pose[:, 2] = 0.9 if share.max() > 0.4 else 0.05
        return poses

    def whose(self, found: Poses) -> dict[int, int]:
        """Return the id of each person found."""
        errors = np.abs(found.keypoints[:, None, :, :2] - self.truth[found.frame]).mean(axis=(2, 3))
        return dict(zip(errors.argmin(axis=1).tolist(), found.ids.tolist(), strict=True))


@pytest.mark.parametrize("every", [1, 5])
def test_everyone_is_found_in_every_frame(every: int) -> None:
    street = Street()
    results = list(
        track_video(
            street.frames(), street.estimate, street.detect, PERSON, every=every,
            tracker=Tracker(PERSON),
        )
    )  # fmt: skip
    assert street.looked == list(range(0, 60, every))
    assert [one.detected for one in results] == [n % every == 0 for n in range(60)]
    assert [one.frame for one in results] == list(range(60))
    assert [one.time_s for one in results] == pytest.approx([n / 30 for n in range(60)])
    names = [street.whose(one) for one in results]
    assert all(names[0][person] == name for one in names for person, name in one.items())
    assert np.mean([len(one) for one in names]) > 2.8  # who stands behind another is one with him
    for one in results:
        assert one.keypoints.shape == (len(one.ids), 17, 3)
        assert one.boxes_xyxy.shape == (len(one.ids), 4)
        assert one.scores == pytest.approx(0.81)
        assert street.number(one.image) == one.frame


def test_nobody_in_sight_is_looked_for_in_every_frame() -> None:
    street = Street()
    empty = Boxes(xyxy=np.empty((0, 4)), scores=np.empty(0))

    def detect(image: np.ndarray) -> Boxes:
        found = street.detect(image)
        return found if street.number(image) >= 20 else empty

    tracker = Tracker(PERSON)
    results = list(
        track_video(street.frames(), street.estimate, detect, PERSON, every=10, tracker=tracker)
    )
    assert street.looked == [*range(21), 30, 40, 50]
    assert [len(one.ids) > 0 for one in results] == [n >= 20 for n in range(60)]


def test_a_person_found_twice_is_one() -> None:
    street = Street(persons=1)

    def twice(image: np.ndarray) -> Boxes:
        found = street.detect(image)
        return Boxes(
            xyxy=np.repeat(found.xyxy, 2, 0) + np.array([[0], [5]]), scores=np.array([0.5, 0.9])
        )

    tracker = Tracker(PERSON)
    for one in track_video(street.frames(), street.estimate, twice, PERSON, tracker=tracker):
        assert one.ids.tolist() == [1]
        assert one.scores == pytest.approx(0.81)
    for one in track_video(street.frames(), street.estimate, twice, PERSON):
        assert one.ids.tolist() == [-1, -1]


def test_smoothing_goes_by_id_and_the_clock() -> None:
    street = Street(noise=2.0)
    ticks = iter(np.arange(1000) * 0.04 + 5)
    tracked = track_video(
        street.frames(), street.estimate, street.detect, PERSON, tracker=Tracker(PERSON),
        smoother=OneEuro(), clock=lambda: float(next(ticks)),
    )  # fmt: skip
    results = list(tracked)
    assert [one.time_s for one in results] == pytest.approx([5 + n * 0.04 for n in range(60)])
    plain = Street(noise=2.0)
    raw = list(
        track_video(plain.frames(), plain.estimate, plain.detect, PERSON, tracker=Tracker(PERSON))
    )
    assert [one.ids.tolist() for one in results] == [one.ids.tolist() for one in raw]

    def tremble(frames: list[Poses]) -> float:
        paths = np.array([one.keypoints[one.ids == 1][0, :, :2] for one in frames[30:]])
        person = next(p for p, name in street.whose(frames[-1]).items() if name == 1)
        return float(np.diff(paths - street.truth[30:, person], axis=0).std())

    assert tremble(results) < 0.6 * tremble(raw)


def test_boxes_that_leave_the_image_are_cut() -> None:
    street = Street(persons=2, frames=150)
    tracker = Tracker(PERSON)
    tracked = track_video(
        street.frames(), street.estimate, street.detect, PERSON, every=4, tracker=tracker
    )
    limits = np.array([SIZE[1], SIZE[0]]) - 0.5
    for one in tracked:
        assert (one.boxes_xyxy >= -0.5).all()
        assert (one.boxes_xyxy[:, 2:] <= limits).all()
        assert (one.boxes_xyxy[:, 2:] > one.boxes_xyxy[:, :2]).all()


def test_memory_is_constant() -> None:
    """300 frames of a megabyte: one or two of them are held at a time."""
    street = Street(frames=300, noise=1.0)
    tracked = track_video(
        street.frames(), street.estimate, street.detect, PERSON, every=5, tracker=Tracker(PERSON),
        smoother=OneEuro(),
    )  # fmt: skip
    held = {}
    tracemalloc.start()
    try:
        for one in tracked:
            if one.frame in (49, 299):
                held[one.frame] = tracemalloc.get_traced_memory()[0]
            if one.frame == 49:
                tracemalloc.reset_peak()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    frame = SIZE[0] * SIZE[1] * 3
    assert abs(held[299] - held[49]) < 0.1 * frame
    assert peak - held[49] < 2 * frame


def test_misuse_is_explained() -> None:
    street = Street()
    with pytest.raises(ConfigError, match="n from 1; got 0"):
        track_video(street.frames(), street.estimate, street.detect, PERSON, every=0)
    for options in ({"every": 2}, {"smoother": OneEuro()}):
        with pytest.raises(ConfigError, match="give a tracker"):
            track_video(street.frames(), street.estimate, street.detect, PERSON, **options)
    with pytest.raises(DataError, match=r"expected keypoints \(3, K, 3\) of 3 boxes, got \(3, 17"):
        next(track_video(street.frames(), lambda i, b: np.zeros((3, 17, 2)), street.detect, PERSON))
