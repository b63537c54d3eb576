"""Results files judged: pycocotools' numbers, and what is wrong with files."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from coco_judge import judge, random_problem
from evopose.data.coco import ASSUMED_AREA
from evopose.errors import DataError
from evopose.evaluation.error_analysis import analyse_errors
from evopose.evaluation.quiet import without_lines
from evopose.evaluation.results import Score, score_results
from evopose.metrics.coco_ap import AP_NAMES
from evopose.skeleton import COCO_PERSON
from evopose.structures import Instance

PERSON = {
    "id": 4, "image_id": 7, "category_id": 1, "iscrowd": 0, "num_keypoints": 2,
    "keypoints": [10, 10, 2, 40, 60, 1, 0, 0, 0], "bbox": [0, 0, 60, 80], "area": 2500.0,
}  # fmt: skip
CONTENT = {
    "images": [{"id": 7}, {"id": 8}],
    "categories": [{"id": 1, "name": "dot", "keypoints": ["a", "b", "c"], "sigmas": [0.05] * 3}],
    "annotations": [PERSON, {**PERSON, "id": 5, "image_id": 8, "area": 9e4}],
}
FOUND = {
    "image_id": 7, "category_id": 1, "score": 0.5,
    "keypoints": [11.5, 9.5, 0.9, 43, 61, 0.8, 5, 5, 0.1],
}  # fmt: skip


@pytest.fixture
def scored(tmp_path):
    """A function that writes annotations and results (or text) and scores them."""

    def score(content, results, **options) -> Score:
        truth, found = tmp_path / "truth.json", tmp_path / "found.json"
        truth.write_text(json.dumps(content))
        found.write_text(results if isinstance(results, str) else json.dumps(results))
        return score_results(found, truth, **options)

    return score


def values(score: Score) -> list[float]:
    assert {name for name, value in score.ap.items() if value is None} == set(score.undefined)
    return [-1 if score.ap[name] is None else score.ap[name] for name in AP_NAMES]


def test_random_and_adversarial_files_equal_pycocotools(scored, capfd):
    """Among these are all the degenerate cases; `random_problem` lists them."""
    kinds = set()
    for seed in range(60):
        content, results = random_problem(np.random.default_rng(seed))
        if not any(one["category_id"] == 1 for one in results):
            results = []
        sigmas = content["categories"][0]["sigmas"]
        found = scored(content, results)
        np.testing.assert_allclose(
            values(found), judge(content, results, sigmas), rtol=0, atol=1e-12, err_msg=str(seed)
        )
        kinds |= {next((why[:12] for why in found.undefined.values()), "defined")}
        kinds |= {what[:20] for what in found.notes}
        kinds |= {"part" if 0 < (found.ap["AP"] or 0) < 1 else "extreme"}
    assert len(kinds) >= 12, kinds


@pytest.mark.parametrize("case", [0, 1])
def test_published_files_have_their_ten_numbers(shared, tmp_path, case):
    folder = shared / "data/conformance"
    case = json.loads((folder / "expected.json").read_text())["cases"][case]
    content = json.loads((folder / case["gt"]).read_text())
    if case["sigmas"] != "COCO":
        content["categories"][0]["sigmas"] = case["sigmas"]
    images = {one["id"] for one in content["images"]}
    results = [r for r in json.loads((folder / case["dt"]).read_text()) if r["image_id"] in images]
    truth, found = tmp_path / "truth.json", tmp_path / "found.json"
    truth.write_text(json.dumps(content))
    found.write_text(json.dumps(results))
    score = score_results(found, truth, assume_area=case["area"] != "as given")
    np.testing.assert_allclose(values(score), case["stats"], rtol=0, atol=1e-9)
    assert 0.5 < score.mean_oks < 1
    assert not score.skeleton.sigmas_assumed
    assert any("without area" in what for what in score.notes) == (case["area"] != "as given")


@pytest.mark.parametrize(
    ("content", "results"),
    [
        (CONTENT, []),
        (CONTENT, [FOUND]),
        (CONTENT, [FOUND] * 30),
        (CONTENT, [{**FOUND, "score": 2 - i} for i in range(3)]),
        ({**CONTENT, "annotations": []}, [FOUND]),
        ({**CONTENT, "annotations": [{**PERSON, "iscrowd": 1}]}, [FOUND, FOUND]),
        ({**CONTENT, "annotations": [{**PERSON, "area": 0}]}, [FOUND]),
        ({**CONTENT, "annotations": [{**PERSON, "area": 3e10}]}, [FOUND]),
        ({**CONTENT, "annotations": [{**PERSON, "num_keypoints": 0}]}, [FOUND]),
    ],
)
def test_degenerate_cases_equal_pycocotools(scored, content, results):
    found = scored(content, results)
    expected = judge(content, results, [0.05] * 3)
    np.testing.assert_allclose(values(found), expected, rtol=0, atol=1e-12)
    assert (expected.min() >= 0) == (found.undefined == {})


def test_the_best_oks_by_hand(scored):
    person = CONTENT["annotations"][0]
    far = {**FOUND, "keypoints": [500.0] * 9, "score": 0.9}
    squared = np.array([1.5**2 + 0.5**2, 3**2 + 1])
    by_hand = np.exp(-squared / (2 * person["area"] * 0.1**2)).mean()
    assert scored(CONTENT, [far, FOUND]).mean_oks == pytest.approx(by_hand / 2)  # of 2 persons
    assert scored(CONTENT, []).mean_oks == 0
    assert scored({**CONTENT, "annotations": []}, []).mean_oks is None


def test_the_error_analysis_starts_from_the_ap(scored):
    """Its own matching of adversarial files, far keypoints and boxes that contradict among them."""
    defined = 0
    for seed in range(40):
        content, results = random_problem(np.random.default_rng(seed))
        results = [one for one in results if one["category_id"] == 1]
        found = scored(content, results)
        if found.ap["AP"] is not None:
            defined += 1
            assert found.errors.ap == pytest.approx(found.ap["AP"], abs=1e-12), seed
    assert defined > 20


def test_errors_and_distances_equal_those_of_values(scored):
    """The same persons and results, as columns of files and as values."""
    for seed in range(12):
        content, results = random_problem(np.random.default_rng(seed))
        results = [one for one in results if one["category_id"] == 1 and "bbox" not in one]
        count = len(content["categories"][0]["sigmas"])
        people = []
        for one in content["annotations"]:
            pose = np.array(one["keypoints"], np.float64).reshape(count, 3)
            one["num_keypoints"] = int((pose[:, 2] > 0).sum())
            box = np.add(one["bbox"], [0, 0, *one["bbox"][:2]])
            if one["category_id"] == 1:
                people.append(
                    Instance(id=one["id"], image_id=one["image_id"], area=one["area"],
                             is_crowd=bool(one["iscrowd"]), keypoints=pose, box_xyxy=box)
                )  # fmt: skip
        found = scored(content, results)
        assert found.errors.to_json() == analyse_errors(people, results, found.skeleton).to_json()
        posed = found.nearest >= 0
        for place, result in zip(found.whom[posed], found.nearest[posed], strict=True):
            image = found.problem.images[found.problem.person_image[place]]
            assert image == results[result]["image_id"]
        labelled = found.problem.labelled[found.whom[posed]]
        assert found.keypoints.labelled.tolist() == labelled.sum(axis=0).tolist()
        scored_oks = found.keypoints.values["oks"]
        assert np.isnan(scored_oks.all) or 0 <= scored_oks.all <= 1


def test_sides_that_cannot_be_read_are_done_without_and_counted(scored):
    named = {**CONTENT["categories"][0], "keypoints": ["a", "left_b", "right_c"]}
    found = scored({**CONTENT, "categories": [named]}, [FOUND])
    assert found.errors.inversions_known is False
    (note,) = [what for what in found.notes if "nothing counts as an inversion" in what]
    assert "left_b" in note
    paired = {**named, "keypoints": ["a", "left_b", "right_b"]}
    assert scored({**CONTENT, "categories": [paired]}, [FOUND]).errors.inversions_known


def test_why_numbers_are_not_defined(scored):
    small = {**CONTENT, "annotations": [{**PERSON, "area": 100.0}]}
    assert scored(small, []).undefined == {
        "APM": "no person has from 32 x 32 to 96 x 96 pixels",
        "ARM": "no person has from 32 x 32 to 96 x 96 pixels",
        "APL": "no person has above 96 x 96 pixels",
        "ARL": "no person has above 96 x 96 pixels",
    }
    huge = {**CONTENT, "annotations": [{**PERSON, "area": 2e10}]}
    assert "100000 x 100000 pixels or less" in scored(huge, [FOUND]).undefined["AP"]
    crowd = {**CONTENT, "annotations": [{**PERSON, "iscrowd": 1}]}
    assert set(scored(crowd, [FOUND]).undefined) == set(AP_NAMES)
    assert scored({**CONTENT, "annotations": []}, [FOUND]).undefined["AP"] == (
        "there are no annotations"
    )


def changed(**fields):
    return {name: value for name, value in {**FOUND, **fields}.items() if value != "gone"}


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ("", "is not JSON, or is cut off"),
        (json.dumps([FOUND])[:-20], "is not JSON, or is cut off"),
        ({"annotations": [FOUND]}, "the keys annotations .are the two files exchanged"),
        ({}, "got an empty object"),
        ("null", "got NoneType"),
        ([FOUND, 3], "entries that are no objects: at position 1"),
        ([FOUND, changed(image_id="gone")], "without image_id, counted from 0: 1"),
        ([FOUND, changed(category_id="gone")], "without category_id, counted from 0: 1"),
        ([FOUND, changed(keypoints="gone")], "without keypoints, counted from 0: 1"),
        ([FOUND, changed(score="gone")], "without score, counted from 0: 1"),
        ([changed(score=None)], "without score"),
        ([FOUND, changed(score=float("nan"))], "score must be a finite number; .*: 1 .nan."),
        ([changed(score=float("inf"))], "score must be a finite number"),
        ([changed(score="0.5")], "score must be a finite number"),
        ([changed(score=True)], "score must be a finite number"),
        ([changed(keypoints=[float("nan")] * 9)], "keypoints must be finite numbers; .*: 0"),
        ([changed(keypoints=[float("-inf")] * 9)], "keypoints must be finite numbers"),
        ([changed(keypoints=[10**400] * 9)], "keypoints must be finite numbers"),
        ([changed(keypoints=[None] * 9)], "keypoints must be finite numbers"),
        ([FOUND, changed(keypoints=[1.0] * 6)], r"must be 9 numbers.*of the 3.*: 1 \(6\)"),
        ([changed(keypoints=[1.0])], r"must be 9 numbers.*: 0 \(1\)"),
        ([changed(keypoints=[])], r"must be 9 numbers.*: 0 \(0\)"),
        ([changed(keypoints="text")], "must be 9 numbers.*no list"),
        ([changed(keypoints=[[1, 2, 3]] * 9)], "keypoints must be finite numbers"),
        (
            [FOUND, changed(image_id=9)],
            r"results are of images that .* does not list \(1 results\).*: 9",
        ),
        ([changed(image_id="7")], "image_id must be a whole number of 0 or more"),
        ([changed(image_id=-7)], "image_id must be a whole number of 0 or more"),
        ([changed(image_id=2**70)], "image_id must be a whole number of 0 or more"),
        ([changed(category_id=2)], r"no result is of category 1 \(dot\).*category_id is 2"),
        ([changed(bbox=[1, 2, 3, 4]), FOUND], "bbox must be 4 numbers.*: 1 .None"),
        ([changed(segmentation=[[1, 2, 3, 4, 5, 6]])], "take segmentation out"),
    ],
)
def test_results_that_cannot_be_judged_are_refused(scored, results, said):
    with pytest.raises(DataError, match=said):
        scored(CONTENT, results)


def annotated(**fields):
    person = {name: value for name, value in {**PERSON, **fields}.items() if value != "gone"}
    return {**CONTENT, "annotations": [person, CONTENT["annotations"][1]]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([PERSON], "is not COCO keypoint JSON"),
        ({**CONTENT, "images": []}, "lists no images"),
        ({**CONTENT, "categories": [{"id": 1, "name": "dot"}]}, "no category names keypoints"),
        (annotated(area="gone"), "add it, or say --assume-area .*annotations without: 4"),
        (annotated(area=float("nan")), "area must be a number"),
        (annotated(area=-1), "areas must be 0 or more"),
        (annotated(id=5), "ids of annotations must differ; given twice: 5"),
        (annotated(image_id=9), "image_id must name one of the images"),
        (annotated(keypoints=[1, 2, 2]), r"keypoints must be 9 numbers.*: 4 \(3\)"),
        (annotated(keypoints=[float("nan")] * 9), "not all finite numbers"),
        (annotated(keypoints=[0] * 9, bbox="gone"), "need a bbox"),
        (annotated(iscrowd=2), "iscrowd must be 0 or 1"),
        ({k: v for k, v in CONTENT.items() if k != "annotations"}, "nothing can be judged by it"),
        (annotated(num_keypoints="many"), "whole number as 'num_keypoints'"),
    ],
)
def test_annotations_that_cannot_judge_are_refused(scored, content, said):
    with pytest.raises(DataError, match=said):
        scored(content, [FOUND])


def test_an_area_is_assumed_if_that_is_asked_for(scored):
    found = scored(annotated(area="gone"), [FOUND], assume_area=True)
    given = scored(annotated(area=ASSUMED_AREA * 60 * 80), [FOUND])
    assert found.ap == given.ap
    assert found.notes == {
        "annotations without area: 0.53 times their box is taken": 1,
        "persons to be found in images without results": 1,
    }


def test_decisions_are_counted(scored):
    other = {"id": 2, "name": "ball"}
    content = {
        **annotated(id=0, num_keypoints=3, keypoints=[10, 10, 2, 40, 60, 7, 0, 0, 0]),
        "categories": [*CONTENT["categories"], other],
    }
    twins = [dict(FOUND) for _ in range(3)]
    almost = changed(keypoints=[*FOUND["keypoints"][:-1], 0.11])
    results = [*twins, almost, changed(category_id=2), *[changed(score=0.4)] * 30]
    notes = {
        what.split(",")[0].split(";")[0]: n for what, n in scored(content, results).notes.items()
    }
    assert notes == {
        "annotations whose num_keypoints is not how many keypoints are labelled": 1,
        "annotation with id 0": 1,
        "keypoints whose visibility is not 0": 1,
        "results of other categories": 1,
        "results that equal an earlier one in image": 2 + 29,
        "results beyond the 20 of the highest scores in their image": 14,
        "persons to be found in images without results": 1,
    }
    # With id 0 pycocotools loses its matches: the same file numbered from 1 is the one to equal.
    content["annotations"][0]["id"] = 1
    np.testing.assert_allclose(
        values(scored(content, results)), judge(content, results, [0.05] * 3), atol=1e-12
    )


def test_python_reads_what_hotcoco_refuses(scored):
    """Odd fields that play no part: an empty box, a key twice."""
    plain = scored(CONTENT, [FOUND, FOUND])
    text = json.dumps([FOUND, changed(bbox=[])])
    assert scored(CONTENT, text) == plain
    assert scored(CONTENT, text.replace('"score": 0.5', '"score": 0.1, "score": 0.5')) == plain


def test_sigmas_are_coco_s_or_said_to_be_assumed(scored):
    plain = {k: v for k, v in CONTENT["categories"][0].items() if k != "sigmas"}
    found = scored({**CONTENT, "categories": [plain]}, [FOUND])
    assert found.metrics()["sigmas_assumed"] is True
    coco = {**plain, "keypoints": list(COCO_PERSON.keypoints), "skeleton": [[99, 1]]}
    people = [{**PERSON, "keypoints": [3, 4, 2] * 17, "num_keypoints": 17}]
    known = scored({**CONTENT, "categories": [coco], "annotations": people}, [])
    assert known.skeleton.sigmas == COCO_PERSON.sigmas
    assert not known.skeleton.sigmas_assumed


def test_hotcoco_says_nothing_of_its_own(scored, capfd):
    scored(CONTENT, [FOUND, changed(category_id=7)])
    with pytest.raises(DataError, match="does not list"):
        scored(CONTENT, [changed(image_id=9)])
    assert capfd.readouterr() == ("", "")


def test_what_others_say_meanwhile_comes_out(capfd):
    with without_lines(b"a library: "):
        os.write(2, b"a library: of no use\nof use\n")
    os.write(2, b"a library: later\n")
    assert capfd.readouterr().err == "of use\na library: later\n"


def test_scoring_loads_no_torch():
    code = (
        "import sys, evopose.evaluation.results, evopose.cli.scoring; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
