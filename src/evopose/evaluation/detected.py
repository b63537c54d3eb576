"""A pipeline over boxes that a detector found: what a user meets, and COCO's protocol for AP.

Source: HRNet `lib/dataset/coco.py` (`_load_coco_person_detection_results`, `evaluate`).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.data.images import Image
from evopose.errors import DataError
from evopose.evaluation.evaluate import check_skeleton, read_checked
from evopose.evaluation.judging import CATEGORY, Evaluation, as_results, judge
from evopose.evaluation.pose_scores import ScoreRules, suppress
from evopose.evaluation.result_rows import is_box, is_id, is_number
from evopose.geometry import box_to_crop
from evopose.inference.boxes import Boxes, boxes_xywh, load_json
from evopose.inference.detectors import Detector
from evopose.inference.pipeline import Pipeline, person_scores
from evopose.metrics import oks
from evopose.structures import Instance, PoseDataset

FIELDS = ("image_id", "category_id", "bbox", "score")


@dataclass(frozen=True, kw_only=True)
class Detections:
    """Boxes of a split's images, and what a file held beside them."""

    by_image: Mapping[int, Boxes]
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Why, and how many."""

    @property
    def count(self) -> int:
        """How many boxes there are."""
        return sum(len(one.scores) for one in self.by_image.values())


def read_detections(path: Path, dataset: PoseDataset) -> Detections:
    """Return the boxes of persons in a JSON of COCO detection results.

    Each is `{"image_id": 785, "category_id": 1, "bbox": [x, y, width, height], "score": 0.99}`.
    Boxes of other categories, of images that the split has not, and without an extent are left
    out and counted.

    Raises: DataError for a file of another form, numbers that are not finite, or one that has no
    box for any image of the split.
    """
    rows = _load(path)
    known = {image.id for image in dataset.images}
    found: defaultdict[int, list[tuple[list[float], float]]] = defaultdict(list)
    left_out: Counter[str] = Counter()
    for place, row in enumerate(rows):
        image, category, box, score = _row(row, place, path)
        if category != CATEGORY:
            left_out["of other categories than 1, the person"] += 1
        elif image not in known:
            left_out[f"of images that {dataset.name} has not"] += 1
        elif min(box[2:]) <= 0:
            left_out["without a width or a height"] += 1
        else:
            found[image].append((box, score))
    if not found:
        reasons = "; ".join(f"{count:,} {why}" for why, count in left_out.items())
        raise DataError(f"{path} has no boxes for {dataset.name}: {reasons or 'it is empty'}")
    boxes = {
        image: boxes_xywh([box for box, _ in pairs], [score for _, score in pairs])
        for image, pairs in found.items()
    }
    return Detections(by_image=boxes, left_out=dict(left_out))


def detect(
    detector: Detector,
    dataset: PoseDataset,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Detections:
    """Return what the detector finds in every image of the split."""
    found = {}
    for done, record in enumerate(dataset.images, 1):
        found[record.id] = detector(read_checked(record))
        on_progress(done, len(dataset.images))
    return Detections(by_image=found)


def find_poses(
    pipeline: Pipeline,
    dataset: PoseDataset,
    detections: Detections,
    *,
    rules: ScoreRules = ScoreRules(),
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, Any]]:
    """Return what the pipeline finds in these boxes of the split's images, as COCO results.

    A pose's score is its box's times the mean of its keypoints'; of poses on each other those stay
    that `rules` let. Labels play no part.

    Raises: ModelError if the model's keypoints are not the data's; DataError for an image that is
    unreadable or of another size than the file says.
    """
    check_skeleton(pipeline.card, dataset)
    records = [one for one in dataset.images if len(_boxes(detections, one.id).scores)]

    def pictures() -> Iterator[tuple[Image, NDArray[np.float64]]]:
        for record in records:
            yield read_checked(record), _boxes(detections, record.id).xyxy

    found: list[dict[str, Any]] = []
    sigmas = np.array(dataset.skeleton.sigmas)
    done = 0
    for record, poses in zip(records, pipeline.predict_each(pictures()), strict=True):
        boxes = _boxes(detections, record.id)
        scores = person_scores(poses, boxes.scores, counted_above=rules.counted_above)
        kept, scores = suppress(poses, scores, _areas(pipeline, boxes), sigmas, rules)
        found += as_results([record.id] * len(kept), poses[kept], scores)
        done += len(poses)
        on_progress(done, detections.count)
    return found


def evaluate_detections(
    pipeline: Pipeline,
    dataset: PoseDataset,
    detections: Detections,
    *,
    source: str,
    rules: ScoreRules = ScoreRules(),
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Return what the pipeline finds in these boxes (`find_poses`), beside all persons of the
    split.

    The OKS of a labelled person is that of the pose nearest to it, 0 where its image has none.
    `source` says where the boxes come from.

    Raises: as `evaluate`.
    """
    if not dataset.trainable:
        raise DataError(f"{dataset.name} has no persons with labelled keypoints to evaluate on")
    found = find_poses(pipeline, dataset, detections, rules=rules, on_progress=on_progress)
    persons = list(dataset.trainable)
    nearest = nearest_poses(persons, found, np.array(dataset.skeleton.sigmas))
    return judge(dataset, persons, found, nearest=nearest, boxes=source)


def nearest_poses(
    persons: Sequence[Instance], results: Sequence[dict[str, Any]], sigmas: NDArray[np.floating]
) -> NDArray[np.intp]:
    """Return for each person the place of the result of its image with the highest OKS; -1 where
    its image has none."""
    places: defaultdict[int, list[int]] = defaultdict(list)
    for place, one in enumerate(results):
        places[one["image_id"]].append(place)
    nearest = np.full(len(persons), -1)
    for i, person in enumerate(persons):
        if here := places.get(person.image_id):
            poses = np.array([results[p]["keypoints"] for p in here]).reshape(len(here), -1, 3)
            labels = np.broadcast_to(person.keypoints, poses.shape)
            areas = np.full(len(here), person.area)
            nearest[i] = here[int(oks(poses[..., :2], labels, areas, sigmas).argmax())]
    return nearest


def _boxes(detections: Detections, image: int) -> Boxes:
    return detections.by_image.get(image) or boxes_xywh([])


def _areas(pipeline: Pipeline, boxes: Boxes) -> NDArray[np.float64]:
    """Return the areas (P,) of the crops in pixels of the image, as HRNet takes them."""
    height, width = pipeline.card.input_hw
    padding = pipeline.card.input.box_padding
    scales = [box_to_crop(box, input_hw=(height, width), padding=padding)[1] for box in boxes.xyxy]
    return height * width * np.square(np.array(scales, np.float64))


def _load(path: Path) -> list[Any]:
    expected = '[{"image_id": 785, "category_id": 1, "bbox": [x, y, w, h], "score": 0.99}, ...]'
    rows = load_json(path, expected)
    if not isinstance(rows, list):
        raise DataError(f"{path} holds a JSON {type(rows).__name__}; expected {expected}")
    return rows


def _row(row: Any, place: int, path: Path) -> tuple[int, int, list[float], float]:
    """Return image, category, box and score of a result."""
    try:
        image, category, box, score = (row[field] for field in FIELDS)
        if not (is_id(image) and is_id(category) and is_box(box) and is_number(score)):
            raise ValueError
        return image, category, box, score
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: result {place} is {str(row)[:200]}; expected image_id, category_id, a bbox "
            "of four finite numbers and a finite score"
        ) from error
