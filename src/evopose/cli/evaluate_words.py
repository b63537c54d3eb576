"""How `evopose evaluate` tells and writes what it measured."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from evopose.cli.options import say, table
from evopose.evaluation.comparison import compare
from evopose.evaluation.error_analysis import LOSSES
from evopose.evaluation.judging import Evaluation
from evopose.evolution.database import errors_of
from evopose.report.evaluation_page import write_evaluation_page
from evopose.report.evaluation_pictures import worst_pictures
from evopose.report.evaluation_tables import (
    EvaluationFacts,
    change_text,
    comparison_rows,
    comparison_text,
    distance_text,
    figure_text,
    kinds_text,
    matched_text,
    numbers_row,
)
from evopose.structures import PoseDataset

if TYPE_CHECKING:
    from evopose.evaluation.pose_scores import ScoreRules

_SETTINGS = (
    "model", "weights", "data", "split", "limit", "boxes", "nms", "nms_keypoint_threshold",
    "keypoint_threshold", "refine", "decoder",
)  # fmt: skip


def settings(about: Mapping[str, Any]) -> dict[str, str]:
    """Return what was measured and how, label -> text, without what was not asked for."""
    given = {name: about[name] for name in _SETTINGS if about.get(name) is not None}
    shown = {name.replace("_", " "): str(value) for name, value in given.items()}
    return shown | {
        "persons": f"{about['persons']:,}",
        "flip test": "on" if about["flip_test"] else "off",
    }


def notes_on(found: Evaluation, rules: "ScoreRules", boxes: int | None) -> dict[str, int]:
    """Return what became of poses without a word, counted; `boxes` is how many were looked into, if
    a detector found them."""
    blank = sum(one["score"] == 0 for one in found.results)
    counted = {
        f"poses of score 0: none of their keypoints scores above {rules.counted_above:g} "
        "(--keypoint-threshold)": blank,
        f"poses left out, on others of a higher score (--nms {rules.nms})": (
            boxes - len(found.results) if boxes is not None else 0
        ),
    }
    return {what: count for what, count in counted.items() if count}


def beside(
    facts: EvaluationFacts, found: Evaluation, name: str, other: Evaluation, dataset: PoseDataset
) -> EvaluationFacts:
    """Return the facts of what was found with another model's evaluation of the same data beside
    them."""
    comparison = compare(dataset, other, found)
    return replace(facts, other=name, other_evaluation=other, comparison=comparison)


def against_json(facts: EvaluationFacts, other: Evaluation) -> dict[str, Any]:
    """Return the other model's numbers and the differences as JSON values.

    In the differences it is the first, the measured model the second.
    """
    assert facts.comparison is not None
    return {
        "model": facts.other,
        **other.metrics(),
        "comparison": facts.comparison.to_json(),
    }


def print_evaluation(screen: Console, facts: EvaluationFacts) -> None:
    """Print the numbers, the comparison if there is one, and what goes wrong."""
    found = facts.evaluation
    if facts.comparison is None:
        screen.print(table([numbers_row(found.mean_oks, found.ap)]))
    else:
        screen.print(table(comparison_rows(facts), left=("",)))
        say(screen, comparison_text(facts))
    for reason in dict.fromkeys(found.undefined.values()):
        names = [name for name, why in found.undefined.items() if why == reason]
        say(screen, f"{', '.join(names)}: not defined, {reason}")
    errors = facts.errors
    say(screen, matched_text(errors))
    if errors.matched:
        say(screen, f"their labelled keypoints: {kinds_text(errors)}")
    if found.keypoints.labelled.sum():
        say(screen, distance_text(found.keypoints))
    if errors.ap is not None:
        screen.print(table(_losses(facts), title="AP lost to", left=("",)))
    for what, count in facts.notes.items():
        say(screen, f"{count:,} {what}")


def _losses(facts: EvaluationFacts) -> list[dict[str, str]]:
    """Return what each loss costs, short enough for a terminal."""
    errors = facts.errors
    return [
        {"": "mended alone"} | {name: change_text(errors.gain(name)) for name in LOSSES},
        {"": "in turn"} | {name: change_text(errors.gain_in_turn(name)) for name in LOSSES},
        {"": "AP then"} | {name: figure_text(errors.in_turn[name]) for name in LOSSES},
    ]


def write_all(
    out: Path,
    facts: EvaluationFacts,
    about: Mapping[str, Any],
    found: Evaluation,
    dataset: PoseDataset,
) -> None:
    """Write results.json, metrics.json and report.html of a model into the folder.

    Raises: DataError if a file cannot be written, or an image not be read again.
    """
    with errors_of(out):
        out.mkdir(parents=True, exist_ok=True)
        (out / "results.json").write_text(json.dumps(found.results))
    write_figures(out, replace(facts, worst=worst_pictures(dataset, found)), about)


def write_figures(out: Path, facts: EvaluationFacts, about: Mapping[str, Any]) -> None:
    """Write metrics.json and report.html into the folder.

    Raises: DataError if a file cannot be written.
    """
    with errors_of(out):
        out.mkdir(parents=True, exist_ok=True)
        (out / "metrics.json").write_text(json.dumps(about, indent=1))
    write_evaluation_page(out / "report.html", facts)
