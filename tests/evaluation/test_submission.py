"""Results for COCO's server: their file's name and size, and that rounding costs nothing."""

import json
import zipfile

import numpy as np
import pytest

from coco_judge import judge
from evopose.errors import DataError
from evopose.evaluation.judging import as_results
from evopose.evaluation.submission import rounded, submission_name, write_submission
from evopose.skeleton import COCO_PERSON


def test_rounding_keeps_the_ten_numbers_and_saves_half_of_the_size() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 400, (90, 17, 2))
    labels = np.concatenate([truth, np.full((90, 17, 1), 2)], axis=2)
    noise = rng.normal(0, 1, truth.shape) * rng.uniform(1, 12, (90, 1, 1))
    poses = np.concatenate([truth + noise, rng.random((90, 17, 1))], axis=2)
    content = {
        "images": [{"id": i} for i in range(30)],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO_PERSON.keypoints)}],
        "annotations": [
            {"id": i + 1, "image_id": i // 3, "category_id": 1, "iscrowd": 0, "num_keypoints": 17,
             "keypoints": labels[i].ravel().tolist(), "bbox": [0, 0, 90, 90],
             "area": float(rng.uniform(2000, 16000))}
            for i in range(90)
        ],
    }  # fmt: skip
    results = as_results([i // 3 for i in range(90)], poses, rng.random(90))
    found = rounded(results)
    numbers = [judge(content, one, COCO_PERSON.sigmas) for one in (found, results)]
    np.testing.assert_allclose(*numbers, rtol=0, atol=1e-9)
    assert 0.1 < numbers[0][0] < 0.9
    for one, before in zip(found, results, strict=True):
        np.testing.assert_allclose(one["keypoints"], before["keypoints"], rtol=0, atol=0.00501)
    small, large = json.dumps(found, separators=(",", ":")), json.dumps(results)
    assert len(small) < len(large) / 2


def test_the_file_is_as_the_server_wants_it(tmp_path) -> None:
    results = [{"image_id": 3, "category_id": 1, "keypoints": [1 / 3, 2 / 3, 1.0], "score": 1 / 7}]
    plain, packed = write_submission(tmp_path / "new", "test-dev2017", results)
    assert plain.name == submission_name("test-dev2017") + ".json"
    assert plain.name == "person_keypoints_test-dev2017_evopose_results.json"
    assert plain.read_text() == (
        '[{"image_id":3,"category_id":1,"keypoints":[0.33,0.67,1.0],"score":0.142857}]'
    )
    with zipfile.ZipFile(packed) as file:
        assert file.namelist() == [plain.name]
        assert file.read(plain.name) == plain.read_bytes()
    (tmp_path / "blocked").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        write_submission(tmp_path / "blocked", "val2017", results)
