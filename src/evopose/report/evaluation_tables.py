"""An evaluation as rows and sentences: the same in the terminal and on the page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evopose.drawing import Image
from evopose.evaluation.comparison import LEVEL, Comparison
from evopose.evaluation.error_analysis import LOSSES, ErrorAnalysis
from evopose.evaluation.error_kinds import FITS, KINDS
from evopose.evaluation.judging import Measured
from evopose.evaluation.keypoints import MEANING, TITLES, KeypointErrors
from evopose.metrics.coco_ap import AP_NAMES
from evopose.report.tables import Row
from evopose.report.text import MINUS, percent, plural

INTERVAL = f"{round(100 * LEVEL)} % interval"


@dataclass(frozen=True, kw_only=True)
class EvaluationFacts:
    """An evaluation and all that is told about it."""

    model: str
    settings: Mapping[str, str]
    """What was measured and how: label -> text, as the page shows it."""
    evaluation: Measured
    errors: ErrorAnalysis
    other: str | None = None
    """The model that it is measured against."""
    other_evaluation: Measured | None = None
    comparison: Comparison | None = None
    """The other first, the model second: positive differences are the model's gain."""
    worst: Mapping[str, Sequence["PosePicture"]] = field(default_factory=dict)
    """Pictures of persons by the title of their group."""
    no_pictures: str = ""
    """Why there are none, where that needs to be said."""
    notes: Mapping[str, int] = field(default_factory=dict)
    """What was decided or is odd, and how often."""
    sigmas_assumed: bool = False

    @property
    def names(self) -> tuple[str, str]:
        """What the model and the other are called, short and different; the other "" if none."""
        return short_names(self.model, self.other or "")


@dataclass(frozen=True, kw_only=True)
class PosePicture:
    """One person: what is labelled, beside it what the model finds."""

    image: Image
    caption: str


def short_names(first: str, second: str) -> tuple[str, str]:
    """Return two names without the folders that they share, and one alone with its last folder.

    >>> short_names("runs/a/model.safetensors", "runs/b/model.safetensors")
    ('a/model.safetensors', 'b/model.safetensors')
    >>> short_names("runs/a/model.safetensors", "")
    ('a/model.safetensors', '')
    >>> short_names("runs/a", "runs/a")
    ('runs/a', 'runs/a (again)')
    """
    if first == second:
        return first, f"{second} (again)"
    ours, theirs = first.split("/"), second.split("/")
    if not second:
        return "/".join(ours[-2:]), ""
    shared = 0
    while shared < min(len(ours), len(theirs)) - 1 and ours[shared] == theirs[shared]:
        shared += 1
    return "/".join(ours[shared:]), "/".join(theirs[shared:])


def figure_text(value: float | None) -> str:
    """Return a number between 0 and 1 with three places; a dash where it is not defined."""
    return "-" if value is None else f"{value:.3f}"


def change_text(value: float) -> str:
    """Return a difference with its sign and three places."""
    sign = MINUS if value < -0.0005 else "+" if value >= 0.0005 else ""
    return f"{sign}{abs(value):.3f}"


def numbers_row(mean_oks: float | None, numbers: Mapping[str, float | None]) -> Row:
    """Return mean OKS and COCO's ten numbers as a row."""
    shown = {"mean OKS": mean_oks, **{name: numbers[name] for name in AP_NAMES}}
    return {name: figure_text(value) for name, value in shown.items()}


def comparison_rows(facts: EvaluationFacts) -> list[Row]:
    """Return a row a number: of the model, of the other, and how they differ."""
    comparison, other = facts.comparison, facts.other_evaluation
    assert comparison is not None
    assert other is not None
    ours, theirs = facts.names
    rows = []
    for name in ("mean OKS", *AP_NAMES):
        found = comparison.differences.get(name)
        rows.append(
            {
                "": name,
                ours: figure_text(_value(facts.evaluation, name)),
                theirs: figure_text(_value(other, name)),
                "difference": change_text(found.difference) if found else "-",
                INTERVAL: f"{change_text(found.low)} to {change_text(found.high)}"
                if found
                else "-",
                "better in": percent(found.better) if found else "-",
            }
        )
    return rows


def _value(evaluation: Measured, name: str) -> float | None:
    return evaluation.mean_oks if name == "mean OKS" else evaluation.ap[name]


def comparison_text(facts: EvaluationFacts) -> str:
    """Return how the comparison was made, in a sentence or two."""
    comparison = facts.comparison
    assert comparison is not None
    most = max((one.resamples for one in comparison.differences.values()), default=0)
    fewer = {n: d.resamples for n, d in comparison.differences.items() if d.resamples < most}
    lacking = ", ".join(f"{name} in {count:,}" for name, count in fewer.items())
    ours, theirs = facts.names
    said = (
        f"difference: {ours} minus {theirs}; intervals and the share of better ones "
        f"from {most:,} resamples of the {plural(comparison.images, 'image')}, the same for both "
        f"(seed {comparison.seed})"
    )
    return f"{said}; defined only {lacking}" if lacking else said


def loss_rows(errors: ErrorAnalysis) -> list[Row]:
    """Return what each loss counts and costs, in the order in which they are mended."""
    counts = dict(zip(KINDS, errors.counts.sum(axis=0).tolist(), strict=True))
    labelled = sum(counts.values())
    told = errors.to_json()
    rows = []
    for name, meaning in LOSSES.items():
        if name in counts:
            size = f"{counts[name]:,} ({percent(counts[name] / max(labelled, 1))})"
        elif name == "scoring":
            size = ""
        else:
            size = f"{told[name.replace(' ', '_')]:,}"
        if name == "inversion" and not errors.inversions_known:
            meaning = "none: the skeleton has no mirror keypoints"
        gains = errors.ap is not None
        rows.append(
            {
                "loss": name,
                "what it is": meaning,
                "count": size,
                "AP gained alone": change_text(errors.gain(name)) if gains else "-",
                "in turn": change_text(errors.gain_in_turn(name)) if gains else "-",
                "AP then": figure_text(errors.in_turn.get(name)),
            }
        )
    return rows


def keypoint_rows(errors: ErrorAnalysis) -> list[Row]:
    """Return each keypoint's labels of matched persons, shares of kinds and cost."""
    rows = []
    for name, counts in zip(errors.keypoints, errors.counts.tolist(), strict=True):
        total = sum(counts)
        shares = {
            kind: percent(count / total) if total else ""
            for kind, count in zip(KINDS, counts, strict=True)
        }
        better = errors.by_keypoint.get(name)
        gain = "-" if better is None or errors.ap is None else change_text(better - errors.ap)
        rows.append({"keypoint": name, "labelled": f"{total:,}", **shares, "AP gained": gain})
    return rows


def distance_rows(found: KeypointErrors) -> list[Row]:
    """Return how far each keypoint is from its label, and all of them together, by the metrics
    that the skeleton permits."""
    shown = {what: title for what, title in TITLES.items() if what in found.values}
    places = [*enumerate(found.names), (None, "all")]
    return [
        {
            "keypoint": name,
            "labelled": f"{found.labelled.sum() if i is None else found.labelled[i]:,}",
            **{
                title: _metric_text(
                    what, found.values[what].all if i is None else float(found.values[what].each[i])
                )
                for what, title in shown.items()
            },
        }
        for i, name in places
    ]


def distance_text(found: KeypointErrors) -> str:
    """Return what `distance_rows` has of all keypoints, in a line."""
    *_, everything = distance_rows(found)
    told = ", ".join(f"{title} {everything[title]}" for title in TITLES.values()
                     if title in everything)  # fmt: skip
    return f"{everything['labelled']} labelled keypoints of persons with a pose: {told}"


def meaning_text(found: KeypointErrors) -> str:
    """Return what the metrics of `distance_rows` are."""
    return "; ".join(f"{TITLES[what]}: {MEANING[what]}" for what in TITLES if what in found.values)


def _metric_text(what: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    if what == "epe":
        return f"{value:.1f} px"
    return percent(value) if what.startswith("pck") else f"{value:.3f}"


def matched_text(errors: ErrorAnalysis) -> str:
    """Return how many results fit a person, in a sentence."""
    aside = errors.to_json()["set_aside"]
    left = (
        f"; {aside:,} set aside: on crowds or unlabelled persons, or not among an image's 20 best"
        if aside
        else ""
    )
    return (
        f"{errors.matched:,} of {plural(errors.results, 'result')} fit one of "
        f"{plural(errors.persons, 'person')} (OKS of {FITS} or more){left}"
    )


def kinds_text(errors: ErrorAnalysis) -> str:
    """Return the shares of the kinds among all keypoints of matched results."""
    counts = errors.counts.sum(axis=0)
    total = max(int(counts.sum()), 1)
    shares = (
        f"{kind} {percent(int(count) / total)}" for kind, count in zip(KINDS, counts, strict=True)
    )
    return ", ".join(shares)
