"""OKS, matching and accumulation on arrays equal `oks` and `coco_ap`, which pycocotools judges."""

import json
from dataclasses import replace

import numpy as np
import pytest

from evopose.evaluation.comparison import ten_numbers
from evopose.evaluation.matching import Matches, contenders, match
from evopose.evaluation.problem import best_oks, make_problem
from evopose.metrics import oks
from evopose.metrics.coco_ap import AP_NAMES, coco_ap
from evopose.skeleton import COCO_PERSON
from evopose.structures import Instance

SIGMAS = (0.05, 0.08, 0.03)


def random_people(rng: np.random.Generator) -> list[Instance]:
    """Return persons of 6 images: crowds, unlabelled ones, and areas at the limits among them."""
    people = []
    for number in range(1, 26):
        xy = rng.uniform(0, 120, (3, 2))
        visibility = rng.integers(0, 3, (3, 1)) * (rng.random() > 0.15)
        left, top = rng.uniform(0, 60, 2)
        people.append(
            Instance(
                id=number,
                image_id=int(rng.integers(1, 7)),
                box_xyxy=np.array([left, top, left + 60, top + 60]),
                keypoints=np.concatenate([xy, visibility], axis=1).astype(np.float32),
                area=float(rng.choice([32.0**2, 96.0**2, rng.uniform(500, 20000)])),
                is_crowd=bool(rng.random() < 0.15),
            )
        )
    return people


def random_results(rng: np.random.Generator, people: list[Instance], most: int = 7) -> list[dict]:
    """Return none to several a person, with scores that tie within and across images."""
    found = []
    for one in people:
        for _ in range(rng.integers(0, most)):
            pose = one.keypoints.astype(float)
            pose[:, :2] += rng.normal(0, rng.uniform(0, 12), (3, 2))
            row = {"image_id": one.image_id, "keypoints": pose.ravel().tolist()}
            found.append(row | {"score": round(float(rng.random()), 1)})
    return found


def close(ours: dict[str, np.ndarray], judged: dict[str, float | None], place: int = 0) -> None:
    assert tuple(ours) == AP_NAMES
    mine = [float(ours[name][place]) for name in AP_NAMES]
    theirs = [np.nan if judged[name] is None else judged[name] for name in AP_NAMES]
    np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_all_ten_numbers_equal_coco_ap(seed):
    rng = np.random.default_rng(seed)
    people = random_people(rng)
    results = random_results(rng, people, most=11 if seed % 3 == 0 else 4)
    judged = coco_ap(people, results, SIGMAS)
    assert judged["AP"] > 0.05
    close(ten_numbers(make_problem(people, results, SIGMAS)), judged)


def whom(matches: Matches) -> list[dict[int, tuple[int, bool]]]:
    """Return by threshold whom each result matches, and whether rightly."""
    return [
        dict(zip(matches.result[one.place].tolist(),
                 zip(one.person.tolist(), one.right.tolist(), strict=True), strict=True))
        for one in matches.found
    ]  # fmt: skip


def test_contenders_are_all_that_can_match_while_some_results_change():
    left_out = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        people = random_people(rng)
        results = random_results(rng, people, most=11)
        problem = make_problem(people, results, SIGMAS)
        results_that_change = rng.random(len(results)) < 0.2
        changing = np.flatnonzero(results_that_change[problem.pair_result])
        enough = contenders(problem, changing)
        left_out += int((problem.oks >= 0.5).sum() - (problem.oks[enough] >= 0.5).sum())
        for _ in range(4):
            changed = problem.oks.copy()
            changed[changing] = rng.random(len(changing)).round(1)  # with ties
            every = whom(match(problem, changed))
            assert whom(match(problem, changed, pairs=enough)) == every
            assert sum(map(len, every)) > 50
    assert left_out > 200


def test_oks_near_and_far():
    """Keypoints so far away that the similarity is tiny, subnormal, or 0."""
    rng = np.random.default_rng(0)
    people = random_people(rng)
    results = random_results(rng, people)
    for one in results:
        one["keypoints"] = (np.array(one["keypoints"]) * 10 ** rng.uniform(-1, 3)).tolist()
    problem = make_problem(people, results, SIGMAS)
    known = problem.labels[problem.pair_person] > 0
    result, person = problem.pair_result[known], problem.pair_person[known]
    second = oks(
        problem.keypoints[result], problem.truth[person], problem.area[person], np.array(SIGMAS)
    )
    assert ((second > 0) & (second < 1e-300)).any()
    assert (second == 0).any()
    np.testing.assert_array_equal(problem.oks[known], second)


def test_the_best_result_of_each_person():
    rng = np.random.default_rng(0)
    people = random_people(rng)
    results = random_results(rng, people, most=11)
    results = [one for one in results if one["image_id"] != 3]
    problem = make_problem(people, results, SIGMAS)
    persons, best, nearest = best_oks(problem)
    wanted = [i for i, one in enumerate(people) if not one.is_crowd and one.keypoints[:, 2].any()]
    assert persons.tolist() == wanted
    for place, value, result in zip(persons, best, nearest, strict=True):
        mine = [i for i, one in enumerate(results) if one["image_id"] == people[place].image_id]
        mine = sorted(mine, key=lambda i: -results[i]["score"])[:20]  # ties: the first stay
        values = {}
        for i in sorted(mine):
            pose = np.array(results[i]["keypoints"]).reshape(1, -1, 3)
            one = people[place]
            values[i] = float(oks(pose[..., :2], one.keypoints[None], np.array([one.area]),
                                  np.array(SIGMAS))[0])  # fmt: skip
        assert value == pytest.approx(max(values.values(), default=0), abs=1e-12)
        assert result == (max(values, key=values.get) if values else -1)
    assert (nearest < 0).any()
    assert np.bincount([one["image_id"] for one in results]).max() > 20


def test_nobody_and_nothing():
    rng = np.random.default_rng(0)
    people = random_people(rng)
    nothing = ten_numbers(make_problem(people, [], SIGMAS))
    assert {float(value[0]) for value in nothing.values()} == {0.0}
    crowds = [replace(one, is_crowd=True) for one in people]
    nobody = ten_numbers(make_problem(crowds, random_results(rng, people), SIGMAS))
    assert all(np.isnan(value).all() for value in nobody.values())


@pytest.mark.parametrize("seed", range(4))
def test_weights_are_copies_of_images(seed):
    """A resample, written out as a dataset in which images appear several times."""
    rng = np.random.default_rng(seed)
    people = random_people(rng)
    results = random_results(rng, people)
    for one in results:  # no ties: copies of tied results would mix with each other
        one["score"] = float(rng.random())
    problem = make_problem(people, results, SIGMAS, images=range(1, 7))
    drawn = rng.integers(0, 6, (3, 6))
    weights = np.stack([np.bincount(row, minlength=6) for row in drawn])
    ours = ten_numbers(problem, weights)
    for place, row in enumerate(drawn):
        copied, found = [], []
        for number, image in enumerate(problem.images[row].tolist(), start=1):
            copied += [replace(p, image_id=number) for p in people if p.image_id == image]
            found += [r | {"image_id": number} for r in results if r["image_id"] == image]
        close(ours, coco_ap(copied, found, SIGMAS), place)


def test_real_results(shared):
    """COCO's own example of results, against its labels."""
    folder = shared / "data/conformance"
    case = json.loads((folder / "expected.json").read_text())["cases"][0]
    truth = json.loads((folder / case["gt"]).read_text())
    people = [
        Instance(
            id=one["id"],
            image_id=one["image_id"],
            box_xyxy=np.array(one["bbox"]) + np.array([0, 0, *one["bbox"][:2]]),
            keypoints=np.array(one["keypoints"], float).reshape(-1, 3),
            area=one["area"] if case["area"] == "as given" else 0.53 * np.prod(one["bbox"][2:]),
            is_crowd=bool(one["iscrowd"]),
        )
        for one in truth["annotations"]
    ]
    known = {one.image_id for one in people}
    results = json.loads((folder / case["dt"]).read_text())
    results = [one for one in results if one["image_id"] in known]
    sigmas = case["sigmas"] if case["sigmas"] != "COCO" else COCO_PERSON.sigmas
    close(ten_numbers(make_problem(people, results, sigmas)), coco_ap(people, results, sigmas))
