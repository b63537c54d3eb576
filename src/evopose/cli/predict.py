"""`evopose predict`: keypoints on photos, in videos and before a webcam."""

import os
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from evopose.cli import app
from evopose.cli.loading import (
    Running,
    decoder_option,
    detector_option,
    input_option,
    load_pipeline,
    refine_option,
    runtime_option,
    weights_option,
)
from evopose.cli.options import (
    JSON,
    VERBOSE,
    console,
    device_option,
    option,
    print_json,
    say,
    stop_on_ctrl_c,
)
from evopose.errors import ConfigError
from evopose.inference import DRAWN

if TYPE_CHECKING:
    from evopose.inference.detectors import Detector
    from evopose.inference.sources import Photo

_NETWORK, _MACHINE = "Network", "Machine"
_PERSONS, _VIDEO = "Where the persons are", "Videos and webcams"
MOST_OPENED = 5
"""Pictures that --show opens; of more, the folder."""


@app.command()
def predict(
    given: list[str] = typer.Argument(
        help="What to look at: images, folders, 'globs', addresses of images, videos, webcam:0. "
        "Before it, unless the one in the package is to be used, MODEL: a model file, an exported "
        "file, a run folder (its best), RUN:ID, default, or, with --weights, a name.",
        metavar="[MODEL] SOURCE",
        show_default=False,
    ),
    out: Path = typer.Option(Path("predictions"), help="Folder for all that is written."),
    threshold: float = typer.Option(DRAWN, help="Draw keypoints of at least this score."),
    draw_boxes: bool = typer.Option(
        False, "--draw-boxes", help="Frame the persons, also those of whom nothing is sure."
    ),
    show: bool = typer.Option(
        False,
        "--show",
        help="At the end, open what was drawn in this system's viewer. There is no live window.",
    ),
    no_draw: bool = typer.Option(False, "--no-draw", help="Write no images or videos, only JSON."),
    as_json: bool = JSON,
    verbose: bool = VERBOSE,
    boxes: Path = option(
        "A JSON of COCO annotations or results, or of a list of [x, y, width, height] for each "
        "file name.",
        _PERSONS,
        "--boxes",
        metavar="FILE",
    ),
    box: list[str] = option(
        "A person's box, for one image. Repeatable.", _PERSONS, "--box", metavar="X,Y,W,H"
    ),
    detector: str | None = detector_option(_PERSONS, whole=True),
    every: int = typer.Option(
        5,
        min=1,
        help="Look for persons anew in each N-th frame; follow them between.",
        rich_help_panel=_VIDEO,
    ),
    frames: int = option("Stop after so many frames.", _VIDEO, "--frames", min=1),
    no_smooth: bool = typer.Option(
        False,
        "--no-smooth",
        help="Leave keypoints as they are found in each frame.",
        rich_help_panel=_VIDEO,
    ),
    weights: str = weights_option(_NETWORK),
    input_size: str = input_option(_NETWORK),
    refine: str = refine_option(_NETWORK),
    decoder: str = decoder_option(_NETWORK),
    runtime: str = runtime_option(_NETWORK),
    flip_test: bool | None = typer.Option(
        None,
        "--flip-test/--no-flip-test",
        help="Look at mirrored crops, too: twice the time, more accurate. Default: for photos.",
        show_default=False,
        rich_help_panel=_NETWORK,
    ),
    batch_size: int = typer.Option(
        32, min=1, help="Persons that the network sees at once.", rich_help_panel=_MACHINE
    ),
    device: str = device_option(_MACHINE),
    threads: int = option("CPU threads; default all.", _MACHINE, min=1),
) -> None:
    """Find keypoints on photos and in videos, draw them, and write them as JSON.

    Persons are found by a detector (yolox-nano, fetched once), unless --boxes, --box or --detector
    say otherwise. --out gets the drawn images, predictions.json with all that was found and
    results.json in COCO's form; of each video, the drawn video and a JSON line a frame. What cannot
    be read is named and left out, and the exit code is 1. Ctrl-C keeps what is done (exit code
    130), and is how a webcam's recording ends.

    Example: evopose predict photo.jpg
    """
    from evopose.cli.predict_files import picture_names, require_free, video_stems
    from evopose.cli.predict_photos import predict_photos
    from evopose.cli.predict_videos import predict_video
    from evopose.evolution.database import errors_of
    from evopose.inference.estimator import PoseEstimator
    from evopose.inference.model_files import DEFAULT
    from evopose.inference.poses import Poses
    from evopose.inference.sources import Photo, find_sources
    from evopose.models.devices import resolve_device

    screen = console(as_json)
    if show and no_draw:
        raise ConfigError("--show opens what was drawn; give it or --no-draw, not both")
    if not 0 <= threshold <= 1:
        raise ConfigError(f"--threshold is a score from 0 to 1, got {threshold:g}")
    model, names = split_model(given)
    sources = find_sources(names)
    photos = [one for one in sources if isinstance(one, Photo)]
    videos = [one for one in sources if not isinstance(one, Photo)]
    if detector is not None and (boxes or box):
        raise ConfigError("give --detector or boxes, not both")
    if (boxes or box) and videos:
        raise ConfigError("--boxes and --box are for photos; persons in videos need a detector")
    pictures = [] if no_draw else picture_names(photos)
    stems = video_stems(videos)
    files = [file for file in (*(one.path for one in sources), boxes) if file is not None]
    replaced = require_free(out, files, pictures if photos else None, stems, draw=not no_draw)
    known = _known_boxes(photos, boxes, box)
    pipeline = load_pipeline(
        model or DEFAULT,
        screen,
        weights=weights,
        input_size=input_size,
        refine=refine,
        flip_test=bool(photos) if flip_test is None else flip_test,
        running=Running(
            runtime=runtime or "auto", device=resolve_device(device), threads=threads or 0
        ),
        batch_size=batch_size,
        decoder=decoder,
    )
    finder = None if known is not None else _detector(detector, screen, threads or 0)
    estimator = PoseEstimator(pipeline=pipeline, detector=finder)
    summary: dict[str, Any] = {
        "folder": str(out),
        "model": model or DEFAULT,
        "runtime": pipeline.model.runtime,
        "detector": finder.name if finder else None,
    }
    if show and videos:
        say(screen, "there is no live window: the drawn video opens when it is written")
    draw = None if no_draw else partial(Poses.draw, threshold=threshold, boxes=draw_boxes)
    drawn: list[Path] = []
    streams: list[dict[str, Any]] = []
    with errors_of(out), stop_on_ctrl_c() as stop:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):  # fails now if nothing can be written there
            pass
        if replaced:
            say(screen, f"{out} held results before; replaced: {', '.join(replaced)}")
        if photos:
            done = predict_photos(
                estimator, photos, known, out, screen, by_hand=bool(box), pictures=pictures,
                threshold=threshold, draw=draw, stop=stop,
            )  # fmt: skip
            summary |= done.summary()
            drawn += done.drawn
        if videos and flip_test is None:
            estimator = estimator.without_flip_test()
        for video, stem in zip(videos, stems, strict=True):
            if stop():
                break
            stream = predict_video(
                estimator, video, stem, out, screen, every=every, limit=frames,
                smooth=not no_smooth, draw=draw, stop=stop,
            )  # fmt: skip
            streams.append(stream.summary())
            drawn += stream.drawn
        if videos:
            summary["videos"] = streams
    failed = summary.get("failed", []) + [one["failed"] for one in streams if one["failed"]]
    stopped = len(streams) < len(videos) or any(o.get("stopped") for o in (summary, *streams))
    summary |= {"failed": failed, "stopped": stopped}
    for reason in failed:
        say(screen, f"left out: {reason}")
    undrawn = summary.get("undrawn", [])
    for reason in undrawn:
        say(screen, f"not drawn: {reason}")
    if as_json:
        print_json(summary)
    else:
        say(screen, f"wrote {out}", exact=True)
    if failed:
        say(screen, f"{len(failed):,} of {len(sources):,} are left out")
    if show and not stopped:
        _open(drawn, out, screen)
    if stopped:
        left = len(videos) - len(streams)
        more = f"; {left:,} videos were not begun" if left else ""
        say(screen, f"stopped: {out} holds what was done{more}", exact=True)
        raise typer.Exit(130)
    if failed or undrawn:
        raise typer.Exit(1)


def _open(drawn: list[Path], folder: Path, screen: Console) -> None:
    """Open what was drawn in the system's viewer, the folder where it is much."""
    screenless = sys.platform == "linux" and not any(map(os.getenv, ("DISPLAY", "WAYLAND_DISPLAY")))
    for path in drawn if len(drawn) <= MOST_OPENED else [folder]:
        if screenless or typer.launch(str(path)):
            say(screen, f"this system has no viewer for {path}", exact=True)
            return


def split_model(given: list[str]) -> tuple[str | None, list[str]]:
    """Return the model that the first word names, None where it names none, and the rest.

    Raises: ConfigError where nothing is left to look at.
    """
    first, *rest = given
    if not _names_model(first):
        return None, given
    if not rest:
        raise ConfigError(
            f"{first} is a model; name what it is to look at after it: images, folders, videos"
        )
    return first, rest


def _names_model(word: str) -> bool:
    """Return whether a word means a model and no image: by suffix, by what its folder holds, or
    because a network is called so and no file."""
    from evopose.errors import ModelError
    from evopose.inference.model_files import DEFAULT
    from evopose.inference.runtimes import RUNTIMES
    from evopose.models import split_name

    path = Path(word)
    if not word:
        return False
    if path.suffix in {s for one in RUNTIMES.values() for s in one.suffixes} | {
        ".pt",
        ".pth",
        ".torchscript",
    }:
        return True
    folder, colon, _ = word.rpartition(":")
    try:
        if path.is_dir():
            return any((path / name).is_file() for name in ("model.safetensors", "run.sqlite"))
        if path.exists():
            return False
        if colon and (Path(folder) / "run.sqlite").is_file():
            return True
        return word == DEFAULT or bool(split_name(word))
    except (ModelError, OSError):
        return False


def _detector(name: str | None, screen: Console, threads: int) -> "Detector | None":
    """Return what finds persons; None, and say so, where the whole image is one."""
    from evopose.cli.bars import byte_bar
    from evopose.cli.loading import open_finder
    from evopose.inference.detectors import DEFAULT, default_detector

    if name == "none":
        say(screen, "no persons are looked for: each image is taken for one, whole")
        return None
    if name is not None:
        return open_finder(name, screen, threads)
    with byte_bar(screen, f"fetching {DEFAULT}") as on_bytes:
        found, words = default_detector(threads=threads, on_progress=on_bytes)
    say(screen, words)
    return found


def _known_boxes(
    photos: "list[Photo]", boxes: Path | None, box: list[str] | None
) -> "dict[str, Any] | None":
    """Return the boxes of each photo by its name; None where none were given."""
    from evopose.inference.boxes import boxes_xywh, read_boxes
    from evopose.inference.pipeline import require_areas

    if boxes and box:
        raise ConfigError("give --boxes or --box, not both")
    if boxes:
        paths = {one.name: one.path or Path(one.stem) for one in photos}
        found = read_boxes(boxes, list(paths.values()))
        return {name: found[path] for name, path in paths.items()}
    if not box:
        return None
    if len(photos) != 1:
        raise ConfigError(f"--box is for one image, got {len(photos)}; give --boxes FILE for more")
    persons = boxes_xywh([_numbers(one) for one in box])
    require_areas(persons.xyxy)
    return {photos[0].name: persons}


def _numbers(box: str) -> list[float]:
    try:
        numbers = [float(part) for part in box.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4:
        raise ConfigError(f"--box is X,Y,W,H in pixels of the image, got {box!r}")
    return numbers
