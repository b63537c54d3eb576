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
    seconds: float = 0.0
    failed: list[str] = field(default_factory=list)
    drawn: list[Path] = field(default_factory=list)

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
            "seconds": round(self.seconds, 3),
            "images_per_second": round(rate, 2),
            "failed": self.failed,
            "stopped": self.stopped,
        }


def predict_photos(
    estimator: "PoseEstimator",
    photos: "Sequence[Photo]",
    known: "dict[str, Boxes] | None",
    out: Path,
    screen: Console,
    *,
    draw: "Callable[[Poses], Image] | None",
    stop: StopRequest,
) -> Predicted:
    """Write what is found on each photo to the folder `out`, and return how it went.

    `known` holds boxes by a photo's name, None: the estimator's detector finds them. `draw` None:
    nothing is drawn. A photo that cannot be read is left out, with its reason. Once `stop` asks,
    no further photo is read, and what was found is written.
    """
    from evopose.drawing import write_image

    done = Predicted(given=len(photos))
    seen: list[Photo] = []
    names = _drawn_names(photos)
    found: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    began = time.perf_counter()
    with bar(screen, "predicting") as on_progress, suppress(KeyboardInterrupt):
        pictures = _readable(photos, known, done, seen, stop)
        for number, poses in enumerate(estimator.each_read(pictures)):
            photo = seen[number]
            image_id = _image_id(photo, number)
            about = {"image": photo.name, "image_id": image_id}
            if draw is not None:
                target = out / names[photo.name]
                write_image(target, draw(poses))
                done.drawn.append(target)
                about["drawn"] = str(target)
            found.append(about | poses.to_json())
            results += poses.to_coco(image_id)
            done.images += 1
            done.persons += len(poses)
            on_progress(done.images + len(done.failed), len(photos))
    done.seconds = time.perf_counter() - began
    card = estimator.pipeline.card
    about = {"keypoints": card.skeleton.keypoints, "limbs": card.skeleton.limbs, "images": found}
    _write_json(out / "predictions.json", about)
    _write_json(out / "results.json", results)
    rate = done.images / done.seconds
    of = f" of {done.given:,}" if done.stopped else ""
    say(
        screen,
        f"{done.persons:,} persons in {done.images:,}{of} images, {len(done.failed):,} left out; "
        f"{rate:.1f} images/s",
    )
    return done


def _readable(
    photos: "Sequence[Photo]",
    known: "dict[str, Boxes] | None",
    done: Predicted,
    seen: "list[Photo]",
    stop: StopRequest,
) -> "Iterator[tuple[Image, str, Boxes | None]]":
    """Yield each photo that can be read with its boxes; note which, and why others cannot."""
    from evopose.inference.pipeline import require_areas
    from evopose.inference.sources import read_source

    for photo in photos:
        if stop():
            return
        boxes = None if known is None else known[photo.name]
        try:
            image = read_source(photo)
            if boxes is not None:
                require_areas(boxes.xyxy)
        except DataError as error:
            message = str(error)
            done.failed.append(message if photo.name in message else f"{photo.name}: {message}")
            continue
        seen.append(photo)
        yield image, photo.name, boxes


def _write_json(path: Path, value: object) -> None:
    """Write a file that has its name only when it is whole."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(value))
    partial.replace(path)


def _image_id(photo: "Photo", number: int) -> int:
    """Return the number that the file is named by, as COCO's are, else its place."""
    return int(photo.stem) if photo.stem.isdecimal() else number + 1


def _drawn_names(photos: "Sequence[Photo]") -> dict[str, str]:
    """Return the name of each drawn image: the photo's, with its folder's or a number where
    another has it, too."""
    names: dict[str, str] = {}
    for photo in photos:
        parent = photo.path.parent.name if photo.path else "web"
        candidates = [photo.stem, f"{parent}-{photo.stem}"]
        candidates += [f"{photo.stem}-{number}" for number in range(2, len(photos) + 2)]
        taken = set(names.values())
        names[photo.name] = next(f"{c}.jpg" for c in candidates if f"{c}.jpg" not in taken)
    return names
