"""`evopose predict`: keypoints on images."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from evopose.cli import app
from evopose.cli.loading import (
    MODEL,
    decoder_option,
    detector_option,
    input_option,
    refine_option,
    weights_option,
)
from evopose.cli.options import JSON, VERBOSE, console, device_option, option, print_json, say
from evopose.errors import ConfigError, DataError

if TYPE_CHECKING:
    from evopose.data.images import Image
    from evopose.inference.boxes import Boxes
    from evopose.inference.detectors import Detector
    from evopose.inference.pipeline import Pipeline

_NETWORK, _MACHINE = "Network", "Machine"
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


@app.command()
def predict(
    model: str = MODEL,
    images: list[Path] = typer.Argument(help="Images, or folders of them.", show_default=False),
    boxes: Path = option(
        "Where the persons are: a JSON of COCO annotations or results, or of a list of "
        "[x, y, width, height] for each file name.",
        None,
        "--boxes",
        metavar="FILE",
    ),
    box: list[str] = option(
        "A person's box, for one image. Repeatable.", None, "--box", metavar="X,Y,W,H"
    ),
    detector: str | None = detector_option(),
    out: Path = typer.Option(
        Path("predictions"), help="Folder for drawn images and predictions.json."
    ),
    threshold: float = typer.Option(0.2, help="Draw keypoints of at least this score."),
    as_json: bool = JSON,
    verbose: bool = VERBOSE,
    weights: str = weights_option(_NETWORK),
    input_size: str = input_option(_NETWORK),
    refine: str = refine_option(_NETWORK),
    decoder: str = decoder_option(_NETWORK),
    no_flip_test: bool = typer.Option(
        False,
        "--no-flip-test",
        help="Do not look at mirrored crops too: half the time.",
        rich_help_panel=_NETWORK,
    ),
    device: str = device_option(_MACHINE),
    threads: int = option("CPU threads; default all.", _MACHINE),
) -> None:
    """Find keypoints on IMAGES, draw them, and write them to predictions.json.

    MODEL finds the keypoints of a person in a box: one given, or one that a detector finds. Without
    any the whole image is taken for one person. An image that cannot be read is named and left out,
    and the exit code is 1.

    Example: evopose predict hrnet-w32 photo.jpg --weights coco --detector yolox-nano
    """
    from evopose.cli.bars import bar
    from evopose.cli.loading import Running, load_pipeline, open_finder
    from evopose.evolution.database import errors_of
    from evopose.training.compute import prepare, resolve_compute

    screen = console(as_json)
    files = _files(images)
    if detector is not None and (boxes or box):
        raise ConfigError("give --detector or boxes, not both")
    given = _given(files, boxes, box)
    compute = resolve_compute(device, threads=threads, precision="fp32")
    prepare(compute)
    pipeline = load_pipeline(
        model,
        screen,
        weights=weights,
        input_size=input_size,
        refine=refine,
        flip_test=not no_flip_test,
        running=Running(runtime="pytorch", device=compute.device, threads=compute.threads),
        batch_size=32,
        decoder=decoder,
    )
    where = _finder(given, open_finder(detector, screen, compute.threads) if detector else None)
    if given is None and detector is None:
        say(screen, "no boxes given: each image is taken for one person, whole")
    found: list[dict[str, Any]] = []
    failed: list[str] = []
    with errors_of(out), bar(screen, "predicting") as on_progress:
        out.mkdir(parents=True, exist_ok=True)
        for done, file in enumerate(files, 1):
            try:
                drawn = out / _drawn_name(file, files)
                found.append(_predict(pipeline, file, where, drawn, threshold))
            except DataError as error:
                failed.append(str(error))
            on_progress(done, len(files))
        about = {"keypoints": pipeline.card.skeleton.keypoints, "images": found}
        (out / "predictions.json").write_text(json.dumps(about))
    for reason in failed:
        say(screen, f"left out: {reason}")
    persons = sum(len(one["persons"]) for one in found)
    if as_json:
        print_json({"folder": str(out), "images": len(found), "persons": persons, "failed": failed})
    else:
        say(screen, f"{persons:,} persons in {len(found):,} images, {len(failed):,} left out")
        say(screen, f"wrote {out}/predictions.json and the images drawn", exact=True)
    if failed:
        raise typer.Exit(1)


def _files(given: Sequence[Path]) -> list[Path]:
    """Return the image files that are given, folders opened."""
    files: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = sorted(f for f in path.iterdir() if f.suffix.lower() in SUFFIXES)
            if not inside:
                raise DataError(f"{path} has no images ({', '.join(SUFFIXES)})")
            files += inside
        elif path.exists():
            files.append(path)
        else:
            raise DataError(f"there is no image {path}")
    return files


def _given(
    files: list[Path], boxes: Path | None, box: list[str] | None
) -> "dict[Path, Boxes] | None":
    """Return the boxes of each image; None where none were given."""
    from evopose.inference.boxes import boxes_xywh, read_boxes

    if boxes and box:
        raise ConfigError("give --boxes or --box, not both")
    if boxes:
        return read_boxes(boxes, files)
    if not box:
        return None
    if len(files) != 1:
        raise ConfigError(f"--box is for one image, got {len(files)}; give --boxes FILE for more")
    return {files[0]: boxes_xywh([_numbers(one) for one in box])}


def _finder(
    given: "dict[Path, Boxes] | None", detector: "Detector | None"
) -> "Callable[[Path, Image], Boxes]":
    """Return what says where the persons of a file's image are."""
    from evopose.inference.boxes import whole_image

    if given is not None:
        return lambda file, image: given[file]
    if detector is not None:
        return lambda file, image: detector(image)
    return lambda file, image: whole_image(*image.shape[:2])


def _numbers(box: str) -> list[float]:
    try:
        numbers = [float(part) for part in box.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4:
        raise ConfigError(f"--box is X,Y,W,H in pixels of the image, got {box!r}")
    return numbers


def _drawn_name(file: Path, files: list[Path]) -> str:
    """Return the name of the drawn image, with its folder's where another image has it, too."""
    alone = sum(one.stem == file.stem for one in files) == 1
    return f"{file.stem}.jpg" if alone else f"{file.parent.name}-{file.name}.jpg"


def _predict(
    pipeline: "Pipeline",
    file: Path,
    where: "Callable[[Path, Image], Boxes]",
    drawn: Path,
    threshold: float,
) -> dict[str, Any]:
    """Return what is found on an image, and draw it."""
    from evopose.data.images import read_image
    from evopose.drawing import draw_pose, write_image
    from evopose.inference.pipeline import person_scores

    image = read_image(file)
    persons = where(file, image)
    poses = pipeline.predict(image, persons.xyxy)
    picture = image
    for pose in poses:
        picture = draw_pose(picture, pose, pipeline.card.skeleton, threshold=threshold)
    write_image(drawn, picture)
    scores = person_scores(poses, persons.scores)
    return {
        "image": str(file),
        "drawn": str(drawn),
        "persons": [
            {"box_xyxy": box.tolist(), "keypoints": pose.tolist(), "score": score}
            for box, pose, score in zip(persons.xyxy, poses, scores.tolist(), strict=True)
        ],
    }
