"""`evopose evaluate` on images without labels: poses for COCO's server, and no figures."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from evopose.cli.evaluate_boxes import find_boxes
from evopose.cli.options import print_json, say
from evopose.errors import ConfigError

if TYPE_CHECKING:
    from evopose.data.image_lists import ImageList
    from evopose.evaluation.pose_scores import ScoreRules
    from evopose.inference.pipeline import Pipeline

NAMED = 5
"""Absent images whose names are told."""


def find_list(
    data: str, annotations: str | None, split: str, *, unlabelled: bool
) -> "ImageList | None":
    """Return the images of the file that DATA, `--annotations` and `--split` name, if that has no
    annotations or `--unlabelled` leaves them aside; else None.

    Raises: DataError as `annotation_files` and `read_image_list`.
    """
    from evopose.data.files import annotation_files
    from evopose.data.image_lists import lists_images_alone, read_image_list
    from evopose.data.layouts import DATASETS, named_folder

    if data.partition(":")[0] in DATASETS and not unlabelled:
        return None
    root = named_folder(data, 0, None) or Path(data).expanduser()
    files = annotation_files(root, annotations)
    file = files.get("all") or files.get(split)
    if file is None or not (unlabelled or lists_images_alone(file)):
        return None
    return read_image_list(file, root=root, split=split)


def check_unlabelled(listed: "ImageList", others: Mapping[str, Any], out: Path | None) -> None:
    """Raise ConfigError where images without labels cannot give what was asked for; `others` are
    options by name."""
    where = f"{listed.file} has no annotations" if not listed.labels else "with --unlabelled"
    if others["--boxes"] is None and others["--detector"] is None:
        raise ConfigError(
            f"{where}: there are no labelled boxes to look into; give --boxes FILE (a JSON of COCO "
            "detection results) or --detector yolox-nano"
        )
    if others["--against"] is not None:
        raise ConfigError(f"{where}: nothing is measured, so that --against has nothing to compare")
    if out is None:
        raise ConfigError(f"{where}: all it does is write the poses; say where to with --out DIR")


def write_poses(
    screen: Console,
    pipeline: "Pipeline",
    listed: "ImageList",
    *,
    boxes: Path | None,
    detector: str | None,
    rules: "ScoreRules",
    threads: int,
    limit: int | None,
    how: Mapping[str, Any],
    out: Path,
    as_json: bool,
) -> None:
    """Find poses in the listed images and write them for COCO's server; tell how many, and why
    there is no AP."""
    from evopose.cli.bars import bar
    from evopose.evaluation.detected import find_poses
    from evopose.evaluation.evaluate import some_images
    from evopose.evaluation.submission import write_submission
    from evopose.evolution.database import errors_of
    from evopose.structures import PoseDataset

    dataset = PoseDataset(
        name=f"{listed.name} on disk" if listed.absent else listed.name,
        skeleton=listed.skeleton or pipeline.card.skeleton,
        images=listed.images,
        instances=(),
    )
    if limit is not None:
        dataset = some_images(dataset, limit)
    _tell_images(screen, listed, len(dataset.images), pipeline.card.skeleton.keypoints)
    looked_into = find_boxes(screen, dataset, boxes, detector, threads)
    assert looked_into is not None
    found, source = looked_into
    with bar(screen, "finding poses") as on_progress:
        results = find_poses(pipeline, dataset, found, rules=rules, on_progress=on_progress)
    plain, packed = write_submission(out, listed.name, results)
    searched = len({one["image_id"] for one in results})
    no_ap = f"nothing is labelled in {listed.file}: COCO's server has the labels, and judges"
    if listed.labels:
        no_ap = f"labels of {listed.file} were not looked at (--unlabelled)"
    told = dict(how) | {
        "images_listed_in": str(listed.file), "images": len(dataset.images),
        "images_absent": len(listed.absent), "boxes": source, "boxes_found": found.count,
        "boxes_left_out": dict(found.left_out), "poses": len(results),
        "images_with_poses": searched, "AP": None, "undefined": {"AP": no_ap},
        "results_file": str(plain), "upload": str(packed),
    }  # fmt: skip
    with errors_of(out):
        (out / "metrics.json").write_text(json.dumps(told, indent=1))
    if as_json:
        print_json(told | {"folder": str(out)})
        return
    say(screen, f"poses: {len(results):,} in {searched:,} of {len(dataset.images):,} images, from "
        f"{found.count:,} boxes")  # fmt: skip
    say(screen, f"no AP: {no_ap}")
    say(screen, f"wrote {plain} ({_size(plain)}), {packed.name} ({_size(packed)}, for the server) "
        "and metrics.json", exact=True)  # fmt: skip


def _size(file: Path) -> str:
    size = file.stat().st_size
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def _tell_images(
    screen: Console, listed: "ImageList", count: int, keypoints: tuple[str, ...]
) -> None:
    from evopose.skeleton import COCO_PERSON

    labels = "has no annotations: poses are written, and nothing is measured"
    if listed.labels:
        labels = f"has {listed.labels:,} annotations, which are not looked at (--unlabelled)"
    say(screen, f"labels: {listed.file} {labels}", exact=True)
    say(screen, f"images: {count:,} of {listed.name}, in {listed.folder}", exact=True)
    if listed.absent:
        names = ", ".join(listed.absent[:NAMED])
        more = ", ..." if len(listed.absent) > NAMED else ""
        say(screen, f"images that are not there, left out: {len(listed.absent):,} ({names}{more})",
            exact=True)  # fmt: skip
    if keypoints != COCO_PERSON.keypoints:
        say(screen, "keypoints: not COCO's 17 in their order; COCO's server refuses these results")
