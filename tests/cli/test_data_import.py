"""`evopose data import`: what it says, and what it exits with."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from evopose.cli.data_import import FORMATS
from evopose.data import open_dataset
from evopose.data.importers import IMPORTERS
from goldens import check_golden


def run(*arguments, code=None):
    """Run evopose in a process of its own, as on a terminal of 80 columns without colours."""
    kept = {k: os.environ[k] for k in ("PATH", "PYTHONPATH") if k in os.environ}
    environment = kept | {"COLUMNS": "80", "NO_COLOR": "1", "PYTHONUTF8": "1"}
    command = [sys.executable, *(["-c", code] if code else ["-m", "evopose"]), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.fixture
def mpii(shared, tmp_path):
    """MPII's fixture, its own to damage."""
    shutil.copytree(shared / "data/fixtures/mpii", tmp_path / "mpii")
    return tmp_path / "mpii/test_mpii.json"


@pytest.fixture
def refused(evopose, tmp_path):
    """Run an import that must be refused; compare its message with the golden one."""

    def compare(case, *arguments, json_too=False):
        done = evopose("data", "import", *arguments, *(["--json"] if json_too else []))
        assert (done.code, done.out) == (2, "")
        (message,) = done.err.splitlines()
        check_golden(f"errors/import-{case}.txt", message.replace(str(tmp_path), "HERE"))
        assert not (tmp_path / "out").exists()

    return compare


def test_help_names_every_format():
    assert list(FORMATS) == list(IMPORTERS)
    done = run("data", "import", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    check_golden("help/data-import.txt", done.stdout)
    text = " ".join(done.stdout.split())
    for name, (_, source) in FORMATS.items():
        assert f"evopose data import {name} {source} OUT" in text


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom evopose.cli import main\ntry: main()\nexcept SystemExit: pass\n"
        "print({m.partition('.')[0] for m in sys.modules} & "
        "{'torch', 'cv2', 'plotly', 'matplotlib', 'numpy', 'lightning_fabric', 'loky', 'h5py'})"
    )
    done = run("data", "import", "--help", code=code)
    assert "Usage" in done.stdout, done.stderr
    assert done.stdout.splitlines()[-1] == "set()"


def test_what_a_person_is_told(evopose, mpii, tmp_path):
    done = evopose("data", "import", "mpii", mpii, tmp_path / "out")
    assert (done.code, done.err) == (0, "")
    check_golden("import-mpii.txt", done.out.replace(str(tmp_path), "HERE"))
    *_, last = done.out.splitlines()
    (data,) = re.findall(r"evopose evolve (\S+)", last)
    assert set(open_dataset(data).found) == {"train", "val", "test"}
    done = evopose("data", "import", "mpii", mpii, tmp_path / "out", "--as", "val", "--link")
    assert done.out.splitlines()[-1] == f"go on with: evopose evolve {tmp_path / 'out'}"


def test_what_a_program_is_told(evopose, mpii, tmp_path):
    done = evopose("data", "import", "mpii", mpii, tmp_path / "out", "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json["splits"] == {
        "train": {"images": 5, "instances": 5, "crowds": 0, "unlabelled": 0, "skipped": {}}
    }
    assert done.json["category"] == "person"
    assert len(done.json["keypoints"]) == 16


def test_what_is_left_out_is_told(evopose, mpii, tmp_path):
    (mpii.parent / "060754485.jpg").unlink()
    done = evopose("data", "import", "mpii", mpii, tmp_path / "out", "--skip-damaged")
    assert done.code == 0
    assert "left out of train: 1 x image is missing" in done.out
    assert "left out of train: 1 x instance of an image that cannot be used" in done.out


@pytest.mark.parametrize("json_too", [False, True])
def test_refusals(refused, shared, mpii, tmp_path, json_too):
    out = tmp_path / "out"
    refused("unknown-format", "mpi", mpii, out, json_too=json_too)
    refused("nothing-there", "mpii", tmp_path / "nowhere.json", out, json_too=json_too)
    refused("wrong-format", "aic", mpii, out, json_too=json_too)
    refused("unknown-split", "mpii", mpii, out, "--as", "minival", json_too=json_too)
    refused("occupied-out", "mpii", mpii, tmp_path / "mpii", json_too=json_too)
    records = json.loads(mpii.read_text())
    records[2]["joints"][4] = [3e6, 5]
    (mpii.parent / "052475643.jpg").write_bytes(b"")
    (mpii.parent / "060754485.jpg").unlink()
    mpii.write_text(json.dumps(records))
    refused("damaged", "mpii", mpii, out, json_too=json_too)
    mpii.write_text(mpii.read_text()[:900])
    refused("cut-off", "mpii", mpii, out, json_too=json_too)
