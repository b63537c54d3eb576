"""`evopose evaluate` on labelled images: figures, what goes wrong, and a second model beside it."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from evopose.cli.bars import bar
from evopose.cli.evaluate_boxes import find_boxes
from evopose.cli.evaluate_words import (
    against_json,
    beside,
    notes_on,
    print_evaluation,
    settings,
    write_all,
)
from evopose.cli.live import DataDisplay
from evopose.cli.options import print_json, say
from evopose.data.coco import ASSUMED_AREA
from evopose.data.layouts import open_dataset
from evopose.evaluation.detected import Detections, evaluate_detections
from evopose.evaluation.error_analysis import analyse_errors
from evopose.evaluation.evaluate import evaluate as evaluate_in_labelled_boxes
from evopose.evaluation.evaluate import some_images
from evopose.report.evaluation_tables import EvaluationFacts
from evopose.structures import PoseDataset

if TYPE_CHECKING:
    from evopose.evaluation.judging import Evaluation
    from evopose.evaluation.pose_scores import ScoreRules
    from evopose.inference.pipeline import Pipeline


def open_split(
    screen: Console, data: str, annotations: str | None, split: str, limit: int | None
) -> PoseDataset:
    """Return the split, or some of its images, and tell what it is.

    Raises: DataError as `open_dataset`; ConfigError as `some_images`.
    """
    opened = open_dataset(
        data, annotations=annotations, only=(split,), on_progress=DataDisplay(screen)
    )
    dataset = opened.named(split)
    if limit is not None:
        dataset = some_images(dataset, limit)
    assumed = "; its OKS sigmas are assumed, 0.05 each" if dataset.skeleton.sigmas_assumed else ""
    say(
        screen,
        f"data: {data}, {split}: {len(dataset.trainable):,} persons in {len(dataset.images):,} "
        f"images{assumed}",
    )
    if dataset.areas_assumed:
        say(
            screen,
            f"areas: {dataset.areas_assumed:,} persons have none; {ASSUMED_AREA} times their box "
            "is taken for it",
        )
    return dataset


def measure(
    screen: Console,
    pipeline: "Pipeline",
    dataset: PoseDataset,
    *,
    label: str,
    how: Mapping[str, Any],
    rules: "ScoreRules",
    boxes: Path | None,
    detector: str | None,
    threads: int,
    against: str | None,
    rival: "Pipeline | None",
    out: Path | None,
    as_json: bool,
) -> None:
    """Measure the pipeline and its rival, if there is one, and tell and write what was found.

    `label` is what to call the pipeline, `against` the rival, `how` what metrics.json says of how
    it was asked for.
    """
    looked_into = find_boxes(screen, dataset, boxes, detector, threads)
    evaluate = _evaluator(looked_into, rules)
    with bar(screen, "evaluating") as on_progress:
        found = evaluate(pipeline, dataset, on_progress=on_progress)
    errors = analyse_errors(dataset.instances, found.results, dataset.skeleton)
    notes = notes_on(found, rules, looked_into[0].count if looked_into else None)
    about = {
        **how, "sigmas_assumed": dataset.skeleton.sigmas_assumed,
        "areas_assumed": dataset.areas_assumed, **found.metrics(), "notes": notes,
        "errors": errors.to_json(),
    }  # fmt: skip
    facts = EvaluationFacts(
        model=label, settings=settings(about), evaluation=found, errors=errors, notes=notes,
        sigmas_assumed=dataset.skeleton.sigmas_assumed,
    )  # fmt: skip
    if rival is not None and against is not None:
        with bar(screen, f"evaluating {against}") as on_progress:
            other = evaluate(rival, dataset, on_progress=on_progress)
        facts = beside(facts, found, against, other, dataset)
        about["against"] = against_json(facts, other)
    if out is not None:
        write_all(out, facts, about, found, dataset)
    if as_json:
        print_json(about | {"folder": str(out) if out else None})
        return
    print_evaluation(screen, facts)
    if out is not None:
        say(screen, f"wrote results.json, metrics.json and report.html to {out}", exact=True)


def _evaluator(
    looked_into: tuple[Detections, str] | None, rules: "ScoreRules"
) -> "Callable[..., Evaluation]":
    """Return what evaluates a pipeline in these boxes; None: the labelled ones."""
    if looked_into is None:
        return functools.partial(evaluate_in_labelled_boxes, rules=rules)
    found, source = looked_into
    return functools.partial(evaluate_detections, detections=found, source=source, rules=rules)
