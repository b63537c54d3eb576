"""What is found on one image: arrays with names, and what else they can become."""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.data.images import Image
from evopose.drawing import draw_poses, write_image
from evopose.errors import ConfigError, DataError
from evopose.inference import DRAWN
from evopose.inference.boxes import Boxes
from evopose.inference.pipeline import person_scores
from evopose.skeleton import Skeleton


@dataclass(frozen=True, kw_only=True)
class Poses:
    """The P persons (animals, tools) of one image, all in pixels of that image.

    Raises: DataError for arrays that do not fit each other.
    """

    keypoints: NDArray[np.float64]
    """(P, K, 3): x, y, score."""
    boxes_xyxy: NDArray[np.float64]
    """(P, 4): where the network looked."""
    box_scores: NDArray[np.float64]
    """(P,): the detector's; 1 where someone gave the box."""
    scores: NDArray[np.float64]
    """(P,): box score times the mean score of the keypoints that count, as COCO ranks poses."""
    skeleton: Skeleton
    ids: NDArray[np.int64] | None = None
    """(P,): who is who in a video, -1 where that is not known yet; None for a photo."""
    image: Image | None = None
    """(H, W, 3), RGB, as it was seen: upright."""
    source: str | None = None
    """The file or address that it came from."""
    frame: int | None = None
    """Its number in a video, from 0."""
    time_s: float | None = None
    """Seconds from the video's start."""
    detected: bool = True
    """Whether persons were looked for on this image; else where they were expected."""

    def __post_init__(self) -> None:
        count = len(self.keypoints)
        for name, array, shape in (
            ("keypoints", self.keypoints, (count, len(self.skeleton), 3)),
            ("boxes_xyxy", self.boxes_xyxy, (count, 4)),
            ("box_scores", self.box_scores, (count,)),
            ("scores", self.scores, (count,)),
            ("ids", self.ids, (count,)),
        ):
            if array is not None and array.shape != shape:
                raise DataError(f"{name} must have the shape {shape}, got {array.shape}")

    def __len__(self) -> int:
        """Return how many persons there are."""
        return len(self.keypoints)

    @property
    def xy(self) -> NDArray[np.float64]:
        """Places of the keypoints (P, K, 2)."""
        return self.keypoints[..., :2]

    @property
    def keypoint_scores(self) -> NDArray[np.float64]:
        """Scores of the keypoints (P, K)."""
        return self.keypoints[..., 2]

    def draw(
        self, image: Image | None = None, *, threshold: float = DRAWN, boxes: bool = False
    ) -> Image:
        """Return the image with all skeletons on it, in RGB; keypoints below `threshold` left out.

        `boxes`: with a frame about each person, also those with no keypoint above `threshold`.

        Raises: DataError if the poses hold no image and none is given, or for one of another form.
        """
        canvas = self.image if image is None else image
        if canvas is None:
            raise DataError("these poses hold no image to draw on; give one: poses.draw(image)")
        require_image(canvas)
        return draw_poses(
            canvas,
            self.keypoints,
            self.skeleton,
            boxes_xyxy=self.boxes_xyxy if boxes else None,
            ids=self.ids,
            threshold=threshold,
        )

    def save(self, path: str | Path, *, threshold: float = DRAWN) -> Path:
        """Write what `draw` returns as a PNG or JPEG, and return its path."""
        write_image(Path(path), self.draw(threshold=threshold))
        return Path(path)

    def to_coco(self, image_id: int, *, category_id: int = 1) -> list[dict[str, Any]]:
        """Return COCO results: a keypoint list of x, y, score for each person, and its score."""
        xywh = np.concatenate(
            [self.boxes_xyxy[:, :2], self.boxes_xyxy[:, 2:] - self.boxes_xyxy[:, :2]], axis=1
        )
        return [
            {
                "image_id": image_id,
                "category_id": category_id,
                "bbox": np.round(box, 2).tolist(),
                "keypoints": np.round(pose, 4).ravel().tolist(),
                "score": round(score, 6),
            }
            for box, pose, score in zip(xywh, self.keypoints, self.scores.tolist(), strict=True)
        ]

    def to_json(self) -> dict[str, Any]:
        """Return all that is known but the pixels, as JSON values."""
        about = {"source": self.source, "frame": self.frame, "time_s": self.time_s}
        size = None if self.image is None else {"height_width": list(self.image.shape[:2])}
        persons = [
            {
                "score": score,
                "box_xyxy": box,
                "box_score": box_score,
                "keypoints": pose,
            }
            for score, box, box_score, pose in zip(
                self.scores.tolist(),
                self.boxes_xyxy.tolist(),
                self.box_scores.tolist(),
                self.keypoints.tolist(),
                strict=True,
            )
        ]
        if self.ids is not None:
            persons = [
                {"id": one} | person for one, person in zip(self.ids.tolist(), persons, strict=True)
            ]
        known = {name: value for name, value in about.items() if value is not None}
        return known | (size or {}) | {"persons": persons}

    def to_dataframe(self) -> Any:
        """Return a pandas.DataFrame with a row a keypoint: person, id, keypoint, x, y, score.

        Raises: ConfigError without pandas.
        """
        try:
            import pandas
        except ModuleNotFoundError as error:
            if error.name != "pandas":
                raise
            raise ConfigError("a data frame needs pandas: pip install pandas") from error
        count, keypoints = self.keypoints.shape[:2]
        columns: dict[str, Any] = {
            "source": self.source,
            "frame": self.frame,
            "person": np.repeat(np.arange(count), keypoints),
            "id": None if self.ids is None else np.repeat(self.ids, keypoints),
            "keypoint": np.tile(np.array(self.skeleton.keypoints, object), count),
            "x": self.keypoints[..., 0].ravel(),
            "y": self.keypoints[..., 1].ravel(),
            "score": self.keypoints[..., 2].ravel(),
            "person_score": np.repeat(self.scores, keypoints),
        }
        return pandas.DataFrame(columns)

    def to_supervision(self) -> Any:
        """Return a supervision.KeyPoints, for its annotators.

        It has no place for ids: they are in its `data["tracker_id"]`, and in that of the
        `as_detections()` made of it, whose own `tracker_id` stays None.

        Raises: ConfigError without supervision.
        """
        try:
            import supervision
        except ModuleNotFoundError as error:
            if error.name != "supervision":
                raise
            raise ConfigError("this needs supervision: pip install supervision") from error
        confidences = {
            "confidence": self.keypoint_scores,  # as it was called before 0.29
            "keypoint_confidence": self.keypoint_scores,
            "detection_confidence": self.scores,
        }
        made = inspect.signature(supervision.KeyPoints).parameters
        if "keypoint_confidence" in made:
            del confidences["confidence"]
        return supervision.KeyPoints(
            xy=self.xy.astype(np.float32),
            class_id=np.zeros(len(self), int),
            data={} if self.ids is None else {"tracker_id": self.ids},
            **{k: v.astype(np.float32) for k, v in confidences.items() if k in made},
        )


def require_image(image: object) -> None:
    """Raise DataError for what is not the pixels (H, W, 3) of an image, RGB, uint8."""
    expected = "an image is (H, W, 3) uint8 in RGB"
    if not isinstance(image, np.ndarray):
        raise DataError(f"{expected}; got {type(image).__name__}")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise DataError(f"{expected}; got an array of shape {image.shape}, {image.dtype}")


def make_poses(
    keypoints: NDArray[np.float64], boxes: Boxes, skeleton: Skeleton, **more: Any
) -> Poses:
    """Return the poses of an image whose persons were looked for in `boxes`."""
    return Poses(
        keypoints=keypoints,
        boxes_xyxy=boxes.xyxy,
        box_scores=boxes.scores,
        scores=person_scores(keypoints, boxes.scores),
        skeleton=skeleton,
        **more,
    )
