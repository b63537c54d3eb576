"""Every format becomes a dataset that evopose and pycocotools read, with the right numbers."""

import contextlib
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from pycocotools.coco import COCO

from data.importers.sources import (
    OCHUMAN_NAMES,
    SOURCES,
    deeplabcut,
    lsp_joints,
    lsp_matrix,
    read,
    read_csv,
    write_csv,
    yolo_line,
)
from evopose.data import open_dataset
from evopose.data.importers import IMPORTERS, Options, import_dataset
from evopose.errors import ConfigError, DataError
from evopose.geometry import box_to_crop
from evopose.metrics import oks
from evopose.skeleton import COCO_PERSON, flip_pairs_from_names


@pytest.fixture
def imported(shared, tmp_path):
    """Import a source of a kind; return the source, the report and the dataset."""

    def run(kind, options=Options(), change=None, **more):
        source = SOURCES[kind](shared, tmp_path / "source")
        if change:
            content = read(source.labels)
            change(content)
            source.labels.write_text(json.dumps(content))
        report = import_dataset(source.format, source.path, tmp_path / "out", options, **more)
        return source, report, open_dataset(tmp_path / "out")

    return run


def labelled(dataset):
    """Return {annotation id: (K, 3) keypoints} of those that are trained on."""
    return {one.id: one.keypoints for one in dataset.trainable}


def raw(source, key="keypoints"):
    return {a["id"]: a[key] for a in read(source.labels)["annotations"]}


def test_every_format_is_tried():
    tried = {kind if kind == "yolo-pose" else kind.partition("-")[0] for kind in SOURCES}
    assert tried == set(IMPORTERS)


NUMBERS = {
    "mpii": (5, 5, 16), "mpii-trb": (5, 5, 40), "crowdpose": (2, 4, 14), "aic": (3, 9, 14),
    "aic-original": (3, 9, 14), "ap10k": (2, 2, 17), "jhmdb": (3, 3, 15), "ochuman": (3, 5, 17),
    "ochuman-original": (3, 5, 17), "lsp": (4, 4, 14), "lsp-matrix": (3, 3, 14),
    "deeplabcut": (4, 4, 4), "yolo-pose": (2, 3, 17),
}  # fmt: skip
"""Images, persons with keypoints, keypoints: counted in the fixtures by hand."""


@pytest.mark.parametrize("kind", SOURCES)
def test_evopose_and_pycocotools_read_it(imported, kind, tmp_path):
    _, report, splits = imported(kind)
    dataset = splits.train
    found = len(dataset.images), len(dataset.trainable), len(dataset.skeleton)
    assert found == NUMBERS[kind]
    assert report.keypoints == dataset.skeleton.keypoints
    assert report.splits["train"].instances == len(dataset.trainable)
    assert dataset.skeleton.flip_pairs == flip_pairs_from_names(dataset.skeleton.keypoints)
    with contextlib.redirect_stdout(io.StringIO()):
        judge = COCO(tmp_path / "out/annotations/person_keypoints_train.json")
    assert len(judge.anns) == len(dataset.instances)
    for one in dataset.instances:
        theirs = np.reshape(judge.anns[one.id]["keypoints"], (-1, 3))
        np.testing.assert_allclose(theirs, one.keypoints, atol=1e-4)
        assert judge.anns[one.id]["num_keypoints"] == one.num_labelled


def test_mpii_numbers_by_hand(imported):
    _, report, splits = imported("mpii")
    first, _, third, *_ = splits.train.instances
    names = splits.train.skeleton.keypoints
    assert first.keypoints[names.index("right_ankle")].tolist() == [803, 710, 2]
    assert first.keypoints[names.index("left_wrist")].tolist() == [1141, 477, 2]
    assert third.keypoints[names.index("right_ankle")].tolist() == [0, 0, 0]
    # scale 4.718488, centre (966, 340): a square of 943.6976 about (965, 339 + 70.77732)
    expected = [493.1512, -62.07148, 1436.8488, 881.62612]
    np.testing.assert_allclose(first.box_xyxy, expected, atol=1e-5)
    assert first.area == pytest.approx(0.53 * 943.6976**2)
    centre, scale = box_to_crop(first.box_xyxy, input_hw=(256, 256), padding=1.25)
    assert centre == pytest.approx([965, 409.77732])  # HRNet: c + (0, 15 s) - 1
    assert 256 * scale == pytest.approx(200 * 1.25 * 4.718488)  # HRNet: 200 pixels times 1.25 s
    assert splits.train.skeleton.sigmas[0] == 0.089
    assert any("1 taken off" in note for note in report.assumptions)


def test_hidden_mpii_keypoints_with_coordinates_are_counted(imported):
    def hide(content):
        content[0]["joints_vis"][0] = 0

    _, report, splits = imported("mpii", change=hide)
    assert splits.train.instances[0].keypoints[0].tolist() == [0, 0, 0]
    assert "1 keypoints with coordinates but joints_vis 0: not labelled" in report.assumptions


def test_trb_shares_mpii_bodies(imported):
    _, _, splits = imported("mpii-trb")
    names = splits.train.skeleton.keypoints
    first = labelled(splits.train)[2736]
    assert first[names.index("right_ankle")].tolist() == [803, 710, 2]
    assert first[names.index("right_neck")] == pytest.approx([894.418, 240.258, 2])
    assert splits.train.skeleton.sigmas_assumed
    seen = first[first[:, 2] > 0, :2]
    box = next(i.box_xyxy for i in splits.train.instances if i.id == 2736)
    assert (seen >= box[:2]).all()
    assert (seen <= box[2:]).all()


@pytest.mark.parametrize("kind", ["crowdpose", "aic", "ap10k", "ochuman", "lsp"])
def test_coordinates_counted_from_zero_stay(imported, kind):
    source, _, splits = imported(kind)
    for id, keypoints in labelled(splits.train).items():
        expected = np.reshape(raw(source)[id], (-1, 3))
        expected = np.where(expected[:, 2:] > 0, expected, 0)
        np.testing.assert_allclose(keypoints, expected, atol=1e-4)


def test_jhmdb_is_counted_from_one(imported):
    _, _, splits = imported("jhmdb")
    one = splits.train.instances[0]
    assert one.keypoints[0] == pytest.approx([97.851746, 91.59851, 2])
    np.testing.assert_allclose(one.box_xyxy, [78, 61, 132, 220])
    assert splits.train.images[0].path.name == "00001.png"


def test_crowdpose_keeps_what_it_says_of_crowds(imported, tmp_path):
    _, report, splits = imported("crowdpose")
    said = read(tmp_path / "out/annotations/person_keypoints_train.json")
    assert [i["crowdIndex"] for i in said["images"]] == [0.33, 0.39]
    assert report.splits["train"].unlabelled == 1
    one = splits.train.trainable[0]
    assert one.area == pytest.approx(0.53 * 273.15 * 352.42)
    sigmas = [0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89, 0.79, 0.79]
    assert splits.train.skeleton.sigmas == pytest.approx([s / 10 for s in sigmas])


def test_oks_on_aic_is_the_challenges(imported):
    _, _, splits = imported("aic")
    one = next(i for i in splits.train.instances if i.id == 10)
    off = one.keypoints[:, :2] + np.arange(28).reshape(14, 2) / 3
    width, height = one.box_xyxy[2:] - one.box_xyxy[:2]
    sigmas = np.array(splits.train.skeleton.sigmas)
    # keypoint_eval.py: mean(exp(-d^2 / 2 / delta^2 / (box area + 1))), delta = 2 sigma
    squared = ((off - one.keypoints[:, :2]) ** 2).sum(axis=1)
    theirs = np.exp(-squared / 2 / (2 * sigmas) ** 2 / (width * height + 1)).mean()
    ours = oks(off[None], one.keypoints[None], np.array([one.area]), sigmas)
    assert ours == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize("kind", ["aic", "crowdpose"])
def test_crowds_are_kept(imported, kind):
    _, report, splits = imported(kind, change=lambda c: c["annotations"][0].update(iscrowd=1))
    assert report.splits["train"].crowds == 1
    assert splits.train.skipped["crowd"] == 1


@pytest.mark.parametrize(("original", "form"), [("aic-original", "aic"),
                                                ("ochuman-original", "ochuman")])  # fmt: skip
def test_original_and_coco_form_agree(shared, tmp_path, original, form):
    found = []
    for kind in (original, form):
        source = SOURCES[kind](shared, tmp_path / kind)
        import_dataset(source.format, source.path, tmp_path / f"{kind}-out")
        found.append(open_dataset(tmp_path / f"{kind}-out").train)
    theirs, ours = found
    assert theirs.skeleton == ours.skeleton
    for a, b in zip(theirs.instances, ours.instances, strict=True):
        np.testing.assert_allclose(a.keypoints, b.keypoints, atol=1e-3)
        np.testing.assert_allclose(a.box_xyxy, b.box_xyxy)
        assert a.area == b.area
    assert set(OCHUMAN_NAMES) - {"head", "neck"} == set(COCO_PERSON.keypoints)


def test_ochuman_counts_persons_without_keypoints(imported):
    _, report, _ = imported("ochuman-original")
    assert report.splits["train"].skipped == {"person without keypoints": 1}


def test_ap10k_species_are_kept_and_chosen(imported, tmp_path):
    _, report, _ = imported("ap10k")
    said = read(tmp_path / "out/annotations/person_keypoints_train.json")
    assert {a["id"]: a["species"] for a in said["annotations"]} == {9284: "jaguar", 6: "antelope"}
    assert report.category == "animal"


def test_ap10k_one_species(imported):
    _, report, splits = imported("ap10k", Options(categories=("antelope",)))
    assert (report.category, list(labelled(splits.train))) == ("antelope", [6])
    assert report.splits["train"].skipped == {
        "of categories not chosen": 1, "image without the chosen categories": 1,
    }  # fmt: skip


def test_ap10k_with_other_keypoints_in_a_category(imported):
    def shorten(content):
        content["categories"][3]["keypoints"] = ["nose", "neck"]

    with pytest.raises(DataError, match="different keypoints: buffalo not those of antelope"):
        imported("ap10k", change=shorten)


def test_lsp_gets_limbs_and_sigmas(imported):
    _, report, splits = imported("lsp")
    skeleton = splits.train.skeleton
    assert not skeleton.sigmas_assumed
    shared_names = set(skeleton.keypoints) & set(COCO_PERSON.keypoints)
    assert len(shared_names) == 12
    for name in shared_names:
        of_coco = COCO_PERSON.sigmas[COCO_PERSON.keypoints.index(name)]
        assert skeleton.sigmas[skeleton.keypoints.index(name)] == of_coco
    assert any("CrowdPose's for neck and head" in note for note in report.assumptions)


def test_joints_mat_of_scipy(tmp_path):
    source = lsp_matrix(None, tmp_path / "source")
    import_dataset("lsp", source.path, tmp_path / "out")
    dataset = open_dataset(tmp_path / "out").train
    joints = lsp_joints()
    for i, one in enumerate(dataset.instances):
        np.testing.assert_allclose(one.keypoints[:, :2], joints[:2, :, i].T - 1)
        assert one.keypoints[:, 2].tolist() == (2 - joints[2, :, i]).tolist()
    assert [i.path.name for i in dataset.images] == ["im0001.jpg", "im0002.jpg", "im0003.jpg"]


@pytest.mark.parametrize("name", ["openfield", "mirror_mouse"])
def test_deeplabcut_brings_mice_back(shared, tmp_path, name):
    source = deeplabcut(shared, tmp_path / "project", number=40, name=name)
    report = import_dataset("deeplabcut", source.path, tmp_path / "out", link=True)
    found = open_dataset(tmp_path / "out/annotations/person_keypoints_train.json")
    back = {i.path.name: i.id for split in found.found.values() for i in split.images}
    instances = {i.image_id: i for split in found.found.values() for i in split.instances}
    original = read(shared / f"data/animals/{name}/{name}.json")
    names = {i["id"]: i["file_name"] for i in original["images"]}
    assert len(back) == 40
    for one in original["annotations"][:40]:
        instance = instances[back[names[one["image_id"]]]]
        expected = np.reshape(one["keypoints"], (-1, 3))
        np.testing.assert_allclose(instance.keypoints, expected, atol=1e-4)
    assert (tmp_path / "out/images/train/labeled-data/video").is_dir()
    assert report.category == "animal"


def test_a_deeplabcut_project_with_the_path_in_three_columns(shared, tmp_path):
    source = deeplabcut(shared, tmp_path / "project")
    rows = read_csv(source.labels)
    split = [[*r[0].split("/"), *r[1:]] if "/" in r[0] else [r[0], "", "", *r[1:]] for r in rows]
    split[-1][3:] = [""] * 8
    write_csv(source.labels, split)
    report = import_dataset("deeplabcut", tmp_path / "project", tmp_path / "out")
    assert report.splits["train"].images == 4
    assert report.splits["train"].skipped == {"frame without a labelled keypoint": 1}
    assert report.splits["train"].instances == 3


def test_a_moved_folder_of_frames(shared, tmp_path):
    source = deeplabcut(shared, tmp_path / "project")
    moved = source.labels.parent.rename(tmp_path / "frames")
    import_dataset("deeplabcut", moved / source.labels.name, tmp_path / "out")
    names = [i.path.name for i in open_dataset(tmp_path / "out").train.images]
    assert names == [p.name for p in source.images]


def test_several_animals_and_the_scene(shared, tmp_path):
    source = deeplabcut(shared, tmp_path / "project", number=2)
    rows = read_csv(source.labels)
    scorer, bodyparts, coords, *frames = rows
    wide = [
        [*scorer, *["Ann"] * 10],
        ["individuals", *["m1"] * 8, *["m2"] * 8, *["single"] * 2],
        [*bodyparts, *bodyparts[1:], "corner", "corner"],
        [*coords, *["x", "y"] * 5],
        [*frames[0], *(str(float(v) + 5) for v in frames[0][1:]), "3", "4"],
        [*frames[1], *[""] * 8, "", ""],
    ]
    write_csv(source.labels, wide)
    report = import_dataset("deeplabcut", source.path, tmp_path / "out")
    assert report.splits["train"].instances == 3
    assert report.splits["train"].skipped == {"keypoint of the scene, no animal": 1}
    said = read(tmp_path / "out/annotations/person_keypoints_train.json")["annotations"]
    assert [a["individual"] for a in said] == ["m1", "m2", "m1"]
    apart = np.subtract(said[1]["keypoints"], said[0]["keypoints"]).reshape(-1, 3)
    np.testing.assert_allclose(apart, [[5, 5, 0]] * 4, atol=1e-4)


def test_a_box_about_keypoints(shared, tmp_path):
    source = deeplabcut(shared, tmp_path / "project", number=1)
    import_dataset("deeplabcut", source.path, tmp_path / "out", Options(padding=0.1))
    said = read(tmp_path / "out/annotations/person_keypoints_train.json")["annotations"][0]
    # x 19.98 to 87.11, y 152.70 to 265.94: 11.324 wider on every side
    np.testing.assert_allclose(said["bbox"], [8.656, 141.376, 89.778, 135.888], atol=1e-3)


def test_a_skeleton_may_be_given(shared, tmp_path):
    source = deeplabcut(shared, tmp_path / "project")
    given = tmp_path / "mouse.json"
    names = ["tailbase", "snout", "leftear", "rightear"]
    given.write_text(json.dumps({"name": "mouse", "keypoints": names, "skeleton": [[1, 2]],
                                 "sigmas": [0.1, 0.02, 0.03, 0.03]}))  # fmt: skip
    import_dataset("deeplabcut", source.path, tmp_path / "out", Options(skeleton=given))
    skeleton = open_dataset(tmp_path / "out").train.skeleton
    assert (skeleton.keypoints, skeleton.limbs) == (tuple(names), ((0, 1),))
    assert skeleton.sigmas == (0.1, 0.02, 0.03, 0.03)
    one = open_dataset(tmp_path / "out").train.instances[0]
    assert one.keypoints[0] == pytest.approx([87.11, 152.7, 2])


def test_yolo_brings_coco_back(shared, imported, tmp_path):
    _, report, splits = imported("yolo-pose")
    assert set(report.splits) == {"train", "val"}
    original = read(shared / "data/fixtures/coco/test_coco.json")
    people = [a for a in original["annotations"] if not a["iscrowd"]]
    back = [*splits.train.instances, *splits.val.instances]
    assert len(back) == len(people)
    names = {i["id"]: i["file_name"] for i in original["images"]}
    sizes = {i.id: i.path.name for i in splits.train.images}, {
        i.id: i.path.name for i in splits.val.images}  # fmt: skip
    found = [
        (side[one.image_id], one)
        for side, part in zip(sizes, (splits.train, splits.val), strict=True)
        for one in part.instances
    ]
    for one in people:
        expected = np.reshape(one["keypoints"], (-1, 3))
        assert any(
            name == names[one["image_id"]]
            and np.abs(mine.keypoints - expected).max() < 1e-3
            and np.allclose(mine.box_xyxy[:2], one["bbox"][:2], atol=1e-3)
            for name, mine in found
        )
    assert splits.train.skeleton == COCO_PERSON
    assert any("taken for COCO's" in note for note in report.assumptions)


def test_yolo_with_two_numbers_and_names(shared, tmp_path):
    source = SOURCES["yolo-pose"](shared, tmp_path / "source")
    for file in (tmp_path / "source/labels").rglob("*.txt"):
        rows = [line.split() for line in file.read_text().splitlines()]
        short = [" ".join([*r[:5], *(v for i in range(5, 56, 3) for v in r[i : i + 2])])
                 for r in rows]  # fmt: skip
        file.write_text("\n".join(short))
    names = "\n".join(f"    - {n}" for n in COCO_PERSON.keypoints)
    (tmp_path / "source/data.yaml").write_text(
        "train: ../images/train\nval: images/val\nkpt_shape: [17, 2]\nnames: ['person', dog]\n"
        f"kpt_names:\n  0:\n{names}\n"
    )
    import_dataset("yolo-pose", source.path, tmp_path / "out", Options(split="train"))
    dataset = open_dataset(tmp_path / "out").train
    original = read(shared / "data/fixtures/coco/test_coco.json")["annotations"]
    first = next(i for i in dataset.instances)
    seen = [np.reshape(a["keypoints"], (-1, 3)) for a in original]
    match = [s for s in seen if np.abs(s[:, :2] - first.keypoints[:, :2]).max() < 1e-3]
    assert len(match) >= 1
    assert (first.keypoints[:, 2] == 2 * (match[0][:, 2] > 0)).all()
    assert dataset.skeleton.flip_pairs == COCO_PERSON.flip_pairs


def test_yolo_without_a_description_needs_a_skeleton(shared, tmp_path):
    source = SOURCES["yolo-pose"](shared, tmp_path / "source")
    (tmp_path / "source/data.yaml").unlink()
    with pytest.raises(DataError, match="--skeleton"):
        import_dataset("yolo-pose", source.path, tmp_path / "out")
    given = Options(skeleton=shared / "data/fixtures/coco/test_coco.json")
    report = import_dataset("yolo-pose", source.path, tmp_path / "out", given)
    assert set(report.splits) == {"train", "val"}


def test_a_split_joins_another(shared, tmp_path):
    source = SOURCES["crowdpose"](shared, tmp_path / "source")
    for split in ("train", "val", "test"):
        import_dataset("crowdpose", source.path, tmp_path / "out", Options(split=split))
    splits = open_dataset(tmp_path / "out")
    assert list(splits.found) == ["train", "val", "test"]
    assert {i.path.parent.name for i in splits.val.images} == {"val"}


def test_splits_that_do_not_fit_are_refused(shared, tmp_path):
    crowdpose = SOURCES["crowdpose"](shared, tmp_path / "crowdpose")
    aic = SOURCES["aic"](shared, tmp_path / "aic")
    out = tmp_path / "out"
    import_dataset("crowdpose", crowdpose.path, out)
    before = sorted(out.rglob("*"))
    with pytest.raises(DataError, match="train split already"):
        import_dataset("crowdpose", crowdpose.path, out)
    with pytest.raises(DataError, match="another skeleton"):
        import_dataset("aic", aic.path, out, Options(split="val"))
    assert sorted(out.rglob("*")) == before


def test_images_are_copied_or_linked(shared, tmp_path):
    source = SOURCES["aic"](shared, tmp_path / "source")
    import_dataset("aic", source.path, tmp_path / "copied")
    import_dataset("aic", source.path, tmp_path / "linked", link=True)
    for image in source.images:
        copied = tmp_path / "copied/images/train" / image.name
        assert copied.read_bytes() == image.read_bytes()
        assert not copied.is_symlink()
        assert (tmp_path / "linked/images/train" / image.name).resolve() == image.resolve()


def test_images_elsewhere(shared, tmp_path):
    source = SOURCES["aic"](shared, tmp_path / "source")
    (tmp_path / "pictures").mkdir()
    for image in source.images:
        image.rename(tmp_path / "pictures" / image.name)
    with pytest.raises(DataError, match=r"image is missing: 054d.*--images"):
        import_dataset("aic", source.path, tmp_path / "out")
    elsewhere = Options(images=tmp_path / "pictures")
    report = import_dataset("aic", source.path, tmp_path / "out", elsewhere)
    assert report.splits["train"].images == 3


def test_damaged_ones_can_be_left_out(imported):
    def damage(content):
        content["annotations"][3]["bbox"] = [0, 0, 0, 0]
        content["annotations"][4]["keypoints"][:3] = [1e7, 3, 2]
        content["images"][0]["width"] += 1

    with pytest.raises(DataError, match="has another size than labelled: 054d"):
        imported("aic", change=damage)


def test_what_is_left_out_is_counted(shared, tmp_path):
    source = SOURCES["aic"](shared, tmp_path / "source")
    content = read(source.labels)
    content["annotations"][3]["bbox"] = [0, 0, 0, 0]
    content["annotations"][4]["keypoints"][:3] = [1e7, 3, 2]
    content["images"][0]["width"] += 1
    source.labels.write_text(json.dumps(content))
    report = import_dataset("aic", source.path, tmp_path / "out", skip_damaged=True)
    assert report.splits["train"].skipped == {
        "image has another size than labelled": 1,
        "instance of an image that cannot be used": 3,
        "the box has no area": 1,
        "a keypoint is far outside the image": 1,
    }
    assert report.splits["train"].instances == 4


@pytest.mark.parametrize(("format", "options", "said"), [
    ("coco", Options(), "unknown format 'coco'"),
    ("aic", Options(split="minival"), "unknown split 'minival'"),
    ("aic", Options(categories=("dog",)), "no category dog; it has person"),
    ("mpii", Options(categories=("dog",)), "no categories"),
    ("aic", replace(Options(), padding=-1), "padding from 0 to 2"),
])  # fmt: skip
def test_options_that_cannot_be(shared, tmp_path, format, options, said):
    source = SOURCES["mpii" if format == "mpii" else "aic"](shared, tmp_path / "source")
    with pytest.raises(ConfigError, match=said):
        import_dataset(format, source.path, tmp_path / "out", options)


def test_a_line_of_yolo_by_hand():
    one = {"bbox": [10, 20, 40, 60], "keypoints": [25, 50, 2]}
    assert yolo_line(one, {"width": 100, "height": 200}) == "0 0.3 0.25 0.4 0.3 0.25 0.25 2"
