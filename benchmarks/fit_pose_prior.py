"""The prior over poses from COCO's labels: python benchmarks/fit_pose_prior.py LABELS.npz OUT.npz

LABELS holds `keypoints` (N, 17, 3) and `bbox` (N, 4) as COCO annotates them (person_keypoints of
train2017, CC BY 4.0). Persons whose twelve keypoints of the body are labelled are lifted: the
angles of the drawn people's own skeleton, the turn of the body to the camera and the place in the
image are found by which its projection meets the labels, inside the joints' limits and near a wide
prior that settles what one view leaves open. A mixture of Gaussians is fitted to what was found.

OUT holds weights, means and covariances alone. Each component averages over at least
`LEAST_PERSONS` persons and its covariance is shrunk, so nobody's pose can be read from it.
"""

import argparse
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evopose.data.synthetic.body import (
    EAR,
    EYE,
    FOOT,
    FOREARM,
    HAND,
    HEAD,
    LEVELS,
    NOSE,
    PARENT,
    PELVIS,
    SHANK,
    THIGH,
    UPPER_ARM,
    Build,
    bone_offsets,
    head_frame,
    sample_build,
)
from evopose.data.synthetic.prior import ANGLES, HIGH, LOW, VIEW, YAW

LEAST_PERSONS = 100
DISTANCE = 5.0
ANGLE_COUNT = len(ANGLES)
MEANS = {"thigh": (25, 0, 10), "upper_arm": (15, -10, 25), "shank": (25,), "forearm": (50,),
         "chest": (5, 0, 0), "head": (4, 0, 0), "view": (0, 5, 0)}  # fmt: skip
SPREADS = {"thigh": (45, 20, 15), "upper_arm": (50, 35, 40), "shank": (40,), "forearm": (45,),
           "chest": (15, 15, 10), "head": (15, 30, 12), "view": (1e4, 20, 60)}  # fmt: skip
WEIGHTS = torch.tensor([1.0] * 5 + [1.0] * 6 + [0.5] * 2 + [1.0] * 4)[:, None]
"""Of the keypoints: hips are labelled loosely."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("labels", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--persons", type=int, default=24000, help="how many to lift")
    parser.add_argument("--components", type=int, default=72)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    keypoints = _choose(args.labels, args.persons, rng)
    lifted, error = lift(torch.from_numpy(keypoints))
    good = error < 0.05
    print(
        f"{len(lifted)} persons, {good.mean():.3f} lifted within 5 % of the body", file=sys.stderr
    )
    mixture = fit_mixture(lifted[good], args.components, rng)
    np.savez_compressed(args.out, **mixture)
    sizes = (mixture["weights"] * good.sum()).round().astype(int)
    print(f"{len(sizes)} components of {sizes.min()} to {sizes.max()} persons", file=sys.stderr)


def _choose(path: Path, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return keypoints (N, 17, 3), around the hips' middle, the larger side of the body 1."""
    with np.load(path, allow_pickle=False) as labels:
        keypoints, box = labels["keypoints"].astype(np.float32), labels["bbox"]
    whole = (keypoints[:, 5:, 2] > 0).all(axis=1) & (box[:, 2:].max(axis=1) > 80)
    chosen = keypoints[whole]
    chosen = chosen[rng.permutation(len(chosen))[:count]]
    body = chosen[:, 5:, :2]
    size = np.ptp(body, axis=1).max(axis=1)
    chosen[..., :2] -= chosen[:, 11:13, :2].mean(axis=1, keepdims=True)
    chosen[..., :2] /= size[:, None, None]
    return chosen


# lifting


def lift(keypoints: Tensor, steps: int = 160) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each person's angles and view (N, D) in degrees, and the mean distance (N,) between
    labels (N, 17, 3) and projection, in units of the body's size."""
    best = torch.full((len(keypoints),), torch.inf)
    found, errors = None, torch.zeros(len(keypoints))
    for sit, turned in ((0.0, 1.0), (1.0, 1.0), (0.0, -1.0), (1.0, -1.0)):
        theta, loss, error = _optimise(keypoints, _start(keypoints, sit, turned), steps)
        found = theta if found is None else torch.where((loss < best)[:, None], theta, found)
        errors = torch.where(loss < best, error, errors)
        best = torch.minimum(best, loss)
        print(f"start {sit, turned}: mean error {errors.mean():.4f}", file=sys.stderr, flush=True)
    assert found is not None
    view = found[:, ANGLE_COUNT : ANGLE_COUNT + 3]
    view[:, [0, 2]] = (view[:, [0, 2]] + 180) % 360 - 180
    return found[:, : ANGLE_COUNT + 3].numpy().astype(float), errors.numpy()


def _start(keypoints: Tensor, sit: float, turned: float) -> Tensor:
    """Return (N, D + 3): a guess at angles, view, log scale and offset."""
    xy, seen = keypoints[..., :2], keypoints[..., 2] > 0
    up = xy[:, 5:7].mean(dim=1) - xy[:, 11:13].mean(dim=1)
    roll = torch.atan2(up[:, 0], -up[:, 1])
    right = torch.stack([torch.cos(roll), torch.sin(roll)], dim=1)
    torso = up.norm(dim=1).clamp(min=0.12)
    across = ((xy[:, 5] - xy[:, 6] + xy[:, 11] - xy[:, 12]) * right).sum(dim=1)
    yaw = torch.acos((across / (1.15 * torso)).clamp(-0.98, 0.98))
    nose = ((xy[:, 0] - xy[:, 5:7].mean(dim=1)) * right).sum(dim=1)
    yaw = yaw * torch.where(seen[:, 0] & (nose < 0), -1.0, 1.0) * turned
    theta = torch.zeros(len(xy), ANGLE_COUNT + 6)
    mean, _ = _wide_prior()
    theta[:, :ANGLE_COUNT] = mean[:ANGLE_COUNT]
    for i, (bone, axis) in enumerate(ANGLES):
        if axis == 0 and bone in (THIGH, THIGH + 1, SHANK, SHANK + 1):
            theta[:, i] = 80 * sit + 12
    theta[:, ANGLE_COUNT + YAW] = torch.rad2deg(yaw)
    theta[:, ANGLE_COUNT + 2] = torch.rad2deg(roll)
    theta[:, ANGLE_COUNT + 3] = torch.log((torso / 0.29).clamp(0.5, 2.0))
    return theta


def _optimise(keypoints: Tensor, theta: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    parts = []
    for labels, start in zip(keypoints.split(4000), theta.split(4000), strict=True):
        unit = torch.ones(start.shape[1])
        unit[: ANGLE_COUNT + 3] = 60.0  # degrees a unit
        x = (start / unit).requires_grad_()
        adam = torch.optim.Adam([x], lr=0.06)
        rates = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps, eta_min=0.005)
        for _ in range(steps):
            adam.zero_grad()
            _loss(x * unit, labels)[0].sum().backward()
            adam.step()
            rates.step()
        with torch.no_grad():
            parts.append((x * unit, *_loss(x * unit, labels)))
    first, second, third = zip(*parts, strict=True)
    return torch.cat(first), torch.cat(second), torch.cat(third)


def _loss(theta: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss (N,) and the mean distance (N,) of labels and projection."""
    points = _points(theta)
    seen = (labels[..., 2:] > 0).float()
    away = ((points - labels[..., :2]) * seen / 0.02).square().sum(dim=2, keepdim=True)
    meets = (WEIGHTS * seen * 4.0 * ((1 + away / 4.0).sqrt() - 1)).sum(dim=(1, 2))
    mean, spread = _wide_prior()
    angles = theta[:, : ANGLE_COUNT + 3]
    wide = (((angles - mean) / spread).square()).sum(dim=1)
    low, high = torch.tensor(LOW).float(), torch.tensor(HIGH).float()
    inside = angles[:, :ANGLE_COUNT]
    beyond = ((low - inside).clamp(min=0) + (inside - high).clamp(min=0)).square().sum(dim=1)
    error = ((points - labels[..., :2]).norm(dim=2) * seen[..., 0])[:, 5:].mean(dim=1)
    return meets + 0.7 * wide + 0.05 * beyond, error.detach()


def _points(theta: Tensor) -> Tensor:
    """Return the projection (N, 17, 2) of persons with angles, view, log scale and offset."""
    count = len(theta)
    bones = torch.zeros(count, len(PARENT), 3)
    for i, (bone, axis) in enumerate(ANGLES):
        bones[:, bone, axis] = theta[:, i]
    signs = torch.ones(len(PARENT), 3)
    signs[[UPPER_ARM, UPPER_ARM + 1, FOREARM, FOREARM + 1, THIGH, THIGH + 1], 0] = -1
    signs[[UPPER_ARM + 1, FOREARM + 1, THIGH + 1, SHANK + 1], 1:] = -1
    local = _rotations(bones * signs)
    yaw, pitch, roll = theta[:, ANGLE_COUNT : ANGLE_COUNT + 3].T
    none = torch.zeros_like(yaw)
    facing = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    root = _rotations(torch.stack([pitch, none, roll], 1)) @ facing
    root = root @ _rotations(torch.stack([none, yaw, none], 1))
    build = _average_build()
    offset = torch.tensor(bone_offsets(build)).float()
    rotation: list[Tensor] = [local[:, b] for b in range(len(PARENT))]
    position: list[Tensor] = [torch.zeros(count, 3)] * len(PARENT)
    rotation[PELVIS] = root
    for bone in [int(b) for level in LEVELS for b in level]:
        parent = int(PARENT[bone])
        position[bone] = position[parent] + rotation[parent] @ offset[bone]
        rotation[bone] = rotation[parent] @ rotation[bone]
    centre, size = (torch.tensor(v).float() for v in head_frame(build))
    mirror = torch.tensor([-1.0, 1.0, 1.0])
    face = torch.stack([torch.tensor(p) * m for p, m in (
        (NOSE, 1.0), (EYE, 1.0), (EYE, mirror), (EAR, 1.0), (EAR, mirror))])  # fmt: skip
    heads = (face * size + centre) @ rotation[HEAD].transpose(1, 2) + position[HEAD][:, None]
    first = (UPPER_ARM, FOREARM, HAND, THIGH, SHANK, FOOT)
    body = torch.stack([position[b + side] for b in first for side in (0, 1)], 1)
    points = torch.cat([heads, body], 1)
    flat = points[..., :2] * DISTANCE / (DISTANCE + points[..., 2:])
    return flat * theta[:, None, -3:-2].exp() + theta[:, None, -2:]


def _rotations(degrees: Tensor) -> Tensor:
    """Return (..., 3, 3) as `body.rotations` does: about y, then x, then z."""
    cos, sin = torch.deg2rad(degrees).cos(), torch.deg2rad(degrees).sin()
    (ca, cb, cc), (sa, sb, sc) = cos.unbind(-1), sin.unbind(-1)
    rows = (
        cc * cb - sc * sa * sb, -sc * ca, cc * sb + sc * sa * cb,
        sc * cb + cc * sa * sb, cc * ca, sc * sb - cc * sa * cb,
        -ca * sb, sa, ca * cb,
    )  # fmt: skip
    return torch.stack(rows, -1).reshape(*degrees.shape[:-1], 3, 3)


def _wide_prior() -> tuple[Tensor, Tensor]:
    names = {THIGH: "thigh", UPPER_ARM: "upper_arm", SHANK: "shank", FOREARM: "forearm",
             1: "chest", HEAD: "head"}  # fmt: skip
    rows = [(names.get(bone) or names[bone - 1], axis) for bone, axis in ANGLES]
    tables = []
    for table in (MEANS, SPREADS):
        values = [table[name][axis] for name, axis in rows]
        tables.append(torch.tensor([*values, *table["view"]], dtype=torch.float32))
    return tables[0], tables[1]


def _average_build() -> Build:
    adults = [sample_build(np.random.default_rng(i)) for i in range(200)]
    adults = [b for b in adults if b.stature > 0.85]
    mean = {f.name: float(np.mean([getattr(b, f.name) for b in adults])) for f in fields(Build)}
    return replace(adults[0], **{**mean, "stature": 1.0, "feminine": False})


# the mixture


def fit_mixture(
    values: NDArray[np.float64], components: int, rng: np.random.Generator
) -> dict[str, NDArray[np.float32]]:
    """Return weights (K,), means (K, D) and covariances (K, D, D) in degrees."""
    features = _features(values)
    label = _k_means(features, components, rng)
    weights, means, covariances = [], [], []
    pooled = 0.15 * np.diag(values.var(axis=0).clip(max=30.0**2))
    for k in range(components):
        members = values[label == k]
        if len(members) < LEAST_PERSONS:
            continue
        middle, around = _circular(members)
        weights.append(len(members))
        means.append(middle)
        covariances.append(0.9 * np.cov(around.T) + 0.1 * pooled)
    weight = np.array(weights) / sum(weights)
    return {
        "weights": weight.astype(np.float32),
        "means": np.round(means, 1).astype(np.float32),
        "covariances": np.round(covariances, 0).astype(np.float32),
    }


def _features(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what distances are taken of: angles over their spread, turns as points of a circle."""
    angles, view = values[:, :ANGLE_COUNT], np.radians(values[:, ANGLE_COUNT:])
    _, spread = _wide_prior()
    return np.column_stack([
        angles / spread.numpy()[:ANGLE_COUNT],
        1.5 * np.cos(view[:, 0]), 1.5 * np.sin(view[:, 0]), view[:, 1],
        2.0 * np.cos(view[:, 2]), 2.0 * np.sin(view[:, 2]),
    ])  # fmt: skip


def _circular(members: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean (D,) and the members about it (N, D), turns taken the short way."""
    middle = members.mean(axis=0)
    for i in (ANGLE_COUNT + YAW, ANGLE_COUNT + len(VIEW) - 1):
        turn = np.radians(members[:, i])
        middle[i] = np.degrees(np.arctan2(np.sin(turn).mean(), np.cos(turn).mean()))
    around = members - middle
    for i in (ANGLE_COUNT + YAW, ANGLE_COUNT + len(VIEW) - 1):
        around[:, i] = (around[:, i] + 180) % 360 - 180
    return middle, around


def _k_means(
    features: NDArray[np.float64], components: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    centres = features[rng.choice(len(features), components, replace=False)]
    for _ in range(60):
        scores = features @ centres.T - 0.5 * (centres**2).sum(axis=1)
        label = scores.argmax(axis=1)
        for k in range(components):
            if (label == k).any():
                centres[k] = features[label == k].mean(axis=0)
    return np.asarray(label)


if __name__ == "__main__":
    main()
