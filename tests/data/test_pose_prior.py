"""The prior over poses: what the file holds, and whether people drawn from it hold themselves as
the real ones do who were not used to fit it (COCO val2017)."""

import zipfile
from dataclasses import replace

import numpy as np
import pytest

from evopose.data.synthetic import SceneConfig, draw_scene, pose
from evopose.data.synthetic.body import FOREARM, SHANK, THIGH
from evopose.data.synthetic.prior import ANGLES, HIGH, LOW, PRIOR_FILE, VIEW, sample_prior

FITTED_PERSONS = 24000
CONFIG = SceneConfig(height=(128, 160), width=(96, 128), occluders=0.0, acrobatics=0.0)
WHOLE = [0, *range(5, 17)]
LIMBS = {"upper arm": (5, 7), "forearm": (7, 9), "thigh": (11, 13), "shank": (13, 15)}


@pytest.fixture(scope="module")
def real(shared) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (N, 17, 3) and boxes (N, 4), x, y, w, h, of real persons of some size."""
    with np.load(shared / "data/coco_labels/coco_kpt_labels_val2017.npz") as labels:
        keypoints, box = labels["keypoints"].astype(float), labels["bbox"]
    large = (box[:, 3] > 60) & ((keypoints[..., 2] > 0).sum(axis=1) >= 3)
    return keypoints[large], box[large]


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """The same of drawn persons."""
    persons = [p for i in range(220) for p in draw_scene(8, i, CONFIG).persons]
    corners = np.array([p.box_xyxy for p in persons])
    boxes = np.column_stack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
    return np.array([p.keypoints for p in persons]).astype(float), boxes


def angles_2d(keypoints: np.ndarray) -> dict[str, np.ndarray]:
    """Return for whole persons the limbs' angles from straight down, in degrees, 0 to 180."""
    xy = keypoints[(keypoints[:, WHOLE, 2] > 0).all(axis=1)][..., :2]
    out = {}
    for name, (a, b) in LIMBS.items():
        x, y = (xy[:, b] - xy[:, a]).T
        out[name] = np.degrees(np.abs(np.arctan2(x, y)))
    up = xy[:, 5:7].mean(axis=1) - xy[:, 11:13].mean(axis=1)
    out["trunk"] = np.degrees(np.abs(np.arctan2(up[:, 0], -up[:, 1])))
    return out


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the earth mover's distance of two samples."""
    at = (np.arange(200) + 0.5) / 200
    return float(np.abs(np.quantile(a, at) - np.quantile(b, at)).mean())


def test_the_file_is_small_and_holds_averages_alone():
    assert PRIOR_FILE.stat().st_size < 300_000
    with zipfile.ZipFile(PRIOR_FILE) as archive:
        assert sorted(archive.namelist()) == ["covariances.npy", "means.npy", "weights.npy"]
    with np.load(PRIOR_FILE, allow_pickle=False) as file:
        weights, means, covariances = file["weights"], file["means"], file["covariances"]
    size = len(ANGLES) + len(VIEW)
    assert means.shape == (len(weights), size)
    assert covariances.shape == (len(weights), size, size)
    assert weights.sum() == pytest.approx(1.0, abs=1e-5)
    assert (weights * FITTED_PERSONS).min() > 100  # nobody's pose alone
    assert np.allclose(covariances, covariances.transpose(0, 2, 1))
    assert np.linalg.eigvalsh(covariances.astype(float)).min() > 1.0  # no direction is pinned


def test_draws_stay_inside_the_joints_limits():
    """Ranges of motion of the American Academy of Orthopaedic Surgeons, with some slack: elbows
    and knees bend one way, hips go 120 forward and 30 back."""
    rng = np.random.default_rng(0)
    draws = np.array([sample_prior(rng)[0] for _ in range(500)])
    for bone in (FOREARM, SHANK):
        assert draws[:, bone : bone + 2, 0].min() >= 0
        assert draws[:, bone : bone + 2, 0].max() <= 150
    assert draws[:, THIGH : THIGH + 2, 0].min() >= -35
    assert draws[:, THIGH : THIGH + 2, 0].max() <= 140
    rows, axes = (np.array(column) for column in zip(*ANGLES, strict=True))
    assert (draws[:, rows, axes] >= LOW).all()
    assert (draws[:, rows, axes] <= HIGH).all()
    assert not np.delete(draws, np.unique(rows), axis=1).any()


def test_limb_angles_are_those_of_people_it_was_not_fitted_to(real, drawn):
    there, here = angles_2d(real[0]), angles_2d(drawn[0])
    for name, values in there.items():
        assert distance(values, here[name]) < 9.0, name
        low, high = np.percentile(values, [25, 50]), np.percentile(here[name], [25, 50])
        assert np.abs(low - high).max() < 8.0, name


def test_the_prior_is_nearer_to_real_people_than_postures_made_by_hand(real, monkeypatch):
    """By the energy distance of whole poses in two dimensions, joint structure and all."""
    there, away = normalised(real[0]), {}
    for share in (0.0, 1.0):
        monkeypatch.setattr(pose, "PRIOR_SHARE", share)
        alone = replace(CONFIG, persons=(1, 1), things=0.0, cropped=0.0)
        scenes = [draw_scene(12, i, alone) for i in range(160)]
        here = normalised(np.array([p.keypoints for s in scenes for p in s.persons]).astype(float))
        away[share] = energy_distance(there, here)
    assert away[1.0] < 0.6 * away[0.0]


def normalised(keypoints: np.ndarray) -> np.ndarray:
    """Return (N, 26): nose and body of whole persons about their hips, in units of their size."""
    xy = keypoints[(keypoints[:, WHOLE, 2] > 0).all(axis=1)][:, WHOLE, :2]
    xy = xy - xy[:, [7, 8]].mean(axis=1, keepdims=True)
    size = np.sqrt((xy**2).sum(axis=2).mean(axis=1))
    return (xy / size[:, None, None]).reshape(len(xy), -1)


def energy_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the energy distance of two samples, 0 for equal distributions (Szekely and Rizzo)."""

    def apart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        square = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T
        return np.sqrt(square.clip(0))

    n, m = len(a), len(b)
    own = apart(a, a).sum() / (n * (n - 1)) + apart(b, b).sum() / (m * (m - 1))
    return float(2 * apart(a, b).mean() - own)


def test_boxes_have_the_shapes_of_real_ones(real, drawn):
    (_, _, w, h), (_, _, width, height) = real[1].T, drawn[1].T
    at = [10, 25, 50, 75]
    there, here = np.percentile(w / h, at), np.percentile(width / height, at)
    assert np.abs(np.log(here / there)).max() < 0.25


def test_as_much_of_people_is_seen_as_in_photographs(real, drawn):
    """Of faces, shoulders, elbows, wrists, hips, knees, ankles: the share that is seen."""
    groups = [range(5), *[range(k, k + 2) for k in range(5, 17, 2)]]
    for group in groups:
        there = (real[0][:, group, 2] == 2).mean()
        here = (drawn[0][:, group, 2] == 2).mean()
        assert here == pytest.approx(there, abs=0.25), list(group)
    assert (drawn[0][:, 15:, 2] == 0).mean() > 0.08
