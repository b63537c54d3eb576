"""What users get wrong and what goes wrong: a clear message each, exit code 2 or 1, nothing lost.

The messages themselves are in tests/golden/errors.
"""

import json
import re
import shutil
import sqlite3
from pathlib import Path

import cv2
import numpy as np
import pytest

from evopose.evolution.schema import FORMAT
from goldens import check_golden
from tiny_runs import FLAGS, INLINE, story, write_dots

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def refused(evopose, dots, tmp_path):
    """Run a command that must be refused; compare its message with the golden one."""

    def run(case, *arguments, json_too=False, code=2):
        done = evopose(*arguments, *(["--json"] if json_too else []))
        assert done.code == code, (done.out, done.err)
        assert "Traceback" not in done.err
        *_, message = [line for line in done.err.splitlines() if line]
        assert message.startswith("evopose: ")
        text = message.replace(str(tmp_path), "HERE").replace(str(dots.parent), "THERE")
        text = re.sub(r"digest [0-9a-f]{12}", "digest 0123456789ab", text)
        text = re.sub(r"crops/[0-9a-f]{32}", "crops/0123", text)
        check_golden(f"errors/{case}.txt", text)
        return done

    return run


@pytest.fixture
def evolve(refused, tmp_path):
    """Begin a search that must be refused."""

    def run(case, data, *options):
        done = refused(case, "evolve", data, *FLAGS, *INLINE, "--run", tmp_path / "run", *options)
        assert not (tmp_path / "run").exists()
        return done

    return run


def changed(folder, change, split="train"):
    """Write dots whose labels of a split were changed by `change(content)`."""
    write_dots(folder, train=8, val=3)
    path = folder / f"{split}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return folder


def set_in(section, index, **values):
    return lambda content: content[section][index].update(values)


# Data


def test_data_that_is_not_there(evolve, tmp_path):
    evolve("no-data", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    evolve("empty-folder", tmp_path / "empty")


@pytest.mark.parametrize(
    ("case", "text"),
    [
        ("json-cut-off", '{"images": [{"id": 1,'),
        ("json-of-something-else", '{"licenses": []}'),
        ("json-list", "[1, 2, 3]"),
    ],
)
def test_malformed_json(evolve, tmp_path, case, text):
    data = write_dots(tmp_path / "dots", train=4, val=2)
    (data / "train.json").write_text(text)
    evolve(case, data)


@pytest.mark.parametrize(
    ("case", "change"),
    [
        ("image-missing", set_in("images", 2, file_name="absent.png")),
        ("keypoints-differ-from-category", set_in("annotations", 1, keypoints=[1, 2, 2] * 4)),
        ("box-without-area", set_in("annotations", 0, bbox=[5, 5, 0, 20])),
        ("no-annotations", lambda content: content["annotations"].clear()),
        ("no-images", lambda content: content["images"].clear()),
        ("nobody-labelled", lambda content: [
            one.update(keypoints=[0] * 9) for one in content["annotations"]
        ]),
        ("annotation-of-no-image", set_in("annotations", 3, image_id=77)),
    ],
)  # fmt: skip
def test_labels_that_cannot_be_used(evolve, tmp_path, case, change):
    evolve(case, changed(tmp_path / "dots", change))


def test_train_and_val_of_other_skeletons(evolve, tmp_path):
    renamed = set_in("categories", 0, keypoints=["nose", "right_hand", "left_hand"])
    evolve("skeletons-of-splits-differ", changed(tmp_path / "dots", renamed, "val"))


def test_sides_without_a_counterpart(evolve, tmp_path):
    def rename(content):
        content["categories"][0]["keypoints"] = ["nose", "left_hand", "right_foot"]

    evolve("sides-do-not-pair", changed(tmp_path / "dots", rename))


def test_without_a_val_split(evolve, tmp_path):
    data = write_dots(tmp_path / "dots", train=4, val=2)
    (data / "val.json").unlink()
    evolve("no-val-split", data)


def test_several_files_of_labels(evolve, tmp_path):
    data = write_dots(tmp_path / "dots", train=4, val=2)
    (data / "annotations").mkdir()
    for name in ("train2017", "train2014"):
        shutil.copy(data / "train.json", data / f"annotations/person_keypoints_{name}.json")
    evolve("several-label-files", data)


@pytest.mark.parametrize(
    ("case", "content"),
    [("image-unreadable", b"\x89PNG but no more"), ("image-empty", b"")],
)
def test_images_that_cannot_be_read(evolve, tmp_path, case, content):
    data = write_dots(tmp_path / "dots", train=6, val=2)
    (data / "images" / "0003.png").write_bytes(content)
    evolve(case, data)


def test_an_image_of_another_size(evolve, tmp_path):
    data = write_dots(tmp_path / "dots", train=6, val=2)
    cv2.imwrite(str(data / "images" / "0003.png"), np.zeros((48, 60, 3), np.uint8))
    evolve("image-of-another-size", data)


def test_synthetic_people_are_counted(evolve):
    evolve("synthetic-without-number", "synthetic:many")


# Options


@pytest.mark.parametrize(
    ("case", "options"),
    [
        ("input-not-divided", ["--input", "40x32"]),
        ("input-no-size", ["--input", "40"]),
        ("unknown-recipe", ["--recipe", "large"]),
        ("imagenet-weights-absent", ["--recipe", "paper", "--input", "64x64"]),
        ("unknown-ancestor", ["--ancestor", "resnet"]),
        ("ancestor-outside-the-space", ["--ancestor", "efficientnet-b0"]),
        ("ancestor-above-the-limit", ["--max-params", "1000"]),
        ("ancestor-weights-absent", ["--ancestor-weights", "absent.safetensors"]),
        ("unknown-space", ["--space", "absent.json"]),
        ("no-workers", ["--workers", "0"]),
        ("unknown-executor", ["--executor", "cluster"]),
        ("unknown-device", ["--device", "tpu"]),
        ("no-children", ["--children", "0"]),
        ("unknown-objective", ["--objective", "speed"]),
        ("unknown-parents-by", ["--parents-by", "luck"]),
        ("latency-device-absent", ["--max-latency-ms", "5", "--latency-device", "npu"]),
        ("latency-impossible", ["--max-latency-ms", "0"]),
        ("ancestor-untrained-without-weights", ["--ancestor-epochs", "0"]),
        ("resume-without-run", ["--resume"]),
    ],
)
def test_options_that_cannot_be(evolve, refused, dots, case, options, monkeypatch):
    monkeypatch.setattr("evopose.search.session.cpu_count", lambda: 2)
    if case == "resume-without-run":
        refused(case, "evolve", dots, *options)
    else:
        evolve(case, dots, *options)


# Run folders


@pytest.fixture
def run(finished_run, tmp_path):
    """A copy of a finished run, to spoil."""
    return shutil.copytree(finished_run, tmp_path / "run")


def resume(run, dots, *options):
    return ["evolve", dots, "--run", run, "--resume", *INLINE, *options]


def test_a_folder_that_holds_a_run(refused, run, dots):
    before = story(run)
    refused("run-exists", "evolve", dots, *FLAGS, *INLINE, "--run", run)
    assert story(run) == before


def test_a_folder_that_holds_none(refused, dots, tmp_path):
    refused("no-run", *resume(tmp_path, dots))
    refused("no-run-status", "status", tmp_path)
    refused("no-run-report", "report", tmp_path)
    refused("no-run-train", "train", tmp_path, dots)


@pytest.mark.parametrize("verb", ["evolve", "status", "report", "train"])
def test_a_run_of_another_version(refused, run, dots, verb):
    with sqlite3.connect(run / "run.sqlite") as db:
        db.execute("PRAGMA user_version = 7")
    db.close()
    command = {
        "evolve": resume(run, dots), "status": ["status", run], "report": ["report", run],
        "train": ["train", run, dots],
    }[verb]  # fmt: skip
    files = {path: path.read_bytes() for path in run.glob("*.*") if path.suffix != ".sqlite-shm"}
    refused("run-of-another-version", *command)
    with sqlite3.connect(run / "run.sqlite") as db:
        db.execute(f"PRAGMA user_version = {FORMAT}")
    db.close()
    assert len(story(run)) == 9
    for path in (run / "config.json", run / "best.safetensors"):
        assert path.read_bytes() == files[path]


def test_a_run_on_another_dataset(refused, run, dots, tmp_path):
    before = story(run), (run / "config.json").read_text()
    other = changed(tmp_path / "other", set_in("annotations", 0, area=99.0))
    refused("run-on-other-data", *resume(run, other, "--generations", "9"))
    assert (story(run), (run / "config.json").read_text()) == before


def test_a_damaged_configuration(refused, run, dots):
    (run / "config.json").write_text('{"recipe": "demo"}')
    refused("run-with-a-damaged-configuration", *resume(run, dots))
    (run / "config.json").unlink()
    refused("run-without-a-configuration", *resume(run, dots))


def test_a_damaged_database(refused, run, dots):
    (run / "run.sqlite").write_bytes(b"not SQLite at all" * 100)
    for path in run.glob("run.sqlite-*"):
        path.unlink()
    refused("run-damaged", "status", run)


def test_a_run_that_is_in_use(refused, run, dots, monkeypatch):
    from evopose.evolution.store import Store

    monkeypatch.setattr("evopose.evolution.connections.socket.gethostname", lambda: "host")
    monkeypatch.setattr("evopose.evolution.connections.os.getpid", lambda: 4711)
    with Store.open(run):
        refused("run-in-use", *resume(run, dots, "--generations", "3"))


def test_what_a_resumed_run_may_not_change(refused, run, dots):
    refused("resume-with-options", *resume(run, dots, "--children", "9", "--epochs", "2"))
    others = ["--max-params", "9", "--deterministic", "--mode", "async"]
    refused("resume-with-other-options", *resume(run, dots, *others))


# Disks and folders


def test_a_run_folder_that_cannot_be(refused, dots, tmp_path):
    (tmp_path / "file").write_text("here first")
    start = ["evolve", dots, *FLAGS, *INLINE, "--run"]
    refused("run-is-a-file", *start, tmp_path / "file")
    refused("run-below-a-file", *start, tmp_path / "file" / "run")
    assert (tmp_path / "file").read_text() == "here first"


def test_a_training_folder_that_cannot_be(refused, dots, tmp_path):
    (tmp_path / "file").write_text("here first")
    start = ["train", "narrow", dots, "--input", "32x32", "--epochs", "1", "--out"]
    refused("out-is-a-file", *start, tmp_path / "file")
    refused("out-below-a-file", *start, tmp_path / "file" / "out")


def test_a_cache_that_cannot_be(refused, dots, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("here first")
    monkeypatch.setenv("EVOPOSE_HOME", str(tmp_path / "file" / "home"))
    command = ["evolve", dots, *FLAGS, *INLINE, "--run", tmp_path / "run"]
    refused("cache-below-a-file", *command)
    assert not (tmp_path / "run").exists()


class Disk:
    """A disk that gives an error for files of some name."""

    def __init__(self, monkeypatch, name, errno, text):
        self.name, self.error, self.broken = name, (errno, text), True
        monkeypatch.setattr("pathlib.Path.open", self._guarded(Path.open))
        monkeypatch.setattr("pathlib.Path.write_text", self._guarded(Path.write_text))
        monkeypatch.setattr("pathlib.Path.write_bytes", self._guarded(Path.write_bytes))
        monkeypatch.setattr("shutil.copyfile", self._guarded(shutil.copyfile))

    def _guarded(self, function):
        def guarded(*arguments, **named):
            for path in arguments[:2]:
                if self.broken and isinstance(path, Path) and self.name in path.name:
                    raise OSError(*self.error, str(path))
            return function(*arguments, **named)

        return guarded


@pytest.mark.parametrize(
    ("case", "name", "code"),
    [
        ("disk-full-at-weights", "unfinished-", 1),
        ("disk-full-at-config", "config.json", 2),
        ("disk-full-at-best", "best.safetensors", 1),
        ("disk-full-at-picture", "winner.png", 2),
        ("disk-full-at-report", "report.html", 1),
    ],
)
def test_a_full_disk_loses_nothing(
    refused, evopose, dots, finished_run, tmp_path, monkeypatch, case, name, code
):
    run = tmp_path / "run"
    disk = Disk(monkeypatch, name, 28, "No space left on device")
    start = ["evolve", dots, *FLAGS, *INLINE, "--run", run, "--generations", "1"]
    refused(case, *start, code=code)
    disk.broken = False
    again = resume(run, dots) if (run / "run.sqlite").exists() else start
    done = evopose(*again)
    assert done.code == 0, done.err
    assert story(run) == story(finished_run, generations=1)
    assert {"best.safetensors", "winner.png", "report.html"} <= {p.name for p in run.iterdir()}


def test_a_full_disk_in_training(refused, evopose, dots, tmp_path, monkeypatch):
    command = [
        "train", "narrow", dots, "--input", "32x32", "--epochs", "2", "--batch-size", "8",
        "--threads", "1", "--precision", "fp32", "--out", tmp_path / "out",
    ]  # fmt: skip
    disk = Disk(monkeypatch, "checkpoint.pt", 28, "No space left on device")
    refused("disk-full-in-training", *command, code=1)
    disk.broken = False
    assert evopose(*command, "--resume").code == 0


def test_a_read_only_run(refused, run, dots, monkeypatch):
    Disk(monkeypatch, ".html.", 30, "Read-only file system")
    refused("run-read-only", "report", run)
    assert len(story(run)) == 9


# Models


@pytest.mark.parametrize(
    ("case", "arguments"),
    [
        ("unknown-model", ["resnet"]),
        ("unknown-individual", ["RUN:99"]),
        ("weights-not-kept", ["RUN:c1"]),
        ("genotype-missing", ["evopose2d"]),
        ("genotype-of-a-run", ["RUN", "--genotype", "[[3,1,1,1]]"]),
        ("genotype-malformed", ["evopose2d", "--genotype", "[[3,1,1],"]),
        ("train-input-not-divided", ["narrow", "--input", "40x32"]),
        ("train-unknown-recipe", ["narrow", "--recipe", "demo"]),
        ("train-unknown-loss", ["narrow", "--loss", "l1"]),
        ("train-too-many-threads", ["narrow", "--threads", "3"]),
        ("train-resume-without-out", ["narrow", "--resume"]),
    ],
)
def test_models_that_cannot_be_trained(
    refused, finished_run, dots, tmp_path, monkeypatch, case, arguments
):
    monkeypatch.setattr("evopose.training.compute.cpu_count", lambda: 2)
    link = tmp_path / "RUN"
    link.symlink_to(finished_run)
    model, *options = arguments
    model = model.replace("RUN", str(link))
    out = [] if case == "train-resume-without-out" else ["--out", tmp_path / "out"]
    refused(case, "train", model, dots, "--epochs", "1", *out, *options)
    assert not (tmp_path / "out").exists()


def test_a_model_of_another_skeleton(refused, finished_run, tmp_path):
    def rename(content):
        content["categories"][0]["keypoints"] = ["snout", "left_ear", "right_ear"]

    write_dots(tmp_path / "mice", train=6, val=2)
    for split in ("train", "val"):
        path = tmp_path / "mice" / f"{split}.json"
        content = json.loads(path.read_text())
        rename(content)
        path.write_text(json.dumps(content))
    link = tmp_path / "RUN"
    link.symlink_to(finished_run)
    refused("model-of-another-skeleton", "train", link, tmp_path / "mice", "--epochs", "1")


def test_with_json_a_message_is_all_there_is(refused, dots):
    done = refused("unknown-recipe", "evolve", dots, "--recipe", "large", json_too=True)
    assert done.out == ""
