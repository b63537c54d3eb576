"""What may be given as DATA, and what is said when it cannot be understood."""

import json
import logging
import shutil

import pytest

from data.small_sets import coco_content, write_images
from evopose.data import DATASETS, layouts, open_dataset
from evopose.errors import DataError
from evopose.skeleton import COCO_PERSON


def write(path, content, images=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    if images is not None:
        write_images(images, content)


def names(splits):
    return {name: sorted(i.path.name for i in d.images) for name, d in splits.found.items()}


def numbered(first, count=3):
    """A split whose images are numbered from `first`."""
    content = coco_content(count, seed=first)
    for image in content["images"]:
        image["file_name"] = f"{first + image['id']:03}.png"
    return content


@pytest.mark.parametrize(
    ("labels", "images"),
    [
        ("annotations/person_keypoints_{}.json", "images"),
        ("annotations/person_keypoints_{}.json", "images/{}"),
        ("annotations/person_keypoints_{}2017.json", "{}2017"),
        ("annotations/person_keypoints_{}2017.json", "images/{}2017"),
        ("annotations/{}.json", "images"),
        ("{}.json", "images"),
        ("{}.json", "{}"),
        ("{}.json", "."),
    ],
)
def test_folders_of_splits(tmp_path, labels, images):
    for first, split in enumerate(("train", "val", "test")):
        write(
            tmp_path / labels.format(split), numbered(10 * first), tmp_path / images.format(split)
        )
    splits = open_dataset(tmp_path)
    assert names(splits) == {
        "train": ["001.png", "002.png", "003.png"],
        "val": ["011.png", "012.png", "013.png"],
        "test": ["021.png", "022.png", "023.png"],
    }
    assert splits.train.images[0].path.is_file()
    assert splits.test is splits.named("test")
    assert list(open_dataset(tmp_path, only=("val",)).found) == ["val"]


def test_equal_names_in_two_folders_are_not_mixed_up(tmp_path):
    for split in ("train", "val"):
        write(tmp_path / f"annotations/{split}.json", coco_content(3), tmp_path / "images" / split)
    splits = open_dataset(tmp_path)
    assert {i.path.parent.name for i in splits.train.images} == {"train"}
    assert {i.path.parent.name for i in splits.val.images} == {"val"}
    assert splits.test is None


@pytest.mark.parametrize("images", ["images", "."])
@pytest.mark.parametrize("as_folder", [True, False])
def test_one_file_is_split_by_image(tmp_path, images, as_folder):
    write(tmp_path / "labels.json", coco_content(30), tmp_path / images)
    data = tmp_path if as_folder else tmp_path / "labels.json"
    splits = open_dataset(data, seed=3)
    assert {n: len(d.images) for n, d in splits.found.items()} == {"train": 24, "val": 3, "test": 3}
    assert len(set().union(*(set(n) for n in names(splits).values()))) == 30
    assert names(open_dataset(data, seed=3)) == names(splits)
    assert names(open_dataset(data, seed=4)) != names(splits)
    assert names(open_dataset(data, seed=3, only=("val",))) == {"val": names(splits)["val"]}


def test_several_candidates_ask_for_annotations(tmp_path):
    for year in (2014, 2017):
        path = tmp_path / f"annotations/person_keypoints_train{year}.json"
        write(path, coco_content(3), tmp_path / "images")
    with pytest.raises(
        DataError,
        match=r"several annotation files for train: annotations/person_keypoints_train2014.json, "
        r"\S+2017.json; choose with --annotations, say --annotations "
        r"'annotations/person_keypoints_\{split\}2014.json'",
    ):
        open_dataset(tmp_path)
    splits = open_dataset(tmp_path, annotations="annotations/person_keypoints_{split}2017.json")
    assert list(splits.found) == ["train"]
    with pytest.raises(DataError, match="has no val annotations, only train; expected a folder"):
        _ = splits.val
    with pytest.raises(DataError, match="has no test annotations, only train"):
        open_dataset(
            tmp_path, annotations="annotations/person_keypoints_{split}2017.json", only=("test",)
        )


def test_several_single_files_ask_for_annotations(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / f"{name}.json", coco_content(3), tmp_path)
    with pytest.raises(DataError, match=r"several annotation files: a\.json, b\.json; .* 'a.json'"):
        open_dataset(tmp_path)
    assert list(open_dataset(tmp_path, annotations="b.json").found) == ["train", "val", "test"]
    absolute = str(tmp_path / "b.json")
    assert list(open_dataset(tmp_path, annotations=absolute).found) == ["train", "val", "test"]
    with pytest.raises(DataError, match=r"there is no annotation file \S+c\.json"):
        open_dataset(tmp_path, annotations="c.json")
    with pytest.raises(DataError, match=r"none of these files exist: \S+c_train.json, "):
        open_dataset(tmp_path, annotations="c_{split}.json")


def test_nothing_there(tmp_path):
    with pytest.raises(
        DataError, match=r"there is no .*nowhere; expected a folder with annotations"
    ):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no annotations; expected a folder with"):
        open_dataset(tmp_path)
    write(tmp_path / "labels.json", coco_content(2), tmp_path)
    with pytest.raises(DataError, match="2 images have persons with keypoints, too few to split"):
        open_dataset(tmp_path)


def test_splits_must_share_their_skeleton(tmp_path):
    for split in ("train", "val"):
        write(tmp_path / f"{split}.json", coco_content(3), tmp_path)

    def change_val(**values):
        content = coco_content(3)
        content["categories"][0].update(values)
        write(tmp_path / "val.json", content)

    change_val(keypoints=list(COCO_PERSON.keypoints)[::-1])
    with pytest.raises(
        DataError,
        match=r"train and val must have the same keypoints in the same order; train has nose, .*, "
        "val right_ankle",
    ):
        open_dataset(tmp_path)
    change_val(sigmas=[0.1] * 17)
    with pytest.raises(DataError, match="flip_pairs or sigmas of train and val differ"):
        open_dataset(tmp_path)
    change_val(skeleton=[[1, 2]])
    splits = open_dataset(tmp_path)
    assert splits.val.skeleton == splits.train.skeleton


def test_the_digest_names_the_content_wherever_it_lies(tmp_path):
    content = coco_content(3)
    for folder in ("here", "there"):
        write(tmp_path / folder / "train.json", content, tmp_path / folder / "images")
    digest = open_dataset(tmp_path / "here").digest
    assert open_dataset(tmp_path / "there").digest == digest
    content["annotations"][1]["keypoints"][4] += 0.5
    write(tmp_path / "there/train.json", content)
    assert open_dataset(tmp_path / "there").digest != digest
    shutil.copy(tmp_path / "here/train.json", tmp_path / "there/train.json")
    assert open_dataset(tmp_path / "there").digest == digest
    with (tmp_path / "there/images/001.png").open("ab") as file:
        file.write(b" ")
    assert open_dataset(tmp_path / "there").digest != digest


def test_synthetic_is_drawn_once(tmp_path, monkeypatch):
    monkeypatch.setenv("EVOPOSE_HOME", str(tmp_path / "home"))
    drawn = []

    def draw(folder, count, seed, on_progress=None):
        drawn.append((count, seed))
        for split in ("train", "val", "test"):
            path = folder / f"annotations/person_keypoints_{split}.json"
            write(path, coco_content(3, seed=seed), folder / "images")

    monkeypatch.setattr("evopose.data.synthetic.write_synthetic", draw, raising=False)
    first = open_dataset("synthetic:9", seed=1)
    again = open_dataset("synthetic:9", seed=1)
    assert first.digest == again.digest
    assert first.source == "synthetic:9"
    assert (tmp_path / "home/synthetic") in first.train.images[0].path.parents
    open_dataset("synthetic")
    open_dataset("synthetic:9", seed=2)
    assert drawn == [(9, 1), (layouts.SYNTHETIC_COUNT, 0), (9, 2)]
    for wrong in ("synthetic:0", "synthetic:many", "synthetic:-3"):
        with pytest.raises(DataError, match="expected synthetic or synthetic:N, say synthetic:500"):
            open_dataset(wrong)


def test_every_named_dataset_opens(tmp_path, monkeypatch):
    monkeypatch.setenv("EVOPOSE_HOME", str(tmp_path))
    for name in DATASETS:
        splits = open_dataset(f"{name}:20")
        assert splits.train.trainable
        assert splits.val.trainable
        assert splits.train.skeleton.keypoints == COCO_PERSON.keypoints


def test_real_datasets_open(shared, caplog):
    data = shared / "data"
    with caplog.at_level(logging.WARNING):
        people = open_dataset(data / "people")
    assert {n: len(d.trainable) for n, d in people.found.items()} == {
        "train": 6798, "val": 985, "test": 700,
    }  # fmt: skip
    assert people.train.skipped["crowd"] == 8
    assert people.train.skeleton.sigmas == COCO_PERSON.sigmas
    assert not caplog.records
    lsp = open_dataset(data / "people", annotations="annotations/lsp14_{split}.json", only=("val",))
    assert len(lsp.val.trainable) == 700
    assert lsp.val.skeleton.sigmas_assumed
    mouse = open_dataset(data / "animals/openfield")
    assert mouse.train.skeleton.flip_pairs == ((1, 2),)
    assert [len(d.images) for d in mouse.found.values()] == [92, 12, 12]
    mirror = open_dataset(data / "animals/mirror_mouse")
    assert mirror.train.skeleton.flip_pairs is None
    assert len(mirror.train.skeleton) == 17
    fixture = open_dataset(data / "fixtures/coco", annotations="test_coco.json")
    content = json.loads((data / "fixtures/coco/test_coco.json").read_text())
    labelled = [a["num_keypoints"] > 0 and not a["iscrowd"] for a in content["annotations"]]
    assert sum(len(d.trainable) for d in fixture.found.values()) == sum(labelled) > 0
    with pytest.raises(DataError, match=r"several annotation files: .*--annotations"):
        open_dataset(data / "fixtures/coco")
    with pytest.raises(DataError, match=r"categories name keypoints .*, one is expected"):
        open_dataset(data / "fixtures/ap10k")
