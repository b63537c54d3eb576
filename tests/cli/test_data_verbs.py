"""`evopose data check`, `split` and `synthetic`, and further datasets in `evolve` and `train`."""

import json
import shlex
import shutil
from html import escape

import cv2
import numpy as np
import pytest

from cli.test_help import run
from evopose.data import open_dataset
from evopose.evolution.store import Store
from goldens import check_golden
from tiny_runs import FLAGS, INLINE, write_dots


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """What verbs write by default lands in a place of its own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("EVOPOSE_HOME", str(tmp_path / "home"))
    return tmp_path / "here"


@pytest.mark.parametrize("verb", ["check", "split", "synthetic"])
def test_help_is_the_golden_one(verb):
    done = run("data", verb, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    check_golden(f"help/data-{verb}.txt", done.stdout)
    code = (
        "import sys\nfrom evopose.cli import main\ntry: main()\nexcept SystemExit: pass\n"
        "print({m.partition('.')[0] for m in sys.modules} & {'torch', 'cv2', 'plotly', 'numpy'})"
    )
    assert run("data", verb, "--help", code=code).stdout.splitlines()[-1] == "set()"


def changed(folder, change, split="train"):
    path = folder / f"{split}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return folder


@pytest.fixture
def dots_set(tmp_path):
    return write_dots(tmp_path / "dots", train=12, val=4)


# check


def test_check_of_a_good_dataset(evopose, dots_set, here):
    done = evopose("data", "check", dots_set)
    assert done.code == 0
    assert "0 errors, 0 warnings, 1 note" in done.out
    assert "drew dots-check.jpg" in done.out
    assert cv2.imread(str(here / "dots-check.jpg")).shape[2] == 3


def test_check_of_a_bad_dataset(evopose, dots_set, tmp_path):
    def spoil(content):
        content["annotations"][0]["bbox"] = [5, 5, 0, 20]
        content["annotations"][1]["keypoints"][2] = 7
        content["annotations"][2]["area"] = 0
        content["images"][5]["width"] = 50

    changed(dots_set, spoil)
    shutil.copy(dots_set / "images/0004.png", dots_set / "images/1001.png")
    sheet = tmp_path / "sheet.png"
    done = evopose("data", "check", dots_set, "--out", sheet)
    assert done.code == 2
    check_golden("data-check.txt", done.out.replace(str(tmp_path), "HERE"))
    done = evopose("data", "check", dots_set, "--out", sheet, "--json")
    assert done.code == 2
    assert (done.json["errors"], done.json["warnings"], done.json["notes"]) == (4, 1, 1)
    assert done.json["sheet"] == str(sheet)
    assert done.json["splits"]["train"]["persons"] == 12
    first = done.json["findings"][0]
    assert set(first) == {"level", "kind", "split", "text", "count", "first", "mend"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "there is no nowhere; expected a folder with annotations/"),
        (["DOTS", "--out", "sheet.bmp"], "images are written as .png, .jpg or .jpeg, not as "),
        (["DOTS", "--group", "video"], "--group video says nothing of 0001.png, 0002.png, "),
        (["DOTS", "--annotations", "other.json"], "there is no annotation file"),
    ],
)  # fmt: skip
def test_check_cannot_begin(evopose, dots_set, arguments, said):
    done = evopose("data", "check", *[dots_set if a == "DOTS" else a for a in arguments])
    assert done.code == 2
    assert said in done.err + done.out
    assert "Traceback" not in done.err


# split and synthetic


def test_split(evopose, dots_set, tmp_path):
    out = tmp_path / "split"
    done = evopose("data", "split", dots_set / "train.json", "--out", out, "--ratios", "50/25/25")
    assert done.code == 0
    check_golden("data-split.txt", done.out.replace(str(tmp_path), "HERE"))
    assert {s: len(d.trainable) for s, d in open_dataset(out).found.items()} == {
        "train": 6, "val": 3, "test": 3,
    }  # fmt: skip
    again = evopose("data", "split", dots_set, "--out", tmp_path / "two", "--json", "--group",
                    r"name:(.)\.png")  # fmt: skip
    assert again.code == 0
    assert sum(part["images"] for part in again.json["splits"].values()) == 16
    assert evopose("data", "check", tmp_path / "two", "--group", r"name:(.)\.png").code == 0
    for arguments, said in (
        (["--out", out], f"expected a new or an empty folder, but {out} holds something already"),
        (["--out", tmp_path / "x", "--ratios", "80"], "expected --ratios TRAIN/VAL/TEST, say "),
        (["--out", tmp_path / "x", "--group", "subject"], "--group subject says nothing of 0001"),
        ([], "Missing option '--out'"),
    ):
        done = evopose("data", "split", dots_set, *arguments)
        assert done.code == 2
        assert said in " ".join(done.err.split())


def test_a_leak_between_groups_is_told(evopose, dots_set):
    def name(content):
        for number, image in enumerate(content["images"]):
            image["video"] = f"v{number % 3}"

    changed(changed(dots_set, name), name, "val")
    done = evopose("data", "check", dots_set, "--group", "video")
    assert done.code == 2
    assert (
        "error   3 x group (video) that is in several splits: v0 (train, val), v1 (train, val), "
        "v2 (train, val). Split anew: evopose data split DATA --out DIR --group 'video'"
    ) in done.out


def test_synthetic(evopose, tmp_path):
    out = tmp_path / "people"
    done = evopose("data", "synthetic", out, "--count", 5, "--size", "96x64", "--json")
    assert done.code == 0
    found = open_dataset(out).found
    assert done.json["persons"] == {s: len(d.trainable) for s, d in found.items()}
    assert sum(done.json["persons"].values()) >= 5
    assert {(i.height, i.width) for d in found.values() for i in d.images} == {(96, 64)}
    done = evopose("data", "synthetic", out)
    assert done.code == 2
    assert "expected a new or an empty folder for synthetic people" in done.err
    assert evopose("data", "synthetic", tmp_path / "x", "--size", "big").code == 2
    assert evopose("data", "synthetic", tmp_path / "x", "--count", 0).code == 2


# Further datasets in a search and a training


@pytest.fixture
def others(tmp_path):
    """The dots under other names, other images."""
    folder = write_dots(tmp_path / "others", train=9, val=3)

    def rename(content):
        content["categories"][0]["keypoints"] = ["snout", "L.Hand", "R.Hand"]

    for split in ("train", "val"):
        changed(folder, rename, split)
    for path in (folder / "images").iterdir():
        cv2.imwrite(str(path), np.flipud(cv2.imread(str(path))))
    return folder


def words(said, which):
    """The command that follows `which`, without the program."""
    (line,) = (line for line in said.splitlines() if line.startswith(which))
    return shlex.split(line.removeprefix(which))[1:]


def test_a_search_on_two_datasets_goes_on(evopose, quick, dots, others, tmp_path):
    run = tmp_path / "run"
    more = ["--with", str(others), "--rename", "snout=nose"]
    done = evopose("evolve", dots, *FLAGS, *INLINE, "--run", run, *more, "--generations", 0)
    assert done.code == 0, done.err
    assert "joined: " in done.out
    assert "9 persons to train; 3 of 3 keypoints mapped by name (snout = nose, " in done.out
    with Store.read(run) as store:
        meta = store.meta
    assert meta["data_options"] == more
    assert meta["joined"][0]["persons"] == {"train": 9}
    again = words(done.out, "search on: ")
    assert all(word in again for word in more)
    again[again.index("--generations") + 1] = "0"
    assert evopose(*again).code == 0
    assert escape(shlex.join(more)) in (run / "report.html").read_text()
    train = words(done.out, "train the winner fully: ")
    assert all(word in train for word in more)
    without = [word for word in again if word not in more]
    done = evopose(*without)
    assert done.code == 2
    both = shlex.join([str(dots), *more])
    assert f"{run} was made on {both} (digest " in done.err
    assert f"), not on {dots} (digest " in done.err
    said = evopose("evolve", dots, *FLAGS, *INLINE, "--run", tmp_path / "n", *more, "--dry-run",
                   "--json").json  # fmt: skip
    assert said["joined"][0]["mapped"] == {
        "snout": "nose", "L.Hand": "left_hand", "R.Hand": "right_hand",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--with", "nowhere"], "there is no nowhere; expected a folder with"),
        (["--with", "OTHERS", "--rename", "snoot=nose"],
         "--rename snoot=nose: no further dataset has snoot; OTHERS has snout, L.Hand, R.Hand"),
        (["--with", "OTHERS", "--rename", "snout=tail"],
         "--rename snout=tail: the first dataset has no tail; it has nose, left_hand, right_hand"),
        (["--with", "OTHERS", "--rename", "snout"],
         "expected --rename THEIRS=OURS, say head=nose; got 'snout'"),
        (["--with", "OTHERS", "--rename", "snout=left_hand"],
         "OTHERS: snout and L.Hand would both be left_hand; rename one of them to another "
         "keypoint, or leave its --rename out"),
        (["--rename", "snout=nose"],
         "--rename says what keypoints of a further dataset are called in the first one: give that "
         "dataset with --with, or leave it out"),
        (["--with", "DOTS"], "adds nobody: 24 of its 24 images are in the first dataset already"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["evolve", "train"])
def test_what_cannot_join(evopose, quick, dots, others, tmp_path, verb, arguments, said):
    spelt = [a.replace("OTHERS", str(others)).replace("DOTS", str(dots)) for a in arguments]
    begin = [*FLAGS, *INLINE, "--run", tmp_path / "run"]
    begin = ["evolve", dots, *begin] if verb == "evolve" else ["train", "evopose2d-s", dots]
    done = evopose(*begin, *spelt)
    assert done.code == 2
    assert said.replace("OTHERS", str(others)) in done.err
    assert "Traceback" not in done.err
