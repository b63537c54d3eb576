"""The page of an evaluation: what it tells, and that it is whole."""

import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from evopose.errors import DataError
from evopose.evaluation.comparison import compare
from evopose.evaluation.error_analysis import LOSSES, analyse_errors
from evopose.evaluation.judging import Evaluation, as_results, judge
from evopose.evaluation.keypoints import keypoint_errors
from evopose.metrics.coco_ap import AP_NAMES
from evopose.report.evaluation_figures import (
    KIND_COLOURS,
    keypoints_figure,
    losses_figure,
    oks_figure,
    precision_figure,
)
from evopose.report.evaluation_page import evaluation_page, write_evaluation_page
from evopose.report.evaluation_pictures import SIZE_HW, worst_pictures
from evopose.report.evaluation_tables import (
    INTERVAL,
    EvaluationFacts,
    change_text,
    comparison_rows,
    comparison_text,
    distance_rows,
    distance_text,
    keypoint_rows,
    loss_rows,
)
from evopose.skeleton import Skeleton
from evopose.structures import ImageRecord, Instance, PoseDataset

SKELETON = Skeleton(
    keypoints=("nose", "left_hand", "right_hand"), limbs=((0, 1), (0, 2)), flip_pairs=((1, 2),)
)
MODEL, OTHER = "runs/<b>a</b>/model.safetensors", "runs/b/model.safetensors"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> PoseDataset:
    """Eight images of two persons each, the second person to the right of the first."""
    folder = tmp_path_factory.mktemp("images")
    records, people = [], []
    for image in range(1, 9):
        path = folder / f"{image}.png"
        cv2.imwrite(str(path), np.full((200, 400, 3), 90, np.uint8))
        records.append(ImageRecord(id=image, path=path, height=200, width=400))
        for left in (20.0, 220.0):
            xy = np.array([[left + 70, 30], [left + 10, 150], [left + 140, 150]])
            people.append(
                Instance(
                    id=len(people) + 1, image_id=image, area=4000.0,
                    keypoints=np.column_stack([xy, [2, 2, 2]]).astype(np.float32),
                    box_xyxy=np.array([left, 10, left + 160, 180]),
                )
            )  # fmt: skip
    return PoseDataset(
        name="made up", skeleton=SKELETON, images=tuple(records), instances=tuple(people)
    )


def measured(dataset: PoseDataset, change) -> Evaluation:
    people = dataset.instances
    truth = np.stack([one.keypoints for one in people]).astype(float)
    found = truth.copy()
    for place, pose in enumerate(found):
        change(place, pose)
    scores = 0.9 - 0.01 * np.arange(len(people))
    results = as_results([one.image_id for one in people], found, scores)
    return judge(
        dataset, list(people), results, nearest=np.arange(len(people)), boxes="ground truth"
    )


def turn_and_lose(place: int, pose: np.ndarray) -> None:
    """Turn persons 0 and 4, swap a hand of person 2, lose all of person 7."""
    if place in (0, 4):
        pose[[1, 2]] = pose[[2, 1]]
    if place == 2:
        pose[1, 0] += 200
    if place == 7:
        pose[:, 1] -= 400


@pytest.fixture(scope="module")
def facts(dataset) -> EvaluationFacts:
    evaluation = measured(dataset, turn_and_lose)
    return EvaluationFacts(
        model=MODEL,
        settings={"data": "people/ & more"},
        evaluation=evaluation,
        errors=analyse_errors(dataset.instances, evaluation.results, SKELETON),
        sigmas_assumed=True,
    )


@pytest.fixture(scope="module")
def both(dataset, facts) -> EvaluationFacts:
    other = measured(dataset, lambda place, pose: None)
    comparison = compare(dataset, other, facts.evaluation, resamples=100)
    return replace(facts, other=OTHER, other_evaluation=other, comparison=comparison)


def test_the_page_tells_numbers_losses_and_keypoints(facts):
    page = evaluation_page(facts)
    for name in ("mean OKS", *AP_NAMES, *LOSSES, *SKELETON.keypoints):
        assert name in page
    assert f"<b>{facts.evaluation.ap['AP']:.3f}</b><span>AP</span>" in page
    assert "15 of 16 results fit one of 16 persons" in page
    assert "APL, ARL: not defined, no person has above 96 x 96 pixels" in page
    assert "0.05 each is assumed" in page
    assert 'id="against"' not in page
    assert 'id="worst"' not in page


def test_the_page_is_whole_and_escapes_what_comes_in(both):
    page = evaluation_page(both)
    assert "<b>a</b>/model" not in page
    assert "people/ &amp; more" in page
    bare = re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.S)
    assert not re.search(r"(src|href)=[\"'](https?:)?//", bare)
    assert page.count("plotly.js v") == 1
    assert [tag for tag in ("section", "table", "figure") if
            page.count(f"<{tag}") != page.count(f"</{tag}>")] == []  # fmt: skip


def test_the_comparison_on_the_page(both):
    page = evaluation_page(both)
    assert "Against b/model.safetensors" in page
    assert "from 100 resamples of the 8 images" in comparison_text(both)
    rows = {row[""]: row for row in comparison_rows(both)}
    ours, theirs = both.names
    assert list(rows) == ["mean OKS", *AP_NAMES]
    assert rows["AP"][theirs] == "1.000"
    assert rows["AP"][ours] == f"{both.evaluation.ap['AP']:.3f}"
    assert rows["AP"]["difference"].startswith("\N{MINUS SIGN}")
    assert rows["AP"]["better in"] == "0 %"
    assert rows["APL"] == {"": "APL", ours: "-", theirs: "-", "difference": "-", INTERVAL: "-",
                           "better in": "-"}  # fmt: skip


def test_rows_of_losses_and_keypoints(facts):
    losses = {row["loss"]: row for row in loss_rows(facts.errors)}
    assert losses["inversion"]["count"] == "4 (8.9 %)"
    assert losses["swap"]["count"] == "1 (2.2 %)"
    assert losses["not found"]["count"] == losses["background"]["count"] == "1"
    assert losses["not found"]["AP then"] == "1.000"
    keypoints = {row["keypoint"]: row for row in keypoint_rows(facts.errors)}
    assert keypoints["nose"]["good"] == "100 %"
    assert keypoints["left_hand"]["labelled"] == "15"
    assert keypoints["right_hand"]["inversion"] == "13 %"
    assert keypoints["left_hand"]["AP gained"].startswith("+")
    plain = replace(facts.errors, inversions_known=False)
    assert "no mirror keypoints" in loss_rows(plain)[2]["what it is"]


def test_rows_of_distances(facts):
    found = facts.evaluation.keypoints
    rows = {row["keypoint"]: row for row in distance_rows(found)}
    assert list(rows) == [*SKELETON.keypoints, "all"]
    assert list(rows["all"]) == ["keypoint", "labelled", "OKS", "PCK@0.2", "AUC", "EPE", "NME"]
    assert rows["nose"]["labelled"] == "16"
    assert rows["nose"]["PCK@0.2"] == "94 %"  # but that of person 7
    assert rows["nose"]["EPE"] == "25.0 px"  # 400 of one in 16
    assert rows["all"]["labelled"] == "48"
    page = evaluation_page(facts)
    assert "How far from their labels" in page
    assert "EPE: mean distance in pixels" in page
    assert distance_text(found).startswith("48 labelled keypoints of persons with a pose: OKS 0.")
    empty = keypoint_errors(
        np.empty((0, 3, 3)), np.empty((0, 3, 3)), boxes_xyxy=np.empty((0, 4)), areas=np.empty(0),
        skeleton=Skeleton(keypoints=("head_top", "upper_neck", "tail")),
    )  # fmt: skip
    assert distance_rows(empty)[-1]["PCKh@0.5"] == "-"


def test_notes_and_missing_pictures_are_said(facts):
    page = evaluation_page(replace(facts, notes={"<poses> of score 0": 1234}, no_pictures="none"))
    assert "<li>1,234 &lt;poses&gt; of score 0</li>" in page
    assert "<p>None.</p>" in page


def test_figures_show_what_was_counted(facts, both):
    found = oks_figure({"a": facts.evaluation.oks, "b": both.other_evaluation.oks})
    assert [sum(trace["y"]) for trace in found["data"]] == [16, 16]
    assert found["data"][1]["y"][-1] == 16
    alone, turn = losses_figure(facts.errors)["data"]
    assert alone["y"] == turn["y"] == list(LOSSES)
    assert sum(turn["x"]) == pytest.approx(1 - facts.errors.ap, abs=1e-4)
    stacked = keypoints_figure(facts.errors)["data"]
    assert [trace["name"] for trace in stacked] == list(KIND_COLOURS)
    np.testing.assert_allclose(np.sum([trace["x"] for trace in stacked], axis=0), 1, atol=1e-3)
    curves = precision_figure(facts.errors)["data"]
    assert np.mean(curves[2]["y"]) == pytest.approx(facts.errors.ap, abs=1e-3)


def test_pictures_of_the_worst(dataset, facts):
    groups = worst_pictures(dataset, facts.evaluation, worst=2, each=5)
    lowest, inverted, swapped = groups.values()
    assert [one.caption for one in lowest] == [
        "OKS 0.00: miss 3. Annotation 8, 4.png",
        "OKS 0.33: good 1, inversion 2. Annotation 1, 1.png",
    ]
    assert [one.caption.split(" Annotation ")[1] for one in inverted] == ["1, 1.png", "5, 3.png"]
    assert [one.caption for one in swapped] == ["OKS 0.67: good 2, swap 1. Annotation 3, 2.png"]
    picture = inverted[0].image
    assert picture.shape == (SIZE_HW[0], 2 * SIZE_HW[1] + 4, 3)
    ring = [int(KIND_COLOURS["inversion"][i : i + 2], 16) for i in (1, 3, 5)]
    left, right = picture[:, : SIZE_HW[1]], picture[:, -SIZE_HW[1] :]
    assert (left == ring).all(axis=2).sum() == 0
    assert (right == ring).all(axis=2).sum() > 60  # two rings
    page = evaluation_page(replace(facts, worst=groups))
    assert page.count("<figure>") == 5
    assert "The most inversions" in page


def test_nothing_found_and_nobody_there(facts, dataset):
    nothing = replace(facts, errors=analyse_errors(dataset.instances, [], SKELETON))
    page = evaluation_page(nothing)
    assert 'id="losses"' in page
    assert "kinds of errors of each keypoint" not in page
    nobody = replace(facts, errors=analyse_errors([], [], SKELETON))
    assert 'id="losses"' not in evaluation_page(nobody)
    assert {row["AP then"] for row in loss_rows(nobody.errors)} == {"-"}


def test_differences_have_signs():
    minus = "\N{MINUS SIGN}"
    assert [change_text(v) for v in (0.0123, -0.2, 0.0004, -0.0004, 0)] == [
        "+0.012", f"{minus}0.200", "0.000", "0.000", "0.000",
    ]  # fmt: skip


def test_a_page_that_cannot_be_written_is_told(facts, tmp_path):
    assert write_evaluation_page(tmp_path / "report.html", facts).stat().st_size > 1e6
    with pytest.raises(DataError, match="cannot write"):
        write_evaluation_page(tmp_path / "none" / "report.html", facts)
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]
