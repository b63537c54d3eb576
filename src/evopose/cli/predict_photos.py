"""Poses on photos: found in batches, drawn, and written as JSON."""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from evopose.cli.bars import bar
from evopose.cli.options import StopRequest, say
from evopose.cli.predict_files import FOUND, RESULTS, image_ids
from evopose.errors import DataError

if TYPE_CHECKING:
    from evopose.data.images import Image
    from evopose.inference.boxes import Boxes
    from evopose.inference.estimator import PoseEstimator
    from evopose.inference.poses import Poses
    from evopose.inference.sources import Photo


@dataclass
class Predicted:
    """What became of the photos."""

    given: int
    images: int = 0
    persons: int = 0
    outside: int = 0
    """Boxes that lie outside their image, and are left out."""
    seconds: float = 0.0
    failed: list[str] = field(default_factory=list)
    drawn: list[Path] = field(default_factory=list)
    undrawn: list[str] = field(default_factory=list)
    """Why pictures could not be written; what was found on them is."""
    unsure: int = 0
    """Persons without a keypoint that is drawn."""

    @property
    def stopped(self) -> bool:
        """Whether Ctrl-C left some of them unseen."""
        return self.images + len(self.failed) < self.given

    def summary(self) -> dict[str, Any]:
        """Return the figures for `--json`."""
        rate = self.images / self.seconds if self.seconds else 0.0
        return {
            "images": self.images,
            "persons": self.persons,
            "unsure": self.unsure,
            "seconds": round(self.seconds, 3),
            "images_per_second": round(rate, 2),
            "failed": self.failed,
            "undrawn": self.undrawn,
            "stopped": self.stopped,
        }


def predict_photos(
    estimator: "PoseEstimator",
    photos: "Sequence[Photo]",
    known: "dict[str, Boxes] | None",
    out: Path,
    screen: Console,
    *,
    by_hand: bool,
    pictures: Sequence[str],
    threshold: float,
    draw: "Callable[[Poses], Image] | None",
    stop: StopRequest,
) -> Predicted:
    """Write what is found on each photo to the folder `out`, and return how it went.

    `known` holds boxes by a photo's name, None: the estimator's detector finds them. Those outside
    their photo are left out and counted, or, given `by_hand`, a DataError. `draw` None: nothing is
    drawn; else into files called `pictures`, one a photo. Persons without a keypoint above
    `threshold` are counted. A photo that cannot be read is left out, with its reason. Once `stop`
    asks, no further photo is read, and what was found is written.
    """
    done = Predicted(given=len(photos))
    seen: list[int] = []
    ids = image_ids(photos)
    found: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    began = time.perf_counter()
    with bar(screen, "predicting") as on_progress, suppress(KeyboardInterrupt):
        readable = _readable(photos, known, done, seen, stop, by_hand=by_hand)
        for place, poses in enumerate(estimator.each_read(readable)):
            number = seen[place]
            about = {"image": photos[number].name, "image_id": ids[number]}
            if draw is not None and _written(draw(poses), out / pictures[number], done):
                about["drawn"] = str(out / pictures[number])
            found.append(about | poses.to_json())
            results += poses.to_coco(ids[number])
            done.images += 1
            done.persons += len(poses)
            done.unsure += int((poses.keypoint_scores <= threshold).all(axis=1).sum())
            on_progress(done.images + len(done.failed), len(photos))
    done.seconds = time.perf_counter() - began
    card = estimator.pipeline.card
    about = {"keypoints": card.skeleton.keypoints, "limbs": card.skeleton.limbs, "images": found}
    _write_json(out / FOUND, about)
    _write_json(out / RESULTS, results)
    if done.outside:
        say(screen, f"{done.outside:,} boxes lie outside their images and are left out")
    rate = done.images / done.seconds
    of = f" of {done.given:,}" if done.stopped else ""
    unsure = f" ({done.unsure:,} too unsure to draw)" if done.unsure and draw is not None else ""
    say(
        screen,
        f"{done.persons:,} persons{unsure} in {done.images:,}{of} images, "
        f"{len(done.failed):,} left out; {rate:.1f} images/s",
    )
    return done


def _readable(
    photos: "Sequence[Photo]",
    known: "dict[str, Boxes] | None",
    done: Predicted,
    seen: list[int],
    stop: StopRequest,
    *,
    by_hand: bool,
) -> "Iterator[tuple[Image, str, Boxes | None]]":
    """Yield each photo that can be read with its boxes; note its place, and why others cannot."""
    from evopose.inference.boxes import Boxes, on_image, require_on_image
    from evopose.inference.sources import read_source

    for number, photo in enumerate(photos):
        if stop():
            return
        boxes = None if known is None else known[photo.name]
        try:
            image = read_source(photo)
        except DataError as error:
            message = str(error)
            done.failed.append(message if photo.name in message else f"{photo.name}: {message}")
            continue
        if boxes is not None and by_hand:
            require_on_image(boxes.xyxy, image.shape[:2])
        elif boxes is not None:
            there = on_image(boxes.xyxy, image.shape[:2])
            done.outside += int((~there).sum())
            boxes = Boxes(xyxy=boxes.xyxy[there], scores=boxes.scores[there])
        seen.append(number)
        yield image, photo.name, boxes


def _written(picture: "Image", target: Path, done: Predicted) -> bool:
    """Write a picture, and note where it is, or why it is not; return whether it is."""
    from evopose.drawing import write_image

    try:
        write_image(target, picture)
    except DataError as error:
        done.undrawn.append(str(error))
        return False
    done.drawn.append(target)
    return True


def _write_json(path: Path, value: object) -> None:
    """Write a file that has its name only when it is whole."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(value))
    partial.replace(path)
