"""`evopose evaluate`: how good a model is on a dataset."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

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
    print_json,
    say,
)
from evopose.cli.scoring import score, unless
from evopose.errors import ConfigError

if TYPE_CHECKING:
    from evopose.evaluation.evaluate import Evaluation
    from evopose.inference.pipeline import Pipeline
    from evopose.structures import PoseDataset

_NETWORK, _MACHINE = "Network", "Data, machine and folder"
_BOXES = "Where the persons are"
_SCORING = "Results that someone made"
SPLITS = ("train", "val", "test")
BATCH = 32
LIKELY = 0.1
"""Boxes of a detector below this score are left out: AP weighs them little."""


@app.command()
def evaluate(
    model: str | None = optional(MODEL),
    data: str | None = optional(DATA),
    split: str = typer.Option("val", help="val, test or train."),
    out: Path = option(
        "Folder to write results.json (COCO results), metrics.json and report.html to."
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
    nms: str = typer.Option(
        "hard",
        help="Of a detector's poses on each other: hard drops the worse, soft lowers its score, "
        "none keeps all.",
        rich_help_panel=_BOXES,
    ),
    annotations: str = annotation_option(_MACHINE),
    results: Path | None = option(
        "Score these COCO results by --annotations GT.json, without MODEL and DATA.", _SCORING
    ),
    assume_area: bool = typer.Option(
        False,
        "--assume-area",
        rich_help_panel=_SCORING,
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
    person's, or are missed, and the AP that each kind costs. With --results it scores what someone
    else has found, by the file of --annotations.

    Example: evopose evaluate runs/train-20260101-120000 people/ --split test --out measured
    """
    if results is not None or assume_area or model is None or data is None:
        others = {
            "MODEL": model, "DATA": data, "--against": against, "--weights": weights,
            "--input": input_size, "--refine": refine, "--decoder": decoder,
            "--runtime": runtime, "--boxes": boxes,
            "--detector": detector, "--limit": limit, "--threads": threads,
            "--split": unless(split, "val"), "--nms": unless(nms, "hard"),
            "--no-flip-test": unless(no_flip_test, False), "--device": unless(device, "auto"),
            "--batch-size": unless(batch_size, BATCH),
        }  # fmt: skip
        score(results, annotations, others, assume_area=assume_area, out=out, as_json=as_json)
        return
    from evopose.cli.bars import bar
    from evopose.cli.evaluate_words import (
        against_json,
        beside,
        print_evaluation,
        settings,
        write_all,
    )
    from evopose.cli.live import DataDisplay
    from evopose.cli.loading import load_pipeline, reference_running
    from evopose.data.coco import ASSUMED_AREA
    from evopose.data.layouts import open_dataset
    from evopose.evaluation.error_analysis import analyse_errors
    from evopose.evaluation.evaluate import some_images
    from evopose.inference.model_files import find_model_file
    from evopose.report.evaluation_tables import EvaluationFacts
    from evopose.training.compute import prepare, resolve_compute

    screen = console(as_json)
    if split not in SPLITS:
        raise ConfigError(f"--split is one of {', '.join(SPLITS)}, got {split!r}")
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
    rival = None if against is None else opening(against, alone=False)
    opened = open_dataset(
        data, annotations=annotations, only=(split,), on_progress=DataDisplay(screen)
    )
    dataset = opened.named(split)
    if limit is not None:
        dataset = some_images(dataset, limit)
    say(screen, f"device: {compute.describe()}")
    say(
        screen,
        f"data: {data}, {split}: {len(dataset.trainable):,} persons in {len(dataset.images):,} "
        f"images{_assumed(dataset.skeleton.sigmas_assumed)}",
    )
    if dataset.areas_assumed:
        say(
            screen,
            f"areas: {dataset.areas_assumed:,} persons have none; {ASSUMED_AREA} times their box "
            "is taken for it",
        )
    measure = _measurer(screen, dataset, boxes, detector, nms, compute.threads)
    with bar(screen, "evaluating") as on_progress:
        found = measure(pipeline, dataset, on_progress=on_progress)
    errors = analyse_errors(dataset.instances, found.results, dataset.skeleton)
    about = {
        "model": model, "weights": weights, "data": data, "split": split, "limit": limit,
        "runtime": pipeline.model.runtime, "flip_test": pipeline.flip_test, "refine": refine,
        "decoder": decoder,
        "sigmas_assumed": dataset.skeleton.sigmas_assumed,
        "areas_assumed": dataset.areas_assumed,
    } | found.metrics() | {"errors": errors.to_json()}  # fmt: skip
    facts = EvaluationFacts(
        model=_label(model, refine, decoder), settings=settings(about), evaluation=found,
        errors=errors, sigmas_assumed=dataset.skeleton.sigmas_assumed,
    )  # fmt: skip
    if rival is not None and against is not None:
        with bar(screen, f"evaluating {against}") as on_progress:
            other = measure(rival, dataset, on_progress=on_progress)
        facts = beside(facts, against, other, dataset)
        about["against"] = against_json(facts)
    if out is not None:
        write_all(out, facts, about, dataset)
    if as_json:
        print_json(about | {"folder": str(out) if out else None})
        return
    print_evaluation(screen, facts)
    if out is not None:
        say(screen, f"wrote results.json, metrics.json and report.html to {out}", exact=True)


def _label(model: str, refine: str | None, decoder: str | None) -> str:
    """Return what to call the first model: with what it alone has."""
    return f"{model}{', refined' if refine else ''}{f', read by {decoder}' if decoder else ''}"


def _assumed(assumed: bool) -> str:
    return "; its OKS sigmas are assumed, 0.05 each" if assumed else ""


def _measurer(
    screen: Console,
    dataset: "PoseDataset",
    boxes: Path | None,
    detector: str | None,
    nms: str,
    threads: int,
) -> "Callable[..., Evaluation]":
    """Return what evaluates a pipeline on the dataset, in the boxes asked for, and tell which."""
    from evopose.cli.bars import bar
    from evopose.cli.loading import open_finder
    from evopose.evaluation.detected import (
        SUPPRESSIONS,
        detect,
        evaluate_detections,
        read_detections,
    )
    from evopose.evaluation.evaluate import evaluate as in_labelled_boxes

    if nms not in SUPPRESSIONS:
        raise ConfigError(f"--nms is one of {', '.join(SUPPRESSIONS)}, got {nms!r}")
    if boxes is not None and detector is not None:
        raise ConfigError("give --boxes or --detector, not both")
    if boxes is not None:
        found, source = read_detections(boxes, dataset), str(boxes)
    elif detector is not None:
        finder = open_finder(detector, screen, threads, threshold=LIKELY)
        with bar(screen, "finding persons") as on_progress:
            found, source = detect(finder, dataset, on_progress=on_progress), finder.name
    else:
        say(screen, "boxes: from the annotations")
        return in_labelled_boxes
    left_out = "".join(f"; left out {count:,} {why}" for why, count in found.left_out.items())
    say(screen, f"boxes: {found.count:,} of {source}{left_out}", exact=True)
    return functools.partial(evaluate_detections, detections=found, source=source, nms=nms)
