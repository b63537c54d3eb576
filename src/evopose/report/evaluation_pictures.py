"""The persons where an evaluation is most wrong: labels, and beside them what was found."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from evopose.data.images import read_image, warp_crop
from evopose.drawing import Image, draw_pose
from evopose.evaluation.error_analysis import ErrorAnalysis
from evopose.evaluation.error_kinds import GOOD, KINDS, UNLABELLED
from evopose.evaluation.evaluate import Evaluation
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
    kinds: NDArray[np.int8] | None
    """(K,); None where the result fits nobody."""


def worst_pictures(
    dataset: PoseDataset, evaluation: Evaluation, errors: ErrorAnalysis, *, count: int = 16
) -> tuple[PosePicture, ...]:
    """Return the persons with the lowest OKS, the worst first; keypoints that are wrong ringed in
    the colour of their error.

    The evaluation has one result a person, in the order of its ids.

    Raises: DataError for an image that cannot be read.
    """
    persons = {one.id: one for one in dataset.instances}
    place = {one.id: at for at, one in enumerate(dataset.instances)}
    kinds: Mapping[tuple[int, int], NDArray[np.int8]] = {
        (int(result), int(person)): kind
        for result, person, kind in zip(
            errors.kinds.result, errors.kinds.person, errors.kinds.kind, strict=True
        )
    }
    pictures = []
    for result in np.argsort(evaluation.oks, kind="stable")[:count].tolist():
        person = persons[int(evaluation.ids[result])]
        case = _Case(
            person=person,
            oks=float(evaluation.oks[result]),
            pose=np.array(evaluation.results[result]["keypoints"], np.float64).reshape(-1, 3),
            kinds=kinds.get((result, place[person.id])),
        )
        pictures.append(_picture(dataset, case))
    return tuple(pictures)


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
    right = draw_pose(crop, found, skeleton)
    if case.kinds is not None:
        right = _ringed(right, found[:, :2], case.kinds)
    between = np.full((SIZE_HW[0], 4, 3), 255, np.uint8)
    told = "fits nobody" if case.kinds is None else _errors_text(case.kinds)
    return PosePicture(
        image=np.concatenate([left, between, right], axis=1),
        caption=f"OKS {case.oks:.2f}, annotation {person.id}, {image.path.name}: {told}",
    )


def _errors_text(kinds: NDArray[np.int8]) -> str:
    counted = Counter(KINDS[kind] for kind in kinds.tolist() if kind != UNLABELLED)
    return ", ".join(f"{counted[kind]} {kind}" for kind in KINDS if counted[kind])


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
