"""Poses with the errors that pose networks make: what PoseFix learns to mend.

Each keypoint is good, or jittered, or at its mirror keypoint (inversion), or at a near person's
(swap), or somewhere else altogether (miss). How far off is told by the keypoint similarity of OKS:
d(s) is the distance at which it is s.

Source: Ronchi and Perona, ICCV 2017, for the kinds; mks0601/PoseFix_RELEASE `main/gen_batch.py`,
`synthesize_pose`, at 5556364, for distances, probabilities and rejections.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evopose.skeleton import COCO_PERSON, Skeleton

Array = NDArray[np.floating]

KINDS = ("good", "jitter", "inversion", "swap", "miss")
GOOD, JITTER, INVERSION, SWAP, MISS = range(len(KINDS))
NOT_KNOWN = -1
"""The kind of a keypoint that has no place to start from."""

SIMILARITIES = (0.85, 0.5, 0.1)
"""Good reaches to d(.85), jitter from there to d(.5), miss from there to d(.1); inversion and swap
lie within d(.5) of another keypoint."""
TRIES = (4, 28, 468)
"""Candidates for each keypoint, and how many more where none of those is fit (release: 500)."""
MISS_OWN_WEIGHT = 4
"""A miss about the keypoint's own place is this much likelier than about any other."""

_WHOLE = len(COCO_PERSON)
_NEARER = 1 - 1e-9
"""Keypoints in one place are not nearer than each other, whatever the rounding."""


@dataclass(frozen=True, kw_only=True)
class ErrorRates:
    """How often each keypoint goes wrong, as probabilities; the rest are good."""

    jitter: Array
    """(2, K): of persons with at most 10 of 17 keypoints labelled, with more."""
    miss: Array
    """(3, K): of persons with at most 5 of 17, at most 10 of 17, with more."""
    inversion: Array
    """(K,)."""
    swap: Array
    """(2, K): of crowded persons, of others."""

    def probabilities(self, num_labelled: int, num_near: int) -> Array:
        """Return (5, K), by `KINDS`, of a person with so many labelled keypoints and near persons.

        Crowded are persons with somebody near and at most 10 of 17 keypoints labelled, or with
        three near and at most 15.
        """
        share = num_labelled * _WHOLE / self.inversion.shape[0]
        crowded = (share <= 10 and num_near > 0) or (share <= 15 and num_near >= 3)
        wrong = np.stack(
            [
                self.jitter[0 if share <= 10 else 1],
                self.inversion,
                self.swap[0 if crowded else 1],
                self.miss[0 if share <= 5 else 1 if share <= 10 else 2],
            ]
        )
        return np.concatenate([1 - wrong.sum(axis=0, keepdims=True), wrong])


_FACE = ((0.15, 0.10, 0.02), 0.01, (0.02, 0.01))
_UPPER = (0.03, (0.15, 0.06))
_LOWER = (0.06, (0.10, 0.03))
_ENDS, _MIDDLES = (0.20, 0.13, 0.05), (0.25, 0.15, 0.10)
_RATES = {
    "nose": ((0.15, 0.10), *_FACE),
    "eye": ((0.20, 0.15), *_FACE),
    "ear": ((0.20, 0.15), *_FACE),
    "shoulder": ((0.20, 0.15), _ENDS, *_UPPER),
    "elbow": ((0.20, 0.15), _MIDDLES, *_UPPER),
    "wrist": ((0.20, 0.15), _MIDDLES, *_UPPER),
    "hip": ((0.25, 0.20), _MIDDLES, *_LOWER),
    "knee": ((0.15, 0.10), _MIDDLES, *_LOWER),
    "ankle": ((0.15, 0.10), _ENDS, *_LOWER),
}
"""Part -> jitter, miss, inversion, swap, each as in `ErrorRates`."""
_OTHER = "elbow"
"""What stands for keypoints that are not among COCO's."""


def error_rates(skeleton: Skeleton) -> ErrorRates:
    """Return the release's rates, by name; keypoints without one of COCO's names have an elbow's.

    Differs from the release: numbers of labelled keypoints count as shares of the skeleton, which
    is the same for 17.
    """
    parts = [
        name.split("_")[-1] if name in COCO_PERSON.keypoints else _OTHER
        for name in skeleton.keypoints
    ]
    jitter, miss, inversion, swap = zip(*(_RATES[part] for part in parts), strict=True)
    return ErrorRates(
        jitter=np.array(jitter).T,
        miss=np.array(miss).T,
        inversion=np.array(inversion),
        swap=np.array(swap).T,
    )


class Synthesised(NamedTuple):
    """A pose with errors."""

    pose: NDArray[np.float32]
    """(K, 3): x, y, and 1 where the keypoint has a place, else 0."""
    kinds: NDArray[np.int64]
    """(K,): the error of each, as an index of `KINDS`; -1 where it has no place."""


def similarity_distances(area: float, sigmas: Array) -> Array:
    """Return d(.85), d(.5) and d(.1), (3, K), in units whose square `area` is in."""
    variance = (2 * np.asarray(sigmas, np.float64)) ** 2
    return np.sqrt(-2 * area * variance * np.log(SIMILARITIES)[:, None])


def synthesise(
    keypoints: Array,
    labelled: NDArray[np.bool_],
    *,
    area: float,
    sigmas: Array,
    flip_index: NDArray[np.integer] | None,
    near: Array,
    rates: ErrorRates,
    rng: np.random.Generator,
    estimated: Array | None = None,
) -> Synthesised:
    """Return a person's keypoints (K, 2) with errors, in the frame they came in.

    `area` is the person's, in that frame; `sigmas` (K,) are those of OKS; `flip_index` (K,) names
    each keypoint's mirror (itself: none), None if nothing has one; `near` (M, K, 3) are near
    persons, third number above 0 where they have the keypoint. Keypoints that are not `labelled`
    start from `estimated` (K, 3), another network's answer, where that has them, and else have no
    place in the pose. A candidate nearer to another keypoint that it could be mistaken for than to
    its own source is rejected; an error for which no candidate is left does not happen, and the
    others happen more often.

    Differs from the release: an inversion goes to the mirror keypoint's true place, there to its
    erroneous one where that was made before; where the mirror keypoint is not labelled, swaps to
    the first near person's mirror keypoint happen, which there is taken for the person's own.
    """
    start, known = _start(keypoints, labelled, estimated)
    places, held = _sources(start, known, labelled, flip_index, near)
    chance = rates.probabilities(int(labelled.sum()), len(near))
    chance = chance * known
    chance[INVERSION] *= held[:, 1]
    chance[SWAP] *= held[:, 2:].any(axis=1)
    near_far = similarity_distances(area, sigmas)
    pose = np.zeros((len(start), 3), np.float32)
    kinds = np.full(len(start), NOT_KNOWN)
    todo = np.flatnonzero(chance.sum(axis=0) > 0)
    while len(todo):
        some = _pick(chance[:, todo].T, rng.random((len(todo), 1)))[:, 0]
        at, found = _candidates(some, places[todo], held[todo], near_far[:, todo], rng)
        done = todo[found]
        pose[done, :2], pose[done, 2], kinds[done] = at[found], 1, some[found]
        chance[some[~found], todo[~found]] = 0
        todo = todo[~found]
        todo = todo[chance[:, todo].sum(axis=0) > 0]
    return Synthesised(pose, kinds)


def _start(
    keypoints: Array, labelled: NDArray[np.bool_], estimated: Array | None
) -> tuple[Array, NDArray[np.bool_]]:
    """Return where each keypoint starts (K, 2), and whether it has a start."""
    if estimated is None:
        return np.where(labelled[:, None], keypoints, 0.0), labelled
    known = labelled | (estimated[:, 2] > 0)
    start = np.where(labelled[:, None], keypoints, estimated[:, :2])
    return np.where(known[:, None], start, 0.0), known


def _sources(
    start: Array,
    known: NDArray[np.bool_],
    labelled: NDArray[np.bool_],
    flip_index: NDArray[np.integer] | None,
    near: Array,
) -> tuple[Array, NDArray[np.bool_]]:
    """Return the places (K, S, 2) that each keypoint may be taken to, and which there are (K, S).

    Its own, its mirror's, then the near persons' same and mirror keypoints.
    """
    own = np.arange(len(start))
    mirror = own if flip_index is None else flip_index
    paired = mirror != own
    here = near[..., 2] > 0
    held = np.stack([known, labelled[mirror] & paired, *here, *(here[:, mirror] & paired)], axis=1)
    xy = near[..., :2]
    places = np.stack([start, start[mirror], *xy, *xy[:, mirror]], axis=1)
    return np.where(held[..., None], places, 0.0), held


def _candidates(
    kinds: NDArray[np.int64],
    places: Array,
    held: NDArray[np.bool_],
    near_far: Array,
    rng: np.random.Generator,
) -> tuple[Array, NDArray[np.bool_]]:
    """Return a fit candidate (n, 2) of each keypoint's kind (n,) of error, and whether one is."""
    at = np.zeros((len(kinds), 2))
    found = np.zeros(len(kinds), bool)
    for tries in TRIES:
        rest = np.flatnonzero(~found)
        if len(rest):
            at[rest], found[rest] = _try(
                kinds[rest], places[rest], held[rest], near_far[:, rest], tries, rng
            )
    return at, found


def _try(
    kinds: NDArray[np.int64],
    places: Array,
    held: NDArray[np.bool_],
    near_far: Array,
    tries: int,
    rng: np.random.Generator,
) -> tuple[Array, NDArray[np.bool_]]:
    """Return the first fit one of `tries` candidates (n, 2), and whether there is one (n,)."""
    row = np.arange(len(kinds))
    swap, miss = kinds == SWAP, kinds == MISS
    least, half, most = near_far
    low = np.where(miss, half, np.where(kinds == JITTER, least, 0.0))[:, None]
    high = np.where(miss, most, np.where(kinds == GOOD, least, half))[:, None]
    source = _pick(_source_weights(kinds, held), rng.random((len(row), tries)))
    radius, angle = rng.random((2, len(row), tries))
    radius = low + (high - low) * radius
    angle *= 2 * np.pi
    places_x, places_y = places[..., 0], places[..., 1]
    x = places_x[row[:, None], source] + radius * np.cos(angle)
    y = places_y[row[:, None], source] + radius * np.sin(angle)
    away = (x[..., None] - places_x[:, None]) ** 2 + (y[..., None] - places_y[:, None]) ** 2
    limit = np.where(miss[:, None], half[:, None], radius) ** 2
    close = away < limit[..., None] * _NEARER
    rivals = np.array(held)
    rivals[swap, 2:] = False
    close &= rivals[:, None]
    close[row[:, None], np.arange(tries), source] = False
    fit = ~close.any(axis=-1)
    first = fit.argmax(axis=1)
    return np.stack([x[row, first], y[row, first]], axis=1), fit[row, first]


def _source_weights(kinds: NDArray[np.int64], held: NDArray[np.bool_]) -> Array:
    """Return how likely (n, S) each kind (n,) of error is to start from each source."""
    weight = np.zeros(held.shape)
    weight[:, 0] = (kinds == GOOD) | (kinds == JITTER)
    weight[:, 1] = kinds == INVERSION
    swap, miss = kinds == SWAP, kinds == MISS
    weight[swap, 2:] = held[swap, 2:]
    weight[miss] = held[miss]
    weight[miss, 0] *= MISS_OWN_WEIGHT
    return weight


def _pick(weight: Array, uniform: Array) -> NDArray[np.int64]:
    """Return indices (n, T) drawn in proportion to `weight` (n, m) by numbers (n, T) in [0, 1)."""
    steps = weight.cumsum(axis=1)
    drawn = uniform * steps[:, -1:]
    return np.asarray((drawn[..., None] >= steps[:, None]).sum(axis=-1), np.int64)
