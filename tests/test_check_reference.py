"""`benchmarks/check_reference.py` passes on the reference and fails on a damaged copy."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "check_reference.py"


def run(folder: Path) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder)], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


@pytest.fixture
def subset(shared: Path, tmp_path: Path) -> Path:
    """A folder of the reference's layout with two networks, one pair and one file."""
    reference, folder = shared / "reference", tmp_path / "reference"
    for name in ("transfer", "keras_h5"):
        (folder / name).mkdir(parents=True)
    counts = json.loads((reference / "evopose2d_complexity.json").read_text())
    counts = {"named": {"XS": counts["named"]["XS"]}, "random": counts["random"][:1]}
    (folder / "evopose2d_complexity.json").write_text(json.dumps(counts))
    for name, key, files in (
        ("transfer", "pairs", ["repeats_down.npz"]),
        ("keras_h5", "cases", ["tiny_random.h5", "tiny_io.npz"]),
    ):
        index = json.loads((reference / name / "index.json").read_text())
        kept = [r for r in index[key] if files[0] in (r.get("h5"), f"{r.get('name')}.npz")]
        (folder / name / "index.json").write_text(json.dumps({key: kept}))
        for file in files:
            shutil.copyfile(reference / name / file, folder / name / file)
    return folder


def test_another_folder_of_that_layout_passes(subset: Path) -> None:
    status, lines = run(subset)
    assert (status, lines[-1]) == (0, "6 checks, 0 failed")


def test_every_wrong_number_is_a_failed_line(subset: Path) -> None:
    path = subset / "evopose2d_complexity.json"
    text = path.read_text().replace("2531199", "2531198").replace("523860992", "523860993")
    path.write_text(text)
    arrays = dict(np.load(subset / "transfer" / "repeats_down.npz"))
    arrays["child/final_conv/bias"] = np.nextafter(arrays["child/final_conv/bias"], np.float32(9))
    np.savez(subset / "transfer" / "repeats_down.npz", **arrays)
    arrays = dict(np.load(subset / "keras_h5" / "tiny_io.npz"))
    arrays["heatmaps"][0, 3, 5, 7] += 1e-3 * np.abs(arrays["heatmaps"]).max()
    np.savez(subset / "keras_h5" / "tiny_io.npz", **arrays)
    status, lines = run(subset)
    assert status == 1
    for line, start in zip(
        lines,
        (
            "FAIL  parameters XS: num_parameters by plan is 2531199, expected 2531198",
            "ok    multiply-adds XS",
            "ok    parameters random 0",
            "FAIL  multiply-adds random 0: num_macs by plan is 523860992, expected 523860993",
            "FAIL  transfer repeats_down: the list of differing tensors is ['final_conv/bias']",
            "FAIL  h5 tiny_random.h5: the heatmaps differ by 1.0e-03",
            "6 checks, 4 failed",
        ),
        strict=True,
    ):
        assert line.startswith(start)


def test_every_missing_part_is_a_failed_line(subset: Path) -> None:
    (subset / "evopose2d_complexity.json").unlink()
    (subset / "transfer" / "repeats_down.npz").unlink()
    (subset / "keras_h5" / "index.json").write_text('{"cases": []}')
    status, lines = run(subset)
    assert status == 1
    assert [line.split(":")[0] for line in lines[:-1]] == [
        "FAIL  complexity",
        "FAIL  transfer repeats_down",
        "FAIL  h5",
    ]
