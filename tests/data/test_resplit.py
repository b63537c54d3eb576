"""Splitting one dataset: shares, groups that stay whole, what is kept, what is refused."""

import json
from collections import Counter

import numpy as np
import pytest

from data.small_sets import coco_content, write_images
from evopose.data import open_dataset
from evopose.data.checking import check_dataset
from evopose.data.groups import assign_groups, groups_of, keep_together
from evopose.data.resplit import parse_ratios, resplit
from evopose.errors import ConfigError, DataError

EIGHTY = {"train": 0.8, "val": 0.1, "test": 0.1}


@pytest.fixture
def one_file(tmp_path):
    """Thirty images of ten videos, three each; records have fields of their own."""
    content = coco_content(30)
    content["info"] = {"of": "me"}
    for number, image in enumerate(content["images"]):
        image |= {"file_name": f"v{number // 3}/frame_{number:02}.png", "video": number // 3}
        content["annotations"][number]["track"] = number
    for number in range(10):
        (tmp_path / f"images/v{number}").mkdir(parents=True)
    write_images(tmp_path / "images", content)
    (tmp_path / "labels.json").write_text(json.dumps(content))
    return tmp_path / "labels.json"


def videos(splits):
    return {s: {i.path.parent.name for i in d.images} for s, d in splits.found.items()}


def test_by_image(one_file, tmp_path):
    report = resplit(one_file, tmp_path / "out", ratios=EIGHTY, seed=1)
    splits = open_dataset(tmp_path / "out")
    assert {s: len(d.trainable) for s, d in splits.found.items()} == {
        "train": 24, "val": 3, "test": 3,
    }  # fmt: skip
    assert {s: p.images for s, p in report.splits.items()} == {"train": 24, "val": 3, "test": 3}
    assert report.notes == ()
    names = [i.path.name for d in splits.found.values() for i in d.images]
    assert len(set(names)) == len(names) == 30
    assert all(i.path.is_symlink() for i in splits.train.images)
    raw = json.loads((tmp_path / "out/annotations/person_keypoints_train.json").read_text())
    assert raw["info"] == {"of": "me"}
    before = {a["id"]: a for a in json.loads(one_file.read_text())["annotations"]}
    assert all(before[a["id"]] == a for a in raw["annotations"])
    again = resplit(one_file, tmp_path / "again", ratios=EIGHTY, seed=1, copy=True)
    assert again.splits == report.splits
    copied = open_dataset(tmp_path / "again")
    assert copied.digest == splits.digest
    assert not copied.train.images[0].path.is_symlink()
    resplit(one_file, tmp_path / "other", ratios=EIGHTY, seed=2)
    assert open_dataset(tmp_path / "other").digest != splits.digest


@pytest.mark.parametrize("key", ["video", "folder", r"name:^v(\d+)/"])
def test_groups_stay_whole(one_file, tmp_path, key):
    report = resplit(one_file, tmp_path / "out", ratios=EIGHTY, group=key)
    found = videos(open_dataset(tmp_path / "out"))
    assert {s: len(v) for s, v in found.items()} == {"train": 8, "val": 1, "test": 1}
    assert sum(map(len, found.values())) == len(set().union(*found.values())) == 10
    assert {s: p.groups for s, p in report.splits.items()} == {"train": 8, "val": 1, "test": 1}


def test_ratios_that_whole_groups_miss_are_told(one_file, tmp_path):
    report = resplit(
        one_file, tmp_path / "out", ratios=parse_ratios("65/30/5"), group=r"name:^v(\d)/"
    )
    assert sum(p.persons for p in report.splits.values()) == 30
    assert report.notes == (
        "train has 60.0% of the persons instead of 65.0%, test has 10.0% of the persons instead of "
        "5.0%: whole groups come no nearer",
    )


def test_random_groups_keep_the_shares():
    """Groups of random sizes, largest 1/20 of all: no share is off by more than a small group."""
    rng = np.random.default_rng(0)
    for seed in range(20):
        sizes = rng.integers(1, 20, 60)
        groups = [f"g{g}" for g, n in enumerate(sizes) for _ in range(n)]
        persons = rng.integers(0, 4, len(groups)).tolist()
        chosen = assign_groups(groups, persons, EIGHTY, seed=seed, by="groups")
        places = {}
        for group, split in zip(groups, chosen, strict=True):
            assert places.setdefault(group, split) == split
        shares = Counter()
        for number, split in zip(persons, chosen, strict=True):
            shares[split] += number / sum(persons)
        assert {s: pytest.approx(w, abs=0.02) for s, w in EIGHTY.items()} == shares


def test_every_split_gets_crowded_and_empty_images():
    """Pictures of one to ten persons: as many a picture, and as full ones, wherever they go."""
    persons = np.random.default_rng(0).integers(1, 11, 1000)
    for seed in range(3):
        chosen = np.array(
            assign_groups(
                [*map(str, range(1000))], persons.tolist(), EIGHTY, seed=seed, by="images"
            )
        )
        for split, share in EIGHTY.items():
            there = persons[chosen == split]
            assert there.sum() / persons.sum() == pytest.approx(share, abs=0.002)
            assert there.mean() == pytest.approx(persons.mean(), rel=0.03)
            assert {there.min(), there.max()} == {1, 10}


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([50, 30, 10, 10], [80, 10, 10]),
        ([40, 40, 10, 10], [80, 10, 10]),
        ([90, 5, 5], [90, 5, 5]),
        ([1, 1, 1], [1, 1, 1]),
        ([18, *[1] * 82], [80, 10, 10]),
    ],
)
def test_a_few_large_groups(sizes, expected):
    names = [f"g{n}" for n in range(len(sizes))]
    chosen = assign_groups(names, sizes, EIGHTY, seed=0, by="groups")
    total = Counter()
    for split, size in zip(chosen, sizes, strict=True):
        total[split] += size
    assert [total[split] for split in EIGHTY] == expected


def test_every_split_gets_somebody():
    """One group of nearly all persons, two of one: the small ones are not left to train."""
    chosen = assign_groups(list("aaaabc"), [5, 5, 5, 5, 1, 1], EIGHTY, seed=0, by="groups")
    assert chosen[:4] == ["train"] * 4
    assert set(chosen[4:]) == {"val", "test"}


def test_images_of_nobody_are_spread_too(tmp_path):
    content = coco_content(40)
    write_images(tmp_path, content)
    for one in content["annotations"][:20]:
        one["keypoints"] = [0] * 51
    (tmp_path / "labels.json").write_text(json.dumps(content))
    report = resplit(tmp_path / "labels.json", tmp_path / "out", ratios=EIGHTY)
    assert {s: (p.images, p.persons) for s, p in report.splits.items()} == {
        "train": (32, 16), "val": (4, 2), "test": (4, 2),
    }  # fmt: skip


def test_splits_that_are_there_are_joined_first(one_file, tmp_path):
    resplit(one_file, tmp_path / "first", ratios=EIGHTY)
    report = resplit(tmp_path / "first", tmp_path / "second", ratios=EIGHTY, group="video")
    assert sum(p.images for p in report.splits.values()) == 30
    assert report.notes == ()
    assert sum(map(len, videos(open_dataset(tmp_path / "second")).values())) == 10


def test_a_video_whose_frames_were_in_two_splits_is_one_group(one_file, tmp_path):
    """As an import writes them: names begin with the folder of their split."""
    content = json.loads(one_file.read_text())
    root = tmp_path / "set"
    for split, odd in (("train", 0), ("val", 1)):
        images = [i for i in content["images"] if i["id"] % 2 == odd]
        ids = {i["id"] for i in images}
        part = content | {
            "annotations": [a for a in content["annotations"] if a["image_id"] in ids]
        }
        part["images"] = [
            i | {"file_name": f"{split}/{i['file_name'].replace('/', '_')}"} for i in images
        ]
        write_images(root / f"images/{split}", {"images": []})
        write_images(root / "images", part)
        (root / f"{split}.json").write_text(json.dumps(part))
    key = r"name:(.*)_frame"
    checked = check_dataset(root, group=key)
    (straddling,) = (f for f in checked.findings if f.kind == "group-in-two-splits")
    assert straddling.count == 10
    resplit(root, tmp_path / "out", ratios=EIGHTY, group=key)
    where = Counter()
    for dataset in open_dataset(tmp_path / "out").found.values():
        where.update({image.path.name.partition("_")[0] for image in dataset.images})
    assert where == dict.fromkeys((f"v{n}" for n in range(10)), 1)
    with pytest.raises(DataError, match=r"^1 groups \(\.\) have persons"):
        resplit(root, tmp_path / "no", ratios=EIGHTY, group="folder")


def test_copies_of_an_image_stay_together(one_file, tmp_path):
    content = json.loads(one_file.read_text())
    for number, image in enumerate(content["images"]):
        if number % 3:
            first = content["images"][number - number % 3]
            path = one_file.parent / "images" / image["file_name"]
            path.write_bytes((one_file.parent / "images" / first["file_name"]).read_bytes())
    report = resplit(one_file, tmp_path / "out", ratios=EIGHTY)
    found = videos(open_dataset(tmp_path / "out"))
    assert sum(map(len, found.values())) == len(set().union(*found.values())) == 10
    assert report.notes == ("20 images are the same files as others and stay with them",)


def test_keeping_together():
    same = [None, 1, None, 1, 2, 2, 2, 1]
    assert keep_together(list("abcdefga"), same) == list("aacaeeea")
    assert keep_together(list("abcab"), [None, None, 1, None, 1]) == list("abbab")


def test_ids_and_names_that_collide(tmp_path):
    for split in ("train", "val"):
        content = coco_content(6, seed=len(split))
        write_images(tmp_path / "set/images" / split, content)
        for path in (tmp_path / "set/images" / split).iterdir():
            path.write_bytes(path.read_bytes() + split.encode())
        (tmp_path / f"set/{split}.json").write_text(json.dumps(content))
    report = resplit(tmp_path / "set", tmp_path / "out", ratios=EIGHTY)
    assert report.notes == (
        "images and annotations of val have new ids, since theirs were taken",
        "train has 83.3% of the persons instead of 80.0%: whole images come no nearer",
    )
    found = open_dataset(tmp_path / "out").found.values()
    assert sum(len(d.trainable) for d in found) == 12
    assert len({i.path.resolve() for d in found for i in d.images}) == 12
    boxes = {one.keypoints.tobytes() for d in found for one in d.trainable}
    assert len(boxes) == 12


def test_categories(one_file, tmp_path):
    content = json.loads(one_file.read_text())
    kind = content["categories"][0]
    content["categories"] += [kind | {"id": 2, "name": "dog"},
                              kind | {"id": 3, "name": "cup", "keypoints": ["rim"]}]  # fmt: skip
    for number, one in enumerate(content["annotations"]):
        one["category_id"] = 1 + number % 3
        if one["category_id"] == 3:
            one["keypoints"] = [5, 5, 2]
    one_file.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"choose with `evopose data split FILE --out DIR --categ"):
        resplit(one_file, tmp_path / "out", ratios=EIGHTY)
    report = resplit(one_file, tmp_path / "out", ratios=EIGHTY, categories=["person", "dog"])
    assert sum(p.persons for p in report.splits.values()) == 20
    assert report.notes == ("10 annotations of other categories in all are left out",)
    assert len(open_dataset(tmp_path / "out").train.skeleton) == 17
    for names, message in (
        (["cat"], "has no category cat with keypoints; it has person, dog, cup"),
        (["person", "cup"], "person, cup have different keypoints, so they cannot be one category"),
    ):
        with pytest.raises(DataError, match=message):
            resplit(one_file, tmp_path / "other", ratios=EIGHTY, categories=names)


def test_ratios():
    assert parse_ratios("80/10/10") == pytest.approx(EIGHTY)
    assert parse_ratios("3/1") == {"train": 0.75, "val": 0.25}
    assert parse_ratios("90/10/0") == {"train": 0.9, "val": 0.1}
    for wrong in ("80", "80/x/10", "0/50/50", "100/0/0", "-1/5/5", "1/1/1/1", "", "inf/1/1"):
        with pytest.raises(ConfigError) as told:
            parse_ratios(wrong)
        assert str(told.value) == (
            "expected --ratios TRAIN/VAL/TEST, say 80/10/10, or 90/10/0 for no test split; got "
            f"{wrong!r}"
        )


def test_what_is_refused(one_file, tmp_path):
    def refused(**options):
        with pytest.raises((DataError, ConfigError)) as told:
            resplit(one_file, tmp_path / "out", ratios=EIGHTY, **options)
        assert not (tmp_path / "out").exists()
        return str(told.value).replace(str(tmp_path), "HERE")

    expected = (
        "expected --group FIELD (a field of the images, say video), folder, or name:REGEX with one "
        r"group in it, say 'name:(.*)_\d+'"
    )
    assert refused(group="subject") == (
        "HERE/labels.json: --group subject says nothing of v0/frame_00.png, v0/frame_01.png, "
        "v0/frame_02.png, v1/frame_03.png, v1/frame_04.png, ... (30 of 30); " + expected
        + "; the images have the fields file_name, height, id, video, width"
    )  # fmt: skip
    assert refused(group="name:x") == f"--group name:x: 0 groups in it; {expected}"
    assert refused(group="name:(") == (
        "--group name:(: no regular expression (missing ), unterminated subpattern at position 0); "
        + expected
    )
    assert refused(group="") == f"{expected}; got nothing"
    assert refused(group="name:(frame)") == (
        "1 groups (frame) have persons with keypoints, too few for 3 splits (train, val, test): "
        "choose another --group, or fewer splits with --ratios, say 80/20"
    )
    content = json.loads(one_file.read_text())
    del content["images"][4]["video"]
    one_file.write_text(json.dumps(content))
    assert "says nothing of v1/frame_04.png; expected" in refused(group="video")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/file").write_text("mine")
    with pytest.raises(DataError, match=r"expected a new or an empty folder, but \S+out holds"):
        resplit(one_file, tmp_path / "out", ratios=EIGHTY)


def test_groups_of_missing_values_are_named():
    images = [{"file_name": f"{i}.png", "video": i or None} for i in range(3)]
    with pytest.raises(DataError, match=r"--group video says nothing of 0.png; expected"):
        groups_of(images, "video", where="set")
