"""Smoothing is judged by the paper's algorithm, one number after the other, and by its purpose."""

import math

import numpy as np
import pytest

from evopose.errors import ConfigError, DataError
from evopose.inference.smoothing import OneEuro, SmoothingConfig
from moving_people import UPRIGHT

FPS = 30.0
ONE = np.array([1])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(12)


class PaperFilter:
    """Algorithm 1 of Casiez et al. for one number, as it stands there."""

    def __init__(self, mincutoff: float, beta: float, dcutoff: float) -> None:
        self.mincutoff, self.beta, self.dcutoff = mincutoff, beta, dcutoff
        self.hatx: float | None = None
        self.hatdx = 0.0

    def filter(self, x: float, rate: float) -> float:
        dx = 0.0 if self.hatx is None else (x - self.hatx) * rate
        first = self.hatx is None
        edx = dx if first else self.low_pass(dx, self.hatdx, self.alpha(rate, self.dcutoff))
        cutoff = self.mincutoff + self.beta * abs(edx)
        self.hatx = x if first else self.low_pass(x, self.hatx, self.alpha(rate, cutoff))
        self.hatdx = edx
        return self.hatx

    @staticmethod
    def low_pass(x: float, before: float, alpha: float) -> float:
        return alpha * x + (1 - alpha) * before

    @staticmethod
    def alpha(rate: float, cutoff: float) -> float:
        tau, te = 1.0 / (2 * math.pi * cutoff), 1.0 / rate
        return 1.0 / (1.0 + tau / te)


def smoothed(xy: np.ndarray, times: np.ndarray | None = None, **options: float) -> np.ndarray:
    """Return (frames, K, 2), the poses of one person smoothed, all keypoints sure."""
    times = np.arange(len(xy)) / FPS if times is None else times
    one_euro = OneEuro(SmoothingConfig(**options))
    poses = np.concatenate([xy, np.ones((*xy.shape[:2], 1))], axis=2)
    frames = zip(poses, times.tolist(), strict=True)
    return np.array([one_euro.smooth(pose[None], ONE, time)[0, :, :2] for pose, time in frames])


def standing(frames: int, stature: float = 200.0) -> np.ndarray:
    return np.broadcast_to(UPRIGHT * stature, (frames, 17, 2)).copy()


def test_every_number_is_the_papers(rng: np.random.Generator) -> None:
    frames, size = 60, 100.0
    xy = np.cumsum(rng.normal(0, 3, (frames, 3, 2)), axis=0)
    xy[:, :2] = (0, 0), (size, 40)  # two keypoints hold the body's length
    xy[:, 2] = xy[:, 2].clip(1, 99)
    times = np.cumsum(rng.uniform(0.01, 0.08, frames))
    mine = smoothed(xy, times, cutoff_hz=0.9, slope=3.0, speed_cutoff_hz=1.3)
    for axis in (0, 1):
        judge = PaperFilter(0.9, 3.0 / size, 1.3)
        rates = [1.0, *(1 / np.diff(times))]
        pairs = zip(xy[:, 2, axis].tolist(), rates, strict=True)
        expected = [judge.filter(x, rate) for x, rate in pairs]
        np.testing.assert_allclose(mine[:, 2, axis], expected, rtol=0, atol=1e-9)
    assert np.abs(mine[:, 2] - xy[:, 2]).max() > 1


def test_persons_are_filtered_as_if_each_were_alone(rng: np.random.Generator) -> None:
    walks = {i: standing(40) + np.cumsum(rng.normal(0, 2, (40, 1, 2)), axis=0) for i in (7, 2, 30)}
    alone = {i: smoothed(xy) for i, xy in walks.items()}
    together = OneEuro()
    for frame in range(40):
        ids = rng.permutation([7, 2, 30])
        poses = np.stack([np.column_stack([walks[i][frame], np.ones(17)]) for i in ids.tolist()])
        found = together.smooth(poses, ids, frame / FPS)
        for name, pose in zip(ids.tolist(), found, strict=True):
            np.testing.assert_allclose(pose[:, :2], alone[name][frame], rtol=0, atol=1e-9)


def test_someone_who_stands_trembles_less(rng: np.random.Generator) -> None:
    noisy = standing(300) + rng.normal(0, 2.0, (300, 17, 2))  # one hundredth of the stature
    steps = [np.diff(xy[30:], axis=0).std() for xy in (noisy, smoothed(noisy))]
    assert steps[1] < 0.3 * steps[0]
    errors = [np.abs(xy[30:] - standing(270)).mean() for xy in (noisy, smoothed(noisy))]
    assert errors[1] < 0.6 * errors[0]


@pytest.mark.parametrize("pace", [0.1, 0.5, 2.0, 8.0])
def test_someone_who_moves_hardly_lags(pace: float) -> None:
    stature = 200.0
    length = stature * np.ptp(UPRIGHT[:, 1])
    xy = standing(240)
    xy[..., 0] += (length * pace * np.arange(240) / FPS)[:, None]
    lag = (xy - smoothed(xy))[-1, :, 0] / length
    bound = 1 / (2 * np.pi * SmoothingConfig().slope)
    assert (lag > 0).all()
    assert lag.max() < bound
    assert lag.max() < pace / (2 * np.pi * SmoothingConfig().cutoff_hz)


def test_far_and_near_are_smoothed_alike(rng: np.random.Generator) -> None:
    near = standing(60) + np.cumsum(rng.normal(0, 4, (60, 17, 2)), axis=0)
    np.testing.assert_allclose(smoothed(near * 0.1) * 10, smoothed(near), rtol=1e-9)


def test_fewer_frames_a_second_do_not_lag_much_longer() -> None:
    """Time counts, not frames."""
    lags = []
    for fps in (60.0, 15.0):
        times = np.arange(int(4 * fps)) / fps
        xy = standing(len(times))
        xy[..., 0] += (100.0 * times)[:, None]
        lags.append((xy - smoothed(xy, times))[-1, 0, 0])
    assert 0.7 < lags[0] / lags[1] < 1.4  # 0.25 if every frame counted alike


def test_a_keypoint_of_no_score_does_not_pull() -> None:
    one_euro = OneEuro()
    body = np.column_stack([UPRIGHT * 200, np.ones(17)])
    for frame in range(40):
        pose = body.copy()
        pose[:, 0] += 2.0 * frame
        if frame >= 30:
            pose[9] = 400, 300, 0
        found = one_euro.smooth(pose[None], ONE, frame / FPS)[0]
        rest = np.delete(found - body, 9, axis=0)[:, 0].mean()
        assert found[9, :2] - body[9, :2] == pytest.approx([rest, 0], abs=1.0)
        assert found[9, 2] == pose[9, 2]
    assert rest > 60


def test_an_unsure_keypoint_pulls_in_proportion() -> None:
    pulls = {}
    for score in (0.3, 0.15, 0.075):
        one_euro = OneEuro(SmoothingConfig(slope=0))
        body = np.column_stack([UPRIGHT * 200, np.ones(17)])
        one_euro.smooth(body[None], ONE, 0.0)
        moved = body.copy()
        moved[9] += 50, 0, score - 1
        pulls[score] = one_euro.smooth(moved[None], ONE, 1 / FPS)[0, 9, 0] - body[9, 0]
    assert pulls[0.15] == pytest.approx(pulls[0.3] / 2, rel=0.1)
    assert pulls[0.075] == pytest.approx(pulls[0.3] / 4, rel=0.1)
    assert pulls[0.3] > 5


def pose_at(x: float, score: float = 1.0) -> np.ndarray:
    return np.column_stack([UPRIGHT * 200 + (x, 0), np.full(17, score)])[None]


@pytest.mark.parametrize(("gap", "fresh"), [(0.45, False), (0.55, True)])
def test_a_gap_starts_afresh(gap: float, fresh: bool) -> None:
    one_euro = OneEuro(SmoothingConfig(gap_s=0.5))
    one_euro.smooth(pose_at(0), ONE, 0.0)
    one_euro.smooth(np.empty((0, 17, 3)), np.empty(0, int), gap / 2)
    found = one_euro.smooth(pose_at(100), ONE, gap)
    assert (found == pose_at(100)).all() == fresh


def test_a_keypoint_out_of_sight_for_long_starts_afresh() -> None:
    one_euro = OneEuro(SmoothingConfig(gap_s=0.5))
    pose = pose_at(0)
    pose[0, 9] = 5000, 5000, 0  # never seen: comes as it is, and leaves nothing behind
    assert (one_euro.smooth(pose, ONE, 0.0)[0, 9] == pose[0, 9]).all()
    for frame in range(1, 40):
        seen = pose_at(0)
        seen[0, 9, 2] = frame <= 10 or frame > 30
        if not seen[0, 9, 2]:
            seen[0, 9, :2] = 300, 300
        if frame > 30:
            seen[0, 9, :2] = 90, -10
        found = one_euro.smooth(seen, ONE, frame / FPS)
        if frame in (1, 30, 31):
            assert (found[0, 9] == seen[0, 9]).all()


@pytest.mark.filterwarnings("error")
def test_what_is_not_finite_is_carried() -> None:
    one_euro = OneEuro()
    broken = pose_at(0)
    broken[0, 3, 0] = np.nan
    assert np.isnan(one_euro.smooth(broken, ONE, 0.0)[0, 3, 0])
    one_euro.smooth(pose_at(0), ONE, 0.1)
    held = one_euro.smooth(broken, ONE, 0.2)
    assert held[0, 3, :2] == pytest.approx(pose_at(0)[0, 3, :2])


def test_nobodys_poses_come_back_as_they_are() -> None:
    one_euro = OneEuro()
    poses, ids = np.concatenate([pose_at(0), pose_at(5), pose_at(9)]), np.array([-1, 4, -1])
    one_euro.smooth(poses, ids, 0.0)
    step = np.array([30, 0, 0])
    moved = poses + step
    found = one_euro.smooth(moved, ids, 0.1)
    assert (found[[0, 2]] == moved[[0, 2]]).all()
    assert found[1, 0, 0] < moved[1, 0, 0] - 1
    assert (moved == poses + step).all()


def test_who_is_gone_is_forgotten() -> None:
    one_euro = OneEuro()
    for frame in range(300):
        one_euro.smooth(pose_at(0), np.array([frame]), frame / FPS)
    assert len(one_euro._persons.ids) < 20


def test_misuse_is_explained() -> None:
    one_euro = OneEuro()
    one_euro.smooth(pose_at(0), ONE, 1.0)
    with pytest.raises(DataError, match="cannot follow one at 1 s; take a new OneEuro"):
        one_euro.smooth(pose_at(0), ONE, 1.0)
    with pytest.raises(DataError, match=r"twice: \[3\]"):
        one_euro.smooth(np.repeat(pose_at(0), 2, 0), np.array([3, 3]), 2.0)
    with pytest.raises(DataError, match="expected keypoints"):
        one_euro.smooth(pose_at(0)[0], ONE, 2.0)
    with pytest.raises(DataError, match="expected 17 keypoints as before, got 16"):
        one_euro.smooth(pose_at(0)[:, :16], ONE, 2.0)
    with pytest.raises(ConfigError, match="cutoff_hz must be above 0"):
        SmoothingConfig(cutoff_hz=0)
    with pytest.raises(ConfigError, match="slope must not be below 0"):
        SmoothingConfig(slope=float("nan"))
