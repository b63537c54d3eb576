"""People who walk across a view, as arrays: true places, and what an imperfect detector makes of
them. Nothing of evopose is in it but the skeleton's size."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UPRIGHT = np.array([
    (0, -0.88), (-0.02, -0.9), (0.02, -0.9), (-0.045, -0.89), (0.045, -0.89), (-0.11, -0.76),
    (0.11, -0.76), (-0.14, -0.6), (0.14, -0.6), (-0.15, -0.45), (0.15, -0.45), (-0.07, -0.47),
    (0.07, -0.47), (-0.075, -0.25), (0.075, -0.25), (-0.08, -0.04), (0.08, -0.04),
])  # fmt: skip
"""COCO's 17 keypoints of someone who stands, in statures from between the feet; y down."""

SWING = np.zeros(17)
SWING[[9, 10, 15, 16]] = 0.11, -0.11, -0.14, 0.14
SWING[[7, 8, 13, 14]] = 0.05, -0.05, -0.07, 0.07
"""How far a keypoint swings forward and back in walking, in statures."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a detector and a network find in one frame."""

    keypoints: NDArray[np.float64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    whose: NDArray[np.int64]
    """The person of each pose, or -1 for clutter."""


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What goes wrong in finding people."""

    noise: float = 0.012
    """Of a keypoint, as a share of the stature."""
    missed: float = 0.05
    """The share of persons not found, in each frame anew."""
    clutter: float = 0.3
    """Poses a frame where nobody is."""
    hidden_above: float = 0.6
    """The share of a box behind nearer ones from which a person is not found."""


def walk(
    rng: np.random.Generator, persons: int, frames: int, view_wh: tuple[int, int] = (640, 480)
) -> NDArray[np.float64]:
    """Return true keypoints (frames, persons, 17, 2): each crosses the view at an even pace, half
    of them from the left, with a slow wave; later persons are nearer."""
    stature = np.linspace(110, 190, persons)[:, None]
    side = np.where(np.arange(persons) % 2, 1.0, -1.0)[:, None]
    time = np.arange(frames) / 30
    pace = rng.uniform(0.35, 0.75, (persons, 1)) * stature
    middle = view_wh[0] / 2 + rng.uniform(-80, 80, (persons, 1))
    x = middle + side * pace * (time - time.mean())
    x += 0.05 * stature * np.sin(2 * np.pi * 0.3 * time + rng.uniform(0, 6, (persons, 1)))
    y = np.broadcast_to(view_wh[1] * 0.55 + stature * 0.5, x.shape)
    phase = np.sin(2 * np.pi * 0.9 * time + rng.uniform(0, 6, (persons, 1)))
    shape = np.broadcast_to(UPRIGHT, (frames, persons, 17, 2)).copy()
    shape[..., 0] += phase.T[..., None] * SWING
    return (
        shape * stature[None, :, :, None] + np.stack([x, y], axis=-1).transpose(1, 0, 2)[:, :, None]
    )


def boxes_of(xy: NDArray[np.float64], room: float = 0.1) -> NDArray[np.float64]:
    """Return boxes (..., 4) about keypoints (..., K, 2)."""
    low, high = xy.min(axis=-2), xy.max(axis=-2)
    more = room * (high - low).max(axis=-1, keepdims=True)
    return np.concatenate([low - more, high + more], axis=-1)


def found(
    rng: np.random.Generator, truth: NDArray[np.float64], faults: Faults = Faults()
) -> list[Seen]:
    """Return what is found of true keypoints (frames, persons, 17, 2), the nearest person last."""
    return [_found(rng, xy, faults) for xy in truth]


def _found(rng: np.random.Generator, xy: NDArray[np.float64], faults: Faults) -> Seen:
    boxes = boxes_of(xy)
    size = (boxes[:, 3] - boxes[:, 1])[:, None, None]
    covered = np.array([_covered(box, boxes[i + 1 :]) for i, box in enumerate(boxes)])
    kept = (covered <= faults.hidden_above) & (rng.random(len(xy)) >= faults.missed)
    points = np.concatenate(
        [xy + faults.noise * size * rng.standard_normal(xy.shape), np.empty((*xy.shape[:2], 1))], 2
    )
    points[..., 2] = rng.uniform(0.6, 0.95, xy.shape[:2]) * (1 - 0.6 * covered[:, None])
    scores = rng.uniform(0.7, 0.95, len(xy))
    whose = np.arange(len(xy))
    number = rng.poisson(faults.clutter)
    place = rng.uniform((0, 200), (640, 480), (number, 2))
    ghosts = UPRIGHT * rng.uniform(60, 200, (number, 1, 1)) + place[:, None]
    ghosts += rng.normal(0, 8, ghosts.shape)
    marks = rng.uniform(0.2, 0.7, (number, 17, 1))
    order = rng.permutation(int(kept.sum()) + number)
    points = np.concatenate([points[kept], np.concatenate([ghosts, marks], 2)])[order]
    return Seen(
        keypoints=points,
        boxes=boxes_of(points[..., :2]).reshape(-1, 4),
        scores=np.concatenate([scores[kept], rng.uniform(0.3, 0.7, number)])[order],
        whose=np.concatenate([whose[kept], np.full(number, -1)])[order],
    )


def _covered(box: NDArray[np.float64], nearer: NDArray[np.float64]) -> float:
    low, high = np.maximum(box[:2], nearer[:, :2]), np.minimum(box[2:], nearer[:, 2:])
    common = (high - low).clip(0).prod(axis=1)
    return float((common / (box[2:] - box[:2]).prod()).max(initial=0.0))


@dataclass(frozen=True, kw_only=True)
class Count:
    """How ids fit persons."""

    switches: int
    """How often a person's id is another than the last one."""
    nameless: float
    """The share of poses of persons that have no id."""
    ghosts: int
    """Ids that were given to clutter alone."""
    shared: int
    """Ids that more than one person had."""


def count(sequence: list[Seen], ids: list[NDArray[np.int64]], patience: int = 30) -> Count:
    """Return how ids (P,) of each frame fit whose poses they are. Who was not found for more than
    `patience` frames may come back as someone else."""
    last: dict[int, tuple[int, int]] = {}
    owners: dict[int, set[int]] = {}
    switches = nameless = total = 0
    for frame, (seen, named) in enumerate(zip(sequence, ids, strict=True)):
        for person, name in zip(seen.whose.tolist(), named.tolist(), strict=True):
            if name >= 0:
                owners.setdefault(name, set()).add(person)
            if person < 0:
                continue
            total += 1
            nameless += name < 0
            if name >= 0:
                before, then = last.get(person, (name, frame))
                switches += before != name and frame - then <= patience
                last[person] = name, frame
    return Count(
        switches=switches,
        nameless=nameless / max(total, 1),
        ghosts=sum(people == {-1} for people in owners.values()),
        shared=sum(len(people - {-1}) > 1 for people in owners.values()),
    )


def greedy(sequence: list[Seen], patience: int = 30) -> list[np.ndarray]:
    """Return ids as a simpler tracker gives them: the largest overlap of boxes first, no motion, no
    poses, an id for everything."""
    tracks: dict[int, tuple[np.ndarray, int]] = {}
    named, following = [], 0
    for frame, seen in enumerate(sequence):
        ids = np.full(len(seen.boxes), -1)
        pairs = [
            (overlap(box, there), number, name)
            for name, (there, when) in tracks.items()
            for number, box in enumerate(seen.boxes)
            if frame - when <= patience
        ]
        for likeness, number, name in sorted(pairs, key=lambda pair: -pair[0]):
            if likeness > 0.3 and ids[number] < 0 and name not in ids:
                ids[number] = name
        for number in np.flatnonzero(ids < 0):
            ids[number], following = following, following + 1
        tracks |= {name: (seen.boxes[n], frame) for n, name in enumerate(ids.tolist())}
        named.append(ids)
    return named


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    width, height = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
    common = max(width, 0.0) * max(height, 0.0)
    whole = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)) - common
    return float(common / whole)
