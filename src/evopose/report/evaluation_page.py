"""The page of an evaluation: one self-contained HTML text that fetches nothing."""

import base64
import os
from contextlib import suppress
from html import escape
from importlib.resources import files
from pathlib import Path

from evopose.drawing import encode_image
from evopose.errors import DataError
from evopose.evaluation.error_kinds import KINDS, NEAR, RIGHT
from evopose.evaluation.keypoints import TITLES
from evopose.metrics.coco_ap import AP_NAMES
from evopose.report.evaluation_figures import (
    KIND_COLOURS,
    keypoints_figure,
    losses_figure,
    oks_figure,
    precision_figure,
)
from evopose.report.evaluation_tables import (
    INTERVAL,
    EvaluationFacts,
    PosePicture,
    comparison_rows,
    comparison_text,
    distance_rows,
    figure_text,
    keypoint_rows,
    kinds_text,
    loss_rows,
    matched_text,
    meaning_text,
)
from evopose.report.markup import Figures, sentence, table_html
from evopose.report.text import plural

NUMERIC = frozenset(
    {"mean OKS", *AP_NAMES, *KINDS, *TITLES.values(), "labelled", "AP gained", "count",
     "AP gained alone", "in turn", "AP then", "difference", INTERVAL, "better in"}
)  # fmt: skip


def write_evaluation_page(path: Path, facts: EvaluationFacts) -> Path:
    """Write the page, the whole of it or nothing, and return its path.

    Raises: DataError if it cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(evaluation_page(facts), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def evaluation_page(facts: EvaluationFacts) -> str:
    """Return the whole page as HTML."""
    figures = Figures()
    sections = {
        "numbers": ("The numbers", _numbers(facts)),
        "against": (f"Against {escape(facts.names[1])}", _against(facts)),
        "oks": ("How well persons are found", _oks(facts, figures)),
        "losses": ("What AP is lost to", _losses(facts, figures)),
        "keypoints": ("Keypoint by keypoint", _keypoints(facts, figures)),
        "precision": ("Precision and recall", _precision(facts, figures)),
        "worst": ("Where it is most wrong", _worst(facts)),
        "method": ("How it is done", _method(facts)),
    }
    shown = {key: (title, body) for key, (title, body) in sections.items() if body}
    links = "".join(f'<a href="#{key}">{title}</a>' for key, (title, _) in shown.items())
    content = "\n".join(
        f'<section id="{key}"><h2>{title}</h2>{body}</section>'
        for key, (title, body) in shown.items()
    )
    persons = plural(len(facts.evaluation.oks), "person")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(facts.names[0])} measured · evopose</title>"
        f"<style>{files('evopose.report').joinpath('style.css').read_text()}</style></head>\n"
        f"<body><main><header><h1>{escape(facts.names[0])} measured</h1>"
        f'<div class="muted">{persons}, {escape(facts.evaluation.origin)}.</div>'
        f"</header><nav>{links}</nav>\n"
        f"{content}\n<footer>Made by evopose. This page needs no network.</footer></main>"
        "</body></html>\n"
    )


def _numbers(facts: EvaluationFacts) -> str:
    numbers = {"mean OKS": facts.evaluation.mean_oks, **facts.evaluation.ap}
    cards = "".join(
        f'<div class="card{" first" if name == "AP" else ""}"><b>{figure_text(value)}</b>'
        f"<span>{escape(name)}</span></div>"
        for name, value in numbers.items()
    )
    terms = "".join(
        f"<dt>{escape(label)}</dt><dd>{escape(text)}</dd>" for label, text in facts.settings.items()
    )
    reasons = dict.fromkeys(facts.evaluation.undefined.values())
    why = "".join(
        f'<p class="note">{escape(", ".join(names))}: not defined, {escape(reason)}.</p>'
        for reason in reasons
        if (names := [n for n, said in facts.evaluation.undefined.items() if said == reason])
    )
    assumed = (
        '<p class="note">Nobody gave OKS sigmas for these keypoints: 0.05 each is assumed, so '
        "the figures compare models on this data and nothing else.</p>"
        if facts.sigmas_assumed
        else ""
    )
    notes = "".join(f"<li>{count:,} {escape(what)}</li>" for what, count in facts.notes.items())
    counted = f"<h3>Noticed</h3><ul>{notes}</ul>" if notes else ""
    return (
        f'<div class="cards">{cards}</div>{why}{assumed}<h3>Measured</h3><dl>{terms}</dl>{counted}'
    )


def _against(facts: EvaluationFacts) -> str:
    if facts.comparison is None:
        return ""
    table = table_html(comparison_rows(facts), numeric=NUMERIC | {*facts.names})
    return f"{table}<p class='note'>{escape(sentence(comparison_text(facts)))}</p>"


def _oks(facts: EvaluationFacts, figures: Figures) -> str:
    oks = {facts.names[0]: facts.evaluation.oks}
    if facts.other_evaluation is not None:
        oks[facts.names[1]] = facts.other_evaluation.oks
    return (
        "<p>OKS of each person: 1 where every labelled keypoint is on its place, about 0.5 where a "
        "person is roughly found.</p>"
        f"{figures.html(oks_figure(oks), 'persons by OKS')}"
    )


def _losses(facts: EvaluationFacts, figures: Figures) -> str:
    errors = facts.errors
    if errors.ap is None:
        return ""
    left = 1 - list(errors.in_turn.values())[-1]
    return (
        f"<p>AP is {figure_text(errors.ap)}. Each loss is mended alone (pale) and after those "
        f"above it (full). What is lacking to 1 then ({figure_text(left)}) is lost where keypoints "
        "are good, yet not on the label.</p>"
        f"{figures.html(losses_figure(errors), 'AP lost to each kind of error')}"
        f"{table_html(loss_rows(errors), numeric=NUMERIC, prose=frozenset({'what it is'}))}"
        f'<p class="note">{escape(sentence(matched_text(errors)))}</p>'
    )


def _keypoints(facts: EvaluationFacts, figures: Figures) -> str:
    errors, found = facts.errors, facts.evaluation.keypoints
    kinds = distances = ""
    if errors.counts.sum():
        kinds = (
            f"<p>Labelled keypoints of the results that fit a person: "
            f"{escape(kinds_text(errors))}.</p>"
            f"{figures.html(keypoints_figure(errors), 'kinds of errors of each keypoint')}"
            f"{table_html(keypoint_rows(errors), numeric=NUMERIC)}"
            '<p class="note">AP gained: with all errors of the one keypoint corrected.</p>'
        )
    if found.labelled.sum():
        distances = (
            "<h3>How far from their labels</h3>"
            f"{table_html(distance_rows(found), numeric=NUMERIC)}"
            '<p class="note">Of all persons with a pose, whether or not it fits them. '
            f"{escape(meaning_text(found))}.</p>"
        )
    return kinds + distances


def _precision(facts: EvaluationFacts, figures: Figures) -> str:
    if facts.errors.ap is None or not facts.errors.results:
        return ""
    return figures.html(precision_figure(facts.errors), "precision against recall")


def _worst(facts: EvaluationFacts) -> str:
    if not facts.worst:
        return f"<p>{escape(sentence(facts.no_pictures))}</p>" if facts.no_pictures else ""
    key = "".join(
        f'<li><i style="background:{colour}"></i>{kind}</li>'
        for kind, colour in KIND_COLOURS.items()
        if kind != "good"
    )
    shown = "".join(
        f'<h3>{escape(title)}</h3><div class="pairs">{"".join(map(_figure, pictures))}</div>'
        for title, pictures in facts.worst.items()
        if pictures
    )
    return (
        "<p>To the left what is labelled, to the right what the model finds of it, wrong keypoints "
        f'ringed. Keypoints without a label are not drawn.</p><ul class="key">{key}</ul>{shown}'
    )


def _figure(picture: PosePicture) -> str:
    encoded = base64.b64encode(encode_image(picture.image, ".jpg")).decode()
    return (
        f'<figure><img alt="{escape(picture.caption)}" src="data:image/jpeg;base64,{encoded}">'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
    )


def _method(facts: EvaluationFacts) -> str:
    texts = [
        "The ten numbers are COCO's. Errors are told after Ronchi and Perona (ICCV 2017): a result "
        "is matched to a person as COCO does, at an OKS of 0.1. Of its labelled keypoints one is "
        f"good where its similarity to the label is {RIGHT} or more; else the nearest of the label "
        "(jitter), the mirror keypoint (inversion) and others' keypoints (swap) decides; it is a "
        f"miss where even that is below {NEAR}.",
        "An error is corrected by putting the keypoint on its label. Scoring is mended by ranking "
        "results by their OKS, each person's best one. Then results that fit nobody and persons "
        "not found are taken away.",
    ]
    if facts.comparison is not None:
        texts.append(
            "Intervals: images are drawn with replacement, as many as there are, the same for both "
            "models, and judged as a dataset of its own; an interval spans the middle 95 % of the "
            "differences. An interval that holds 0 leaves open which model is better."
        )
    return "".join(f"<p>{escape(text)}</p>" for text in texts)
