"""`evopose evaluate`: how good a model is on a dataset."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from evopose.cli import app
from evopose.cli.loading import (
    MODEL,
    decoder_option,
    detector_option,
    input_option,
    refine_option,
    runtime_option,
    weights_option,
)
from evopose.cli.options import (
    DATA,
    JSON,
    VERBOSE,
    annotation_option,
    console,
    device_option,
    option,
    optional,
    say,
)
from evopose.cli.scoring import score, unless
from evopose.errors import ConfigError
from evopose.inference import COUNTED

if TYPE_CHECKING:
    from evopose.inference.pipeline import Pipeline

_NETWORK, _MACHINE = "Network", "Data, machine and folder"
_BOXES = "Where the persons are"
_SCORES = "How poses are scored"
_RESULTS = "Results that someone made"
SPLITS = ("train", "val", "test")
BATCH = 32
"""That of `inference.pipeline`, which loads torch: tests compare them."""


@app.command()
def evaluate(
    model: str | None = optional(MODEL),
    data: str | None = optional(DATA),
    split: str = typer.Option("val", help="val, test or train."),
    out: Path = option(
        "Folder to write metrics.json, report.html and, of a model, results.json (COCO results) to."
    ),
    against: str = option(
        "A second model, measured beside it: differences with their intervals. --refine and "
        "--decoder are the first's alone, so that MODEL may stand on both sides.",
        None,
        "--against",
        metavar="MODEL",
    ),
    as_json: bool = JSON,
    verbose: bool = VERBOSE,
    weights: str = weights_option(_NETWORK),
    input_size: str = input_option(_NETWORK),
    refine: str = refine_option(_NETWORK),
    decoder: str = decoder_option(_NETWORK),
    runtime: str = runtime_option(_NETWORK),
    no_flip_test: bool = typer.Option(
        False,
        "--no-flip-test",
        help="Do not look at mirrored crops too: half the time.",
        rich_help_panel=_NETWORK,
    ),
    boxes: Path | None = option(
        "Boxes of a detector instead of labelled ones: a JSON of COCO detection results.", _BOXES
    ),
    detector: str = detector_option(_BOXES),
    unlabelled: bool = typer.Option(
        False,
        "--unlabelled",
        help="Only write poses in these boxes as COCO's server takes them (--out), whatever is "
        "labelled. A file without annotations (image_info_test-dev2017.json) implies it.",
        rich_help_panel=_BOXES,
    ),
    keypoint_threshold: float = typer.Option(
        COUNTED,
        help="A pose's score is its box's times the mean of its keypoints' scores above this.",
        rich_help_panel=_SCORES,
    ),
    nms: str = typer.Option(
        "hard",
        help="Of a detector's poses on each other: hard drops the worse, soft lowers its score, "
        "none keeps all.",
        rich_help_panel=_SCORES,
    ),
    nms_keypoint_threshold: float = option(
        "For that, compare two poses by keypoints that both score above this; default by all.",
        _SCORES,
    ),
    annotations: str = annotation_option(_MACHINE),
    results: Path | None = option(
        "Score these COCO results by --annotations GT.json, without MODEL and DATA.", _RESULTS
    ),
    assume_area: bool = typer.Option(
        False,
        "--assume-area",
        rich_help_panel=_RESULTS,
        help="With --results: an annotation without area has 0.53 times its box.",
    ),
    limit: int = option("Only so many images, spread evenly.", _MACHINE),
    device: str = device_option(_MACHINE),
    threads: int = option("CPU threads; default all.", _MACHINE),
    batch_size: int = typer.Option(
        BATCH, min=1, help="Persons that the network sees at once.", rich_help_panel=_MACHINE
    ),
) -> None:
    """Measure MODEL on DATA: mean OKS, and COCO's ten numbers of AP and AR.

    Each labelled person is looked for in its own box from the annotations, so that figures say how
    good the network is, whatever finds the persons; with --boxes or --detector in the boxes that a
    detector found, as COCO's tables do. AP ignores crowds and unlabelled persons as COCO does. What
    goes wrong is counted: keypoints that jitter, are taken for their mirror keypoint or another
    person's, or are missed, and the AP that each kind costs.

    With --results it scores, by the file of --annotations, what someone else has found. Of images
    that nobody labelled, as COCO's test-dev, it writes what the server takes, and measures nothing.

    Examples:

    evopose evaluate runs/train-20260101-120000 people/ --split test --out measured

    evopose evaluate hrnet-w32 coco/ --weights coco --boxes found.json

    evopose evaluate --results results.json --annotations person_keypoints_val2017.json
    """
    if results is not None or assume_area or model is None or data is None:
        others = {
            "MODEL": model, "DATA": data, "--against": against, "--weights": weights,
            "--input": input_size, "--refine": refine, "--decoder": decoder,
            "--runtime": runtime, "--boxes": boxes,
            "--detector": detector, "--limit": limit, "--threads": threads,
            "--split": unless(split, "val"), "--nms": unless(nms, "hard"),
            "--unlabelled": unless(unlabelled, False),
            "--keypoint-threshold": unless(keypoint_threshold, COUNTED),
            "--nms-keypoint-threshold": nms_keypoint_threshold,
            "--no-flip-test": unless(no_flip_test, False), "--device": unless(device, "auto"),
            "--batch-size": unless(batch_size, BATCH),
        }  # fmt: skip
        score(results, annotations, others, assume_area=assume_area, out=out, as_json=as_json)
        return
    from evopose.cli.evaluate_boxes import check_boxes
    from evopose.cli.evaluate_labelled import measure, open_split
    from evopose.cli.evaluate_unlabelled import check_unlabelled, find_list, write_poses
    from evopose.cli.loading import load_pipeline, reference_running
    from evopose.evaluation.pose_scores import ScoreRules
    from evopose.inference.model_files import find_model_file
    from evopose.training.compute import prepare, resolve_compute

    screen = console(as_json)
    if split not in SPLITS:
        raise ConfigError(f"--split is one of {', '.join(SPLITS)}, got {split!r}")
    rules = ScoreRules(
        counted_above=keypoint_threshold, nms=nms, nms_counted_above=nms_keypoint_threshold
    )
    listed = find_list(data, annotations, split, unlabelled=unlabelled)
    if listed is not None:
        given = {"--boxes": boxes, "--detector": detector, "--against": against}
        check_unlabelled(listed, given, out)
    check_boxes(boxes, detector, rules)
    compute = resolve_compute(device, threads=threads, precision="fp32")
    prepare(compute)

    def opening(name: str, alone: bool, **options: str | None) -> "Pipeline":
        named = alone or find_model_file(name) is None  # options of a file would be refused
        return load_pipeline(
            name, screen, flip_test=not no_flip_test, batch_size=batch_size,
            weights=weights if named else None, input_size=input_size if named else None,
            running=reference_running(name, runtime, compute.device, compute.threads),
            refine=options.get("refine"), decoder=options.get("decoder"),
        )  # fmt: skip

    pipeline = opening(model, against is None, refine=refine, decoder=decoder)
    how = {
        "model": model, "weights": weights, "data": data, "split": split, "limit": limit,
        "runtime": pipeline.model.runtime, "flip_test": pipeline.flip_test, "refine": refine,
        "decoder": decoder,
        "keypoint_threshold": keypoint_threshold,
        "nms": nms if boxes is not None or detector is not None else None,
        "nms_keypoint_threshold": nms_keypoint_threshold,
    }  # fmt: skip
    say(screen, f"device: {compute.describe()}")
    if listed is not None and out is not None:
        write_poses(
            screen, pipeline, listed, boxes=boxes, detector=detector, rules=rules,
            threads=compute.threads, limit=limit, how=how, out=out, as_json=as_json,
        )  # fmt: skip
        return
    measure(
        screen, pipeline, open_split(screen, data, annotations, split, limit),
        label=_label(model, refine, decoder), how=how, rules=rules, boxes=boxes, detector=detector,
        threads=compute.threads, against=against,
        rival=None if against is None else opening(against, alone=False), out=out, as_json=as_json,
    )  # fmt: skip


def _label(model: str, refine: str | None, decoder: str | None) -> str:
    """Return what to call the first model: with what it alone has."""
    return f"{model}{', refined' if refine else ''}{f', read by {decoder}' if decoder else ''}"
