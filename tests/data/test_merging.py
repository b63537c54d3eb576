"""Several datasets and annotation files as one: what trains, what measures, what is told."""

import json
import logging
import shutil

import numpy as np
import pytest

from data.small_sets import coco_content, write_images
from evopose.data import build_crops, fitness_split, open_dataset
from evopose.data.crops import CropSpec
from evopose.errors import DataError

OURS = ["nose", "left_eye", "right_eye"]


def content_of(names, images, *, first=1, seed=0):
    """COCO content of `images` persons with these keypoints; image files numbered from `first`."""
    content = coco_content(images, seed=seed)
    content["categories"][0]["keypoints"] = list(names)
    if names != OURS:
        content["categories"][0]["flip_pairs"] = []
    for image in content["images"]:
        image["file_name"] = f"{first + image['id'] - 1:03}.png"
    for one in content["annotations"]:
        one["keypoints"] = one["keypoints"][: 3 * len(names)]
    return content


def write_set(folder, names, *, first=1, **splits):
    """A folder with a split for each count; every image differs, in this folder and others."""
    for name, count in splits.items():
        content = content_of(names, count, first=first, seed=first)
        write_own_images(folder / "images", content, first)
        (folder / f"{name}.json").write_text(json.dumps(content))
        first += count
    return folder


def write_own_images(folder, content, first):
    moved = {**content, "images": [i | {"id": first + i["id"]} for i in content["images"]]}
    write_images(folder, moved)


@pytest.fixture
def ours(tmp_path):
    return write_set(tmp_path / "ours", OURS, train=20, val=4, test=3)


@pytest.fixture
def theirs(tmp_path):
    names = ["R.Eye", "tail", "Nose", "L.Eye"]
    return write_set(tmp_path / "theirs", names, first=101, train=5, val=2, test=2)


def files(dataset):
    return [image.path.name for image in dataset.images]


def test_train_joins_train_and_nothing_else(ours, theirs, caplog):
    with caplog.at_level(logging.INFO, "evopose"):
        splits = open_dataset(ours, also=[theirs])
    alone = open_dataset(ours)
    assert {n: len(d.trainable) for n, d in splits.found.items()} == {
        "train": 25, "val": 4, "test": 3,
    }  # fmt: skip
    assert files(splits.val) == files(alone.val)
    assert splits.train.skeleton == alone.train.skeleton
    (joined,) = splits.joined
    assert joined.to_json() == {
        "source": str(theirs),
        "mapped": {"Nose": "nose", "L.Eye": "left_eye", "R.Eye": "right_eye"},
        "missing": [], "dropped": ["tail"], "persons": {"train": 5}, "unlabelled": 0,
        "left_out": {}, "unused": ["val", "test"],
    }  # fmt: skip
    assert joined.describe() in caplog.text
    raw = json.loads((theirs / "train.json").read_text())["annotations"]
    for one, record in zip(splits.train.instances[20:], raw, strict=True):
        given = np.reshape(record["keypoints"], (4, 3))
        np.testing.assert_allclose(one.keypoints, given[[2, 3, 0]], rtol=1e-6)
        assert one.area == record["area"]
    ids = [one.id for one in splits.train.instances]
    assert len(set(ids)) == 25
    assert [i.added for i in splits.train.images] == [False] * 20 + [True] * 5
    assert splits.opened == {"also": [str(theirs)]}
    assert splits.words == ["--with", str(theirs)]


def test_fitness_is_measured_on_the_first_dataset_alone(ours, tmp_path):
    others = write_set(tmp_path / "theirs", OURS, first=101, train=60)
    before = fitness_split(open_dataset(ours).train)
    train, fitness = fitness_split(open_dataset(ours, also=[others]).train)
    assert files(fitness) == files(before[1])
    assert files(train) == [*files(before[0]), *files(open_dataset(others, only=("train",)).train)]


def test_what_the_other_lacks_is_unlabelled(ours, tmp_path):
    folder = write_set(tmp_path / "theirs", ["nose", "left_eye", "tail"], first=101, train=3)
    path = folder / "train.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["keypoints"][:6] = [0] * 6  # only the tail is left
    path.write_text(json.dumps(content))
    splits = open_dataset(ours, also=[folder])
    (joined,) = splits.joined
    assert (joined.keypoints.missing, joined.keypoints.dropped) == (("right_eye",), ("tail",))
    assert (joined.unlabelled, joined.persons) == (1, {"train": 2})
    blank, *labelled = splits.train.instances[20:]
    assert not blank.keypoints.any()
    assert all((one.keypoints[2] == 0).all() and one.num_labelled == 2 for one in labelled)
    assert splits.train.skipped["no keypoints"] == 1


def test_images_of_the_first_do_not_join(ours, tmp_path, caplog):
    """The same files under other names: two measure, one trains, one is new."""
    folder = write_set(tmp_path / "theirs", OURS, first=101, train=4)
    for name, other in (("101", "021"), ("102", "025"), ("103", "001")):
        shutil.copy(ours / f"images/{other}.png", folder / f"images/{name}.png")
    with caplog.at_level(logging.WARNING, "evopose"):
        splits = open_dataset(ours, also=[folder], only=("train", "val"))
    (joined,) = splits.joined
    assert joined.left_out == {"val": 1, "test": 1, "train": 1}
    assert joined.persons == {"train": 1}
    assert files(splits.train)[20:] == ["104.png"]
    assert "left out 1 images that val holds already" in caplog.text
    assert list(splits.found) == ["train", "val"]


def test_nothing_new_is_an_error(ours, tmp_path):
    shutil.copytree(ours, tmp_path / "copy")
    with pytest.raises(DataError) as told:
        open_dataset(ours, also=[tmp_path / "copy"])
    assert str(told.value) == (
        f"{tmp_path / 'copy'} adds nobody: 20 of its 20 images are in the first dataset already, "
        "the others have no persons with keypoints; leave it out, or use its labels in place of "
        "the first's"
    )


def test_the_digest_names_what_was_joined_and_how(ours, theirs, tmp_path):
    alone = open_dataset(ours).digest
    digest = open_dataset(ours, also=[theirs]).digest
    assert open_dataset(ours, also=[theirs]).digest == digest != alone
    renamed = {"tail": "left_eye", "L.Eye": "right_eye", "R.Eye": "nose", "Nose": "tail"}
    with pytest.raises(DataError, match="--rename Nose=tail: the first dataset has no tail"):
        open_dataset(ours, also=[theirs], rename=renamed)
    names = ["Nose", "tail", "left_eye", "x"]
    more = write_set(tmp_path / "more", names, first=201, train=3)
    digests = {
        open_dataset(ours, also=[more], rename=rename).digest
        for rename in ({}, {"tail": "right_eye"}, {"x": "right_eye"})
    }
    digests.add(open_dataset(ours, also=[theirs, more]).digest)
    assert len(digests | {alone, digest}) == 6
    moved = shutil.copytree(theirs, tmp_path / "elsewhere/theirs")
    assert open_dataset(ours, also=[moved]).digest == digest


def test_a_single_file_joins_whole(ours, tmp_path):
    folder = tmp_path / "one"
    content = content_of(OURS, 4, first=101)
    write_own_images(folder, content, 101)
    (folder / "labels.json").write_text(json.dumps(content))
    splits = open_dataset(ours, also=[folder / "labels.json"])
    assert splits.joined[0].persons == {"train": 4}
    assert len(splits.train.images) == 24


def test_joined_persons_are_cut(ours, theirs, tmp_path):
    train = open_dataset(ours, also=[theirs]).train
    cache = build_crops(train, CropSpec(input_hw=(32, 24)), cache_dir=tmp_path / "crops")
    assert len(cache) == 25
    assert cache.skeleton.keypoints == tuple(OURS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda folder: (folder / "train.json").unlink(),
            "HERE has no train annotations, only val, test; a further dataset only trains: name "
            "the file itself, say --with HERE/val.json",
        ),
        (
            lambda folder: [
                (folder / "annotations").mkdir(exist_ok=True)
                or shutil.copy(folder / "train.json",
                               folder / f"annotations/person_keypoints_train{year}.json")
                for year in (2014, 2017)
            ],
            "HERE holds several annotation files for train: "
            "annotations/person_keypoints_train2014.json, "
            "annotations/person_keypoints_train2017.json; choose the file itself, say --with "
            "HERE/annotations/person_keypoints_train2014.json",
        ),
    ],
)  # fmt: skip
def test_further_datasets_that_cannot_join(ours, theirs, change, message):
    change(theirs)
    with pytest.raises(DataError) as told:
        open_dataset(ours, also=[theirs])
    assert str(told.value).replace(str(theirs), "HERE") == message


def test_nothing_to_join(tmp_path, theirs):
    ours = write_set(tmp_path / "ours", OURS, val=4)
    with pytest.raises(DataError, match="can only join a train split, and there is none"):
        open_dataset(ours, also=[theirs])


# Several annotation files of one folder


def test_annotation_files_of_the_same_images_are_one_dataset(tmp_path):
    first, second = content_of(OURS, 6), content_of(["l_eye", "nose"], 6, first=4, seed=9)
    write_own_images(tmp_path / "images", first, 1)
    write_own_images(tmp_path / "images", second, 50)
    for name, content in (("a", first), ("b", second)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    splits = open_dataset(tmp_path, annotations=["a.json", "b.json"])
    datasets = splits.found.values()
    assert sorted(name for d in datasets for name in files(d)) == [
        f"{i:03}.png" for i in range(1, 10)
    ]
    assert sum(len(d.trainable) for d in datasets) == 12
    shared = {i.id: i.path.name for d in datasets for i in d.images}
    assert len(shared) == 9
    (joined,) = splits.joined
    assert joined.keypoints.mapped == (("nose", "nose"), ("l_eye", "left_eye"))
    assert splits.words == ["--annotations", "a.json", "--annotations", "b.json"]
    again = open_dataset(tmp_path, annotations=["a.json", "b.json"])
    assert again.digest == splits.digest != open_dataset(tmp_path, annotations="a.json").digest


def test_an_image_that_measures_in_one_file_does_not_train_in_another(tmp_path, caplog):
    write_set(tmp_path, OURS, train=6, val=3)
    content = content_of(OURS, 4, first=6, seed=4)  # 006 trains, 007 to 009 validate
    (tmp_path / "more_train.json").write_text(json.dumps(content))
    with caplog.at_level(logging.WARNING, "evopose"):
        splits = open_dataset(tmp_path, annotations=["{split}.json", "more_{split}.json"])
    assert files(splits.train) == [f"{i:03}.png" for i in range(1, 7)]
    assert len(splits.train.trainable) == 7
    assert len(splits.val.trainable) == 3
    assert splits.joined[0].left_out == {"val": 3}
    assert "3 persons left train with their images" in caplog.text


def test_annotation_files_that_do_not_go_together(tmp_path):
    write_set(tmp_path, OURS, train=6, val=3)
    for given, message in (
        (["train.json", "train.json"], "--annotations names train.json twice; give each file once"),
        (
            ["train.json", "{split}.json"],
            "several --annotations must all name a file a split, with {split} in them, or all one "
            "file that is to be split; {split}.json is not like the first",
        ),
    ):
        with pytest.raises(DataError) as told:
            open_dataset(tmp_path, annotations=given)
        assert str(told.value) == message


# Real data


def test_real_datasets_join_by_name(shared):
    data = shared / "data"
    lsp = "annotations/lsp14_{split}.json"
    splits = open_dataset(
        data / "people",
        annotations=lsp,
        also=[data / "fixtures/coco/test_coco.json", data / "fixtures/aic"],
        rename={"nose": "head_top"},
    )
    coco, aic = splits.joined
    assert len(coco.keypoints.mapped) == 13
    assert coco.keypoints.missing == ("neck",)
    assert coco.keypoints.dropped == ("left_eye", "right_eye", "left_ear", "right_ear")
    assert aic.keypoints.missing == aic.keypoints.dropped == ()
    assert dict(aic.keypoints.mapped)["Right Shoulder"] == "right_shoulder"
    content = json.loads((data / "fixtures/aic/test_aic.json").read_text())
    record = content["annotations"][0]
    given = np.reshape(record["keypoints"], (-1, 3))
    theirs = content["categories"][0]["keypoints"]
    one = next(i for i in splits.train.instances if np.allclose(
        i.box_xyxy[:2], record["bbox"][:2]) and i.image_id > 10_000)  # fmt: skip
    for name, row in zip(splits.train.skeleton.keypoints, one.keypoints, strict=True):
        spelt = {"head_top": "Head top", "neck": "Neck"}.get(name, name.replace("_", " ").title())
        np.testing.assert_array_equal(row, given[theirs.index(spelt)].astype(np.float32))


def test_lsp_labels_of_the_same_people_map_to_cocos(shared):
    splits = open_dataset(
        shared / "data/people",
        annotations=["annotations/person_keypoints_{split}.json", "annotations/lsp14_{split}.json"],
    )
    (joined,) = splits.joined
    assert len(joined.keypoints.mapped) == 12
    assert joined.keypoints.dropped == ("neck", "head_top")
    assert len(splits.train.images) == 6628
    by_image = {}
    for one in splits.train.trainable:
        by_image.setdefault(one.image_id, []).append(one.keypoints)
    pairs = [p for p in by_image.values() if len(p) == 2 and np.array_equal(*p)]
    assert len(pairs) > 6000  # both files hold LSP's labels
