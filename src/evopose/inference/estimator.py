"""Poses on photos and in videos, in one object: detector, network, and what follows."""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from evopose.data.images import Image
from evopose.data.photos import convert_picture
from evopose.data.videos import Video, open_video
from evopose.errors import ConfigError, DataError
from evopose.inference.boxes import Boxes, boxes_xywh, require_on_image, whole_image
from evopose.inference.detectors import Detector, open_detector
from evopose.inference.model_files import DEFAULT, require_model_file
from evopose.inference.pipeline import Pipeline, open_pipeline, require_areas
from evopose.inference.poses import Poses, make_poses, require_image
from evopose.inference.runtimes import open_pose_model
from evopose.inference.smoothing import OneEuro
from evopose.inference.sources import WEBCAM, Photo, find_sources, read_source
from evopose.inference.tracking import Tracker
from evopose.inference.video import track_video
from evopose.models.devices import resolve_device
from evopose.skeleton import Skeleton

Picture = str | Path | Image | PIL.Image.Image
"""A file, the address of an image, pixels (H, W, 3), RGB, uint8, or a picture of Pillow's, as it
stands: it is not turned as EXIF says."""
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
        `runtime`, `threads` (0: all): see `open_pose_model`. `refine`: the model file of a PoseFix.

        Raises: ModelError, ConfigError, DownloadFailed with what was expected.
        """
        if batch_size < 1 or threads < 0:
            raise ConfigError(
                "batch_size is a number of persons from 1, threads one of threads, 0 for all; got "
                f"{batch_size} and {threads}"
            )
        if not (detector is None or isinstance(detector, str | Path) or callable(detector)):
            raise ConfigError(
                "detector is a name, an ONNX file, a function from images to Boxes, or None; got "
                f"{detector!r}"
            )
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
        """Return the poses on an image, of the persons in `boxes` (left, top, width, height; []
        for nobody) or, for None, of those that the detector finds.

        Raises: DataError for an image that cannot be read, and for boxes without an area or
        outside the image.
        """
        (poses,) = self.each([image], None if boxes is None else [boxes])
        return poses

    def each(
        self, images: Iterable[Picture], boxes: Iterable[XYWH | None] | None = None
    ) -> Iterator[Poses]:
        """Yield the poses of each image, in batches across images; `boxes` has those of each.

        Raises: as when called, at the image that cannot be read; DataError for fewer or more boxes
        than images, where the shorter ends.
        """
        pairs = ((one, None) for one in images) if boxes is None else _paired(images, boxes)
        return self.each_read(_read_pair(picture, given) for picture, given in pairs)

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
        """Return where the persons of an image are; without a detector, one is all of it.

        Raises: ConfigError for a detector that returns no `Boxes`.
        """
        if self.detector is None:
            return whole_image(*image.shape[:2])
        found = self.detector(image)
        if not isinstance(found, Boxes):
            raise ConfigError(
                "a detector returns evopose.inference.boxes.Boxes (`boxes_xywh` makes them); this "
                f"one returned {type(found).__name__}"
            )
        return found

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
        """Yield the poses of each frame of a video file, or of a webcam: its index or "webcam:0".

        Persons are looked for in every `every`-th frame and followed between; their ids last
        through the video. `smooth`: by the One-Euro filter. `limit`: of frames. One frame is in
        memory at a time; sound is left out.

        Raises, at once: DataError for a video or camera that cannot be read; ConfigError for an
        `every` below 1 or a `limit` below 0.
        """
        if limit is not None and limit < 0:
            raise ConfigError(f"limit is a number of frames, or None for all; got {limit}")
        video = source if isinstance(source, Video) else _opened(source)
        poses = track_video(
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
        return _closing(video, poses)


def _opened(source: str | Path | int) -> Video:
    camera = WEBCAM.fullmatch(source) if isinstance(source, str) else None
    return open_video(int(camera[1]) if camera and not Path(camera[0]).exists() else source)


def _closing(video: Video, poses: Iterator[Poses]) -> Iterator[Poses]:
    with video:
        yield from poses


def _paired(
    images: Iterable[Picture], boxes: Iterable[XYWH | None]
) -> Iterator[tuple[Picture, XYWH | None]]:
    end: Any = object()
    pairs = itertools.zip_longest(images, boxes, fillvalue=end)
    for number, (picture, given) in enumerate(pairs):
        if picture is end or given is end:
            short, other = ("images", "boxes") if picture is end else ("boxes", "images")
            raise DataError(
                f"expected the boxes of each image, [] for nobody, None for the detector; got "
                f"{number} {short} and more {other}"
            )
        yield picture, given


def _read_pair(picture: Picture, given: XYWH | None) -> tuple[Image, str | None, Boxes | None]:
    image, source = _read(picture)
    if given is None:
        return image, source, None
    boxes = _given_boxes(given)
    require_on_image(boxes.xyxy, image.shape[:2])
    return image, source, boxes


def _given_boxes(given: XYWH) -> Boxes:
    expected = "boxes are (P, 4): left, top, width, height"
    try:
        rows = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{expected}; got {given!r:.100}") from error
    if rows.shape != (0,) and (rows.ndim != 2 or rows.shape[1] != 4):
        raise DataError(f"{expected}; got the shape {rows.shape}")
    boxes = boxes_xywh(rows)
    require_areas(boxes.xyxy)
    return boxes


def _read(picture: Picture) -> tuple[Image, str | None]:
    """Return an image's pixels, and what it is called."""
    if isinstance(picture, str | Path):
        sources = find_sources([picture])
        if len(sources) != 1 or not isinstance(sources[0], Photo):
            raise DataError(
                f"{picture} is not one image; for several use `each`, for a video `video`"
            )
        return read_source(sources[0]), sources[0].name
    source = None
    if isinstance(picture, PIL.Image.Image):
        source = str(getattr(picture, "filename", "")) or None
        picture = convert_picture(picture, source or repr(picture))
    if not isinstance(picture, np.ndarray):
        raise DataError(
            "an image is a file, an address, a picture of Pillow's or an array (H, W, 3), RGB, "
            f"uint8; got {type(picture).__name__}; for several use `each`"
        )
    require_image(picture)
    return picture, source
