"""Smoothing poses over time: the One-Euro filter, for all persons and keypoints at once.

A low-pass filter whose cutoff grows with speed: what stands still does not tremble, what moves does
not lag.

Source: Casiez, Roussel and Vogel, "1 Euro filter: a simple speed-based low-pass filter for noisy
input in interactive systems", CHI 2012, algorithm 1.
Differs from the source: speed is counted in body lengths a second, so that a person near the camera
and one far away are smoothed alike; keypoints of low score pull less; what was out of sight starts
afresh.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evopose.errors import ConfigError, DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SmoothingConfig:
    """How strongly poses are smoothed.

    Raises: ConfigError unless all are above 0 (`slope` may be 0).
    """

    cutoff_hz: float = 1.5
    """The cutoff at rest: lower is smoother, and starts to move later."""
    slope: float = 10.0
    """What a speed of one body length a second adds to the cutoff, in Hz. At an even speed a
    keypoint lags by no more than 1 / (2 pi slope) body lengths, 1.6 % by default."""
    speed_cutoff_hz: float = 1.0
    """The cutoff at which the speed itself is smoothed."""
    sure: float = 0.3
    """The score from which a keypoint pulls fully; one of half of it pulls half as much."""
    gap_s: float = 0.5
    """A person or keypoint out of sight for longer starts afresh."""

    def __post_init__(self) -> None:
        for name in ("cutoff_hz", "speed_cutoff_hz", "sure", "gap_s"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, got {getattr(self, name)}")
        if not self.slope >= 0:
            raise ConfigError(f"slope must not be below 0, got {self.slope}")


class OneEuro:
    """The filter of one video. It remembers the last pose of every id; take a new one a video."""

    def __init__(self, config: SmoothingConfig = SmoothingConfig()) -> None:
        self.config = config
        self._time_s = -np.inf
        self._persons: _Persons | None = None

    def smooth(
        self, keypoints: NDArray[np.floating], ids: NDArray[np.integer], time_s: float
    ) -> Floats:
        """Return the poses (P, K, 3) of a frame, x and y smoothed, scores as they came.

        `keypoints` (P, K, 3: x, y, score) are of the persons `ids` (P,) at `time_s` seconds, later
        than the last frame's. Ids below 0 are nobody's and come back as they are. A keypoint that
        cannot be trusted, by its score or because it is not finite, moves with the body from where
        it was, for `gap_s` at least; then, or if it never was, it comes back as it is.

        Raises: DataError for other shapes, an id given twice, a time that is not later.
        """
        points = np.array(keypoints, np.float64)
        names = np.asarray(ids, np.int64)
        self._check(points, names, time_s)
        self._time_s = time_s
        known = np.flatnonzero(names >= 0)
        now = _start(points[known], names[known], time_s, self.config)
        if self._persons is not None and len(self._persons.ids):
            now = self._continued(now, self._persons, time_s)
        points[known, :, :2] = np.where(now.finite[..., None], now.xy, points[known, :, :2])
        self._persons = _with_absent(now, self._persons, time_s - self.config.gap_s)
        return points

    def _check(self, points: Floats, ids: NDArray[np.int64], time_s: float) -> None:
        if points.ndim != 3 or points.shape[2] != 3 or ids.shape != points.shape[:1]:
            raise DataError(
                f"expected keypoints (P, K, 3) and ids (P,), got {points.shape} and {ids.shape}"
            )
        if self._persons is not None and self._persons.xy.shape[1] != points.shape[1]:
            raise DataError(
                f"expected {self._persons.xy.shape[1]} keypoints as before, got {points.shape[1]}"
            )
        named, number = np.unique(ids[ids >= 0], return_counts=True)
        if (number > 1).any():
            raise DataError(f"ids must differ within a frame; twice: {named[number > 1].tolist()}")
        if not time_s > self._time_s:
            raise DataError(
                f"a frame at {time_s:g} s cannot follow one at {self._time_s:g} s; take a new "
                "OneEuro for a new video"
            )

    def _continued(self, raw: "_Persons", before: "_Persons", time_s: float) -> "_Persons":
        """Return the persons as filtered, those who were there before being continued."""
        config = self.config
        place = np.searchsorted(before.ids, raw.ids).clip(max=len(before.ids) - 1)
        last = before.at(place)
        there = last.ids == raw.ids
        fresh = ~there[:, None] | ~(time_s - last.seen_s <= config.gap_s)
        rate = 1 / np.maximum(time_s - last.time_s, np.finfo(float).tiny)[:, None, None]
        trust = np.where(raw.finite, raw.trust, 0)[..., None]
        length = last.length + _alpha(rate[:, 0, 0], config.speed_cutoff_hz) * (
            raw.length - last.length
        )

        def filtered(base: Floats) -> tuple[Floats, Floats]:
            slow = trust * _alpha(rate, config.speed_cutoff_hz)
            speed = last.speed + slow * ((raw.xy - base) * rate - last.speed)
            cutoff = config.cutoff_hz + config.slope * np.abs(speed) / length[:, None, None]
            return base + trust * _alpha(rate, cutoff) * (raw.xy - base), speed

        # What cannot be trusted is carried along by what can.
        sure = trust * ~fresh[..., None]
        moves = (sure * (filtered(last.xy)[0] - last.xy)).sum(axis=1)
        drift = moves / np.maximum(sure.sum(axis=1), np.finfo(float).tiny)
        xy, speed = filtered(last.xy + (1 - trust) * drift[:, None])
        return _Persons(
            ids=raw.ids,
            time_s=raw.time_s,
            xy=np.where(fresh[..., None], raw.xy, xy),
            speed=np.where(fresh[..., None], 0, speed),
            length=np.where(there, length, raw.length),
            seen_s=np.where(trust[..., 0] > 0, time_s, np.where(fresh, -np.inf, last.seen_s)),
            trust=raw.trust,
            finite=raw.finite | ~fresh,
        )


@dataclass(frozen=True, kw_only=True)
class _Persons:
    """The filter's state: N persons, ids ascending."""

    ids: NDArray[np.int64]
    time_s: Floats
    """(N,) when the person was last there."""
    xy: Floats
    speed: Floats
    """(N, K, 2) in pixels, and pixels a second."""
    length: Floats
    """(N,) of the body in pixels: the longer side of its keypoints."""
    seen_s: Floats
    """(N, K) when the keypoint was last trusted at all; minus infinity: never."""
    trust: Floats
    finite: NDArray[np.bool_]
    """(N, K) how far the last observation counts, from 0 to 1; whether there is a place."""

    def at(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> "_Persons":
        return _Persons(**{name: value[index] for name, value in vars(self).items()})


def _start(
    points: Floats, ids: NDArray[np.int64], time_s: float, config: SmoothingConfig
) -> _Persons:
    """Return persons as they are observed, nobody before them."""
    finite = np.asarray(np.isfinite(points).all(axis=2))
    xy = np.where(finite[..., None], points[..., :2], 0)
    trust = np.where(finite, points[..., 2] / config.sure, 0).clip(0, 1)
    return _Persons(
        ids=ids,
        time_s=np.full(len(ids), time_s),
        xy=xy,
        speed=np.zeros_like(xy),
        length=_lengths(xy, trust > 0.5, finite),
        seen_s=np.where(trust > 0, time_s, -np.inf),
        trust=trust,
        finite=finite,
    )


def _lengths(xy: Floats, sure: NDArray[np.bool_], finite: NDArray[np.bool_]) -> Floats:
    """Return the longer side (N,) of the sure keypoints, of all where fewer than two are."""
    counted = np.where((sure.sum(axis=1) >= 2)[:, None], sure, finite)[..., None]
    low = np.where(counted, xy, np.inf).min(axis=1, initial=np.inf)
    high = np.where(counted, xy, -np.inf).max(axis=1, initial=-np.inf)
    return np.asarray((high - low).max(axis=1, initial=1.0), np.float64)


def _alpha(rate: Floats, cutoff_hz: Floats | float) -> Floats:
    """Return the weight of a new sample at `rate` samples a second (the paper's equation)."""
    return np.asarray(1 / (1 + rate / (2 * np.pi * cutoff_hz)), np.float64)


def _with_absent(now: _Persons, before: _Persons | None, since_s: float) -> _Persons:
    """Return the persons of now, and those of before who were there at `since_s` or later."""
    if before is not None:
        absent = before.at(~np.isin(before.ids, now.ids) & (before.time_s >= since_s))
        now = _Persons(**{k: np.concatenate([v, getattr(absent, k)]) for k, v in vars(now).items()})
    return now.at(np.argsort(now.ids))
