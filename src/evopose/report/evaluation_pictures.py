"""The persons where an evaluation is most wrong: labels, and beside them what was found."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from evopose.data.images import read_image, warp_crop
from evopose.drawing import Image, draw_pose
from evopose.evaluation.error_kinds import GOOD, INVERSION, KINDS, SWAP, UNLABELLED, kinds_of
from evopose.evaluation.judging import Evaluation
from evopose.evaluation.problem import make_problem
from evopose.geometry import apply_affine, box_to_crop, crop_affine
from evopose.report.evaluation_figures import KIND_COLOURS
from evopose.report.evaluation_tables import PosePicture
from evopose.structures import Instance, PoseDataset

SIZE_HW = (288, 216)
PADDING = 1.25


@dataclass(frozen=True, kw_only=True)
class _Case:
    """A person and what was found of it."""

    person: Instance
    oks: float
    pose: NDArray[np.float64]
    """(K, 3)"""
    kinds: NDArray[np.int8]
    """(K,)"""


def worst_pictures(
    dataset: PoseDataset, evaluation: Evaluation, *, worst: int = 9, each: int = 3
) -> dict[str, list[PosePicture]]:
    """Return pictures by the title of their group: of the persons with the lowest OKS, and of those
    with the most inversions and swaps.

    Persons without a pose are left out. Keypoints that are wrong are ringed in the colour of their
    error.

    Raises: DataError for an image that cannot be read.
    """
    cases = _cases(dataset, evaluation)
    groups = {"The lowest OKS, the worst first": cases[:worst]}
    for kind, title in ((INVERSION, "The most inversions"), (SWAP, "The most swaps")):
        some = [one for one in cases if (one.kinds == kind).any()]
        groups[title] = sorted(some, key=lambda one, k=kind: -(one.kinds == k).sum())[:each]  # type: ignore[misc]
    return {title: [_picture(dataset, one) for one in group] for title, group in groups.items()}


def _cases(dataset: PoseDataset, evaluation: Evaluation) -> list[_Case]:
    """Return all persons that have a pose, the lowest OKS first."""
    problem = make_problem(dataset.instances, evaluation.results, dataset.skeleton.sigmas)
    place = {one.id: at for at, one in enumerate(dataset.instances)}
    posed = np.flatnonzero(evaluation.nearest >= 0)
    persons = np.array([place[int(i)] for i in evaluation.ids[posed]], np.intp)
    poses, oks = evaluation.nearest[posed], evaluation.oks[posed]
    kinds, _ = kinds_of(problem, dataset.skeleton, poses, persons)
    return [
        _Case(
            person=dataset.instances[persons[at]],
            oks=float(oks[at]),
            pose=np.array(evaluation.results[poses[at]]["keypoints"], np.float64).reshape(-1, 3),
            kinds=kinds[at],
        )
        for at in np.argsort(oks, kind="stable").tolist()
    ]


def _picture(dataset: PoseDataset, case: _Case) -> PosePicture:
    person, skeleton = case.person, dataset.skeleton
    image = next(one for one in dataset.images if one.id == person.image_id)
    at = box_to_crop(person.box_xyxy, input_hw=SIZE_HW, padding=PADDING)
    affine = crop_affine(*at, input_hw=SIZE_HW)
    crop = warp_crop(read_image(image.path), affine, size_hw=SIZE_HW)
    labels = person.keypoints.astype(np.float64)
    labels[:, :2] = apply_affine(affine, labels[:, :2])
    found = case.pose.copy()
    found[:, :2] = apply_affine(affine, found[:, :2])
    found[:, 2] = labels[:, 2]  # those without a label do not count, and are not drawn
    left = draw_pose(crop, labels, skeleton)
    right = _ringed(draw_pose(crop, found, skeleton), found[:, :2], case.kinds)
    between = np.full((SIZE_HW[0], 4, 3), 255, np.uint8)
    return PosePicture(
        image=np.concatenate([left, between, right], axis=1),
        caption=f"OKS {case.oks:.2f}: {_errors_text(case.kinds.tolist())}. Annotation {person.id}, "
        f"{image.path.name}",
    )


def _errors_text(kinds: Sequence[int]) -> str:
    counted = Counter(KINDS[kind] for kind in kinds if kind != UNLABELLED)
    return ", ".join(f"{kind} {counted[kind]}" for kind in KINDS if counted[kind])


def _ringed(image: Image, xy: NDArray[np.float64], kinds: NDArray[np.int8]) -> Image:
    """Return the image with a ring about each wrong keypoint inside it."""
    canvas = np.ascontiguousarray(image).copy()
    height, width = canvas.shape[:2]
    for (x, y), kind in zip(xy, kinds, strict=True):
        if kind > GOOD and -20 < x < width + 20 and -20 < y < height + 20:
            colour = KIND_COLOURS[KINDS[kind]]
            rgb = tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
            cv2.circle(canvas, (round(x), round(y)), 7, rgb, 2, cv2.LINE_AA)
    return canvas
