"""Poses on photos and in videos, in one object: detector, network, and what follows."""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evopose.data.images import Image
from evopose.data.videos import Video, open_video
from evopose.errors import DataError
from evopose.inference.boxes import Boxes, boxes_xywh, whole_image
from evopose.inference.detectors import Detector, open_detector
from evopose.inference.model_files import DEFAULT, require_model_file
from evopose.inference.pipeline import Pipeline, open_pipeline
from evopose.inference.poses import Poses, make_poses
from evopose.inference.runtimes import open_pose_model
from evopose.inference.smoothing import OneEuro
from evopose.inference.sources import Photo, find_sources, read_source
from evopose.inference.tracking import Tracker
from evopose.inference.video import track_video
from evopose.models.devices import resolve_device
from evopose.skeleton import Skeleton

Picture = str | Path | Image
"""A file, the address of an image, or pixels (H, W, 3), RGB, uint8."""
XYWH = Sequence[Sequence[float]] | NDArray[np.floating]
"""Left, top, width and height of each person."""


@dataclass(frozen=True, kw_only=True)
class PoseEstimator:
    """A detector of persons and a network that finds their keypoints; `load` makes one.

    >>> estimator = PoseEstimator.load("default", detector=None)
    >>> estimator.skeleton.keypoints[0]
    'nose'
    """

    pipeline: Pipeline
    detector: Detector | None = None
    """None: an image is taken for one person, whole, unless boxes are given."""

    @classmethod
    def load(
        cls,
        model: str | Path = DEFAULT,
        *,
        detector: str | Path | Detector | None = "yolox-nano",
        runtime: str = "auto",
        device: str = "auto",
        threads: int = 0,
        batch_size: int = 32,
        flip_test: bool = True,
        refine: str | Path | None = None,
        decoder: str | None = None,
    ) -> "PoseEstimator":
        """Return an estimator.

        `model`: a model file, an exported file, a run folder (its best), `RUN:ID`, or `default`.
        `detector`: a name in `DETECTORS`, an ONNX file, a function from images to `Boxes`, or None.
        `runtime`, `threads`: see `open_pose_model`. `refine`: the model file of a PoseFix.

        Raises: ModelError, ConfigError, DownloadFailed with what was expected.
        """
        place = resolve_device(device)
        network = open_pose_model(
            require_model_file(str(model)), runtime=runtime, device=place, threads=threads
        )
        refiner = None
        if refine is not None:
            from evopose.inference.refine import Refiner  # loads torch

            refiner = Refiner.load(
                require_model_file(str(refine)), device=place, flip_test=flip_test
            )
        pipeline = open_pipeline(
            network, batch_size=batch_size, flip_test=flip_test, refiner=refiner, decoder=decoder
        )
        if isinstance(detector, str | Path):
            detector = open_detector(detector, threads=threads)
        return cls(pipeline=pipeline, detector=detector)

    @property
    def skeleton(self) -> Skeleton:
        """The keypoints' names and how they belong together."""
        return self.pipeline.card.skeleton

    def __call__(self, image: Picture, boxes: XYWH | None = None) -> Poses:
        """Return the poses on an image, of the persons in `boxes` (left, top, width, height) or
        of those that the detector finds.

        Raises: DataError for an image that cannot be read, and for boxes without an area.
        """
        (poses,) = self.each([image], None if boxes is None else [boxes])
        return poses

    def each(
        self, images: Iterable[Picture], boxes: Iterable[XYWH] | None = None
    ) -> Iterator[Poses]:
        """Yield the poses of each image, in batches across images.

        Raises: as when called, at the image that cannot be read.
        """
        given = itertools.repeat(None) if boxes is None else map(_given_boxes, boxes)
        pictures = zip(map(_read, images), given)  # noqa: B905  images may end first
        return self.each_read((image, source, found) for (image, source), found in pictures)

    def each_read(
        self, pictures: Iterable[tuple[Image, str | None, Boxes | None]]
    ) -> Iterator[Poses]:
        """Yield the poses of each image: its pixels, what it is called, and its persons' boxes,
        None where the detector is to find them."""
        waiting: deque[tuple[Image, str | None, Boxes]] = deque()

        def cut() -> Iterator[tuple[Image, NDArray[np.float64]]]:
            for image, source, given in pictures:
                boxes = self.find(image) if given is None else given
                waiting.append((image, source, boxes))
                yield image, boxes.xyxy

        for keypoints in self.pipeline.predict_each(cut()):
            image, source, boxes = waiting.popleft()
            yield make_poses(keypoints, boxes, self.skeleton, image=image, source=source)

    def find(self, image: Image) -> Boxes:
        """Return where the persons of an image are; without a detector, one is all of it."""
        return self.detector(image) if self.detector else whole_image(*image.shape[:2])

    def without_flip_test(self) -> "PoseEstimator":
        """Return an estimator that sees each crop once: twice as fast, a little less accurate."""
        return replace(self, pipeline=replace(self.pipeline, flip_test=False))

    def video(
        self,
        source: str | Path | int | Video,
        *,
        every: int = 5,
        smooth: bool = True,
        limit: int | None = None,
    ) -> Iterator[Poses]:
        """Yield the poses of each frame of a video file, or of the webcam of that index.

        Persons are looked for in every `every`-th frame and followed between; their ids last
        through the video. `smooth`: by the One-Euro filter. `limit`: of frames. One frame is in
        memory at a time; sound is left out.

        Raises: DataError for a video or camera that cannot be read; ConfigError for an `every`
        below 1.
        """
        with source if isinstance(source, Video) else open_video(source) as video:
            yield from track_video(
                itertools.islice(video, limit),
                self.pipeline.predict,
                self.find,
                self.skeleton,
                every=every,
                tracker=Tracker(self.skeleton),
                smoother=OneEuro() if smooth else None,
                clock=lambda: video.time_s,
                source=video.name,
            )


def _given_boxes(given: XYWH) -> Boxes:
    rows = np.asarray(given, np.float64)
    if rows.ndim != 2 or rows.shape[1] != 4:
        raise DataError(f"boxes are (P, 4): left, top, width, height; got the shape {rows.shape}")
    return boxes_xywh(rows.tolist())


def _read(picture: Picture) -> tuple[Image, str | None]:
    """Return an image's pixels, and what it is called."""
    if not isinstance(picture, np.ndarray):
        sources = find_sources([picture])
        if len(sources) != 1 or not isinstance(sources[0], Photo):
            raise DataError(
                f"{picture} is not one image; for several use `each`, for a video `video`"
            )
        return read_source(sources[0]), sources[0].name
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise DataError(
            "an image is (H, W, 3) uint8 in RGB; got an array of shape "
            f"{picture.shape}, {picture.dtype}"
        )
    return picture, None
