"""`evopose evaluate --results`: scoring what someone else has found."""

import json
import subprocess
import sys

import pytest

from evopose.evaluation.results import score_results
from evopose.metrics.coco_ap import AP_NAMES


@pytest.fixture
def files(tmp_path, dots):
    """Results that are the labels of some dots, and the labels."""
    content = json.loads((dots / "val.json").read_text())
    results = [
        {**{k: one[k] for k in ("image_id", "category_id", "keypoints")}, "score": 1 / (i + 1)}
        for i, one in enumerate(content["annotations"])
    ]
    found = tmp_path / "found.json"
    found.write_text(json.dumps([*results, results[0]]))
    return found, dots / "val.json"


def test_results_are_scored(evopose, files, tmp_path):
    results, annotations = files
    given = ("evaluate", "--results", results, "--annotations", annotations)
    out = tmp_path / "scored"
    done = evopose(*given, "--json", "--out", out)
    assert done.code == 0, done.err
    expected = score_results(results, annotations)
    assert {name: done.json[name] for name in AP_NAMES} == expected.ap
    assert done.json["mean_best_oks"] == 1.0
    assert done.json["AR"] == 1.0
    assert done.json["notes"] == expected.notes
    written = json.loads((out / "metrics.json").read_text())
    assert written | {"folder": str(out)} == done.json
    page = (out / "report.html").read_text()
    for said in ("How far from their labels", "PCK@0.2", "What AP is lost to", "No pictures: "):
        assert said in page
    assert "1 results that equal an earlier one" in page
    assert done.json["errors"]["ap"] == pytest.approx(done.json["AP"], abs=1e-12)
    assert done.json["keypoints"]["all"]["epe"] == 0
    told = evopose(*given).out
    assert "AP lost to" in told
    assert "PCK@0.2 100 %" in told
    for name in AP_NAMES:
        assert name in told
    assert "1 results that equal an earlier one" in told
    assert "not defined, no person has above 96 x 96 pixels" in told


@pytest.mark.parametrize(
    ("arguments", "got"),
    [
        ((), "got neither"),
        (("model",), "got MODEL"),
        (("model",), "got MODEL: add DATA"),
        (("--results", "a.json"), "got --results: add --annotations"),
        (("--results", "a.json", "--limit", 3), "add --annotations, leave --limit out"),
        (
            ("model", "data", "--results", "a.json", "--annotations", "b.json"),
            "leave MODEL, DATA out",
        ),
        (("--results", "a.json", "--annotations", "b.json", "--limit", 3), "leave --limit out"),
        (("model", "data", "--assume-area"), "--assume-area goes with --results"),
    ],
)
def test_neither_form_is_an_error_that_tells_both(evopose, arguments, got):
    done = evopose("evaluate", *arguments)
    assert done.code == 2
    assert got in done.err
    assert "evopose evaluate MODEL DATA" in done.err
    assert "--results RESULTS.json --annotations GT.json" in done.err


def test_what_is_wrong_is_said(evopose, files, tmp_path):
    results, annotations = files
    empty = tmp_path / "cut.json"
    empty.write_text(results.read_text()[:-30])
    done = evopose("evaluate", "--results", empty, "--annotations", annotations)
    assert done.code == 2
    assert "is not JSON, or is cut off" in done.err


def test_the_whole_verb_loads_no_torch(files, tmp_path):
    results, annotations = files
    code = (
        "import sys\nfrom evopose.cli import main\ntry: main()\nexcept SystemExit: pass\n"
        "print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, "evaluate", "--results", results, "--annotations",
               annotations, "--out", tmp_path / "out"]  # fmt: skip
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
    assert (tmp_path / "out" / "report.html").is_file()
